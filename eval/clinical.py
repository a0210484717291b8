"""What ROUGE cannot see: the focus of a question, and whether a report is told as abnormal.

Both are rules over words, written down here so that a figure made with them can be checked by hand.
They measure agreement with a reference, not clinical truth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from eval.rouge import tokenize

# --- the focus of a question ---------------------------------------------------------------------
# A consumer's question is a template ("What are the treatments for ...?", "Where can I find
# information on ...?") around a focus: a disease, a drug, a test, a body part. The words below are
# the templates', from the wording of consumers' and clinicians' questions; whatever else a
# reference holds is its focus.

_TEMPLATES = """
    a about after again against all also am an and any are as at be because been before being
    between both but by can could did do does doing done during each either else ever every few
    for from get gets getting give given go goes going good had has have having he her here him
    his how i if in into is it its itself just kind known like long make makes many may me might
    mine more most much must my need needed needs no nor not of off often on once one only or
    other others our out over own per possible put related same she should since so some someone
    something such take taken taking than that the their them then there these they this those
    through to together too under until up upon us use used uses using very was way ways we well
    were what when where whether which while who whom whose why will with within without would
    you your yours

    able advice advise answer article articles available best better buy causal cause caused
    causes causing common commonly compare compared complication complications consequence
    consequences contribute correct cure cured cures current currently danger dangerous dangers
    data define definition describe detail details detect detected determine develop developed
    developing develops diagnose diagnosed diagnoses diagnosing diagnosis diagnostic differ
    difference differences different doctor doctors does dosage dose dosing drug drugs effect
    effective effectiveness effects etiology evidence exist expect expectancy expected explain
    explanation find finding frequency frequent frequently general genetic happen happens harm
    harmful help helpful helps hereditary hospital hospitals important inherit inheritance
    inherited indicate indicated indication indications info inform information ingredient
    ingredients instruction instructions interact interaction interactions involve involved know
    latest lead leads learn likelihood likely link linked list long-term look manage managed
    management mean meaning means medication medications medicine medicines method methods name
    names new normal normally obtain occur occurs option options organization organizations
    outlook patient patients people person place prescribe prescribed prescription prevent
    prevented preventing prevention probability problem problems procedure procedures prognosis
    provide provided purpose question questions range reason reasons recommend recommendation
    recommendations recommended recover recovery refer relation relationship relief relieve
    remedies remedy research resource resources result results risk risks role safe safely
    safety sample screen show side sign signs solution solve specialist specialists start stop
    stopping studies study success suggest suggestion suggestions support sure survival symptom
    symptoms tell term test tested testing tests therapies therapy thing things time transmitted
    treat treated treating treatment treatments trial trials try type types typical typically
    usual usually want work workup works disease diseases disorder disorders condition
    conditions syndrome syndromes illness infection
"""
TEMPLATE_WORDS = frozenset(_TEMPLATES.split())
FUNCTION_WORDS = frozenset(_TEMPLATES.split("\n\n")[0].split())


def focus_words(question: str) -> frozenset[str]:
    """Stems of the words that no question template has; all non-letters split words.

    Where only template words are left ("What are the signs of infection?"), the nouns of the last
    group of `TEMPLATE_WORDS` (disease, infection, syndrome ...) count as the focus.
    """
    words = set(tokenize(question))
    focus = {w for w in words - _template_stems() if len(w) > 1 or w.isdigit()}
    return frozenset(focus or words & _generic_stems())


def focus_kept(output: str, reference: str) -> float:
    """Share x100 of the reference's focus words that the output names; NaN where it has none.

    Words are compared as rouge-score's stems, so a plural counts, a synonym ("high blood pressure"
    for "hypertension") does not.
    """
    focus = focus_words(reference)
    if not focus:
        return float("nan")
    return 100 * len(focus & set(tokenize(output))) / len(focus)


@lru_cache(maxsize=1)
def _template_stems() -> frozenset[str]:
    return frozenset(token for word in TEMPLATE_WORDS for token in tokenize(word))


@lru_cache(maxsize=1)
def _generic_stems() -> frozenset[str]:
    generic = "disease disorder condition syndrome illness infection drug medication test surgery"
    return frozenset(tokenize(generic))


# --- normal or abnormal, for impressions of radiology reports -------------------------------------
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
        for stated, _ in _statements(impression)
        for word in re.findall(r"[a-z]{2,}", stated)
    )


def polarity(report: str) -> tuple[frozenset[str], frozenset[str]]:
    """Stems of the words that a report states, and of those that it denies, by the same rule."""
    stated: set[str] = set()
    denied: set[str] = set()
    for positive, negative in _statements(report):
        stated.update(tokenize(positive))
        denied.update(tokenize(negative))
    return frozenset(stated), frozenset(denied)


def _statements(report: str) -> Iterator[tuple[str, str]]:
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
