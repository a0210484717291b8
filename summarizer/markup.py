"""What the page shows, as HTML: pure functions from results to text with everything escaped.

Nothing here knows gradio or a model. Every text that a visitor or a model wrote goes through
`escape`, so that HTML and Markdown in it are shown as text and never rendered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from summarizer.generate import AdapterInfo, Pair, Summary
from summarizer.sections import left_out_words
from summarizer.tasks import Task, decoding_words
from summarizer.text import Cut

ROUGE_NAMES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}

# What stands in a column before a text was given.
_NOTHING_YET = {
    "base": "The model on its own. Choose an example, or paste a text and press Run.",
    "lora": "The same model with the adapter trained for this task.",
}
# The form that some questions come in: its marks tell a reader of the card nothing.
_FORM = re.compile(r"SUBJECT:\s*(.*)\s+MESSAGE:\s*")


@dataclass(frozen=True)
class Example:
    """One row of an example file: a text with a reference summary written for it."""

    id: str
    title: str
    input: str
    target: str
    section: str | None = None
    modality: str | None = None
    indication: str | None = None


@dataclass(frozen=True)
class Titles:
    """What the two columns are called: the backbone, and the backbone with the adapter."""

    base: str
    lora: str

    @classmethod
    def of(cls, backbone: str, adapter: AdapterInfo) -> Titles:
        return cls(backbone, f"{backbone} + {adapter.label}")


# One text's ROUGE by metric, x100, of both columns: {"base": {"rouge1": 41.2, ...}, "lora": ...}
RougeScores = Mapping[str, Mapping[str, float]]


def results(
    titles: Titles,
    pair: Pair | None = None,
    example: Example | None = None,
    rouge: RougeScores | None = None,
    *,
    waiting: str | None = None,
) -> str:
    """Both columns, what was not read, and an example's reference with the ROUGE against it."""
    columns = "".join(
        _column(
            side,
            label,
            title,
            getattr(pair, side) if pair else None,
            rouge[side] if rouge else None,
            _NOTHING_YET[side] if waiting is None else waiting,
        )
        for side, label, title in (("base", "Base", titles.base), ("lora", "LoRA", titles.lora))
    )
    cut = _left_out(pair.left_out) if pair and pair.left_out else ""
    cut += _cut(pair.cut) if pair and pair.cut else ""
    reference = _reference(example) if example else ""
    return f'{cut}<div class="pair">{columns}</div>{reference}'


def _column(
    side: str,
    label: str,
    title: str,
    summary: Summary | None,
    rouge: Mapping[str, float] | None,
    waiting: str,
) -> str:
    text = summary.text if summary else ""
    body = (
        f'<div class="summary" tabindex="0" role="region" dir="auto" aria-label="{label} summary">'
        f"{escape(text)}</div>"
        if text
        else f'<div class="summary empty">{escape(waiting)}</div>'
    )
    return (
        f'<article class="side {side}" aria-label="{label}">'
        f"<header><h3><b>{label}:</b> {escape(title)}</h3>"
        f'<button type="button" class="copy" aria-label="Copy the {label} summary"'
        f"{'' if text else ' disabled'}>Copy</button></header>"
        f"{body}"
        f'<p class="meta">{_measures(summary) if summary else "&nbsp;"}</p>'
        f"{_rouge(rouge) if rouge else ''}</article>"
    )


def _measures(summary: Summary) -> str:
    words = len(summary.text.split())
    parts = [
        f"{summary.seconds:.1f} s",
        _count(summary.tokens, "token"),
        _count(words, "word"),
    ]
    if summary.finish == "length":
        parts.append("ended at the length limit")
    if summary.finish == "stopped":
        parts.append("stopped")
    return " · ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _rouge(scores: Mapping[str, float]) -> str:
    figures = "".join(
        f"<div><dt>{name}</dt><dd>{scores[metric]:.1f}</dd></div>"
        for metric, name in ROUGE_NAMES.items()
    )
    return f'<dl class="rouge" aria-label="ROUGE against the reference">{figures}</dl>'


def _left_out(headings: Sequence[str]) -> str:
    return f'<p class="left-out">{escape(left_out_words(headings))}</p>'


def _cut(cut: Cut) -> str:
    return (
        '<details class="cut"><summary><b>Not all of the text was read.</b> '
        f"The model reads {cut.tokens_read:,} of its {cut.tokens_total:,} tokens; "
        f"the last {_count(cut.words_unread, 'word')} went unread in both columns. "
        "<u>Show them</u></summary>"
        f'<div class="unread" tabindex="0" role="region" aria-label="Unread text" dir="auto">{escape(cut.unread_text)}</div></details>'
    )


def _reference(example: Example) -> str:
    return (
        '<article class="reference" aria-label="Reference">'
        "<header><h3><b>Reference</b> written for this example, not by a model</h3></header>"
        f'<div class="summary" dir="auto">{escape(example.target)}</div>'
        '<p class="meta">ROUGE x100 (F-measure, stemmed) counts the words that a column shares with '
        "this one reference. It does not tell whether a summary is correct.</p></article>"
    )


def status(state: str, text: str) -> str:
    """One line on what is happening. state: idle, waiting, writing, done, stopped or error."""
    role = "alert" if state == "error" else "status"
    return f'<p class="status" role="{role}" data-state="{state}">{escape(text)}</p>'


def examples(task: Task, rows: Sequence[Example], first: int) -> str:
    """The examples as buttons: the first few at once, the others folded under them."""
    if not rows:
        return f'<p class="no-examples">There is no example file at {escape(task.examples)}.</p>'
    cards = "".join(_card(row, folded=place >= first) for place, row in enumerate(rows))
    everything = (
        f'<button type="button" class="all" aria-expanded="false">All {len(rows)} examples</button>'
        if rows[first:]
        else ""
    )
    return (
        '<section class="examples" aria-label="Examples">'
        f"<header><h2>{escape(task.description)} <span>One click runs an example.</span></h2>"
        f'{everything}</header><div class="cards">{cards}</div></section>'
    )


def _card(row: Example, *, folded: bool) -> str:
    detail = row.indication or _first_words(row.input)
    if row.section:
        detail = f"{row.section} · {_count(len(row.input.splitlines()), 'line')}"
    return (
        f'<button type="button" class="card{" folded" if folded else ""}" '
        f'data-example="{escape(row.id)}"><b>{escape(row.title)}</b>'
        f"<span>{escape(detail)}</span></button>"
    )


def _first_words(text: str, characters: int = 60) -> str:
    line = " ".join(_FORM.sub(r"\1 · ", text).split())
    return line if len(line) <= characters else line[:characters].rsplit(" ", 1)[0] + " …"


def scores_line(adapter: AdapterInfo) -> str:
    """What the adapter scored on its test split, in one line, from its scores.json."""
    scores = adapter.scores
    try:
        text = _scores_text(scores) if scores else None
    except (AttributeError, KeyError, TypeError, ValueError):
        text = f"The scores file of {escape(adapter.label)} cannot be read; make it again."
    if text is None:
        text = (
            f"{escape(adapter.label)} has no measured scores yet: "
            "<code>python -m eval.run</code> makes them."
        )
    return f'<p class="scores">{text}</p>'


def _scores_text(scores: Mapping[str, Any]) -> str:
    data = scores["data"]
    windows = scores.get("window_words")
    base = _interval(scores["systems"]["base"]["rougeL"])
    lora = _interval(scores["systems"]["lora"]["rougeL"])
    split = {"test": "test split", "validation": "validation split"}.get(
        data["split"], str(data["split"])
    )
    return (
        f"<b>Measured on the {escape(split)}</b>, n = {data['n']:,}: ROUGE-L (words shared with the "
        f"reference, in order; 0 to 100) <b>{base}</b> base, <b>{lora}</b> LoRA, with 95% intervals."
        f"{_kept(scores['systems']['lora'])} <small>{escape(str(data['name']))}; "
        f"{escape(decoding_words(scores['decoding'], windows))}.</small>"
    )


def _kept(lora: Mapping[str, Any]) -> str:
    """What ROUGE does not see, of the adapter alone: reports told the wrong way, a lost focus."""
    if {"abnormal_kept", "normal_kept"} <= set(lora):
        wrong = [100 - lora[name]["mean"] for name in ("abnormal_kept", "normal_kept")]
        return (
            f" <b>{wrong[0]:.0f}%</b> of the abnormal reports were summarised as normal, "
            f"<b>{wrong[1]:.0f}%</b> of the normal ones as abnormal."
        )
    if "focus_kept" in lora:
        return (
            f" Of the words that say what is asked about, <b>{lora['focus_kept']['mean']:.0f}%</b> "
            "were kept."
        )
    return ""


def _interval(value: Mapping[str, float]) -> str:
    return f"{value['mean']:.1f} [{value['low']:.1f}, {value['high']:.1f}]"
