"""Rows -> token ids: what the model is given, and what it is to answer.

The prompt is built and cut by the engine's own functions, so that training and serving see the
same tokens. The loss is on the answer's tokens alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from summarizer.backbone import chat_parts, without_special
from summarizer.findings import tells_abnormality
from summarizer.flag import token_ids
from summarizer.tasks import Task, for_run, get_task, prompt_parts
from summarizer.text import InputError, cut_to
from summarizer.windows import parts_of
from train.data import Rows
from train.errors import DataError, RecipeError
from train.recipe import Recipe

IGNORED = -100  # a label that the loss leaves out


@dataclass
class Example:
    """One tokenised row."""

    input_ids: list[int]  # the prompt
    labels: list[int]  # the answer
    told: Any = None  # what teachers say of the answer (train.distill.Told)
    # Where texts are drawn (train.policy): the prompts of the input's windows, input and target.
    parts: list[list[int]] = field(default_factory=list)
    texts: tuple[str, str] = ("", "")

    def __len__(self) -> int:
        read = sum(map(len, self.parts)) if self.parts else len(self.input_ids)
        return read + len(self.labels)


@dataclass
class Tokenised:
    """A split as tokens. Item `2 * row + 1` is the row shown without its section."""

    examples: list[Example] = field(default_factory=list)
    hidden: list[Example | None] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    long_targets: int = 0  # targets past the limit: cut or dropped
    truncated: int = 0  # rows whose input was cut
    many_windows: int = 0  # rows left out, since they have more windows than texts are drawn of

    def __len__(self) -> int:
        return len(self.examples)

    def example(self, item: int) -> Example:
        row, without = divmod(item, 2)
        hidden = self.hidden[row] if without else None
        return hidden or self.examples[row]

    def __getitem__(self, bundle: Sequence[int]) -> list[Example]:
        """The examples of a bundle: one, or those that are packed into one sequence."""
        return [self.example(item) for item in bundle]


def task_of(recipe: Recipe) -> Task:
    """The task as this recipe trains it: its prompt, limits and decoding where it names them.

    Raises:
        RecipeError: an unknown task, a prompt without {input}, a decoding value out of range.
    """
    named = recipe.to_dict()
    decoding = {key: value for key, value in named["decoding"].items() if value is not None}
    try:
        return for_run(get_task(recipe.task), {"recipe": named | {"decoding": decoding}})
    except ValueError as fault:
        raise RecipeError(str(fault)) from None


def tokenise(recipe: Recipe, loaded: Rows, tokenizer: Any) -> Tokenised:
    """Every row once with its section and, where a run hides sections, once without.

    Raises:
        DataError: no row is left, or the prompt alone is longer than the limit.
    """
    encoder = Encoder(recipe, tokenizer)
    result = Tokenised()
    hide = recipe.data.section_dropout > 0
    for row, weight in zip(loaded.rows, loaded.weights, strict=True):
        labels, long = encoder.target(row["target"])
        result.long_targets += long
        if long and recipe.data.long_targets == "drop":
            continue
        ids, unread = encoder.input(row)
        example = Example(ids, labels)
        hidden = None
        if hide and row.get("section"):
            hidden = Example(encoder.input(row, with_section=False)[0], labels)
        if recipe.policy.samples:
            for one in filter(None, (example, hidden)):
                one.parts = encoder.inputs(row, with_section=one is example)
                one.texts = (row["input"], row["target"])
            if len(example.parts) > recipe.policy.most_windows:
                result.many_windows += 1
                continue
        result.truncated += unread > 0
        result.examples.append(example)
        result.hidden.append(hidden)
        result.weights.append(weight)
        result.sources.append(row["source"])
    if not result.examples and result.many_windows:
        raise DataError("No training row is left: every input has more windows than most_windows.")
    if not result.examples:
        raise DataError("No training row is left: every target is longer than max_target_tokens.")
    return result


class Encoder:
    """Turns the texts of a recipe's rows into token ids."""

    def __init__(self, recipe: Recipe, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.task = task_of(recipe)
        self.causal = recipe.architecture == "causal"
        # What an impression begins with (`summarizer.flag`), by what it tells.
        self.flags = token_ids(tokenizer) if recipe.data.flag_weight is not None else None
        self.max_target_tokens = recipe.max_target_tokens or self.task.decoding.max_new_tokens
        self.ends = answer_ends(tokenizer) if self.causal else [tokenizer.eos_token_id]

    def inputs(self, row: dict[str, Any], *, with_section: bool = True) -> list[list[int]]:
        """Token ids of the prompts that the engine makes of a row: one, or one a window."""
        parts, _ = parts_of(self.task, row["input"])
        return [self.input(row | {"input": part}, with_section=with_section)[0] for part in parts]

    def input(self, row: dict[str, Any], *, with_section: bool = True) -> tuple[list[int], int]:
        """Token ids of a row's prompt, cut as the engine cuts it; and how many were not read."""
        before, after = prompt_parts(self.task, row.get("section") if with_section else None)
        text = row["input"]
        if self.causal:
            text = without_special(self.tokenizer, text)
            before, after = chat_parts(self.tokenizer, before, after)
        try:
            ids, cut = cut_to(self.tokenizer, before, text, after, self.task.max_input_tokens)
        except InputError as fault:
            raise DataError(f"max_input_tokens is too small: {fault}") from None
        return ids, cut.tokens_total - cut.tokens_read if cut else 0

    def target(self, text: str) -> tuple[list[int], bool]:
        """Label ids of an answer, and whether it was too long.

        An answer that fits ends in the end token. One that does not fit is cut and has no end: an
        end there would teach to stop in the middle of a sentence.
        """
        ids = self._continued(text) if self.causal else self._plain(text)
        if self.flags is not None:
            ids.insert(0, self.flags[tells_abnormality(text)])
        if len(ids) + len(self.ends) > self.max_target_tokens:
            return ids[: self.max_target_tokens], True
        return [*ids, *self.ends], False

    def _plain(self, text: str) -> list[int]:
        ids = self.tokenizer(text_target=text)["input_ids"]
        return ids[:-1] if ids and ids[-1] == self.tokenizer.eos_token_id else ids

    def _continued(self, text: str) -> list[int]:
        """The answer's ids as they come behind the prompt's end, where no word begins anew."""
        _, after = chat_parts(self.tokenizer, *prompt_parts(self.task, None))
        text = without_special(self.tokenizer, text)
        prefix = self.tokenizer(after, add_special_tokens=False)["input_ids"]
        whole = self.tokenizer(after + text, add_special_tokens=False)["input_ids"]
        if whole[: len(prefix)] == prefix:
            return whole[len(prefix) :]
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]


def answer_ends(tokenizer: Any) -> list[int]:
    """The tokens that end a chat model's answer: its template's own mark, then end of sequence.

    Both are trained: which of them stops the generation is the model's generation_config's choice.
    """
    ends = [tokenizer.eos_token_id]
    if not tokenizer.chat_template:
        return ends
    mark = "\u241f"  # a character that no prompt holds
    whole = tokenizer.apply_chat_template(
        [{"role": "user", "content": "?"}, {"role": "assistant", "content": mark}], tokenize=False
    )
    tail = tokenizer(whole.rpartition(mark)[2].strip(), add_special_tokens=False)["input_ids"]
    if tail and tail[0] in tokenizer.added_tokens_decoder and tail[0] != tokenizer.eos_token_id:
        ends.insert(0, tail[0])
    return ends


class Seq2SeqCollator:
    """Bundles of one example -> input_ids, attention_mask (B, T), labels, decoder_input_ids (B, U).

    Where teachers were asked, also told_tokens and told_shares (B, U, likeliest). The decoder reads
    the labels shifted right, behind its start token. Widths are padded to a
    multiple of 8, which tensor cores like.
    """

    def __init__(self, pad_token_id: int, decoder_start_token_id: int) -> None:
        self.pad_token_id = pad_token_id
        self.decoder_start_token_id = decoder_start_token_id

    def __call__(self, bundles: list[list[Example]]) -> dict[str, Any]:
        inputs = [example.input_ids for (example,) in bundles]
        labels = [example.labels for (example,) in bundles]
        shifted = [[self.decoder_start_token_id, *row[:-1]] for row in labels]
        batch = {
            "input_ids": padded(inputs, self.pad_token_id),
            "attention_mask": padded([[1] * len(row) for row in inputs], 0),
            "decoder_input_ids": padded(shifted, self.pad_token_id),
            "labels": padded(labels, IGNORED),
        }
        told = [example.told for (example,) in bundles]
        if told[0] is not None:
            batch |= _stacked(told, batch["labels"].shape[1])
        return batch


class CausalCollator:
    """Bundles of examples -> input_ids, position_ids, labels: (B, T).

    A bundle's examples stand one behind the other. Positions start at 0 for each of them, and
    that is what keeps them apart: with no attention_mask and no cache, transformers builds from
    them a mask in which no token sees another example's (masking_utils, packed sequences).
    Padding is one more such example.
    """

    def __init__(self, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    def __call__(self, bundles: list[list[Example]]) -> dict[str, Any]:
        ids, positions, labels = [], [], []
        for bundle in bundles:
            ids.append([token for one in bundle for token in (*one.input_ids, *one.labels)])
            positions.append([place for one in bundle for place in range(len(one))])
            answers = [[IGNORED] * len(one.input_ids) + one.labels for one in bundle]
            labels.append([label for answer in answers for label in answer])
        width = _multiple_of_8(max(map(len, ids)))
        for place, row in enumerate(positions):
            positions[place] = row + list(range(width - len(row)))
        return {
            "input_ids": padded(ids, self.pad_token_id),
            "position_ids": padded(positions, 0),
            "labels": padded(labels, IGNORED),
        }


def _stacked(told: list[Any], width: int) -> dict[str, Any]:
    """What teachers say of a batch's answers, zeros behind their ends."""
    import torch

    shape = (len(told), width, told[0].tokens.shape[1])
    tokens, shares = torch.zeros(shape, dtype=torch.int32), torch.zeros(shape)
    for place, one in enumerate(told):
        tokens[place, : len(one.tokens)] = torch.from_numpy(one.tokens)
        shares[place, : len(one.shares)] = torch.from_numpy(one.shares)
    return {"told_tokens": tokens, "told_shares": shares}


def padded(rows: list[list[int]], value: int) -> Any:
    """Rows of ids as one tensor (rows, width), filled up on the right with `value`."""
    import torch

    width = _multiple_of_8(max(map(len, rows)))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def _multiple_of_8(width: int) -> int:
    return math.ceil(width / 8) * 8
