"""Sentences that no clinician would write so, and what they cost a note."""

import pytest

from train.awkward import awkward, sign_of
from train.recipe import Reward
from train.reward import Judge

TALK = "Doctor: Sleep?\nPatient: I get up, get up all night. My atorvastatin, that that one helps."


@pytest.mark.parametrize(
    ("sentence", "sign"),
    [
        ("The patient get up at night.", "The patient get"),
        ("The patient usually stay on metformin.", "The patient usually stay"),
        ("It keep the patient awake.", "It keep"),
        ("The patient atorvastatin goes up.", "The patient atorvastatin"),
        ("The patient thyroid.", "The patient thyroid"),
        ("The is metformin.", "The is"),
        ("No pleased.", "No pleased."),
        ("The LDL, LDL, is 132.", "LDL, LDL"),
        *(
            (sentence, "")
            for sentence in (
                "The patient gets up at night.",
                "The patient usually stays on metformin, and takes it at breakfast.",
                "The patient's thyroid is enlarged.",
                "The patient with asthma underwent surgery.",
                "The patient can't sleep.",
                "The patient is not pleased.",
                "The patient, a baker, has a cough.",
                "He denies fever.",
                "It hurt a week ago.",
                "The thyroid.",
                "The patient.",
                "No enlarged nodes.",
                "No swelling.",
                "That that one helps.",  # said so
                "",
            )
        ),
    ],
)
def test_a_sentence_shows_what_is_awkward_about_it(sentence, sign):
    assert sign_of(sentence, TALK) == sign


def test_what_is_awkward_is_a_share_of_the_sentences():
    assert awkward("The patient get up.\n2. The patient sleeps. No pleased.\n12.", TALK) == 2 / 3
    assert awkward("The patient sleeps.", TALK) == awkward("", TALK) == awkward("12.", TALK) == 0


def test_it_is_taken_off_what_a_note_earns():
    judge = Judge(Reward(told=0, invented=0, awkward=2), "dialogue")
    plain = Judge(Reward(told=0, invented=0), "dialogue")
    for note, taken in (("The patient gets up.", 0), ("The patient get up.", 2)):
        lost = plain(note, "The patient gets up.", TALK) - judge(note, "The patient gets up.", TALK)
        assert lost == pytest.approx(taken)
