r"""Learning from other adapters of the same backbone: what they say of a training row, and of texts.

Adapters that were trained differently err differently, and what they say together is often better
than what each of them says; an adapter that learns from it costs what one costs. Word by word, a
recipe names its teachers (`distillation`), and at each place of a row's answer the loss is against
the mean of their probabilities (Hinton et al. 2015, arXiv:1503.02531; Kim and Rush 2016,
arXiv:1606.07947). Text by text, they write the answers to inputs that have none:

    python -m train.distill RECIPE data/aux/reports-texts.jsonl data/aux/reports-told.jsonl

The teachers, the windows and the decoding are those of the recipe. Rows are written as they come;
the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from summarizer.backbone import ModelError, generate_arguments, load_adapters, load_backbone
from summarizer.generate import Engine, sweep_hooks
from summarizer.text import InputError
from train.errors import DataError, RecipeError, UserError
from train.jsonl import json_objects
from train.model import check_adapter
from train.recipe import Recipe, load_recipe, parse_overrides
from train.tokens import IGNORED, Example, Seq2SeqCollator

LIKELIEST = 32  # tokens kept at each place; the rest of the probability is shared out among them
BATCH = 64  # rows that a teacher is asked of at once


@dataclass(frozen=True)
class Told:
    """What teachers say of one answer: tokens (U, LIKELIEST) int32, shares of 1 float32."""

    tokens: np.ndarray
    shares: np.ndarray


def check_teachers(recipe: Recipe) -> None:
    """Refuse teachers that are not on this machine: PEFT would ask the Hub for them.

    Raises:
        RecipeError: no adapter's folder; the recipe that makes it is named where there is one.
    """
    for folder in recipe.distillation.teachers:
        check_adapter("distillation.teachers", folder)


# --- word by word -------------------------------------------------------------------------------


def ask(model: Any, teachers: Sequence[str], examples: Sequence[Example], pad: int) -> list[Told]:
    """The mean of the teachers' probabilities at each place of each example's answer.

    Args:
        model: the backbone, an encoder-decoder without an adapter; it is left as it was.
        teachers: adapter folders of this backbone.
        pad: the padding's token.

    Raises:
        RecipeError: an adapter that does not fit this backbone.
    """
    import torch
    from peft import PeftModel

    collate = Seq2SeqCollator(pad, model.config.decoder_start_token_id)
    order = sorted(range(len(examples)), key=lambda place: len(examples[place]), reverse=True)
    told: dict[int, Told] = {}
    training, trainable = model.training, [one.requires_grad for one in model.parameters()]
    names = [f"teacher{number}" for number in range(len(teachers))]
    adapted: Any = None
    for name, folder in zip(names, teachers, strict=True):
        try:
            if adapted is None:
                adapted = PeftModel.from_pretrained(model, folder, adapter_name=name)
            else:
                adapted.load_adapter(folder, adapter_name=name)
        except (OSError, ValueError, RuntimeError) as fault:
            first = str(fault).strip().split("\n")[0]
            raise RecipeError(f"distillation.teachers: {folder}: {first}") from None
    adapted.eval()
    with torch.no_grad():
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            batch = collate([[examples[place]] for place in places])
            batch = {key: value.to(model.device) for key, value in batch.items()}
            labels = batch.pop("labels")
            mean: Any = 0
            for name in names:
                adapted.set_adapter(name)
                with torch.autocast(model.device.type, dtype=torch.bfloat16):
                    logits = adapted(**batch, use_cache=False).logits
                mean = mean + logits.float().softmax(-1) / len(names)
            shares, tokens = mean.topk(min(LIKELIEST, mean.shape[-1]), dim=-1)
            shares = shares / shares.sum(-1, keepdim=True)
            lengths = (labels != IGNORED).sum(1).tolist()
            for row, (place, length) in enumerate(zip(places, lengths, strict=True)):
                told[place] = Told(
                    tokens[row, :length].to(torch.int32).cpu().numpy(),
                    shares[row, :length].cpu().numpy(),
                )
    adapted.unload()
    for one, was in zip(model.parameters(), trainable, strict=True):
        one.requires_grad_(was)
    model.train(training)
    return [told[place] for place in range(len(examples))]


def soft_loss(logits: Any, tokens: Any, shares: Any) -> Any:
    """Cross-entropy against the teachers' shares at each place: (places,) float32.

    Args:
        logits: (places, vocabulary). tokens, shares: (places, LIKELIEST).
    """
    return -(logits.float().log_softmax(-1).gather(1, tokens.long()) * shares).sum(-1)


# --- text by text -------------------------------------------------------------------------------


class Together(Engine):
    """An engine whose adapter column is written by several adapters together.

    At each step the next token is that of the mean of their log-probabilities, as the decoding
    then bends it. Only `batch` with systems=["lora"] is meant for it.
    """

    @classmethod
    def of(cls, backbone: str, task: str, teachers: Sequence[str]) -> Together:
        """The teachers on their backbone; the first one's record says how the task is read."""
        loaded = load_backbone(backbone)
        names = [task, *(f"{task}-{number}" for number in range(1, len(teachers)))]
        model, infos = load_adapters(loaded, dict(zip(names, teachers, strict=True)))
        engine = cls(loaded, model, infos)
        count = len(names)

        def mean(_module: Any, _inputs: Any, logits: Any) -> Any:
            rows = logits.shape[0] // count
            each = logits.float().log_softmax(-1).view(count, rows, *logits.shape[1:])
            return each.mean(0).repeat(count, *[1] * (logits.dim() - 1))

        model.get_base_model().get_output_embeddings().register_forward_hook(mean)
        return engine

    def _generate(
        self,
        task: str,
        systems: Sequence[str],
        texts: list[list[list[int]]],
        decoding: Any,
        stops: Any,
        arrivals: Any = None,
    ) -> list[list[int]]:
        import torch

        teachers = list(self.adapters)
        prompts = [window for windows in texts for window in windows]
        rows = prompts * len(teachers)
        input_ids, attention_mask = self._backbone.pad(rows)
        lexicon = self._backbone.lexicon if decoding.lexicon else None
        settings = generate_arguments(
            decoding,
            self._backbone.ends,
            rows,
            lexicon,
            self._backbone.tokenizer,
            [len(windows) for windows in texts] * len(teachers),
        )
        settings["adapter_names"] = [name for name in teachers for _ in prompts]
        try:
            with torch.inference_mode():
                output = self._model.generate(
                    input_ids=input_ids, attention_mask=attention_mask, **settings
                )
        finally:
            sweep_hooks(self._model)
        return output[: len(prompts), 1:].tolist()


def write(recipe: Recipe, source: Path, out: Path, batch_size: int = 16) -> int:
    """Answer each row of `source` with the recipe's teachers; rows without an answer are left out.

    Args:
        source, out: JSONL; a row has `id` and `input`, and is written with its `target`.

    Returns:
        How many rows were written.

    Raises:
        UserError: no teachers; a row without id or input; a teacher that cannot be loaded.
    """
    teachers = recipe.distillation.teachers
    if not teachers:
        raise RecipeError(f"The recipe {recipe.name} names no distillation.teachers.")
    check_teachers(recipe)
    rows = _read(source)
    known = {row["id"] for row in rows}
    if len(known) < len(rows):
        raise DataError(f"{source} has an id twice: each row needs one of its own.")
    staged = out.with_name(f".{out.name}.part")
    made = {row["id"]: row for row in (_read(staged) if staged.exists() else [])}
    made = {name: row for name, row in made.items() if name in known}
    left = [row for row in rows if row["id"] not in made]
    try:
        engine = Together.of(recipe.backbone, recipe.task, teachers)
        engine.set_windows(recipe.task, recipe.window_words)
        named = {k: v for k, v in dataclasses.asdict(recipe.decoding).items() if v is not None}
        named["num_beams"] = 1
        decoding = dataclasses.replace(engine.task(recipe.task).decoding, **named)
    except ModelError as fault:
        raise RecipeError(f"distillation.teachers: {fault}") from None
    out.parent.mkdir(parents=True, exist_ok=True)
    with staged.open("w", encoding="utf-8") as stream:
        for row in made.values():
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        try:
            pairs = engine.batch(
                recipe.task, left, decoding=decoding, batch_size=batch_size, systems=["lora"]
            )
            for number, (place, pair) in enumerate(pairs, start=1):  # the longest first
                row = left[place] | {"target": pair.lora.text}
                made[row["id"]] = row
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
                stream.flush()
                if number % 200 == 0:
                    print(f"{len(made)} of {len(rows)} rows", flush=True)
        except InputError as fault:
            raise DataError(f"{source}: {fault}") from None
    told = [made[row["id"]] for row in rows if made[row["id"]]["target"]]
    staged.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in told), encoding="utf-8"
    )
    staged.replace(out)
    return len(told)


def _read(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file; a last line that was cut off by a kill is left out."""
    if not path.is_file():
        raise DataError(f"{path} is missing: name a JSONL file of rows with id and input.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text.") from None
    rows = []
    for number, row in json_objects(path, text, cut_off=path.name.endswith(".part")):
        if not row.get("id") or not isinstance(row.get("input"), str):
            raise DataError(f"{path}, line {number} has no id or no input.")
        rows.append(row)
    return rows


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit status: 0, 1 bad input, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m train.distill",
        description="Answer texts with a recipe's teachers together.",
        epilog="Any value of the recipe can be given as --key value, such as --window_words 60.",
        allow_abbrev=False,
    )
    parser.add_argument("recipe", help="a name in train/recipes, or a path to a .yaml file")
    parser.add_argument("texts", type=Path, help="JSONL of rows with id and input")
    parser.add_argument("out", type=Path, help="JSONL to write: the same rows with target")
    options, rest = parser.parse_known_args(arguments)
    try:
        recipe = load_recipe(options.recipe, parse_overrides(rest))
        count = write(recipe, options.texts, options.out)
    except (UserError, OSError) as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on from what is written.", flush=True)
        return 130
    print(f"{count} rows written to {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
