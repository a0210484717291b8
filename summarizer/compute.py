"""The one thread that models are loaded and run in.

torch divides each step of a model over the cores by OpenMP, and GNU's OpenMP keeps a team of
threads for every thread that has ever asked for one. Two teams are more threads than cores, and
from then on it lets them sleep between two steps where they would have spun. A small model's steps
are so short that waking a team takes as long as the step: on two cores, loaded in the main thread
and run in another, both columns take about twice the time.

A `ThreadPoolExecutor` would do the same but for its end: the interpreter waits for what it is at.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class _Worker:
    """A daemon thread that does what it is given, in order. It starts with the first of it."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self.thread: threading.Thread | None = None

    def put(self, job: Callable[[], None]) -> None:
        with self._starting:
            if self.thread is None:
                thread = threading.Thread(target=self._run, name="compute", daemon=True)
                thread.start()
                self.thread = thread
        self._jobs.put(job)

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            job()
            del job  # what it held need not live until the next one comes


_worker = _Worker()


def _start_anew() -> None:
    global _worker
    _worker = _Worker()


if hasattr(os, "register_at_fork"):  # a forked process has none of its parent's threads
    os.register_at_fork(after_in_child=_start_anew)


def submit(function: Callable[..., _Result], *args: Any, **options: Any) -> Future[_Result]:
    """Have the compute thread call a function, after what it was given before.

    Raises RuntimeError where no thread can be started.
    """
    future: Future[_Result] = Future()

    def job() -> None:
        try:
            result = function(*args, **options)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            future.set_exception(error)
        else:
            future.set_result(result)

    _worker.put(job)
    return future


def computed(function: Callable[..., _Result], *args: Any, **options: Any) -> _Result:
    """What a function returns, or raises, called in the compute thread; called there, at once."""
    if threading.current_thread() is _worker.thread:
        return function(*args, **options)
    return submit(function, *args, **options).result()
