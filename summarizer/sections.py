"""The sections of a whole radiology report, of which the findings are what is summarised.

A report as it is filed has headings: what was examined, why, how, compared with what, the findings,
and often an impression already. An impression follows from the findings; of the rest a small model
makes findings ("Emphysema with iodinated contrast" of a TECHNIQUE), and of an impression that is
there already it makes a copy. So of a text with a heading for its findings, those and the name of
the examination are read. This module knows no model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from summarizer.tasks import Task

_EXAMINATION = (
    "EXAM", "EXAMINATION", "EXAM TYPE", "TYPE OF EXAM", "STUDY", "MODALITY", "PROCEDURE",
)  # fmt: skip
_FINDINGS = ("FINDINGS", "FINDING", "REPORT", "DESCRIPTION")
_LEFT_OUT = (
    "HISTORY", "CLINICAL HISTORY", "CLINICAL INDICATION", "CLINICAL INFORMATION", "CLINICAL DATA",
    "CLINICAL DETAILS", "CLINICAL QUESTION", "INDICATION", "INDICATIONS", "REASON FOR EXAM",
    "REASON FOR EXAMINATION", "REASON FOR STUDY", "COMPARISON", "COMPARISONS", "PRIOR STUDIES",
    "TECHNIQUE", "PROTOCOL", "CONTRAST", "IMPRESSION", "IMPRESSIONS", "CONCLUSION", "CONCLUSIONS",
    "OPINION", "SUMMARY", "RECOMMENDATION", "RECOMMENDATIONS", "DICTATED BY",
    "ELECTRONICALLY SIGNED BY",
)  # fmt: skip
_NAMES = "|".join(sorted((*_EXAMINATION, *_FINDINGS, *_LEFT_OUT), key=len, reverse=True))
# At the beginning of a line, in any case, with a colon or alone on the line; within a line, in
# capitals and with a colon.
_HEADING = re.compile(
    rf"^[ ]*(?P<line>{_NAMES})(?:[ ]*:|[ ]*$)|(?<=\s)(?-i:(?P<within>{_NAMES})):",
    re.IGNORECASE | re.MULTILINE,
)
FEWEST_WORDS = 3  # of findings, below which a text is read whole


def read_of(task: Task, text: str) -> tuple[str, tuple[str, ...]]:
    """What is read of a task's text, and the headings of what is left out: `findings_of` reports."""
    return findings_of(text) if task.findings_alone else (text, ())


def findings_of(report: str) -> tuple[str, tuple[str, ...]]:
    """What is read of a radiology report, and the headings of what is left out of it.

    A text without a heading for its findings, or with next to nothing under it, is read whole, and
    so is what stands before the first heading.

    Args:
        report: cleaned, as `summarizer.text.check_input` returns it.
    """
    found = list(_HEADING.finditer(report))
    names = [" ".join((one["line"] or one["within"]).upper().split()) for one in found]
    edges = [*(one.start() for one in found), len(report)]
    parts = {"": [report[: edges[0]]]}
    for name, one, end in zip(names, found, edges[1:], strict=True):
        parts.setdefault(name, []).append(report[one.end() : end])
    findings = _text(parts, _FINDINGS)
    if len(findings.split()) < FEWEST_WORDS:
        return report, ()
    title = _text(parts, ("", *_EXAMINATION))
    if title and title[-1] not in ".:;?!":
        title += "."
    left = tuple(name for name in parts if name in _LEFT_OUT)
    return f"{title} {findings}".strip(), left


def _text(parts: dict[str, list[str]], names: tuple[str, ...]) -> str:
    texts = (text.strip() for name, some in parts.items() if name in names for text in some)
    return "\n".join(text for text in texts if text)
