"""Whether the impression of a radiology report tells a finding, by rules over words.

They are written down here so that a figure made with them can be checked by hand, and so that the
parts of a long report can be put together (`summarizer.windows`). They know no medicine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Statements are cut at sentence ends, list numbers and turning words ("but", "with", "otherwise").
# In each, what follows a negation is denied, a clause with a normal word ("clear lungs") is normal,
# advice and technique say nothing. Whatever content is left is a positive finding.

_STATEMENT_END = re.compile(
    r"\n|;|[.:](?=\s|$)|(?:^|(?<=\s))\d{1,2}[.)](?=\s)|(?:^|(?<=\s))[-*\u2022](?=\s)"
)
_TURN = re.compile(
    r"\b(?:but|however|although|though|otherwise|except(?: for)?|aside from|apart from|other than|"
    r"besides|with|superimposed|suggest(?:s|ing|ive of)|consistent with|compatible with|"
    r"and(?= (?:mild|mildly|minimal|moderate|severe|small|large|stable|chronic|new|probable)\b))\b"
)
_DENIAL = re.compile(
    r"\b(?:no|not|without|negative|free of|absence of|nor|neither|rather than|resolved|"
    r"resolution of|ruled out|rule out|cannot)\b"
)
_DENIED_CHANGE = re.compile(r"\bno (?:\w+ ){0,3}change\b|\bnot (?:\w+ )?(?:changed|worsened)\b")
_DENIED_AFTER = re.compile(
    r"\bnot (?:\w+ )?(?:seen|identified|visualized|visualised|demonstrated|present)\b|"
    r"\bnegative\W*$"
)
_UNCERTAIN_DENIAL = re.compile(
    r"\b(?:cannot|can not|not) (?:be )?(?:\w+ )?(?:exclude|excluded|rule out|ruled out)\b"
)
_NORMAL_WORD = re.compile(
    r"\b(?:normal|unremarkable|clear|intact|within normal limits|patent|benign|well[- ]expanded|"
    r"nonobstructive|nonenlarged|nondilated|nondistended)\b"
)
_NOT_NORMAL = re.compile(r"\b(?:abnormal|above normal|larger than normal|borderline)\b")
_ADVICE = re.compile(
    r"^\W*(?:please|consider|recommend|advise|suggest follow|if |further|clinical correlation|"
    r"correlat|comparison|compared|follow|end of report|see |as (?:above|described)|dictated|"
    r"discussed|these findings|the findings were|findings (?:were )?discussed)"
)
_ANEW = re.compile(
    r"^\W*(?:stable|mild|mildly|moderate|severe|small|large|minimal|chronic|old|unchanged|increased|"
    r"new|persistent|left|right|bilateral|there (?:is|are)|probable|possible|likely|calcified)\b"
)
_NO_FINDING = """
    a an and are as at be been by chest exam examination film films for from has have image
    images impression in interval is it its limited lateral limits low lung no of on or
    otherwise pa patient portable prior previous quality radiograph radiographs radiographic ray
    report right left since specifically stable study technically than that the there this to
    unchanged upright view views visualized was well were which x xray appearance change changes
    significant evaluation ap foot hand knee hip ankle wrist spine lumbar thoracic cervical ribs
    rib abdomen pelvis shoulder head brain neck ct mri us ultrasound mammogram seen above below
    described heart lungs size cardiac mediastinum silhouette contour contours pulmonary pleural
    bony structures osseous only findings finding again noted acute active disease process
    abnormality abnormalities cardiopulmonary intrathoracic xxxx two single one both bilateral
    clinically overall within volumes decubitus sided
"""
_SAYS_NOTHING = frozenset(_NO_FINDING.split())


def tells_abnormality(impression: str) -> bool:
    """Whether an impression states a positive finding, by rule.

    False for an empty text and for one with nothing but normal statements, denials, technique and
    advice ("No acute cardiopulmonary abnormality. Clear lungs."). Chronic and incidental findings
    count as abnormal ("Stable cardiomegaly. No acute disease."). A possibility that cannot be
    excluded counts as stated.

    On the impressions of 200 Indiana chest X-ray validation reports, read by hand: right in 199
    (a very low lung volume is called a finding). Against the reports' MeSH code `normal`: of 41
    coded normal 40 are told normal; of 159 coded abnormal 76 are told abnormal, and the other 83
    impressions do state nothing but normal ("No acute cardiopulmonary abnormality."), since the
    code also covers what only the findings mention. Hence the rule compares impressions.
    """
    return any(
        word not in _SAYS_NOTHING
        for stated, _ in statements(impression)
        for word in re.findall(r"[a-z]{2,}", stated)
    )


def statements(report: str) -> Iterator[tuple[str, str]]:
    """What each part of a report states and what it denies; normal statements state nothing."""
    text = "\n".join(" ".join(line.split()) for line in report.lower().split("\n"))
    for statement in _STATEMENT_END.split(text):
        if not _ADVICE.match(statement):
            for clause in _TURN.split(statement):
                yield from _parts(clause)


def _parts(clause: str) -> Iterator[tuple[str, str]]:
    """The parts of a clause between commas; a denial carries over commas."""
    denied = False
    for part in clause.split(","):
        part = _DENIED_CHANGE.sub(" ", part)
        if _UNCERTAIN_DENIAL.search(part):
            yield part, ""
            continue
        if (denied and not _ANEW.match(part)) or _DENIED_AFTER.search(part):
            yield "", part
            continue
        denial = _DENIAL.search(part)
        denied = denial is not None
        stated = part[: denial.start()] if denial else part
        normal = _NORMAL_WORD.search(stated) and not _NOT_NORMAL.search(stated)
        yield "" if normal else stated, part[denial.end() :] if denial else ""
