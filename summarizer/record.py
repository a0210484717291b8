"""What stands beside a model's weights: its configuration, run record, scores and notes.

Read once, checked, and without the paths of the machine that wrote them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .sources import SOURCES, Source, find


class RecordError(ValueError):
    """A record that is missing or cannot be read: one sentence that says which."""


@dataclass(frozen=True)
class Record:
    """What stands beside the weights in a folder; None or empty where there is no such file."""

    folder: Path
    config: dict[str, Any] | None  # adapter_config.json; None for a base model
    model: dict[str, Any] | None  # config.json of a base model
    run: dict[str, Any]
    scores: dict[str, Any]
    failures: str
    pictures: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> Record:
        if not folder.is_dir():
            raise RecordError(f"There is no folder {folder}: name one that holds an adapter.")
        config, model = (
            read_json(folder / name) for name in ("adapter_config.json", "config.json")
        )
        if config is None and model is None:
            raise RecordError(
                f"{folder} holds neither adapter_config.json nor config.json: name the folder "
                "of an adapter or of a base model."
            )
        failures = folder / "failures.md"
        return cls(
            folder=folder,
            config=config,
            model=model if config is None else None,
            run=public(read_json(folder / "run.json") or {}),
            scores=public(read_json(folder / "scores.json") or {}),
            failures=_read_text(failures).strip() if failures.is_file() else "",
            pictures=tuple(sorted(path.name for path in folder.glob("*.png"))),
        )

    @property
    def recipe(self) -> dict[str, Any]:
        return self.run.get("recipe") or {}

    @property
    def task(self) -> str:
        return self.scores.get("task") or self.recipe.get("task") or self.folder.resolve().name

    @property
    def decoding(self) -> dict[str, Any]:
        """Settings of `generate` as scored, else as the recipe has them; unset ones left out."""
        settings = self.scores.get("decoding") or self.recipe.get("decoding") or {}
        return {key: value for key, value in settings.items() if value is not None}

    def trained_on(self) -> list[Source]:
        """Known sources that the run record names for its training rows, in order."""
        data = self.run.get("data") or {}
        named = _known(data.get("train", data) if isinstance(data, Mapping) else data)
        return named or _known(self.recipe.get("data") or {})

    def chosen_on(self) -> list[Source]:
        data = self.run.get("data") or {}
        return _known(data.get("validation") if isinstance(data, Mapping) else None)

    def tested_on(self) -> list[Source]:
        return [
            source
            for source in (find(str(s.get("value", ""))) for s in self.by("source"))
            if source
        ]

    def by(self, column: str) -> list[dict[str, Any]]:
        return [s for s in self.scores.get("segments") or [] if s.get("by") == column]


def public(value: Any) -> Any:
    """A record without the paths of the machine that wrote it: their last two parts stay."""
    if isinstance(value, Mapping):
        return {key: public(item) for key, item in value.items()}
    if isinstance(value, list):
        return [public(item) for item in value]
    if isinstance(value, str) and _LOCAL_PATH.match(value):
        return "/".join(re.split(r"[\\/]+", value.rstrip("\\/"))[-2:])
    return value


_LOCAL_PATH = re.compile(r"(?:/|~|\.\.[\\/]|[A-Za-z]:[\\/]|file:)\S*[\\/]\S+$")


def _known(value: Any) -> list[Source]:
    """Known sources named anywhere in a part of a record, in order, each once."""
    names = dict.fromkeys(
        source.name for source in (find(text) for text in _strings(value)) if source
    )
    return [SOURCES[name] for name in names]


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield value


def part_of(record: Mapping[str, Any], key: str, where: Path) -> Mapping[str, Any]:
    """The mapping under a key of a record, empty where there is none. Raises RecordError."""
    value = record.get(key) or {}
    if not isinstance(value, Mapping):
        raise RecordError(f"{key} in {where} is not what training and scoring write there.")
    return value


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RecordError(f"{path} is no text in UTF-8: write it again.") from None


def read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise RecordError(f"{path} cannot be read as JSON ({error}).") from error
    if not isinstance(value, dict):
        raise RecordError(f"{path} holds no JSON object.")
    return value
