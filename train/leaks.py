"""Rows that stand in more than one split: the same, and nearly the same.

Near means a Jaccard similarity of word 5-grams. Candidates come from MinHash with
locality-sensitive hashing (datasketch); each is then compared exactly, so that the list holds no
false alarm. A pair below the threshold may be missed where it lies close to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

GRAM = 5  # words
PERMUTATIONS = 128


@dataclass(frozen=True)
class Leak:
    """A validation or test row that a row of a split before it gives away."""

    split: str
    row: str  # id
    twin_split: str  # train; or validation, of a test row: the checkpoint was chosen on it
    twin: str  # id of the most similar row there
    similarity: float  # 1 for the same text
    same_target: bool


def find_leaks(splits: dict[str, Sequence[dict[str, Any]]], threshold: float = 0.8) -> list[Leak]:
    """Rows of validation and test whose input is, exactly or nearly, one of training's; and rows of
    test whose input is one of validation's.

    A row that differs from its twin in its section asks for something else of the same text; it
    leaks nothing if all its twins differ so, for its target is another.
    """
    from datasketch import MinHashLSH

    leaks = []
    for twin_split, others in (("train", ("validation", "test")), ("validation", ("test",))):
        twins = splits.get(twin_split, ())
        grams = [word_grams(row["input"]) for row in twins]
        index = MinHashLSH(threshold=max(0.05, threshold - 0.2), num_perm=PERMUTATIONS)
        with index.insertion_session() as session:
            for place, shingles in enumerate(grams):
                session.insert(place, _sketch(shingles))
        for split in others:
            for row in splits.get(split, ()):
                mine = word_grams(row["input"])
                best: tuple[float, int] | None = None
                for place in index.query(_sketch(mine)):
                    if twins[place].get("section") != row.get("section"):
                        continue
                    similarity = jaccard(mine, grams[place])
                    if similarity >= threshold and (best is None or similarity > best[0]):
                        best = (similarity, place)
                if best is not None:
                    twin = twins[best[1]]
                    same = normal(twin["target"]) == normal(row["target"])
                    leaks.append(
                        Leak(split, row["id"], twin_split, twin["id"], round(best[0], 3), same)
                    )
    return leaks


def word_grams(text: str) -> frozenset[str]:
    """The text's word 5-grams, lower case; of a shorter text, the whole."""
    words = normal(text).split()
    if len(words) <= GRAM:
        return frozenset([" ".join(words)])
    return frozenset(" ".join(words[at : at + GRAM]) for at in range(len(words) - GRAM + 1))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Size of the intersection over size of the union."""
    return len(a & b) / max(1, len(a | b))


def normal(text: str) -> str:
    """Lower case, one space between words, no punctuation around them."""
    words = (word.strip(".,;:!?()[]\"'") for word in text.lower().split())
    return " ".join(word for word in words if word)


def _sketch(shingles: frozenset[str]) -> Any:
    from datasketch import MinHash

    sketch = MinHash(num_perm=PERMUTATIONS, seed=1)
    sketch.update_batch([shingle.encode() for shingle in sorted(shingles)])
    return sketch
