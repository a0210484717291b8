"""One page for a run: tables, pictures, scores.json.

Run as:
    python -m eval.report models/radiology --data test.jsonl --train train.jsonl --out runs/report
    python -m eval.report --predictions runs/eval/radiology.jsonl --out runs/report
    python -m eval.report --scores models/radiology/scores.json --out runs/report

Writes OUT/report.md, forest.png, scatter.png, lengths.png, curves.png and scores.json. Scores
alone give the same page: they hold every row's score, though no text.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval import figures
from eval.metrics import METRICS
from eval.predict import run_command
from eval.rows import DataError
from eval.tables import (
    MAIN,
    WORSE,
    compact_json,
    decoding_of,
    difference,
    find_pair,
    interval,
    model_pairs,
    p_text,
    verdict_of,
)


def report(
    scores: Mapping[str, Any],
    out: Path,
    *,
    run: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> str:
    """Write the page and its pictures into the folder `out`; returns the page."""
    from summarizer.markdown import join

    out.mkdir(parents=True, exist_ok=True)
    (out / "scores.json").write_text(compact_json(scores), encoding="utf-8")
    text = join(
        part
        for part in [
            f"# {scores['task']}: {scores['data']['name']}",
            _head(scores),
            "## Scores",
            _systems(scores["systems"], MAIN),
            _brevity(scores["form"]),
            "## Differences on the same rows",
            "Two-sided p by approximate randomisation; of segments, corrected for their number "
            "(Holm). “Too few to say”: the interval is wider than the difference, or fewer than "
            "ten rows.",
            _paired(scores["paired"], scores["data"]["n"]),
            _forests(scores, out),
            "## Segments",
            _segments(scores),
            "## Other scores",
            _systems(scores["systems"], _others(scores["systems"])),
            "## What the texts look like",
            _form(scores["form"]),
            _worse(scores),
            _explanations(scores),
            _text_figures(scores, out),
            _curves(run, out),
            *notes,
        ]
        if part
    )
    (out / "report.md").write_text(text, encoding="utf-8")
    return text


# --- the parts of the page -----------------------------------------------------------------------


def _head(scores: Mapping[str, Any]) -> str:
    data, versions = scores["data"], scores["versions"]
    how = "; ".join(str(versions[key]) for key in ("rouge", "bleu", "interval") if key in versions)
    return (
        f"Generated text. {data['split']} split, n = {data['n']}, SHA-256 of the file "
        f"`{data['sha256'][:16]}`…, {decoding_of(scores)}. x100. {how}."
    )


def _systems(systems: Mapping[str, Any], metrics: Sequence[str]) -> str:
    from summarizer.markdown import table

    shown = [m for m in metrics if any(m in scores for scores in systems.values())]
    if not shown:
        return "None."
    lines = [[n, *(interval(s.get(m)) for m in shown)] for n, s in systems.items()]
    return table(["system", *(METRICS[m].title for m in shown)], lines)


def _brevity(form: Mapping[str, Any]) -> str:
    from summarizer.markdown import table

    wanted = ("bleu_brevity_penalty", "bleu_output_length", "bleu_reference_length")
    lines = [
        [name, f"{s[wanted[0]]['mean'] / 100:.3f}", *(f"{s[m]['mean']:.1f}" for m in wanted[1:])]
        for name, s in form.items()
        if all(metric in s for metric in wanted)
    ]
    heads = ["BLEU of", "brevity penalty", "output tokens a row", "reference tokens a row"]
    return table(heads, lines) if lines else ""


def _paired(paired: Sequence[Mapping[str, Any]], n: int) -> str:
    from summarizer.markdown import table

    lines = [
        [f"{e['a']} - {e['b']}", METRICS[e["metric"]].title, difference(e), p_text(e["p"]),
         verdict_of(e, n)]
        for e in paired
    ]  # fmt: skip
    return table(["pair", "metric", "difference", "p", "a against b"], lines) if lines else "None."


def _forests(scores: Mapping[str, Any], out: Path) -> str:
    parts = []
    for place, (a, b) in enumerate(model_pairs(scores)):
        name = "forest.png" if not place else f"forest-{place + 1}.png"
        if figures.forest(scores, out / name, a, b):
            parts.append(f"![Differences of {a} and {b} by segment]({name})")
    return "\n\n".join(parts)


def _segments(scores: Mapping[str, Any]) -> str:
    from summarizer.markdown import table

    parts = []
    for a, b in model_pairs(scores):
        lines = []
        for segment in scores["segments"]:
            entry = find_pair(segment["paired"], a, b, "rougeL")
            if entry:
                means = [interval(segment["systems"][name].get("rougeL")) for name in (b, a)]
                lines.append(
                    [segment["by"], segment["value"], str(segment["n"]), *means, difference(entry),
                     p_text(entry["p"]), verdict_of(entry, segment["n"])]
                )  # fmt: skip
        heads = ["by", "value", "n", b, a, "difference (ROUGE-L)", "p", f"{a} against {b}"]
        if lines:
            parts.append(table(heads, lines))
    return "\n\n".join(parts) or "None."


def _others(systems: Mapping[str, Any]) -> list[str]:
    return [m for m in METRICS if m not in MAIN and any(m in s for s in systems.values())]


def _form(form: Mapping[str, Any]) -> str:
    from summarizer.markdown import table

    metrics = [m for m in METRICS if any(m in scores for scores in form.values())]
    lines = [
        [METRICS[m].title, *(interval(scores.get(m)) for scores in form.values())] for m in metrics
    ]
    return table(["", *form], lines) if lines else "None."


def _worse(scores: Mapping[str, Any]) -> str:
    """How the models differ in what is better when lower."""
    entries = [e for e in scores.get("form_paired", []) if e["metric"] in WORSE]
    return _paired(entries, scores["data"]["n"]) if entries else ""


def _explanations(scores: Mapping[str, Any]) -> str:
    """What each figure that is not ROUGE or BLEU means."""
    shown = {m for part in ("systems", "form") for s in scores[part].values() for m in s}
    return "\n".join(
        f"- {METRICS[m].title}: {METRICS[m].explanation}" for m in METRICS if m in shown - set(MAIN)
    )


def _text_figures(scores: Mapping[str, Any], out: Path) -> str:
    rows = scores.get("rows")
    if not rows:
        return (
            "Score by row and by length need the rows' scores, which this file does not hold: "
            "make it again with `python -m eval.run`."
        )
    by_row, metric = rows["scores"], rows["metric"]
    if not by_row:
        return "Score by row and by length need a model's text, and there is none."
    parts = ["## Row by row"]
    title = METRICS[metric].title
    for place, (a, b) in enumerate(model_pairs(scores)):
        name = "scatter.png" if not place else f"scatter-{place + 1}.png"
        figures.scatter(by_row[b], by_row[a], out / name, (b, a), metric)
        parts.append(f"![{title} of every row, {b} against {a}]({name})")
    figures.lengths(rows["words"], by_row, out / "lengths.png", metric)
    parts.append(f"![{title} by length of the input](lengths.png)")
    return "\n\n".join(parts)


def _curves(run: Mapping[str, Any] | None, out: Path) -> str:
    if not run:
        return ""
    if not figures.curves(run.get("curve") or [], out / "curves.png", run.get("selected") or {}):
        return "The run record holds no training curve."
    return "## Training\n\n![Loss by step](curves.png)"


# --- the command line ----------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser(given).parse_args(given)
    return run_command("eval.report", lambda: _run(arguments))


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m eval.report", description="One page with tables and pictures for a run."
    )
    if any(option.split("=")[0] == "--scores" for option in given):
        parser.add_argument("--scores", metavar="FILE", required=True, help="of an earlier run")
    else:
        from eval.run import add_score_options
        from eval.source import add_source_options

        add_source_options(parser)
        add_score_options(parser)
        parser.epilog = "Or: --scores FILE, the scores.json of an earlier run."
    parser.add_argument("--run", metavar="FILE", help="run.json (default: beside the adapter)")
    parser.add_argument("--out", default="runs/report", metavar="DIR", help="default: %(default)s")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    given = getattr(arguments, "scores", None)
    if given:
        scores = {"form": {}} | _read_json(Path(arguments.scores), "scores")
        notes = _missing(scores)
        beside = Path(arguments.scores).parent / "run.json"
    else:
        from eval.run import check_options, scores_of
        from eval.source import predictions_of

        check_options(arguments)
        scores, notes = scores_of(arguments, predictions_of(arguments))
        beside = _folder(arguments.adapters) / "run.json"
    path = Path(arguments.run) if arguments.run else beside
    run = _read_json(path, "run record") if arguments.run or path.is_file() else None
    out = Path(arguments.out)
    if out.is_file():
        raise DataError(f"{out} is a file: name a folder with --out.")
    try:
        report(scores, out, run=run, notes=notes)
    except (KeyError, TypeError, AttributeError):
        if not given:
            raise
        raise DataError(f"{given} or its run record is incomplete.") from None
    print(out / "report.md")


def _missing(scores: Mapping[str, Any]) -> list[str]:
    told = str((scores.get("versions") or {}).get("bertscore", ""))
    return [f"BERTScore is {told}."] if told.startswith("missing") else []


def _folder(adapters: Sequence[str]) -> Path:
    from summarizer.backbone import ROOT

    source = adapters[0].rpartition("=")[2] if adapters else ""
    return next((p for p in (Path(source), ROOT / source) if source and p.is_dir()), Path("-"))


def _read_json(path: Path, what: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except (OSError, ValueError):
        raise DataError(f"{path} is not JSON.") from None
    known = _is_scores if what == "scores" else _is_run_record
    if not isinstance(value, dict) or not known(value):
        raise DataError(f"{path} is no {what}.")
    return value


def _is_scores(value: Mapping[str, Any]) -> bool:
    return "systems" in value


def _is_run_record(value: Mapping[str, Any]) -> bool:
    curve, selected = value.get("curve") or [], value.get("selected") or {}
    return (
        isinstance(curve, list)
        and all(isinstance(point, dict) for point in curve)
        and isinstance(selected, dict)
    )


if __name__ == "__main__":
    sys.exit(main())
