"""Targets cut down to what their inputs bear out.

A note tells more than the conversation that was made from it: an age that nobody said, a finding
of another visit. In MTS-Dialog it is every fourth sentence, and a third of those whose
conversations were translated to and fro. What is not in its input a model can only learn to make
up, so such sentences can be left out of the training targets (Nan et al. 2021, "Entity-level
factual consistency of abstractive text summarization", filter their targets likewise).
"""

from __future__ import annotations

import re

from eval.faults import content_words, numbers
from eval.rouge import tokenize
from summarizer.text import sentences

FEWEST_WORDS = 9  # a shorter target is kept whole: "Hypertension." for "my blood pressure is high"
_AGE = re.compile(r"\b(\d{1,3})[- ]year[- ]old\b[ ,]*", re.IGNORECASE)
_ORIGIN = re.compile(
    r"\b(white|Caucasian|African[- ]American|Hispanic|Asian|black) (?=male|female|man|woman|lady|"
    r"gentleman|boy|girl)",
    re.IGNORECASE,
)
FORM_WORDS = frozenset(
    tokenize(
        "patient year old male female man woman gentleman lady history state report deny present "
        "complain note given time past medical problem significant positive negative follow"
    )
)
# Words of notes and how the same is said: a word counts as said where one of these is.
SAID_AS = {
    note: frozenset(tokenize(spoken))
    for notes, spoken in {
        "smoking smoker tobacco cigarettes nicotine": "smoke smoker smoking tobacco cigarette pack",
        "alcohol etoh drinks": "drink drinking alcohol beer wine drunk",
        "illicit recreational substance": "drug drugs marijuana",
        "hypertension": "pressure hypertension hypertensive",
        "hyperlipidemia dyslipidemia hypercholesterolemia": "cholesterol lipid fat",
        "mellitus diabetic": "diabetes sugar",
        "myocardial infarction": "attack",
        "cerebrovascular accident cva": "stroke",
        "dyspnea": "breath breathing breathe",
        "emesis vomiting": "vomit throw threw puke",
        "abdominal abdomen": "belly stomach tummy abdomen abdominal",
        "edema": "swelling swollen swell",
        "erythema": "red redness",
        "fracture": "broke broken break fracture",
        "dysuria": "burn burning pee urinate urination",
        "pain painful tender tenderness discomfort": "pain hurt hurts ache sore painful ouch ow",
        "deceased died": "died dead passed death",
        "surgery surgical surgeries": "operation surgery surgeries operated",
        "pruritus": "itch itchy itching",
        "fatigue": "tired exhausted fatigue",
        "noncontributory unremarkable benign": "no nope none normal healthy",
        "contraception contraceptive": "birth control",
        "followup": "follow come back again",
    }.items()
    for note in tokenize(notes)
}


def supported(target: str, source: str, share: float) -> str | None:
    """The target without the sentences that the source does not bear out.

    Args:
        share: of a sentence's content words (stems; digits and words of the form of a note left
            out) that the source must hold, in (0, 1]. A number that the source does not hold, in
            digits or in words, drops the sentence too; an age alone is cut out of it.

    Returns:
        None where nothing is left.
    """
    if len(target.split()) < FEWEST_WORDS:
        return target
    known, said = set(tokenize(source)), numbers(source)
    lines: list[str] = []
    for line in target.split("\n"):
        if is_heading(line):
            lines.append(line)
            continue
        kept = [without_asides(sentence, source, said) for sentence in sentences(line)]
        kept = [sentence for sentence in kept if borne_out(sentence, known, said, share)]
        if kept:
            lines.append(" ".join(kept))
    lines = _without_empty_parts(lines)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return text if re.search(r"[A-Za-z]", text) else None


def borne_out(sentence: str, known: set[str], said: set[str], share: float) -> bool:
    """Whether enough of a sentence is among the stems `known`, and every number among `said`."""
    if numbers(sentence) - said:
        return False
    words = [
        stem
        for stem in content_words(sentence)
        if stem not in FORM_WORDS and not any(c.isdigit() for c in stem)
    ]
    return not words or sum(_is_said(stem, known) for stem in words) >= share * len(words)


def _is_said(stem: str, known: set[str]) -> bool:
    return stem in known or not SAID_AS.get(stem, frozenset()).isdisjoint(known)


def without_asides(sentence: str, source: str, said: set[str]) -> str:
    """Without an age or an origin that nobody named: the rest of the sentence may hold."""
    cut = _AGE.sub(lambda age: age[0] if numbers(age[1]) <= said else "", sentence)
    cut = _ORIGIN.sub(lambda origin: origin[0] if origin[1].lower() in source.lower() else "", cut)
    return re.sub(r"\b([Aa])n (?=[^aeiouAEIOU\d])", r"\1 ", cut) if cut != sentence else sentence


def is_heading(line: str) -> bool:
    """A line without a sentence: empty, or a few words without a full stop."""
    return not line.strip() or (len(line.split()) <= 5 and line.strip()[-1] not in ".;,?!")


def _without_empty_parts(lines: list[str]) -> list[str]:
    """Headings that have lost all that stood under them go too."""
    kept: list[str] = []
    content = False
    for line in reversed(lines):
        if not line.strip():
            kept.append(line)
        elif not is_heading(line):
            content = True
            kept.append(line)
        elif content:
            kept.append(line)
            content = content and not line.isupper()
    return kept[::-1]
