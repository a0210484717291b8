"""The sections of a whole radiology report, of which the findings are what is summarised.

A report as it is filed has headings: what was examined, why, how, compared with what, the findings,
and often an impression already. An impression follows from the findings; of the rest a small model
makes findings ("Emphysema with iodinated contrast" of a TECHNIQUE), and of an impression that is
there already it makes a copy. So of a text with a heading for its findings, those and the name of
the examination are read. Where it is not plain what a part belongs to, it is read: a finding that is
lost is worse than a history that is not. This module knows no model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from summarizer.tasks import Task

_EXAMINATION = "EXAM|EXAMINATION|EXAM TYPE|TYPE OF EXAM|STUDY|MODALITY|PROCEDURE"
_FINDINGS = r"FINDINGS?(?:[ ]\d{1,2})?|FINDINGS?(?-i:(?:[ ]?[/&][ ]?|[ ])[A-Z]+){1,3}"
# The findings, or the name above all others where the findings have a heading of their own.
_REPORT = "REPORT|DESCRIPTION"
_CONTEXT = (  # a paragraph each
    "HISTORY|HISTORY OF PRESENT ILLNESS|HISTORY ?/ ?INDICATION|CLINICAL HISTORY|CLINICAL|"
    "CLINICAL (?:INDICATION|INFORMATION|DATA|DETAILS|QUESTION|NOTES?|FINDINGS|CONTEXT)|"
    "INDICATIONS?(?: FOR (?:EXAM|EXAMINATION|STUDY))?|"
    "REASON FOR (?:EXAM|EXAMINATION|STUDY|REQUEST|REFERRAL)|COMPARISONS?|PRIOR (?:STUDIES|FINDINGS)|"
    "TECHNIQUE|PROTOCOL|CONTRAST"
)
_PERSONS = (  # a line each
    "PATIENT|PATIENT NAME|NAME|DOB|DATE OF BIRTH|MRN|ACCESSION|DATE|"
    "DATE OF (?:EXAM|EXAMINATION|SERVICE|STUDY)|REFERRING PHYSICIAN|REFERRER|DICTATED BY|SIGNED BY|"
    "ELECTRONICALLY SIGNED BY|REPORTED BY"
)
_CONCLUSIONS = "(?:IMPRESSION|CONCLUSION|RECOMMENDATION)S?(?:[ ]?(?:/|&|AND)[ ]?[A-Z]+)?|OPINION|SUMMARY|DIAGNOSIS"
_NAMES = (
    f"(?P<examination>{_EXAMINATION})|(?P<findings>{_FINDINGS})|(?P<report>{_REPORT})|(?P<addendum>ADDENDUM)|"
    f"(?P<context>{_CONTEXT})|(?P<persons>{_PERSONS})|(?P<conclusion>{_CONCLUSIONS})"
)
_QUALIFIED = r"(?:[ ]*\([^)\n]{0,40}\))?"  # FINDINGS (CT CHEST)
# At the beginning of a line, in any case, with a colon or a dash or alone on the line, also as a point
# of a list or in Markdown; any other words with a colon are a heading that is not known.
_LINE = re.compile(
    rf"^[ ]*(?:[*#•>_-]+[ ]*|\d{{1,2}}[.)][ ]+)?(?:{_NAMES}){_QUALIFIED}"
    r"(?:[*_ ]*[:：][*_]*|[ ]+[-–](?=[ ])|(?P<alone>[*_]*[.]?[*_ ]*$))"
    r"|^[ ]*[*#•>_-]*[ ]*(?P<other>[A-Z][A-Za-z]*(?:[ /&,-]{1,2}[A-Za-z]+){0,4})[ ]?[:：]",
    re.IGNORECASE | re.MULTILINE,
)
# Within a line, in capitals, or behind a sentence's end; with a colon.
_WITHIN = re.compile(
    rf"(?<=[\s.])(?:{_NAMES}){_QUALIFIED}[ ]?[:：]"
    r"|(?<=[.;?!][ ])(?P<other>(?-i:[A-Z]{2}[A-Z /&-]{1,38}))[ ]?[:：]",
    re.IGNORECASE,
)
_SENTENCE, _ONE_LINE = re.compile(r"\s*\S[^\n]*?[.;](?=\s|$)"), re.compile(r"\s*\S[^\n]*\n")
_PARAGRAPH = re.compile(r"\s*\S(?s:.)*?\n[ ]*\n")
_KINDS = (
    "examination",
    "findings",
    "report",
    "addendum",
    "context",
    "persons",
    "conclusion",
    "other",
)
_LOOK_BACK = 80  # characters: more than a word
_ELSEWHERE = re.compile(r"(?:see|as) \S+(?: \S+)?", re.IGNORECASE)  # "See impression."
FEWEST_WORDS = 2  # of findings, below which a text is read whole ...
UNHEADED_WORDS = 8  # ... unless so many stand before its impression, which then are its findings


def left_out_words(headings: Sequence[str]) -> str:
    """What a reader is told of the sections that were not read."""
    return f"Of this report only the examination and the findings were read. Left out: {', '.join(headings)}."


def read_of(task: Task, text: str) -> tuple[str, tuple[str, ...]]:
    """What is read of a task's text, and the headings of what is left out: `findings_of` reports."""
    return findings_of(text) if task.findings_alone else (text, ())


def findings_of(report: str) -> tuple[str, tuple[str, ...]]:
    """What is read of a radiology report, and the headings of what is left out of it.

    A text without a heading for its findings, or with next to nothing under it, is read whole, unless
    it is some sentences and then an impression. Left out are impressions up to the next known heading,
    and what is told of the patient, the technique and earlier examinations up to any other heading: a
    paragraph at most, behind the findings a sentence.

    Args:
        report: cleaned, as `summarizer.text.check_input` returns it.
    """
    headings = _headings(report)
    own = "findings" if "findings" in map(_kind, headings) else "report"
    edges = [*(found.start() for found in headings), len(report)]
    parts = [("title", report[: edges[0]])]  # what is read, in order
    left: dict[str, None] = {}
    begun = concluded = False  # the findings; an impression that has not ended
    for found, end in zip(headings, edges[1:], strict=True):
        kind, body, named = _kind(found), report[found.end() : end], report[found.start() : end]
        place = "findings" if begun else "title"
        if kind == own:
            begun, concluded = True, False
            parts.append(("findings", body))
        elif kind in ("examination", "report"):
            again = begun and not concluded
            parts.append(("findings", named) if again else ("title", body))
            concluded = False
        elif kind == "addendum":
            parts.append((place, body))
            concluded = False
        elif kind == "conclusion":
            left[_name(found)], concluded = None, True
        elif kind == "other" or (begun and _name(found) == "CONTRAST"):
            if not concluded:
                parts.append((place, named))
        else:
            left[_name(found)] = None
            if begun:
                ends = _SENTENCE.match(body) or _ONE_LINE.match(body)
            else:
                ends = (_ONE_LINE if kind == "persons" else _PARAGRAPH).match(body)
            if not concluded:
                parts.append((place, body[ends.end() :] if ends else ""))
    told = " ".join(text for kind, text in parts if kind == "findings")
    if len(told.split()) < FEWEST_WORDS or _ELSEWHERE.fullmatch(told.strip()):
        # What stands without a heading before an impression, and nothing else, are its findings.
        concluding = {_kind(found) for found in headings} - {"persons", "other"} == {"conclusion"}
        if not concluding or len(parts[0][1].split()) < UNHEADED_WORDS:
            return report, ()
    read = ""
    for kind, text in parts:
        text = text.strip(" \n*_")
        if text and kind == "title":
            read += text if text[-1] in ".:;?!" else f"{text}."
            read += " "
        elif text:
            read += f"{text}\n"
    return read.strip(), tuple(left)


def _headings(report: str) -> list[re.Match[str]]:
    matches = [*_LINE.finditer(report), *_WITHIN.finditer(report)]
    found: list[re.Match[str]] = []
    for one in sorted(matches, key=lambda one: (one.start(), -one.end())):
        if (not found or one.start() >= found[-1].end()) and _stands(one, report):
            found.append(one)
    return found


def _stands(found: re.Match[str], report: str) -> bool:
    """Whether words that could be a heading are one, by what stands before them."""
    name, start = found[_kind(found)], found.start()
    if not name[0].isupper():
        return False
    before = report[max(0, start - _LOOK_BACK) : start].rstrip(" ")
    ended = not before.strip() or before.endswith("\n\n") or before.rstrip()[-1] in ".:;?!"
    if found.re is _LINE:  # a word alone on its line may be the middle of a sentence
        return found["alone"] is None or name.isupper() or ended
    word = before.split()[-1]
    return ended or (name.isupper() and not (word.isalpha() and word.isupper()))


def _kind(found: re.Match[str]) -> str:
    return next(kind for kind in _KINDS if found[kind] is not None)


def _name(found: re.Match[str]) -> str:
    return " ".join(found[_kind(found)].upper().split())
