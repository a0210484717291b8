"""The parts that a score is split by: source, modality, section, overlap with training, ...

A segment is a value of a column; a row without the column is in none of its segments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eval.clinical import tells_abnormality
from eval.rows import Row

Column = Callable[[Row, str], Any]


def _field(name: str) -> Column:
    return lambda row, task: row.get(name)


def _section(row: Row, task: str) -> str | None:
    from summarizer.tasks import get_task, section_name

    return section_name(get_task(task), row.get("section")) if row.get("section") else None


def _overlap(row: Row, task: str) -> str | None:
    """Chest X-ray impressions are templated: a row seen in training is easier than a new one."""
    flags = [row.get("near_dup_in_train"), row.get("target_in_train")]
    if flags == [None, None]:
        return None
    return "seen" if any(flags) else "new"


def _source_overlap(row: Row, task: str) -> str | None:
    overlap = _overlap(row, task)
    return f"{row['source']}, {overlap}" if overlap and row.get("source") else None


def _finding(row: Row, task: str) -> str | None:
    """By the reference impression, see `eval.clinical.tells_abnormality`."""
    if task != "radiology":
        return None
    return "abnormal" if tells_abnormality(row["target"]) else "normal"


COLUMNS: dict[str, Column] = {
    "source": _field("source"),
    "modality": _field("modality"),
    "clinic": _field("clinic"),
    "section": _section,
    "overlap with training": _overlap,
    "source and overlap": _source_overlap,
    "reference": _finding,
}


def segments(rows: Sequence[Row], task: str) -> list[tuple[str, str, np.ndarray]]:
    """(column, value, places of its rows), the largest segment of a column first.

    A column that has one value for all rows is no segment, except `source`, which names the data.
    """
    found = []
    for name, column in COLUMNS.items():
        places: dict[str, list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            value = column(row, task)
            if value not in (None, ""):
                places[str(value)].append(place)
        if name == "source and overlap":
            places = _of_both(places)
        if len(places) > 1 or name == "source":
            ordered = sorted(places.items(), key=lambda item: (-len(item[1]), item[0]))
            found += [(name, value, np.array(which)) for value, which in ordered]
    return found


def _of_both(places: dict[str, list[int]]) -> dict[str, list[int]]:
    """Sources with rows of both overlaps: another's are the rows of a segment that is there."""
    sources = [value.rsplit(", ", 1)[0] for value in places]
    if len(set(sources)) < 2:
        return {}
    return {v: which for v, which in places.items() if sources.count(v.rsplit(", ", 1)[0]) > 1}
