"""Pairs drawn from the grammars of train/grammar: reports and conversations.

A grammar says what may be written and what its summary then is, so that a pair is right by how it
was made: a finding that is not normal is in the impression, a drug that was named is in the note.
Each function yields rows as the data sets have them, the same for the same seed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from train.compose import LASTING, listed
from train.objectives import SPEAKERS, spell_numbers

GRAMMARS = Path(__file__).parent / "grammar"
_CHOICE = re.compile(r"<(#?)([^<>]*)>")


def grammar(task: str) -> dict[str, Any]:
    return yaml.safe_load((GRAMMARS / f"{task}.yaml").read_text(encoding="utf-8"))


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def chosen(rng: random.Random, said: str, told: str) -> tuple[str, str]:
    """The texts with one of each `<a|b>` taken.

    The nth `<#a|b>` of what is said and the nth of what is told are linked: both have their first,
    or both their second.
    """
    linked: list[int] = []

    def choose(found: re.Match[str]) -> str:
        ways = found[2].split("|")
        place = rng.randrange(len(ways))
        if found[1]:
            linked.append(place)
        return ways[place]

    said = _CHOICE.sub(choose, said)
    places = iter(linked)
    return said, _CHOICE.sub(lambda found: found[2].split("|")[next(places)], told)


# --- radiology ------------------------------------------------------------------------------------

ABNORMAL = 0.35  # of the topics of a report
LUNG_LOBES = [
    *("right upper lobe", "right middle lobe", "right lower lobe"),
    *("left upper lobe", "left lower lobe", "lingula"),
]


def slots(rng: random.Random, varied: bool = False) -> dict[str, str]:
    """A value for each slot of the grammar's sentences."""
    lumbar = rng.randrange(1, 5)
    cervical = rng.randrange(3, 7)
    values = {
        "side": rng.choice(["left", "right"]),
        "size": f"{rng.randrange(11, 62) / 10:.1f}",
        "mm": str(rng.randrange(3, 15)),
        "percent": str(rng.randrange(4, 9) * 5),
        "degree": rng.choice(["mild", "moderate", "severe"]),
        "vertebra": rng.choice(["T11", "T12", "L1", "L2", "L3", "L4", "L5"]),
        "level": f"L{lumbar}-{lumbar + 1}" if rng.random() < 0.7 else "L5-S1",
        "cervical": f"C{cervical}",
        "cervical_level": f"C{cervical}-{cervical + 1}",
        "lobe": rng.choice(["frontal", "parietal", "temporal", "occipital"]),
    }
    if varied:
        ribs = ["third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"]
        values["lung"] = rng.choice(LUNG_LOBES)
        values["rib"] = rng.choice(ribs)
        values["thoracic"] = f"T{rng.randrange(4, 13)}"
    values["weeks"] = str(rng.randrange(12, 39))
    return values


def report(rng: random.Random, examination: dict[str, Any]) -> tuple[str, str]:
    """(findings, impression) of one examination; each topic normal or abnormal."""
    varied = examination.get("varied", False)
    whole = slots(rng, varied)  # the side that was examined is the whole report's
    one_sided = "{side}" in " ".join(examination["opening"])
    findings: list[str] = []
    points: list[str] = []
    topics = list(examination["topics"])
    if rng.random() < 0.2:
        rng.shuffle(topics)
    share = rng.choice([0.0, ABNORMAL, ABNORMAL, 1.6 * ABNORMAL])
    alone = rng.randrange(len(topics)) if varied and rng.random() < 0.35 else None
    for place, topic in enumerate(topics):
        values = slots(rng, varied) | ({"side": whole["side"]} if one_sided else {})
        values["weeks"] = whole["weeks"]
        if rng.random() < share if alone is None else place == alone:
            finding, point = (_wording(rng, one) for one in rng.choice(topic["abnormal"]))
            findings.append(capital(finding.format(**values)))
            if varied and rng.random() < 0.3:
                findings.append(rng.choice(topic.get("otherwise", [""])))
            points.append(capital(point.format(**values)))
        elif rng.random() < 0.85 or not findings:
            findings.append(rng.choice(topic["normal"]).format(**values))
    opening = rng.choice(examination["opening"]).format(**whole)
    findings = [finding for finding in findings if finding]
    text = " ".join([opening, *findings] if opening else findings)
    if rng.random() < 0.15:
        text = "\n".join([opening, *findings] if opening else findings)
    if not points:
        return text, rng.choice(examination["negative"]).format(**whole)
    if varied and all(map(LASTING.search, points)):
        if rng.random() < 0.7:
            points.append(rng.choice(examination["negative"]))
        return text, listed(rng, points)
    if len(points) > 1:
        points = [f"{number}. {point}" for number, point in enumerate(points, 1)]
    return text, "\n".join(points)


def _wording(rng: random.Random, one: str | list[str]) -> str:
    return one if isinstance(one, str) else rng.choice(one)


def reports(count: int, seed: int = 0, name: str = "radiology") -> Iterator[dict[str, str]]:
    """`count` rows, examinations in turn, no text twice: `id`, `input`, `target`, `modality`, `source`."""
    rng = random.Random(seed)
    source = "grammar" if name == "radiology" else f"{name}-grammar"
    examinations = list(grammar(name).items())
    seen: set[str] = set()
    for number in range(count):
        modality, examination = examinations[number % len(examinations)]
        for _ in range(50):  # an examination with little to vary may run out of new reports
            text, target = report(rng, examination)
            if text not in seen:
                break
        else:
            continue
        seen.add(text)
        yield {
            "id": f"{source}-{number}",
            "input": text,
            "target": target,
            "modality": modality,
            "source": source,
        }


# --- dialogue -------------------------------------------------------------------------------------


class Filler:
    """Fills slots from lists: {drug} and {drug2} differ, {Drug} is {drug} with a capital.

    A value may have two faces, "said|written": the first text gets the one, the others the other.
    """

    SLOT = re.compile(r"\{(\w+?)(\d?)\}")

    def __init__(self, rng: random.Random, lists: dict[str, Sequence[str]]):
        self.rng, self.lists = rng, lists
        self.used: dict[str, list[str]] = {}

    def fill(self, *texts: str) -> list[str]:
        """The texts with their slots filled, the same slot alike in all of them.

        A value does not come twice from one filler as long as the list has others.
        """
        drawn: dict[str, str] = {}

        def value(match: re.Match[str], face: int) -> str:
            name, key = match[1].lower(), (match[1] + match[2]).lower()
            if key not in drawn:
                used = self.used.setdefault(name, [])
                left = [v for v in self.lists[name] if v not in used] or list(self.lists[name])
                drawn[key] = self.rng.choice(left)
                used.append(drawn[key])
            faces = drawn[key].split("|")
            word = faces[min(face, len(faces) - 1)]
            return capital(word) if match[1][0].isupper() else word

        return [
            self.SLOT.sub(lambda match, face=place: value(match, face), text)
            for place, text in enumerate(texts)
        ]


SYLLABLES = "ba be bri ca cel cor da den dol el fen flu gli ka lam lo mar met na nor ox pra qui ra ril sa sol ta tri va vel xi zan zo".split()  # fmt: skip
ENDINGS = "dine lol mab mide nib pam pril statin tan tide vir xin zole zine".split()

ALONE, AMONG_OTHERS, VISIT = 0.5, 0.3, 0.2  # shares: one section; it and others; a whole visit


def invented(rng: random.Random) -> str:
    """A drug's name that nobody has heard: it can only be copied."""
    return "".join(rng.choices(SYLLABLES, k=rng.randrange(1, 3))) + rng.choice(ENDINGS)


class Encounter:
    """One conversation in the making: who speaks, what may be named, what was said and told."""

    def __init__(self, rng: random.Random, rules: dict[str, Any], topics: Sequence[str] = ()):
        self.rng, self.rules = rng, rules
        slots = rules["slots"]
        self.gender = rng.choice(["any", "any", "male", "female"])
        pronouns = {"any": ("The patient", "the patient's"), "male": ("He", "his"),
                    "female": ("She", "her")}[self.gender]  # fmt: skip
        self.filler = Filler(
            rng,
            {
                **slots,
                "drug": [*slots["drug"], *(invented(rng) for _ in range(len(slots["drug"]) // 3))],
                "allergen": [*slots["allergen"], *(invented(rng) for _ in range(6))],
                "condition": [*slots["condition"], *rng.sample(list(topics), min(15, len(topics)))],
                "pain": [str(n) for n in range(2, 11)],
                "pt": [pronouns[0]],
                "his": [pronouns[1]],
            },
        )
        self.turns: list[str] = []
        if self.gender != "any" or rng.random() < 0.3:
            self.turns += self.filler.fill(rng.choice(rules["greetings"][self.gender]))

    def go_through(self, name: str) -> list[str]:
        """Section `name` is talked about; what the note then says of it."""
        rng, section = self.rng, self.rules["sections"][name]
        if "none" in section and rng.random() < 0.15:
            facts = [rng.choice(section["none"])]
        elif section.get("whole"):
            first = rng.randrange(3)
            rest = section["facts"][3:]
            keep = sorted(rng.sample(range(len(rest)), rng.randrange(1, 7)))
            facts = [section["facts"][first], *(rest[i] for i in keep)]
        else:
            least, most = section["some"]
            count = min(rng.randrange(least, most + 1), len(section["facts"]))
            facts = rng.sample(section["facts"], count)
        written: list[str] = []
        groups: set[str] = set()
        for said, told, *group in facts:
            if groups & set(group):
                continue
            groups |= set(group)
            said, told = self.filler.fill(said, told)
            self.turns.append(said)
            written.append(capital(told))
            if rng.random() < 0.25:
                self.turns.append(rng.choice(self.rules["fillers"]))
        return written

    def text(self, *, visit: bool) -> str:
        """The turns as a transcript."""
        rng = self.rng
        doctor, patient = SPEAKERS[-1] if visit and rng.random() < 0.8 else SPEAKERS[0]
        lines = []
        for line in "\n".join(self.turns).split("\n"):
            speaker, words = line[:2], line[3:]
            name = doctor if speaker == "D:" else patient
            if doctor.startswith("["):  # as speech recognition writes
                spaced = re.sub(r"([.,?])", r" \1", words.lower())
                lines.append(f"{name} {spaced}")
            else:
                lines.append(f"{name}: {words}")
        text = "\n".join(lines)
        return spell_numbers(rng, text) if rng.random() < 0.6 else text


def conversation(
    rng: random.Random, rules: dict[str, Any], topics: Sequence[str] = ()
) -> tuple[str, str, str]:
    """(conversation, section or part of the note that is asked for, what it says)."""
    encounter = Encounter(rng, rules, topics)
    way = rng.random()
    if way >= ALONE + AMONG_OTHERS:
        return _visit(rng, rules, encounter)
    # sections with more to say come more often
    names = list(rules["sections"])
    asked = rng.choices(names, [len(rules["sections"][name]["facts"]) + 1 for name in names])[0]
    through = [asked]
    if way >= ALONE:
        others = [name for name, _ in rules["visit"] if name != asked]
        through = rng.sample(others, rng.randrange(1, 4))
        through.insert(rng.randrange(len(through) + 1), asked)
    told = {name: encounter.go_through(name) for name in through}
    return encounter.text(visit=False), asked, " ".join(told[asked])


def _visit(rng: random.Random, rules: dict[str, Any], encounter: Encounter) -> tuple[str, str, str]:
    told = {
        name: encounter.go_through(name) for name, chance in rules["visit"] if rng.random() < chance
    }
    possible = [part for part, held in rules["parts"].items() if set(held) & set(told)]
    part = rng.choice(possible)
    headings = rules["parts"][part]
    paragraphs: dict[str, list[str]] = {}
    for name, written in told.items():
        if name in headings:
            paragraphs.setdefault(headings[name], []).extend(written)
    target = "\n\n".join(f"{title}\n\n{' '.join(said)}" for title, said in paragraphs.items())
    return encounter.text(visit=True), part, target


def conversations(
    count: int, topics: Sequence[str] = (), seed: int = 0
) -> Iterator[dict[str, str]]:
    """Up to `count` rows, no text twice: `id`, `input`, `target`, `section`, `source`.

    Args:
        topics: names of conditions that may come up beside the grammar's.
    """
    rng, rules = random.Random(seed), grammar("dialogue")
    seen: set[str] = set()
    for number in range(count):
        text, asked, target = conversation(rng, rules, topics)
        if text in seen:
            continue
        seen.add(text)
        yield {
            "id": f"grammar-{number}",
            "input": text,
            "target": target,
            "section": asked,
            "source": "grammar",
        }
