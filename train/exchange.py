"""Conversations with other drugs, sides, numbers and answers than the ones that were said.

A thousand conversations name few drugs more than once, and an adapter that has learned them by
heart writes "left hip" where the right one was said. Beside a row stand copies in which every name
of a list (`train/grammar/dialogue.yaml`), left and right, and the numbers, months and days in words
are another of their kind, in the conversation and in its note alike: what a note tells can then
only be read in its conversation. (Counterfactual data augmentation, as Kaushik et al. 2020,
"Learning the difference that makes a difference".) A name of the note that is said in other words
there stays, and goes when the note is held against the conversation (`train.support`).

In half of the copies bare answers are others, too: "No." is "Yes.", which patients say more rarely.
Of such a copy the note may be false, so that rules alone tell what was said (`train.retell`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from train.retell import bare_answer
from train.synthetic import invented

GRAMMAR = Path(__file__).with_name("grammar") / "dialogue.yaml"
COUNTED_KEPT = 0.5  # share of the copies that keep their numbers, as their notes do in figures
LISTS = ("drug", "allergen", "condition", "symptom", "relative", "job")
# "right" is also what is said of what is correct, and "left" of who went
_SIDE = re.compile(
    r"\b(left|right)(?=[ -](?:[a-z]+[ -])?(?:sided?|handed|arms?|elbow|wrist|hand|fingers?|thumb|shoulder|"
    r"legs?|hip|knee|ankle|foot|feet|toes?|heel|thigh|calf|groin|buttock|eye|ear|lung|kidney|breast|"
    r"chest|neck|flank|face|cheek|jaw|lower|upper|back|testicle|ovary)\b)",
    re.IGNORECASE,
)
COUNTED = (
    "two three four five six seven eight nine".split(),
    "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(),
    "twenty thirty forty fifty sixty seventy eighty ninety".split(),
    "January February March April May June July August September October November December".split(),
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
)
# words of the lists that are said of everything, or that would make a sentence false
KEPT = frozenset("iron eggs cats dust tape son daughter obesity may march".split())
SHARE = 0.7  # of the names found that are exchanged
ANSWERS = 0.5  # share of the copies with other answers, and of the answers there
YES = ("Yes.", "Yeah.", "Yes, doctor.", "Yep.", "Yes, that's right.")
NO = ("No.", "Nope.", "No, doctor.", "Not at all.", "No, not really.")
INVENTED = 0.3  # of the drugs' new names that nobody has heard


def exchanged(row: dict[str, Any], copies: int) -> Iterator[dict[str, Any]]:
    """Copies of a conversation and its note, each with other names or answers, if it has any.

    A copy with other answers has a true `answered_otherwise`: its note may be false.

    Args:
        row: `id`, `input` with a turn a line, `target`; what else it has is kept.
    """
    for number in range(1, copies + 1):
        rng = random.Random(f"{row['id']}-{number}")
        names = _names(rng, row["input"])
        said = _with(row["input"], names) if names else row["input"]
        otherwise = _answered_otherwise(rng, said) if rng.random() < ANSWERS else said
        if names or otherwise != said:
            yield row | {
                "id": f"{row['id']}-exchanged-{number}",
                "input": otherwise,
                "target": _with(row["target"], names) if names else row["target"],
                "answered_otherwise": otherwise != said,
            }


def _answered_otherwise(rng: random.Random, text: str) -> str:
    """The conversation with some of its bare answers turned round."""
    turns = text.split("\n")
    for place, turn in enumerate(turns):
        speaker, _, said = turn.partition(" ")
        yes = bare_answer(said)
        if speaker in ("Patient:", "[patient]") and yes is not None and rng.random() < ANSWERS:
            turns[place] = f"{speaker} {rng.choice(NO if yes else YES)}"
    return "\n".join(turns)


def _names(rng: random.Random, text: str) -> dict[str, str]:
    """Which words of the text are to be another, in lower case."""
    found = {match[0].lower() for match in _pattern().finditer(text)}
    names: dict[str, str] = {}
    taken = set(found)
    kept = len(LISTS) if rng.random() < COUNTED_KEPT else len(_lists())
    lists = _lists()[:kept]
    for word in sorted(found):
        kind = _kinds()[word]
        others = [other for other in kind if other.lower() not in taken]
        if rng.random() >= SHARE or not others or kind not in lists:
            continue
        is_drug = kind is _lists()[0]
        other = invented(rng) if is_drug and rng.random() < INVENTED else rng.choice(others)
        names[word] = other
        taken.add(other.lower())
    if rng.random() < SHARE and _SIDE.search(text):
        names |= {"left": "right", "right": "left"}
    return names


def _with(text: str, names: dict[str, str]) -> str:
    words = sorted(names.keys() - {"left", "right"}, key=len, reverse=True)
    pattern = re.compile(r"\b(?:" + "|".join(map(re.escape, words)) + r")\b", re.IGNORECASE)

    def other(found: re.Match[str]) -> str:
        name = names[found[0].lower()]
        return name[:1].upper() + name[1:] if found[0][0].isupper() else name

    text = pattern.sub(other, text) if words else text
    return _SIDE.sub(other, text) if "left" in names else text


@lru_cache(maxsize=1)
def _lists() -> list[list[str]]:
    import yaml

    slots = yaml.safe_load(GRAMMAR.read_text(encoding="utf-8"))["slots"]
    said = [[str(value).split("|")[0] for value in slots[name]] for name in LISTS]
    # an allergen is not taken for a condition: what stands in two lists belongs to the first
    return [
        [value for value in values if value.lower() not in KEPT] for values in [*said, *COUNTED]
    ]


@lru_cache(maxsize=1)
def _kinds() -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for values in _lists():
        for value in values:
            kinds.setdefault(value.lower(), values)
    return kinds


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    words = sorted(_kinds(), key=len, reverse=True)
    return re.compile(r"\b(?:" + "|".join(map(re.escape, words)) + r")\b", re.IGNORECASE)
