"""ZeroGPU: the GPU of a Space that is there only while a decorated function runs.

`ZeroEngine` has the engine's face. The model is loaded once, before anybody asks; each generation
then runs in a process forked for it, which is lent a GPU. What goes in and what comes out is
pickled, so a cancel event stays on this side, and the stream is closed there instead. A fault comes
back as a value: raised there, it would be printed to the Space's log with whatever it quotes.

The package `spaces` is the Hub's own. It is there on such a Space and is no dependency elsewhere;
`lender` is the only place that imports it, and has to run before torch first looks for CUDA.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from summarizer.generate import SYSTEMS, Engine, ModelError, Pair, Summary
from summarizer.settings import SettingsError
from summarizer.tasks import Decoding
from summarizer.text import InputError

# Seconds that a GPU is asked for; what is not used is not counted against the visitor's quota.
ONE_TEXT, ALL_EXAMPLES = 60, 120


def lender() -> Callable[..., Any]:
    """`spaces.GPU`, the decorator. Raises SettingsError where the package is missing."""
    try:
        import spaces
    except ImportError:
        raise SettingsError(
            "SPACES_ZERO_GPU is set and the package spaces is not there: this is no ZeroGPU Space."
        ) from None
    return spaces.GPU


class ZeroEngine:
    """An engine whose generations each run on a GPU that is lent for it."""

    def __init__(self, engine: Engine, gpu: Callable[..., Any]) -> None:
        self.backbone_name, self.backbone_revision = engine.backbone_name, engine.backbone_revision
        self.adapters, self.device, self.dtype = engine.adapters, engine.device, engine.dtype
        self.task, self.record = engine.task, engine.record
        self._engine = engine

        @gpu(duration=ONE_TEXT)
        def stream(task: str, text: str, options: Mapping[str, Any]) -> Iterator[Any]:
            yield from _faults_as_values(lambda: engine.stream(task, text, **options))

        @gpu(duration=ALL_EXAMPLES)
        def batch(task: str, rows: Sequence[Mapping[str, Any]], options: Mapping[str, Any]):
            yield from _faults_as_values(lambda: engine.batch(task, rows, **options))

        self._stream_there, self._batch_there = stream, batch

    def stream(
        self,
        task: str,
        text: str,
        *,
        section: str | None = None,
        decoding: Decoding | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[Pair]:
        """As `Engine.stream`. ModelError also where no GPU is lent, as when a quota is used up."""
        options = {"section": section, "decoding": decoding}
        cancel = cancel or threading.Event()
        # Not begun, this checks the text, before a GPU is asked for.
        unbegun = self._engine.stream(task, text, **options, cancel=cancel)
        return self._stream(unbegun, (task, text, options), cancel)

    def run(self, task: str, text: str, **options: Any) -> Pair:
        """As `Engine.run`."""
        pair = None
        for pair in self.stream(task, text, **options):
            pass
        assert pair is not None  # a stream always ends with a final Pair
        return pair

    def batch(
        self,
        task: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        decoding: Decoding | None = None,
        batch_size: int = 8,
        cancel: threading.Event | None = None,
        systems: Sequence[str] = SYSTEMS,
    ) -> Iterator[tuple[int, Pair]]:
        """As `Engine.batch`, all rows in one loan."""
        options = {"decoding": decoding, "batch_size": batch_size, "systems": tuple(systems)}
        self._engine.batch(task, rows, **options)  # checks; nothing is begun
        return _until(cancel, _here(self._batch_there(task, list(rows), options)))

    def _stream(
        self, unbegun: Iterator[Pair], asked: tuple[Any, ...], cancel: threading.Event
    ) -> Iterator[Pair]:
        pair = None
        if not cancel.is_set():
            for pair in _until(cancel, _here(self._stream_there(*asked))):
                yield pair
        if pair is None:
            yield from unbegun  # cancelled: nothing is generated
        elif "running" in (pair.base.finish, pair.lora.finish):
            yield replace(pair, base=_stopped(pair.base), lora=_stopped(pair.lora))


def _faults_as_values(begin: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """What an iterator gives; a fault as a last value, without what it may quote of the text."""
    try:
        yield from begin()
    except (InputError, ModelError) as error:
        yield error
    except Exception as error:
        yield ModelError(f"The model failed on the GPU ({type(error).__name__}).")


def _here(there: Iterator[Any]) -> Iterator[Any]:
    """What comes from the other process, its faults raised again."""
    with closing(there):
        while True:
            try:
                value = next(there)
            except StopIteration:
                return
            except Exception as error:  # no GPU was lent, or its process is gone
                raise ModelError(_sentence(error)) from None
            if isinstance(value, Exception):
                raise value
            yield value


def _until(cancel: threading.Event | None, values: Iterator[Any]) -> Iterator[Any]:
    with closing(values):
        for value in values:
            yield value
            if cancel is not None and cancel.is_set():
                return


def _sentence(error: Exception) -> str:
    """What the Hub says to the visitor, a quota that is used up for example, without its links."""
    said = re.sub(r"<[^>]*>", "", str(getattr(error, "message", "") or type(error).__name__))
    return f"No GPU could be used: {' '.join(said.split())[:300].rstrip('. ')}."


def _stopped(summary: Summary) -> Summary:
    return replace(summary, finish="stopped") if summary.finish == "running" else summary
