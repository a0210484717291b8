"""Rows of a conversation's windows, each with what the note says of it.

The engine reads a long conversation in windows (`summarizer.windows`); what it is trained on has to
look the same. Each sentence of a note goes to the window that holds the turns that bear it out
(`train.excerpts`); one that none bears out is left out. A window of which the note says nothing
has an empty target: the model learns to be silent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from eval.faults import content_words, numbers
from eval.rouge import tokenize
from summarizer.text import sentences
from summarizer.windows import is_heading, windows
from train.excerpts import bearing_turns
from train.support import FORM_WORDS, borne_out, supported, without_asides

# Windows write the same headings alike, so that the engine finds what belongs together.
_HEADINGS = {
    "cc": "CHIEF COMPLAINT",
    "hpi": "HISTORY OF PRESENT ILLNESS",
    "ros": "REVIEW OF SYSTEMS",
    "pe": "PHYSICAL EXAM",
    "exam": "PHYSICAL EXAM",
    "physical examination": "PHYSICAL EXAM",
    "assessment & plan": "ASSESSMENT AND PLAN",
}
# What is decided is said at the end of a visit, of words that were said before as well.
_LATE = re.compile(r"assessment|plan\b|impression|instructions|diagnos|disposition", re.IGNORECASE)


def windowed(row: dict[str, Any], words: int, share: float) -> Iterator[dict[str, Any]]:
    """A row for each window of `row`, `input` and `target`; the rest as in `row`, with its own id.

    Nothing comes of a conversation of one window that bears nothing of its note out.

    Args:
        row: `id`, `input` with a turn a line, `target`.
        words: of a window, see `summarizer.windows.windows`.
        share: of a sentence's content words that its window must hold, see
            `train.support.supported`.
    """
    parts = windows(row["input"], words)
    if len(parts) == 1:
        target = supported(row["target"], row["input"], share)
        if target is not None:
            yield row | {"target": target}
        return
    told = _told(row, [_Window(part) for part in parts], share)
    for number, (part, lines) in enumerate(zip(parts, told, strict=True)):
        yield row | {
            "id": f"{row['id']}-window-{number}",
            "input": part,
            "target": "\n".join(lines),
        }


class _Window:
    """A window's turns, and the stems and numbers of each and of all."""

    def __init__(self, text: str) -> None:
        self.turns = text.split("\n")
        self.known = [(set(tokenize(turn)), numbers(turn)) for turn in self.turns]
        self.stems = set().union(*(stems for stems, _ in self.known))
        self.said = set().union(*(said for _, said in self.known))


def _told(row: dict[str, Any], parts: list[_Window], share: float) -> list[list[str]]:
    """The lines of the note that belong to each window, under their headings."""
    told: list[list[str]] = [[] for _ in parts]
    under: list[str | None] = [None] * len(parts)  # the heading that a window has written last
    said = numbers(row["input"])
    heading = None
    for line in filter(str.strip, row["target"].split("\n")):
        if is_heading(line):
            name = line.strip().rstrip(":").strip()
            heading = _HEADINGS.get(name.lower(), name.upper())
            continue
        late = bool(_LATE.search(f"{row.get('section') or ''} {heading or ''}"))
        found: dict[int, list[str]] = {}
        for sentence in sentences(line):
            sentence = without_asides(sentence, row["input"], said)
            place = _place(sentence, parts, share, late=late)
            if place is not None:
                found.setdefault(place, []).append(sentence)
        for place, kept in found.items():
            if heading is not None and under[place] != heading:
                told[place] += [*([""] if told[place] else []), heading, ""]
                under[place] = heading
            told[place].append(" ".join(kept))
    return told


def _place(sentence: str, parts: list[_Window], share: float, *, late: bool) -> int | None:
    """The window in which the fewest turns bear the sentence out; of equals the first or last."""
    content = [stem for stem in content_words(sentence) if stem not in FORM_WORDS]
    sizes: dict[int, int] = {}
    for place, part in enumerate(parts):
        window = bearing_turns(sentence, part.turns, part.known, share)
        if window is not None:
            sizes[place] = window[1] - window[0]
        elif len(content) == 1 and borne_out(sentence, part.stems, part.said, share):
            sizes[place] = len(part.turns)
    if not sizes:
        return None
    return min(sizes, key=lambda place: (sizes[place], -place if late else place))
