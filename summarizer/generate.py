"""The engine: both columns, base and LoRA, from one pass over one model."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from summarizer.tasks import Decoding
from summarizer.text import Cut


class ModelError(RuntimeError):
    """A model or adapter cannot be loaded or used. The message is one sentence."""


@dataclass(frozen=True)
class Summary:
    """One column's text so far.

    tokens: generated, without the end mark. seconds: from the start of the generation to the end
    of this column (or to now). finish: "running", "end" (the model ended it), "length" (it
    reached max_new_tokens) or "stopped" (by the user).
    """

    text: str
    tokens: int
    seconds: float
    finish: str


@dataclass(frozen=True)
class Pair:
    """Both columns of one text, with what both saw: prompt, decoding, and the cut if any."""

    base: Summary
    lora: Summary
    cut: Cut | None
    decoding: Decoding
    prompt: str


@dataclass(frozen=True)
class AdapterInfo:
    """One adapter as it was loaded. `run` and `scores` are its run.json and scores.json."""

    name: str
    path: str
    base: str
    rank: int
    revision: str | None
    run: dict[str, Any] | None
    scores: dict[str, Any] | None


class Engine:
    """One base model in memory with an adapter for each task."""

    backbone_name: str
    adapters: dict[str, AdapterInfo]
    device: str
    dtype: str

    @classmethod
    def load(
        cls,
        backbone: str = "models/base",
        adapters: Mapping[str, str] | None = None,
        device: str = "auto",
        dtype: str = "auto",
        threads: int | None = None,
    ) -> Engine:
        raise NotImplementedError

    def stream(
        self,
        task: str,
        text: str,
        *,
        section: str | None = None,
        decoding: Decoding | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[Pair]:
        raise NotImplementedError

    def run(
        self,
        task: str,
        text: str,
        *,
        section: str | None = None,
        decoding: Decoding | None = None,
        cancel: threading.Event | None = None,
    ) -> Pair:
        raise NotImplementedError

    def batch(
        self,
        task: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        decoding: Decoding | None = None,
        batch_size: int = 8,
        cancel: threading.Event | None = None,
        systems: tuple[str, ...] = ("base", "lora"),
    ) -> Iterator[tuple[int, Pair]]:
        raise NotImplementedError
