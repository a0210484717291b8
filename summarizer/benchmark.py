"""How fast both columns are, as ratios against the plain way, on the same machine and tokens.

The plain way is what the parts offer without this package: two separately loaded models, the base
and the base with one adapter (`PeftModel.from_pretrained`), run one after the other, row by row,
with `generate`. Both ways are given the same tokens and decoding, and must write the same text.

Run as: python -m summarizer benchmark
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from summarizer.backbone import ModelError, generate_arguments, load_adapters, load_backbone
from summarizer.compute import computed
from summarizer.generate import Engine, Pair, texts_of, until_end
from summarizer.tasks import Decoding, Task
from summarizer.text import sentences
from summarizer.windows import joined

# Findings of about 300 tokens, written for this benchmark.
REPORT = """\
Lungs: There is a spiculated nodule of 18 mm in the apical segment of the right upper lobe, \
previously 14 mm. A second nodule of 6 mm in the left lower lobe is unchanged. Mild \
centrilobular emphysema with an upper lobe predominance. No consolidation.
Pleura: Small right pleural effusion, new since the previous examination. No pneumothorax.
Mediastinum: An enlarged right paratracheal lymph node measures 15 mm in short axis. The heart \
is mildly enlarged, with calcification of the left anterior descending artery. No pericardial \
effusion. The thoracic aorta is of normal calibre. No central pulmonary embolism.
Liver: Several simple cysts, the largest 2.5 cm in segment VI. No suspicious lesion. The portal \
vein is patent.
Gallbladder: Contains two small stones, without wall thickening. The common bile duct is not dilated.
Kidneys: No hydronephrosis. A 4 mm stone in the lower pole of the left kidney.
Bones: Degenerative changes of the lumbar spine. An old compression fracture of L1, unchanged. No \
lytic or sclerotic lesion."""


def benchmark(
    task: Task,
    backbone: str,
    adapter: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    threads: int | None = None,
    section: str | None = None,
    num_beams: int | None = None,
    max_new_tokens: int | None = None,
    repeat: int = 5,
    rows: int = 8,
    text: str = REPORT,
) -> dict[str, Any]:
    """Time the engine against the plain way; medians in seconds, and their ratios.

    Args:
        repeat: timed runs of each way, alternating, after one that is not timed.
        rows: texts of different lengths in the batch that is timed too.

    Raises:
        ModelError: a model cannot be loaded, or the two ways write different text.
    """
    import torch

    engine = Engine.load(backbone, {task.name: adapter}, device, dtype, threads)
    changes = {"num_beams": num_beams, "max_new_tokens": max_new_tokens}
    decoding = replace(
        engine.task(task.name).decoding,
        **{name: value for name, value in changes.items() if value is not None},
    )
    # In the thread that the engine computes in: a second team of threads would slow down both.
    plain = computed(_Plain, backbone, adapter, task, device, dtype)
    # the input tokens of a text, and the decoding as the backbone's positions allow it
    given = engine._prepare(task.name, {"input": text, "section": section}, decoding)
    texts = _texts(text, rows)
    batch = [{"input": text, "section": section} for text in texts]

    def ours() -> tuple[list[str], float, float]:
        return _watch(engine.stream(task.name, text, section=section, decoding=decoding))

    def theirs() -> tuple[list[str], float, float]:
        return computed(plain.one, given.rows, given.decoding)

    def ours_batch() -> list[list[str]]:
        found = dict(engine.batch(task.name, batch, decoding=decoding, batch_size=rows))
        return [[found[place].base.text, found[place].lora.text] for place in range(rows)]

    def theirs_batch() -> list[list[str]]:
        prepared = [engine._prepare(task.name, row, decoding) for row in batch]
        return [computed(plain.one, row.rows, row.decoding)[0] for row in prepared]

    results: dict[str, list[tuple[list[str], float, float]]] = {"engine": [], "plain": []}
    for _ in range(repeat + 1):
        results["engine"].append(ours())
        results["plain"].append(theirs())
    _same(results["engine"][0][0], results["plain"][0][0])
    times = {
        (name, what): statistics.median(run[place] for run in runs[1:])
        for name, runs in results.items()
        for place, what in ((1, "first"), (2, "total"))
    }
    written = plain.written
    batch_texts, batch_times = {}, {}
    for name, way in (("engine", ours_batch), ("plain", theirs_batch)):
        batch_texts[name], batch_times[name] = _timed(way)
    for one, other in zip(batch_texts["engine"], batch_texts["plain"], strict=True):
        _same(one, other)

    measured = {
        "first words, both columns": (times["engine", "first"], times["plain", "first"]),
        "both columns done": (times["engine", "total"], times["plain", "total"]),
        f"batch of {rows} rows": (batch_times["engine"], batch_times["plain"]),
    }
    return {
        "task": task.name,
        "decoding": decoding.to_dict(),
        "backbone": engine.backbone_name,
        "adapter": adapter,
        "adapter_sha256": engine.record(task.name)["adapter_sha256"],
        "device": str(engine.device),
        "dtype": str(engine.dtype),
        "threads": torch.get_num_threads(),
        "tokens": {"input": sum(map(len, given.rows)), "base": written[0], "lora": written[1]},
        "repeat": repeat,
        "seconds": {
            label: {"engine": ours_time, "plain": theirs_time, "ratio": theirs_time / ours_time}
            for label, (ours_time, theirs_time) in measured.items()
        },
    }


def table(found: dict[str, Any]) -> str:
    """What `benchmark` found, to print."""
    how = _how(Decoding.from_dict(found["decoding"]))
    tokens = found["tokens"]
    lines = [
        f"{found['task']}, {how}: {found['backbone']} and {found['adapter']}; "
        f"{found['device']}, {found['dtype']}, {found['threads']} threads",
        f"{tokens['input']} tokens in; out: {tokens['base']} base, {tokens['lora']} LoRA",
        f"medians of {found['repeat']}; the text is the same both ways",
        "",
        f"{'seconds':<26}{'engine':>8}{'plain':>8}{'plain / engine':>17}",
    ]
    for label, row in found["seconds"].items():
        lines.append(f"{label:<26}{row['engine']:>8.2f}{row['plain']:>8.2f}{row['ratio']:>16.2f}x")
    return "\n".join(lines)


def _watch(stream: Any) -> tuple[list[str], float, float]:
    """Both texts of a stream, seconds until both had text, seconds in all."""
    started = time.perf_counter()
    first = None
    pair: Pair | None = None
    for pair in stream:
        if first is None and pair.base.tokens and pair.lora.tokens:
            first = time.perf_counter() - started
    assert pair is not None
    total = time.perf_counter() - started
    return [pair.base.text, pair.lora.text], total if first is None else first, total


class _Plain:
    """Two models loaded apart, run one after the other."""

    def __init__(self, backbone: str, adapter: str, task: Task, device: str, dtype: str) -> None:
        self._style = task.output_style
        self._backbone = load_backbone(backbone, device, dtype)
        self._tuned, _ = load_adapters(load_backbone(backbone, device, dtype), {task.name: adapter})
        self.written = (0, 0)  # tokens of the last run, base and LoRA

    def one(self, rows: list[list[int]], decoding: Decoding) -> tuple[list[str], float, float]:
        """Both texts, seconds until both had a first token, seconds in all.

        rows: the text's token ids, or those of its windows, which are one batch.
        """
        import torch
        from transformers import StoppingCriteriaList

        started = time.perf_counter()
        input_ids, mask = self._backbone.pad(rows)
        texts, written, first = [], [], 0.0
        for model in (self._backbone.model, self._tuned):
            clock = _FirstToken()
            settings = generate_arguments(
                decoding,
                self._backbone.ends,
                rows,
                self._backbone.lexicon,
                self._backbone.tokenizer,
                [len(rows)],
            )
            if decoding.num_beams == 1:
                settings["streamer"] = clock
            else:  # a search takes no streamer, and tells of its steps where it asks what has ended
                settings["stopping_criteria"] = StoppingCriteriaList([clock.searching()])
            with torch.inference_mode():
                output = model.generate(input_ids=input_ids, attention_mask=mask, **settings)
            start = input_ids.shape[1] if self._backbone.kind == "causal" else 1
            made = output[:, start:].tolist()
            told = texts_of(self._backbone, made, rows, decoding)
            texts.append(joined(told, self._style))
            written.append(sum(len(until_end(row, self._backbone.ends)[0]) for row in made))
            first = (clock.time or time.perf_counter()) - started
        self.written = (written[0], written[1])
        return texts, first, time.perf_counter() - started


class _FirstToken:
    """A streamer, or a stopping criterion, that notes when the first new token came."""

    def __init__(self) -> None:
        self.calls = 0
        self.time: float | None = None

    def put(self, value: Any) -> None:
        self.calls += 1
        if self.calls == 2:  # the first call brings what was given
            self.time = time.perf_counter()

    def end(self) -> None:
        pass

    def searching(self) -> Any:
        """What a search asks after each step whether texts have ended: none has."""
        import torch
        from transformers import StoppingCriteria

        clock = self

        class Criterion(StoppingCriteria):
            def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
                clock.time = clock.time or time.perf_counter()
                return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

        return Criterion()


def _timed(way: Callable[[], list[list[str]]]) -> tuple[list[list[str]], float]:
    started = time.perf_counter()
    return way(), time.perf_counter() - started


def _texts(text: str, rows: int) -> list[str]:
    """Texts of different lengths from one: its sentences, from different places on."""
    parts = sentences(text)
    return [
        " ".join(parts[row % len(parts) :][: 3 + row % max(1, len(parts) - 3)] or parts)
        for row in range(rows)
    ]


def _same(engine: Sequence[str], plain: Sequence[str]) -> None:
    for column, ours, theirs in zip(("base", "LoRA"), engine, plain, strict=True):
        if ours != theirs:
            raise ModelError(
                f"The {column} column's text is not that of the model run alone: {ours!r} against "
                f"{theirs!r}."
            )


def _how(decoding: Decoding) -> str:
    return "greedy" if decoding.num_beams == 1 else f"{decoding.num_beams} beams"
