"""Targets with de-identification masks: told without them, or left out.

Open-i wrote XXXX over every word that might name somebody, and over many that do not: a fifth of
its impressions have one, nine tenths of them those of abnormal films. Left out whole, they are a
third of all that can be learned of abnormal films, so a target is kept where it reads well without
the masked words. Where it would not ("consistent with XXXX.", "is XXXX to be"), the row is left out.
"""

from __future__ import annotations

import re

from summarizer.text import clean

_MASK = re.compile(r"XXXX|\[\*\*")
_XRAY_MASK = re.compile(r"\bx-\s?XXXX", re.IGNORECASE)
_ONE = r"(?:XXXX|\[\*\*[^\]\n]*\*\*\])"
_RUN = re.compile(rf"{_ONE}(?:[ \t]+{_ONE})*")
# whom somebody told, and when: no part of what was seen
_TOLD = re.compile(
    r"[^.\n]*\b(?:notification|notified|message|Veriphy|Primordial|discussed|telephone)\b[^.\n]*\.?"
)
# words that Open-i masks in phrases of its own, where no other word can have stood
_KNOWN = [
    (re.compile(rf"\b(appearance) {_ONE}(?= [a-z])"), r"\1 suggests"),
    (re.compile(rf"\b(costophrenic) {_ONE}"), r"\1 angle"),
    (re.compile(rf"(?<!may ){_ONE} (represents)\b"), r"likely \1"),
]
_START = re.compile(r"(^|\n|[.!?]\s+|\b\d+\.\s+)([a-z])")
_WORD_AFTER = re.compile(r"\s*([A-Za-z][\w\-]*)")
_WORD_BEFORE = re.compile(r"([A-Za-z][\w\-]*)\s*$")

# A masked word that stood before one of these, or after one of those below, is missed.
_NOT_BEFORE = frozenset(
    "a an and are as at be been but by can could compared demonstrated does for from greater had "
    "has have if in indicated into is less level likely may more noted obtained of on or over per "
    "recommended regarding seen should since so suggested than that the then there this to under "
    "until up was were when where which while will with within without would versus vs appear "
    "appears represents represent consistent show shows".split()
)
_NOT_AFTER = frozenset(
    "appearance appearances be been is are was were not may might can could should will would to "
    "from at since than if this these that it compared which suggest suggests suggesting level "
    "message right-sided left-sided".split()
)
_NOUNS = frozenset("opacity opacities size disease changes chest x-ray".split())


def names_mask(text: str) -> bool:
    """Whether a de-identification mask stands where a word was ("x-XXXX" is "x-ray": no mask)."""
    return bool(_MASK.search(_XRAY_MASK.sub("x-ray", text)))


def without_masks(target: str) -> str | None:
    """The target with its masked words left out, or None where one of them would be missed.

    A text without a mask is returned as it is.
    """
    if not names_mask(target):
        return target
    text = _XRAY_MASK.sub("x-ray", target)
    text = _TOLD.sub(lambda told: "" if names_mask(told[0]) else told[0], text)
    for pattern, words in _KNOWN:
        text = pattern.sub(words, text)
    for run in _RUN.finditer(text):
        after = _WORD_AFTER.match(text[run.end() :])
        before = _WORD_BEFORE.search(text[: run.start()])
        next_word = after[1].lower() if after else None
        last_word = before[1].lower() if before else None
        if next_word is None or next_word in _NOT_BEFORE or last_word in _NOT_AFTER:
            return None
        if last_word in _NOUNS and not next_word.endswith("ing"):  # a verb is missing between them
            return None
    text = clean(text)
    if not re.search(r"[A-Za-z]", text):
        return None
    return _START.sub(lambda start: start[1] + start[2].upper(), text)
