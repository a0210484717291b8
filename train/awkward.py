"""How much of a note no clinician would write so: signs that can be read here, and no grammar.

    "The patient get up at night."  -> "get"
    "since age 9, 26 years."        -> "since"
    "No pleased."                   -> "No pleased"

An adapter that learns from what it writes itself earns nothing for a verb's ending: the scores ask
for stems. So what it takes over from a conversation ("I get up at night") stays as it was said.
"""

from __future__ import annotations

import re

from eval.faults import unnumbered
from eval.rouge import sentence_lines
from train.thirdperson import ADVERBS, BASE_VERBS, SAME_IN_ALL_PERSONS

_VERBS = (
    f"{BASE_VERBS} ask change check chew count cry deal die end enjoy exert exercise fall find go "
    "guess hate help hope learn like love live mean meet mention mind open own pass pay pick plan "
    "prefer pull push reach read remember report rest roll say see seem sell send share show sign "
    "sing skip smell snore speak spend spit stick struggle suffer swim talk taste teach tend throw "
    "travel turn understand use vape visit vomit wait want wash wear weigh win wish wonder worry"
).split()
_DISAGREES = re.compile(
    rf"(?:The patient|He|She|It) (?:(?:{'|'.join(sorted(ADVERBS))}) )*({'|'.join({*_VERBS} - SAME_IN_ALL_PERSONS)})\b(?!')"
)
_SMALL = re.compile(r"([a-z]+)\b(?!\.[a-z])")
_DOUBLED = re.compile(r"\b([A-Za-z]{2,})[, ]+\1\b", re.IGNORECASE)
_DENIED = re.compile(r"No [a-z]+ed[.!?]*$")


def awkward(note: str, source: str) -> float:
    """Share (0 to 1) of a note's sentences that begin with a small letter, have a verb that does
    not go with its subject, a word twice or "No" before a participle alone."""
    lines = [unnumbered(line).strip() for line in sentence_lines(note)]
    lines = [line for line in lines if re.search("[A-Za-z]", line)]
    if not lines:
        return 0.0
    return sum(bool(sign_of(line, source)) for line in lines) / len(lines)


def sign_of(sentence: str, source: str) -> str:
    """What shows that a sentence is awkward, or ""."""
    if found := _SMALL.match(sentence):
        return found[1]
    if found := _DISAGREES.match(sentence):
        return found[1]
    if found := _DENIED.match(sentence):
        return found[0]
    found = _DOUBLED.search(sentence)
    return found[0] if found and found[0].lower() not in source.lower() else ""
