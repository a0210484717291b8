"""Names put in place of names: pairs in which what is told can only be read, not known.

Drawn reports know a few hundred things and places, and an adapter that learned from them alone writes
"condyles" where a report says "convexity": it carries on what it knows. Here words that a text and
its target share are replaced in both by a phrase from elsewhere, of whatever meaning, and sentences
of the text go on with what is told nowhere: what stands there has to be copied, whatever it is.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from eval.clinical import tells_abnormality

REPLACED = 0.6  # of what both share
NORMAL = 0.5  # of the texts, those in which something else is said to be normal
GOES_ON = 0.3  # of the sentences with a replaced phrase
COMMON = 0.08  # of the documents: a word in more of them is no part of a name
SOURCES = frozenset({"mtsamples", "openstax_health"})  # texts that name parts of the body

_WORDS = re.compile("[a-z']+")
_WORD = "[a-z][a-z-]+"
_PHRASE = re.compile(
    rf"\b(?:of|in|within|at|from|through|along|involving|into|over|to|around|between) (?:the|an?) "
    rf"({_WORD}(?: {_WORD}){{0,4}}?)(?=[,.;:)]| (?:is|was|are|were|with|and|in|of|on|to|by|for|"
    r"that|which|at|from|or|as|may|can|has|have)\b)"
)
# Words of prose that name nothing which a report could show.
_PROSE = frozenset(
    "this that these those other same which case cases use end most more first second one two study "
    "studies following present addition number role result results effect effects patient patients "
    "time group groups day days year years week weeks presence absence basis course way purpose form "
    "process level levels rate risk amount need order lack set range part period development onset "
    "diagnosis treatment management kind type fact table figure depend depends".split()
)
# Words that say how, where and how much: what they stand beside is replaced, they are not.
_KEPT = frozenset(
    "a an the of in on at to with without and or is are was were be been no not for from by as this "
    "that these there which may could would likely than but it its due into up left right bilateral "
    "mild moderate severe marked minimal slight small large trace acute chronic old new stable "
    "increased decreased unchanged normal consistent suspicious biopsy recommended suggested seen "
    "measuring most up both upper lower cm mm".split()
)
# Of a conversation: who speaks, and of whom.
_PEOPLE = frozenset("doctor patient dr mr mrs guest family".split())
_DENIED = frozenset("no not without normal negative unremarkable clear".split())
_GOES_ON = (
    " and <abuts|displaces|effaces|indents|reaches|touches|overlies|crosses> the {phrase}",
    ", <abutting|displacing|extending to|extending into|next to|just below|just above> the {phrase}",
    " <close to|at the level of|along the border of|on the surface of> the {phrase}",
    ", <best seen|partly hidden|poorly seen|seen only> <near|behind|beside|below> the {phrase}",
    " and <does not reach|spares|stays clear of|lies apart from> the {phrase}",
    " with <some|a little|loss of|a thin line of|blurring of> {phrase}",
    ", which is <hard to tell from|seen through|partly covered by|in line with> the {phrase}",
)
# Of what nobody asked about, and what the adapter does not know either: it is normal.
_NORMAL = (
    "The {phrase} <is|appears|remains> <normal|intact|unremarkable|preserved|patent|clear|symmetric>.",
    "The {phrase} <is not|is not> <enlarged|displaced|thickened|involved|dilated>.",
    "The {phrase} and {other} are <normal|intact|unremarkable|well seen|maintained|within normal limits>.",
    "<No|There is no|No evidence of> {phrase}.",
    "There is no {phrase} or {other}.",
    "The {phrase} <is|was> <imaged|included|covered> as well.",
    "The {phrase} has a normal <appearance|course|contour|signal|size>.",
    "<Normal|Intact|Unremarkable> {phrase}.",
)
_CHOICE = re.compile(r"<([^<>]*)>")


def phrases(documents: Iterable[Any]) -> list[str]:
    """Phrases that follow "of the" and the like: what texts speak of, in small letters.

    Args:
        documents: with `source` and `text` (`train.auxiliary.read_documents`).
    """
    found: set[str] = set()
    for document in documents:
        if document.source in SOURCES:
            found.update(phrase.lower() for phrase in _PHRASE.findall(document.text))
    return sorted(
        phrase for phrase in found if len(phrase) > 5 and not _PROSE.intersection(phrase.split())
    )


def common(documents: Iterable[Any]) -> frozenset[str]:
    """The words, in small letters, of which none is part of a conversation's name for something.

    Those that many of the documents (with `text`) hold, and those that say how, where and who.
    """
    counts: Counter[str] = Counter()
    number = 0
    for number, document in enumerate(documents, 1):
        counts.update(set(_WORDS.findall(document.text.lower())))
    many = {word for word, count in counts.items() if count > COMMON * number}
    return frozenset(_KEPT | _PEOPLE | many)


def shared(text: str, target: str, kept: Collection[str] = _KEPT) -> list[str]:
    """The longest runs of words of a target that stand in its text as well, in small letters.

    Between the words that say how, where and how much; none of what is denied.

    Args:
        kept: those words.
    """
    text = " ".join(text.lower().split())
    found: dict[str, None] = {}
    for clause in re.split(r"[^a-z' -]+", target.lower()):
        words = clause.split()
        if not _DENIED.isdisjoint(words):
            continue
        start = 0
        while start < len(words):
            end = start
            while end < len(words) and words[end] not in kept:
                if not _stands(words[start : end + 1], text):
                    break
                end += 1
            if sum(map(len, words[start:end])) > 3:
                found[" ".join(words[start:end])] = None
            start = max(end, start + 1)
    return list(found)


def _stands(words: Sequence[str], text: str) -> bool:
    return re.search(rf"(?<![a-z]){re.escape(' '.join(words))}(?![a-z])", text) is not None


def replaced(
    row: Mapping[str, Any], named: Sequence[str], rng: random.Random
) -> dict[str, Any] | None:
    """A row with phrases in place of some that its text and its target share.

    A row whose target tells nothing abnormal says more that is normal; None where neither is so.

    Args:
        row: `input` and `target`, and what else it has.
        named: phrases (`phrases`).
    """
    text, target = row["input"], row["target"]
    known = shared(text, target)
    there = [one for one in known if rng.random() < REPLACED]
    if not there and (known or tells_abnormality(target)):
        return None
    new: list[str] = []
    for one in sorted(there, key=len, reverse=True):
        phrase = rng.choice(named)
        new.append(phrase)
        text, target = _put(text, one, phrase), _put(target, one, phrase)
    text = "".join(
        _on(part, named, rng)
        if any(phrase in part.lower() for phrase in new) and rng.random() < GOES_ON
        else part
        for part in re.split(r"(?<=[.])(?=\s)", text)
    )
    if not there or rng.random() < NORMAL:
        text = _with_normal(text, named, rng)
    return {**row, "id": f"{row['id']}-named", "input": text, "target": target}


def _with_normal(text: str, named: Sequence[str], rng: random.Random) -> str:
    """A text with a sentence or more between its own that tell what is normal."""
    parts = re.split(r"(?<=[.])(?=\s)", text)
    for _ in range(rng.choice([1, 1, 2, 3])):
        frame = rng.choice(_NORMAL).replace("{phrase}", rng.choice(named))
        said = _CHOICE.sub(lambda choice: rng.choice(choice[1].split("|")), frame)
        said = said.replace("{other}", rng.choice(named))
        parts.insert(rng.randrange(len(parts)) + 1, f" {said}")
    return "".join(parts)


def _put(text: str, old: str, new: str) -> str:
    """A text with a phrase in place of another, with a capital where that had one."""

    def one(found: re.Match[str]) -> str:
        capital = found[2][0].isupper()
        phrase = new[0].upper() + new[1:] if capital else new
        if not found[1]:
            return phrase
        article = "an" if new[0] in "aeiou" else "a"
        return f"{article.capitalize() if found[1][0].isupper() else article} {phrase}"

    words = r"\s+".join(map(re.escape, old.split()))
    return re.sub(rf"(?i)(?<![a-z])(?:(an?)\s+)?({words})(?![a-z])", one, text)


def _on(sentence: str, named: Sequence[str], rng: random.Random) -> str:
    """A sentence that goes on with what is told nowhere."""
    if not sentence.endswith("."):
        return sentence
    more = rng.choice(_GOES_ON).replace("{phrase}", rng.choice(named))
    return sentence[:-1] + _CHOICE.sub(lambda choice: rng.choice(choice[1].split("|")), more) + "."


def substituted(
    rows: Iterable[Mapping[str, Any]], named: Sequence[str], source: str, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """The rows in which something could be replaced or added, with another `source`."""
    rng = random.Random(seed)
    for row in rows:
        found = replaced(row, named, rng)
        if found is not None:
            yield {**found, "source": source}


def renamed(
    row: Mapping[str, Any],
    named: tuple[Sequence[str], Sequence[str]],
    kept: Collection[str],
    share: float,
    rng: random.Random,
) -> dict[str, Any] | None:
    """A conversation about other things: names in place of what it and its note share.

    Args:
        row: `id`, `input` and `target`, and what else it has.
        named: two lists of names, either as likely as the other.
        kept: words that are no part of a name (`common`).
        share: of the names, those that are replaced, by chance.

    Returns:
        None where nothing was replaced.
    """
    text, target = row["input"], row["target"]
    there = [one for one in shared(text, target, kept) if rng.random() < share]
    if not there:
        return None
    for one in sorted(there, key=len, reverse=True):
        name = rng.choice(named[0] if rng.random() < 0.5 else named[1])
        text, target = _put(text, one, name), _put(target, one, name)
    return {**row, "id": f"{row['id']}-named", "input": text, "target": target}
