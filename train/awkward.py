"""How much of a note no clinician would write so: signs that can be read here, and no grammar.

    "The patient get up at night."      -> "The patient get"
    "The patient atorvastatin goes up." -> "The patient atorvastatin"
    "The is metformin."                 -> "The is"
    "No pleased."                       -> "No pleased"

An adapter that learns from what it writes itself earns nothing for a verb's ending: the scores ask
for stems. So what it takes over from a conversation ("I get up at night") stays as it was said.
"""

from __future__ import annotations

import re

from eval.faults import unnumbered
from eval.rouge import sentence_lines
from train.thirdperson import ADVERBS, SAME_IN_ALL_PERSONS

# What "The patient" can go on with besides a verb in the third person or the past.
_GOES_ON = SAME_IN_ALL_PERSONS | set(
    "and as at but for from has have having here herself himself however if in is last nor not of "
    "on once or otherwise out over that then to today was were when where which while who whose with "
    "without built burst overcame sought underwent withdrew".split()
)
_SUBJECT = re.compile(
    rf"(?:The patient|She|He|It) (?:(?:{'|'.join(sorted(ADVERBS))}|[a-z]+ly) )*([A-Za-z]+)(?!['’a-z])"
)
_THE = re.compile(
    r"The (?:is|was|are|were|has|had|have|and|or|of|to|in|on|not|no|it|they|he|she)\b"
)
_ENDS = re.compile(r"(?:s|ed|ing|ly)$")
_DOUBLED = re.compile(r"\b([A-Za-z]{2,})[, ]+\1\b", re.IGNORECASE)
_DENIED = re.compile(r"No [a-z]+ed[.!?]*$")


def awkward(note: str, source: str) -> float:
    """Share (0 to 1) of a note's sentences whose verb does not go with its subject, or that have
    none behind it, "The" without a noun, "No" before a participle alone or a word twice."""
    lines = [unnumbered(line).strip() for line in sentence_lines(note)]
    lines = [line for line in lines if re.search("[A-Za-z]", line)]
    if not lines:
        return 0.0
    return sum(bool(sign_of(line, source)) for line in lines) / len(lines)


def sign_of(sentence: str, source: str) -> str:
    """What shows that a sentence is awkward, or ""."""
    found = _SUBJECT.match(sentence)
    if found and found[1] not in _GOES_ON and not _ENDS.search(found[1]):
        return found[0]
    if found := _THE.match(sentence):
        return found[0]
    if found := _DENIED.match(sentence):
        return found[0]
    found = _DOUBLED.search(sentence)
    return found[0] if found and found[0].lower() not in source.lower() else ""
