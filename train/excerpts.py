"""A few turns of a conversation with the sentences of its note that were made from them.

A small model that sees only whole conversations beside whole notes learns how notes sound before it
learns which turn a sentence comes from. So each sentence of a note is traced back to the fewest
turns in a row that bear it out (`train.support`), and these turns, with some of their neighbours,
become a row of their own. (Zhang et al. 2021, "Leveraging pretrained models for automatic
summarization of doctor-patient conversations", divide conversations and notes likewise.)
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from eval.faults import content_words, numbers
from eval.rouge import tokenize
from summarizer.text import sentences
from summarizer.windows import turns_of
from train.support import FORM_WORDS, borne_out, is_heading, without_asides

LEFT_OUT = frozenset({"full_note"})  # sections whose parts are rows of their own
MOST_WORDS = 300  # of an excerpt: turns of a whole visit can be a page each
MOST_TURNS = 8  # of the turns that bear a sentence out
MOST_AROUND = 3  # turns added before and after
FEWEST_WORDS = 2  # content words of a sentence that can be traced


def excerpts(row: dict[str, Any], share: float) -> Iterator[dict[str, Any]]:
    """Rows of a few turns, `input` and `target`; the rest as in `row`, with ids of their own.

    Args:
        row: `id`, `input` with a turn a line, `target`.
        share: of a sentence's content words that its turns must hold, see
            `train.support.supported`.
    """
    turns = turns_of(row["input"])
    if len(turns) < 2 or row.get("section") in LEFT_OUT:
        return
    known = [(set(tokenize(turn)), numbers(turn)) for turn in turns]
    rng = random.Random(str(row["id"]))
    traced = [
        (window, sentence)
        for sentence in _sentences(row["target"], row["input"])
        if (window := bearing_turns(sentence, turns, known, share)) is not None
    ]
    seen: set[tuple[int, int]] = set()
    for (first, last), _ in traced:
        first = max(0, first - rng.randint(0, MOST_AROUND))
        last = min(len(turns), last + rng.randint(0, MOST_AROUND))
        if (first, last) in seen:
            continue
        seen.add((first, last))
        if sum(len(turn.split()) for turn in turns[first:last]) > MOST_WORDS:
            continue
        told = [text for (a, b), text in traced if first <= a and b <= last]
        yield row | {
            "id": f"{row['id']}-turns-{first}-{last}",
            "input": "\n".join(turns[first:last]),
            "target": " ".join(dict.fromkeys(told)),
        }


def _sentences(target: str, source: str) -> Iterator[str]:
    said = numbers(source)
    for line in target.split("\n"):
        if not is_heading(line):
            for sentence in sentences(line):
                yield without_asides(sentence, source, said)


def bearing_turns(
    sentence: str, turns: list[str], known: list[tuple[set[str], set[str]]], share: float
) -> tuple[int, int] | None:
    """The fewest turns in a row, [first, last), that bear the sentence out; with the answer where
    they end with a question, and with the question where they begin with an answer."""
    # Not worth a look: the whole conversation does not hold it.
    whole = [set().union(*(pair[kind] for pair in known)) for kind in (0, 1)]
    if not borne_out(sentence, *whole, share):
        return None
    content = [stem for stem in content_words(sentence) if stem not in FORM_WORDS]
    if len(content) < FEWEST_WORDS:
        return None
    for size in range(1, min(MOST_TURNS, len(turns)) + 1):
        for first in range(len(turns) - size + 1):
            part = known[first : first + size]
            stems = set().union(*(words for words, _ in part))
            figures = set().union(*(said for _, said in part))
            if borne_out(sentence, stems, figures, share):
                last = first + size
                if turns[last - 1].rstrip().endswith("?") and last < len(turns):
                    last += 1
                if first and turns[first - 1].rstrip().endswith("?"):
                    first -= 1
                return first, last
    return None
