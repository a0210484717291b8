"""The slips of people who type in a hurry: letters lost, doubled or swapped, signs left out."""

from __future__ import annotations

import random
import re

SHARE = 0.05  # of the words of a hurried text, those with a wrong letter

# what is typed in its stead: one of these for a whole text
_INSTEAD = [
    (r"\b[Yy]ou\b", ["u", "you"]),
    (r"\b[Pp]lease\b", ["pls", "plz", "please", "Plz"]),
    (r"\b[Bb]ecause\b", ["becuase", "cause", "bcoz"]),
    (r"\bI am\b", ["im", "I m", "i am", "Im"]),
    (r"\bI have\b", ["i have", "ive", "I hav"]),
    (r"\bI\b", ["i"]),
    (r"\b[Dd]octor\b", ["Dr", "doc", "docter", "dr."]),
    (r"\band\b", ["&", "and", "n"]),
    (r"\bwas diagnosed\b", ["was dignosed", "got diagnosed", "was diagnose"]),
    (r"\btoo\b", ["to"]),
    (r"\. ", [" ", ". ", ".", ", ", "... ", " . "]),
    (r"\?", ["", "??", " ?", "?"]),
    (r"'", [""]),
]
_SOUNDS_LIKE = {"a": "e", "e": "i", "i": "e", "o": "a", "u": "o", "y": "i", "s": "c", "c": "s", "f": "ph"}  # fmt: skip


def slip(rng: random.Random, word: str) -> str:
    """The word with one of its inner letters lost, doubled, swapped or taken for another."""
    place = rng.randrange(1, len(word) - 1)
    before, letter, after = word[:place], word[place], word[place + 1 :]
    way = rng.randrange(4)
    if way == 0:
        return before + after
    if way == 1:
        return before + 2 * letter + after
    if way == 2:
        return before + after[0] + letter + after[1:]
    return before + _SOUNDS_LIKE.get(letter, letter) + after


def misspelled(rng: random.Random, text: str, name: str) -> str:
    """The text with the longest word of the name misspelled, everywhere alike.

    Names of less than six letters and abbreviations stay: of those a slip makes another name.
    """
    words = [word for word in re.findall(r"[a-zA-Z]{6,}", name) if not word.isupper()]
    if not words:
        return text
    word = max(words, key=len)
    wrong = slip(rng, word)
    return re.sub(rf"\b{word}\b", wrong, text, flags=re.IGNORECASE)


def hurried(rng: random.Random, text: str) -> str:
    """The text as it is typed in a hurry."""
    for pattern, others in rng.sample(_INSTEAD, rng.randrange(2, 8)):
        choice = rng.choice(others)
        text = re.sub(pattern, lambda _, choice=choice: choice, text)
    return re.sub(
        r"[A-Za-z]{4,}",
        lambda word: slip(rng, word[0]) if rng.random() < SHARE else word[0],
        text,
    )
