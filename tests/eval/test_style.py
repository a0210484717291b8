"""The form of a text, told by rules that can be checked by hand."""

import math

import pytest

from eval import style
from eval.faults import new_words


@pytest.mark.parametrize(
    ("text", "numbered", "bulleted"),
    [
        ("1. Small effusion.\n2. No edema.", True, False),
        ("1) Small effusion.", True, False),
        ("Impression: 1. Effusion. 2. Edema.", True, False),
        ("- Effusion\n- Edema", False, True),
        ("\u2022 Effusion", False, True),
        ("A 1.5 cm nodule. 2.5 cm before.", False, False),
        ("Follow-up in 3 months. 12 mm nodule", False, False),
        ("Plain prose.", False, False),
        ("", False, False),
    ],
)
def test_points(text, numbered, bulleted):
    assert (style.is_numbered(text), style.is_bulleted(text)) == (numbered, bulleted)


def test_copied_counts_words_in_runs_of_four():
    source = "there is a small left pleural effusion and the heart is enlarged"
    assert style.copied("a small left pleural effusion", source) == 100
    assert style.copied("a small right pleural effusion", source) == 0
    assert style.copied("small left pleural effusion today is seen", source) == pytest.approx(
        400 / 7
    )
    assert style.copied("left pleural", source) == 100
    assert math.isnan(style.copied("...", source))


def test_new_bigrams():
    assert style.new_ngrams("the heart is large", "the heart is enlarged") == pytest.approx(100 / 3)
    assert math.isnan(style.new_ngrams("heart", "the heart"))


def test_new_words_are_those_whose_stems_the_input_lacks():
    source = "Patient: My knees hurt, sixty pills did nothing."
    assert new_words("The knee hurts.", source) == 0
    assert new_words("The patient has knee pain after 60 pills.", source) == pytest.approx(25)
    assert new_words("Normal chest.", source) == 100
    assert math.isnan(new_words("60 of the", source))


def test_repetition():
    assert style.repetition("no acute disease") == 0
    assert style.repetition("the lung the lung the lung the lung") > 60
    assert style.repetition("") == 0


def test_length_ratio_and_words():
    assert style.length_ratio("a b", "a b c d") == 50
    assert math.isnan(style.length_ratio("a", "..."))
    assert style.words("A 5.3 mm nodule, isn't it?") == ["a", "5.3", "mm", "nodule", "isn't", "it"]
