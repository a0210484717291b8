r"""Learning from other adapters of the same backbone: what they say of a training row, and of texts.

Adapters that were trained differently err differently, and what they say together is often better
than what each of them says; an adapter that learns from it costs what one costs. Word by word, a
recipe names its teachers (`distillation`), and at each place of a row's answer the loss is against
the mean of their probabilities (Hinton et al. 2015, arXiv:1503.02531; Kim and Rush 2016,
arXiv:1606.07947). Text by text, they write the answers to inputs, those of rows that have a target
among them:

    python -m train.distill RECIPE data/aux/reports-texts.jsonl data/aux/reports-told.jsonl

The teachers, the windows and the decoding are those of the recipe, or of the command line. What an
adapter is surest of as a whole reads better than what it is surest of word by word: with
`--decoding.num_beams 4` a row gets what four beams come to, and an adapter that learns from such rows
writes it word by word. Rows are written as they come; the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from summarizer.backbone import ModelError, generate_arguments, load_adapters, load_backbone
from summarizer.findings import tells_abnormality
from summarizer.flag import only, token_ids
from summarizer.generate import Engine, batches, sweep_hooks, texts_of
from summarizer.reading import read, within_positions
from summarizer.sections import read_of
from summarizer.tasks import Decoding, Task
from summarizer.text import InputError, check_input
from summarizer.windows import joined, parts_of
from train.errors import DataError, RecipeError, UserError
from train.jsonl import json_objects
from train.model import check_adapter
from train.recipe import Recipe, load_recipe, parse_overrides
from train.reward import Judge
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
    """An engine whose adapter's texts are written by several adapters together.

    At each step the next token is that of the mean of their log-probabilities, as the decoding
    then bends it. Only `answers` is meant for it.
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

    def answers(
        self,
        prompts: Sequence[list[int]],
        decoding: Decoding,
        windows: Sequence[int],
        abnormal: Sequence[bool | None],
    ) -> list[list[str]]:
        """Each prompt's beams, the likeliest first; greedily one.

        Args:
            prompts: token ids.
            windows: how many of the prompts each text has, in their order.
            abnormal: what each prompt's answer is flagged as, where the decoding has a flag; None:
                as the teachers flag it greedily. What is told as normal is short and surest of all,
                so that beams would take it for what it is likely to be.
        """
        import torch

        backbone, count, beams = self._backbone, len(self.adapters), decoding.num_beams
        rows = list(prompts) * count
        input_ids, attention_mask = backbone.pad(rows)
        settings = generate_arguments(
            decoding,
            backbone.ends,
            rows,
            backbone.lexicon if decoding.lexicon else None,
            backbone.tokenizer,
            list(windows) * count,
        )
        if decoding.flag:
            flagged = FlagFirst(backbone.tokenizer, list(abnormal) * count)
            settings["logits_processor"].append(flagged)
        settings["adapter_names"] = [name for name in self.adapters for _ in prompts]
        try:
            with torch.inference_mode():
                output = self._model.generate(
                    input_ids=input_ids,
                    attention_mask=attention_mask,
                    num_return_sequences=beams,
                    **settings,
                )
        finally:
            sweep_hooks(self._model)
        written = output[: len(prompts) * beams, 1:].tolist()
        of = [prompt for prompt in prompts for _ in range(beams)]
        texts = texts_of(backbone, written, of, decoding)
        return [texts[start : start + beams] for start in range(0, len(texts), beams)]


class FlagFirst:
    """A logits processor that leaves one flag to choose from, so that all beams begin with it."""

    def __init__(self, tokenizer: Any, abnormal: Sequence[bool | None]) -> None:
        """abnormal: of each prompt; None: the likelier flag."""
        self._flags = token_ids(tokenizer)
        self._abnormal = abnormal

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """The scores [rows, vocabulary]: at the first step only the flag's is left."""
        if input_ids.shape[1] != 1:
            return scores
        normal, other = self._flags
        chosen = scores.argmax(-1)
        beams = len(scores) // len(self._abnormal)
        for place, abnormal in enumerate(self._abnormal):
            if abnormal is not None:
                chosen[place * beams : (place + 1) * beams] = other if abnormal else normal
        return only(scores, chosen)


@dataclass(frozen=True)
class _Asked:
    """A text that teachers are asked of: its row, the token ids of its windows, its target."""

    row: dict[str, Any]
    prompts: list[list[int]]
    target: str | None


def write(
    recipe: Recipe,
    source: Path,
    out: Path,
    *,
    batch_size: int = 16,
    windows: bool = False,
    every: int = 1,
    variants: int | None = None,
    least: float | None = None,
) -> int:
    """Answer each row of `source` with the recipe's teachers; rows without an answer are left out.

    With beams (`decoding.num_beams`) the answer is the likeliest one; where the row has a target
    and is read in one piece, it is the one of them that earns most by the recipe's `policy.reward`
    (Kim and Rush 2016: sequence-level interpolation).

    Args:
        source, out: JSONL; a row has `id` and `input`, and is written with its new `target`.
        windows: a row for each window of a text, as it is read.
        every: take the first of so many rows, the next so many, and so on.
        variants: of these take so many of each text that was written in variants, by their `id`.
        least: leave out an answer that earns less.

    Returns:
        How many rows were written.

    Raises:
        UserError: no teachers; a row without id or input; a teacher that cannot be loaded.
    """
    teachers = recipe.distillation.teachers
    if not teachers:
        raise RecipeError(f"The recipe {recipe.name} names no distillation.teachers.")
    check_teachers(recipe)
    for name, number in (("--every", every), ("--variants", variants)):
        if number is not None and number < 1:
            raise RecipeError(f"{name} must be at least 1, not {number}.")
    rows = _some_of(_read(source), every, variants)
    if len({row["id"] for row in rows}) < len(rows):
        raise DataError(f"{source} has an id twice: each row needs one of its own.")
    try:
        engine = Together.of(recipe.backbone, recipe.task, teachers)
        engine.set_windows(recipe.task, recipe.window_words)
        task = engine.task(recipe.task)
        named = {k: v for k, v in dataclasses.asdict(recipe.decoding).items() if v is not None}
        decoding = dataclasses.replace(task.decoding, **named)
        decoding, limit = within_positions(engine._backbone, decoding, task.max_input_tokens)
    except ModelError as fault:
        raise RecipeError(f"distillation.teachers: {fault}") from None
    try:
        texts = [text for row in rows for text in _asked(engine, task, row, limit, windows)]
    except InputError as fault:
        raise DataError(f"{source}: {fault}") from None
    worth = Judge(recipe.policy.reward, recipe.task)

    def best(text: _Asked, beams: Sequence[Sequence[str]]) -> dict[str, Any]:
        answer, earned = joined([one[0] for one in beams], task.output_style), None
        if text.target is not None and len(beams) == 1:
            answers = [joined([one], task.output_style) for one in beams[0]]
            rewards = [worth(one, text.target, text.row["input"]) for one in answers]
            earned = max(rewards)
            answer = answers[rewards.index(earned)]
        if least is not None and earned is not None and earned < least:
            answer = ""
        return text.row | {"source": "told", "target": answer}

    staged = out.with_name(f".{out.name}.part")
    known = {text.row["id"] for text in texts}
    made = {row["id"]: row for row in (_read(staged) if staged.exists() else [])}
    made = {name: row for name, row in made.items() if name in known}
    left = [text for text in texts if text.row["id"] not in made]
    out.parent.mkdir(parents=True, exist_ok=True)
    with staged.open("w", encoding="utf-8") as stream:
        for row in made.values():
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        told = 0
        for places in batches([sum(map(len, text.prompts)) for text in left], batch_size):
            chunk = [left[place] for place in places]
            beams = iter(
                engine.answers(
                    [prompt for text in chunk for prompt in text.prompts],
                    decoding,
                    [len(text.prompts) for text in chunk],
                    [_abnormal(text) for text in chunk for _ in text.prompts],
                )
            )
            for text in chunk:
                row = best(text, [next(beams) for _ in text.prompts])
                made[row["id"]] = row
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            stream.flush()
            if len(made) - told >= 200:
                told = len(made)
                print(f"{told} of {len(texts)} texts", flush=True)
    answered = [made[text.row["id"]] for text in texts if made[text.row["id"]]["target"]]
    staged.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in answered), encoding="utf-8"
    )
    staged.replace(out)
    return len(answered)


def _some_of(
    rows: Sequence[dict[str, Any]], every: int, variants: int | None
) -> list[dict[str, Any]]:
    """The first of `every` rows, of these at most `variants` of each written text, none twice."""
    taken: dict[str, int] = {}
    some = {}
    for row in rows[::every]:
        text = re.sub(r"-\d+(?=(?:-bare)?$)", "", row["id"])  # train.written numbers its variants
        taken[text] = taken.get(text, 0) + 1
        if variants is None or taken[text] <= variants:
            some.setdefault(row["input"], row)
    return list(some.values())


def _asked(
    engine: Together, task: Task, row: dict[str, Any], limit: int, windows: bool
) -> list[_Asked]:
    """What teachers are asked of a row. Raises InputError: it has no text."""
    reading = read(engine._backbone, task, row, limit)
    if len(reading.rows) == 1 or not windows:
        target = row.get("target")
        return [_Asked(row, reading.rows, target if isinstance(target, str) else None)]
    parts, _ = parts_of(task, read_of(task, check_input(row["input"]))[0])
    return [
        _Asked(row | {"id": f"{row['id']}-w{number}", "input": part}, [prompt], None)
        for number, (part, prompt) in enumerate(zip(parts, reading.rows, strict=True))
    ]


def _abnormal(text: _Asked) -> bool | None:
    """What a text is flagged as: as its target tells it, where it is read in one piece."""
    if text.target is None or len(text.prompts) > 1:
        return None
    return tells_abnormality(text.target)


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
    parser.add_argument("--windows", action="store_true", help="a row for each window of a text")
    parser.add_argument(
        "--every", type=int, default=1, help="take the first of so many rows, and so on (default 1)"
    )
    parser.add_argument(
        "--variants", type=int, help="take so many of a written text's variants (default: all)"
    )
    parser.add_argument(
        "--least", type=float, help="leave out an answer that earns less (policy.reward)"
    )
    options, rest = parser.parse_known_args(arguments)
    try:
        recipe = load_recipe(options.recipe, parse_overrides(rest))
        count = write(
            recipe,
            options.texts,
            options.out,
            windows=options.windows,
            every=options.every,
            variants=options.variants,
            least=options.least,
        )
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
