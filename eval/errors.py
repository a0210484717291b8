"""What goes wrong, in categories, with the cases: Markdown and a self-contained HTML page.

Run as:
    python -m eval.errors models/radiology --data validation.jsonl --out runs/errors/radiology
    python -m eval.errors --predictions runs/eval/radiology.jsonl --system lora --against base

Writes OUT.md and OUT.html: how often each category occurs in each system, and the worst cases of
each with source, reference and both texts. The categories are those of `eval.faults`; how often
the same rules list the references themselves is shown beside them, as the rules' own error rate.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from eval import checks
from eval.faults import CATEGORIES, Fault, faults
from eval.predict import run_command
from eval.rouge import rouge
from eval.rows import DataError, Predictions
from eval.source import add_source_options, predictions_of


@dataclass(frozen=True)
class Case:
    """One output with a fault, and what it is to be held against."""

    place: int
    fault: Fault
    rougeL: float


@dataclass(frozen=True)
class Analysis:
    """The faults of all systems. cases: of the chosen system, worst first, by category."""

    predictions: Predictions
    system: str
    against: str | None
    counts: dict[str, dict[str, int]]  # system or "references" -> category -> rows
    clean: dict[str, int]  # system -> rows without a fault
    cases: dict[str, list[Case]]


def analyse(
    predictions: Predictions, system: str | None = None, against: str | None = None
) -> Analysis:
    """Sort the outputs of every model into categories. Raises DataError for an unknown system."""
    models = [n for n, s in predictions.systems.items() if s.get("method") == "generate"]
    if not system and not models:
        raise DataError("No system here is a model's: name the one to look at with --system.")
    system = _named(system or ("lora" if "lora" in models else models[-1]), predictions)
    if against is None:
        against = next((n for n in ("base", *models) if n in models and n != system), None)
    else:
        against = _named(against, predictions)
    shown = list(dict.fromkeys([n for n in (against, system) if n] + models))
    found = {name: _faults_of(predictions, name) for name in shown}
    references = [faults(predictions.task, r, r["target"]) for r in predictions.rows]
    counts = {name: _count(rows) for name, rows in found.items()}
    score = rouge(predictions.outputs[system], [r["target"] for r in predictions.rows])["rougeL"]
    cases: dict[str, list[Case]] = {category: [] for category in CATEGORIES}
    for place, row in enumerate(found[system]):
        for fault in row:
            cases[fault.category].append(Case(place, fault, float(score[place])))
    for listed in cases.values():
        listed.sort(key=lambda case: (-case.fault.weight, case.rougeL, case.place))
    return Analysis(
        predictions,
        system,
        against,
        counts | {"references": _count(references)},
        {name: sum(not row for row in rows) for name, rows in found.items()},
        cases,
    )


def _named(name: str, predictions: Predictions) -> str:
    if name not in predictions.outputs:
        raise DataError(f"There is no system {name!r}: there are {', '.join(predictions.outputs)}.")
    return name


def _faults_of(predictions: Predictions, name: str) -> list[list[Fault]]:
    cut_off = predictions.extras.get("cut_off", {}).get(name) or [False] * len(predictions.rows)
    return [
        faults(predictions.task, row, text, cut_off=cut)
        for row, text, cut in zip(predictions.rows, predictions.outputs[name], cut_off, strict=True)
    ]


def _count(rows: Sequence[Sequence[Fault]]) -> dict[str, int]:
    return {c: sum(any(f.category == c for f in row) for row in rows) for c in CATEGORIES}


# --- Markdown ------------------------------------------------------------------------------------


def markdown(analysis: Analysis, most: int = 3) -> str:
    """The report in Markdown, `most` cases of each category; texts stand in fences, as text."""
    from summarizer.markdown import fence, join, table

    rows = analysis.predictions.rows
    parts = [f"# {_title(analysis)}", _introduction(analysis), table(*_table(analysis))]
    for category, cases in analysis.cases.items():
        if not cases:
            continue
        parts.append(f"## {category} ({len(cases)} of {len(rows)})")
        parts.append(f"{CATEGORIES[category]}.")
        for case in cases[:most]:
            parts.append(f"### {_plain(rows[case.place]['id'])}: {_plain(case.fault.detail)}")
            parts.append(f"ROUGE-L {case.rougeL:.1f}{_plain(_where(rows[case.place]))}")
            for name, text in _texts(analysis, case.place):
                parts += [f"**{name}**", fence("text", text or "(nothing)")]
    return join(parts)


def _title(analysis: Analysis) -> str:
    data = analysis.predictions.data
    return f"Errors of {analysis.system}: {analysis.predictions.task}, {data['name']}"


def _introduction(analysis: Analysis) -> str:
    data = analysis.predictions.data
    source = (
        "Side, negation, numbers and support are judged by summarizer.checks."
        if checks.available()
        else "All categories are found by the rules of eval.faults, which look for signs: a case "
        "listed may be fine, and a fault may be missed."
    )
    clean = ", ".join(
        f"{name} {count} ({100 * count / data['n']:.0f}%)" for name, count in analysis.clean.items()
    )
    return (
        f"n = {data['n']}, {data['split']} split. Rows without any listed fault: {clean}. A row can "
        f"stand in several categories. {source} The last column is how often the same rules list "
        "the references themselves: what is no more frequent than there is no finding."
    )


def _table(analysis: Analysis) -> tuple[list[str], list[list[str]]]:
    total = len(analysis.predictions.rows)
    heads = ["category", "what it means", *analysis.counts]
    lines = [
        [category, meaning]
        + [f"{c[category]} ({100 * c[category] / total:.0f}%)" for c in analysis.counts.values()]
        for category, meaning in CATEGORIES.items()
    ]
    return heads, lines


def _texts(analysis: Analysis, place: int) -> list[tuple[str, str]]:
    row, outputs = analysis.predictions.rows[place], analysis.predictions.outputs
    texts = [("source", row["input"]), ("reference", row["target"])]
    names = [name for name in (analysis.against, analysis.system) if name]
    return texts + [(name, outputs[name][place]) for name in names]


def _where(row: dict) -> str:
    known = [str(row[key]) for key in ("source", "modality", "section") if row.get(key)]
    return f", {', '.join(known)}" if known else ""


def _plain(text: str) -> str:
    """Text of a model or a data set on one line, no character of it taken for Markdown."""
    line = " ".join(str(text).split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|" else c for c in line)


# --- HTML ----------------------------------------------------------------------------------------

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 22%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } .wide { overflow-x: auto }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left }
td:nth-child(n+3), th:nth-child(n+3) { text-align: right; font-variant-numeric: tabular-nums }
section { margin-top: 2.5rem } details { border-top: 1px solid var(--line); padding: .5rem 0 }
summary { cursor: pointer } .texts { display: grid; gap: .75rem 1rem;
grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)) }
.texts > div { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .75rem }
h3 { margin: 0 0 .25rem; font-size: .85rem } pre { white-space: pre-wrap; margin: 0; font: inherit;
overflow-wrap: anywhere }
"""


def html(analysis: Analysis, most: int = 3) -> str:
    """The report as one HTML file that loads nothing; every text is escaped."""
    rows = analysis.predictions.rows
    heads, lines = _table(analysis)
    body = [
        f"<h1>{escape(_title(analysis))}</h1><p>{escape(_introduction(analysis))}</p>",
        '<div class="wide"><table><thead><tr>'
        + "".join(f'<th scope="col">{escape(h)}</th>' for h in heads)
        + "</tr></thead><tbody>"
        + "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>"
            for line in lines
        )
        + "</tbody></table></div>",
    ]
    for category, cases in analysis.cases.items():
        if cases:
            body.append(
                f"<section><h2>{escape(category)} ({len(cases)} of {len(rows)})</h2>"
                f"<p>{escape(CATEGORIES[category])}.</p>"
                + "".join(_case(analysis, case) for case in cases[:most])
                + "</section>"
            )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(_title(analysis))}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _case(analysis: Analysis, case: Case) -> str:
    row = analysis.predictions.rows[case.place]
    texts = "".join(
        f'<div><h3>{escape(name)}</h3><pre dir="auto">{escape(text or "(nothing)")}</pre></div>'
        for name, text in _texts(analysis, case.place)
    )
    return (
        f"<details open><summary><b>{escape(row['id'])}</b>: {escape(case.fault.detail)} "
        f"(ROUGE-L {case.rougeL:.1f}{escape(_where(row))})</summary>"
        f'<div class="texts">{texts}</div></details>'
    )


# --- the command line ----------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m eval.errors", description="Sort errors into categories, with the cases."
    )
    add_source_options(parser)
    parser.add_argument("--system", metavar="NAME", help="whose errors (default: lora)")
    parser.add_argument("--against", metavar="NAME", help="shown beside it (default: base)")
    parser.add_argument("--cases", type=int, default=3, metavar="N", help="of each; default: 3")
    parser.add_argument("--out", default="runs/errors/errors", metavar="OUT",
                        help="writes OUT.md and OUT.html; default: %(default)s")  # fmt: skip
    arguments = parser.parse_args(argv)

    def body() -> None:
        if arguments.cases < 1:
            raise DataError(f"--cases must be at least 1, not {arguments.cases}.")
        arguments.no_floors = True
        analysis = analyse(predictions_of(arguments), arguments.system, arguments.against)
        out = Path(arguments.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        for suffix, write in ((".md", markdown), (".html", html)):
            path = Path(f"{out}{suffix}")
            path.write_text(write(analysis, arguments.cases), encoding="utf-8")
            print(path)

    return run_command("eval.errors", body)


if __name__ == "__main__":
    sys.exit(main())
