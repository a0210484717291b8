"""One writer in each of several processes, for small models on a CPU.

A small model's products are too small to share among threads: two processes with a thread each
write more than one process with two. The texts are the same. A worker ends when its pipe does, so
none outlives the command, however that ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from eval.rows import Row
from eval.systems import Batch, Writer, batches_of

SMALL_MODEL = 300_000_000  # bytes of weights on disk up to which each worker may have its own
LIBRARIES = ["peft", "transformers.models.t5.modeling_t5"]  # what takes long to load
FEWEST_ROWS = 64  # below, loading the model again costs more than it saves


class Workers:
    """A Writer that lets `count` processes write. make(threads=1) makes the writer in each."""

    def __init__(self, make: Callable[..., Writer], count: int) -> None:
        # Not forked from this process, whose threads would not survive it: from one that has loaded
        # the libraries, once for all of them, and does nothing else.
        known = "forkserver" in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if known else "spawn")
        if known:
            context.set_forkserver_preload(LIBRARIES)
        self._processes: list[Any] = []
        self._pipes: list[Connection] = []
        try:
            for _ in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(make, theirs), daemon=True)
                process.start()
                theirs.close()
                self._processes.append(process)
                self._pipes.append(ours)
            self.settings = [_received(pipe) for pipe in self._pipes][0]
        except BaseException:
            self.close()
            raise

    def write(
        self, rows: Sequence[Row], systems: Sequence[str], batch_size: int
    ) -> Iterator[Batch]:
        waiting = list(enumerate(batches_of(rows, batch_size)))[::-1]
        places: dict[int, list[int]] = dict(waiting)
        done: dict[int, Batch] = {}
        for pipe in self._pipes:
            _give(pipe, waiting, rows, systems)
        for number in range(len(places)):
            while number not in done:
                for pipe in wait(self._pipes):
                    found, batch = _received(pipe)
                    done[found] = [(places[found][index], texts) for index, texts in batch]
                    _give(pipe, waiting, rows, systems)
            yield done.pop(number)

    def processor_time(self) -> float:
        """Seconds of processor that the idle workers have used so far."""
        for pipe in self._pipes:
            pipe.send(None)
        return sum(_received(pipe) for pipe in self._pipes)

    def close(self) -> None:
        """End the processes."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.terminate()
            process.join()


def worth_it(backbone: str, device: str, rows: int) -> int:
    """How many workers serve this backbone and these rows best; 1 is none beside this process."""
    from summarizer.backbone import choose_device, cpu_cores, resolve

    if rows < FEWEST_ROWS or choose_device(device) != "cpu":
        return 1
    folder, _ = resolve(backbone, "backbone")
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return cpu_cores() if weights <= SMALL_MODEL else 1


def _give(
    pipe: Connection, waiting: list[tuple[int, list[int]]], rows: Sequence[Row], systems: Any
) -> None:
    if waiting:
        number, places = waiting.pop()
        pipe.send((number, [rows[place] for place in places], list(systems)))


def _received(pipe: Connection) -> Any:
    try:
        answer = pipe.recv()
    except EOFError:
        raise RuntimeError("A worker process ended before its work did.") from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _work(make: Callable[..., Writer], pipe: Connection) -> None:
    """The life of a worker: make the writer, write what comes, end with the pipe."""
    with contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        try:
            writer = make(threads=1)
            pipe.send(writer.settings)
            while True:
                work = pipe.recv()
                if work is None:
                    pipe.send(time.process_time())
                    continue
                number, rows, systems = work
                (batch,) = writer.write(rows, systems, len(rows))
                pipe.send((number, batch))
        except (EOFError, BrokenPipeError, KeyboardInterrupt):
            raise
        except Exception as error:
            # Classes of other packages need not survive the pipe; the project's own do.
            own = type(error).__module__.startswith(("summarizer", "eval"))
            pipe.send(error if own else RuntimeError(f"{type(error).__name__}: {error}"))
