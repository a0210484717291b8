"""Rows as points, as SVG inside the page: no script, the page's own colours, light and dark.

Pure functions. A test holds what is drawn against the figures of the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

# The drawing's own units; the page scales it to its column.
WIDTH, HEIGHT = 360, 300
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 10, 40
_PARTS = 6  # of the rows, by length; each gives one point of the line of means


def scatter(base: Sequence[float], lora: Sequence[float], metric: str) -> str:
    """Each row's score of the base (across) and of LoRA (up), 0 to 100; above the line LoRA wins."""
    above = sum(b > a for a, b in zip(base, lora, strict=True))
    below = sum(b < a for a, b in zip(base, lora, strict=True))
    points = "".join(
        _point(_across(a / 100), _up(b / 100), "lora" if b > a else "base" if b < a else "equal")
        for a, b in zip(base, lora, strict=True)
    )
    diagonal = (
        f'<line class="zero" x1="{_across(0):.1f}" y1="{_up(0):.1f}" '
        f'x2="{_across(1):.1f}" y2="{_up(1):.1f}"/>'
    )
    told = (
        f"LoRA above the base in {above:,}, below in {below:,}, equal in "
        f"{len(base) - above - below:,} rows"
    )
    ticks = [(value / 100, f"{value}") for value in range(0, 101, 20)]
    return _figure(
        f"{metric} of every row: {told}",
        _axes(ticks, ticks, f"base, {metric}", f"LoRA, {metric}") + diagonal + points,
        f"Each point a row. {told}.",
    )


def lengths(words: Sequence[int], scores: Mapping[str, Sequence[float]], metric: str) -> str:
    """Score by the words of the input (logarithmic): rows as points, means of sixths as lines.

    scores: of "base" and "lora", a value per row.
    """
    ends = [math.log(max(1, edge)) for edge in (min(words), max(words))]
    span = (ends[1] - ends[0]) or 1.0

    def place(value: float) -> float:
        return _across((math.log(max(1.0, value)) - ends[0]) / span)

    order = sorted(range(len(words)), key=lambda row: words[row])
    parts = [part for part in _split(order, _PARTS) if part]
    drawn = ""
    for name, values in scores.items():
        drawn += "".join(
            _point(place(words[row]), _up(values[row] / 100), name) for row in range(len(words))
        )
    for name, values in scores.items():
        means = [
            (place(_mean([words[row] for row in part])), _up(_mean([values[row] for row in part]) / 100))
            for part in parts
        ]  # fmt: skip
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in means)
        drawn += f'<polyline class="{escape(name)}" points="{line}"/>'
        drawn += "".join(_point(x, y, f"{name} mean") for x, y in means)
    ticks = [((math.log(value) - ends[0]) / span, f"{value:,}") for value in _round_values(words)]
    up = [(value / 100, f"{value}") for value in range(0, 101, 20)]
    return _figure(
        f"{metric} by length of the input, rows and means",
        _axes(ticks, up, "words of the input", metric) + drawn,
        "By length of the input: points are rows, lines the means of sixths of the rows. "
        '<i class="key lora"></i> LoRA <i class="key base"></i> base',
    )


def _figure(label: str, inside: str, caption: str) -> str:
    return (
        f'<figure class="chart"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{inside}</svg><figcaption>{caption}</figcaption></figure>'
    )


def _axes(
    across: Sequence[tuple[float, str]], up: Sequence[tuple[float, str]], below: str, beside: str
) -> str:
    lines = "".join(
        f'<line x1="{_across(0):.1f}" x2="{_across(1):.1f}" y1="{_up(v):.1f}" y2="{_up(v):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{_up(v) + 3.5:.1f}" text-anchor="end">{text}</text>'
        for v, text in up
    )
    lines += "".join(
        f'<line x1="{_across(v):.1f}" x2="{_across(v):.1f}" y1="{_up(0):.1f}" y2="{_up(0) + 4:.1f}"/>'
        f'<text x="{_across(v):.1f}" y="{_up(0) + 16:.1f}" text-anchor="middle">{text}</text>'
        for v, text in across
    )
    middle = (_up(0) + _up(1)) / 2
    return (
        f'<g class="axes">{lines}'
        f'<text x="{(_across(0) + _across(1)) / 2:.1f}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{escape(below)}</text>"
        f'<text transform="translate(11 {middle:.1f}) rotate(-90)" text-anchor="middle">'
        f"{escape(beside)}</text></g>"
    )


def _point(x: float, y: float, kind: str) -> str:
    return f'<circle class="{escape(kind)}" cx="{x:.1f}" cy="{y:.1f}" r="{4 if " " in kind else 2.4}"/>'


def _across(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _up(share: float) -> float:
    return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)


def _round_values(words: Sequence[int]) -> list[int]:
    """1, 2 or 5 times a power of ten within the lengths, seven at most."""
    low, high = max(1, min(words)), max(1, *words)
    found = [m * 10**e for e in range(7) for m in (1, 2, 5) if low <= m * 10**e <= high]
    return found if len(found) <= 7 else found[:: math.ceil(len(found) / 7)]


def _split(order: Sequence[int], parts: int) -> list[list[int]]:
    edges = [round(k * len(order) / parts) for k in range(parts + 1)]
    return [list(order[a:b]) for a, b in zip(edges, edges[1:], strict=False)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
