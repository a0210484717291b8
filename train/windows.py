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
from train.retell import statements
from train.support import FEWEST_WORDS, FORM_WORDS, SAID_AS, borne_out, supported, without_asides

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


def windowed(
    row: dict[str, Any], words: int, share: float, *, retold: bool = False
) -> Iterator[dict[str, Any]]:
    """A row for each window of `row`, `input` and `target`; the rest as in `row`, with its own id.

    Nothing comes of a conversation of one window that bears nothing of its note out. A window where
    that cannot be said is left out (`retold`).

    Args:
        row: `id`, `input` with a turn a line, `target`.
        words: of a window, see `summarizer.windows.windows`.
        share: of a sentence's content words that its window must hold, see
            `train.support.supported`.
        retold: whether what the note tells in other words is told by rule beside its own sentences,
            and by rule alone where `answered_otherwise` (`train.exchange`).
    """
    parts = windows(row["input"], words)
    by_rule_alone = bool(row.get("answered_otherwise"))
    if by_rule_alone and not retold:
        return
    if (
        len(parts) == 1
        and not by_rule_alone
        and (not retold or len(row["target"].split()) < FEWEST_WORDS)
    ):
        target = supported(row["target"], row["input"], share)
        if target is not None:
            yield row | {"target": target}
        return
    if by_rule_alone:
        told: list[list[str]] = [[] for _ in parts]
    else:
        told = _told(row, [_Window(part) for part in parts], share)
    if retold:
        visit = len(row["input"].split()) > LONGEST_CLIP
        retold_lines = [
            _retold(row["target"], part, lines, visit=visit)
            for part, lines in zip(parts, told, strict=True)
        ]
        if len(parts) == 1 and not retold_lines[0]:
            return
        left = [place for place, lines in enumerate(retold_lines) if lines is not None]
        parts, told = [parts[n] for n in left], [retold_lines[n] or [] for n in left]
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
            heading = _heading(line)
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


LONGEST_CLIP = 600  # words of a conversation about one thing; a longer one is a visit
SHARED = 0.4  # least share of a visit's statement's content words that its note has
COVERED = 0.6  # share of a statement's content words that the note's own sentences hold


def _retold(note: str, part: str, lines: list[str], *, visit: bool) -> list[str] | None:
    """A window's lines, and what else of the note was said in it, told by rule (`train.retell`).

    A statement is of the note where they share a content word. Of a visit the note tells one of
    many subjects: there it stands beside sentences of the note's own alone, and where they share
    two content words and `SHARED` of the statement's.

    Returns:
        None where something is stated in a clip of which the note says nothing: it may have said it
        in other words, so that neither the statement nor silence can be learned.
    """
    turns = part.split("\n")
    noted = _as_said(_stems(note))
    own = [sentence for line in lines if not is_heading(line) for sentence in sentences(line)]
    told = _as_said(set().union(*(_stems(sentence) for sentence in own)))
    placed: list[tuple[int, str]] = []
    passed_over = False
    for statement in statements(turns):
        stems = _stems(statement.text)
        shared = len(stems & noted)
        least = max(2, SHARED * len(stems)) if visit else 1
        if not stems or len(stems & told) >= COVERED * len(stems):
            continue
        if shared >= least and (own or not visit):
            placed.append((statement.last, statement.text))
        else:
            passed_over = True
    if not placed:
        return None if passed_over and not lines and not visit else lines
    stated = " ".join(text for _, text in placed)
    if any(map(is_heading, lines)):
        return [*lines[:-1], f"{lines[-1]} {stated}"]
    headings = {line.strip() for line in note.split("\n") if line.strip() and is_heading(line)}
    if headings and not own:
        return [_heading(headings.pop()), "", stated] if len(headings) == 1 else lines
    for sentence in own:
        stems = _as_said(_stems(sentence))
        last = max(range(len(turns)), key=lambda turn: (len(stems & _stems(turns[turn])), turn))
        placed.append((last, sentence))
    return [" ".join(text for _, text in sorted(placed, key=lambda pair: pair[0]))]


def _heading(line: str) -> str:
    name = line.strip().rstrip(":").strip()
    return _HEADINGS.get(name.lower(), name.upper())


def _as_said(stems: set[str]) -> set[str]:
    """The stems, and those with which the same is said."""
    return stems.union(*(SAID_AS.get(stem, frozenset()) for stem in stems))


def _stems(text: str) -> set[str]:
    return {stem for stem in content_words(text) if stem not in FORM_WORDS} | {
        number for number in numbers(text) if len(number) > 1
    }


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
