"""The Results tab as HTML: tables and forest plots of a scores.json, and cases of the examples.

Pure functions like those of `summarizer.markup`. The figures are those of the file: nothing is
computed from them here but places on an axis and counts of rows.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from summarizer import charts
from summarizer.generate import AdapterInfo, Pair
from summarizer.markup import ROUGE_NAMES, Example, RougeScores
from summarizer.tasks import Task, decoding_words

METRIC_NAMES = {
    **ROUGE_NAMES,
    "rougeLsum": "ROUGE-Lsum",
    "bleu": "BLEU",
    "chrf": "chrF",
    "bertscore": "BERTScore",
    "focus_kept": "Focus kept",
    "abnormal_kept": "Abnormal kept",
    "normal_kept": "Normal kept",
}
# What the texts look like: name, unit ("" is a share in per cent).
FORM_NAMES = {
    "bleu_brevity_penalty": ("BLEU's brevity penalty (100: none)", ""),
    "bleu_output_length": ("BLEU tokens of an output", "tokens"),
    "bleu_reference_length": ("BLEU tokens of a reference", "tokens"),
    "length_ratio": ("Words per word of the reference", ""),
    "sentences": ("Sentences of an output", "sentences"),
    "numbered": ("Numbered points", ""),
    "bulleted": ("Bullets", ""),
    "form_kept": ("The reference's form kept", ""),
    "copied": ("Words copied in runs of 4 or more", ""),
    "new_words": ("Content words new to the input", ""),
    "new_bigrams": ("Pairs of words new to the input", ""),
    "repetition": ("3-grams said again", ""),
    "cut_off": ("Cut off at the length limit", ""),
    "empty": ("Empty", ""),
}
CURVE = "curve.png"  # beside the adapter, as train.run draws it
LARGEST_CURVE = 2_000_000  # bytes, of a picture that goes into the page
SYSTEM_NAMES = {"base": "Base", "lora": "LoRA"}
# Below this a bootstrap interval is far too narrow (the rule of `eval.statistics`).
FEWEST_ROWS = 10


@dataclass(frozen=True)
class Case:
    """One example that both columns have written, with the ROUGE of each against its reference."""

    example: Example
    pair: Pair
    rouge: RougeScores

    @property
    def gain(self) -> float:
        """ROUGE-L of LoRA less that of the base."""
        return self.rouge["lora"]["rougeL"] - self.rouge["base"]["rougeL"]


def scores(task: Task, adapter: AdapterInfo) -> str:
    """Everything measured of one adapter: systems, paired differences by segment, how."""
    if not adapter.scores:
        return (
            f'<p class="scores">{escape(adapter.label)} has no measured scores yet: '
            "<code>python -m eval.run</code> makes them.</p>"
        )
    try:
        return _scores(task, adapter, adapter.scores)
    except (AttributeError, KeyError, TypeError, ValueError):
        return (
            f'<p class="scores">The scores file of {escape(adapter.label)} cannot be read; '
            "make it again.</p>"
        )


def _scores(task: Task, adapter: AdapterInfo, file: Mapping[str, Any]) -> str:
    data = file["data"]
    how = decoding_words(file["decoding"], file.get("window_words"))
    return (
        '<section class="measured">'
        f"<p><b>{escape(adapter.label)}</b> on {escape(str(data['name']))}, the "
        f"{escape(str(data['split']))} split: n = {data['n']:,}, {escape(how)}. "
        "Figures are means x100, in brackets their 95% bootstrap intervals.</p>"
        f"{_systems(file['systems'])}"
        f"<h3>ROUGE-L: LoRA less base, on the same rows</h3>{_forest(file)}"
        f"{_rows(file.get('rows'))}{_form(file.get('form') or {})}{_curve(adapter)}"
        f"{_how(file.get('versions', {}))}</section>"
    )


def _systems(systems: Mapping[str, Mapping[str, Any]]) -> str:
    metrics = [name for name in METRIC_NAMES if any(name in by for by in systems.values())]
    heads = "".join(f'<th scope="col">{METRIC_NAMES[name]}</th>' for name in metrics)
    order = [name for name in ("lora", "base") if name in systems]
    order += [name for name in systems if name not in SYSTEM_NAMES]
    rows = "".join(
        f'<tr class="{"ours" if name == "lora" else ""}">'
        f'<th scope="row">{escape(SYSTEM_NAMES.get(name, name))}</th>'
        + "".join(_cell(systems[name].get(metric)) for metric in metrics)
        + "</tr>"
        for name in order
    )
    return _scrolled(
        "Scores of each system",
        f'<table><thead><tr><th scope="col">System</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table>",
    )


def _cell(value: Mapping[str, float] | None) -> str:
    if value is None:
        return "<td>-</td>"
    return (
        f"<td><b>{value['mean']:.1f}</b> "
        f"<span>[{value['low']:.1f}, {value['high']:.1f}]</span></td>"
    )


def _rows(rows: Mapping[str, Any] | None) -> str:
    """Rows as points: the base's score against LoRA's, and both against the input's length."""
    if not rows or not {"base", "lora"} <= set(rows["scores"]) or not rows["words"]:
        return ""
    name = METRIC_NAMES[rows["metric"]]
    both = {system: rows["scores"][system] for system in ("base", "lora")}
    return (
        f'<h3>{name}, row by row</h3><div class="charts">'
        f"{charts.scatter(both['base'], both['lora'], name)}"
        f"{charts.lengths(rows['words'], both, name)}</div>"
    )


def _form(form: Mapping[str, Mapping[str, Any]]) -> str:
    """Lengths, forms, copying, repetition: a line each, a column a system; means."""
    order = [name for name in ("lora", "base") if name in form]
    order += [name for name in form if name not in SYSTEM_NAMES]
    lines = [name for name in FORM_NAMES if any(name in form[system] for system in order)]
    if not lines:
        return ""
    heads = "".join(f'<th scope="col">{escape(SYSTEM_NAMES.get(n, n))}</th>' for n in order)
    rows = "".join(
        f'<tr><th scope="row">{escape(FORM_NAMES[line][0])}</th>'
        + "".join(f"<td>{_plain(form[system].get(line), FORM_NAMES[line][1])}</td>" for system in order)
        + "</tr>"
        for line in lines
    )  # fmt: skip
    table = _scrolled(
        "What the texts look like",
        f'<table><thead><tr><th scope="col"></th>{heads}</tr></thead><tbody>{rows}</tbody></table>',
    )
    return f"<h3>What the texts look like</h3>{table}"


def _plain(value: Mapping[str, float] | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value['mean']:.1f}" if unit else f"{value['mean']:.1f}%"


def _curve(adapter: AdapterInfo) -> str:
    """The training curve as a picture inside the page, which needs no other file then."""
    picture = Path(adapter.path) / CURVE
    try:
        if not picture.is_file() or picture.stat().st_size > LARGEST_CURVE:
            return ""
        data = base64.b64encode(picture.read_bytes()).decode("ascii")
    except OSError:
        return ""
    return (
        "<h3>Training</h3>"
        '<img class="curve" alt="Loss and validation scores by training step" '
        f'src="data:image/png;base64,{data}">'
    )


def _forest(file: Mapping[str, Any]) -> str:
    lines = [("All rows", file["data"]["n"], _difference(file["paired"]))]
    lines += [
        (f"{part['by']}: {part['value']}", part["n"], _difference(part["paired"]))
        for part in file["segments"]
    ]
    lines = [line for line in lines if line[2]]
    if not lines:
        return "<p>The file compares nothing.</p>"
    low = min(0.0, *(entry["low"] for _, n, entry in lines if n >= FEWEST_ROWS))
    high = max(0.0, *(entry["high"] for _, n, entry in lines if n >= FEWEST_ROWS))
    room = 0.04 * (high - low or 1.0)
    low, high = low - room, high + room
    rows = "".join(_forest_row(*line, low, high) for line in lines)
    return _scrolled(
        "Paired differences by segment",
        '<table class="forest"><thead><tr><th scope="col">Rows</th><th scope="col">n</th>'
        '<th scope="col" class="wide">worse than base | better than base</th>'
        f'<th scope="col">Difference</th><th scope="col">p</th></tr></thead><tbody>{rows}</tbody></table>',
    )


def _forest_row(name: str, n: int, entry: Mapping[str, float], low: float, high: float) -> str:
    def place(value: float) -> float:
        return 100 * min(1.0, max(0.0, (value - low) / (high - low)))

    left, right = place(entry["low"]), place(entry["high"])
    told = verdict(entry, n)
    return (
        f'<tr class="{told.split()[0]}"><th scope="row">{escape(name)}</th><td>{n:,}</td>'
        '<td class="wide"><div class="track">'
        f'<i class="zero" style="left:{place(0.0):.2f}%"></i>'
        f'<i class="range" style="left:{left:.2f}%;width:{right - left:.2f}%"></i>'
        f'<i class="point" style="left:{place(entry["difference"]):.2f}%"></i></div></td>'
        f"<td><b>{entry['difference']:+.1f}</b> "
        f"<span>[{entry['low']:+.1f}, {entry['high']:+.1f}]</span>"
        f"{f' <em>{told}</em>' if told not in ('higher', 'lower') else ''}</td>"
        f"<td>{_p(entry['p'])}</td></tr>"
    )


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "&lt; 0.001"


def verdict(entry: Mapping[str, float], n: int) -> str:
    """What may be said of a difference: "higher", "lower", "no difference shown" or "too few to
    say" (the rule of `eval.statistics.verdict`, which a test holds this one against)."""
    difference, low, high = entry["difference"], entry["low"], entry["high"]
    if n < FEWEST_ROWS or not high - low <= abs(difference):
        return "too few to say"
    if entry["p"] >= 1 - 95 / 100 or low <= 0 <= high:
        return "no difference shown"
    return "higher" if difference > 0 else "lower"


def _difference(paired: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next(
        (e for e in paired if (e["a"], e["b"], e["metric"]) == ("lora", "base", "rougeL")), None
    )


def _how(versions: Mapping[str, Any]) -> str:
    lines = "".join(
        f"<li>{escape(str(name))}: {escape(str(value))}</li>" for name, value in versions.items()
    )
    return f"<details><summary>How these were made</summary><ul>{lines}</ul></details>"


def _scrolled(label: str, table: str) -> str:
    """A table that scrolls inside its own frame where the screen is narrower than it."""
    return f'<div class="table" tabindex="0" role="region" aria-label="{label}">{table}</div>'


def cases(found: Sequence[Case], *, gains_first: bool) -> str:
    """Examples with both columns, from the largest gain of LoRA to its largest loss, or reversed."""
    order = sorted(found, key=lambda case: case.gain, reverse=gains_first)
    return f'<div class="cases">{"".join(map(_case, order))}</div>'


def _case(case: Case) -> str:
    example = case.example
    texts = "".join(
        f'<div><dt>{name}</dt><dd dir="auto">{escape(text)}</dd></div>'
        for name, text in (
            (f"Base, ROUGE-L {case.rouge['base']['rougeL']:.1f}", case.pair.base.text),
            (f"LoRA, ROUGE-L {case.rouge['lora']['rougeL']:.1f}", case.pair.lora.text),
            ("Reference", example.target),
            ("Text", example.input),
        )
    )
    sign = "gain" if case.gain >= 0 else "loss"
    return (
        f'<details class="case {sign}" data-case="{escape(example.id)}"><summary>'
        f"<b>{case.gain:+.1f}</b> {escape(example.title)}</summary><dl>{texts}</dl></details>"
    )
