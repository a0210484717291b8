"""What a conversation affirms and denies, and notes that have it the other way round."""

from __future__ import annotations

import pytest

from train.denials import told_in, turned
from train.recipe import Reward
from train.reward import Judge

TALK = """Doctor: Any fever or chills?
Patient: No.
Doctor: Chest pain?
Patient: No, never. My knee aches at night.
Doctor: Diabetes? Asthma?
Patient: No diabetes. I wheeze in spring.
Doctor: Do you smoke?
Patient: Yes, a pack a day.
Doctor: Any pills?
Patient: One for the pressure.
Doctor: The lungs are clear, and there's no murmur. Any questions?"""


def test_a_question_is_answered_by_the_turn_behind_it():
    affirmed, denied, left_open = told_in(TALK)
    assert {"knee", "ach", "wheez", "smoke", "pack", "pressur"} <= affirmed - denied
    assert {"fever", "chill", "chest", "pain", "diabet", "murmur"} <= denied - affirmed
    assert {"asthma", "pill"} <= left_open and "asthma" not in affirmed | denied
    assert "question" not in affirmed | denied | left_open  # nobody has answered
    assert told_in("") == (frozenset(),) * 3


@pytest.mark.parametrize(
    "note",
    [
        "Denies fever, chills and chest pain. The knee aches at night. Smokes a pack a day.",
        "No fever. Has never had diabetes. No asthma. One pill for the pressure.",
        "Negative: fever, chest pain, diabetes.",
        "Asthma.",  # neither said nor denied
        "",
    ],
)
def test_a_note_that_tells_it_as_it_was_said_has_nothing_turned(note):
    assert turned(note, TALK) == 0


@pytest.mark.parametrize(
    ("question", "answer", "note"),
    [
        ("No chest pain?", "Correct.", "No chest pain."),
        ("No chest pain?", "No.", "No chest pain."),
        ("You don't have any allergies?", "Right.", "No allergies."),
        ("Any trouble with the metformin?", "No.", "Takes metformin without trouble."),
        ("Have you stopped smoking?", "No.", "Smokes a pack a day."),
        ("Any other questions about the surgery?", "No.", "Surgery."),
    ],
)
def test_a_no_denies_what_it_answers_and_no_more(question, answer, note):
    assert turned(note, f"Doctor: {question}\nPatient: {answer}") == 0


@pytest.mark.parametrize(
    ("note", "share"),
    [
        ("Chest pain.", 1),
        ("Fever. The knee aches.", 1 / 3),
        ("Does not smoke.", 1),
        ("No wheeze, no fever.", 1 / 2),
        ("Diabetes, and no chest pain.", 1 / 3),
    ],
)
def test_what_is_told_the_other_way_round_is_counted(note, share):
    assert turned(note, TALK) == pytest.approx(share)


def test_it_is_taken_off_what_a_note_earns():
    judge = Judge(Reward(told=0, invented=0, turned=2), "dialogue")
    plain = Judge(Reward(told=0, invented=0), "dialogue")
    for note, taken in (("No chest pain.", 0), ("Chest pain.", 2), ("Fever. No chills.", 1)):
        lost = plain(note, "No chest pain.", TALK) - judge(note, "No chest pain.", TALK)
        assert lost == pytest.approx(taken)
