"""JSON Lines: one object a line, and a sentence about the line that is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train.errors import DataError


def json_objects(
    path: Path, text: str, *, cut_off: bool = False
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON Lines text with the numbers of their lines, from 1.

    Args:
        path: named where a line is at fault.
        cut_off: the file may end in a line that a kill cut off, which is left out.

    Raises:
        DataError: a line that is not JSON, or JSON that is no object.
    """
    # Not splitlines(): JSON strings may hold other line separators as they are.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as fault:
            if cut_off:
                continue
            why = getattr(fault, "msg", "too deep")
            raise DataError(f"{path}, line {number}: not valid JSON ({why}).") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: a row must be an object of fields.")
        yield number, row
