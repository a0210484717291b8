"""The pictures of a report, drawn with matplotlib and saved as PNG. Nothing is shown on a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from eval.metrics import METRICS
from eval.statistics import FEWEST_ROWS
from eval.tables import find_pair, verdict_of

# Told apart by people who do not see red or green, and in grey (Okabe and Ito 2008).
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8A8A8A"
COLOURS = (GREY, BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00")


def forest(scores: Mapping[str, Any], path: Path, a: str, b: str, metric: str = "rougeL") -> bool:
    """Paired differences a - b of the whole and of every segment, with intervals.

    Grey where the rows are too few to say. Segments of fewer than ten rows are left to the table.
    False where there is nothing to draw.
    """
    lines = [("all rows", scores["data"]["n"], find_pair(scores["paired"], a, b, metric))]
    lines += [
        (f"{s['by']}: {s['value']}", s["n"], find_pair(s["paired"], a, b, metric))
        for s in scores["segments"]
        if s["n"] >= FEWEST_ROWS
    ]
    lines = [line for line in lines if line[2]]
    if not lines:
        return False
    figure, axes = _figure(8.5, 1.3 + 0.3 * len(lines))
    for height, (_, n, entry) in enumerate(reversed(lines)):
        colour = {"higher": BLUE, "lower": ORANGE}.get(verdict_of(entry, n), GREY)
        axes.plot([entry["low"], entry["high"]], [height, height], color=colour, linewidth=2)
        axes.plot(entry["difference"], height, "o", color=colour, markersize=5)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(lines)), [f"{name} (n = {n})" for name, n, _ in reversed(lines)])
    axes.set_xlabel(f"{METRICS[metric].title}: {a} - {b}, x100, 95% interval")
    _title(figure, f"{scores['task']}, {scores['data']['name']}: grey is no difference, or too few")
    return _save(figure, path)


def scatter(first: Sequence[float], second: Sequence[float], path: Path, names: tuple[str, str],
            metric: str = "rougeL") -> bool:  # fmt: skip
    """Each row's score of one system (across) and another (up); the line is no difference."""
    figure, axes = _figure(5.5, 5.5)
    axes.plot([0, 100], [0, 100], color="black", linewidth=0.8)
    axes.scatter(first, second, s=14, alpha=0.35, color=BLUE, linewidths=0)
    above = int(np.sum(np.array(second) > np.array(first)))
    below = int(np.sum(np.array(second) < np.array(first)))
    axes.set_xlabel(f"{names[0]}: {METRICS[metric].title} x100")
    axes.set_ylabel(f"{names[1]}: {METRICS[metric].title} x100")
    equal = len(first) - above - below
    _title(figure, f"{names[1]} above in {above}, below in {below}, equal in {equal} rows")
    axes.set_aspect("equal")
    axes.set_xlim(-2, 102)
    axes.set_ylim(-2, 102)
    return _save(figure, path)


def lengths(words: Sequence[int], by_system: Mapping[str, Sequence[float]], path: Path,
            metric: str = "rougeL") -> bool:  # fmt: skip
    """Score against length of the input: rows as points, means of sixths of the rows as a line."""
    figure, axes = _figure(7, 4.2)
    order = np.argsort(words, kind="stable")
    parts = [part for part in np.array_split(order, min(6, len(order))) if len(part)]
    lengths_ = np.array(words)
    for (name, values), colour in zip(by_system.items(), cycle(COLOURS), strict=False):
        scores = np.array(values)
        axes.scatter(lengths_, scores, s=10, alpha=0.2, color=colour, linewidths=0)
        middle = [lengths_[part].mean() for part in parts]
        axes.plot(middle, [scores[part].mean() for part in parts], "o-", color=colour, label=name)
    if len(set(words)) > 1 and max(words) > 20 * max(1, min(words)):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set_xlabel("words of the input")
    axes.set_ylabel(f"{METRICS[metric].title} x100")
    axes.legend(frameon=False)
    return _save(figure, path)


def curves(curve: Sequence[Mapping[str, Any]], path: Path, selected: Mapping[str, Any]) -> bool:
    """Training: losses by step, and what chose the checkpoint. False where there is no curve."""
    losses = {key: _points(curve, key) for key in ("loss", "eval_loss")}
    chosen = str(selected.get("metric", "")).partition(",")[0]  # "rougeL, mean over rows"
    score = next((k for k in (f"eval_{chosen}", chosen) if _points(curve, k)[0]), None)
    if not any(steps for steps, _ in losses.values()):
        return False
    figure, axes = _figure(7, 4.2)
    for (key, (steps, values)), colour in zip(losses.items(), (BLUE, ORANGE), strict=True):
        if steps:
            name = "training loss" if key == "loss" else "validation loss"
            # Points too: a run of one epoch has one validation loss, which is no line.
            mark = "o" if key == "eval_loss" else None
            axes.plot(steps, values, color=colour, label=name, marker=mark, markersize=4)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    handles, labels = axes.get_legend_handles_labels()
    if score:
        right = axes.twinx()
        (line,) = right.plot(
            *_points(curve, score), "--o", markersize=4, color=GREY, label=f"validation {chosen}"
        )
        right.set_ylabel(chosen)
        handles, labels = [*handles, line], [*labels, line.get_label()]
    if isinstance(selected.get("step"), (int, float)):
        axes.axvline(selected["step"], color="black", linewidth=0.8, linestyle=":")
    axes.legend(handles, labels, frameon=False)
    return _save(figure, path)


def _points(curve: Sequence[Mapping[str, Any]], key: str) -> tuple[list[float], list[float]]:
    found = [
        (point["step"], point[key])
        for point in curve
        if isinstance(point.get(key), (int, float)) and isinstance(point.get("step"), (int, float))
    ]
    return [step for step, _ in found], [value for _, value in found]


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=140)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", linewidth=0.4, alpha=0.6)
    return figure, axes


def _title(figure: Any, text: str) -> None:
    """Over the whole figure: over the axes, beside long labels, it would run off the picture."""
    figure.suptitle(text, fontsize=10, wrap=True)


def _save(figure: Any, path: Path) -> bool:
    # Without the date and version that PNG would carry: the same scores give the same file.
    figure.savefig(path, metadata={"Software": None})
    return True
