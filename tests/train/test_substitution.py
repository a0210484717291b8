"""Replaced names: the pair says the same of another name, and what is added is told nowhere."""

import random
from types import SimpleNamespace

import pytest

from train.drawn import drawn
from train.substitution import common, phrases, renamed, replaced, shared, substituted

NAMED = ["pterygoid canal", "oblique vein of the atrium", "uvula", "lesser omentum"]


def document(text, source="mtsamples"):
    return SimpleNamespace(text=text, source=source)


def test_phrases_are_read_where_a_text_names_what_it_speaks_of():
    found = phrases(
        [
            document("The incision was carried along the linea alba. It lies in the same way."),
            document("Blood was seen in the culinary institute.", "pmc_rct_fulltext"),
        ]
    )
    assert found == ["linea alba"]


def test_shared_runs_are_the_longest_without_words_of_place_and_change():
    text = "There is a small nodular opacity in the right upper lobe. The heart is normal."
    assert shared(text, "Small nodular opacity in the right upper lobe, new.") == [
        "nodular opacity",
        "lobe",
    ]


def test_what_is_denied_stays():
    assert shared("No pleural effusion. Rib fracture.", "1. Rib fracture.\n2. No pleural effusion.") == ["rib fracture"]  # fmt: skip


def test_a_phrase_is_replaced_in_both_with_its_capital_and_its_article():
    row = {
        "id": "1",
        "input": "Cyst in the liver. There is a cyst.",
        "target": "Cyst of the liver.",
    }
    for seed in range(30):
        found = replaced(row, ["uvula"], random.Random(seed))
        if found and "yst" not in found["target"]:
            assert found["target"].startswith("Uvula of the ")
            assert "There is an uvula" in found["input"]
            assert found["id"] == "1-named"
            return
    pytest.fail("the cyst was never replaced")


def test_what_stands_only_in_the_text_is_told_nowhere():
    rows = list(substituted(drawn(400), NAMED, "named"))
    assert len(rows) > 100
    assert {row["source"] for row in rows} == {"named"}
    told = [row for row in rows if any(name in row["target"].lower() for name in NAMED)]
    assert len(told) > len(rows) / 2
    for row in rows:
        named = [name for name in NAMED if name in row["target"].lower()]
        assert all(name in row["input"].lower() for name in named), row
    more = [row for row in rows if sum(name in row["input"].lower() for name in NAMED) > sum(name in row["target"].lower() for name in NAMED)]  # fmt: skip
    assert len(more) > len(rows) / 5


def test_a_normal_report_says_more_that_is_normal():
    normal = {"id": "1", "input": "The knee is normal.", "target": "Normal radiographs."}
    found = replaced(normal, NAMED, random.Random(0))
    assert found["target"] == normal["target"]
    assert found["input"].startswith("The knee is normal. ")
    assert any(name in found["input"].lower() for name in NAMED)


def test_an_abnormal_report_in_which_nothing_is_shared_is_left_out():
    row = {"id": "1", "input": "The appendix is wide.", "target": "Appendicitis."}
    assert replaced(row, NAMED, random.Random(0)) is None


def test_the_same_seed_replaces_the_same():
    rows = list(drawn(100))
    assert list(substituted(rows, NAMED, "a", 3)) == list(substituted(rows, NAMED, "a", 3))


def test_words_that_many_texts_hold_are_part_of_no_name():
    texts = [f"The patient takes drug number {number}." for number in range(40)]
    kept = common([document(text) for text in [*texts, "Metformin was stopped."]])
    assert {"takes", "drug", "patient", "the", "guest"} <= kept
    assert "metformin" not in kept


def test_a_conversation_is_about_other_things():
    kept = common([document("Doctor: Do you take any? Patient: Yes, I take it.")] * 20)
    row = {
        "id": "7",
        "input": "Doctor: Do you take any warfarin?\nPatient: Yes, I take Warfarin.",
        "target": "The patient takes warfarin.",
        "section": "MEDICATIONS",
    }
    told = [renamed(row, (NAMED, ["gout"]), kept, 0.6, random.Random(seed)) for seed in range(40)]
    assert None in told, "no name is left as it is"
    found = [one for one in told if one]
    assert {one["target"].split("takes ")[1].rstrip(".") for one in found} == {*NAMED, "gout"}
    for one in found:
        name = one["target"].split("takes ")[1].rstrip(".")
        assert one["input"].lower().count(name) == 2
        assert "warfarin" not in one["input"].lower()
        assert (one["id"], one["section"]) == ("7-named", "MEDICATIONS")


def test_a_conversation_that_shares_no_name_with_its_note_is_left_out():
    row = {"id": "1", "input": "Patient: It hurts.", "target": "Knee pain."}
    assert renamed(row, (NAMED, ["gout"]), frozenset(), 1.0, random.Random(0)) is None
