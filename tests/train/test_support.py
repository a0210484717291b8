"""Which sentences of a target its input bears out."""

from __future__ import annotations

import pytest

from train.support import supported

SAID = (
    "Doctor: How old are you?\nPatient: I'm fifty two.\nDoctor: Do you smoke?\n"
    "Patient: No. I have high blood pressure, I take lisinopril, twenty milligrams, every morning.\n"
    "Doctor: Any trouble with your left knee?\nPatient: It is swollen since I fell in two thousand and nine."
)


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        # borne out, in the note's words and numbers
        (
            "The patient is 52 years old with hypertension. He takes lisinopril 20 mg every morning.",
            "The patient is 52 years old with hypertension. He takes lisinopril 20 mg every morning.",
        ),
        # a sentence of which nothing was said
        (
            "Left knee swelling since a fall in 2009. He drinks two beers daily with his brother.",
            "Left knee swelling since a fall in 2009.",
        ),
        # a number that nobody said
        (
            "He takes lisinopril 40 mg every morning. The left knee has been swollen since the fall.",
            "The left knee has been swollen since the fall.",
        ),
        # an age and an origin alone are cut out
        (
            "This is an 81-year-old white male with a swollen left knee and high blood pressure.",
            "This is a male with a swollen left knee and high blood pressure.",
        ),
        # short ones are kept: they are said in other words
        ("Nonsmoker, married, retired.", "Nonsmoker, married, retired."),
        # a heading goes with all that stood under it, and stays with what is left
        (
            "MEDICATIONS\n\nLisinopril 20 mg.\n\nALLERGIES\n\nPenicillin causes hives and wheezing.",
            "MEDICATIONS\n\nLisinopril 20 mg.",
        ),
    ],
)
def test_only_what_was_said_is_kept(target: str, kept: str) -> None:
    assert supported(target, SAID, 0.4) == kept


def test_nothing_left_is_told() -> None:
    target = "Colonoscopy showed several polyps in the sigmoid colon, removed without any bleeding."
    assert supported(target, SAID, 0.4) is None


def test_a_higher_share_keeps_less() -> None:
    target = "The patient has a swollen left knee with an effusion, locking and giving way."
    assert supported(target, SAID, 0.2) == target and supported(target, SAID, 0.9) is None
