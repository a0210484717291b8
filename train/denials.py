"""What a conversation affirms and what it denies, and where a note has it the other way round.

"Chest pain?" "No." is a denial, and a note that says "Chest pain." of it is worse than one that
leaves it out; no score of words sees it. Rules over words, as in `eval.clinical.polarity`, which
they use: they know the bare answers of `train.retell`, and no medicine.
"""

from __future__ import annotations

import re
from functools import lru_cache

from eval.clinical import function_stems, polarity
from eval.rouge import tokenize
from summarizer.text import sentences
from summarizer.windows import turns_of
from train.retell import answered, is_question, turn_of

_DENIED = re.compile(
    r"\bnegative:|\b(?:den(?:y|ies|ied|ying)|never|(?:do|does|did|has|have|is|are|was)n't)\b"
)
# What a no to a question does not deny: "Any trouble with the metformin?", "Have you quit smoking?"
_ASIDE = re.compile(
    r"\b(?:with|about|from|besides|other than|stop(?:ped)?|quit|questions?)\b.*", re.S
)


def turned(note: str, conversation: str) -> float:
    """Share (0 to 1) of a note's content words that it tells the other way round.

    Those that it states and the conversation only denies, and those that it denies and the
    conversation only affirms. What is both affirmed and denied there ("pain") is not asked.
    """
    affirmed, denied, left_open = told_in(conversation)
    states, denies = _polarity(note)
    words = states | denies
    wrong = (states & denied - affirmed) | ((denies - states) & affirmed - denied)
    wrong -= left_open
    return len(wrong) / len(words) if words else 0.0


@lru_cache(maxsize=2_000)
def told_in(conversation: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Stems of the content words that are affirmed, of those that are denied, and of those that
    were asked about without being either: whose answer is another than a yes or a no ("Any pills?"
    "One for the pressure."), or to which a no may mean both ("No fever?")."""
    affirmed: set[str] = set()
    denied: set[str] = set()
    left_open: set[str] = set()
    asked = ""
    for turn in turns_of(conversation):
        by_doctor, text = turn_of(turn)
        if not by_doctor and asked:
            text, yes = answered(text)
            # "No fever?" is answered by "No" and by "Correct" alike.
            about, negated = _polarity(_ASIDE.sub("", asked))
            left_open |= set(tokenize(asked)) - about
            if negated or yes is None:
                left_open |= about
            else:
                (affirmed if yes else denied).update(about)
        if not by_doctor or not asked:
            asked = ""
        for sentence in sentences(text):
            if is_question(sentence):
                # The last thing asked is what is answered.
                asked = sentence.lower() if by_doctor else ""
            else:
                states, denies = _polarity(sentence)
                affirmed |= states
                denied |= denies
    return tuple(frozenset(words - function_stems()) for words in (affirmed, denied, left_open))


def _polarity(text: str) -> tuple[frozenset[str], frozenset[str]]:
    states, denies = polarity(_DENIED.sub("no", text.replace("\u2019", "'").lower()))
    return states - function_stems(), denies - function_stems()
