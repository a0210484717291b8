"""Reports put together from an examination's phrases, and that every bank is sound."""

import random

import pytest

from train import phrasings
from train.errors import DataError
from train.phrasings import compose, each_line_once, groups, main, phrased, read_banks
from train.written import faults

BANK = """
@ exam: ankle
@ modality: XR
@ side: right|left
[history]
Fall this morning.
[technique]
Three views of the <9> ankle.
[aside]
A bandage is in place.
[normal]
No fracture of the <9> ankle.
Normal ankle.
[calm]
No acute injury.

[group bones]
The bones are intact.
No break is seen.
+ 1 [swelling] fracture
A line runs through the <1:lateral|medial> malleolus, which is swollen.
The <1:lateral|medial> malleolus is broken and swollen.
=> <1> malleolar fracture.
+ 3 old
# of long ago
There is an old deformity.
A deformity of long ago is seen.
=> Old deformity.
[group mortise]
The mortise is even.
[group swelling]
Soft tissues are thin.
+ 2 swelling
The <1:lateral|medial> side is puffy.
There is puffiness of the <1:lateral|medial> side.
=> <1> swelling of the <9> ankle.
=> <1> swelling on the <9>.
"""


@pytest.fixture
def bank(tmp_path):
    path = tmp_path / "ankle.txt"
    path.write_text(BANK)
    return read_banks(path)[0]


def reports(bank, findings, times=300):
    rng = random.Random(0)
    return [compose(bank, rng, findings).draw(rng) for _ in range(times)]


def test_a_report_without_findings_is_told_as_normal(bank):
    found = reports(bank, 0)
    assert {told for _, told in found} == {
        "Normal ankle.",
        "No fracture of the ankle.",
        "No fracture of the right ankle.",
        "No fracture of the left ankle.",
    }
    for said, told in found:
        side = {"right", "left"} & set(told.split())
        assert not side or side <= set(said.split())  # no side that the text does not tell


def test_findings_are_told_the_graver_first_with_what_their_wording_names(bank):
    found = reports(bank, 2)
    for said, told in found:
        assert ("lateral malleol" in said) == ("ateral malleolar" in told)
        assert ("medial malleol" in said) == ("edial malleolar" in told)
        # a finding that speaks of the swelling leaves no room for another one, or for none
        if "malleolar fracture" in told:
            assert "puff" not in said and "thin" not in said
        if "swelling" in told and "Old deformity" in told:
            assert told.index("swelling") < told.index("Old deformity")
        assert "on the ." not in told and " on the." not in told
        sides = {"right", "left"} & set(told.replace(".", "").split())
        assert sides <= set(said.split())
    assert {"1. " in told for _, told in found} == {True, False}
    assert any(told.startswith("No acute injury.") for _, told in reports(bank, 1))
    assert not any("No acute" in told and "swelling" in told for _, told in found)


def test_reports_differ_in_order_headings_and_wording(bank):
    found = {said for said, _ in reports(bank, None)}
    assert len(found) > 150
    assert any("HISTORY: Fall this morning.\n" in said for said in found)
    assert any("Bones: " in said for said in found)
    assert any("\n" in said and "FINDINGS" not in said.upper() for said in found)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("@ exam: ankle\n", "", "a bank begins with a line of @ exam"),
        ("[calm]", "[quiet]", "there is no section [quiet]"),
        ("[swelling] fracture", "[skin] fracture", "there is no group 'skin'"),
        ("The mortise is even.\n", "", "[group mortise] says nothing normal"),
        ("=> Old deformity.\n", "", "two wordings and a conclusion are needed"),
        ("Normal ankle.\n", "", "two conclusions under [normal]"),
        ("[normal]", "+ 1\n[normal]", "a finding stands outside of a group"),
        ("[normal]", "=> A\n[normal]", "a conclusion stands outside of a finding"),
        ("=> Old deformity.", "=> Old deformity.\nMore.", "this line stands in no section"),
    ],
)
def test_what_is_no_bank_is_told_with_its_place(tmp_path, capsys, old, new, fault):
    path = tmp_path / "ankle.txt"
    path.write_text(BANK.replace(old, new, 1))
    with pytest.raises(DataError, match=r"^ankle\.txt:\d+: "):
        read_banks(path)
    assert main([str(path)]) == 1
    assert fault in capsys.readouterr().err


def test_the_command_says_how_many_reports_are_sound(tmp_path, capsys):
    path = tmp_path / "ankle.txt"
    path.write_text(BANK)
    assert main([str(path), "--show", "1"]) == 0
    assert "ankle.txt: 20 reports" in capsys.readouterr().out
    path.write_text(BANK.replace("which is swollen", "which is <2> swollen"))
    assert main([str(path)]) == 1
    assert "<12> stands before its list" in capsys.readouterr().err


@pytest.mark.parametrize("group", groups())
def test_every_line_of_every_bank_is_sound(group):
    for path in sorted((phrasings.FOLDER / group).glob("*.txt")):
        for template in each_line_once(path):
            assert not faults(template, draws=1)


@pytest.mark.parametrize("group", groups())
def test_rows_are_drawn_as_before_and_none_twice(group):
    rows = list(phrased(group, 200))
    assert rows == list(phrased(group, 200))
    assert len({row["input"] for row in rows}) == len({row["id"] for row in rows}) == 200
    assert all(row["modality"] and row["source"] == "phrased" for row in rows)
