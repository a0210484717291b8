"""The rows of a run: read, cleaned, filtered, weighed.

Rows are JSON Lines with `id`, `input`, `target` and, where known, `source`, `section`, `modality`,
`clinic`. Segments stay with a row all the way into evaluation.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval.clinical import tells_abnormality
from summarizer.backbone import file_sha256
from summarizer.tasks import Task, for_run, get_task, section_name, segment_of
from summarizer.text import clean
from summarizer.windows import turns_of
from train.compose import composed
from train.errors import DataError
from train.excerpts import excerpts
from train.exchange import exchanged
from train.jsonl import json_objects
from train.masks import without_masks
from train.recipe import Data, DataFile, Recipe
from train.scaling import augment
from train.support import supported
from train.windows import windowed


@dataclass
class Rows:
    """The rows of a split, and what happened to them on the way."""

    rows: list[dict[str, Any]]
    weights: list[float]  # copies of a row in an epoch; fractions are drawn anew every epoch
    files: list[dict[str, Any]]  # name, sha256, rows: the data fingerprint
    dropped: Counter = field(default_factory=Counter)  # rule -> rows


# --- files -> rows ------------------------------------------------------------------------------


def load_train(recipe: Recipe) -> Rows:
    """The training rows with their weights.

    Raises:
        DataError: a file that is missing, malformed or empty after filtering.
    """
    data = recipe.data
    loaded = Rows([], [], [])
    seen: set[tuple[str, str | None, str]] = set()
    for file in data.train:
        rows = _read(file, recipe, loaded, masks_dropped=True)
        if file.composed is not None:
            rows = _composed(file, recipe, loaded, list(rows))
        for row in rows:
            key = (_normal(row["input"]), row.get("section"), _normal(row["target"]))
            if key in seen:
                loaded.dropped["duplicate"] += 1
                continue
            seen.add(key)
            weight = file.weight
            weight *= data.source_weights.get(row["source"], 1.0)
            weight *= data.section_weights.get(row.get("section") or "", 1.0)
            if not row["target"]:
                weight *= data.silent_windows
            if recipe.task == "radiology":
                weight *= _clinical_weight(data, row)
            if weight <= 0:
                loaded.dropped["weight 0"] += 1
                continue
            loaded.rows.append(row)
            loaded.weights.append(weight)
    if data.max_train_rows is not None:
        chosen = _evenly(loaded.rows, data.max_train_rows)
        loaded.rows = [loaded.rows[place] for place in chosen]
        loaded.weights = [loaded.weights[place] for place in chosen]
    _refuse_empty(loaded, "training", data.train)
    if recipe.scaling.augment is not None:
        loaded.rows, loaded.weights = augment(recipe, loaded.rows, loaded.weights)
    if data.max_source_share is not None:
        loaded.weights = _cap_sources(loaded.rows, loaded.weights, data.max_source_share)
    return loaded


def load_validation(recipe: Recipe) -> Rows:
    """The rows that choose the best checkpoint, in the order of the files.

    Masks are cleaned out of their targets; no row is left out for one.
    """
    data, evaluation = recipe.data, recipe.evaluation
    loaded = Rows([], [], [])
    for file in data.validation:
        for row in _read(file, recipe, loaded, masks_dropped=False):
            if evaluation.sources is None or row["source"] in evaluation.sources:
                loaded.rows.append(row)
    limit = evaluation.max_rows or data.max_validation_rows
    if limit is not None:
        loaded.rows = [loaded.rows[place] for place in _evenly(loaded.rows, limit)]
    loaded.weights = [1.0] * len(loaded.rows)
    _refuse_empty(loaded, "validation", data.validation)
    return loaded


def windows_of(recipe: Recipe, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as the recipe's model is trained on them: whole, or divided into windows."""
    file = next((file for file in recipe.data.train if file.windowed is not None), None)
    if recipe.window_words is None or file is None or file.windowed is None:
        return rows
    return [
        part
        for row in rows
        for part in windowed(row, recipe.window_words, file.windowed, retold=file.retold)
    ] or rows


def read_rows(path: Path) -> list[dict[str, Any]]:
    """A JSON Lines file as dictionaries with text `input` and `target`.

    Raises:
        DataError: no such file; a line that is no JSON object; a row without text in a field.
    """
    if not path.is_file():
        raise DataError(
            f"There is no data file {path}: make it with python -m {_maker(path)}, or name another "
            "folder with --data_dir."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text: prepare it with train.prepare.") from None
    rows = []
    for number, row in json_objects(path, text):
        for key in ("input", "target"):
            if not isinstance(row.get(key), str):
                raise DataError(f"{path}, line {number}: {key} must be text.")
        for key in ("source", "section", "modality", "clinic"):
            if not isinstance(row.get(key), str | None):
                raise DataError(f"{path}, line {number}: {key} must be text, or be left out.")
        rows.append(row)
    return rows


def _maker(path: Path) -> str:
    """The module that writes such a file."""
    if path.parent.name != "aux":
        return "train.prepare"
    return "train.distill" if path.stem.endswith("-told") else "train.auxiliary"


def _read(
    file: DataFile, recipe: Recipe, loaded: Rows, *, masks_dropped: bool
) -> Iterator[dict[str, Any]]:
    path = Path(recipe.data.data_dir) / file.path
    task = for_run(get_task(recipe.task), {"recipe": recipe.to_dict()})
    kept = 0
    for number, row in enumerate(read_rows(path)):
        row = _with_segments(task, path, number, row)
        reason = _left_out(file, recipe, row, masks_dropped=masks_dropped)
        if reason is None:
            target = without_masks(row["target"]) if masks_dropped else row["target"]
            row["input"], row["target"] = clean(row["input"]), clean(target)
            if masks_dropped and task.name == "dialogue":
                row["input"] = "\n".join(turns_of(row["input"]))  # as the task's others are written
            if masks_dropped and file.supported is not None:
                target = supported(row["target"], row["input"], file.supported)
                reason = "target not borne out by its input" if target is None else None
                row["target"] = target or row["target"]
            if not row["input"] or not row["target"]:
                reason = "empty input or target"
        if reason is not None:
            loaded.dropped[reason] += 1
            continue
        parts = [row, *(exchanged(row, file.exchanged) if masks_dropped else [])]
        if masks_dropped and file.excerpts is not None:
            parts = list(excerpts(row, file.excerpts))
            if not parts:
                loaded.dropped["no turns bear a sentence out"] += 1
        elif masks_dropped and file.windowed is not None:
            words, share = recipe.window_words or 0, file.windowed
            parts = [
                part
                for whole in parts
                for part in windowed(whole, words, share, retold=file.retold)
                # a copy's note is held against it more loosely: it teaches no silence
                if part["target"] or whole is row
            ]
            if not parts:
                loaded.dropped["target not borne out by its input"] += 1
        kept += len(parts)
        yield from parts
    loaded.files.append({"name": path.name, "sha256": file_sha256(path), "rows": kept})


def _composed(
    file: DataFile, recipe: Recipe, loaded: Rows, rows: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    made = composed(rows, file.composed or 0, recipe.seed)
    if not made:
        raise DataError(
            f"{file.path} has no report coded normal, or none with a finding, to compose others of."
        )
    task = for_run(get_task(recipe.task), {"recipe": recipe.to_dict()})
    loaded.files[-1]["rows"] = len(made)
    for number, row in enumerate(made):
        yield _with_segments(task, Path(file.path), number, row)


def _with_segments(task: Task, path: Path, number: int, row: dict[str, Any]) -> dict[str, Any]:
    """The row with an id, a source, and what stands in the prompt as its section."""
    row = dict(row)
    row.setdefault("id", f"{path.stem}-{number}")
    row["source"] = row.get("source") or path.stem
    row["section"] = section_name(task, segment_of(task, row))
    return row


def _left_out(
    file: DataFile, recipe: Recipe, row: dict[str, Any], *, masks_dropped: bool
) -> str | None:
    """Why a row is not used, or None."""
    cluster = recipe.scaling.cluster
    if file.sources is not None and row["source"] not in file.sources:
        return "source not asked for"
    if file.sections is not None and row["section"] not in file.sections:
        return "section not asked for"
    if file.told is not None and tells_abnormality(row["target"]) != (file.told == "abnormal"):
        return f"not told as {file.told}"
    if cluster is not None:
        if not isinstance(row.get("style"), int):
            raise DataError(
                f"Row {row['id']} has no style: run train.prepare with "
                f"--clusters {recipe.scaling.clusters} first."
            )
        if row["style"] != cluster:
            return "another cluster of style"
    if masks_dropped and without_masks(row["target"]) is None:
        return "target not readable without its masks"
    return None


def _normal(text: str) -> str:
    return " ".join(text.lower().split())


def _evenly(rows: list[dict[str, Any]], limit: int) -> list[int]:
    """`limit` places, in order: as many of every source, and spread over all of its rows.

    A file may stand in the order of its sections: its first rows would be of one alone.
    """
    by_source: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        by_source[row["source"]].append(place)
    counts = dict.fromkeys(by_source, 0)
    while sum(counts.values()) < min(limit, len(rows)):
        for source in [one for one in counts if counts[one] < len(by_source[one])]:
            if sum(counts.values()) < limit:
                counts[source] += 1
    return sorted(
        places[number * len(places) // counts[source]]
        for source, places in by_source.items()
        for number in range(counts[source])
    )


def _clinical_weight(data: Data, row: dict[str, Any]) -> float:
    if tells_abnormality(row["target"]):
        return data.abnormal_weight
    return data.silent_weight if row.get("normal") is False else 1.0


def _cap_sources(rows: list[dict[str, Any]], weights: list[float], share: float) -> list[float]:
    """Lower the weights of the sources that would fill more than `share` of an epoch.

    With too few sources to honour the share (two at 0.4 each), all end equal.
    """
    totals: dict[str, float] = defaultdict(float)
    for row, weight in zip(rows, weights, strict=True):
        totals[row["source"]] += weight
    largest_first = sorted(totals.values(), reverse=True)
    cap = largest_first[-1]
    for count in range(1, len(largest_first)):
        if share * count >= 1:
            break
        # `count` sources at the cap: cap = share * (count * cap + what the others hold).
        level = share * sum(largest_first[count:]) / (1 - share * count)
        if level >= largest_first[count]:
            cap = level
            break
    factor = {source: min(1.0, cap / total) for source, total in totals.items()}
    return [weight * factor[row["source"]] for row, weight in zip(rows, weights, strict=True)]


def _refuse_empty(loaded: Rows, split: str, files: list[DataFile]) -> None:
    if loaded.rows:
        return
    names = ", ".join(file.path for file in files) or "no file"
    why = ", ".join(f"{count} {rule}" for rule, count in loaded.dropped.items())
    raise DataError(f"No {split} row is left of {names}" + (f" (dropped: {why})." if why else "."))
