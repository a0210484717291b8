"""Scores as text for a terminal, and as JSON that a person can read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from eval.floors import FLOORS
from eval.metrics import METRICS
from eval.statistics import verdict
from summarizer.tasks import decoding_words

MAIN = ("rouge1", "rouge2", "rougeL", "rougeLsum", "bleu")
WORSE = tuple(name for name, metric in METRICS.items() if metric.better == "lower")


def scores_text(scores: Mapping[str, Any], notes: Sequence[str] = ()) -> str:
    """Everything that a run found, as plain text."""
    data = scores["data"]
    parts = [
        f"{scores['task']}: {data['name']}, {data['split']} split, n = {data['n']}, "
        f"{decoding_of(scores)}. x100, 95% intervals.",
        "All rows\n" + systems_table(scores["systems"], MAIN),
        bleu_lines(scores["form"]),
        "Differences on the same rows (p: two-sided, approximate randomisation)\n"
        + paired_table(scores["paired"], data["n"], MAIN),
    ]
    others = _others(scores["systems"])
    if others:
        parts.append("Other scores\n" + systems_table(scores["systems"], others))
    parts.append("What the texts look like\n" + form_table(scores["form"]))
    worse = paired_table(scores.get("form_paired", []), data["n"], WORSE)
    if worse:
        parts.append("Differences in what is better when lower\n" + worse)
    for segment in scores["segments"]:
        if segment["by"] == "source":
            head = f"{segment['by']}: {segment['value']}, n = {segment['n']}"
            parts.append(f"{head}\n" + systems_table(segment["systems"], MAIN))
    tables = [segments_table(scores["segments"], a, b) for a, b in model_pairs(scores)]
    if any(tables):
        parts.append("Segments (p corrected for their number, Holm)\n" + "\n\n".join(tables))
    parts += notes
    return "\n\n".join(part for part in parts if part.strip())


def systems_table(systems: Mapping[str, Any], metrics: Sequence[str]) -> str:
    """A line a system, a column a metric: "58.3 [55.1, 61.2]"."""
    shown = [m for m in metrics if any(m in scores for scores in systems.values())]
    heads = ["", *(METRICS[m].title for m in shown)]
    return aligned(
        [heads] + [[n, *(interval(s.get(m)) for m in shown)] for n, s in systems.items()]
    )


def form_table(form: Mapping[str, Any]) -> str:
    """A line a metric, a column a system: means only."""
    names = list(form)
    metrics = [m for m in METRICS if any(m in form[n] for n in names)]
    lines = [["", *names]]
    for metric in metrics:
        cells = [f"{form[n][metric]['mean']:.1f}" if metric in form[n] else "-" for n in names]
        lines.append([METRICS[metric].title, *cells])
    return aligned(lines)


def bleu_lines(form: Mapping[str, Any]) -> str:
    """Brevity penalty and both lengths of each system, so that a fall by brevity is seen as one."""
    wanted = ("bleu_brevity_penalty", "bleu_output_length", "bleu_reference_length")
    lines = [["BLEU's brevity", "penalty", "output tokens a row", "reference tokens a row"]]
    for name, scores in form.items():
        if all(metric in scores for metric in wanted):
            penalty, ours, theirs = (scores[metric]["mean"] for metric in wanted)
            lines.append([name, f"{penalty / 100:.3f}", f"{ours:.1f}", f"{theirs:.1f}"])
    return aligned(lines) if len(lines) > 1 else ""


def paired_table(paired: Sequence[Mapping[str, Any]], n: int, metrics: Sequence[str]) -> str:
    """A line a pair and metric, with what may be said of it; floors by ROUGE-L alone."""
    lines = [["", "metric", "difference", "p", ""]]
    lines += [
        [
            f"{entry['a']} - {entry['b']}",
            METRICS[entry["metric"]].title,
            difference(entry),
            p_text(entry["p"]),
            verdict_of(entry, n),
        ]
        for entry in paired
        if entry["metric"] in metrics and (entry["b"] not in FLOORS or entry["metric"] == "rougeL")
    ]
    return aligned(lines) if len(lines) > 1 else ""


def segments_table(
    segments: Sequence[Mapping[str, Any]], a: str, b: str, metric: str = "rougeL"
) -> str:
    """Two systems and the difference of a minus b in every segment, by one metric."""
    lines = [["by", "value", "n", b, a, f"difference ({METRICS[metric].title})", "p", ""]]
    for segment in segments:
        entry = find_pair(segment["paired"], a, b, metric)
        if entry:
            scores = [interval(segment["systems"][name].get(metric)) for name in (b, a)]
            lines.append(
                [segment["by"], segment["value"], str(segment["n"]), *scores, difference(entry)]
                + [p_text(entry["p"]), verdict_of(entry, segment["n"])]
            )
    return aligned(lines) if len(lines) > 1 else ""


def model_pairs(scores: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The pairs of models that scores compare, the adapter against its base first."""
    pairs = dict.fromkeys((e["a"], e["b"]) for e in scores["paired"])
    return [(a, b) for a, b in pairs if a not in FLOORS and b not in FLOORS]


def find_pair(
    paired: Sequence[Mapping[str, Any]], a: str, b: str, metric: str
) -> Mapping[str, Any] | None:
    """The comparison of a with b by a metric."""
    wanted = (a, b, metric)
    return next((e for e in paired if (e["a"], e["b"], e["metric"]) == wanted), None)


def interval(score: Mapping[str, float] | None) -> str:
    """ "58.3 [55.1, 61.2]", or "-" where there is none."""
    return f"{score['mean']:.1f} [{score['low']:.1f}, {score['high']:.1f}]" if score else "-"


def difference(entry: Mapping[str, Any]) -> str:
    return f"{entry['difference']:+.1f} [{entry['low']:+.1f}, {entry['high']:+.1f}]"


def p_text(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def verdict_of(entry: Mapping[str, Any], n: int) -> str:
    """What may be said of a against b: see `eval.statistics.verdict`."""
    return verdict(entry["difference"], entry["low"], entry["high"], entry["p"], n)


def decoding_of(scores: Mapping[str, Any]) -> str:
    """How the models wrote: in one go where all decoded alike, else each by its name."""
    if "decodings" not in scores:
        return decoding_words(scores["decoding"], scores.get("window_words"))
    return "; ".join(f"{name}: {decoding_words(d)}" for name, d in scores["decodings"].items())


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart, the first to the left, nothing after the last."""
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def compact_json(value: Any, depth: int = 0) -> str:
    """JSON, indented by one, in which an object or list without further ones is one line."""
    text = json.dumps(value, ensure_ascii=False)
    nested = isinstance(value, (dict, list)) and any(
        isinstance(item, (dict, list))
        for item in (value.values() if isinstance(value, dict) else value)
    )
    if not nested:
        return text + ("\n" if depth == 0 else "")
    pad = " " * (depth + 1)
    if isinstance(value, dict):
        items = [
            f"{json.dumps(k, ensure_ascii=False)}: {compact_json(v, depth + 1)}"
            for k, v in value.items()
        ]
        opening, closing = "{", "}"
    else:
        items = [compact_json(item, depth + 1) for item in value]
        opening, closing = "[", "]"
    body = (",\n" + pad).join(items)
    return f"{opening}\n{pad}{body}\n{' ' * depth}{closing}" + ("\n" if depth == 0 else "")


def _others(systems: Mapping[str, Any]) -> list[str]:
    return [m for m in METRICS if m not in MAIN and any(m in scores for scores in systems.values())]
