"""Pairs drawn from the grammars of train/grammar: reports, conversations, questions.

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

from train.objectives import SPEAKERS, spell_numbers

GRAMMARS = Path(__file__).parent / "grammar"


def grammar(task: str) -> dict[str, Any]:
    return yaml.safe_load((GRAMMARS / f"{task}.yaml").read_text(encoding="utf-8"))


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# --- radiology ------------------------------------------------------------------------------------

ABNORMAL = 0.35  # of the topics of a report


def slots(rng: random.Random) -> dict[str, str]:
    """A value for each slot of the grammar's sentences."""
    lumbar = rng.randrange(1, 5)
    cervical = rng.randrange(3, 7)
    return {
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
        "weeks": str(rng.randrange(12, 39)),
    }


def report(rng: random.Random, examination: dict[str, Any]) -> tuple[str, str]:
    """(findings, impression) of one examination; each topic normal or abnormal."""
    whole = slots(rng)  # the side that was examined is the whole report's
    one_sided = "{side}" in " ".join(examination["opening"])
    findings: list[str] = []
    points: list[str] = []
    topics = list(examination["topics"])
    if rng.random() < 0.2:
        rng.shuffle(topics)
    share = rng.choice([0.0, ABNORMAL, ABNORMAL, 1.6 * ABNORMAL])
    for topic in topics:
        values = slots(rng) | ({"side": whole["side"]} if one_sided else {})
        values["weeks"] = whole["weeks"]
        if rng.random() < share:
            finding, point = rng.choice(topic["abnormal"])
            findings.append(capital(finding.format(**values)))
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
    if len(points) > 1:
        points = [f"{number}. {point}" for number, point in enumerate(points, 1)]
    return text, "\n".join(points)


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
    """Fills slots from lists: {drug} and {drug2} differ, {Drug} is {drug} with a capital."""

    SLOT = re.compile(r"\{(\w+?)(\d?)\}")

    def __init__(self, rng: random.Random, lists: dict[str, Sequence[str]]):
        self.rng, self.lists = rng, lists
        self.used: dict[str, list[str]] = {}

    def fill(self, *texts: str) -> list[str]:
        """The texts with their slots filled, the same slot alike in all of them.

        A value does not come twice from one filler as long as the list has others.
        """
        drawn: dict[str, str] = {}

        def value(match: re.Match[str]) -> str:
            name, key = match[1].lower(), (match[1] + match[2]).lower()
            if key not in drawn:
                used = self.used.setdefault(name, [])
                left = [v for v in self.lists[name] if v not in used] or list(self.lists[name])
                drawn[key] = self.rng.choice(left)
                used.append(drawn[key])
            return capital(drawn[key]) if match[1][0].isupper() else drawn[key]

        return [self.SLOT.sub(value, text) for text in texts]


def conversation(rng: random.Random, rules: dict[str, Any], name: str) -> tuple[str, str]:
    """(conversation, section `name` of the note)."""
    section = rules["sections"][name]
    lists = {**rules["slots"], "pain": [str(n) for n in range(2, 11)]}
    filler = Filler(rng, lists)
    if "none" in section and rng.random() < 0.2:
        facts = [rng.choice(section["none"])]
    elif section.get("whole"):
        facts = [section["facts"][0]]
        rest = section["facts"][1:]
        keep = sorted(rng.sample(range(len(rest)), rng.randrange(1, 6)))
        facts += [rest[i] for i in keep]
    else:
        least, most = section["some"]
        facts = rng.choices(section["facts"], k=rng.randrange(least, most + 1))
    turns: list[str] = [rng.choice(rules["greetings"])] if rng.random() < 0.35 else []
    told: list[str] = []
    for fact in facts:
        said, written = filler.fill(*fact)
        if written in told:
            continue
        turns.append(said)
        told.append(capital(written))
        if rng.random() < 0.3:
            turns.append(rng.choice(rules["fillers"]))
    doctor, patient = SPEAKERS[0]
    lines = "\n".join(turns).split("\n")
    lines = [line.replace("D:", f"{doctor}:").replace("P:", f"{patient}:") for line in lines]
    text = "\n".join(lines)
    if rng.random() < 0.5:  # numbers as they are spoken
        text = spell_numbers(rng, text)
    return text, " ".join(told)


def conversations(count: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """Up to `count` rows, no text twice: `id`, `input`, `target`, `section`, `source`."""
    rng, rules = random.Random(seed), grammar("dialogue")
    names = list(rules["sections"])
    # sections with more to say come more often
    weights = [len(rules["sections"][name]["facts"]) + 1 for name in names]
    seen: set[str] = set()
    for number in range(count):
        name = rng.choices(names, weights)[0]
        text, target = conversation(rng, rules, name)
        if text in seen:
            continue
        seen.add(text)
        yield {
            "id": f"grammar-{number}",
            "input": text,
            "target": target,
            "section": name,
            "source": "grammar",
        }


# --- question -------------------------------------------------------------------------------------


def message(rng: random.Random, rules: dict[str, Any], topics: Sequence[str]) -> tuple[str, str]:
    """(a consumer's message, the question that it comes to)."""
    lists = {
        **rules["slots"],
        "topic": topics,
        "age": [str(n) for n in range(19, 85)],
    }
    lists["time"] = [*rules["slots"]["time"]]
    filler = Filler(rng, lists)
    intent = rng.choice(rules["intents"])
    fact, ask, target = (rng.choice(intent[part]) for part in ("facts", "asks", "target"))
    fact = fact.replace("{time2}", "next week").replace("{who2}", "{who}")
    fact, target = filler.fill(fact, target)
    asides = [filler.fill(aside)[0] for aside in rng.sample(rules["asides"], rng.randrange(0, 4))]
    middle = [fact, ask]
    for aside in asides:
        middle.insert(rng.randrange(len(middle) + 1), aside)
    text = " ".join([rng.choice(rules["openings"]), *middle, rng.choice(rules["closings"])]).strip()
    way = rng.random()
    if way < 0.25:
        words = target.rstrip("?").split(" ")
        subject = " ".join(words[-min(3, len(words)) :]) if rng.random() < 0.5 else "question"
        text = f"SUBJECT: {subject}\nMESSAGE: {text}"
    elif way < 0.4:
        text = text.lower()
    elif way < 0.5:
        text = text.replace(". ", " ").replace("?", "")
    return text, capital(target)


def questions(count: int, topics: Sequence[str], seed: int = 0) -> Iterator[dict[str, str]]:
    """Up to `count` rows, no text twice: `id`, `input`, `target`, `source`."""
    rng, rules = random.Random(seed), grammar("question")
    seen: set[str] = set()
    for number in range(count):
        text, target = message(rng, rules, topics)
        if text in seen:
            continue
        seen.add(text)
        yield {"id": f"grammar-{number}", "input": text, "target": target, "source": "grammar"}
