"""The one place that reads `summarizer.checks`: an output held against its source.

Where that module is there, it offers `check(task, source, output)`, which yields findings with a
`kind`; each kind becomes the share of outputs with at least one such finding.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

KINDS = ("side", "negation", "number", "unsupported", "missed")


def available() -> bool:
    """Whether outputs can be checked against their source."""
    return _check() is not None


def findings(task: str, source: str, output: str) -> list[Any]:
    """What is wrong with an output, each with a `kind`; empty where nothing checks."""
    check = _check()
    return list(check(task, source, output)) if check else []


def rates(
    task: str, rows: Sequence[Mapping[str, Any]], outputs: Sequence[str]
) -> dict[str, list[float]]:
    """{kind: for each row 100 where the output has a finding of that kind, else 0}.

    Empty where nothing checks.
    """
    if not available():
        return {}
    kinds = [
        {finding.kind for finding in findings(task, row["input"], output)}
        for row, output in zip(rows, outputs, strict=True)
    ]
    return {kind: [100.0 * (kind in found) for found in kinds] for kind in KINDS}


def _check() -> Any:
    try:
        module = importlib.import_module("summarizer.checks")
    except ModuleNotFoundError as error:
        if error.name != "summarizer.checks":
            raise
        return None
    return getattr(module, "check", None)
