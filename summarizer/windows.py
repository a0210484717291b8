"""A long text read in windows of a few turns or sentences, and their texts put together again.

A small model that reads a whole visit at once writes what visits sound like. Read in windows, it
writes down what each of them says; the parts are merged by their headings. (Zhang et al. 2021,
"Leveraging pretrained models for automatic summarization of doctor-patient conversations", read
long conversations in chunks likewise.) Of a long report, each window has an impression of its own,
and the points of all of them are one list. This module knows no model.
"""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from summarizer.findings import tells_abnormality
from summarizer.text import sentences

if TYPE_CHECKING:
    from summarizer.tasks import Task

SPEAKER = re.compile(r"(?:(?<=\s)|^)(?:(?:Doctor|Patient|Guest_\w+):|\[(?:doctor|patient)\])\s")
HEADING_WORDS = 5  # most words of a heading
# Headings of a visit's note in capitals, as ACI-Bench's clinicians wrote them (of those for the
# examination, the one that `train.windows` writes for all).
HEADINGS = (
    "CHIEF COMPLAINT",
    "HISTORY OF PRESENT ILLNESS",
    "REVIEW OF SYSTEMS",
    "PAST HISTORY",
    "MEDICAL HISTORY",
    "SURGICAL HISTORY",
    "FAMILY HISTORY",
    "SOCIAL HISTORY",
    "MEDICATIONS",
    "CURRENT MEDICATIONS",
    "ALLERGIES",
    "VITALS",
    "VITALS REVIEWED",
    "EXAM",
    "PHYSICAL EXAM",
    "RESULTS",
    "PROCEDURE",
    "IMPRESSION",
    "ASSESSMENT",
    "PLAN",
    "ASSESSMENT AND PLAN",
    "INSTRUCTIONS",
)
_FIRST_WORDS = frozenset(title.split()[0] for title in HEADINGS)
BEGINS = 6  # letters of a bent heading's first word that are those of the one it was begun as
# A list number as models write it ("4;", "44."), and where a new point begins.
_MARK = re.compile(r"^\s*(?:\d{1,2}\s*[.):;,](?=\s|$)|[-*\u2022])\s*")
_NUMBER = re.compile(r"^(\d{1,2})[.)](?=\s)")
# A line's first word in small letters, all of them; no "pH", "p.m.", "mmHg", "x2".
_SMALL = re.compile(r"^((?:\d{1,2}[.)] |[-*\u2022] )?)([a-z])(?=[a-z]*(?![^\W_]|\.[a-z]))")
_POINT = re.compile(r"\n|(?<=[.;])\s+(?=\d{1,2}[.)]\s)")
SLACK = 1.25  # a text so many times the length of a window is still read as one
# A visit is read in about so many windows, of at most so many words: its note tells less of each turn
# than that of a few turns does.
MANY, LONGEST = 32, 40
MOST_WORDS = 5_000  # of a text that is read in windows: a visit of half an hour
MOST_SENTENCE = 60  # words of a sentence that is not divided, however short the windows are


def turns_of(conversation: str) -> list[str]:
    """The turns, one each; a conversation on one line is divided where a speaker is named."""
    lines = [line for line in conversation.split("\n") if line.strip()]
    if len(lines) != 1:
        return lines
    starts = [found.start() for found in SPEAKER.finditer(conversation)]
    edges = [0, *(start for start in starts if start), len(conversation)]
    parts = (conversation[a:b].strip() for a, b in zip(edges, edges[1:], strict=False))
    return [part for part in parts if part]


def lengths(words: int) -> str:
    """How long windows of so many words are, in words: those of a long text may be longer."""
    most = max(words, LONGEST)
    return f"{words:,} to {most} words" if words < most else f"{words:,} words"


def parts_of(task: Task, text: str) -> tuple[list[str], list[str]]:
    """What a task's model reads side by side: the text, or its windows; and those left unread."""
    if task.window_words is None:
        return [text], []
    parts = windows(text, task.window_words)
    most = max(1, MOST_WORDS // max(task.window_words, LONGEST))
    return parts[:most], parts[most:]


def windows(text: str, words: int) -> list[str]:
    """The text in windows of whole turns, all of about one length, at most about `words` each.

    Of a long text, windows shorter than `LONGEST` are longer, so that there are about `MANY`.

    A question goes to the window of its answer: without it, either says little. It stands in both
    where little would be left of its own.
    """
    words = max(words, min(len(text.split()) // MANY, LONGEST))
    turns = [part for turn in turns_of(text) for part in _pieces(turn, words)]
    lengths = [len(turn.split()) for turn in turns]
    total = sum(lengths)
    if total <= SLACK * words:
        return [text]
    count = math.ceil(total / words)
    groups: list[list[str]] = [[]]
    read = 0
    for turn, length in zip(turns, lengths, strict=True):
        # the turn goes where its middle lies
        if groups[-1] and read + length / 2 > total * len(groups) / count:
            last = groups[-1]
            asked = last[-1:] if last[-1].rstrip().endswith("?") else []
            if asked and sum(len(turn.split()) for turn in last[:-1]) >= words / 2:
                last.pop()
            groups.append(asked)
        groups[-1].append(turn)
        read += length
    return ["\n".join(group) for group in groups]


def _pieces(turn: str, words: int) -> Iterator[str]:
    """A turn that is longer than a window, in pieces of whole sentences; a very long one divided."""
    if len(turn.split()) <= words:
        yield turn
        return
    longest = max(words, MOST_SENTENCE)
    piece: list[str] = []
    for sentence in sentences(turn):
        held = sentence.split()
        if piece and len(piece) + len(held) > words:
            yield " ".join(piece)
            piece = []
        while len(held) > longest:
            yield " ".join(held[:longest])
            held = held[longest:]
        piece += held
    if piece:
        yield " ".join(piece)


def is_heading(line: str) -> bool:
    """Whether a line is a heading of a note: a few words in capitals, or with a colon at the end."""
    line = line.strip()
    few = 0 < len(line.split()) <= HEADING_WORDS
    return few and ((line.isupper() and line[-1] != ".") or line.endswith(":"))


@lru_cache(maxsize=4096)  # asked of every line again while a text streams
def heading(line: str) -> str:
    """A heading in capitals as it is written, without a list's mark.

    A bent one ("PHYSICIST", "ASSESSES") is the one that it was begun as: what stands in one window
    twice may not be written twice (no_repeat_ngram_size), and then its first word begins rightly
    and ends otherwise. A first word that is a heading's own is not bent ("MEDICAL EXAM"). Others,
    and those with a colon, are left.
    """
    bare = _MARK.sub("", line).strip()
    if bare in HEADINGS:
        return bare
    if not bare.isupper() or bare.endswith(":") or bare.split()[0] in _FIRST_WORDS:
        return line
    alike = [title for title in HEADINGS if title[:BEGINS] == bare[:BEGINS]]
    return next(iter(difflib.get_close_matches(bare, alike, n=1, cutoff=0)), line)


def joined(parts: Sequence[str], style: str = "prose") -> str:
    """The windows' texts as one; a text of one window is left as it is.

    Lines begin with a capital, where a window begins amid a sentence as well. style: of the task's
    output. "prose": what stands under the same heading comes together, no line twice, its lists
    numbered on. "numbered": the points of an impression, numbered anew, none
    twice; a point that nothing is wrong is left out where another window tells a finding
    (`summarizer.findings`), and stands once where none does.
    """
    if len(parts) < 2:
        return parts[0] if parts else ""
    parts = [part for part in parts if part.strip()]
    return _points(parts) if style == "numbered" else _headed(parts)


def _points(parts: Sequence[str]) -> str:
    found: dict[str, str] = {}
    for part in parts:
        for line in _POINT.split(part):
            point = _MARK.sub("", line).strip()
            if _folded(point):
                found.setdefault(_folded(point), _capital(point))
    points = list(found.values())
    points = [point for point in points if tells_abnormality(point)] or points[:1]
    if len(points) < 2:
        return "".join(points)
    return "\n".join(f"{number}. {point}" for number, point in enumerate(points, start=1))


def _headed(parts: Sequence[str]) -> str:
    found: dict[str, list[str]] = {}  # the lines under each heading, in the order of first sight
    titles: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for part in parts:
        key = ""
        for line in part.split("\n"):
            if not line.strip():
                continue
            if is_heading(line):
                title = heading(line.strip())
                key = _folded(title)
                titles.setdefault(key, title)
                found.setdefault(key, [])
            elif (point := (key, _folded(_MARK.sub("", line)))) not in seen:
                seen.add(point)
                found.setdefault(key, []).append(_capital(line.strip()))
    blocks = [
        "\n".join(([titles[key], ""] if key else []) + _renumbered(lines))
        for key, lines in found.items()
        if lines
    ]
    return "\n\n".join(blocks)


def _renumbered(lines: list[str]) -> list[str]:
    """The lines with the numbers of each list counted on where several windows began one."""
    numbers = [int(found[1]) if (found := _NUMBER.match(line)) else None for line in lines]
    given = [number for number in numbers if number is not None]
    if len(set(given)) == len(given):
        return lines
    count = itertools.count(1)
    return [
        line if number is None else _NUMBER.sub(f"{next(count)}.", line, count=1)
        for line, number in zip(lines, numbers, strict=True)
    ]


def _capital(line: str) -> str:
    """A line that begins with a word in small letters, with a capital; "pH", "p.m." are left."""
    return _SMALL.sub(lambda found: found[1] + found[2].upper(), line)


def _folded(line: str) -> str:
    return re.sub(r"\W+", " ", line.lower()).strip()
