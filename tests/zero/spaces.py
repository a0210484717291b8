"""A stand-in for the Hub's package `spaces` (0.51), as far as this project uses it; it has no GPU.

What it shares with the real one: a decorated generator runs in a process forked for it, what goes
in and comes out is pickled, a fault there is printed with its traceback and told by class alone,
and closing the generator stops that process's. `SPACES_STANDIN_REFUSES` is the sentence with which
no GPU is lent; `SPACES_STANDIN_LOG` a file that gets a line for each loan.

A process forked from one that has worked with several threads may wait for ever for one of them
that it does not have. Here the system ends it after `PATIENCE` seconds, and the test fails.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator
from typing import Any

PATIENCE = 120


class Error(Exception):
    """gradio's: its sentence is `message`."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def GPU(*, duration: int) -> Callable[[Callable[..., Iterator]], Callable[..., Iterator]]:
    def decorate(task: Callable[..., Iterator]) -> Callable[..., Iterator]:
        @functools.wraps(task)
        def lent(*arguments: Any) -> Iterator[Any]:
            if refusal := os.environ.get("SPACES_STANDIN_REFUSES"):
                raise Error(refusal)
            context = multiprocessing.get_context("fork")
            results, stop = context.SimpleQueue(), context.Event()
            process = context.Process(
                target=_work, args=(task, pickle.dumps(arguments), results, stop), daemon=True
            )
            process.start()
            _note(f"{process.pid} {duration}")
            try:
                while (result := _next(results, process)) is not None:
                    kind, value = result
                    if kind == "fault":
                        raise Error(value)
                    yield pickle.loads(value)
            finally:
                stop.set()
                while process.is_alive():  # it may still be writing
                    while not results.empty():
                        results.get()
                    process.join(0.02)
                _note(f"{process.pid} back")

        return lent

    return decorate


def gradio_auto_wrap(task: Any) -> Any:
    """gradio calls it for every function of a page; it is off by default."""
    return task


def _next(results: Any, process: Any) -> Any:
    while results.empty():
        if not process.is_alive() and results.empty():
            raise Error(f"the process ended with {process.exitcode}")
        process.join(0.005)
    return results.get()


def _work(task: Callable[..., Iterator], arguments: bytes, results: Any, stop: Any) -> None:
    signal.alarm(PATIENCE)
    values = task(*pickle.loads(arguments))
    try:
        for value in values:
            if stop.is_set():
                values.close()
                break
            results.put(("value", pickle.dumps(value)))
    except Exception as error:
        traceback.print_exc()
        results.put(("fault", type(error).__name__))
    results.put(None)


def _note(line: str) -> None:
    if path := os.environ.get("SPACES_STANDIN_LOG"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
