r"""Trains one recipe: data, backbone, adapter, evaluation, run record.

Run as:
    python -m train.run radiology
    python -m train.run dialogue --lora_rank 32 --learning_rate 5e-4 --output_dir runs/try
    python -m train.run question-flan-t5-large --dry-run --price_per_hour 2.50
    accelerate launch -m train.run radiology-t5-small        # several GPUs
    accelerate launch --use_fsdp --fsdp_version 2 --fsdp_auto_wrap_policy TRANSFORMER_BASED_WRAP \
        -m train.run question-flan-t5-large                  # a model sharded over them

Any value of the recipe can be given as --key value. A run that is killed goes on when the same
command is given again, and ends with the adapter that it would have had. One line is printed for
every evaluation, and one line of JSON at the end.
"""

from __future__ import annotations

import argparse
import dataclasses
import errno
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from summarizer.tasks import get_task
from train.errors import RunError, UserError
from train.recipe import (
    DataFile,
    Recipe,
    check_installed,
    load_recipe,
    parse_overrides,
    recipe_names,
)
from train.strict import field_names

# Values that say where and how long, not what: a run may change them and go on.
PARTS = "parts.json"  # in the run folder: with how many epochs it went on, and from where
_NOT_THE_RUN = (
    "output_dir",
    "run_dir",
    "notice",
    "max_minutes",
    "save_minutes",
    "logging_steps",
    "use_wandb",
    "expected_rows",
    "mixed",  # plays its part after the last step
)


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit status: 0, 1 bad input or failed run, 130 interrupted."""
    options, rest = _parser().parse_known_args(arguments)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    try:
        recipe = load_recipe(options.recipe, parse_overrides(rest))
        if options.dry_run:
            from train.estimate import dry_run

            dry_run(recipe, gpu=options.gpu, price_per_hour=options.price_per_hour)
            return 0
        for one in each_cluster(recipe):
            result = train(one, fresh=options.fresh)
            if result is None:
                return 130
            if is_first_process():
                print(json.dumps(result), flush=True)
    except UserError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the first step, or a second time
        print("Interrupted; the same command goes on from what is saved.", flush=True)
        return 130
    except Exception as fault:
        if not is_full_disk(fault):
            raise
        print(
            f"error: No space is left on the disk of {recipe.run_dir} or {recipe.output_dir}: "
            "free some, and the same command goes on from the last checkpoint.",
            file=sys.stderr,
        )
        return 1
    return 0


def is_full_disk(fault: BaseException | None) -> bool:
    """Whether a fault says that there is no space left: each writer says it in its own way.

    torch's (inline_container) says only that a write failed; safetensors' quotes the system.
    """
    while fault is not None:
        if isinstance(fault, OSError) and fault.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if re.search(
            r"No space left|quota exceeded|file write failed|inline_container", str(fault)
        ):
            return True
        fault = fault.__cause__ or fault.__context__
    return False


def train(recipe: Recipe, *, fresh: bool = False) -> dict[str, Any] | None:
    """Train a recipe from its data to its adapter folder.

    Args:
        fresh: leave an unfinished run of this recipe aside and start over.

    Returns:
        What was made: `output_dir`, `selected`, `scores`, `steps`, `seconds`; None if the run was
        interrupted and can go on.

    Raises:
        UserError: with one sentence for the person who started it.
    """
    from train import model as backbone
    from train.data import load_train, load_validation
    from train.distill import check_teachers
    from train.policy import PolicyTrainer
    from train.tokens import tokenise
    from train.trainer import AdapterTrainer, telling_of_memory

    check_installed(recipe)
    backbone.check_init_from(recipe)
    check_teachers(recipe)
    recipe = resolve(recipe)
    say(recipe.notice)
    rows, validation = load_train(recipe), load_validation(recipe)

    with first_process_first():
        config = backbone.read_config(recipe, backbone.fetch_description(recipe))
    run_dir = open_run_dir(recipe, {"train": rows.files, "validation": validation.files}, fresh)
    with first_process_first():
        source = backbone.fetch_backbone(recipe)
    tokenizer = backbone.load_tokenizer(recipe, source)
    data = tokenise(recipe, rows, tokenizer)
    _tell_data(recipe, rows, validation, data)

    with telling_of_memory(recipe):
        model = backbone.load_backbone(recipe, source, config, tokenizer)
        _ask_teachers(recipe, model, data, tokenizer)
        model = backbone.with_adapter(recipe, model)
        kind = PolicyTrainer if recipe.policy.samples else AdapterTrainer
        trainer = kind(recipe, model, tokenizer, data, validation, run_dir, source.revision)
    _tell_start(recipe, model, trainer)
    with _Interrupts(trainer):
        trainer.run()
    if trainer.interrupted:
        saved = trainer.last_saved_step()
        say(
            f"Interrupted at step {trainer.state.global_step}; "
            + (
                "nothing is lost: the same command goes on from there."
                if saved == trainer.state.global_step
                else f"the same command goes on from step {saved}, the last that was saved."
            )
        )
        return None
    return _finish(recipe, trainer, rows, validation, source)


def resolve(recipe: Recipe) -> Recipe:
    """The recipe with the task's values where it names none, as run.json carries it."""
    from train.tokens import task_of

    task = task_of(recipe)
    return dataclasses.replace(
        recipe,
        prompt=task.prompt,
        prompt_without_section=task.prompt_without_section,
        max_input_tokens=task.max_input_tokens,
        max_target_tokens=recipe.max_target_tokens or task.decoding.max_new_tokens,
        decoding=dataclasses.replace(recipe.decoding, **task.decoding.to_dict()),
    )


def each_cluster(recipe: Recipe) -> list[Recipe]:
    """The recipe, or one for each cluster of style, each with folders of its own."""
    scaling = recipe.scaling
    if scaling.clusters is None:
        return [recipe]
    wanted = range(scaling.clusters) if scaling.cluster is None else [scaling.cluster]
    return [
        dataclasses.replace(
            recipe,
            scaling=dataclasses.replace(scaling, cluster=cluster),
            output_dir=f"{recipe.output_dir}-style{cluster}",
            run_dir=f"{recipe.run_dir}-style{cluster}",
        )
        for cluster in wanted
    ]


# --- before -------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    keys = ", ".join(sorted(field_names(Recipe)))
    parser = argparse.ArgumentParser(
        prog="python -m train.run",
        description=f"Train an adapter from a recipe. The recipes: {', '.join(recipe_names())}.",
        epilog=f"Any value of the recipe can be given as --key value. The keys: {keys}.",
        allow_abbrev=False,
    )
    parser.add_argument("recipe", help="a name in train/recipes, or a path to a .yaml file")
    parser.add_argument("--fresh", action="store_true", help="start over, not where a run stopped")
    parser.add_argument(
        "--dry-run",
        "--dry_run",
        action="store_true",
        help="print the resolved recipe, parameters, steps, memory, time and cost; train nothing",
    )
    parser.add_argument(
        "--gpu", default="h100", help="for --dry-run: h100, a100, l4, 4090, t4 (default: h100)"
    )
    parser.add_argument(
        "--price_per_hour",
        "--price-per-hour",
        type=float,
        default=2.5,
        help="for --dry-run, of a GPU (default: 2.5)",
    )
    return parser


def open_run_dir(
    recipe: Recipe, files: dict[str, list[dict[str, Any]]], fresh: bool = False
) -> Path:
    """The folder of checkpoints, refused if it holds those of another recipe or other data.

    Args:
        files: name, sha256 and rows of each split's files.

    Raises:
        RunError: checkpoints of another recipe, or a folder that cannot be written.
    """
    run_dir = Path(recipe.run_dir)
    if Path(recipe.output_dir).resolve() in (run_dir.resolve(), *run_dir.resolve().parents):
        raise RunError("run_dir must not lie in output_dir: checkpoints are no part of an adapter.")
    record = run_dir / "recipe.json"
    data = {
        f"{split} file {entry['name']}": entry["sha256"][:16]
        for split, entries in files.items()
        for entry in entries
    }
    wanted = _identity(recipe) | data
    if recipe.evaluation.max_rows or recipe.data.max_validation_rows or recipe.data.max_train_rows:
        # Those of an older version's were the first ones: its best is none of these rows.
        wanted["which of max_rows"] = "spread over each source's rows"
    with first_process_first():
        if not is_first_process():
            return run_dir
        if fresh:
            shutil.rmtree(run_dir, ignore_errors=True)
        elif record.is_file():
            held = json.loads(record.read_text(encoding="utf-8"))
            if "data.data_dir" in held:
                # what a recipe could not say yet when it was written was as it is by default
                held = _identity(Recipe(recipe.name, recipe.task)) | held
                held["decoding"] = get_task(recipe.task).decoding.to_dict() | held["decoding"]
                for key in ("data.train", "data.validation"):
                    held[key] = [dataclasses.asdict(DataFile("")) | file for file in held[key]]
                if not any(" file " in key for key in held):
                    held |= data  # written before files were recorded
            keys = held.keys() | wanted.keys()
            different = sorted(key for key in keys if held.get(key) != wanted.get(key))
            if different == ["training.num_epochs"] and any(run_dir.glob("checkpoint-*")):
                _note_part(run_dir, held, wanted)
            elif different and any(run_dir.glob("checkpoint-*")):
                key = different[0]
                key, there, here = _difference(key, held.get(key), wanted.get(key))
                raise RunError(
                    f"{run_dir} holds checkpoints of another recipe ({key} is {there} there, {here} "
                    "here): add --fresh to start over, or name another --run_dir."
                )
            elif different:
                shutil.rmtree(run_dir)
        _refuse_unwritable("run_dir", run_dir)
        _refuse_unwritable("output_dir", Path(recipe.output_dir))
        run_dir.mkdir(parents=True, exist_ok=True)
        write_json(record, wanted)
    return run_dir


def _difference(key: str, there: Any, here: Any) -> tuple[str, Any, Any]:
    """Where two values of a recipe first differ, inside of lists and mappings."""
    if isinstance(there, dict) and isinstance(here, dict):
        for name in {**there, **here}:
            if there.get(name) != here.get(name):
                return _difference(f"{key}.{name}", there.get(name), here.get(name))
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for place, (one, other) in enumerate(zip(there, here, strict=True)):
            if one != other:
                return _difference(f"{key}[{place}]", one, other)
    return key, there, here


def _refuse_unwritable(key: str, folder: Path) -> None:
    """Refuse a folder that cannot be made or written, before hours are spent on what goes there."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as fault:
        if fault.errno == errno.ENOSPC:
            raise
        raise RunError(f"{key} {folder} cannot be written: {fault.strerror}.") from None


def _note_part(run_dir: Path, held: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Remember that a run goes on with another number of epochs, and so on another schedule.

    A run may be made longer or shorter; the learning rate then follows the new schedule from the
    checkpoint on. run.json tells the parts, as one run of the last part's epochs differs a little.
    """
    path, key = run_dir / PARTS, "training.num_epochs"
    parts = json.loads(path.read_text()) if path.is_file() else [{"from": 0, key: held[key]}]
    steps = [int(folder.name.rpartition("-")[2]) for folder in run_dir.glob("checkpoint-*")]
    parts.append({"from": max(steps), key: wanted[key]})
    write_json(path, parts)
    say(f"Going on from step {max(steps)} with {wanted[key]} epochs instead of {held[key]}.")


def _identity(recipe: Recipe) -> dict[str, Any]:
    """What makes two runs the same run, flat: dotted key -> value."""
    flat: dict[str, Any] = {}
    sections = {
        "adapter",
        "data",
        "training",
        "distillation",
        "policy",
        "reward",
        "evaluation",
        "scaling",
    }

    def walk(values: dict[str, Any], prefix: str) -> None:
        for key, value in values.items():
            if isinstance(value, dict) and key in sections:
                walk(value, f"{key}.")
            elif key not in _NOT_THE_RUN and key != "prepare":
                flat[prefix + key] = value

    walk(json.loads(json.dumps(recipe.to_dict())), "")
    return flat


def _ask_teachers(recipe: Recipe, model: Any, data: Any, tokenizer: Any) -> None:
    """Put what the recipe's teachers say of each training row beside it."""
    teachers = recipe.distillation.teachers
    if not teachers:
        return
    from train.distill import ask

    say(f"Asking {len(teachers)} teachers what they say of the training rows ...")
    examples = [*data.examples, *(example for example in data.hidden if example is not None)]
    for example, told in zip(
        examples, ask(model, teachers, examples, tokenizer.pad_token_id), strict=True
    ):
        example.told = told


def _tell_data(recipe: Recipe, rows: Any, validation: Any, data: Any) -> None:
    dropped = ", ".join(f"{count} {rule}" for rule, count in sorted(rows.dropped.items()))
    say(
        f"{len(data.examples)} training rows, {len(validation.rows)} validation rows"
        + (f"; left out: {dropped}" if dropped else "")
    )
    if data.truncated:
        say(
            f"{data.truncated} training inputs are longer than max_input_tokens "
            f"{recipe.max_input_tokens}: their ends are not read."
        )
    if data.many_windows:
        say(
            f"{data.many_windows} training rows have more windows than most_windows "
            f"{recipe.policy.most_windows}: left out."
        )
    if data.long_targets:
        what = "dropped" if recipe.data.long_targets == "drop" else "cut, with no end mark"
        say(
            f"{data.long_targets} training targets are longer than max_target_tokens "
            f"{recipe.max_target_tokens}: {what}."
        )


def _tell_start(recipe: Recipe, model: Any, trainer: Any) -> None:
    from train.model import count_parameters

    trainable, total = count_parameters(model)
    say(
        f"{recipe.name}: {trainable:,} of {total:,} parameters are trained "
        f"({100 * trainable / total:.2f}%), {len(trainer.plan.steps)} steps "
        f"({trainer.plan.steps_per_epoch} an epoch), on {trainer.args.device}"
    )


class _Interrupts:
    """Ctrl+C and SIGTERM end the step, save a checkpoint and stop; a second one stops at once."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def __enter__(self) -> None:
        self.old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in self.old:
            signal.signal(number, self._ask)

    def __exit__(self, *_: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)

    def _ask(self, _number: int, _frame: object) -> None:
        if self.trainer.interrupted:
            raise KeyboardInterrupt
        self.trainer.interrupted = True


# --- after --------------------------------------------------------------------------------------


def _finish(
    recipe: Recipe, trainer: Any, rows: Any, validation: Any, source: Any
) -> dict[str, Any]:
    """Put the best adapter, its run record and its curve in the output folder, in one move."""
    from train.model import mix
    from train.report import draw_curve, run_record

    record = run_record(recipe, trainer, rows, validation, source)
    if (parts := Path(recipe.run_dir) / PARTS).is_file():
        record["parts"] = json.loads(parts.read_text())
    if is_first_process():
        output = Path(recipe.output_dir)
        output.parent.mkdir(parents=True, exist_ok=True)
        staged = output.parent / f".{output.name}.{os.getpid()}.new"
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(trainer.best_dir, staged)
        if recipe.adapter.mixed:
            record["adapter_sha256"] = mix(recipe, staged)
        write_json(staged / "run.json", record)
        draw_curve(record["curve"], recipe, staged / "curve.png")
        replace_folder(staged, output)
        for folder in (
            *trainer.run_dir.glob("checkpoint-*"),
            *trainer.run_dir.glob("best-*"),
        ):
            shutil.rmtree(folder, ignore_errors=True)
    return {
        "recipe": recipe.name,
        "output_dir": recipe.output_dir,
        "selected": record["selected"],
        "scores": record["validation_scores"],
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
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain)
    staged.write_text(text + "\n", encoding="utf-8")
    staged.replace(path)


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


# --- several processes --------------------------------------------------------------------------


def say(text: str | None) -> None:
    """One line on stdout, from the first process alone."""
    if text and is_first_process():
        print(text, flush=True)


def is_first_process() -> bool:
    """Whether this is the process that writes and speaks (accelerate sets RANK)."""
    return int(os.environ.get("RANK", 0)) == 0


def first_process_first() -> Any:
    """A context that the first process goes through before the others."""
    from contextlib import nullcontext

    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return nullcontext()
    from accelerate import PartialState

    return PartialState().main_process_first()


if __name__ == "__main__":
    sys.exit(main())
