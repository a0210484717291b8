"""A decoding as plain transformers take it, written apart from the engine's way."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from summarizer.tasks import Decoding

LETTERS = r"[^\W\d_]"


def plain_settings(
    decoding: Decoding, ids: list[int], ends: Collection[int], tokenizer: Any = None
) -> dict[str, Any]:
    """Arguments of `generate` for one row of token ids; the tokenizer lies beside a lexicon."""
    settings = {name: value for name, value in decoding.to_dict().items() if value}
    bias = []
    if end := settings.pop("end_bias", None):
        bias += [[[token], end] for token in ends]
    if copy := settings.pop("copy_bias", None):
        pairs = {pair for pair in zip(ids, ids[1:], strict=False) if pair[1] not in ends}
        bias += [[list(pair), copy] for pair in sorted(pairs)]
    if settings.pop("lexicon", False):
        settings["prefix_allowed_tokens_fn"] = real_words(tokenizer, ids)
    return settings | ({"sequence_bias": bias} if bias else {})


def real_words(tokenizer: Any, ids: list[int]) -> Callable[[int, Any], list[int]]:
    """What transformers' `prefix_allowed_tokens_fn` takes. Goes through the whole vocabulary at every step: slow, and plain to see."""
    listed = (Path(tokenizer.name_or_path) / "lexicon.txt").read_text().split()
    text = tokenizer.decode(ids, skip_special_tokens=True)
    words = {*listed, *re.findall(f"{LETTERS}+", text.lower())}
    begun = {word[:end] for word in words for end in range(len(word) + 1)}
    pieces = [tokenizer.decode([token]).lower() for token in range(len(tokenizer))]
    for token in tokenizer.all_special_ids:
        pieces[token] = "."

    def fits(part: str, piece: str) -> bool:
        if re.fullmatch(f"{LETTERS}+", piece):
            return part + piece in begun
        first, last = (re.split(r"[\W\d_]", piece)[end] for end in (0, -1))
        return (not part + first or part + first in words) and (not last or last in begun)

    def allowed(_: int, tokens: Any) -> list[int]:
        written = tokenizer.decode(tokens, skip_special_tokens=True).lower()
        part = re.split(r"[\W\d_]", written)[-1]
        found = [token for token, piece in enumerate(pieces) if fits(part, piece)]
        return found or list(range(len(pieces)))

    return allowed
