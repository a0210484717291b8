"""The engine: both columns, base and LoRA, from one pass over one model.

A batch of two rows, the same prompt twice, goes through PEFT's mixed batch: row one with
"__base__", row two with the task's adapter. The columns therefore stream token by token together,
of a search what leads so far, and a stop ends both within a step. The text is that of two separate
runs. A text that its task reads in windows (`summarizer.windows`) has a row for each window in both
columns.

Another engine can stand behind the same face: `load`, `stream`, `run`, `batch`, and the fields
`backbone_name`, `adapters`, `device`, `dtype`.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from summarizer import tasks
from summarizer.backbone import (
    ADAPTER_WEIGHTS,
    AdapterInfo,
    Backbone,
    ModelError,
    code_sha256,
    cpu_cores,
    file_sha256,
    fuse_activations,
    generate_arguments,
    load_adapters,
    load_backbone,
    one_line,
    slice_mixed_batches,
    weights_sha256,
)
from summarizer.compute import computed, submit
from summarizer.flag import token_ids
from summarizer.lexicon import FILE as LEXICON
from summarizer.reading import Reading, read, within_positions
from summarizer.tasks import Decoding, Task
from summarizer.text import Cut, InputError
from summarizer.windows import joined

__all__ = ["AdapterInfo", "Engine", "ModelError", "Pair", "Summary"]

SYSTEMS = ("base", "lora")
_BASE = "__base__"  # PEFT's name for a row without an adapter


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
    """Both columns of one text, and what both saw: the cut if any, decoding and prompt.

    windows: in how many parts the text was read; the prompt then holds theirs, a blank line apart.
    left_out: headings of a report's sections that were not read (`summarizer.sections`).
    """

    base: Summary
    lora: Summary
    cut: Cut | None
    decoding: Decoding
    prompt: str
    windows: int = 1
    left_out: tuple[str, ...] = ()


# Up to here both columns of a batch are one pass: their steps are taken together, which costs a
# small model less than the rows that have ended already and wait for the other column. Beyond,
# picking the adapter's rows out of each layer's costs more than it saves.
_MIXED_ROWS = 16


class Engine:
    """One base model in memory with an adapter for each task, and the lock around them.

    Safe to call from several threads: one generation runs at a time, the others wait. PEFT's
    mixed batch would silently return wrong text if two ran at once.
    """

    def __init__(self, backbone: Backbone, model: Any, adapters: dict[str, AdapterInfo]) -> None:
        self.backbone_name = backbone.name
        self.backbone_revision = backbone.revision
        self.adapters = adapters
        self.device = str(next(model.parameters()).device)
        self.dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
        self._backbone = backbone
        self._model = model
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}
        for name, info in adapters.items():
            if name in tasks.TASKS:
                try:
                    self._tasks[name] = tasks.for_run(tasks.get_task(name), info.run)
                except (AttributeError, TypeError, ValueError) as error:
                    raise ModelError(
                        f"The run record of the adapter {info.label} cannot be used: "
                        f"{one_line(error)}."
                    ) from error
        for name, task in self._tasks.items():
            if task.decoding.lexicon and backbone.lexicon is None:
                raise ModelError(
                    f"The adapter {adapters[name].label} writes by a lexicon, and the backbone "
                    f"{backbone.name} has no {LEXICON}: fetch the backbone again."
                )
            if task.decoding.flag and token_ids(backbone.tokenizer) is None:
                raise ModelError(
                    f"The adapter {adapters[name].label} begins with a flag, and the backbone "
                    f"{backbone.name} has no token for it: name the backbone it was trained on."
                )

    @classmethod
    def load(
        cls,
        backbone: str = "models/base",
        adapters: Mapping[str, str] | None = None,
        device: str = "auto",
        dtype: str = "auto",
        threads: int | None = None,
    ) -> Engine:
        """Load a base model once and put every adapter on it.

        Args:
            backbone: folder, or owner/name@revision on the Hub.
            adapters: task name -> the same; default: the task's own adapter, for all tasks.
            device: "auto", "cpu" or "cuda".
            dtype: "auto" (bfloat16 on CUDA, else float32), "float32" or "bfloat16".
            threads: of the CPU; None or 0 is one for each physical core, unless OMP_NUM_THREADS
                says otherwise.

        Raises:
            ModelError: anything that cannot be loaded, in one sentence.
        """
        if adapters is None:
            adapters = {task.name: task.adapter for task in tasks.TASKS.values()}
        for name in adapters:
            tasks.get_task(name)
        return computed(cls._load, backbone, adapters, device, dtype, threads)

    @classmethod
    def _load(
        cls,
        backbone: str,
        adapters: Mapping[str, str],
        device: str,
        dtype: str,
        threads: int | None,
    ) -> Engine:
        _set_threads(threads)
        loaded = load_backbone(backbone, device, dtype)
        model, infos = load_adapters(loaded, adapters)
        fuse_activations(model)
        slice_mixed_batches(model)
        return cls(loaded, model, infos)

    def task(self, name: str) -> Task:
        """A task as its adapter was trained on it: prompt, limits, default decoding.

        Raises UnknownTask, or ModelError where the task has no adapter loaded.
        """
        tasks.get_task(name)
        if name not in self._tasks:
            loaded = ", ".join(self._tasks) or "none"
            raise ModelError(f"No adapter is loaded for the task {name!r} (loaded: {loaded}).")
        return self._tasks[name]

    def set_windows(self, name: str, words: int | None) -> None:
        """Read a task's texts in windows of about so many words from now on; None: whole."""
        self._tasks[name] = replace(self.task(name), window_words=words)

    def record(self, task: str) -> dict[str, Any]:
        """What text of this task is made with: weights by hash, device, dtype and versions.

        versions.summarizer is of the modules that write text: with other ones they may write another.
        adapter_sha256 is of the file's bytes, backbone_sha256 as `weights_sha256` defines it: the
        forms that run.json keeps.
        """
        import peft
        import torch
        import transformers

        info, described = self.adapters[task], self.task(task)
        windows = {"window_words": described.window_words} if described.window_words else {}
        return {
            "task": task,
            "backbone": self.backbone_name,
            "backbone_revision": self.backbone_revision,
            "backbone_sha256": weights_sha256(self._backbone.path),
            "adapter": info.path,
            "adapter_revision": info.revision,
            "adapter_sha256": file_sha256(Path(info.path) / ADAPTER_WEIGHTS),
            "prompt": described.prompt,
            "max_input_tokens": described.max_input_tokens,
            **windows,
            "device": self.device,
            "dtype": self.dtype,
            "versions": {
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "peft": peft.__version__,
                "summarizer": code_sha256()[:16],
            },
        }

    def stream(
        self,
        task: str,
        text: str,
        *,
        section: str | None = None,
        decoding: Decoding | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[Pair]:
        """Both columns as they grow; the last Pair is final.

        Partial text comes after every step; a slow consumer is handed the newest. Greedily it
        only grows; of beams it is the text that leads so far, whose words may still change.
        Setting `cancel`, or closing the iterator, stops both columns within a step.

        Raises:
            UnknownTask, InputError, ModelError: one sentence each, before anything is generated.
        """
        segment = self.task(task).segment or "section"
        request = self._prepare(task, {"input": text, segment: section}, decoding)
        return self._stream(task, request, cancel or threading.Event())

    def run(
        self,
        task: str,
        text: str,
        *,
        section: str | None = None,
        decoding: Decoding | None = None,
        cancel: threading.Event | None = None,
    ) -> Pair:
        """Both columns, finished. Arguments and errors as `stream`."""
        pair = None
        for pair in self.stream(task, text, section=section, decoding=decoding, cancel=cancel):
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
        """Both columns of many rows, in real batches of similar length, longest first.

        Yields (index of the row, its Pair), batch by batch, not in the rows' order; the text is
        that of `run`. A column not in `systems` is empty. Stops early when `cancel` is set. The
        lock is free between batches, so single requests are not held up for long.

        Args:
            rows: each with `input` and, where the task has sections, `section`.
            batch_size: rows a batch.

        Raises:
            UnknownTask, InputError (names the row), ModelError: before anything is generated.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}.")
        if not systems or set(systems) - set(SYSTEMS):
            raise ValueError(f"systems must be of {', '.join(SYSTEMS)}, not {tuple(systems)}.")
        requests = []
        for index, row in enumerate(rows):
            try:
                requests.append(self._prepare(task, row, decoding))
            except InputError as error:
                raise InputError(f"Row {index + 1}: {error}") from None
        return self._batch(task, requests, batch_size, cancel or threading.Event(), tuple(systems))

    # --- from a text to what the model is given ---------------------------------------------

    def _prepare(self, name: str, row: Mapping[str, Any], decoding: Decoding | None) -> _Request:
        task = self.task(name)
        decoding, limit = within_positions(
            self._backbone, decoding or task.decoding, task.max_input_tokens
        )
        return _Request(read(self._backbone, task, row, limit), decoding)

    # --- one text, streaming ----------------------------------------------------------------

    def _stream(self, task: str, request: _Request, cancel: threading.Event) -> Iterator[Pair]:
        columns = _Columns(self._backbone, request, self.task(task).output_style)
        if not self._take_lock(cancel):
            yield columns.final([[]] * 2 * len(request.rows), ())
            return
        # From here on the compute thread frees the lock, however the consumer fares: a slow browser
        # must not hold up the next request.
        abandoned = threading.Event()
        arrivals: queue.SimpleQueue[_Arrival] = queue.SimpleQueue()
        columns.started = time.perf_counter()
        try:
            work = submit(self._work, task, request, arrivals, (cancel, abandoned))
        except BaseException:
            self._lock.release()
            raise
        try:
            while True:
                for arrival in _waiting(arrivals):
                    if arrival.error is not None:
                        raise arrival.error
                    if arrival.rows is not None:
                        yield columns.final(arrival.rows, arrival.whole)
                        return
                    columns.add(arrival)
                yield columns.growing()
        finally:
            abandoned.set()
            wait([work])

    def _take_lock(self, cancel: threading.Event) -> bool:
        """Wait for the model; False when the wait was cancelled."""
        while not cancel.is_set():
            if self._lock.acquire(timeout=0.05):
                return True
        return False

    def _work(
        self,
        task: str,
        request: _Request,
        arrivals: queue.SimpleQueue[_Arrival],
        stops: tuple[threading.Event, ...],
    ) -> None:
        """Generate both columns, in the compute thread. Frees the lock that `_stream` took."""
        try:
            passes = [SYSTEMS] if self.adapters[task].mixes else [(one,) for one in SYSTEMS]
            rows: list[list[int]] = []
            whole: tuple[str, ...] = ()
            for systems in passes:
                rows += self._generate(
                    task, systems, [request.rows], request.decoding, stops, arrivals
                )
                if not _stop_asked(stops):
                    whole += systems
            last = _Arrival(rows=rows, whole=whole)
        except BaseException as error:  # noqa: BLE001 - it is raised in the consumer's thread
            last = _Arrival(error=error)
        finally:
            self._lock.release()
        arrivals.put(last)

    # --- many texts -------------------------------------------------------------------------

    def _batch(
        self,
        task: str,
        requests: list[_Request],
        batch_size: int,
        cancel: threading.Event,
        systems: tuple[str, ...],
    ) -> Iterator[tuple[int, Pair]]:
        style = self.task(task).output_style
        for places in batches([sum(map(len, one.rows)) for one in requests], batch_size):
            chunk = [requests[place] for place in places]
            texts = [request.rows for request in chunk]
            together = self.adapters[task].mixes and sum(map(len, texts)) <= _MIXED_ROWS
            passes = [systems] if together else [(system,) for system in systems]
            found = {system: [Summary("", 0, 0.0, "stopped")] * len(chunk) for system in SYSTEMS}
            for columns in passes:
                if not self._take_lock(cancel):
                    return
                started = time.perf_counter()
                abandoned = threading.Event()
                try:
                    rows = computed(
                        self._generate,
                        task,
                        columns,
                        texts,
                        chunk[0].decoding,  # of one task and one call: the same for all
                        (cancel, abandoned),
                    )
                finally:
                    abandoned.set()  # an interrupt ends the wait, and is to end the work as well
                    self._lock.release()
                if cancel.is_set():
                    return
                seconds = time.perf_counter() - started
                made = iter(rows)
                for system in columns:
                    found[system] = [
                        self._summary(request, [next(made) for _ in request.rows], seconds, style)
                        for request in chunk
                    ]
            for place, request, base, lora in zip(
                places, chunk, found["base"], found["lora"], strict=True
            ):
                yield place, request.pair(base, lora)

    def _summary(
        self, request: _Request, rows: list[list[int]], seconds: float, style: str
    ) -> Summary:
        found = [until_end(row, self._backbone.ends) for row in rows]
        text = joined(texts_of(self._backbone, rows, request.rows, request.decoding), style)
        finish = "end" if all(ended for _, ended in found) else "length"
        return Summary(text, sum(len(tokens) for tokens, _ in found), seconds, finish)

    # --- the one place that runs the model --------------------------------------------------

    def _generate(
        self,
        task: str,
        systems: Sequence[str],
        texts: list[list[list[int]]],
        decoding: Decoding,
        stops: tuple[threading.Event, ...],
        arrivals: queue.SimpleQueue[_Arrival] | None = None,
    ) -> list[list[int]]:
        """New tokens of each row, end marks and padding included; none, stopped while it read.

        The lock must be held.

        texts: each with the token ids of its windows. The rows are all windows by the first of the
        systems ("base", "lora"), then all by the next. arrivals: where every step is put.
        """
        import torch
        from transformers import StoppingCriteriaList

        prompts = [window for windows in texts for window in windows]
        rows = [(system, place) for system in systems for place in range(len(prompts))]
        input_ids, attention_mask = self._backbone.pad(prompts * len(systems))
        # num_beams is a direct argument, or PEFT does not see it
        settings = generate_arguments(
            decoding,
            self._backbone.ends,
            prompts * len(systems),
            self._backbone.lexicon if decoding.lexicon else None,
            self._backbone.tokenizer,
            [len(windows) for windows in texts] * len(systems),
        )
        given = input_ids.shape[1] if self._backbone.kind == "causal" else 1
        criteria = [_stop_criterion(stops)]
        if arrivals is not None:
            if decoding.num_beams == 1:
                settings["streamer"] = _streamer(rows, arrivals)
            else:
                criteria.append(_leading(rows, given, arrivals))
        settings["stopping_criteria"] = StoppingCriteriaList(criteria)
        mixed = "base" in systems and self.adapters[task].mixes
        if mixed or "lora" not in systems:
            settings["adapter_names"] = [_BASE if name == "base" else task for name, _ in rows]
        else:
            self._model.set_adapter(task, inference_mode=True)
        try:
            with torch.inference_mode(), self._reading_stopped(stops):
                output = self._model.generate(
                    input_ids=input_ids, attention_mask=attention_mask, **settings
                )
        except _Stopped:
            return [[] for _ in rows]
        except (MemoryError, torch.OutOfMemoryError):
            raise ModelError(
                "There is not enough memory for this text: use a smaller batch, fewer beams or "
                "a shorter text."
            ) from None
        finally:
            sweep_hooks(self._model)
        return output[:, given:].tolist()

    @contextlib.contextmanager
    def _reading_stopped(self, stops: tuple[threading.Event, ...]) -> Iterator[None]:
        """Between two layers of an encoder a stop raises _Stopped: generation asks for none there.

        A visit of 60 windows is read in one pass, which on two cores takes as long as many words.
        """

        def ask(*_: Any) -> None:
            if _stop_asked(stops):
                raise _Stopped

        hooks = []
        if self._backbone.kind != "causal":
            from torch.nn import ModuleList

            for group in self._model.get_base_model().get_encoder().modules():
                if isinstance(group, ModuleList):
                    hooks += [layer.register_forward_pre_hook(ask) for layer in group]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


class _Stopped(Exception):
    """A stop was asked for before the first word."""


@dataclass(frozen=True)
class _Request:
    """One text as the model is given it, and how it is to write."""

    reading: Reading
    decoding: Decoding

    @property
    def rows(self) -> list[list[int]]:
        return self.reading.rows

    def pair(self, base: Summary, lora: Summary) -> Pair:
        read, windows = self.reading, len(self.rows)
        return Pair(base, lora, read.cut, self.decoding, read.prompt, windows, read.left_out)


@dataclass(frozen=True)
class _Arrival:
    """From the worker to the consumer: a step's new tokens, the end, or an error.

    tokens: by system and window. leading: of beams, all tokens of the likeliest one so far. whole:
    with `rows`, the systems that no stop cut short.
    """

    tokens: Mapping[tuple[str, int], int] = field(default_factory=dict)
    leading: Mapping[tuple[str, int], list[int]] = field(default_factory=dict)
    time: float = 0.0
    rows: list[list[int]] | None = None
    whole: tuple[str, ...] = ()
    error: BaseException | None = None


class _Columns:
    """Both columns of one request while they grow. Lives in the consumer's thread."""

    def __init__(self, backbone: Backbone, request: _Request, style: str) -> None:
        self.started = time.perf_counter()
        self._backbone = backbone
        self._request = request
        self._style = style
        # by system and window
        self._rows = [(one, place) for one in SYSTEMS for place in range(len(request.rows))]
        self._tokens: dict[tuple[str, int], list[int]] = {row: [] for row in self._rows}
        self._ended: dict[tuple[str, int], float] = {}  # seconds, once the end mark has come
        self._found: set[tuple[str, int]] = set()  # a beam of it has ended, others are searched

    def add(self, arrival: _Arrival) -> None:
        for row, token in arrival.tokens.items():
            if row in self._ended:
                continue  # padding behind the end
            if token in self._backbone.ends:
                self._ended[row] = arrival.time - self.started
            else:
                self._tokens[row].append(token)
        for row, tokens in arrival.leading.items():
            shown, ended = until_end(tokens, self._backbone.ends)
            # What has ended stays until another one has that took its lead: the rest goes on behind it.
            if ended or row not in self._found:
                self._tokens[row] = shown
            if ended:
                self._found.add(row)

    def growing(self) -> Pair:
        return self._pair(dict.fromkeys(SYSTEMS, "running"))

    def final(self, rows: list[list[int]], whole: Sequence[str]) -> Pair:
        for row, made in zip(self._rows, rows, strict=True):
            self._tokens[row], ended = until_end(made, self._backbone.ends)
            if ended:
                self._ended.setdefault(row, time.perf_counter() - self.started)
        return self._pair({one: "length" if one in whole else "stopped" for one in SYSTEMS})

    def _pair(self, unended: Mapping[str, str]) -> Pair:
        now = time.perf_counter() - self.started
        base, lora = (self._column(system, now, unended[system]) for system in SYSTEMS)
        return self._request.pair(base, lora)

    def _column(self, system: str, now: float, unended: str) -> Summary:
        rows = [row for row in self._rows if row[0] == system]
        ended = all(row in self._ended for row in rows)
        texts = [
            _cut_text(self._backbone, self._request.decoding, prompt, self._tokens[row])
            if unended == "length" and row not in self._ended
            else self._backbone.text_of(self._tokens[row])
            for row, prompt in zip(rows, self._request.rows, strict=True)
        ]
        return Summary(
            joined(texts, self._style),
            sum(len(self._tokens[row]) for row in rows),
            max(self._ended[row] for row in rows) if ended else now,
            "end" if ended else unended,
        )


def texts_of(
    backbone: Backbone,
    rows: Sequence[Sequence[int]],
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
) -> list[str]:
    """The text of each row of generated tokens, up to its end mark.

    prompts: the rows' token ids. Where the decoding keeps to real words, a row that the limit ended
    does not end in half a word.
    """
    texts = []
    for row, prompt in zip(rows, prompts, strict=True):
        tokens, ended = until_end(row, backbone.ends)
        if ended:
            texts.append(backbone.text_of(tokens))
        else:
            texts.append(_cut_text(backbone, decoding, prompt, tokens))
    return texts


def _cut_text(
    backbone: Backbone, decoding: Decoding, prompt: Sequence[int], tokens: Sequence[int]
) -> str:
    """The text of a row that the limit ended."""
    text = backbone.text_of(tokens)
    if not decoding.lexicon or backbone.lexicon is None:
        return text
    return backbone.lexicon.without_half_word(text, prompt)


def _waiting(arrivals: queue.SimpleQueue[_Arrival]) -> list[_Arrival]:
    """Everything that has arrived, after waiting a quarter of a second for the first of it."""
    found = []
    with contextlib.suppress(queue.Empty):
        found.append(arrivals.get(timeout=0.25))
        while True:
            found.append(arrivals.get_nowait())
    return found


def _streamer(rows: Sequence[tuple[str, int]], arrivals: queue.SimpleQueue[_Arrival]) -> Any:
    """A streamer that puts every step's tokens of all rows on a queue."""
    from transformers.generation.streamers import BaseStreamer

    class Streamer(BaseStreamer):
        prompt_seen = False

        def put(self, value: Any) -> None:
            if not self.prompt_seen:  # the first call brings the start mark, or the prompt
                self.prompt_seen = True
                return
            tokens = dict(zip(rows, value.tolist(), strict=True))
            arrivals.put(_Arrival(tokens, time=time.perf_counter()))

        def end(self) -> None:
            pass

    return Streamer()


def _leading(
    rows: Sequence[tuple[str, int]], given: int, arrivals: queue.SimpleQueue[_Arrival]
) -> Any:
    """What puts each row's leading beam on a queue at every step: a search takes no streamer.

    It is asked whether beams end, and stops none. given: tokens that stand before what is written.
    """
    import torch
    from transformers import StoppingCriteria

    class Leading(StoppingCriteria):
        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            # [rows x candidates, length], each row's likeliest first
            first = input_ids[:: len(input_ids) // len(rows), given:].tolist()
            leading = dict(zip(rows, first, strict=True))
            arrivals.put(_Arrival(leading=leading, time=time.perf_counter()))
            return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    return Leading()


def _stop_asked(stops: tuple[threading.Event, ...]) -> bool:
    return any(event.is_set() for event in stops)


def _stop_criterion(stops: tuple[threading.Event, ...]) -> Any:
    import torch
    from transformers import StoppingCriteria

    class StopOnEvent(StoppingCriteria):
        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            return torch.full((input_ids.shape[0],), _stop_asked(stops), device=input_ids.device)

    return StopOnEvent()


def sweep_hooks(model: Any) -> None:
    """Take off the hooks of PEFT's mixed batch that an exception inside `generate` leaves.

    Left there, they would give later batches this one's adapters.
    """
    for module in model.modules():
        hooks = module._forward_pre_hooks
        for key, hook in list(hooks.items()):
            function = getattr(hook, "func", hook)
            if getattr(function, "__name__", "") == "_adapter_names_pre_forward_hook":
                del hooks[key]
                module._forward_pre_hooks_with_kwargs.pop(key, None)


def batches(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Places of rows in batches of `size`, longest first; rows of one length keep their order.

    Longest first: what does not fit into memory fails at once, and the time left is not
    underestimated.
    """
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    return [order[start : start + size] for start in range(0, len(order), size)]


def until_end(row: Sequence[int], ends: frozenset[int]) -> tuple[list[int], bool]:
    """The tokens before the first end mark, and whether there was one."""
    for place, token in enumerate(row):
        if token in ends:
            return list(row[:place]), True
    return list(row), False


def _set_threads(threads: int | None) -> None:
    import os

    import torch

    if threads:
        torch.set_num_threads(threads)
    elif not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(cpu_cores())
