"""What patients say that they do, have and feel, and what a note tells of it.

Drawn from `train/grammar/habits.yaml`: an adapter learns how a verb goes on after "the patient",
and that a bare answer decides what is true.
"""

from __future__ import annotations

import random
import re
from functools import lru_cache
from pathlib import Path

import yaml

from train.spoken import NO, YES, Said, ended, turns_of_all
from train.thirdperson import past, third

HABITS = Path(__file__).with_name("grammar") / "habits.yaml"


def habits(rng: random.Random) -> tuple[str, str, str]:
    """A section's name, turns in which a patient says what they do, and what a note tells of it."""
    section = rng.choice(list(_habits()))
    taken = [_habit(rng, phrase) for phrase in rng.sample(_habits()[section], rng.randint(1, 4))]
    return section, turns_of_all(rng, taken), " ".join(said.told for said in taken)


@lru_cache(maxsize=1)
def _habits() -> dict[str, list[str]]:
    return yaml.safe_load(HABITS.read_text(encoding="utf-8"))


def _habit(rng: random.Random, phrase: str) -> Said:
    verb, _, rest = phrase.partition(" ")
    way = rng.random()
    if way < 0.35:
        asked = f"Do you {_to_you(phrase)}?"
        yes = rng.random() < 0.5
        answer = rng.choice(YES if yes else [*NO[:6], "I don't.", "Never have.", "Not anymore."])
        does = f"{third(verb)} {rest}" if yes else f"does not {phrase}"
        told = _of_them(f"The patient {does}".strip())
        if answer == "Not anymore.":
            told += " anymore"
        return Said((("doctor", asked), ("patient", answer)), told + ".")
    often = rng.choice(
        ["", "", "", "still ", "usually ", "often ", "sometimes ", "always ", "never "]
    )
    if way < 0.7:
        own, told = f"I {often}{phrase}", f"The patient {often}{third(verb)} {rest}"
    elif way < 0.85:
        own, told = f"I don't {phrase}", f"The patient does not {phrase}"
    else:
        when = rng.choice(["", " last week", " for years", " as a kid", " yesterday", " before"])
        own, told = f"I {past(verb)} {rest}{when}", f"The patient {past(verb)} {rest}{when}"
    turns = [("patient", ended(re.sub(" +", " ", own).strip()))]
    if rng.random() < 0.4:
        turns.insert(
            0, ("doctor", rng.choice(["Anything else?", "Tell me more.", "Go on.", "And?"]))
        )
    return Said(tuple(turns), ended(_of_them(re.sub(" +", " ", told).strip())))


def _of_them(told: str) -> str:
    return re.sub(r"\bmy\b", "their", re.sub(r"\bI\b", "they", told))


def _to_you(phrase: str) -> str:
    return re.sub(r"\bmy\b", "your", re.sub(r"\bI\b", "you", phrase))
