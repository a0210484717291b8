"""How fast `eval.predict` writes both columns, against the loop that the published runs used.

The loop: two models in memory, the base and the base with its adapter, rows one by one, first all
of the base's, then all of the adapter's. Ours: one model, real batches of similar length. The same
rows, tokens and decoding; the texts are compared and must be identical.

Run as:
    python -m eval.speed models/radiology --data test.jsonl --rows 1000
    python -m eval.speed models/radiology            # the task's examples, as often as need be
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from eval.predict import Request, add_model_options, request_of, run_command, with_workers
from eval.rows import DataError, Row, check_task, read_rows
from eval.workers import Workers


@dataclass(frozen=True)
class Timing:
    """Seconds on the clock and of the processor, and the texts that were written."""

    wall: float
    cpu: float
    texts: dict[str, list[str]]


def row_by_row(request: Request, adapter: str, rows: Sequence[Row]) -> Timing:
    """Two separately loaded models, one row at a time, as the published notebooks did it."""
    import torch
    from peft import PeftModel

    from summarizer.backbone import generate_arguments, load_backbone, resolve
    from summarizer.generate import texts_of
    from summarizer.reading import read, within_positions
    from summarizer.windows import joined

    task, decoding = _task_of(request, adapter)
    backbones = [load_backbone(request.backbone, request.device, request.dtype) for _ in range(2)]
    decoding, limit = within_positions(backbones[0], decoding, task.max_input_tokens)
    adapted = PeftModel.from_pretrained(
        backbones[1].model, resolve(adapter, "adapter")[0], autocast_adapter_dtype=False
    )
    adapted.to(backbones[1].model.dtype).eval()
    texts: dict[str, list[str]] = {}
    wall, cpu = time.perf_counter(), time.process_time()
    for name, backbone, model in (
        ("base", backbones[0], backbones[0].model),
        ("lora", backbones[1], adapted),
    ):
        texts[name] = []
        for row in rows:
            prompts = read(backbone, task, row, limit).rows
            ids, mask = backbone.pad(prompts)
            settings = generate_arguments(
                decoding,
                backbone.ends,
                prompts,
                backbone.lexicon,
                backbone.tokenizer,
                [len(prompts)],
            )
            with torch.inference_mode():
                output = model.generate(input_ids=ids, attention_mask=mask, **settings)
            given = ids.shape[1] if backbone.kind == "causal" else 1
            parts = texts_of(backbone, output[:, given:].tolist(), prompts, decoding)
            texts[name].append(joined(parts, task.output_style))
    return Timing(time.perf_counter() - wall, time.process_time() - cpu, texts)


def in_batches(request: Request, adapter: str, rows: Sequence[Row]) -> Timing:
    """What `eval.predict` does, without its files."""
    from eval.systems import EngineWriter

    names = {"base": "base", "lora": "lora"}
    make = partial(
        EngineWriter,
        adapter,
        request.task,
        names,
        backbone=request.backbone,
        device=request.device,
        dtype=request.dtype,
        decoding=request.decoding,
    )
    writer = with_workers(make, request, len(rows))
    texts: dict[str, list[str]] = {name: [""] * len(rows) for name in names}
    wall, cpu = time.perf_counter(), _processor_time(writer)
    try:
        for batch in writer.write(rows, tuple(names), request.batch_size):
            for place, written in batch:
                for name, text in written.items():
                    texts[name][place] = text.text
        return Timing(time.perf_counter() - wall, _processor_time(writer) - cpu, texts)
    finally:
        if isinstance(writer, Workers):
            writer.close()


def _processor_time(writer: Any) -> float:
    """Seconds of this process, and of the workers where there are some."""
    return time.process_time() + (writer.processor_time() if isinstance(writer, Workers) else 0)


def _task_of(request: Request, adapter: str) -> tuple[Any, Any]:
    """The task with the adapter's prompt and limits, and the decoding."""
    from dataclasses import replace

    from summarizer.backbone import resolve
    from summarizer.tasks import for_run, get_task

    record = resolve(adapter, "adapter")[0] / "run.json"
    run = json.loads(record.read_text()) if record.is_file() else None
    task = for_run(get_task(request.task), run)
    return task, replace(task.decoding, **(request.decoding or {}))


def _rows(arguments: argparse.Namespace, task: str) -> list[Row]:
    from summarizer.backbone import ROOT
    from summarizer.tasks import get_task

    path = Path(arguments.data) if arguments.data else ROOT / get_task(task).examples
    rows = read_rows(path)
    check_task(task, rows, path.name)
    repeats = -(-arguments.rows // len(rows))
    return (rows * repeats)[: arguments.rows]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m eval.speed", description="Time eval.predict against one row at a time."
    )
    parser.add_argument("adapter", metavar="ADAPTER")
    parser.add_argument("--data", metavar="FILE", help="default: the task's examples")
    parser.add_argument("--rows", type=int, default=100, metavar="N", help="default: %(default)s")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    add_model_options(parser)
    arguments = parser.parse_args(argv)

    def body() -> None:
        from summarizer.backbone import ADAPTER_WEIGHTS, file_sha256, resolve

        if arguments.rows < 1:
            raise DataError(f"--rows must be at least 1, not {arguments.rows}.")
        request = request_of(arguments, [arguments.adapter])
        rows = _rows(arguments, request.task)
        ours = in_batches(request, arguments.adapter, rows)
        loop = row_by_row(request, arguments.adapter, rows)
        again = in_batches(request, arguments.adapter, rows)
        found = {
            "adapter": arguments.adapter,
            "adapter_sha256": file_sha256(
                resolve(arguments.adapter, "adapter")[0] / ADAPTER_WEIGHTS
            ),
            **result(ours, loop, again, len(rows), request.batch_size),
        }
        print(table(found))
        if arguments.json:
            Path(arguments.json).parent.mkdir(parents=True, exist_ok=True)
            Path(arguments.json).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        if ours.texts != loop.texts:
            raise DataError("The texts differ: a speed with other text says nothing.")

    return run_command("eval.speed", body)


def result(ours: Timing, loop: Timing, again: Timing, rows: int, batch_size: int) -> dict[str, Any]:
    """The ratio, ours timed before and after the loop so that a busy machine does not favour it."""
    wall, cpu = (ours.wall + again.wall) / 2, (ours.cpu + again.cpu) / 2
    pairs = [
        (a, b)
        for name in ours.texts
        for a, b in zip(ours.texts[name], loop.texts[name], strict=True)
    ]
    same = sum(a == b for a, b in pairs)
    return {
        "rows": rows,
        "batch_size": batch_size,
        "loop": {"seconds": loop.wall, "processor": loop.cpu},
        "ours": {"seconds": wall, "processor": cpu, "runs": [ours.wall, again.wall]},
        "ratio": loop.wall / wall,
        "ratio_processor": loop.cpu / cpu,
        "texts": len(pairs),
        "identical": same,
    }


def table(found: dict[str, Any]) -> str:
    """What `result` found, to print."""
    ours, loop = found["ours"], found["loop"]
    return (
        f"{found['rows']} rows, base and LoRA, batches of at most {found['batch_size']}\n"
        f"one row at a time, two models: {loop['seconds']:.1f} s, "
        f"{loop['processor']:.1f} s of processor\n"
        f"eval.predict: {ours['seconds']:.1f} s ({ours['runs'][0]:.1f} and "
        f"{ours['runs'][1]:.1f}), {ours['processor']:.1f} s of processor\n"
        f"ratio: {found['ratio']:.1f} by the clock, "
        f"{found['ratio_processor']:.1f} by processor time\n"
        f"identical texts: {found['identical']} of {found['texts']}"
    )


if __name__ == "__main__":
    sys.exit(main())
