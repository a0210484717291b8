"""A note's sections, said as a doctor and a patient would have said them.

The other way round than `train.retell`: "The patient denies fever or chills." becomes "Any fever?"
"No." "Chills?" "No, no chills."; "Lisinopril 20 mg daily." an answer to "What do you take?";
"She quit smoking in 1998." "I quit smoking in nineteen ninety eight." MTSamples' notes name far
more drugs, operations and complaints than the conversations of the open data sets, so an adapter
that has to carry these over learns to carry over whatever is said. A sentence that no rule can say
is left out, of the conversation and of its note alike: whatever the note tells was said.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import NamedTuple

from summarizer.text import sentences
from train.objectives import number_words
from train.persons import KIN, SUBJECT, first_person, of_patient, second_person

MOST_WORDS = 60  # of a window's turns, as the dialogue adapter reads them
MOST_SENTENCE = 32  # words
MOST_ITEMS = 5

_I = re.IGNORECASE
_BY_DOCTOR = frozenset(
    {"EXAM", "PLAN", "ASSESSMENT", "LABS", "DISPOSITION", "EDCOURSE", "assessment_and_plan"}
)
_NOT_SAID = re.compile(
    r"\b(?:ABC|XYZ|[XYZ]{2,}|Drs?\.|M(?:r|rs|s)\.|dictat\w*|above|below|noncontributory|"
    r"non-contributory|see |per chart|reviewed)|[_?*\"=<>()+&]|\d/\d+/\d|\b[A-Z]\.$|^\W*$"
)
_WRITTEN = [  # of a note -> as a note for anyone would have it
    (r"\bp\.?o\.?(?= |,|\.|$),? ?", ""),
    (r"\b(?:b\.i\.d\.|bid|BID|B\.I\.D\.)", "twice daily"),
    (r"\b(?:t\.i\.d\.|tid|TID|T\.I\.D\.)", "three times daily"),
    (r"\b(?:q\.i\.d\.|qid|QID|Q\.I\.D\.)", "four times daily"),
    (r"\b(?:q\.?h\.?s\.?|h\.s\.|QHS)(?=\W|$)", "at bedtime"),
    (r"\b(?:q\.?a\.?m\.?)(?=\W|$)", "every morning"),
    (r"\b(?:q\.?d\.?|q\. day|q\. ?daily|QD|every day)(?=\W|$)", "daily"),
    (r"\b(?:p\.?r\.?n\.?|PRN)(?=\W|$)", "as needed"),
    (r"\bs/p\b", "status post"),
    (r"\bdaily daily\b", "daily"),
    (r" +", " "),
]
# of a note -> as it is said; in three of five sentences each
LAY = {
    "hypertension": ["high blood pressure"],
    "hyperlipidemia": ["high cholesterol"],
    "dyslipidemia": ["high cholesterol"],
    "hypercholesterolemia": ["high cholesterol"],
    "myocardial infarction": ["heart attack"],
    "cerebrovascular accident": ["stroke"],
    "dyspnea": ["shortness of breath", "trouble breathing"],
    "emesis": ["vomiting", "throwing up"],
    "vomiting": ["throwing up", "vomiting"],
    "edema": ["swelling"],
    "erythema": ["redness"],
    "dysuria": ["burning when you pee", "burning when you urinate"],
    "pruritus": ["itching"],
    "fatigue": ["tiredness", "fatigue"],
    "tobacco": ["smoking", "cigarettes"],
    "alcohol": ["drinking", "alcohol"],
    "illicit drugs": ["street drugs", "drugs"],
    "gastroesophageal reflux disease": ["acid reflux"],
    "GERD": ["acid reflux"],
    "appendectomy": ["my appendix out"],
    "cholecystectomy": ["my gallbladder out"],
    "tonsillectomy": ["my tonsils out"],
    "cesarean section": ["C-section"],
    "syncope": ["passing out", "fainting"],
    "epistaxis": ["nosebleeds"],
    "hematuria": ["blood in the urine"],
    "hematochezia": ["blood in the stool"],
    "rhinorrhea": ["a runny nose"],
    "insomnia": ["trouble sleeping"],
    "diaphoresis": ["sweating"],
    "abdominal pain": ["belly pain", "stomach pain"],
    "diabetes mellitus": ["diabetes"],
    "deceased": ["dead"],
    "headache": ["headaches"],
    "upper respiratory infection": ["a cold"],
    "seizures": ["seizures", "fits"],
}
_UNITS = [
    (r"(?<=\d) ?mg\b", [" milligrams"]),
    (r"(?<=\d) ?mcg\b", [" micrograms"]),
    (r"(?<=\d) ?m[lL]\b", [" milliliters"]),
    (r"(?<=\d) ?cm\b", [" centimeters"]),
    (r"(?<=\d) ?mm\b", [" millimeters"]),
    (r"(?<=\d) ?lbs?\b\.?", [" pounds"]),
    (r"(?<=\d) ?%", [" percent"]),
    (r"\btwice daily\b", ["twice a day", "two times a day"]),
    (r"\b(three|four) times daily\b", [r"\1 times a day"]),
    (r"\bdaily\b", ["daily", "a day", "once a day", "every day"]),
    (r"\bas needed\b", ["as needed", "when I need it"]),
    (r"\bat bedtime\b", ["at bedtime", "at night"]),
    (r"-year-old", [" year old"]),
]
_SHORT = [
    (r"\bI am\b", "I'm"),
    (
        r"\b(I|[Yy]ou|[Ww]e) have (?=been|had|not|never|also|lost|gained|noticed|seen|\w+ed\b)",
        r"\1've ",
    ),
    (r"\b(I|[Yy]ou|[Ww]e) will\b", r"\1'll"),
    (r"\b([Yy])ou are\b", r"\1ou're"),
    (r"\b([Ww])e are\b", r"\1e're"),
    (r"\b(did|does|do|have|has|had|is|are|was|were|would|could|should) not\b", r"\1n't"),
    (r"\bcannot\b", "can't"),
    (r"\bwill not\b", "won't"),
]
_ASKED = {
    "GENHX": ["What brings you in?", "How have you been?", "Tell me more.", "What happened?",
              "What's been going on?", "Can you tell me about it?", "And since then?"],
    "FAM/SOCHX": ["Tell me a little about yourself.", "And at home?", "What else should I know?",
                  "How about your family?", "And your habits?"],
    "MEDICATIONS": ["What medicines do you take?", "Which pills are you on?", "What do you take?",
                    "Are you taking any medications?", "Anything you take every day?",
                    "Can you go over your medications with me?"],
    "ALLERGY": ["Are you allergic to anything?", "Any allergies?", "Any drug allergies?",
                "Are you allergic to any medicines?", "Do you have any allergies?"],
    "PASTMEDICALHX": ["Do you have any medical problems?", "Any other conditions?",
                      "What medical problems have you had?", "Any past illnesses?"],
    "PASTSURGICAL": ["Have you had any surgeries?", "What operations have you had?",
                     "Any past surgeries?", "Have you ever been operated on?"],
    "CC": ["What brings you in today?", "What can I do for you?", "How can I help you?",
           "What's going on?", "What seems to be the problem?"],
    "ROS": ["Anything else bothering you?", "How do you feel otherwise?", "Any other symptoms?"],
}  # fmt: skip
_ACKNOWLEDGED = ["Okay.", "I see.", "Alright.", "Got it.", "Mm-hmm.", "Thank you.", "Good."]
_AGREED = ["Okay.", "Alright.", "Yes.", "Sounds good.", "Thank you, doctor.", "Okay, I understand."]
NO = ["No.", "No.", "Nope.", "No, doctor.", "Not that I know of.", "No, never.", "None.", "No, nothing.",
       "Nothing like that.", "Not really.", "I haven't noticed any.", "Not at all.", "No, none."]  # fmt: skip
# an answer of yes, and how the note says the same
_SOME = [("Yes.", "Positive for {}."), ("Yeah.", "Positive for {}."), ("I do.", "Positive for {}."),
         ("Yes, a little.", "A little {}."), ("Sometimes.", "Sometimes {}."),
         ("Yes, for {time}.", "Positive for {} for {time}."), ("For {time}.", "Positive for {} for {time}."),
         ("Yes, since {day}.", "Positive for {} since {day}."), ("Since {day}.", "Positive for {} since {day}."),
         ("Mostly at night.", "Positive for {}, mostly at night."), ("Only when I walk.", "Positive for {}, only with walking."),
         ("Once or twice.", "Positive for {}, once or twice."), ("A lot of it.", "Positive for a lot of {}."),
         ("Yes, after meals.", "Positive for {} after meals."), ("It comes and goes.", "Positive for {}, which comes and goes."),
         ("Yes, quite a bit.", "Positive for quite a bit of {}.")]  # fmt: skip
_TIMES = [
    "two days",
    "three weeks",
    "about a month",
    "five years",
    "a few months",
    "ten days",
    "a week",
]
_DAYS = ["Monday", "last night", "yesterday", "the summer", "August", "this morning", "last year"]
HAD = 0.4  # of the denied complaints that were asked for, those that the patient has after all
YES = ["Yes.", "Yeah.", "I do.", "Yes, I do."]
_DENIED = re.compile(
    rf"^(?:{SUBJECT} )?(?:also |currently |otherwise |further )?(?:[Dd]enie[sd]|[Nn]egative for|"
    r"has no|had no|has not had|is negative for|No|There (?:is|are|was|were|has been) no) "
    r"(?:having |experiencing |any |a |known |family |past |recent |significant )*"
    r"((?:history|complaints?|signs?|evidence|use) of )?(.+?)\.?$"
)
_AND = re.compile(r",? (?:and|or|nor) (?:any |no |recent )?|, (?:no |any )?")
_PLAN = re.compile(
    r"^(?:Continue|Start|Begin|Use|Check|Repeat|Obtain|Schedule|Avoid|Take|Increase|Decrease|Stop|Follow|"
    r"Return|Discontinue|Refer|Order|Monitor|Consider|Add|Give|Get|Keep|Resume|Change|Recheck|"
    r"Proceed|Apply|Call|See|Try|Encourage|Maintain|Switch|Discharge) [a-z0-9A-Z]"
)
_LABEL = re.compile(r"^([A-Z][A-Za-z/ ]{2,24}): ?(?=\S)")
_HAS_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|does|did|will|would|can|could|should|may|denies|states|"
    r"reports|takes|lives|works|smokes|drinks|uses|quit|died|shows?|showed|reveals?|revealed)\b"
)


class Said(NamedTuple):
    """A sentence or list item of a note, and the turns that say it."""

    turns: tuple[tuple[str, str], ...]  # ("doctor" or "patient", words)
    told: str


def windows(rng: random.Random, section: str, text: str) -> Iterator[tuple[str, str]]:
    """Conversations of a few turns, and what a note tells of each.

    Args:
        section: its name, as the dialogue data have it ("GENHX").
        text: the section of the note.

    Yields:
        Turns, a line each, of at most `MOST_WORDS` words or of one sentence, and their note.
    """
    rest = _said(rng, section, text)
    while rest:
        most = rng.randint(15, MOST_WORDS)
        taken: list[Said] = []
        while rest and (not taken or _length([*taken, rest[0]]) <= most):
            taken.append(rest.pop(0))
        yield turns_of_all(rng, taken), " ".join(said.told for said in taken)


def _length(taken: list[Said]) -> int:
    return sum(len(words.split()) + 1 for said in taken for _, words in said.turns)


def turns_of_all(rng: random.Random, taken: list[Said], bracketed: float = 0.3) -> str:
    """The turns, a line each: with a word between two of one speaker, or as one.

    Args:
        bracketed: of the texts, those written as transcripts of visits are.
    """
    as_visit = rng.random() < bracketed
    lines: list[tuple[str, str]] = []
    for said in taken:
        for speaker, words in said.turns:
            if lines and lines[-1][0] == speaker:
                if rng.random() < 0.6:
                    lines[-1] = (speaker, f"{lines[-1][1]} {words}")
                    continue
                between = _AGREED if speaker == "doctor" else _ACKNOWLEDGED
                other = "patient" if speaker == "doctor" else "doctor"
                lines.append((other, rng.choice(between)))
            lines.append((speaker, words))
    if not as_visit:
        return "\n".join(f"{speaker.capitalize()}: {words}" for speaker, words in lines)
    return "\n".join(
        f"[{speaker}] " + re.sub(r"(?<=[\w')])([,.?!;])(?= |$)", r" \1", words.lower())
        for speaker, words in lines
    )


def _said(rng: random.Random, section: str, text: str) -> list[Said]:
    found = []
    for line in text.split("\n"):
        line = re.sub(r"^\s*(?:\d+[.)]|[-•*])\s*", "", line)
        for sentence in sentences(line):
            sentence = re.sub(r"^\d+[.)]\s*", "", sentence)
            for pattern, words in _WRITTEN:
                sentence = re.sub(pattern, words, sentence)
            sentence = _without_capitals(sentence.strip())
            if len(sentence.split()) > MOST_SENTENCE or _NOT_SAID.search(sentence):
                continue
            found += _sentence(rng, section, sentence)
    return found


def _without_capitals(sentence: str) -> str:
    """ "PENICILLIN AND SULFA." as "Penicillin and sulfa."; short ones (CT, COPD) stay."""
    if re.search(r"[a-z]", sentence):
        return re.sub(r"\b[A-Z]{6,}\b", lambda found: found[0].capitalize(), sentence)
    return sentence.lower().capitalize() if len(sentence) > 5 else sentence


def _sentence(rng: random.Random, section: str, sentence: str) -> list[Said]:
    label = _LABEL.match(sentence)
    rest = sentence[label.end() :] if label else sentence
    told = sentence if sentence[-1] in ".:" else sentence + "."
    told = of_patient(told[:1].upper() + told[1:])
    denied = _DENIED.match(rest)
    if denied and not _HAS_VERB.search(denied[2]):
        items = [item.strip() for item in _AND.split(denied[2]) if item.strip()]
        if len(items) <= MOST_ITEMS and all(len(item.split()) <= 6 for item in items):
            if section in ("ROS", "GENHX") and not denied[1] and rng.random() < HAD:
                return _had(rng, items)
            return [Said(tuple(_negative(rng, section, denied[1] or "", items)), told)]
        return []
    if section in _BY_DOCTOR:
        said = _by_doctor(rng, section, label[1] if label else "", rest)
        return [Said((("doctor", said),), told)] if said else []
    return _by_patient(rng, section, rest, told)


def _negative(
    rng: random.Random, section: str, kind: str, items: list[str]
) -> Iterator[tuple[str, str]]:
    said = [_spoken(rng, item) for item in items]
    listed = said[0] if len(said) == 1 else ", ".join(said[:-1]) + f" or {said[-1]}"
    if section in _BY_DOCTOR:
        yield (
            "doctor",
            rng.choice(["There's no {}.", "I don't see any {}.", "No {}."]).format(listed),
        )
        return
    if rng.random() < 0.25:
        yield "doctor", rng.choice(_ASKED[section])
        yield "patient", rng.choice(["No {}.", "I don't have any {}."]).format(kind + listed)
        return
    if len(said) == 1 or rng.random() < 0.5:
        ask = ["Any {}?", "Do you have any {}?", "Have you had any {}?", "Have you noticed any {}?"]
        yield "doctor", rng.choice(ask).format(kind + listed)
        yield "patient", rng.choice(NO)
        return
    for number, item in enumerate(said):
        ask = (
            ["Any {}?", "Do you have {}?"]
            if number == 0
            else ["Any {}?", "And {}?", "What about {}?"]
        )
        yield "doctor", rng.choice(ask).format((kind if number == 0 else "") + item)
        yield "patient", rng.choice([*NO, f"No {item}.", f"No, no {item}."])


def _had(rng: random.Random, items: list[str]) -> list[Said]:
    """Complaints asked for one by one, some of which the patient has: a bare answer decides."""
    found = []
    for item in items:
        ask = [
            "Any {}?",
            "Do you have any {}?",
            "And {}?",
            "What about {}?",
            "Have you had any {}?",
        ]
        asked = ("doctor", rng.choice(ask).format(_spoken(rng, item)))
        answer, told = rng.choice(_SOME) if rng.random() < 0.5 else (rng.choice(NO), "No {}.")
        time, day = rng.choice(_TIMES), rng.choice(_DAYS)
        told = told.format(item, time=time, day=day)
        answered = ("patient", answer.format(time=time, day=day))
        found.append(Said((asked, answered), told[:1].upper() + told[1:]))
    return found


def _by_patient(rng: random.Random, section: str, sentence: str, told: str) -> list[Said]:
    asked = ("doctor", rng.choice(_ASKED[section]))
    if section == "FAM/SOCHX" and re.match(rf"(?:{KIN})\b", sentence, _I):
        kin = re.match(r"\w+", sentence)[0].lower()  # type: ignore[index]
        asked = (
            "doctor",
            rng.choice(["Does anything run in your family?", f"What about your {kin}?"]),
        )
        if kin == "family":
            positive = re.match(r"Family history (?:is )?\w+ for (.+)", sentence)
            if not positive:
                return []
            answer = rng.choice(["Yes, {}", "There's {}"]).format(_spoken(rng, positive[1]))
            return [Said((asked, ("patient", ended(answer))), told)]
        own = _spoken(rng, sentence[:1].lower() + sentence[1:])
        return [Said((asked, ("patient", f"My {ended(own)}")), told)]
    own = first_person(sentence)
    if own is not None:
        return [Said((asked, ("patient", ended(_spoken(rng, own)))), told)]
    if (
        section == "GENHX"
        or _HAS_VERB.search(sentence)
        or re.match(r"(?:His|Her|He|She)\b", sentence)
    ):
        return []
    # a list: "Hypertension, type 2 diabetes, and gout."
    sentence = re.sub(
        r"^(?:Significant|Positive|Remarkable|Notable|Include[sd]?) (?:for )?", "", sentence
    )
    sentence = re.sub(r"^[Ss]tatus post ", "", sentence)
    items = [
        re.sub(r"^and ", "", item).strip(" .")
        for item in re.split(r"[,;] |\. ", sentence)
        if item.strip(" .")
    ]
    if not items or any(len(item.split()) > 10 for item in items):
        return []
    found = []
    while items:
        count = rng.randint(1, 4)
        some, items = items[:count], items[count:]
        note = ", ".join(some)
        found.append(Said(tuple(_listed(rng, section, some)), note[:1].upper() + note[1:] + "."))
    return found


def _listed(rng: random.Random, section: str, items: list[str]) -> Iterator[tuple[str, str]]:
    said = [_spoken(rng, _lower_first(item)) for item in items]
    if section == "PASTMEDICALHX" and rng.random() < 0.5:
        for item in said:
            yield (
                "doctor",
                rng.choice(["Do you have {}?", "Any {}?", "Have you ever had {}?"]).format(item),
            )
            yield "patient", rng.choice(YES)
        return
    yield "doctor", rng.choice(_ASKED[section])
    listed = said[0] if len(said) == 1 else ", ".join(said[:-1]) + f", and {said[-1]}"
    before = {
        "ALLERGY": ["", "Yes, ", "I'm allergic to "],
        "MEDICATIONS": ["", "I take ", "I'm on ", "Just "],
        "PASTSURGICAL": ["", "I had ", "Yes, "],
        "PASTMEDICALHX": ["", "I have ", "Yes, "],
        "CC": ["", "I have ", "I've had ", "It's "],
        "ROS": ["", "I have ", "Yes, "],
    }.get(section, [""])
    answer = rng.choice(before) + listed
    yield "patient", ended(answer[:1].upper() + answer[1:])


def _by_doctor(rng: random.Random, section: str, label: str, sentence: str) -> str | None:
    plain = sentence[:-1] if sentence.endswith(".") else sentence
    own = second_person(plain)
    if own is None:
        return None
    if section in ("PLAN", "DISPOSITION", "assessment_and_plan") and _PLAN.match(own):
        start = ["Let's {}", "I'd like you to {}", "We'll {}", "I want you to {}", "{}", "So {}"]
        own = rng.choice(start).format(_lower_first(own))
    elif section == "ASSESSMENT" and not _HAS_VERB.search(own):
        start = ["So you have {}", "This is {}", "It looks like {}", "My impression is {}", "{}"]
        own = rng.choice(start).format(_lower_first(own))
    elif label and section == "EXAM":
        start = ["{label}, {own}", "Let me check the {label}. {Own}", "Your {label}: {own}"]
        own = rng.choice(start).format(label=label.lower(), own=_lower_first(own), Own=own)
    elif label:
        own = f"{label.capitalize()}, {_lower_first(own)}"
    own = _spoken(rng, own)
    return ended(own[:1].upper() + own[1:])


def _spoken(rng: random.Random, text: str) -> str:
    """As it is said aloud: units, numbers, illnesses, contractions."""
    for pattern, ways in _UNITS:
        text = re.sub(pattern, lambda found, ways=ways: found.expand(rng.choice(ways)), text)
    for written, lay in LAY.items():
        if rng.random() < 0.6:
            text = re.sub(rf"\b{written}\b", rng.choice(lay), text, flags=_I)
    if rng.random() < 0.8:
        text = _numbers(text)
    if rng.random() < 0.8:
        for pattern, words in _SHORT:
            text = re.sub(pattern, words, text)
    return re.sub(r" +", " ", text).strip()


def _numbers(text: str) -> str:
    text = re.sub(
        r"\b(\d{2,3})/(\d{2,3})\b",
        lambda m: f"{number_words(int(m[1]))} over {number_words(int(m[2]))}",
        text,
    )
    text = re.sub(
        r"\b(\d{1,3})\.(\d{1,2})\b",
        lambda m: f"{number_words(int(m[1]))} point {' '.join(number_words(int(d)) for d in m[2])}",
        text,
    )
    return re.sub(
        r"(?<![\d.,/\-A-Za-z])(\d{1,4})(?![\d.,/]\d|\d|[A-Za-z])",
        lambda m: number_words(int(m[1])) if int(m[1]) < 1000 or 1900 <= int(m[1]) < 2030 else m[1],
        text,
    )


def _lower_first(text: str) -> str:
    """Without the capital of a sentence; that of an abbreviation ("COPD") stays."""
    # Not thirdperson's, which keeps "T 100.9" too: the released adapter's rows come out as they were.
    if re.match(r"[A-Z][A-Z\d]", text) or text.startswith("I "):
        return text
    return text[:1].lower() + text[1:]


def ended(text: str) -> str:
    """With a full stop where nothing ends it."""
    return text if text.endswith((".", "?")) else text + "."
