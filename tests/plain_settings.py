"""A decoding as plain transformers take it, written apart from the engine's way."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from summarizer.tasks import Decoding


def plain_settings(decoding: Decoding, ids: list[int], ends: Collection[int]) -> dict[str, Any]:
    """Arguments of `generate` for one row of token ids."""
    settings = {name: value for name, value in decoding.to_dict().items() if value}
    bias = []
    if end := settings.pop("end_bias", None):
        bias += [[[token], end] for token in ends]
    if copy := settings.pop("copy_bias", None):
        pairs = {pair for pair in zip(ids, ids[1:], strict=False) if pair[1] not in ends}
        bias += [[list(pair), copy] for pair in sorted(pairs)]
    return settings | ({"sequence_bias": bias} if bias else {})
