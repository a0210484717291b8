"""Copies of conversations with other names, whose notes name the same."""

import re

import pytest

from train.exchange import exchanged
from train.retell import bare_answer, statements

ROW = {
    "id": "r",
    "section": "GENHX",
    "input": "Doctor: Which hip did they replace?\n"
    "Patient: The right hip, in March, right after I got lisinopril and metformin.\n"
    "Doctor: Do you smoke?\n"
    "Patient: No.\n"
    "Doctor: How old were you?\n"
    "Patient: Sixty four. I left early.",
    "target": "Right hip replacement in March. Takes lisinopril and metformin. Does not smoke.",
}


def test_a_name_is_the_same_in_a_conversation_and_its_note():
    copies = list(exchanged(ROW, 30))
    assert len(copies) > 25
    assert len({copy["id"] for copy in copies}) == len(copies)
    assert any("right hip" in copy["input"] for copy in copies)
    assert any("left hip" in copy["input"] for copy in copies)
    for copy in copies:
        side = re.search(r"(left|right) hip", copy["input"])[1]
        assert f"{side.capitalize()} hip" in copy["target"]
        month = re.search(r", in (\w+),", copy["input"])[1]
        drugs = re.search(r"I got (.+) and (.+)\.", copy["input"])
        assert f"in {month}." in copy["target"]
        assert f"Takes {drugs[1]} and {drugs[2]}." in copy["target"]
        assert copy["section"] == "GENHX"
        # "right after" and "I left" are no sides
        assert ", right after" in copy["input"]
        assert "I left early" in copy["input"]
    assert sum("lisinopril" not in copy["input"] for copy in copies) > 10


def test_copies_are_the_same_each_time_and_their_row_stays():
    before = dict(ROW)
    assert list(exchanged(ROW, 3)) == list(exchanged(ROW, 3))
    assert before == ROW


def test_bare_answers_are_turned_round_in_some_copies():
    copies = list(exchanged(ROW, 40))
    turned = [copy for copy in copies if copy["answered_otherwise"]]
    assert 5 < len(turned) < 20
    for copy in copies:
        told = [one.text for one in statements(copy["input"].split("\n"))]
        smokes = "The patient smokes." in told
        assert smokes == copy["answered_otherwise"]
        assert ("The patient does not smoke." in told) != smokes


def test_nothing_comes_of_a_conversation_that_names_nothing():
    assert list(exchanged({"id": "n", "input": "Patient: It hurts.", "target": "Pain."}, 5)) == []


@pytest.mark.parametrize(
    ("said", "yes"),
    [("No.", False), ("Yes, I do.", True), ("Um, no, not really.", False), ("Yeah, that's right.", True),
     ("No, I quit.", None), ("My knee.", None), ("", None)],
)  # fmt: skip
def test_bare_answers(said, yes):
    assert bare_answer(said) is yes
