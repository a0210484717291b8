"""What ROUGE cannot see: the focus of a question, and whether a report is told as abnormal.

Both are rules over words, written down here so that a figure made with them can be checked by hand.
They measure agreement with a reference, not clinical truth.
"""

from __future__ import annotations

from functools import lru_cache

from eval.rouge import tokenize
from summarizer.findings import statements, tells_abnormality

__all__ = ["focus_kept", "focus_words", "function_stems", "polarity", "tells_abnormality"]

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
def function_stems() -> frozenset[str]:
    """Stems of FUNCTION_WORDS."""
    return frozenset(token for word in FUNCTION_WORDS for token in tokenize(word))


@lru_cache(maxsize=1)
def _generic_stems() -> frozenset[str]:
    generic = "disease disorder condition syndrome illness infection drug medication test surgery"
    return frozenset(tokenize(generic))


@lru_cache(maxsize=10_000)
def polarity(report: str) -> tuple[frozenset[str], frozenset[str]]:
    """Stems of the words that a report states and of those that it denies, by
    `summarizer.findings`."""
    stated: set[str] = set()
    denied: set[str] = set()
    for positive, negative in statements(report):
        stated.update(tokenize(positive))
        denied.update(tokenize(negative))
    return frozenset(stated), frozenset(denied)
