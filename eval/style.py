"""The form of a text: points, length, copying, repetition. Nothing here looks at meaning."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

_NUMBERED_LINE = re.compile(r"^\s*(?:\(?\d{1,2}[.)])\s+\S", re.MULTILINE)
_NUMBERED_INSIDE = re.compile(r"(?:^|\s)1[.)]\s+\S.*?\s2[.)]\s+\S", re.DOTALL)
_BULLET_LINE = re.compile(r"^\s*[-*\u2022\u2013]\s+\S", re.MULTILINE)
_WORD = re.compile(r"[a-z0-9]+(?:['\u2019.][a-z0-9]+)*")

COPIED_RUN = 4
REPEATED_RUN = 3


def words(text: str) -> list[str]:
    """Lower-case words and numbers, decimals in one piece."""
    return _WORD.findall(text.lower())


def is_numbered(text: str) -> bool:
    """Whether the text is numbered points: a line that starts with a number, or "1. ... 2. ..."."""
    return bool(_NUMBERED_LINE.search(text) or _NUMBERED_INSIDE.search(text))


def is_bulleted(text: str) -> bool:
    """Whether a line of the text starts with a bullet or a dash."""
    return bool(_BULLET_LINE.search(text))


def length_ratio(output: str, reference: str) -> float:
    """Words of the output per word of the reference, x100; NaN for a reference without words."""
    expected = len(words(reference))
    return 100 * len(words(output)) / expected if expected else float("nan")


def copied(output: str, source: str) -> float:
    """Share x100 of the output's words in a run of 4 or more that stands so in the input.

    An output shorter than 4 words counts as one run. NaN for an output without words.
    """
    ours, theirs = words(output), words(source)
    n = min(COPIED_RUN, len(ours))
    if not n:
        return float("nan")
    runs = set(_ngrams(theirs, n))
    taken = np.zeros(len(ours), dtype=bool)
    for start, run in enumerate(_ngrams(ours, n)):
        if run in runs:
            taken[start : start + n] = True
    return 100 * float(taken.mean())


def new_ngrams(output: str, source: str, n: int = 2) -> float:
    """Share x100 of the output's n-grams that the input lacks (See et al. 2017); NaN without any."""
    ours = _ngrams(words(output), n)
    if not ours:
        return float("nan")
    known = set(_ngrams(words(source), n))
    return 100 * sum(gram not in known for gram in ours) / len(ours)


def repetition(output: str) -> float:
    """Share x100 of the output's 3-grams that it has already said; 0 for fewer than two 3-grams."""
    grams = _ngrams(words(output), REPEATED_RUN)
    return 100 * (1 - len(set(grams)) / len(grams)) if len(grams) > 1 else 0.0


def _ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(tokens[k:] for k in range(n)), strict=False))
