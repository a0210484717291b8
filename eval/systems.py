"""Whatever writes texts for rows: base and adapter from the engine, a full model, a floor.

A writer knows the systems it writes (its columns), says how it writes each (settings and the
weights' hashes, for the sidecar of the predictions), and yields texts in batches of similar length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from eval import floors
from eval.rows import DataError, Row

PACKAGES = ("torch", "transformers", "peft", "tokenizers", "numpy", "rouge-score", "sacrebleu")


@dataclass(frozen=True)
class Text:
    """What one system wrote for one row.

    finish: "end" or "length" (cut off by max_new_tokens). unread: words of the input that did not
    fit.
    """

    text: str
    finish: str = "end"
    unread: int = 0


Batch = list[tuple[int, dict[str, Text]]]

# Tokens that a batch may hold, padding counted: long rows go in small batches, so that a whole
# visit fits into memory and short rows still fill the processor.
BATCH_TOKENS = 8192
_CHARACTERS_A_TOKEN = 4


class Writer(Protocol):
    """One model in memory, or one rule, and the systems it writes."""

    settings: dict[str, dict[str, Any]]  # system -> how it writes

    def write(
        self, rows: Sequence[Row], systems: Sequence[str], batch_size: int
    ) -> Iterator[Batch]:
        """Batches of (index of the row, {system: Text}), longest rows first.

        What is left of the rows after some whole batches is written in the same batches again.
        """
        ...


class EngineWriter:
    """Base and one adapter, as `summarizer.generate.Engine` writes them.

    names: the system's name of each of the engine's columns, {"base": ..., "lora": ...}.
    """

    def __init__(
        self,
        adapter: str,
        task: str,
        names: Mapping[str, str],
        *,
        backbone: str,
        device: str = "auto",
        dtype: str = "auto",
        decoding: Mapping[str, Any] | None = None,
        threads: int | None = None,
    ) -> None:
        from summarizer.backbone import (
            ADAPTER_WEIGHTS,
            code_sha256,
            file_sha256,
            resolve,
            weights_sha256,
        )
        from summarizer.generate import Engine

        self._engine = Engine.load(
            backbone, {task: adapter}, device=device, dtype=dtype, threads=threads
        )
        self._task = task
        self._names = dict(names)
        described = self._engine.task(task)
        self._decoding = replace(described.decoding, **(decoding or {}))
        info = self._engine.adapters[task]
        base_folder, base_revision = resolve(backbone, "backbone")
        common = {
            "method": "generate",
            "backbone": _public(backbone),
            "backbone_revision": base_revision,
            "backbone_sha256": weights_sha256(base_folder),
            "prompt": described.prompt,
            "max_input_tokens": described.max_input_tokens,
            **windows_setting(described),
            "decoding": self._decoding.to_dict(),
            "device": self._engine.device.split(":")[0],
            "dtype": self._engine.dtype,
            "engine": "summarizer.generate.Engine.batch",
            "code_sha256": code_sha256(),
        }
        weights = {
            "adapter": _public(adapter),
            "adapter_revision": info.revision,
            "adapter_sha256": file_sha256(Path(info.path) / ADAPTER_WEIGHTS),
        }
        self.settings = {
            name: common | (weights if column == "lora" else {})
            for column, name in self._names.items()
        }

    def write(
        self, rows: Sequence[Row], systems: Sequence[str], batch_size: int
    ) -> Iterator[Batch]:
        columns = {column: name for column, name in self._names.items() if name in systems}
        for places in batches_of(rows, batch_size):
            pairs = self._engine.batch(
                self._task,
                [rows[place] for place in places],
                decoding=self._decoding,
                batch_size=len(places),
                systems=tuple(columns),
            )
            yield [
                (places[index], {name: _text(pair, column) for column, name in columns.items()})
                for index, pair in pairs
            ]


def _text(pair: Any, column: str) -> Text:
    summary = getattr(pair, column)
    return Text(summary.text, summary.finish, _words_unread(pair))


def _words_unread(read: Any) -> int:
    """Words that a Pair's or a Reading's prompts have no room for."""
    return read.cut.words_unread if read.cut else 0


class ModelWriter:
    """A model without an adapter: a full fine-tune (BART, ...) or a backbone as it is."""

    def __init__(
        self,
        name: str,
        source: str,
        task: str,
        *,
        device: str = "auto",
        dtype: str = "auto",
        decoding: Mapping[str, Any] | None = None,
    ) -> None:
        import json

        from summarizer.backbone import code_sha256, load_backbone, weights_sha256
        from summarizer.reading import within_positions
        from summarizer.tasks import for_run, get_task

        self._backbone = load_backbone(source, device, dtype)
        record = self._backbone.path / "run.json"
        run = json.loads(record.read_text()) if record.is_file() else None
        self._task = for_run(get_task(task), run)
        self._decoding, self._limit = within_positions(
            self._backbone,
            replace(self._task.decoding, **(decoding or {})),
            self._task.max_input_tokens,
        )
        self._name = name
        first = next(self._backbone.model.parameters())
        self.settings = {
            name: {
                "method": "generate",
                "backbone": _public(source),
                "backbone_revision": self._backbone.revision,
                "backbone_sha256": weights_sha256(self._backbone.path),
                "prompt": self._task.prompt,
                "max_input_tokens": self._task.max_input_tokens,
                **windows_setting(self._task),
                "decoding": self._decoding.to_dict(),
                "device": first.device.type,
                "dtype": str(first.dtype).removeprefix("torch."),
                "engine": "transformers generate",
                "code_sha256": code_sha256(),
            }
        }

    def write(
        self, rows: Sequence[Row], systems: Sequence[str], batch_size: int
    ) -> Iterator[Batch]:
        for places in batches_of(rows, batch_size):
            readings = [self.read(rows[place]) for place in places]
            made = iter(self._generate([reading.rows for reading in readings]))
            texts = [self._together([next(made) for _ in one.rows]) for one in readings]
            yield [
                (place, {self._name: Text(text, finish, _words_unread(reading))})
                for place, (text, finish), reading in zip(places, texts, readings, strict=True)
            ]

    def read(self, row: Row) -> Any:
        """What the model is given of a row (summarizer.reading)."""
        from summarizer.reading import read

        return read(self._backbone, self._task, row, self._limit)

    def _together(self, parts: list[tuple[str, str]]) -> tuple[str, str]:
        """Text and finish of a row, of those of its windows."""
        from summarizer.windows import joined

        ended = all(finish == "end" for _, finish in parts)
        text = joined([text for text, _ in parts], self._task.output_style)
        return text, "end" if ended else "length"

    def _generate(self, windows: list[list[list[int]]]) -> list[tuple[str, str]]:
        """Text and finish of each of the texts' windows."""
        import torch

        from summarizer.backbone import generate_arguments
        from summarizer.generate import texts_of, until_end

        prompts = [ids for text in windows for ids in text]
        ids, mask = self._backbone.pad(prompts)
        settings = generate_arguments(
            self._decoding,
            self._backbone.ends,
            prompts,
            self._backbone.lexicon,
            self._backbone.tokenizer,
            [len(text) for text in windows],
        )
        with torch.inference_mode():
            output = self._backbone.model.generate(input_ids=ids, attention_mask=mask, **settings)
        given = ids.shape[1] if self._backbone.kind == "causal" else 1
        rows = output[:, given:].tolist()
        texts = texts_of(self._backbone, rows, prompts, self._decoding)
        ended = [until_end(row, self._backbone.ends)[1] for row in rows]
        return [(text, "end" if one else "length") for text, one in zip(texts, ended, strict=True)]


def windows_setting(task: Any) -> dict[str, int]:
    """What a task's reading in windows adds to the settings of its predictions, if it does."""
    return {} if task.window_words is None else {"window_words": task.window_words}


class FloorWriter:
    """A trivial method of `eval.floors`. train_sha256: of the training set it reads."""

    def __init__(self, name: str, train: Sequence[Row], train_sha256: str | None) -> None:
        if name not in floors.FLOORS:
            raise DataError(f"There is no floor {name!r}: there are {', '.join(floors.FLOORS)}.")
        floor = floors.FLOORS[name]
        if floor.needs_train and not train:
            raise DataError(f"The floor {name!r} needs the training set: give --train FILE.")
        self._name, self._floor, self._train = name, floor, train
        self.settings = {name: {"method": "rule", "rule": floor.rule}}
        if floor.needs_train:
            self.settings[name]["train_sha256"] = train_sha256

    def write(
        self, rows: Sequence[Row], systems: Sequence[str], batch_size: int
    ) -> Iterator[Batch]:
        yield [
            (index, {self._name: Text(text)})
            for index, text in enumerate(self._floor.write(rows, self._train))
        ]


def batches_of(rows: Sequence[Row], batch_size: int) -> list[list[int]]:
    """Places of the rows, longest first, `batch_size` at most and BATCH_TOKENS at most a batch."""
    lengths = [len(row["input"]) for row in rows]
    order = sorted(range(len(rows)), key=lambda place: -lengths[place])
    found: list[list[int]] = []
    while order:
        longest = lengths[order[0]] // _CHARACTERS_A_TOKEN + 1
        count = max(1, min(batch_size, BATCH_TOKENS // longest))
        found.append(order[:count])
        order = order[count:]
    return found


def kind_of(source: str) -> str:
    """ "adapter" or "model". Raises ModelError where the folder holds neither."""
    from summarizer.backbone import ADAPTER_CONFIG, ModelError, resolve

    folder, _ = resolve(source, "adapter")
    if (folder / ADAPTER_CONFIG).is_file():
        return "adapter"
    if (folder / "config.json").is_file():
        return "model"
    raise ModelError(f"The folder {source} holds neither an adapter nor a model.")


def versions() -> dict[str, str]:
    """The packages that a score depends on, as installed."""
    import platform

    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _public(source: str) -> str:
    """A model's name without the folders of this machine."""
    path = Path(source)
    return "/".join(path.parts[-2:]) if path.is_absolute() else source
