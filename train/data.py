"""Rows -> batches: load, clean, filter, weigh, tokenise once, group by length.

An epoch is planned, not streamed: which rows, how often, with or without their section, in which
batches, all from (seed, epoch). So a run that was killed meets the same batches when it goes on,
and two processes together meet those of one.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from summarizer.tasks import Task, for_run, get_task, prompt_parts, section_name
from summarizer.text import InputError, clean, cut_to
from train.recipe import DataFile, Recipe

IGNORED = -100  # a label that the loss leaves out
_MASK = re.compile(r"XXXX|\[\*\*")
_XRAY_MASK = re.compile(r"\bx-\s?XXXX", re.IGNORECASE)


class DataError(ValueError):
    """Data that cannot be trained on; the message says which file and line, and what to do."""


@dataclass
class Rows:
    """The rows of a split, and what happened to them on the way."""

    rows: list[dict[str, Any]]
    weights: list[float]  # copies of a row in an epoch; fractions are drawn anew every epoch
    files: list[dict[str, Any]]  # name, sha256, rows: the data fingerprint
    dropped: Counter = field(default_factory=Counter)  # rule -> rows


@dataclass
class Example:
    """One tokenised row."""

    input_ids: list[int]
    labels: list[int]
    truncated: int = 0  # input tokens not read


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
        for row in _read(file, recipe, loaded, masks_dropped=True):
            key = (_normal(row["input"]), row.get("section"), _normal(row["target"]))
            if key in seen:
                loaded.dropped["duplicate"] += 1
                continue
            seen.add(key)
            weight = file.weight
            weight *= data.source_weights.get(row["source"], 1.0)
            weight *= data.section_weights.get(row.get("section") or "", 1.0)
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


def read_rows(path: Path) -> list[dict[str, Any]]:
    """A JSON Lines file as dictionaries with text `input` and `target`.

    Raises:
        DataError: no such file; a line that is no JSON object; a row without text in a field.
    """
    if not path.is_file():
        raise DataError(
            f"There is no data file {path}: prepare it, or name its folder with --data_dir."
        )
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as fault:
            raise DataError(f"{path}, line {number}: not valid JSON ({fault.msg}).") from None
        if not isinstance(row, dict):
            raise DataError(
                f"{path}, line {number}: a row must be an object with input and target."
            )
        for key in ("input", "target"):
            if not isinstance(row.get(key), str):
                raise DataError(f"{path}, line {number}: {key} must be text.")
        rows.append(row)
    return rows


def _read(
    file: DataFile, recipe: Recipe, loaded: Rows, *, masks_dropped: bool
) -> Iterator[dict[str, Any]]:
    path = Path(recipe.data.data_dir) / file.path
    raw = read_rows(path)
    kept = 0
    for number, row in enumerate(raw):
        row = dict(row)
        row.setdefault("id", f"{path.stem}-{number}")
        row["source"] = row.get("source") or path.stem
        row["section"] = section_name(get_task(recipe.task), row.get("section"))
        if file.sources is not None and row["source"] not in file.sources:
            loaded.dropped["source not asked for"] += 1
            continue
        if file.sections is not None and row["section"] not in file.sections:
            loaded.dropped["section not asked for"] += 1
            continue
        if masks_dropped and names_mask(row["target"]):
            loaded.dropped["target names a mask"] += 1
            continue
        row["input"], row["target"] = clean(row["input"]), clean(row["target"])
        if not row["input"].strip() or not row["target"].strip():
            loaded.dropped["empty input or target"] += 1
            continue
        kept += 1
        yield row
    loaded.files.append({"name": path.name, "sha256": file_sha256(path), "rows": kept})


def names_mask(text: str) -> bool:
    """Whether a de-identification mask stands where a word was ("x-XXXX" is "x-ray": no mask)."""
    return bool(_MASK.search(_XRAY_MASK.sub("x-ray", text)))


def file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _normal(text: str) -> str:
    return " ".join(text.lower().split())


def _evenly(rows: list[dict[str, Any]], limit: int) -> list[int]:
    """`limit` places, in order, taken in turn from every source."""
    by_source: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        by_source[row["source"]].append(place)
    queues = [iter(places) for places in by_source.values()]
    chosen: list[int] = []
    while queues and len(chosen) < limit:
        for queue in list(queues):
            place = next(queue, None)
            if place is None:
                queues.remove(queue)
            elif len(chosen) < limit:
                chosen.append(place)
    return sorted(chosen)


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


# --- rows -> tokens -----------------------------------------------------------------------------


def task_of(recipe: Recipe) -> Task:
    """The task as this recipe trains it: its prompt, limits and decoding where it names them."""
    named = recipe.to_dict()
    named["decoding"] = {
        key: value for key, value in named["decoding"].items() if value is not None
    }
    return for_run(get_task(recipe.task), {"recipe": named})


def encode_input(
    tokenizer: Any, task: Task, row: dict[str, Any], *, with_section: bool = True
) -> tuple[list[int], int]:
    """Token ids of a row's prompt, cut as the engine cuts it; and how many tokens were cut."""
    before, after = prompt_parts(task, row.get("section") if with_section else None)
    try:
        ids, cut = cut_to(tokenizer, before, row["input"], after, task.max_input_tokens)
    except InputError as fault:
        raise DataError(f"max_input_tokens is too small: {fault}") from None
    return ids, cut.tokens_total - cut.tokens_read if cut else 0


def encode_target(tokenizer: Any, target: str, max_tokens: int) -> tuple[list[int], bool]:
    """Label ids of a target, and whether it was too long.

    A target that fits ends in the end-of-sequence token. One that does not fit is cut and has no
    end: an end there would teach to stop in the middle of a sentence.
    """
    ids = tokenizer(text_target=target)["input_ids"]
    if ids and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    if len(ids) + 1 > max_tokens:
        return ids[:max_tokens], True
    return [*ids, tokenizer.eos_token_id], False


@dataclass
class Tokenised:
    """A split as tokens. Item `2 * row + 1` is the row shown without its section."""

    examples: list[Example]
    hidden: list[Example | None]
    weights: list[float]
    sources: list[str]
    long_targets: int  # targets past the limit: cut or dropped
    truncated: int  # rows whose input was cut

    def __len__(self) -> int:
        return 2 * len(self.examples)

    def __getitem__(self, item: int) -> Example:
        row, without = divmod(int(item), 2)
        hidden = self.hidden[row] if without else None
        return hidden or self.examples[row]

    @property
    def tokens(self) -> int:
        return sum(len(example.input_ids) + len(example.labels) for example in self.examples)


def tokenise(recipe: Recipe, loaded: Rows, tokenizer: Any) -> Tokenised:
    """Every row once with its section and, where a run hides sections, once without."""
    task = task_of(recipe)
    result = Tokenised([], [], [], [], 0, 0)
    hide = recipe.data.section_dropout > 0
    for row, weight in zip(loaded.rows, loaded.weights, strict=True):
        labels, long = encode_target(tokenizer, row["target"], recipe.max_target_tokens)
        result.long_targets += long
        if long and recipe.data.long_targets == "drop":
            continue
        ids, cut = encode_input(tokenizer, task, row)
        result.truncated += cut > 0
        result.examples.append(Example(ids, labels, cut))
        hidden = None
        if hide and row.get("section"):
            ids, cut = encode_input(tokenizer, task, row, with_section=False)
            hidden = Example(ids, labels, cut)
        result.hidden.append(hidden)
        result.weights.append(weight)
        result.sources.append(row["source"])
    if not result.examples:
        raise DataError("No training row is left: every target is longer than max_target_tokens.")
    return result


# --- tokens -> batches --------------------------------------------------------------------------


class EpochPlan:
    """A batch sampler: the batches of an epoch, all from (seed, epoch).

    Rows of similar length share a step, so that little is padding: a shuffled epoch is cut into
    pools of 50 steps, each pool sorted by length and cut into steps, and the steps shuffled. A
    step's rows are then dealt to `parts` micro-batches (accumulation x processes), so that every
    process gets its share of each step. A last step with too few rows is filled with rows drawn
    again: all steps have one size.
    """

    POOL = 50

    def __init__(
        self,
        data: Tokenised,
        batch_size: int,
        *,
        parts: int = 1,
        seed: int = 0,
        section_dropout: float = 0.0,
        group_by_length: bool = True,
    ) -> None:
        self.data = data
        self.batch_size = batch_size
        self.parts = parts
        self.seed = seed
        self.section_dropout = section_dropout
        self.group_by_length = group_by_length
        self.epoch = 0
        self.step_size = batch_size * parts
        by_source: dict[str, list[int]] = defaultdict(list)
        for row, source in enumerate(data.sources):
            by_source[source].append(row)
        # Rows of one source and weight: a fraction of their copies is drawn anew every epoch, and
        # its size is the same in every epoch.
        self.groups: list[tuple[list[int], float]] = []
        for rows in by_source.values():
            by_weight: dict[float, list[int]] = defaultdict(list)
            for row in rows:
                by_weight[round(data.weights[row], 6)].append(row)
            self.groups += [(same, weight) for weight, same in by_weight.items()]
        self.rows_per_epoch = sum(
            len(rows) * int(weight) + self._extra(rows, weight) for rows, weight in self.groups
        )
        self.steps_per_epoch = max(1, math.ceil(self.rows_per_epoch / self.step_size))

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps_per_epoch * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps(self.epoch):
            for part in range(self.parts):
                yield step[part * self.batch_size : (part + 1) * self.batch_size]

    def steps(self, epoch: int) -> list[list[int]]:
        """The items of each optimizer step of an epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        rows: list[int] = []
        for group, weight in self.groups:
            rows += group * int(weight)
            rows += rng.choice(group, self._extra(group, weight), replace=False).tolist()
        short = self.steps_per_epoch * self.step_size - len(rows)
        rows += rng.choice(rows, short, replace=short > len(rows)).tolist()
        order = rng.permutation(len(rows))
        without = rng.random(len(rows)) < self.section_dropout
        items = [2 * int(rows[place]) + int(without[place]) for place in order]
        if not self.group_by_length:
            return [
                items[start : start + self.step_size]
                for start in range(0, len(items), self.step_size)
            ]
        steps = []
        pool = self.POOL * self.step_size
        for start in range(0, len(items), pool):
            ordered = sorted(items[start : start + pool], key=self._length, reverse=True)
            steps += [
                ordered[first : first + self.step_size]
                for first in range(0, len(ordered), self.step_size)
            ]
        return [steps[place] for place in rng.permutation(len(steps))]

    def _extra(self, rows: list[int], weight: float) -> int:
        return round(len(rows) * (weight - int(weight)))

    def _length(self, item: int) -> tuple[int, int]:
        example = self.data[item]
        return len(example.input_ids), len(example.labels)


class Collator:
    """Examples -> padded tensors: input_ids, attention_mask (B, T), labels, decoder_input_ids (B, U).

    The decoder reads the labels shifted right, behind its start token.
    """

    def __init__(self, pad_token_id: int, decoder_start_token_id: int, multiple: int = 8) -> None:
        self.pad_token_id = pad_token_id
        self.decoder_start_token_id = decoder_start_token_id
        self.multiple = multiple

    def __call__(self, examples: list[Example]) -> dict[str, Any]:
        import torch

        inputs = [example.input_ids for example in examples]
        labels = [example.labels for example in examples]
        shifted = [[self.decoder_start_token_id, *row[:-1]] for row in labels]
        return {
            "input_ids": torch.tensor(self._pad(inputs, self.pad_token_id)),
            "attention_mask": torch.tensor(self._pad([[1] * len(row) for row in inputs], 0)),
            "decoder_input_ids": torch.tensor(self._pad(shifted, self.pad_token_id)),
            "labels": torch.tensor(self._pad(labels, IGNORED)),
        }

    def _pad(self, rows: list[list[int]], value: int) -> list[list[int]]:
        width = math.ceil(max(len(row) for row in rows) / self.multiple) * self.multiple
        return [row + [value] * (width - len(row)) for row in rows]
