"""Written templates: what is drawn of them, and that every one of them is sound."""

import random

import pytest

from summarizer.tasks import SECTION_CODES
from train.errors import DataError
from train.written import Template, bare, faults, files, groups, main, templates, written

CONVERSATIONS = ("dialogue", "visits", "notes", "encounters", "clinic")
REPORTS = (
    *("radiology", "joints", "films", "scans", "wordings", "reads", "rounds", "cases"),
    *("studies", "shifts"),
)


def drawn(said: str, told: str, times: int = 60) -> set[tuple[str, str]]:
    rng, template = random.Random(0), Template(said, told, "here:1", {"modality": "CT"})
    return {template.draw(rng) for _ in range(times)}


def test_a_label_takes_the_same_place_in_text_and_summary():
    found = drawn("A <1:left|right> <2:3..5> mm stone.", "<2> mm, <1:sinister|dexter>, <1>.")
    assert {(said.split()[1], told.split(", ")[1:][0]) for said, told in found} == {
        ("left", "sinister"),
        ("right", "dexter"),
    }
    assert {said.split()[2] for said, _ in found} == {"3", "4", "5"}
    assert all(told == f"{said.split()[2]} mm, {told.split(', ')[1]}, {said.split()[1]}." for said, told in found)  # fmt: skip


def test_decimals_free_choices_and_parts_that_may_be_left_out():
    found = drawn("A <1:1.5..1.7> cm <cyst|nodule>. {No air.} It is old.", "<1> cm.")
    assert {told for _, told in found} == {"1.5 cm.", "1.6 cm.", "1.7 cm."}
    assert len({said for said, _ in found}) == 12  # sizes, things, with and without the part
    assert not any("  " in said for said, _ in found)


def test_sentences_of_reports_begin_with_a_capital():
    assert drawn("<1:the liver> is large. at 3 p.m. it is small.", "1. <1>.") == {
        ("The liver is large. At 3 p.m. it is small.", "1. The liver.")
    }


def test_findings_stand_alone_unless_the_impression_needs_what_is_cut_off():
    report = (
        "EXAM: Chest radiograph.\nHISTORY: Cough for 3 weeks.\nFindings: the lungs are clear, but for "
        "a nodule of 8 mm at the left apex. The heart is small.\nBONES: No fracture.\n"
        "COMPARISON: Film of 2 years ago."
    )

    def told(target: str) -> list[str]:
        return [row["input"] for row in bare([{"id": "a", "input": report, "target": target}])]

    assert told("1. Nodule of 8 mm at the left apex.\n2. No fracture.") == [
        "The lungs are clear, but for a nodule of 8 mm at the left apex. The heart is small.\n"
        "BONES: No fracture."
    ]
    assert told("Nodule, new since 2 years.") == told("Nodule in a radiograph.") == []
    assert list(bare([{"id": "a", "input": "The lungs are clear.", "target": "Normal."}])) == []


@pytest.mark.parametrize(
    ("said", "told", "fault"),
    [
        ("A <1> cyst.", "A cyst.", "<1> stands before its list"),
        ("A <1:left|right> cyst.", "<1:sinister>", "the lists of <1:...> differ in length"),
        ("A <1:left|right cyst.", "A cyst.", "is left over"),
        ("A 3 mm cyst.", "A 4 mm cyst.", "the summary says 4, the text does not"),
    ],
)
def test_a_fault_is_told_with_its_place(said, told, fault):
    found = faults(Template(said, told, "here:7"))
    assert len(found) == 1 and found[0].startswith("here:7: ") and fault in found[0]


def test_a_file_is_read_with_its_keys(tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("@ modality: CT\nA cyst.\n=>\nCyst.\n===\n\n@ section: ROS\nB\n=>\nC\nD\n===\n")
    one, two = templates(path)
    assert (one.said, one.told, one.keys, one.where) == (
        "A cyst.", "Cyst.", {"modality": "CT"}, "one.txt:1")  # fmt: skip
    assert (two.told, two.keys, two.where) == ("C\nD", {"section": "ROS"}, "one.txt:7")
    path.write_text("no arrow\n===\n")
    with pytest.raises(DataError, match="one.txt:1: there must be one line of =>"):
        list(templates(path))
    assert main([str(path)]) == 1 and main([str(tmp_path / "none.txt")]) == 1


@pytest.mark.parametrize("path", files("*"), ids=lambda path: path.stem)
def test_every_template_is_sound(path):
    every = list(templates(path))
    assert [fault for template in every for fault in faults(template)] == []
    assert len({template.said for template in every}) == len(every) > 50
    for template in every:
        assert template.keys.get("section", "GENHX") in SECTION_CODES, template.where
        assert ("section" in template.keys) == path.name.startswith(CONVERSATIONS), template.where
        assert ("modality" in template.keys) == path.name.startswith(REPORTS), template.where


@pytest.mark.parametrize("group", groups())
def test_rows_are_drawn_alike_each_time_and_none_comes_twice(group):
    rows = list(written(group, 3))
    assert rows == list(written(group, 3))
    assert len({row["id"] for row in rows}) == len(rows) > 300
    per_template = [row["id"].rpartition("-")[0] for row in rows]
    assert len({(name, row["input"]) for name, row in zip(per_template, rows)}) == len(rows)
