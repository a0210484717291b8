"""What was said, told as a note would: nothing that was not, and never the other way round."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.faults import content_words
from eval.rouge import tokenize
from summarizer.numbers import numbers_of
from train.figures import in_figures
from train.retell import as_statement, statements
from train.thirdperson import third, told_of_patient

EXAMPLES = Path(__file__).parents[2] / "examples" / "dialogue.jsonl"


def told(*turns: str) -> list[str]:
    return [statement.text for statement in statements(turns)]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("sixty four years", "64 years"),
        ("a hundred and two last night", "102 last night"),
        ("one forty eight over ninety two", "148/92"),
        ("twenty milligrams", "20 mg"),
        ("two milligrams", "2 mg"),
        ("six point eight", "6.8"),
        ("four out of five on the left", "four out of five on the left"),
        ("in two thousand eighteen", "in 2018"),
        ("since nineteen ninety", "since 1990"),
        ("a thousand twice a day", "1000 twice a day"),
        ("two oh five", "205"),
        ("the second one ten minutes later", "the second one 10 minutes later"),
        ("two children and one dog", "two children and one dog"),
        ("twenty, thirty and forty", "20, 30 and 40"),
    ],
)
def test_numbers_in_words_are_written_in_figures(said: str, written: str) -> None:
    assert in_figures(said) == written


@pytest.mark.parametrize(
    ("verb", "form"),
    [("have", "has"), ("am", "is"), ("go", "goes"), ("try", "tries"), ("play", "plays"),
     ("watch", "watches"), ("took", "took"), ("stopped", "stopped"), ("need", "needs"),
     ("can't", "can't"), ("cough", "coughs"), ("use", "uses")],
)  # fmt: skip
def test_verbs_follow_the_patient(verb: str, form: str) -> None:
    assert third(verb) == form


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("I've had a cough for five days.", "The patient has had a cough for five days."),
        ("I'm out of breath when I climb stairs.",
         "The patient is out of breath when they climb stairs."),
        ("My knee hurts and my wife drives me.", "The patient's knee hurts and their wife drives them."),
        ("I usually sleep well, but I was tired.",
         "The patient usually sleeps well, but they were tired."),
        ("They told me I have gout.", "They told the patient they have gout."),
    ],
)  # fmt: skip
def test_a_patient_is_told_of_in_the_third_person(said: str, written: str) -> None:
    assert told_of_patient(said, by_patient=True) == written


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("I'd like you to take it with food.", "I would like the patient to take it with food."),
        ("If you get a rash or lose your balance, call.",
         "If the patient gets a rash or loses their balance, call."),
        ("Your lungs are clear.", "The patient's lungs are clear."),
        ("I think you have pneumonia.", "I think the patient has pneumonia."),
    ],
)  # fmt: skip
def test_a_doctor_tells_of_the_patient(said: str, written: str) -> None:
    assert told_of_patient(said, by_patient=False) == written


@pytest.mark.parametrize(
    ("question", "yes", "no"),
    [
        ("Do you smoke?", "The patient smokes.", "The patient does not smoke."),
        ("Do you have any chest pain?", "The patient has chest pain.",
         "The patient denies chest pain."),
        ("Are you short of breath?", "The patient is short of breath.",
         "The patient is not short of breath."),
        ("Have you ever had a stroke?", "The patient has had a stroke.",
         "The patient has never had a stroke."),
        ("Did you hit your head?", "The patient hit their head.",
         "The patient did not hit their head."),
        ("Any fever or chills?", "Positive for fever or chills.", "No fever or chills."),
        ("What about headaches?", "Positive for headaches.", "No headaches."),
        ("Does it hurt at night?", "It hurts at night.", "It does not hurt at night."),
        ("Is your appetite good?", "The patient's appetite is good.",
         "The patient's appetite is not good."),
        ("Can you feel your toes?", "The patient can feel their toes.",
         "The patient cannot feel their toes."),
        ("Is there any diabetes in the family?", "There is diabetes in the family.",
         "There is no diabetes in the family."),
        ("Do you feel pain anywhere else?", "The patient feels pain elsewhere.",
         "The patient denies pain anywhere else."),
    ],
)  # fmt: skip
def test_a_bare_answer_is_told_with_its_question(question: str, yes: str, no: str) -> None:
    assert as_statement(question, True) == yes
    assert as_statement(question, False) == no


@pytest.mark.parametrize(
    "question",
    ["How are you?", "What brings you in?", "Do you have any questions?", "Do you know why?",
     "Can you lift your shirt for me? Which one?", "Can you tell me more?"],
)  # fmt: skip
def test_what_a_yes_or_no_does_not_answer_is_no_statement(question: str) -> None:
    assert as_statement(question.split("? ")[-1], False) is None


@pytest.mark.parametrize(
    ("asked", "answer", "written"),
    [
        ("Do you smoke?", "No.", ["The patient does not smoke."]),
        ("Do you smoke?", "I quit ten years ago.", ["The patient quit 10 years ago."]),
        ("Do you smoke?", "I did, a pack a day.", []),
        ("Any chest pain?", "No, but I get dizzy.", ["No chest pain.", "The patient gets dizzy."]),
        ("Any chest pain?", "Yes, I get it on the stairs.", ["The patient gets it on the stairs."]),
        ("Are you short of breath?", "A little on the stairs.",
         ["The patient is short of breath, a little on the stairs."]),
        ("How old are you?", "Sixty four.", ["The patient is 64 years old."]),
        ("What do you use for the pain?", "Ice packs.", ["The patient uses ice packs for the pain."]),
        ("How many children do you have?", "Three.", ["The patient has three children."]),
        ("And alcohol?", "A beer on Fridays.", ["Alcohol: a beer on Fridays."]),
        ("Are you right or left handed?", "Right handed.", ["The patient is right handed."]),
        ("When was your last period?", "Two weeks ago.",
         ["The patient's last period was two weeks ago."]),
        ("How are you today?", "I'm fine, thank you.", []),
        ("What did they find?", "I don't know.", []),
    ],
)  # fmt: skip
def test_an_answer_is_told(asked: str, answer: str, written: list[str]) -> None:
    assert told(f"Doctor: {asked}", f"Patient: {answer}") == written


def test_a_statement_tells_the_turns_that_say_it() -> None:
    turns = ["Doctor: Hello.", "Patient: Hi.", "Doctor: Any fever?", "Patient: No."]
    assert [tuple(one) for one in statements(turns)] == [("No fever.", 2, 3)]


def test_doctors_state_and_small_talk_is_left_out() -> None:
    assert told(
        "Doctor: Good to see you. Your blood pressure is one forty over ninety.",
        "Doctor: Let me have a look. How is the weather out there?",
        "Patient: Thank you, doctor.",
    ) == ["The patient's blood pressure is 140/90."]


def test_a_family_member_speaks_of_the_patient() -> None:
    said = told("Doctor: Any fever?", "Guest_family: No. My son threw up once. I gave him water.")
    assert said == ["No fever.", "The patient threw up once."]


def test_transcripts_as_machines_write_them() -> None:
    assert told("[doctor] do you smoke ?", "[patient] no , i do n't .") == [
        "The patient does not smoke."
    ]
    assert told("[doctor] okay and have you had any fever", "[patient] no") == [
        "The patient has not had any fever."
    ]
    long = "[patient] well " + "and then i went there and it hurt " * 6
    assert told("[doctor] okay", long) == []


def test_a_turn_without_a_speaker_says_nothing() -> None:
    assert told("and then it hurt.", "") == []


def test_nothing_is_told_that_was_not_said() -> None:
    """Of the page's conversations: no number and no word but of its form that is not in the turns."""
    form = set(tokenize("patient's positive mg cannot never denies takes occupation"))
    count = 0
    for line in EXAMPLES.read_text(encoding="utf-8").splitlines():
        turns = json.loads(line)["input"].split("\n")
        for statement in statements(turns):
            said = " ".join(turns[statement.first : statement.last + 1])
            assert numbers_of(statement.text) <= numbers_of(said), statement
            words = {word for word in content_words(statement.text) if not word[0].isdigit()}
            assert words - form <= set(tokenize(said)), statement
            count += 1
    assert count > 150
