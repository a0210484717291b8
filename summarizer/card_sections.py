"""The sections of a model card, each from a record alone; see summarizer.card."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .markdown import fence, join, table
from .record import Record
from .sources import SOURCES, Source, restrictions
from .tasks import decoding_words


def uses(record: Record) -> str:
    return (
        f"**For:** research and teaching: seeing what a LoRA adapter changes for one task "
        f"({task_title(record.task).lower()}), comparing adapters, and training better ones. "
        "Every output has to be read against its source.\n\n"
        "**Not for:** patient care, triage, coding, billing or any decision about a person; text "
        "that identifies a patient; languages other than English; kinds of text that the table of "
        "data below does not show; use without somebody qualified who reads the source."
    )


def scores_section(record: Record) -> str:
    scores = record.scores
    if not scores.get("systems"):
        return "Not scored yet: there is no scores.json beside these weights."
    data = scores.get("data") or {}
    how = decoding_words(record.decoding, scores.get("window_words"))
    parts = [
        (
            f"Generated text, {data.get('name', 'unnamed data')}, **{data.get('split', '?')}** split, "
            f"**n = {data.get('n', '?')}**, {how}. "
            "Means x100 with 95% bootstrap intervals."
        ),
        _system_table(scores["systems"]),
        _against_the_others(scores["systems"]),
        _paired_table(scores.get("paired") or []),
    ]
    for column in dict.fromkeys(s.get("by") for s in scores.get("segments") or []):
        parts += [f"### By {column}", _segment_table(record.by(column))]
    return join(part for part in parts if part)


def _system_table(systems: Mapping[str, Any]) -> str:
    metrics = list(dict.fromkeys(metric for rows in systems.values() for metric in rows))
    order = [name for name in ("lora", "base") if name in systems]
    order += [name for name in systems if name not in order]
    rows = [
        [_system_label(name), *(_interval(systems[name].get(m)) for m in metrics)] for name in order
    ]
    return table(["system", *(metric_label(metric) for metric in metrics)], rows)


def _against_the_others(systems: Mapping[str, Any]) -> str:
    """What the table shows, said plainly: each system whose mean the adapter does not reach."""
    lora, behind = systems.get("lora") or {}, []
    for name, rows in systems.items():
        for metric, value in rows.items():
            ours, theirs = triple(lora.get(metric))[0], triple(value)[0]
            if name != "lora" and ours is not None and theirs is not None and ours <= theirs:
                behind.append(
                    f"{_system_label(name)} on {metric_label(metric)} "
                    f"({ours:.1f} against {theirs:.1f})"
                )
    if behind:
        return f"**The adapter is not above:** {'; '.join(behind)}."
    return "The adapter's mean is above that of every other row, on every metric."


def _paired_table(paired: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            f"{_system_label(p['a'])} minus {_system_label(p['b'])}",
            metric_label(p["metric"]),
            _interval({"mean": p["difference"], "low": p["low"], "high": p["high"]}, signed=True),
            _p(p.get("p")),
        ]
        for p in paired
    ]
    return table(["paired difference", "metric", "mean (95% interval)", "p"], rows) if rows else ""


def _segment_table(segments: Sequence[Mapping[str, Any]]) -> str:
    metrics = [
        m
        for m in ("rouge1", "rougeL")
        if any(m in (s.get("systems") or {}).get("lora", {}) for s in segments)
    ]
    heads = [f"{name} {metric_label(metric)}" for metric in metrics for name in ("base", "LoRA")]
    rows = []
    for segment in segments:
        systems = segment.get("systems") or {}
        cells = [
            _interval((systems.get(name) or {}).get(metric))
            for metric in metrics
            for name in ("base", "lora")
        ]
        rows.append([str(segment.get("value")), str(segment.get("n")), *cells])
    return table(["value", "n", *heads], rows)


def failures(record: Record) -> str:
    if not record.failures:
        return "Nobody has written down yet where it fails: read its outputs before you rely on it."
    return re.sub(
        r"^(#+) ",
        lambda head: "#" * min(6, len(head[1]) + 2) + " ",
        record.failures,
        flags=re.MULTILINE,
    )


def data_and_licences(record: Record, trained: list[Source]) -> str:
    chosen, tested = record.chosen_on(), record.tested_on()
    parts = []
    rows = [
        [f"[{source.title}]({source.url})", use, source.licence, source.citation]
        for source, use in _used(trained, chosen, tested)
    ]
    if rows:
        parts.append(table(["source", "used for", "licence", "citation"], rows))
    if not trained:
        parts.append(
            "The run record does not name the sources of its training rows; the files "
            "below are all that is known of them."
        )
    said = restrictions(trained, tested)
    if said:
        parts.append("**Restrictions.** " + " ".join(said))
    files = _file_table(record.run.get("data") or {})
    if files:
        parts += ["Files, as the run record has them:", files]
    parts.append(
        "None of this text comes with the weights. What somebody summarises with them stays under "
        "the terms of that text."
    )
    return join(parts)


def _used(trained: list[Source], chosen: list[Source], tested: list[Source]):
    uses: dict[str, list[str]] = {}
    for sources, use in ((trained, "training"), (chosen, "validation"), (tested, "test")):
        for source in sources:
            uses.setdefault(source.name, []).append(use)
    return [(SOURCES[name], ", ".join(dict.fromkeys(words))) for name, words in uses.items()]


def _file_table(data: Mapping[str, Any]) -> str:
    rows = []
    for split, part in data.items():
        for file in (part.get("files") or []) if isinstance(part, Mapping) else []:
            if isinstance(file, Mapping):
                rows.append(
                    [
                        split,
                        str(file.get("name", "?")),
                        _count(file.get("rows")),
                        f"`{str(file.get('sha256', '?'))[:16]}`",
                    ]
                )
    return table(["split", "file", "rows", "SHA-256 begins"], rows) if rows else ""


def _train_command(run: Mapping[str, Any], recipe: Mapping[str, Any]) -> str | None:
    """What trains it again: first the adapters that it goes on from, by their recipes' names."""
    start = (recipe.get("adapter") or {}).get("init_from")
    # records from before `goes_on_from` name one folder, that of the recipe's own name
    names = run.get("goes_on_from") or (
        [str(start).rstrip("/").rpartition("/")[2]] if start else []
    )
    if not recipe.get("name"):
        return None
    return " && ".join(f"python -m train.run {name}" for name in [*names, recipe["name"]])


def training(record: Record) -> str:
    run, parts = record.run, []
    if not run:
        return "There is no run.json beside these weights: how they were made is not recorded."
    command = run.get("command") or _train_command(run, record.recipe)
    if command:
        parts.append(fence("bash", str(command)))
        if run.get("decoding_tried"):
            parts.append(
                "How it decodes was chosen afterwards, with `python -m train.decoding`, as the recipe's "
                "comment has it: trained again, it decodes as its run did until that is asked for too."
            )
    facts = [
        (label, _count(run[key]))
        for label, key in (
            ("seed", "seed"),
            ("steps", "steps"),
            ("tokens", "tokens"),
            ("trainable parameters", "trainable_parameters"),
            ("parameters", "parameters"),
        )
        if run.get(key) is not None
    ]
    selected = run.get("selected") or {}
    if selected:
        facts.append(
            (
                "checkpoint chosen",
                (
                    f"step {selected.get('step')}, by "
                    f"{selected.get('metric')} = {_number(selected.get('value'))} on validation"
                ),
            )
        )
    drawn = (record.recipe.get("policy") or {}).get("samples")
    chosen = record.recipe.get("decoding") or {}
    others = {k: v for k, v in (run.get("drawn_with") or {}).items() if v != chosen.get(k)}
    if drawn and others:
        facts.append(
            (
                "texts were drawn with another decoding than was chosen afterwards",
                ", ".join(f"{key} {value}" for key, value in others.items()),
            )
        )
    if facts:
        parts.append(table(["", ""], [list(fact) for fact in facts]))
    recipe = _set_values({**record.recipe, **{key: run.get(key) for key in _BESIDE_THE_RECIPE}})
    if recipe:
        parts += ["The recipe, resolved:", fence("yaml", _yaml(recipe))]
    curve = _curve_tables(run.get("curve") or [], drawn=bool(drawn))
    if curve:
        parts += [
            "### Training curve",
            *(f"![Training curve]({name})" for name in record.pictures if "curve" in name),
            curve,
        ]
    if run.get("versions"):
        parts.append(
            "Versions: "
            + ", ".join(f"{name} {version}" for name, version in sorted(run["versions"].items()))
            + "."
        )
    return join(parts)


_BESIDE_THE_RECIPE = (
    "phases",
    "mixtures",
    "source_weights",
)  # of the base: its parts, objectives, sources


def _set_values(value: Any) -> Any:
    """A recipe without the settings that are not set (null, or empty)."""
    if not isinstance(value, Mapping):
        return value
    kept = {key: _set_values(item) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item not in (None, {}, [], "")}


def _curve_tables(curve: Sequence[Mapping[str, Any]], *, drawn: bool = False) -> str:
    """The training loss and the validation's figures by step, evenly thinned out.

    drawn: whether the loss is that of texts that the model drew.
    """
    training = [{k: v for k, v in p.items() if k in ("step", "epoch", "loss")} for p in curve]
    validation = [
        {k: v for k, v in _flat(p).items() if k in ("step", "epoch") or k.startswith("eval_")}
        for p in curve
    ]
    parts = []
    trained = "While training"
    if drawn:
        trained += " (minus the mean reward of the texts that were drawn, `policy` in the recipe)"
    for words, points in ((f"{trained}:", training), ("On validation:", validation)):
        rows = _curve_table([point for point in points if set(point) - {"step", "epoch"}])
        parts += [words, rows] if rows else []
    return join(parts) if parts else ""


def _flat(point: Mapping[str, Any]) -> dict[str, Any]:
    """A base's loss of each objective is a figure of its own."""
    flat: dict[str, Any] = {}
    for key, value in point.items():
        if isinstance(value, Mapping):
            flat |= {f"{key} {name}": one for name, one in value.items()}
        else:
            flat[key] = value
    return flat


def _curve_table(points: Sequence[Mapping[str, Any]], most: int = 14) -> str:
    """At most `most` of the points, the first and the last among them."""
    if len(points) > most:
        points = [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]
    keys = [
        key
        for key in dict.fromkeys(key for point in points for key in point)
        if all(isinstance(p.get(key, 0), (int, float)) for p in points)
        and not key.endswith(("_runtime", "_per_second"))
    ]
    return table(keys, [[_number(p.get(key)) for key in keys] for p in points]) if keys else ""


# Files -----------------------------------------------------------------------------------------

_EXPLAINED = {
    "adapter_model.safetensors": "the adapter's weights",
    "adapter_config.json": "PEFT's settings",
    "run.json": "the run record: recipe, data fingerprint, versions, seed, curve, time, device",
    "scores.json": "the scores above, in full",
    "failures.md": "where it fails, written by hand",
    "config.json": "the model's shape",
    "tokenizer.json": "the tokenizer",
    "lexicon.txt": "the words that three of its documents hold: what a text may be held to",
    "generation_config.json": "the model's defaults for generation",
}


def files(record: Record) -> str:
    names = sorted(path.name for path in record.folder.iterdir() if path.is_file())
    return "\n".join(f"- `{name}`: {_EXPLAINED[name]}" for name in names if name in _EXPLAINED)


# Tasks and words ---


def find_task(name: str) -> Any | None:
    from .tasks import TASKS

    return TASKS.get(name)


def task_title(name: str) -> str:
    task = find_task(name)
    return task.title if task else name.replace("_", " ").capitalize()


def task_description(name: str) -> str:
    task = find_task(name)
    return task.description.rstrip(".") + "." if task else f"the task `{name}`."


_METRICS = {
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "rougeLsum": "ROUGE-Lsum",
    "bleu": "BLEU",
    "chrf": "chrF",
    "bertscore": "BERTScore",
}
_SYSTEMS = {"lora": "LoRA", "base": "base"}


def metric_label(metric: str) -> str:
    return _METRICS.get(metric, metric.replace("_", " "))


def metric_type(metric: str) -> str:
    """The Hub's name of a metric: every ROUGE is `rouge` there."""
    return "rouge" if metric.startswith("rouge") else metric


def metric_types(record: Record) -> list[str]:
    metrics = (record.scores.get("systems") or {}).get("lora") or {}
    return list(dict.fromkeys(metric_type(m) for m in metrics if m in _METRICS))


def _system_label(name: str) -> str:
    return _SYSTEMS.get(name, name.replace("_", " "))


def triple(value: Any) -> tuple[float | None, float | None, float | None]:
    """(mean, low, high) of a score; a bare number has no interval."""
    if isinstance(value, Mapping):
        return value.get("mean"), value.get("low"), value.get("high")
    return (value, None, None) if isinstance(value, (int, float)) else (None, None, None)


def _interval(value: Any, *, signed: bool = False) -> str:
    mean, low, high = triple(value)
    if mean is None:
        return "-"
    sign = "+" if signed else ""
    if low is None or high is None:
        return f"{mean:{sign}.1f}"
    return f"{mean:{sign}.1f} ({low:{sign}.1f} to {high:{sign}.1f})"


def _p(p: Any) -> str:
    return "-" if not isinstance(p, (int, float)) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def trained_share(run: Mapping[str, Any]) -> str:
    trained, whole = run.get("trainable_parameters"), run.get("parameters")
    return f"{trained:,} ({100 * trained / whole:.2f}%)" if trained and whole else ""


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str("?" if value is None else value)


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def _yaml(value: Any) -> str:
    from huggingface_hub.utils import yaml_dump

    return yaml_dump(value, sort_keys=False).strip()
