"""Reports composed of others: right by how they are made."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from eval.clinical import tells_abnormality
from train.compose import Finding, composed, findings
from train.data import load_train, load_validation
from train.errors import DataError
from train.recipe import DataFile, Recipe, RecipeError, check, load_recipe

NORMAL = {
    "id": "n",
    "source": "a",
    "input": "The heart is normal in size. The lungs are clear. No pleural effusion. Bones are intact.",
    "target": "No acute disease.",
    "normal": True,
    "modality": "XR",
}
ABNORMAL = {
    "id": "x",
    "source": "a",
    "input": "The heart is enlarged. There is a 9 mm nodule in the left apex. No effusion.",
    "target": "1. Stable cardiomegaly.\n2. Left apical nodule of 9 mm. CT is recommended.",
    "normal": False,
}


def pairs(findings_: str, impression: str) -> list[Finding]:
    return list(findings({"input": findings_, "target": impression}))


def test_a_point_is_traced_to_its_sentence() -> None:
    found = pairs(ABNORMAL["input"], ABNORMAL["target"])
    assert found == [
        Finding("There is a 9 mm nodule in the left apex.", "Left apical nodule of 9 mm.")
    ]
    alone = pairs("The heart is enlarged. The lungs are clear.", "Cardiomegaly. No acute disease.")
    assert alone == [Finding("The heart is enlarged.", "Cardiomegaly.")]


@pytest.mark.parametrize(
    "point",
    [
        "Right apical nodule of 9 mm.",
        "Left apical nodule of 12 mm.",
        "Unchanged from prior exam.",
        "XXXX apical nodule.",
        "No acute disease.",
    ],
)
def test_what_its_sentence_does_not_say_is_no_finding(point: str) -> None:
    assert pairs("There is a 9 mm nodule in the left apex. No effusion.", point) == []


def test_a_composed_report_tells_its_findings_among_normal_sentences() -> None:
    rows = composed([NORMAL, ABNORMAL], 20, seed=3)
    assert rows == composed([NORMAL, ABNORMAL], 20, seed=3) and len(rows) == 20
    for row in rows:
        assert row["target"] == "Left apical nodule of 9 mm." and row["normal"] is False
        assert "There is a 9 mm nodule in the left apex." in row["input"]
        assert "lungs are clear" not in row["input"]  # it speaks of the same thing
        assert "The heart is normal in size." in row["input"] and "intact" in row["input"]


def test_two_findings_are_two_points() -> None:
    other = {"id": "y", "source": "a", "input": "Rib fractures.", "target": "Rib fractures"}
    rows = composed([NORMAL, ABNORMAL, other], 60)
    both = [row for row in rows if "nodule" in row["target"] and "Rib" in row["target"]]
    assert 5 < len(both) < 40
    for row in both:
        assert re.fullmatch(r"(1\. )?\w.*\.(\n2\.)? [LR].*\.", row["target"]), row["target"]
        assert "nodule" in row["input"] and "Rib fractures." in row["input"]
        assert "Bones are intact" not in row["input"]


def test_an_old_finding_may_be_followed_by_the_normal_report_s_words() -> None:
    old = {"id": "y", "source": "a", "input": "Healed fractures.", "target": "Healed fractures."}
    told = {row["target"] for row in composed([NORMAL, old], 40)}
    assert told == {
        "Healed fractures.",
        "Healed fractures. No acute disease.",
        "1. Healed fractures.\n2. No acute disease.",
    }
    new = composed([NORMAL, ABNORMAL], 40)
    assert {row["target"] for row in new} == {"Left apical nodule of 9 mm."}


def test_nothing_is_composed_without_a_normal_report_or_a_finding() -> None:
    assert composed([NORMAL], 5) == composed([ABNORMAL], 5) == []


def recipe(folder: Path, *files: DataFile) -> Recipe:
    base = load_recipe("radiology")
    data = dataclasses.replace(
        base.data,
        data_dir=str(folder),
        train=list(files),
        validation=[DataFile("rows.jsonl", composed=5)],
        source_weights={"composed": 2.0},
        abnormal_weight=1.0,
        silent_weight=1.0,
    )
    return dataclasses.replace(base, data=data)


def test_a_recipe_asks_for_them_beside_the_rows_themselves(tmp_path: Path) -> None:
    rows = [NORMAL, ABNORMAL]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    both = recipe(tmp_path, DataFile("rows.jsonl"), DataFile("rows.jsonl", 0.5, composed=30))
    loaded = load_train(both)
    assert [row["source"] for row in loaded.rows[:3]] == ["a", "a", "composed"]
    assert loaded.weights[:3] == [1.0, 1.0, 1.0]
    assert [file["rows"] for file in loaded.files] == [2, 30]
    assert len({row["input"] for row in loaded.rows}) == len(loaded.rows)  # the same is one
    assert [row["source"] for row in load_validation(both).rows] == ["a", "a"]
    assert all(tells_abnormality(row["target"]) for row in loaded.rows[2:])


def test_what_cannot_be_composed_is_told(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(NORMAL) + "\n")
    asked = recipe(tmp_path, DataFile("rows.jsonl", composed=3))
    with pytest.raises(DataError, match="rows.jsonl has no report coded normal, or none with a"):
        load_train(asked)
    for wrong in (
        recipe(tmp_path, DataFile("rows.jsonl", composed=0)),
        dataclasses.replace(asked, task="question"),
    ):
        with pytest.raises(RecipeError, match="composed of rows.jsonl is a number of radiology"):
            check(wrong)
