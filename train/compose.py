"""Radiology reports composed of others: findings of abnormal ones among a normal one's sentences.

Half of the open chest films are normal, and the impression of many an abnormal one tells nothing of
what was found: an adapter that has read them alone answers a consolidation with "no acute
cardiopulmonary abnormality". So the sentences in which reports tell what is not normal, each with
the point of the impression that comes from it, are put into reports of which every other sentence
is normal. What the normal report says of the same thing is left out. Where what was found is old
or of no consequence, the impression may end as the normal one's does ("Calcified granuloma. No
acute disease."), as radiologists write it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from eval.clinical import tells_abnormality
from eval.faults import content_words, numbers
from eval.rouge import tokenize
from summarizer.text import sentences

SHARED = 0.5  # of a point's content words that the sentence it comes from must hold
MOST_WORDS = 40  # of a sentence or point
_NUMBER = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*])\s+")
_SIDES = ("left", "right", "bilateral")
LASTING = re.compile(
    r"\b(?:granulom|calcifi|degenerative|scolio|curvature|spondylo|osteophyt|osteopeni|tortuous|"
    r"ectatic|atheroscler|scar|sternotomy|clips|pacemaker|port\b|old\b|remote|healed|chronic|stable|"
    r"unchanged|low lung volumes|hyper(?:infl|exp)|emphysem|copd\b|eventration|elevated|hernia|"
    r"borderline|mild cardiomegaly)",
    re.IGNORECASE,
)
# Words of one thing: a normal sentence that has one is left out beside a finding that has another.
_THINGS = [
    frozenset(tokenize(words))
    for words in (
        "heart cardiac cardiomediastinal cardiomegaly silhouette mediastinum mediastinal",
        "lung lungs pulmonary opacity opacities consolidation airspace infiltrate infiltrates "
        "nodule nodules mass atelectasis pneumonia interstitial hyperexpanded hyperinflated",
        "bone bones bony osseous skeletal rib ribs fracture fractures spine vertebra vertebral "
        "thoracic degenerative clavicle scoliosis osteophytes",
        "pleural effusion effusions costophrenic",
        "vascularity vasculature vascular edema congestion",
    )
]
_SAYS_LITTLE = frozenset(
    tokenize("change decreased increased stable unchanged prior compared exam quality limited")
)


class Finding(NamedTuple):
    """A sentence that tells a finding, and the point of an impression that tells it again."""

    sentence: str
    point: str


def findings(row: dict[str, Any]) -> Iterator[Finding]:
    """The findings of a report whose points can be traced to one sentence each.

    A point is traced by its words; where a report has one sentence and one point that are not
    normal, they belong together whatever their words ("The heart is enlarged.", "Cardiomegaly.").
    """
    told = [s for s in sentences(row["input"]) if tells_abnormality(s) and _fit(s)]
    points = [_NUMBER.sub("", point) for point in sentences(row["target"])]
    points = [
        point
        for point in points
        if tells_abnormality(point) and _fit(point) and content_words(point).keys() - _SAYS_LITTLE
    ]
    if len(told) == len(points) == 1 and _agree(told[0], points[0]):
        yield Finding(told[0], points[0])
        return
    for point in points if told else ():
        words = content_words(point).keys()
        shared = [len(words & content_words(sentence).keys()) for sentence in told]
        most = max(shared)
        sentence = told[shared.index(most)]
        if most and most >= SHARED * len(words) and _agree(sentence, point):
            yield Finding(sentence, point)


def composed(rows: Sequence[dict[str, Any]], count: int, seed: int = 0) -> list[dict[str, Any]]:
    """`count` reports with one or two findings each, the same for the same seed.

    Args:
        rows: reports with `input` and `target`, cleaned, and `normal` where it is known.

    Returns:
        Rows with `id`, `input`, `target`, `normal` (False), `source` ("composed") and the normal
        report's `modality`; none where the rows have no findings or no normal report.
    """
    rng = random.Random(seed)
    known = sorted({finding for row in rows for finding in findings(row)})
    hosts = [row for row in rows if row.get("normal") and not tells_abnormality(row["target"])]
    made: list[dict[str, Any]] = []
    if not known or not hosts:
        return made
    waiting: list[Finding] = []
    while len(made) < count:
        if len(waiting) < 2:  # each finding comes as often as another
            waiting = [*waiting, *rng.sample(known, len(known))]
        chosen = [waiting.pop()]
        if rng.random() < 0.35 and waiting and not _same(chosen[0].sentence, waiting[-1].sentence):
            chosen.append(waiting.pop())
        host = rng.choice(hosts)
        points = [finding.point for finding in chosen]
        lasting = all(LASTING.search(" ".join(finding)) for finding in chosen)
        if lasting and rng.random() < 0.7:
            points.append(_NUMBER.sub("", host["target"].split("\n")[0]))
        made.append(
            {
                "id": f"composed-{len(made)}",
                "input": _put(rng, sentences(host["input"]), chosen),
                "target": listed(rng, points),
                "modality": host.get("modality"),
                "normal": False,
                "source": "composed",
            }
        )
    return made


def listed(rng: random.Random, points: list[str]) -> str:
    """Points as an impression: a short one as sentences on a line, now and then, else numbered."""
    points = [f"{point.rstrip(' .')}." for point in points]
    if len(points) == 1 or (len(points) == 2 and rng.random() < 0.5):
        return " ".join(points)
    return "\n".join(f"{number}. {point}" for number, point in enumerate(points, start=1))


def _put(rng: random.Random, normal: list[str], chosen: Sequence[Finding]) -> str:
    """The normal sentences with the findings where something was said of the same thing."""
    lines = [line for line in normal if not tells_abnormality(line)]
    told = {finding.sentence for finding in chosen}
    for finding in chosen:
        places = [place for place, line in enumerate(lines) if _same(line, finding.sentence)]
        place = places[0] if places else rng.randrange(len(lines) + 1)
        lines = [line for number, line in enumerate(lines) if number not in places or line in told]
        lines.insert(min(place, len(lines)), finding.sentence)
    return " ".join(lines)


def _same(one: str, other: str) -> bool:
    """Whether two sentences speak of the same thing."""
    first, second = set(tokenize(one)), set(tokenize(other))
    if content_words(one).keys() & content_words(other).keys():
        return True
    return any(first & thing and second & thing for thing in _THINGS)


def _agree(sentence: str, point: str) -> bool:
    """Whether a point names no number and no side that its sentence does not."""
    sides = [side for side in _SIDES if side in point.lower() and side not in sentence.lower()]
    return not sides and numbers(point) <= numbers(sentence)


def _fit(text: str) -> bool:
    return len(text.split()) <= MOST_WORDS and "xxxx" not in text.lower()
