"""Each trivial method is what its name says, and each segment and protocol takes the right rows."""

import pytest
from eval_helpers import rows

from eval.floors import FLOORS, available, write_floors
from eval.protocols import PROTOCOLS
from eval.rows import DataError
from eval.segments import segments

TRAIN = [
    {"input": "Clear lungs. Normal heart.", "target": "Normal.", "section": "chest"},
    {"input": "Clear lungs again.", "target": "Normal.", "section": "chest"},
    {"input": "A broken left wrist bone.", "target": "Wrist fracture.", "section": "bones"},
]
ASKED = [
    {"input": "The wrist is broken. It hurts. It swells. It is blue.", "section": "chest"},
    {"input": "The lungs are clear.", "section": "bones"},
]


def test_each_floor_writes_what_it_says():
    found = write_floors(ASKED, TRAIN)
    assert found == {
        "most frequent target": ["Normal.", "Normal."],
        "first sentence": ["The wrist is broken.", "The lungs are clear."],
        "first three sentences": [
            "The wrist is broken. It hurts. It swells.",
            "The lungs are clear.",
        ],
        "whole input": [row["input"] for row in ASKED],
        "nearest training input": ["Wrist fracture.", "Normal."],
        "nearest of the section": ["Normal.", "Wrist fracture."],
    }


def test_without_training_or_sections_fewer_floors_are_there():
    plain = [{"input": row["input"]} for row in ASKED]
    assert available(plain) == ["first sentence", "first three sentences", "whole input"]
    assert "nearest of the section" not in available(plain, TRAIN)
    assert available(ASKED, TRAIN) == list(FLOORS)


def test_a_thousand_random_rows_are_the_same_for_the_same_seed():
    choose = PROTOCOLS["random-1000"].choose
    many = rows(3000)
    first, again, other = choose(many, 1), choose(many, 1), choose(many, 2)
    assert first == again != other
    assert len(set(first)) == 1000 and first == sorted(first)
    assert choose(rows(12), 1) == list(range(12))


def test_twenty_rows_of_each_modality():
    choose = PROTOCOLS["modality-20"].choose
    many = rows(90)
    taken = [many[k]["modality"] for k in choose(many, 3)]
    assert taken.count("XR") == taken.count("CT") == 20
    few = rows(9)
    assert choose(few, 3) == list(range(9))
    with pytest.raises(DataError, match="No row has the field 'modality'"):
        choose([{"id": "1"}], 0)


def test_segments_are_the_columns_values_and_hold_their_rows():
    made = rows(24)
    found = {(by, value): list(which) for by, value, which in segments(made, "radiology")}
    assert found["source", "north"] == list(range(1, 24, 2))
    assert found["overlap with training", "seen"] == list(range(0, 24, 4))
    assert len(found["source and overlap", "south, seen"]) == 6
    assert ("clinic", "None") not in found
    # No finding is told in the first and last of the five made-up reports.
    assert found["reference", "normal"] == [k for k in range(24) if k % 5 in (0, 4)]


def test_source_and_overlap_is_no_segment_where_it_repeats_another():
    for same in ({"near_dup_in_train": False}, {"source": "north"}):
        assert "source and overlap" not in {
            by for by, _, _ in segments(rows(24, **same), "question")
        }
    # The rows seen in training are all of one of the two sources.
    found = [value for by, value, _ in segments(rows(24), "question") if by == "source and overlap"]
    assert found == ["south, new", "south, seen"]


def test_sections_are_called_by_their_names():
    made = [row | {"section": "GENHX" if k % 2 else "CC"} for k, row in enumerate(rows(6))]
    names = {value for by, value, _ in segments(made, "dialogue") if by == "section"}
    assert names == {"history of present illness", "chief complaint"}


def test_a_column_of_one_value_is_no_segment_but_the_source():
    made = rows(6, modality="XR", source="north", near_dup_in_train=False)
    assert {by for by, _, _ in segments(made, "question")} == {"source"}
