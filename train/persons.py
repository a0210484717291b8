"""What a note tells of "the patient", as they say it themselves or their doctor says it to them.

The other way round than `train.thirdperson`: "She takes her pills" is "I take my pills" of the
patient and "You take your pills" of the doctor.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from train.thirdperson import SAME_IN_ALL_PERSONS

SUBJECT = r"(?:The patient|Patient|This patient|He|She)"
KIN = (
    r"mother|father|parents?|brothers?|sisters?|siblings?|grand\w+|uncle|aunt|sons?|daughters?|wife|"
    r"husband|children|mom|dad|family|partner|spouse|friend|boyfriend|girlfriend|doctor|physician"
)
_TELLS = frozenset("states reports says notes feels stated reported admits mentions".split())
_COMES = frozenset("presents presented comes returns appears".split())


class _Person(NamedTuple):
    """How "he", "she" and "the patient" are told: patterns of what is replaced, and by what."""

    subjects: str
    adverbs: str  # between them and their verb
    subject: str
    verb: Callable[[str], str]
    reflexive: str
    owners: str
    owner: str
    objects: str
    object: str


def base(verb: str) -> str:
    """A verb that follows "he" or "the patient", as it follows "I"."""
    if verb in ("is", "has", "does", "was"):
        return {"is": "am", "has": "have", "does": "do"}.get(verb, verb)
    if verb in SAME_IN_ALL_PERSONS or not verb.endswith("s") or verb.endswith("ss"):
        return verb
    if verb.endswith("ies"):
        return verb[:-3] + "y"
    return verb[:-2] if re.search(r"(?:ss|sh|ch|x|zz|o)es$", verb) else verb[:-1]


def _plural(verb: str) -> str:
    """A verb that follows "he", as it follows "you" or "they"."""
    return {"is": "are", "was": "were"}.get(verb) or base(verb)


_THEY = _Person(
    "he|she", "also|still|then|now|never|usually|only|currently", "they", _plural, "themselves",
    r"\bhis\b|\bher(?= [a-z0-9])", "their", r"\b(?:him|her)\b", "them",
)  # fmt: skip
_I = _Person(
    "he|she|the patient", "also|still|then|now|never|usually|only", "I", base, "myself",
    r"\b(?:his|the patient's)\b|\bher(?= [a-z0-9])", "my", r"\b(?:him|her|the patient)\b", "me",
)  # fmt: skip
_YOU = _Person(
    "he|she|the patient", "also|still|then|now|will|can|should|may", "you", _plural, "yourself",
    r"\b(?:[Hh]is|[Tt]he patient's)\b|\b[Hh]er(?= [a-z0-9])", "your",
    r"\b(?:him|her|(?:the )?patient)\b", "you",
)  # fmt: skip


def _told(text: str, person: _Person) -> str:
    text = re.sub(
        rf"\b(?:{person.subjects}) ((?:{person.adverbs}) )?([a-z]+)\b",
        lambda found: f"{person.subject} {found[1] or ''}{person.verb(found[2])}",
        text,
    )
    text = re.sub(r"\b(?:himself|herself)\b", person.reflexive, text)
    text = re.sub(person.owners, person.owner, text)
    text = re.sub(person.objects, person.object, text)
    return text[:1].upper() + text[1:]


def of_patient(sentence: str) -> str:
    """A note's sentence, of "the patient": nobody says whether they are a he or a she."""
    sentence = re.sub(r"^(?:He|She|Patient|This patient)\b", "The patient", sentence)
    return _told(re.sub(r"^(?:His|Her)\b", "The patient's", sentence), _THEY)


def second_person(text: str) -> str | None:
    """What is told of a patient, as their doctor says it to them; None where no rule fits."""
    if re.search(rf"\b(?:{KIN})\b", text, re.IGNORECASE) and re.search(
        r"\b(?:his|her|he|she)\b", text
    ):
        return None
    return _told(re.sub(rf"^(?:{SUBJECT}) ", "the patient ", text), _YOU)


def first_person(sentence: str) -> str | None:
    """What is told of a patient, as they say it; None where no rule fits.

    "She takes her pills" -> "I take my pills".
    """
    begun = re.match(
        rf"^(?:{SUBJECT}) ((?:also|currently|still|then|now|never|usually|only|recently) )?([a-z]+) ",
        sentence,
    )
    if not begun:
        return None
    other = re.search(rf"\b(?:{KIN})\b", sentence, re.IGNORECASE)
    if other and re.search(r"\b(?:he|she|his|her|him|they|their)\b", sentence[other.end() :]):
        return None
    if re.search(
        r"\b(?:admitted|referred|examined|evaluated|seen by me|brought|transferred|this \d+)\b",
        sentence,
    ):
        return None
    adverb, verb = begun[1] or "", begun[2]
    rest = sentence[begun.end() :]
    if verb in _TELLS:
        of = re.match(r"(?:that )?(?=(?:he|she|the patient|his|her|there|it) )", rest)
        if of:
            own = rest[of.end() :]
        elif verb == "feels":
            own = f"I {adverb}feel {rest}"
        elif verb in ("reports", "reported", "admits"):
            own = f"I {'had' if verb == 'reported' else 'have'} {re.sub('^(?:that|to) ', '', rest)}"
        else:
            return None
    elif verb in ("complains", "complained"):
        own = "I have " + re.sub(r"^of ", "", rest)
    elif verb in _COMES:
        return None
    else:
        own = f"I {adverb}{base(verb)} {rest}"
    return _told(own, _I)
