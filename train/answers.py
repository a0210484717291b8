"""Questions and answers of a consultation, and what a note tells of them.

A bare "no", "the left one" or "mostly at night" says something only together with its question, and
the conversations of the open data sets are too few to learn that from. So a few turns are drawn from
`train/grammar/answers.yaml`: what was asked, how it was answered, and the sentence that a note has
of it, with words between that nobody notes and, now and then, something of another section. What is
told is known from how the turns were made. Of a visit, whose transcript has no capitals and little
punctuation, the note has headings, and in a section only what belongs there.

Beside the grammar stand exchanges that were written one by one (`train/answers/GROUP/*.txt`), each a
line with the choices of `train.written`, of the section that the last line of `@ section: NAME`
names. A group's rows are drawn together, so new exchanges go into a new group: what an adapter has
learned from is then drawn as it was.

    D: Does it <1:lock|click>? // P: <Nope|Never>. => No <1:locking|clicking>.

Run as:

    python -m train.answers FILE [FILE ...]      checks such files, tells every fault, shows some
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from train.errors import DataError
from train.objectives import number_words, spell_numbers
from train.spoken import Said, turns_of_all
from train.synthetic import Filler, capital, chosen, grammar, invented
from train.thirdperson import told_of_patient
from train.written import Template, check

EXCHANGES = Path(__file__).parent / "answers"
MOST_WORDS = 60  # of the turns that are told, as the dialogue adapter reads them
BETWEEN = 0.25  # of what is told, what is followed by something that is not
ELSEWHERE = 0.2  # of the windows, those with something of another section
SPELLED = 0.5  # of the windows, those whose numbers are words
TOPICS = 25  # names of conditions that stand beside the grammar's, for one window

# Of a visit: the sections of its note, their headings, and the grammar's sections that belong there.
_VISIT: dict[str, dict[tuple[str, ...], tuple[str, ...]]] = {
    "subjective": {
        ("CHIEF COMPLAINT",): ("CC",),
        ("HISTORY OF PRESENT ILLNESS",): ("GENHX",),
        ("REVIEW OF SYSTEMS",): ("ROS",),
        ("MEDICAL HISTORY", "PAST HISTORY"): ("PASTMEDICALHX",),
        ("SURGICAL HISTORY",): ("PASTSURGICAL",),
        ("SOCIAL HISTORY",): ("FAM/SOCHX",),
        ("MEDICATIONS", "CURRENT MEDICATIONS"): ("MEDICATIONS",),
        ("ALLERGIES",): ("ALLERGY",),
    },
    "objective_exam": {("PHYSICAL EXAM",): ("EXAM",)},
    "objective_results": {("RESULTS",): ("LABS",)},
    "assessment_and_plan": {("ASSESSMENT AND PLAN",): ("ASSESSMENT", "PLAN")},
}
_WHOLE = "full_note"
_LINES = frozenset({"objective_exam", "objective_results", "assessment_and_plan"})  # a line each
# How many of the entries of a window are of each part of a visit.
_PARTS = {"subjective": 6, "objective_exam": 2, "objective_results": 1, "assessment_and_plan": 3}
_FAMILY = re.compile(
    r"\b(?:family|mother|father|brother|sister|aunt|uncle|cousin|grand\w+)\b", re.I
)
_HESITANT = 0.35  # of the turns of a visit
_BEGINNINGS = {
    "doctor": (
        "okay",
        "okay and",
        "okay so",
        "alright",
        "alright so",
        "so",
        "um",
        "and uh",
        "you know",
    ),
    "patient": ("yeah", "well", "um", "uh", "i mean", "you know", "so", "mm-hmm", "hey doc"),
}
# "Any {complaint}?" with "a headache"
_ARTICLE = re.compile(r"\b(any|no|your|the|little|some) an? ", re.I)
_SPEAKERS = {"D": "doctor", "P": "patient", "G": "guest_family"}


# What may be drawn, by section: lines of the grammar, or exchanges written one by one.
Entries = Mapping[str, Sequence["str | Template"]]


def answers(
    count: int, topics: Sequence[str] = (), seed: int = 0, entries: Entries | None = None
) -> Iterator[dict[str, str]]:
    """Up to `count` rows, no conversation twice: `id`, `input`, `target`, `section`, `source`.

    Args:
        topics: names of conditions that may come up beside the grammar's.
        entries: what to draw from; None: the grammar's.
    """
    rng = random.Random(seed)
    entries = _entries() if entries is None else entries
    names = list(entries)
    many = [len(entries[name]) for name in names]
    drawn_from = (rng.choices(names, many)[0] for _ in range(count))
    return _distinct(
        "answer", ((name, *_window(rng, name, topics, entries)) for name in drawn_from)
    )


def visits(
    count: int, topics: Sequence[str] = (), seed: int = 0, entries: Entries | None = None
) -> Iterator[dict[str, str]]:
    """Up to `count` rows as `answers` has them: a stretch of a visit and what a section, or the
    whole note, has of it, under its headings.
    """
    rng = random.Random(seed)
    entries = _entries() if entries is None else entries
    parts = _parts(entries)
    weights = {part: _PARTS[part] for part in _PARTS if parts[part]}
    told_in = (_WHOLE if rng.random() < 0.25 else _one(rng, weights) for _ in range(count))
    return _distinct(
        "visit", ((name, *_stretch(rng, name, topics, parts, weights)) for name in told_in)
    )


def _distinct(kind: str, rows: Iterable[tuple[str, str, str]]) -> Iterator[dict[str, str]]:
    """Of section, text and target, a row each, but for the texts that have been there."""
    seen: set[str] = set()
    for number, (section, text, target) in enumerate(rows):
        if text not in seen:
            seen.add(text)
            yield {
                "id": f"{kind}-{number}",
                "input": text,
                "target": target,
                "section": section,
                "source": f"{kind}s",
            }


def _one(rng: random.Random, weights: Mapping[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


# Of the parts of a visit: what may be drawn, by the headings that it may stand under.
_Parts = Mapping[str, Mapping[tuple[str, ...], Sequence["str | Template"]]]


def _parts(every: Entries) -> _Parts:
    """What may be drawn of each part of a visit: a patient's own entries, no guest's."""
    found: dict[str, dict[tuple[str, ...], list[str | Template]]] = {}
    for part, names_of in _VISIT.items():
        own = {
            headings: [
                entry
                for name in names
                for entry in every.get(name, ())
                if "G: " not in (entry if isinstance(entry, str) else entry.said)
            ]
            for headings, names in names_of.items()
        }
        found[part] = {headings: entries for headings, entries in own.items() if entries}
    if not any(found.values()):
        raise DataError("There is nothing to draw a visit from: no section of one has an entry.")
    return found


def _stretch(
    rng: random.Random,
    section: str,
    topics: Sequence[str],
    parts_of: _Parts,
    weights: Mapping[str, int],
) -> tuple[str, str]:
    """The turns of one or two parts of a visit; at least one thing of them is told."""
    filler, most = _filler(rng, topics), rng.randint(15, MOST_WORDS)
    first = section if section != _WHOLE else _one(rng, weights)
    parts = [first] if rng.random() < 0.65 else [first, _one(rng, weights)]
    if rng.random() < 0.3:
        parts.reverse()
    taken: list[Said] = []
    told: dict[str, list[str]] = {}
    for part in parts:
        found = parts_of[part]
        for headings in rng.sample(list(found), rng.choice([1, 1, min(2, len(found))])):
            heading, entries = rng.choice(headings), found[headings]
            for entry in _apart(rng.sample(entries, rng.randint(1, min(4, len(entries))))):
                said = drawn(rng, filler, entry)
                if taken and _length([*taken, said]) > most and (told or part != first):
                    continue
                taken.append(said)
                if section in (part, _WHOLE):
                    family = heading == "SOCIAL HISTORY" and _FAMILY.search(said.told)
                    told.setdefault("FAMILY HISTORY" if family else heading, []).append(said.told)
                if rng.random() < BETWEEN:
                    taken.append(drawn(rng, filler, rng.choice(_grammar()["between"])))
    lines = {heading for part in _LINES for names in _VISIT[part] for heading in names}
    order = [heading for headings in _VISIT.values() for names in headings for heading in names]
    order.insert(order.index("SOCIAL HISTORY"), "FAMILY HISTORY")
    target = "\n\n".join(
        f"{heading}\n\n" + ("\n" if heading in lines else " ").join(told[heading])
        for heading in sorted(told, key=order.index)
    )
    return _transcribed(rng, taken), target


def _transcribed(rng: random.Random, taken: list[Said]) -> str:
    """Turns as a visit's transcript has them."""
    bare = rng.random() < 0.5
    lines = []
    for line in turns_of_all(rng, [Said(said.turns, "") for said in taken], bracketed=1.0).split(
        "\n"
    ):
        speaker, _, words = line.partition(" ")
        if rng.random() < _HESITANT:
            begins = rng.choice(_BEGINNINGS[speaker.strip("[]")])
            words = f"{begins} {'' if bare else ', '}{words}"
        if bare:
            words = re.sub(r" [,.?!;]+(?= |$)", "", words)
        lines.append(f"{speaker} {re.sub(' +', ' ', words)}")
    text = "\n".join(lines)
    return spell_numbers(rng, _decimals_spoken(text)) if rng.random() < 0.7 else text


def _decimals_spoken(text: str) -> str:
    """ "7.4" is "seven point four", "3.05" "three point oh five"."""

    def words(found: re.Match[str]) -> str:
        figures = " ".join("oh" if one == "0" else number_words(int(one)) for one in found[2])
        return f"{number_words(int(found[1]))} point {figures}"

    return re.sub(r"(?<![\d.,/])(\d{1,3})\.(\d{1,2})(?![\d.,/])", words, text)


@lru_cache(maxsize=1)
def _grammar() -> dict[str, Any]:
    return grammar("answers")


@lru_cache(maxsize=1)
def _entries() -> dict[str, list[str]]:
    return {name: told for name, told in _grammar().items() if name not in ("slots", "between")}


def _window(
    rng: random.Random, section: str, topics: Sequence[str], every: Entries
) -> tuple[str, str]:
    entries = every[section]
    most, taken, told = rng.randint(12, MOST_WORDS), [], []
    filler = _filler(rng, topics)
    for entry in _apart(rng.sample(entries, min(rng.randint(1, 6), len(entries)))):
        said = drawn(rng, filler, entry)
        if taken and _length([*taken, said]) > most:
            break
        taken.append(said)
        told.append(said.told)
        if rng.random() < BETWEEN:
            taken.append(drawn(rng, filler, rng.choice(_grammar()["between"])))
    if rng.random() < ELSEWHERE:
        other = rng.choice([name for name in every if name != section])
        aside = drawn(rng, filler, rng.choice(every[other]))
        taken.insert(rng.choice([0, len(taken)]), aside)
    text = turns_of_all(rng, taken)
    return (spell_numbers(rng, text) if rng.random() < SPELLED else text), " ".join(told)


def _filler(rng: random.Random, topics: Sequence[str]) -> Filler:
    slots = grammar_slots()
    more = rng.sample(list(topics), min(TOPICS, len(topics)))
    return Filler(
        rng,
        {
            **slots,
            "drug": [*slots["drug"], *(invented(rng) for _ in range(len(slots["drug"]) // 3))],
            "condition": [*slots["condition"], *more],
            "problem": [*slots["problem"], *more],
        },
    )


@lru_cache(maxsize=1)
def grammar_slots() -> dict[str, list[str]]:
    """The slots of answers.yaml, and those of dialogue.yaml that it does not have itself."""
    return {**grammar("dialogue")["slots"], **_grammar()["slots"]}


def _apart(entries: Sequence[str | Template]) -> list[str | Template]:
    """Without what answers a question again that another one has answered (`train.talks`)."""
    seen: set[str] = set()
    kept = []
    for entry in entries:
        about = entry.about if isinstance(entry, Template) else ""
        if not about or about not in seen:
            kept.append(entry)
            seen.add(about)
    return kept


def _length(taken: list[Said]) -> int:
    return sum(len(words.split()) + 1 for said in taken for _, words in said.turns)


def drawn(rng: random.Random, filler: Filler, entry: str | Template) -> Said:
    """The turns of an entry, and what is told of them ("" of what is between)."""
    if isinstance(entry, Template):
        said, told = entry.draw(rng)
        # a turn that begins with a pause ("...") has lost the space before it (train.written)
        turns = (turn.split(":", 1) for turn in said.split("\n"))
        return Said(tuple((_SPEAKERS[who], _sentence(words.strip())) for who, words in turns), told)
    said, _, told = entry.partition(" => ")
    said, told = filler.fill(*chosen(rng, said, told))
    turns = tuple(_turn(part) for part in said.split(" // "))
    if told.startswith("~"):
        told = told_of_patient(told[1:], by_patient=True)
    if not told and " => " not in entry and turns[-1][0] == "patient" and len(turns) == 1:
        told = told_of_patient(turns[0][1], by_patient=True)
    return Said(turns, capital(told))


def _turn(part: str) -> tuple[str, str]:
    speaker, _, words = part.partition(": ")
    words = re.sub(r" +([,.?!])", r"\1", re.sub(r" +", " ", words.strip()))
    words = re.sub(r"([?!,])\.$", r"\1", words)
    words = re.sub(r"(?i)\b(about|maybe) (?:about|maybe)\b", r"\1", _ARTICLE.sub(r"\1 ", words))
    if speaker == "D":
        words = re.sub(r"\bmy\b", "your", re.sub(r"\bI need it\b", "you need it", words))
    return _SPEAKERS[speaker], _sentence(words)


def _sentence(words: str) -> str:
    return capital(words if words[-1] in ".?!" else f"{words}.")


def exchange_groups() -> list[str]:
    return sorted({path.parent.name for path in EXCHANGES.glob("*/*.txt")})


@lru_cache(maxsize=8)
def exchanges(group: str) -> dict[str, list[Template]]:
    """A group's exchanges written one by one, by section."""
    return by_section(EXCHANGES / group, read_exchanges)


def by_section(
    folder: Path, read: Callable[[Path], Iterable[Template]]
) -> dict[str, list[Template]]:
    """What `read` finds in a folder's files, in their order, by section."""
    found: dict[str, list[Template]] = {}
    for path in sorted(folder.glob("*.txt")):
        for template in read(path):
            found.setdefault(template.keys["section"], []).append(template)
    return found


def read_exchanges(path: Path) -> Iterator[Template]:
    """The exchanges of a file, a turn a line. Raises DataError for a line that is none."""
    section = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        line, where = line.strip(), f"{path.name}:{number}"
        if header := re.fullmatch(r"@ *section: *(.+)", line):
            section = header[1]
        elif line:
            said, *told = line.split(" => ")
            turns = said.split(" // ")
            if len(told) != 1 or not all(re.match(r"[DPG]: \S", turn) for turn in turns):
                raise DataError(
                    f"{where}: write turns that begin with D:, P: or G:, divided by //, and what is"
                    " told of them after one =>."
                )
            if not section:
                raise DataError(f"{where}: a line such as @ section: GENHX must stand above.")
            yield Template("\n".join(turns), told[0], where, {"section": section})


def main(arguments: list[str] | None = None) -> int:
    purpose = "Checks exchanges written one by one."
    return check("train.answers", purpose, "exchanges", read_exchanges, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
