"""What the embedded base learns from plain text: pairs made out of a document, none of a task.

Each objective takes a random generator, a document and the most characters that the input may
have, and returns (input, target), or None where the document does not offer it. The first word of the input says which objective it is, so that
the same words can serve as a prompt later. The base never sees a task's training pairs; the
documents that hold one are left out before this module reads them (`train.pretrain.prepare`).

    copy        the text itself, at first whole, later with words missing
    fill        span corruption (Raffel et al. 2020), made on tokens in `corrupt_spans`
    continue    the text that follows
    summarize   the sentences that say most of the rest (PEGASUS, Zhang et al. 2020), or an
                article's abstract from its body
    title       a title from the text under it
    question    the question that a passage answers
    find        the sentence that holds the given words
    note        a section of a clinical note by its heading: from the whole note, or from its
                sentences told as a conversation
    order       sentences or turns put back in order
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from summarizer.numbers import ONES, TENS

Pair = tuple[str, str] | None
SENTENCE_END = re.compile(r"(?<=[a-z0-9)\]%\"”][.!?])\s+(?=[A-Z0-9(\"“])")
HEADING = re.compile(r"^([A-Z][A-Z /&,\-]{2,40}):[ \t]*", re.MULTILINE)
WORD = re.compile(r"[A-Za-z][A-Za-z\-]{2,}")
STOP = frozenset(
    "the and for with was were are is this that from has have had not but you your they their "
    "which than then there been will can may also into our its his her she him who all any each "
    "other between after before during these those more most such per one two".split()
)


@dataclass
class Document:
    """A text with the parts that the objectives ask for, found once."""

    source: str
    text: str
    paragraphs: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.paragraphs = [p.strip() for p in re.split(r"\n\s*\n", self.text) if p.strip()]

    def window(self, rng: random.Random, characters: int) -> str:
        """A stretch of about so many characters that starts at a paragraph or a sentence."""
        if len(self.text) <= characters:
            return self.text.strip()
        start = rng.randrange(0, max(1, len(self.text) - characters // 2))
        if start:
            found = re.compile(r"(?:\n|[.!?] )(?=\S)").search(self.text, start, start + 400)
            start = found.end() if found else self.text.find(" ", start) + 1
        stretch = self.text[start : start + characters]
        if start + characters < len(self.text):  # end at a sentence, or at least at a word
            ends = [m.end() for m in re.finditer(r"[.!?](?=\s)|\n", stretch)]
            stretch = stretch[: ends[-1]] if ends and ends[-1] > 60 else stretch.rpartition(" ")[0]
        return stretch.strip()


def sentences(text: str) -> list[str]:
    return [s.strip() for line in text.split("\n") for s in SENTENCE_END.split(line) if s.strip()]


def content_words(text: str) -> list[str]:
    return [w for w in (m.group().lower() for m in WORD.finditer(text)) if w not in STOP]


def between(rng: random.Random, least: int, most: int) -> int:
    """A length in characters, `least` where there is no room for more."""
    return rng.randrange(least, most) if most > least else least


# --- the objectives ---------------------------------------------------------------------------


def copy(rng: random.Random, document: Document, most: int, drop: float = 0.0) -> Pair:
    """The text itself; with `drop`, that share of the input's words is missing."""
    text = document.window(rng, rng.randrange(80, max(100, min(260, most))))
    given = text
    if drop:
        given = " ".join(w for w in text.split(" ") if rng.random() > drop)
    return (f"copy: {given}", text) if text else None


def copy_with_gaps(rng: random.Random, document: Document, most: int) -> Pair:
    return copy(rng, document, most, drop=0.15)


def continuation(rng: random.Random, document: Document, most: int) -> Pair:
    text = document.window(rng, between(rng, 300, most))
    parts = sentences(text)
    if len(parts) < 4:
        return None
    cut = max(1, len(parts) - rng.randrange(1, 4))
    return f"continue: {' '.join(parts[:cut])}", " ".join(parts[cut:])[:450]


def summarize(rng: random.Random, document: Document, most: int) -> Pair:
    """Gap sentences: those whose words cover most of the others' (ROUGE-1 F1 with the rest).

    Half the time the chosen sentences stay in the input, so that the model learns to choose and
    quote; else they are missing, so that it learns to put together.
    """
    abstract = abstract_from_body(document, most) if rng.random() < 0.3 else None
    if abstract:
        return abstract
    parts = sentences(document.window(rng, between(rng, 300, most)))
    parts = [p for p in parts if len(p) > 12]
    if len(parts) < 4:
        return None
    chosen = set(salient(parts, max(1, round(len(parts) * rng.uniform(0.12, 0.3)))))
    quoted = rng.random() < 0.5
    given = " ".join(p for i, p in enumerate(parts) if quoted or i not in chosen)
    wanted = [p for i, p in enumerate(parts) if i in chosen]
    if sum(map(len, wanted)) > 700:
        wanted = wanted[:1]
    return f"summarize: {given}", " ".join(wanted)


def salient(parts: list[str], count: int) -> list[int]:
    """Indices of the `count` sentences with the highest ROUGE-1 F1 against all the others."""
    bags = [Counter(content_words(p)) for p in parts]
    whole = sum(bags, Counter())
    scores = []
    for index, bag in enumerate(bags):
        rest = whole - bag
        overlap = sum(min(n, rest[w]) for w, n in bag.items())
        length = sum(bag.values())
        precision = overlap / max(1, length)
        recall = overlap / max(1, sum(rest.values()))
        scores.append((2 * precision * recall / (precision + recall + 1e-9), -index))
    return [-i for _, i in sorted(scores, reverse=True)[:count]]


def abstract_from_body(document: Document, most: int) -> Pair:
    """An article's conclusion or last abstract paragraph from what stands before it."""
    if document.source == "pubmedqa_l":
        lines = [x for x in document.text.split("\n") if x.strip()]
        if len(lines) < 3:
            return None
        return f"summarize: {' '.join(lines[1:-1])[:most]}", lines[-1][:500]
    for index, paragraph in enumerate(document.paragraphs[:14]):
        if index > 1 and re.fullmatch(r"Conclusions?:?|Discussion:?|Summary:?", paragraph):
            body = " ".join(p for p in document.paragraphs[1:index] if len(p) > 60)
            target = document.paragraphs[index + 1] if index + 1 < len(document.paragraphs) else ""
            if len(body) > 300 and 40 < len(target) < 700:
                return f"summarize: {body[-most:]}", target
    return None


def title(rng: random.Random, document: Document, most: int) -> Pair:
    lines = document.text.split("\n", 1)
    if len(lines) < 2 or not 8 < len(lines[0]) < 200:
        return None
    body = Document(document.source, lines[1]).window(rng, between(rng, 200, most))
    if rng.random() < 0.5:
        body = lines[1].strip()[: between(rng, 200, most)].rpartition(" ")[0]
    return f"title: {body}", lines[0].strip()


def question(rng: random.Random, document: Document, most: int) -> Pair:
    """The question that a passage answers, in the words of MedQuAD, PubMedQA or a textbook.

    Some passages hold the question itself, in the midst of other text of the same page.
    """
    if document.source == "pubmedqa_l":
        asked, _, rest = document.text.partition("\n")
        return f"question: {rest[: between(rng, 200, most)]}", asked.strip()
    found = list(re.finditer(r"^([^\n]{8,160}\?)\s*$", document.text, re.MULTILINE))
    if not found:
        return None
    index = rng.randrange(len(found))
    end = found[index + 1].start() if index + 1 < len(found) else len(document.text)
    answer = document.text[found[index].end() : end].strip()
    if len(answer) < 60:
        return None
    asked = re.sub(r"\s+\?", "?", found[index].group(1).strip())
    asked = asked.replace("What is (are)", "What is")
    answer = answer[: between(rng, 150, most - len(asked))].rpartition(" ")[0]
    if rng.random() < 0.4:
        parts = sentences(answer)[:6]
        parts.insert(rng.randrange(len(parts) + 1), asked)
        if rng.random() < 0.5:
            parts = [p.lower() for p in parts]
        answer = " ".join(parts)
    return f"question: {answer}", asked


def find(rng: random.Random, document: Document, most: int) -> Pair:
    """The sentence that holds the given words: attention by content, the root of quoting."""
    text = document.window(rng, between(rng, 200, most))
    parts = [p for p in sentences(text) if 20 < len(p) < 400]
    if len(parts) < 3:
        return None
    wanted = rng.choice(parts)
    often = Counter(content_words(text))
    words = [w for w in content_words(wanted) if often[w] == 1]  # so that one sentence is meant
    if not words:
        return None
    keys = rng.sample(words, min(len(words), rng.randrange(1, 4)))
    return f"find {', '.join(keys)}: {text}", wanted


def note(rng: random.Random, document: Document, most: int) -> Pair:
    """A section of a clinical note by its heading."""
    found = list(HEADING.finditer(document.text))
    if len(found) < 3:
        return None
    index = rng.randrange(len(found))
    end = found[index + 1].start() if index + 1 < len(found) else len(document.text)
    section = document.text[found[index].end() : end].strip()
    if not 20 < len(section) < min(1100, most // 2):
        return None
    heading = found[index].group(1).strip().lower()
    way = rng.random()
    if way < 0.62:
        return f"note {heading}: {as_conversation(rng, section)}", section
    around = document.text
    if way < 0.8:  # completed from the rest of the note
        around = document.text[: found[index].start()] + document.text[end:]
    start = max(0, min(found[index].start() - rng.randrange(0, most // 2), len(around) - most))
    return f"note {heading}: {around[start : start + most].strip()}", section


def order(rng: random.Random, document: Document, most: int) -> Pair:
    parts = sentences(document.window(rng, between(rng, 150, min(most, 420))))
    if not 2 < len(parts) < 9:
        return None
    mixed = parts[:]
    rng.shuffle(mixed)
    return f"order: {' '.join(mixed)}", " ".join(parts)


# --- a note's section told as a conversation --------------------------------------------------

FIRST_PERSON = [
    (r"\b(?:The )?[Pp]atient (?:states|reports|says|notes|mentions|tells me)(?: that)? ", ""),
    (r"\b(?:[Hh]e|[Ss]he) (?:states|reports|says|notes|mentions)(?: that)? ", ""),
    (r"\b(?:(?:The )?[Pp]atient|[Hh]e|[Ss]he) (?:also )?denie[sd] (?:any )?", "I don't have any "),
    (r"\b[Nn]egative for ", "I don't have any "),
    (r"\b(?:(?:The )?[Pp]atient|[Hh]e|[Ss]he) is\b", "I am"),
    (r"\b(?:(?:The )?[Pp]atient|[Hh]e|[Ss]he) was\b", "I was"),
    (r"\b(?:(?:The )?[Pp]atient|[Hh]e|[Ss]he) has\b", "I have"),
    (r"\b(?:(?:The )?[Pp]atient|[Hh]e|[Ss]he) does not\b", "I don't"),
    (r"\b(?:(?:The )?[Pp]atient|[Hh]e|[Ss]he) (\w+?)(?:e)?s\b(?= )", r"I \1"),
    (r"\b(?:[Tt]he )?[Pp]atient'?s\b|\b[Hh]is\b", "my"),
    (r"\b(?:The )?[Pp]atient\b|\b[Hh]e\b|\b[Ss]he\b", "I"),
    (r"\bher (?=\w)", "my "),
]
DOCTOR_SAYS = [
    "Okay.", "I see.", "Alright.", "Got it.", "Mm-hmm.", "Sure.", "Go on.", "Anything else?",
    "How are you doing today?", "Tell me more about that.", "What brings you in today?",
    "And how long has this been going on?", "Any other problems?", "I'm sorry to hear that.",
    "Hello, how can I help you?", "Is there anything else?", "That sounds good.", "Let me see.",
]  # fmt: skip
PATIENT_SAYS = [
    "Yes.",
    "No.",
    "Yeah.",
    "Okay.",
    "Right.",
    "Thank you.",
    "Sure.",
    "Um, yeah.",
    "Hi.",
]
SPEAKERS = [("Doctor", "Patient"), ("Doctor", "Patient"), ("[doctor]", "[patient]")]


def as_conversation(rng: random.Random, section: str) -> str:
    """The section's sentences as turns of a conversation, its grammar only roughly right."""
    doctor, patient = rng.choice(SPEAKERS)
    bracketed = doctor.startswith("[")
    turns: list[str] = []

    def say(speaker: str, words: str) -> None:
        turns.append(f"{speaker} {words.lower()}" if bracketed else f"{speaker}: {words}")

    for sentence in sentences(section):
        sentence = re.sub(r"^\d+[.)]\s*", "", sentence)
        if rng.random() < 0.35:
            say(doctor, rng.choice(DOCTOR_SAYS))
        words = content_words(sentence)
        spoken = spell_numbers(rng, sentence)
        way = rng.random()
        if way < 0.55:
            if words and rng.random() < 0.4:
                say(doctor, f"Any {rng.choice(words)}?")
            say(patient, first_person(spoken))
        elif way < 0.85:
            say(doctor, spoken)
            if rng.random() < 0.5:
                say(patient, rng.choice(PATIENT_SAYS))
        else:
            half = len(spoken.split()) // 2
            say(patient, first_person(" ".join(spoken.split()[:half])))
            say(doctor, rng.choice(DOCTOR_SAYS))
            say(patient, " ".join(spoken.split()[half:]))
    return "\n".join(turns)


def first_person(sentence: str) -> str:
    for pattern, replacement in FIRST_PERSON:
        sentence = re.sub(pattern, replacement, sentence)
    return sentence[:1].upper() + sentence[1:]


_ONES, _TENS = list(ONES), list(TENS)  # the words by their values


def number_words(n: int) -> str:
    """0 to 999 in words, 1100 to 2099 as a year is said."""
    if n < 20:
        return _ONES[n]
    if n < 100:
        return _TENS[n // 10 - 2] + (f" {_ONES[n % 10]}" if n % 10 else "")
    if n < 1000:
        return f"{_ONES[n // 100]} hundred" + (f" {number_words(n % 100)}" if n % 100 else "")
    if n // 100 == 20 and n % 100 < 10:
        return "two thousand" + (f" {_ONES[n % 100]}" if n % 100 else "")
    return f"{number_words(n // 100)} {number_words(n % 100) if n % 100 else 'hundred'}"


def spell_numbers(rng: random.Random, sentence: str) -> str:
    """Most whole numbers as they are spoken: "76-year-old" becomes "seventy six year old"."""
    if rng.random() < 0.3:
        return sentence
    sentence = re.sub(r"(\d)-year-old", r"\1 year old", sentence)
    return re.sub(
        r"(?<![\d.,/])\b(\d{1,4})\b(?![\d.,/])",
        lambda m: number_words(int(m[1])) if int(m[1]) < 1000 or 1900 <= int(m[1]) < 2030 else m[1],
        sentence,
    )


# --- the mixture ------------------------------------------------------------------------------

# Objective -> share of examples. `fill` and `fill_long` are made on tokens in train.pretrain.
MIXTURES = {
    "broad": {
        "fill": 0.22,
        "fill_long": 0.05,
        "continuation": 0.03,
        "summarize": 0.17,
        "title": 0.03,
        "question": 0.12,
        "find": 0.13,
        "note": 0.17,
        "order": 0.02,
        "copy_with_gaps": 0.06,
    },
    # once quoting is learned: less of it, more of the language itself
    "language": {
        "fill": 0.26,
        "fill_long": 0.07,
        "continuation": 0.05,
        "summarize": 0.17,
        "title": 0.03,
        "question": 0.13,
        "find": 0.07,
        "note": 0.18,
        "order": 0.01,
        "copy_with_gaps": 0.03,
    },
}
# How many times a source's text is weighed against its size. Clinical notes are what the tasks
# write, and there is little of them; tables of trial results and general textbooks count less.
SOURCE_WEIGHTS = {
    "mtsamples": 8.0,
    "medquad": 2.5,
    "openstax_health": 1.5,
    "qmsum_meetings": 1.2,
    "pubmedqa_l": 4.0,
    "pmc_rct_fulltext": 0.3,
    "europepmc_openaccess": 0.3,
    "openstax_general": 0.8,
    "clinicaltrials_nli4ct": 0.2,
    "craft": 0.2,
    "covid_qa": 0.2,
    "plos_starter": 0.2,
}
ONLY_FROM = {
    "note": ("mtsamples",),
    "question": ("medquad", "pubmedqa_l", "openstax_health", "openstax_general"),
    "title": ("pmc_rct_fulltext", "europepmc_openaccess", "craft", "plos_starter", "mtsamples",
              "pubmedqa_l", "medquad", "openstax_health"),
}  # fmt: skip
BY_NAME = {
    "copy": copy,
    "copy_with_gaps": copy_with_gaps,
    "continuation": continuation,
    "summarize": summarize,
    "title": title,
    "question": question,
    "find": find,
    "note": note,
    "order": order,
}


def corrupt_spans(
    rng: np.random.Generator,
    tokens: np.ndarray,
    sentinels: list[int],
    density: float,
    mean_length: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Span corruption as in T5: (n,) token ids -> input and target ids, without the end token.

    `density` is the share of tokens removed, `mean_length` the mean length of a removed span.
    Source: Raffel et al. 2020, section 3.1.4, and its `random_spans_noise_mask`.
    """
    length = len(tokens)
    noise = min(max(round(length * density), 1), length - 1)
    spans = min(max(round(noise / mean_length), 1), len(sentinels), noise, length - noise)

    def parts(total: int) -> np.ndarray:
        cuts = np.sort(rng.choice(total - 1, spans - 1, replace=False)) + 1
        return np.diff(np.concatenate([[0], cuts, [total]]))

    kept, removed = parts(length - noise), parts(noise)
    given, wanted, position = [], [], 0
    for span in range(spans):
        given.append(tokens[position : position + kept[span]])
        position += kept[span]
        given.append([sentinels[span]])
        wanted.append([sentinels[span]])
        wanted.append(tokens[position : position + removed[span]])
        position += removed[span]
    return np.concatenate(given), np.concatenate(wanted)
