"""Radiology reports put together from parts, with the impression that each comes to.

The open reports are chest films but for seventy, and of the chest films half are normal: an adapter
that has read little else tells an ankle and a kidney in a chest's words. So reports of every
examination are drawn (`train/grammar/findings.yaml`): some groups of it in order, each normal or
with a finding, and the finding's thing, place, side, size and change in the impression's words.
What else a report holds (why it was made, what is not there, sentences of the training reports that
tell nothing abnormal) is in no impression.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eval.clinical import tells_abnormality
from summarizer.text import sentences
from train.synthetic import capital, grammar

HOW_MANY = [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4]  # findings of a report
PLACED = 0.55  # of the findings, those put together of a thing and a place, where there are both
OTHERWISE = 0.2  # of the abnormal groups, those that say that they are normal otherwise
DENIED = 0.4  # of the normal groups, those told by what is not there
MERGED = 0.3  # of the reports, those that tell several normal organs in one sentence
HEADED = 0.15  # of the reports, those with a heading before each group
LINES = 0.1  # of the reports, those with a line for each sentence
DETAILED = 0.15  # of the findings, those of which more is said than is told
JOINED = 0.25  # of two findings of one group, those that one sentence tells
OPENED = 0.3  # of the reports, those with a line of the grammar's openings
FOUND = 0.35  # of the reports, those with sentences of others
ADJECTIVE = 0.5  # of the places told as an adjective, where that can be
ONE_SIDED = 0.6  # of the reports, those that name one side only
SEVERAL = 0.25  # of the sizes, those with two or three dimensions

SLOT = re.compile(r"\{([a-z]+)(\d?)\}")
CHOICE = re.compile(r"<([^<>]*)>")
_NONE = re.compile(r"(?:No|There is no) ")
ARTICLE = re.compile(r"^(?:an?|the) ", re.IGNORECASE)
# Words of one thing: what is there is not denied by another name.
_SAME = [
    {"stone", "calculus", "stones"},
    {"mass", "lesion", "nodule", "neoplasm", "cyst", "node"},
    {"effusion", "fluid", "costophrenic", "ascites"},
    {"hemorrhage", "hematoma", "hyperdense", "blood"},
    {"infarct", "diffusion", "density", "attenuation"},
    {"consolidation", "opacity", "infiltrate", "airspace", "pneumonia", "disease"},
    {"fracture", "compressed", "fractured", "wedged", "depressed"},
    {"stenosis", "narrowing", "narrowed", "narrows", "occlusion", "occluded"},
    {"dilatation", "dilated"},
]


def plain(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Sentences of reports that tell nothing abnormal, by modality, each once."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for sentence in sentences(row["input"]):
            if 3 <= len(sentence.split()) <= 18 and not tells_abnormality(sentence):
                if not re.search(r"X{3}|[_:#]|\d", sentence):
                    found.setdefault(row.get("modality") or "", {}).setdefault(sentence)
    return {modality: list(kept) for modality, kept in found.items()}


class _Words:
    """What the slots of one sentence stand for: (as the report has it, as it is told)."""

    def __init__(
        self, rng: random.Random, lists: Mapping[str, Sequence[str]], fixed: Mapping[str, str]
    ):
        self.rng, self.lists = rng, lists
        self.drawn = {name: (value, value) for name, value in fixed.items()}

    def fill(self, text: str, *, told: bool = False) -> str:
        text = CHOICE.sub(lambda choice: self.rng.choice(choice[1].split("|")), text)
        while slot := SLOT.search(text):
            text = text[: slot.start()] + self._of(slot[1], slot[2])[told] + text[slot.end() :]
        return text

    def _of(self, name: str, key: str) -> tuple[str, str]:
        while name + key not in self.drawn:
            value = self._draw(name)
            if value not in self.drawn.values() or name not in self.lists:
                self.drawn[name + key] = value
        return self.drawn[name + key]

    def _draw(self, name: str) -> tuple[str, str]:
        rng = self.rng
        if name in self.lists:
            said, _, told = rng.choice(self.lists[name]).partition("|")
            return said, told or ("" if not said else said)
        if name == "side":
            value = rng.choice(["left", "right"])
        elif name == "mm":
            value = str(rng.choice([*range(2, 10), *range(2, 30)]))
        elif name == "age":
            value = str(rng.randrange(2, 90))
        elif name in ("cm", "largest"):
            return self._size(name)
        else:
            raise KeyError(f"train/grammar/findings.yaml has no list {name!r}")
        return value, value

    def _size(self, name: str) -> tuple[str, str]:
        """`cm` is all of a size, `largest` its largest dimension."""
        sizes = sorted((self.rng.randrange(5, 75) / 10 for _ in range(3)), reverse=True)
        dimensions = self.rng.choice([2, 3]) if self.rng.random() < SEVERAL else 1
        whole = f"{' x '.join(f'{size:g}' for size in sizes[:dimensions])} cm"
        self.drawn["cm"] = (whole, whole)
        self.drawn["largest"] = (f"{sizes[0]:g} cm",) * 2
        return self.drawn[name]


class _Report:
    """One report in the making: a list of sentences for each group, and the points told."""

    def __init__(self, rng: random.Random, rules: dict[str, Any], examination: dict[str, Any]):
        self.rng, self.rules, self.examination = rng, rules, examination
        self.fixed = {"side": rng.choice(["left", "right"])} if rng.random() < ONE_SIDED else {}
        self.points: list[str] = []
        self.parts: list[tuple[str, list[str]]] = []  # a heading, and what stands under it
        self._tell()

    def _tell(self) -> None:
        rng, names = self.rng, self.examination["groups"]
        known = list(dict.fromkeys(names))
        ill = [rng.choice(names) for _ in range(rng.choice(HOW_MANY))]
        well = [name for name in known if name not in ill and rng.random() < rng.choice([0.3, 0.8])]
        always = [name for name in known if self.rules["groups"][name].get("always")]
        ill += [name for name in always if name not in ill]
        if not ill and not well:
            well = [known[0]]
        merged = self._merged(well) if rng.random() < MERGED else None
        order = [name for name in known if name in ill or name in well]
        if rng.random() < 0.25:
            rng.shuffle(order)
        groups = self.rules["groups"]
        told = {
            name: self._found(groups[name], min(ill.count(name), 2))
            for name in order
            if name in ill
        }
        for name in order:
            if name in told:
                said = told[name] + self._beside(groups[name], " ".join(told[name]))
            elif merged and name in merged[0]:
                said = []
            else:
                said = self._normal(groups[name])
            if said:
                self.parts.append((groups[name]["heading"], said))
        if merged:
            self.parts.append(("Other", [merged[1]]))

    def _words(self, group: dict[str, Any]) -> _Words:
        return _Words(self.rng, self.rules["lists"] | group.get("lists", {}), self.fixed)

    def _found(self, group: dict[str, Any], count: int) -> list[str]:
        """What is said of a group's findings; their points are noted."""
        rng = self.rng
        told: dict[str, str] = {}
        for _ in range(count):
            said, point = self._finding(group)
            told.setdefault(point, said)
        self.points.extend(told)
        said = list(told.values())
        if len(said) > 1 and rng.random() < JOINED:
            second = said[1]
            if second[1].islower() or second[1] == " ":
                second = second[0].lower() + second[1:]
            return [f"{said[0].removesuffix('.')}, and {second}"]
        if rng.random() < DETAILED:
            said.append(self._words(group).fill(rng.choice(self.rules["details"])))
        return said

    def _beside(self, group: dict[str, Any], said: str) -> list[str]:
        """What is said to be normal of a group with findings."""
        organ = group.get("organ")
        if organ and self.rng.random() < OTHERWISE:
            return [capital(f"{organ} {_is(organ)} otherwise {_normal_word(self.rng)}.")]
        denied = self._absent(group, " ".join([said, *self.points]))
        return [denied] if denied and self.rng.random() < DENIED else []

    def _finding(self, group: dict[str, Any]) -> tuple[str, str]:
        """(what the report says, the point of the impression)."""
        rng, words = self.rng, self._words(group)
        ways = [way for way in ("in", "of", "at") if way in group]
        others = group.get("other", [])
        if not ways or (others and rng.random() > PLACED):
            said, told = rng.choice(others)
            return capital(words.fill(said)), _point(words.fill(told, told=True))
        way = rng.choice(ways)
        thing, place = rng.choice(group[way]["things"]), rng.choice(group[way]["places"])
        thing, _, told = thing.partition("|")
        frame = rng.choice(self.rules["frames"][way])
        said = words.fill(frame.replace("{thing}", thing).replace("{place}", place))
        told = words.fill(told or thing, told=True)
        where = words.fill(place, told=True)
        head, mark, tail = re.match(r"([^,;]*)([,;]?)(.*)", told).groups()
        change = words.drawn.get("change", ("", ""))[1] if "{change}" in frame else ""
        if where.endswith(("lobe", "base", "apex")) and not re.search(r"\d", head) and rng.random() < ADJECTIVE:  # fmt: skip
            point = f"{ARTICLE.sub('', where)} {ARTICLE.sub('', head)}{change}{mark}{tail}."
        else:
            point = f"{head} {way} {where}{change}{mark}{tail}."
        return capital(said), _point(point)

    def _normal(self, group: dict[str, Any]) -> list[str]:
        rng = self.rng
        denied = self._absent(group, " ".join(self.points))
        if denied and rng.random() < DENIED:
            return [denied]
        there = _meant(" ".join(self.points))
        said = [one for one in group["normal"] if not (_NONE.match(one) and there & _meant(one))]
        if "organ" in group:
            said.append(capital(f"{group['organ']} {_is(group['organ'])} {_normal_word(rng)}."))
        count = min(len(said), rng.choice([1, 1, 1, 2]))
        return [self._words(group).fill(one) for one in rng.sample(said, count) if one]

    def _absent(self, group: dict[str, Any], there: str) -> str:
        """A sentence that tells what the group does not have; empty where there is nothing."""
        found = _meant(there)
        absent = [one for one in group.get("absent", ()) if not found & set(one.split())]
        if not absent:
            return ""
        names = self.rng.sample(absent, min(len(absent), self.rng.choice([1, 1, 2, 3])))
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
        frames = ["No {}.", "No {} is seen.", "There is no {}.", "No evidence of {}.", "Negative for {}.", "There is no evidence of {}."]  # fmt: skip
        return self.rng.choice(frames).format(listed)

    def _merged(self, well: Sequence[str]) -> tuple[list[str], str] | None:
        """(groups, the sentence that tells all of them to be normal)."""
        named = [name for name in well if "organ" in self.rules["groups"][name]]
        if len(named) < 2:
            return None
        named = named[: self.rng.choice([2, 3, 4])]
        organs = [ARTICLE.sub("", self.rules["groups"][name]["organ"]) for name in named]
        listed = f"the {', '.join(organs[:-1])} and {organs[-1]} are {_normal_word(self.rng)}."
        return named, capital(listed)

    def text(self, found: Mapping[str, Sequence[str]]) -> str:
        """The report's text.

        Args:
            found: sentences that tell nothing abnormal, by modality (`plain`).
        """
        rng = self.rng
        parts = [(heading, list(said)) for heading, said in self.parts]
        plain_ones = found.get(self.examination["modality"], ())
        film = self.examination["modality"] == "XR" and "lungs" not in self.examination["groups"]
        if plain_ones and not film and rng.random() < FOUND:
            for sentence in rng.sample(
                list(plain_ones), min(len(plain_ones), rng.choice([1, 1, 2]))
            ):
                if not self._contradicts(sentence):
                    parts.insert(rng.randrange(len(parts) + 1), ("Other", [sentence]))
        headed = rng.random() < HEADED
        told = [
            f"{heading}: {' '.join(said)}" if headed else " ".join(said) for heading, said in parts
        ]
        opening = rng.choice(self.examination["opening"])
        before = [opening] if opening else []
        if rng.random() < OPENED:
            line = rng.choice(self.rules["openings"])
            groups = [self.rules["groups"][name] for name in self.examination["groups"]]
            absent = [one for group in groups for one in group.get("absent", ())]
            lists = {"why": self.rules["why"], "absent": absent or ["abnormality"]}
            before.insert(0, _Words(rng, lists, {}).fill(line))
        return ("\n" if rng.random() < LINES else " ").join([*before, *told])

    def _contradicts(self, sentence: str) -> bool:
        """Whether a sentence that tells nothing abnormal speaks of what is not normal here."""
        there = _meant(" ".join(self.points))
        spoken = set(re.findall(r"[a-z]{4,}", sentence.lower()))
        whole = {"lungs", "heart", "bones", "osseous", "bony", "pleural", "normal", "unremarkable"}
        return bool(self.points) and bool(spoken & (there | whole))

    def impression(self) -> str:
        if not self.points:
            return self.rng.choice(self.examination["negative"])
        points = list(dict.fromkeys(self.points))
        if len(points) == 1:
            return points[0]
        return "\n".join(f"{number}. {point}" for number, point in enumerate(points, 1))


def _meant(text: str) -> set[str]:
    """The words of a text, and those that say the same of what is there."""
    words = set(re.findall(r"[a-z]{4,}", text.lower()))
    return words.union(*(same for same in _SAME if same & words))


def _point(text: str) -> str:
    return capital(ARTICLE.sub("", text))


def _is(organ: str) -> str:
    return (
        "are"
        if re.search(r"(?:[^s]s|ae)$", organ) and not organ.endswith(("pancreas", "uterus"))
        else "is"
    )


def _normal_word(rng: random.Random) -> str:
    return rng.choice(["normal", "unremarkable", "within normal limits", "unremarkable", "normal"])


def drawn(
    count: int, found: Mapping[str, Sequence[str]] | None = None, seed: int = 0
) -> Iterator[dict[str, str]]:
    """Up to `count` rows, no text twice: `id`, `input`, `target`, `modality`, `source`.

    Args:
        found: sentences that tell nothing abnormal, by modality (`plain`), to set between.
    """
    rng, rules = random.Random(seed), grammar("findings")
    examinations = rules["examinations"]
    times = [one["times"] for one in examinations]
    seen: set[str] = set()
    for number in range(count):
        report = _Report(rng, rules, rng.choices(examinations, times)[0])
        text = report.text(found or {})
        if text in seen:
            continue
        seen.add(text)
        yield {
            "id": f"drawn-{number}",
            "input": text,
            "target": report.impression(),
            "modality": report.examination["modality"],
            "source": "drawn",
        }
