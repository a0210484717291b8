"""Which rows are scored: all, or the samples that the published runs were measured on.

A protocol is a seeded choice among the rows, the same for every system.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.rows import DataError, Row


@dataclass(frozen=True)
class Protocol:
    """A named sample. choose(rows, seed) gives places of rows, in the rows' order."""

    description: str
    choose: Callable[[Sequence[Row], int], list[int]]


def random_rows(count: int) -> Callable[[Sequence[Row], int], list[int]]:
    """`count` rows drawn without replacement, all where there are fewer."""

    def choose(rows: Sequence[Row], seed: int) -> list[int]:
        if len(rows) <= count:
            return list(range(len(rows)))
        return sorted(random.Random(seed).sample(range(len(rows)), count))

    return choose


def rows_of_each(field: str, count: int) -> Callable[[Sequence[Row], int], list[int]]:
    """`count` rows of each value of a field, all of a value that has fewer."""

    def choose(rows: Sequence[Row], seed: int) -> list[int]:
        places = defaultdict(list)
        for place, row in enumerate(rows):
            places[str(row.get(field) or "unspecified")].append(place)
        if list(places) == ["unspecified"]:
            raise DataError(f"No row has the field {field!r}, which this protocol samples by.")
        rng = random.Random(seed)
        return sorted(
            place
            for value in sorted(places)
            for place in rng.sample(places[value], min(count, len(places[value])))
        )

    return choose


PROTOCOLS: dict[str, Protocol] = {
    "random-1000": Protocol("1,000 random rows (T5-small on MIMIC-III)", random_rows(1000)),
    "modality-20": Protocol("20 rows of each modality (MediPhi)", rows_of_each("modality", 20)),
}
