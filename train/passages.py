"""Passages of reports without an impression, for teachers to answer (`train.distill`).

The reports that are open are chest films, but for some dozens. What adapters that were trained
differently make of other text is where they differ most, and where an adapter that learns from them
has most to learn. So its teachers are asked of

    passages of MTSamples' documents about an examination   (`of_documents`)
    reports of a data set, shortened                        (`shortened`)
    chest films with sentences left out, or of two films    (`films`)
    windows of reports, shuffled, with a foreign sentence   (`mixed`)
    drawn reports (train.synthetic), some shortened

and what they write is learned beside the reports themselves. `coded` has another use: what a
librarian coded of a film, as a second task for the same sentences.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

from summarizer.text import sentences
from train.objectives import Document
from train.synthetic import reports

Row = dict[str, Any]

EXAMINATION = re.compile(
    r"\b(?:MRI?|CT|PET|X-?rays?|ultrasound|sonograph\w*|radiograph\w*|scans?|echocardiogram|"
    r"Doppler|mammogra\w*|angiogra\w*|catheterization|colonoscopy|endoscopy|EEG|EMG|views)\b",
    re.IGNORECASE,
)
SEEN = re.compile(
    r"\b(?:seen|noted|identified|demonstrat\w+|visualized|appear\w*|measur\w+|evidence|lesion\w*|"
    r"mass|effusion|fracture\w*|stenosis|dilat\w+|enlarge\w*|signal|opacit\w*|nodule\w*|cyst\w*|"
    r"disc|artery|kidney\w*|liver|ventric\w+|valve\w*|edema|hemorrhage|bowel|gallbladder|lobe|"
    r"lung\w*|uter\w+|ovar\w+|fetal|thicken\w*|calcif\w+)\b",
    re.IGNORECASE,
)
_HEADING = re.compile(r"^[A-Z][A-Z /,\-]{3,40}:\s*")
FILMS = 800
DRAWN, DRAWN_SHORTENED = 700, 1500


def passages(rows: Sequence[Row], others: Sequence[Row], documents: list[Document]) -> list[Row]:
    """Rows with `id`, `input` and `source`, the same for the same arguments.

    Args:
        rows: the training reports, with `source`.
        others: reports beside them (train.auxiliary's conclusions).
        documents: plain text; MTSamples' is read.
    """
    reports_of = [row["input"] for row in rows if row["source"] == "mtsamples"]
    reports_of += [row["input"] for row in others]
    chest = [row["input"] for row in rows if row["source"] == "indiana-openi"]
    rng = random.Random(2)
    made = [("mtsamples", text) for text in of_documents(documents)]
    made += [("windows", text) for text in shortened(rng, reports_of)]
    made += [("chest", text) for text in films(rng, chest)]
    made += [("grammar", row["input"]) for row in reports(DRAWN, seed=77)]
    rng = random.Random(5)
    made += [("windows", text) for text in mixed(rng, reports_of)]
    for row in reports(DRAWN_SHORTENED, seed=78):
        kept = [part for part in sentences(row["input"]) if rng.random() > 0.15]
        if kept:
            made.append(("grammar", " ".join(kept)))
    return [
        {"id": f"passage-{number}", "input": text, "source": f"transfer-{way}"}
        for number, (way, text) in enumerate(made)
    ]


def of_documents(documents: list[Document], seed: int = 1) -> Iterator[str]:
    """Passages of MTSamples' documents that name an examination, where they tell what was seen."""
    rng = random.Random(seed)
    for document in documents:
        if document.source != "mtsamples" or not EXAMINATION.search(document.text):
            continue
        body = document.text.split("\n", 2)[-1]
        parts = [_HEADING.sub("", part) for part in sentences(body)]
        parts = [part for part in parts if 3 < len(part.split()) < 45]
        place = 0
        while place < len(parts):
            window = _window(parts, place, rng.choice([30, 40, 50, 60]))
            place += len(window)
            text = " ".join(window)
            count = sum(len(part.split()) for part in window)
            if count >= 18 and len(SEEN.findall(text)) >= max(3, count / 12):
                yield text


def shortened(rng: random.Random, texts: Sequence[str]) -> Iterator[str]:
    """Windows of each report, twice over, without a fifth of their sentences."""
    for text in texts:
        parts = [part for part in sentences(text) if part.strip()]
        for _ in range(2):
            words, place = rng.choice([30, 45, 60]), 0
            while place < len(parts):
                window = _window(parts, place, words)
                place += len(window)
                kept = " ".join(part for part in window if rng.random() > 0.2)
                if 12 < len(kept.split()) < 110 and rng.random() < 0.6:
                    yield kept


def films(rng: random.Random, texts: Sequence[str]) -> Iterator[str]:
    """Chest films without a quarter of their sentences, or the half of one and of another."""
    chest = list(texts)
    rng.shuffle(chest)
    for text in chest[:FILMS]:
        parts, other = sentences(text), sentences(rng.choice(chest))
        if rng.random() < 0.5:
            parts = [part for part in parts if rng.random() > 0.25]
        else:
            parts = parts[: len(parts) // 2] + other[len(other) // 2 :]
        if rng.random() < 0.4:
            rng.shuffle(parts)
        if len(parts) > 1:
            yield " ".join(parts)


def mixed(rng: random.Random, texts: Sequence[str]) -> Iterator[str]:
    """Windows of each report, three times over: shortened, shuffled, with another's sentence."""
    pool = [[part for part in sentences(text) if 2 < len(part.split()) < 45] for text in texts]
    filled = [parts for parts in pool if parts]
    for _ in range(3):
        for parts in pool:
            if len(parts) < 3:
                continue
            place = rng.randrange(0, 3)
            while place < len(parts):
                window = _window(parts, place, rng.choice([25, 35, 45, 60]))
                place += len(window)
                kept = [part for part in window if rng.random() > 0.25]
                if rng.random() < 0.5:
                    rng.shuffle(kept)
                if rng.random() < 0.3:
                    kept.append(rng.choice(rng.choice(filled)))
                text = " ".join(kept)
                if 12 < len(text.split()) < 110 and rng.random() < 0.45:
                    yield text


def _window(parts: Sequence[str], place: int, words: int) -> list[str]:
    """Sentences from `place` on, until they have so many words."""
    window: list[str] = []
    while place + len(window) < len(parts) and sum(len(p.split()) for p in window) < words:
        window.append(parts[place + len(window)])
    return window


def coded(rows: Sequence[Row]) -> Iterator[Row]:
    """Films with what was coded of them (MeSH) as targets: "Codes: cardiomegaly mild; opacity lung."

    The codes say what a film shows even where its impression passes over it. The input begins with
    "Codes:" as well, so that nothing of this is learned for a report itself.
    """
    for row in rows:
        mesh = row.get("mesh") or ""
        if not mesh or "No Indexing" in mesh:
            continue
        terms = [term.strip().replace("/", " ").lower() for term in mesh.split(";")]
        terms = [term for term in terms if not term.startswith("technical quality")]
        yield {
            "id": f"{row['id']}-codes",
            "input": f"Codes: {row['input']}",
            "target": f"Codes: {'; '.join(terms) or 'normal'}.",
            "source": "codes",
            "modality": row.get("modality"),
            "flagged": False,
        }
