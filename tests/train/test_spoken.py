"""A note's sections as they are said: the patient's words, the doctor's, and nothing told unsaid."""

import random
import re
from itertools import pairwise

import pytest

from eval.faults import content_words
from eval.rouge import tokenize
from summarizer.numbers import numbers_of
from train.auxiliary import spoken_notes
from train.habits import habits
from train.objectives import Document
from train.spoken import LAY, MOST_WORDS, windows

NOTE = {
    "GENHX": "The patient is a 58-year-old woman with three weeks of swelling of the left calf. She "
    "has had no fever. She denies chest pain, cough, or hemoptysis. He reports that he sleeps on two "
    "pillows. Her mother brought her, and she was worried.",
    "MEDICATIONS": "1. Torsemide 20 mg p.o. b.i.d.\n2. Colchicine 0.6 mg q.d.\n3. Albuterol p.r.n.",
    "ALLERGY": "SULFONAMIDES AND IODINE.",
    "PASTMEDICALHX": "Hypertension, polymyalgia rheumatica, and gout.",
    "PASTSURGICAL": "Appendectomy in 1986, carpal tunnel release.",
    "FAM/SOCHX": "Father died of a stroke at age 71. She works as a welder and smokes 10 cigarettes a "
    "day.",
    "ROS": "No headache or vision changes. Negative for dysuria.",
    "EXAM": "Lungs: Clear to auscultation bilaterally. Blood pressure is 148/92. There is no edema.",
    "PLAN": "1. Continue torsemide. 2. Follow up in 4 weeks. The patient will elevate her legs.",
}


def _first(section: str, text: str, seed: int = 0) -> tuple[str, str]:
    return next(windows(random.Random(seed), section, text))


def _said(section: str, text: str) -> str:
    """Every way of saying it that twenty seeds find."""
    return "\n".join(_first(section, text, seed)[0] for seed in range(20))


@pytest.mark.parametrize(
    ("section", "sentence", "said"),
    [
        ("GENHX", "She takes her pills at night.", "I take my pills at night."),
        ("GENHX", "The patient has noticed a rash.", "I've noticed a rash."),
        ("GENHX", "He reports that he cannot sleep.", "I can't sleep."),
        ("GENHX", "The patient complains of a sore tongue.", "I have a sore tongue."),
        ("FAM/SOCHX", "Mother had glaucoma.", "My mother had glaucoma."),
        ("EXAM", "The patient is alert.", "You're alert."),
        ("PLAN", "The patient will keep her foot raised.", "You'll keep your foot raised."),
        ("PLAN", "Stop naproxen.", "I'd like you to stop naproxen."),
        ("ALLERGY", "PENICILLIN.", "I'm allergic to penicillin."),
        ("MEDICATIONS", "Torsemide 20 mg b.i.d.", "torsemide twenty milligrams twice a day"),
        ("EXAM", "Blood pressure is 148/92.", "one hundred forty eight over ninety two"),
    ],
)
def test_a_sentence_is_said_as_its_speaker_would(section: str, sentence: str, said: str) -> None:
    assert said in _said(section, sentence)


def test_what_is_denied_is_asked_and_answered_with_no() -> None:
    for seed in range(30):
        said, told = _first(
            "PASTMEDICALHX", "The patient denies fever, chills, or night sweats.", seed
        )
        assert told == "The patient denies fever, chills, or night sweats."
        assert {"fever", "chills", "night"} <= set(re.findall(r"\w+", said.lower()))
        patient = [
            turn for turn in said.lower().split("\n") if turn.startswith(("patient", "[patient"))
        ]
        assert patient and all(
            re.search(r"\b(?:no|nope|not|nothing|none|don't|never|haven't)\b", turn)
            for turn in patient
        )


def test_a_bare_answer_decides_what_is_told_of_a_complaint() -> None:
    had = denied = 0
    for seed in range(60):
        for said, told in windows(random.Random(seed), "ROS", "Denies fever or chills."):
            for item in ("fever", "chills"):
                turn = re.search(rf"{item} ?\?\n\S+ (.+)", said)
                if turn is None or " or " in turn[0]:
                    continue
                no = re.match(r"no|nope|none|not|i haven't", turn[1], re.IGNORECASE)
                if not told.startswith("Denies"):
                    had, denied = had + (not no), denied + bool(no)
                    assert (f"No {item}." in told) == bool(no), (said, told)
                else:
                    assert no, (said, told)
    assert had > 10 and denied > 10


def test_what_patients_do_is_told_in_the_third_person_and_denied_where_they_say_no() -> None:
    asked = 0
    for seed in range(200):
        section, said, told = habits(random.Random(seed))
        assert section in {"GENHX", "FAM/SOCHX", "MEDICATIONS", "PASTMEDICALHX"}
        lines = [re.sub(r"^\S+ ", "", turn) for turn in said.lower().split("\n")]
        statements = re.findall(r"[^.]+\.", told.lower())
        assert not re.search(r"\b(?:my|i|your)\b", told.lower()), told
        for question, answer in pairwise(lines):
            if not question.startswith("do you "):
                continue
            asked += 1
            wanted = set(tokenize(question)) - set(tokenize("do you your have"))
            told_so = next(one for one in statements if wanted <= set(tokenize(one)))
            yes = re.match(r"ye|i do(?!n't)", answer)
            assert ("does not" in told_so) == (not yes), (question, answer, told_so)
    assert asked > 50


def test_a_note_speaks_of_the_patient_since_nobody_says_he_or_she() -> None:
    _, told = _first("GENHX", "She hurt her knee and she limps.")
    assert told == "The patient hurt their knee and they limp."


@pytest.mark.parametrize(
    "sentence",
    [
        "The wound was dictated as above.",
        "Seen by Dr. A on 3/04/2011 with _____.",
        "His wife says that he snores and he stops breathing.",
        "",
    ],
)
def test_what_no_rule_can_say_is_left_out_of_both(sentence: str) -> None:
    assert list(windows(random.Random(0), "GENHX", sentence)) == []


def test_whatever_is_told_was_said() -> None:
    form = set(
        tokenize(
            "patient denies negative positive known significant status post report of their they them"
        )
    )
    lay = {
        stem: {s for way in ways for s in tokenize(way)}
        for written, ways in LAY.items()
        for stem in tokenize(written)
    }
    rows = 0
    for seed in range(40):
        for section, text in NOTE.items():
            for said, told in windows(random.Random(seed), section, text):
                rows += 1
                assert numbers_of(told) <= numbers_of(said), (said, told)
                words = set(tokenize(said))
                for stem in content_words(told):
                    plain = stem.isalpha() and stem not in form
                    assert (
                        not plain or stem in words or lay.get(stem, set()) & words or _unit(stem)
                    ), (stem, said, told)
                turns = said.split("\n")
                assert all(
                    re.match(r"(?:Doctor:|Patient:|\[doctor\]|\[patient\]) \S", t) for t in turns
                )
                assert len(told.split(". ")) == 1 or len(said.split()) <= 2 * MOST_WORDS
    assert rows > 400


def _unit(stem: str) -> bool:
    """Said in other words, and no name: "mg" and "daily"."""
    return stem in tokenize("mg daily twice needed")


def test_the_file_of_them_has_rows_of_every_section_in_two_ways() -> None:
    names = {"GENHX": "HISTORY OF PRESENT ILLNESS", "ALLERGY": "ALLERGIES", "PLAN": "PLAN"}
    text = "Swelling\nA visit.\n\n" + "\n\n".join(
        f"{names[section]}: {NOTE[section]}" for section in names
    )
    text += "\n\nLUNGS: Clear to auscultation bilaterally."
    note = Document("mtsamples", text)
    rows = list(spoken_notes([note, Document("medquad", text)], times=2, drawn=0))
    assert {row["section"] for row in rows} == {"GENHX", "ALLERGY", "PLAN", "EXAM"}
    assert len({row["id"] for row in rows}) == len(rows)
    exam = [row["target"] for row in rows if row["section"] == "EXAM"]
    assert exam == ["Lungs: Clear to auscultation bilaterally."] * 2
    assert rows == list(spoken_notes([note], times=2, drawn=0))
    drawn = list(spoken_notes([], drawn=50))
    assert len({row["id"] for row in drawn}) == 50
