"""What trivial methods score: an adapter that does not beat them has learned nothing.

Each takes the rows and, where it needs one, the training set, and gives one text for each row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from summarizer.text import sentences

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Floor:
    """A trivial method: how it writes, and whether it reads the training set."""

    rule: str
    write: Callable[[Rows, Rows], list[str]]
    needs_train: bool = False


def most_frequent_target(rows: Rows, train: Rows) -> list[str]:
    """The target that training has oftenest, for every row."""
    target = Counter(row["target"] for row in train).most_common(1)[0][0]
    return [target for _ in rows]


def first_sentence(rows: Rows, train: Rows = ()) -> list[str]:
    """The first sentence of the input."""
    return [" ".join(sentences(row["input"])[:1]) for row in rows]


def first_three(rows: Rows, train: Rows = ()) -> list[str]:
    """The first three sentences of the input."""
    return [" ".join(sentences(row["input"])[:3]) for row in rows]


def whole_input(rows: Rows, train: Rows = ()) -> list[str]:
    """The input itself."""
    return [row["input"] for row in rows]


def nearest_training_input(rows: Rows, train: Rows) -> list[str]:
    """The target of the training row whose input is nearest (TF-IDF of words and pairs, cosine)."""
    return [train[k]["target"] for k in _similarity(rows, train).argmax(axis=1)]


def nearest_of_section(rows: Rows, train: Rows) -> list[str]:
    """The same among the training rows of the row's section, where training has that section."""
    similarity = _similarity(rows, train)
    sections = np.array([str(row.get("section")) for row in train])
    nearest = []
    for row, near in zip(rows, similarity, strict=True):
        same = sections == str(row.get("section"))
        nearest.append(int(np.where(same, near, -1.0).argmax() if same.any() else near.argmax()))
    return [train[k]["target"] for k in nearest]


def _similarity(rows: Rows, train: Rows) -> np.ndarray:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2))
    known = vectorizer.fit_transform(row["input"] for row in train)
    return (vectorizer.transform(row["input"] for row in rows) @ known.T).toarray()


FLOORS: dict[str, Floor] = {
    "most frequent target": Floor("the most frequent training target", most_frequent_target, True),
    "first sentence": Floor("the first sentence of the input", first_sentence),
    "first three sentences": Floor("the first three sentences of the input", first_three),
    "whole input": Floor("the whole input", whole_input),
    "nearest training input": Floor(
        "the target of the nearest training input, TF-IDF", nearest_training_input, True
    ),
    "nearest of the section": Floor(
        "the target of the nearest training input of the same section", nearest_of_section, True
    ),
}


def available(rows: Rows, train: Rows = ()) -> list[str]:
    """Names of the floors that these rows and this training set allow."""
    sections = any(row.get("section") for row in rows)
    return [
        name
        for name, floor in FLOORS.items()
        if (train or not floor.needs_train) and (sections or floor.write is not nearest_of_section)
    ]


def write_floors(rows: Rows, train: Rows = ()) -> dict[str, list[str]]:
    """The texts of every floor that can be written: {name: one text a row}."""
    return {name: FLOORS[name].write(rows, train) for name in available(rows, train)}
