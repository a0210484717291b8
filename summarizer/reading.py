"""What a model is given of a text: the token ids of its prompts, and what of it they leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from summarizer.backbone import Backbone, chat_parts, without_special
from summarizer.sections import read_of
from summarizer.tasks import Decoding, Task, prompt_parts, segment_of
from summarizer.text import Cut, InputError, check_input, cut_to
from summarizer.windows import parts_of


@dataclass(frozen=True)
class Reading:
    """One text as a model is given it.

    rows: token ids, one row for each of its windows. prompt: the windows' as text, a blank line
    apart. cut: what was not read. left_out: headings of sections that are not (summarizer.sections).
    """

    rows: list[list[int]]
    prompt: str
    cut: Cut | None
    left_out: tuple[str, ...] = ()


def read(backbone: Backbone, task: Task, row: Mapping[str, Any], limit: int) -> Reading:
    """A row's `input` and section in the task's prompts, of at most `limit` tokens each.

    Raises InputError: no text, nothing to read in it, a section that is not text.
    """
    text = row.get("input")
    if not isinstance(text, str):
        raise InputError("There is no text in the field “input”.")
    section = segment_of(task, row)
    if section is not None and not isinstance(section, str):
        raise InputError(f"The field “{task.segment or 'section'}” must be text.")
    text = check_input(text)
    before, after = prompt_parts(task, section)
    if backbone.kind == "causal":
        text = without_special(backbone.tokenizer, text)
        before, after = chat_parts(backbone.tokenizer, before, after)
    text, left_out = read_of(task, text)
    parts, unread = parts_of(task, text)
    rows, prompts, cuts = [], [], []
    for part in parts:
        ids, cut = cut_to(backbone.tokenizer, before, part, after, limit)
        seen = part if cut is None else part[: len(part) - len(cut.unread_text)].rstrip()
        rows.append(ids)
        prompts.append(before + seen + after)
        cuts.append(cut)
    return Reading(rows, "\n\n".join(prompts), _cut_of(backbone, rows, cuts, unread), left_out)


def _cut_of(
    backbone: Backbone, rows: list[list[int]], cuts: list[Cut | None], unread: list[str]
) -> Cut | None:
    """What was not read of a text: the ends of its windows, and the windows past the last."""
    if not unread and (len(cuts) == 1 or not any(cuts)):
        return cuts[0]
    seen = sum(map(len, rows))
    ends = [cut for cut in cuts if cut is not None]
    rest = sum(len(backbone.tokenizer(part)["input_ids"]) for part in unread)
    missed = sum(cut.tokens_total - cut.tokens_read for cut in ends) + rest
    text = "\n".join([*(cut.unread_text for cut in ends), *unread])
    return Cut(seen, seen + missed, text, len(text.split()))


def within_positions(backbone: Backbone, decoding: Decoding, limit: int) -> tuple[Decoding, int]:
    """Decoding and input limit, held to the positions that the backbone has."""
    positions = backbone.positions
    if positions is None:
        return decoding, limit
    # An encoder and its decoder have all positions each; a causal model has them once.
    causal = backbone.kind == "causal"
    most = positions // 2 if causal else positions - 1
    if decoding.max_new_tokens > most:
        least = min(decoding.min_new_tokens, most)
        decoding = replace(decoding, max_new_tokens=most, min_new_tokens=least)
    return decoding, min(limit, positions - (decoding.max_new_tokens if causal else 0))
