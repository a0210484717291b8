"""Trains one recipe: data, backbone, adapter, evaluation, run record.

Run as:
    python -m train.run radiology
    python -m train.run dialogue --lora_rank 32 --learning_rate 5e-4 --output_dir runs/try
    python -m train.run train/recipes/question.yaml --max_minutes 10

Any value of the recipe can be given as --key value. A run that is killed goes on when the same
command is given again, and ends with the adapter that it would have had. One line is printed for
every evaluation, and one line of JSON at the end.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from train.recipe import Recipe, RecipeError, field_names, load_recipe, parse_overrides

# Values that say where and how long, not what: a run may change them and go on.
_NOT_THE_RUN = ("output_dir", "run_dir", "notice", "max_minutes", "save_minutes", "logging_steps")


class RunError(RuntimeError):
    """A run that cannot start or go on; the message is one sentence that says what to do."""


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit status: 0, 1 bad input or failed run, 130 interrupted."""
    options, rest = _parser().parse_known_args(arguments)
    try:
        recipe = load_recipe(options.recipe, parse_overrides(rest))
        result = train(recipe, fresh=options.fresh)
    except (RecipeError, RunError, ValueError) as fault:
        if not _worded_for_the_user(fault):
            raise
        print(f"error: {fault}", file=sys.stderr)
        return 1
    if result is None:
        return 130
    print(json.dumps(result), flush=True)
    return 0


def train(recipe: Recipe, *, fresh: bool = False) -> dict[str, Any] | None:
    """Train a recipe from its data to its adapter folder.

    Args:
        fresh: leave an unfinished run of this recipe aside and start over.

    Returns:
        What was made: `output_dir`, `selected`, `scores`, `steps`, `seconds`; None if the run was
        interrupted and can go on.

    Raises:
        RecipeError, DataError, RunError: with one sentence for the person who started it.
    """
    from train.data import load_train, load_validation, tokenise
    from train.model import load_backbone, load_tokenizer, with_adapter
    from train.trainer import AdapterTrainer

    recipe = resolve(recipe)
    if recipe.notice:
        print(recipe.notice, flush=True)
    run_dir = _open_run_dir(recipe, fresh)

    tokenizer = load_tokenizer(recipe)
    rows, validation_rows = load_train(recipe), load_validation(recipe)
    data = tokenise(recipe, rows, tokenizer)
    _tell_data(recipe, rows, validation_rows, data)

    backbone = load_backbone(recipe)
    model = with_adapter(recipe, backbone)
    trainer = AdapterTrainer(recipe, model, tokenizer, data, validation_rows, run_dir)
    _tell_start(recipe, model, trainer)

    with _Interrupts(trainer):
        trainer.run()
    if trainer.interrupted:
        print(
            f"Interrupted at step {trainer.state.global_step}; nothing is lost: "
            "the same command goes on from there.",
            flush=True,
        )
        return None
    return _finish(recipe, trainer, rows, validation_rows, run_dir)


def resolve(recipe: Recipe) -> Recipe:
    """The recipe with the task's values where it names none, as run.json carries it."""
    from train.data import task_of

    task = task_of(recipe)
    decoding = dataclasses.replace(recipe.decoding, **task.decoding.to_dict())
    return dataclasses.replace(
        recipe,
        prompt=task.prompt,
        prompt_without_section=task.prompt_without_section,
        max_input_tokens=task.max_input_tokens,
        max_target_tokens=recipe.max_target_tokens or task.decoding.max_new_tokens,
        decoding=decoding,
    )


# --- before ------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train.run",
        description="Train an adapter from a recipe.",
        epilog="Any value of the recipe, as --key value: " + ", ".join(sorted(field_names())),
        allow_abbrev=False,
    )
    parser.add_argument("recipe", help="a name in train/recipes, or a path to a .yaml file")
    parser.add_argument("--fresh", action="store_true", help="start over, not where a run stopped")
    return parser


def _open_run_dir(recipe: Recipe, fresh: bool) -> Path:
    """The folder of checkpoints, refused if it holds those of another recipe."""
    run_dir = Path(recipe.run_dir)
    if Path(recipe.output_dir).resolve() in (run_dir.resolve(), *run_dir.resolve().parents):
        raise RunError("run_dir must not lie in output_dir: checkpoints are no part of an adapter.")
    record = run_dir / "recipe.json"
    wanted = _identity(recipe)
    if fresh:
        shutil.rmtree(run_dir, ignore_errors=True)
    elif record.is_file():
        held = json.loads(record.read_text(encoding="utf-8"))
        different = sorted(key for key in wanted if held.get(key) != wanted[key])
        if different and any(run_dir.glob("checkpoint-*")):
            key = different[0]
            raise RunError(
                f"{run_dir} holds checkpoints of another recipe ({key} is {held.get(key)} there, "
                f"{wanted[key]} here): add --fresh to start over, or name another --run_dir."
            )
        if different:
            shutil.rmtree(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    write_json(record, wanted)
    return run_dir


def _identity(recipe: Recipe) -> dict[str, Any]:
    """What makes two runs the same run, flat: dotted key -> value."""
    flat: dict[str, Any] = {}

    def walk(values: dict[str, Any], prefix: str) -> None:
        for key, value in values.items():
            if isinstance(value, dict) and key in {"adapter", "data", "training", "evaluation"}:
                walk(value, f"{key}.")
            elif key not in _NOT_THE_RUN:
                flat[prefix + key] = value

    walk(json.loads(json.dumps(recipe.to_dict())), "")
    return flat


def _tell_data(recipe: Recipe, rows: Any, validation: Any, data: Any) -> None:
    dropped = ", ".join(f"{count} {rule}" for rule, count in sorted(rows.dropped.items()))
    print(
        f"{len(data.examples)} training rows, {len(validation.rows)} validation rows"
        + (f"; left out: {dropped}" if dropped else ""),
        flush=True,
    )
    if data.truncated:
        print(
            f"{data.truncated} training inputs are longer than max_input_tokens "
            f"{recipe.max_input_tokens}: their ends are not read.",
            flush=True,
        )
    if data.long_targets:
        what = "dropped" if recipe.data.long_targets == "drop" else "cut, with no end mark"
        print(
            f"{data.long_targets} training targets are longer than max_target_tokens "
            f"{recipe.max_target_tokens}: {what}.",
            flush=True,
        )


def _tell_start(recipe: Recipe, model: Any, trainer: Any) -> None:
    from train.model import count_parameters

    trainable, total = count_parameters(model)
    print(
        f"{recipe.name}: {trainable:,} of {total:,} parameters are trained "
        f"({100 * trainable / total:.2f}%), {trainer.total_steps} steps "
        f"({trainer.plan.steps_per_epoch} an epoch), on {trainer.args.device}",
        flush=True,
    )


class _Interrupts:
    """Ctrl+C and SIGTERM end the step, save a checkpoint and stop; a second Ctrl+C stops at once."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def __enter__(self) -> None:
        self.old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in self.old:
            signal.signal(number, self._ask)

    def __exit__(self, *_: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _frame: object) -> None:
        if self.trainer.interrupted:
            raise KeyboardInterrupt
        self.trainer.interrupted = True


# --- after -------------------------------------------------------------------------------------


def _finish(
    recipe: Recipe, trainer: Any, rows: Any, validation: Any, run_dir: Path
) -> dict[str, Any]:
    """Put the best adapter, its run record and its curve in the output folder, in one move."""
    from train.data import file_sha256
    from train.report import draw_curve, versions

    best = trainer.best_dir
    output = Path(recipe.output_dir)
    output.parent.mkdir(parents=True, exist_ok=True)
    staged = output.parent / f".{output.name}.{os.getpid()}.new"
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(best, staged)
    selected = trainer.progress["best"]
    from train.model import base_record, count_parameters

    trainable, total = count_parameters(trainer.model)
    weights = staged / "adapter_model.safetensors"
    record = {
        "recipe": recipe.to_dict(),
        "data": {
            "train": {"files": rows.files, "rows": len(rows.rows), "dropped": dict(rows.dropped)},
            "validation": {"files": validation.files, "rows": len(validation.rows)},
        },
        "versions": versions(),
        "seed": recipe.seed,
        "device": trainer.device_name,
        "curve": trainer.progress["curve"],
        "seconds": round(trainer.progress["seconds"], 1),
        "steps": trainer.state.global_step,
        "tokens": trainer.progress["tokens"],
        "tokens_per_second": round(
            trainer.progress["tokens"] / max(trainer.progress["training_seconds"], 1e-9), 1
        ),
        "peak_memory_bytes": trainer.peak_memory(),
        "trainable_parameters": trainable,
        "parameters": total,
        "base": base_record(recipe),
        "selected": {key: selected[key] for key in ("step", "metric", "value")},
        "validation_scores": selected["scores"],
        "adapter_sha256": file_sha256(weights) if weights.is_file() else None,
    }
    write_json(staged / "run.json", record)
    draw_curve(record["curve"], recipe, staged / "curve.png")
    replace_folder(staged, output)
    for checkpoint in run_dir.glob("checkpoint-*"):
        shutil.rmtree(checkpoint, ignore_errors=True)
    for folder in run_dir.glob("best-*"):
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "recipe": recipe.name,
        "output_dir": recipe.output_dir,
        "selected": record["selected"],
        "scores": selected["scores"],
        "steps": record["steps"],
        "seconds": record["seconds"],
        "tokens_per_second": record["tokens_per_second"],
        "adapter_sha256": record["adapter_sha256"],
    }


def replace_folder(staged: Path, target: Path) -> None:
    """Put `staged` where `target` is; at every moment one of the two is whole."""
    old = target.parent / f".{target.name}.{os.getpid()}.old"
    if target.exists():
        target.rename(old)
    staged.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file so that a kill leaves the old one or the new one."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    staged.write_text(
        json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n", encoding="utf-8"
    )
    staged.replace(path)


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _worded_for_the_user(fault: Exception) -> bool:
    from train.data import DataError

    return isinstance(fault, (RecipeError, RunError, DataError))


if __name__ == "__main__":
    sys.exit(main())
