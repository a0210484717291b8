"""Predictions -> scores, in the shape of scores.json.

    {"task", "data": {"name", "split", "sha256", "n"}, "decoding", "versions",
     "systems": {NAME: {METRIC: {"mean", "low", "high"}}},
     "paired": [{"a", "b", "metric", "difference", "low", "high", "p"}],
     "segments": [{"by", "value", "n", "systems", "paired"}],
     "form": {NAME: {METRIC: {...}}}, "form_paired": [...],
     "rows": {"metric", "words": [...], "scores": {NAME: [...]}}, "adapter_sha256",
     "window_words", "decodings"}

`systems` holds what is better when higher, x100; `form` how the texts look and what is wrong with
them (lengths, copying, repetition, errors), `form_paired` how the models differ in it. A
difference is a minus b on the same rows. The p of a segment is corrected for the number of
segments (Holm), that of the whole is not. `rows` has ROUGE-L of each row by model beside the words
of its input, to draw rows as points; no text. `decoding` is the adapter's,
and so is `window_words`, where it reads in windows; where the models decoded
differently, `decodings` has each one's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval import checks, semantic, style
from eval.floors import FLOORS
from eval.metrics import METRICS, measure
from eval.rouge import rouge
from eval.rows import Predictions
from eval.segments import segments
from eval.statistics import PERMUTATIONS, RESAMPLES, Sums, differences, holm, intervals, mean_of
from eval.systems import versions

ROWS_METRIC = "rougeL"
SEGMENT_METRICS = ("rouge1", "rouge2", "rougeL", "rougeLsum", "bleu")

Measured = dict[str, dict[str, Sums]]  # system -> metric -> sums


def score(
    predictions: Predictions,
    *,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    bertscore: str | None = None,
) -> dict[str, Any]:
    """The scores of all systems, their differences and their segments.

    bertscore: folder or name of the model of BERTScore, None to leave it out.
    """
    measured = {
        name: _measure(predictions, name, texts, bertscore)
        for name, texts in predictions.outputs.items()
    }
    options = {"resamples": resamples, "permutations": permutations, "seed": seed}
    form = _compare(
        _of(measured, lambda name: not _is_score(name)), _model_pairs(predictions), options
    )
    scores = {
        "task": predictions.task,
        "data": predictions.data,
        "decoding": _decoding(predictions),
        "versions": versions() | _settings(options) | _bertscore(bertscore),
        **_compare(_of(measured, _is_score), pairs(predictions), options),
        "segments": _segments(predictions, measured, options),
        "form": form["systems"],
        "form_paired": form["paired"],
        "rows": _rows(predictions),
    }
    for key in ("adapter_sha256", "window_words"):
        value = predictions.systems.get("lora", {}).get(key)
        scores |= {key: value} if value else {}
    return scores | _decodings(predictions)


def _rows(predictions: Predictions) -> dict[str, Any]:
    """ROUGE-L of every row by model, to a tenth: enough for a point in a picture."""
    references = [row["target"] for row in predictions.rows]
    return {
        "metric": ROWS_METRIC,
        "words": [len(style.words(row["input"])) for row in predictions.rows],
        "scores": {
            name: [
                round(float(value), 1)
                for value in rouge(predictions.outputs[name], references)[ROWS_METRIC]
            ]
            for name in _models(predictions)
        },
    }


def pairs(predictions: Predictions) -> list[tuple[str, str]]:
    """(a, b) of every difference: each model against each earlier one, then against each floor."""
    models = _models(predictions)
    rules = [name for name in predictions.outputs if name not in models]
    between = [(a, b) for b, a in itertools.combinations(models, 2)]
    return between + [(a, b) for a in reversed(models) for b in rules]


def _models(predictions: Predictions) -> list[str]:
    return [
        name
        for name, system in predictions.systems.items()
        if system["method"] == "generate" and name in predictions.outputs
    ]


def _model_pairs(predictions: Predictions) -> list[tuple[str, str]]:
    return [(a, b) for a, b in pairs(predictions) if a not in FLOORS and b not in FLOORS]


def _segment_pairs(predictions: Predictions) -> list[tuple[str, str]]:
    """Without the base against the floors, which no claim rests on."""
    return [(a, b) for a, b in pairs(predictions) if a != "base" or b not in FLOORS]


def _measure(
    predictions: Predictions, name: str, texts: Sequence[str], bertscore: str | None
) -> dict[str, Sums]:
    rows = predictions.rows
    sums = measure(predictions.task, rows, texts)
    cut_off = predictions.extras.get("cut_off", {}).get(name)
    if cut_off is not None and predictions.systems[name]["method"] == "generate":
        sums["cut_off"] = mean_of(100.0 * np.array(cut_off))
    not_extracted = predictions.extras.get("not_extracted", {}).get(name)
    if not_extracted is not None:
        sums["not_extracted"] = mean_of(100.0 * np.array(not_extracted))
    sums |= {
        f"check_{kind}": mean_of(values)
        for kind, values in checks.rates(predictions.task, rows, texts).items()
    }
    if bertscore:
        f1 = semantic.bertscore(texts, [row["target"] for row in rows], bertscore)
        sums["bertscore"] = mean_of(f1)
    return sums


def _is_score(metric: str) -> bool:
    return METRICS[metric].quality


def _of(measured: Measured, wanted: Any) -> Measured:
    return {
        name: {metric: sums for metric, sums in by_metric.items() if wanted(metric)}
        for name, by_metric in measured.items()
    }


def _compare(
    measured: Measured, pairs: Sequence[tuple[str, str]], options: Mapping[str, int]
) -> dict[str, Any]:
    """`systems` and `paired` of one set of rows."""
    # All metrics of all systems at once: the same resamples serve them all.
    sums = {(n, m): measured[n][m] for m in METRICS for n in measured if m in measured[n]}
    sums = {key: value for key, value in sums.items() if not math.isnan(value.total())}
    systems: dict[str, dict[str, Any]] = {name: {} for name in measured}
    if not sums:
        return {"systems": systems, "paired": []}
    for (name, metric), interval in intervals(sums, options["resamples"], options["seed"]).items():
        systems[name][metric] = _rounded(
            {"mean": interval.mean, "low": interval.low, "high": interval.high}
        )
    wanted = [
        ((a, m), (b, m)) for a, b in pairs for m in METRICS if (a, m) in sums and (b, m) in sums
    ]
    paired = [
        {"a": a, "b": b, "metric": metric}
        | _rounded({"difference": found.difference, "low": found.low, "high": found.high})
        | {"p": found.p}
        for ((a, metric), (b, _)), found in (
            differences(sums, wanted, **options).items() if wanted else ()
        )
    ]
    return {"systems": systems, "paired": paired}


def _segments(
    predictions: Predictions, measured: Measured, options: Mapping[str, int]
) -> list[dict[str, Any]]:
    found = []
    for by, value, which in segments(predictions.rows, predictions.task):
        part = {
            name: {
                m: s.take(which) for m, s in by_metric.items() if m in _segment_metrics(measured)
            }
            for name, by_metric in measured.items()
        }
        compared = _compare(part, _segment_pairs(predictions), options)
        found.append({"by": by, "value": value, "n": len(which), **compared})
    _correct(found)
    return found


def _correct(found: list[dict[str, Any]]) -> None:
    """Replace the p of each comparison by Holm's over all segments that make it."""
    families: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for segment in found:
        for entry in segment["paired"]:
            families.setdefault((entry["a"], entry["b"], entry["metric"]), []).append(entry)
    for entries in families.values():
        for entry, p in zip(entries, holm([e["p"] for e in entries]), strict=True):
            entry["p"] = p


def _segment_metrics(measured: Measured) -> set[str]:
    clinical = {"focus_kept", "abnormal_kept", "normal_kept"}
    return set(SEGMENT_METRICS) | clinical


def _decoding(predictions: Predictions) -> dict[str, Any]:
    for name in ("lora", *predictions.systems):
        decoding = predictions.systems.get(name, {}).get("decoding")
        if decoding:
            return decoding
    return {}


def _decodings(predictions: Predictions) -> dict[str, Any]:
    """Each model's decoding, where they are not all the same; {} says that it is not known."""
    found = {
        name: predictions.systems[name].get("decoding") or {}
        for name in predictions.outputs
        if predictions.systems[name]["method"] == "generate"
    }
    same = all(decoding == next(iter(found.values())) for decoding in found.values())
    return {} if same else {"decodings": found}


def _settings(options: Mapping[str, int]) -> dict[str, str]:
    return {
        "rouge": "rouge-score F-measure x100, stemmer on, mean over rows",
        "bleu": "sacrebleu corpus BLEU, tok:13a, smooth:exp, case kept",
        "interval": f"95% percentile bootstrap, {options['resamples']} resamples of rows, "
        f"seed {options['seed']}",
        "p": f"two-sided approximate randomisation, {options['permutations']} swaps, "
        "Holm-corrected over segments",
    }


def _bertscore(model: str | None) -> dict[str, str]:
    return {"bertscore": f"F1 x100, {semantic.described(model)}"} if model else {}


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    # Four digits: far below any interval, and the same on every machine.
    return {key: round(float(value), 4) + 0.0 for key, value in values.items()}
