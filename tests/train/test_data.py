"""The rows of a run: masks, filters, duplicates, shares; a bad row is named by file and line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.train.conftest import radiology_rows, write_rows
from train.data import load_train, load_validation
from train.errors import DataError, RecipeError
from train.recipe import DataFile, Recipe, load_recipe


def recipe(folder: Path, task: str = "radiology", **data) -> Recipe:
    base = load_recipe(task)
    return dataclasses.replace(
        base,
        data=dataclasses.replace(
            base.data,
            **{
                "data_dir": str(folder),
                "train": [DataFile("train.jsonl")],
                "validation": [DataFile("validation.jsonl")],
                "source_weights": {},
                "abnormal_weight": 1.0,
                "silent_weight": 1.0,
                **data,
            },
        ),
        evaluation=dataclasses.replace(base.evaluation, max_rows=None),
    )


def row(number: int, **fields) -> dict:
    return {"id": str(number), "input": f"Input {number}.", "target": f"Target {number}."} | fields


def test_a_target_that_names_a_mask_is_not_learned_and_inputs_lose_theirs(tmp_path: Path) -> None:
    write_rows(
        tmp_path / "train.jsonl",
        [
            row(1, input="XXXX-year-old male. Chest x-XXXX clear.", target="No x-XXXX change."),
            row(2, target="Stable XXXX. No change."),
            row(3, target="Seen by [**Name**]."),
        ],
    )
    loaded = load_train(recipe(tmp_path))
    assert [one["id"] for one in loaded.rows] == ["1"]
    assert "XXXX" not in loaded.rows[0]["input"] + loaded.rows[0]["target"]
    assert "x-ray" in loaded.rows[0]["input"] and loaded.rows[0]["target"] == "No x-ray change."
    assert loaded.dropped == {"target not readable without its masks": 2}


def test_validation_keeps_every_row_and_cleans_its_targets(tmp_path: Path) -> None:
    write_rows(tmp_path / "validation.jsonl", [row(1), row(2, target="Stable XXXX pacemaker.")])
    loaded = load_validation(recipe(tmp_path))
    assert [one["target"] for one in loaded.rows] == ["Target 1.", "Stable pacemaker."]


def test_a_part_of_validation_is_spread_over_sources_and_over_their_rows(tmp_path: Path) -> None:
    """Files stand in the order of their sections: the first rows alone would all be of one."""
    rows = [row(n, source="visits", section=name) for n, name in enumerate(["CC", "PLAN"] * 4)]
    rows.sort(key=lambda one: one["section"])
    rows += [row(n, source="few") for n in (8, 9, 10)]
    write_rows(tmp_path / "validation.jsonl", rows)
    chosen = recipe(tmp_path, "dialogue")
    for limit, visits, few in ((4, [0, 1], [8, 9]), (8, [0, 2, 6, 1, 5], [8, 9, 10])):
        evaluation = dataclasses.replace(chosen.evaluation, max_rows=limit)
        found = load_validation(dataclasses.replace(chosen, evaluation=evaluation)).rows
        assert [int(one["id"]) for one in found] == [*visits, *few], limit
        of_visits = {one["section"] for one in found if one["source"] == "visits"}
        assert of_visits == {"chief complaint", "plan"}


def test_files_have_weights_and_filters(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [row(1, source="a"), row(2, source="b")])
    write_rows(tmp_path / "more.jsonl", [row(3, section="GENHX"), row(4, section="CC")])
    files = [
        DataFile("train.jsonl", sources=["a"]),
        DataFile("more.jsonl", weight=0.5, sections=["chief complaint"]),
    ]
    loaded = load_train(recipe(tmp_path, "dialogue", train=files, source_weights={"a": 3.0}))
    assert [(one["id"], weight) for one, weight in zip(loaded.rows, loaded.weights)] == [
        ("1", 3.0),
        ("4", 0.5),
    ]
    assert loaded.rows[1]["section"] == "chief complaint" and loaded.rows[1]["source"] == "more"
    assert loaded.dropped == {"source not asked for": 1, "section not asked for": 1}
    assert [file["rows"] for file in loaded.files] == [1, 1]


def test_impressions_have_a_weight_by_what_they_tell(tmp_path: Path) -> None:
    told = [
        ("Stable cardiomegaly. No acute disease.", {"normal": False}),
        ("No acute abnormality.", {"normal": False}),
        ("Clear lungs.", {"normal": True}),
        ("Pneumonia.", {}),
        ("No fracture.", {}),
    ]
    rows = [
        row(place, target=target, source="a", **more) for place, (target, more) in enumerate(told)
    ]
    write_rows(tmp_path / "train.jsonl", rows)
    weights = {"source_weights": {"a": 2.0}, "abnormal_weight": 1.5, "silent_weight": 0.25}
    assert load_train(recipe(tmp_path, **weights)).weights == [3.0, 0.5, 2.0, 3.0, 2.0]
    weights["silent_weight"] = 0.0
    assert load_train(recipe(tmp_path, **weights)).dropped == {"weight 0": 1}


def test_a_file_s_normal_and_abnormal_reports_can_have_a_weight_each(tmp_path: Path) -> None:
    targets = ["Clear lungs.", "Pneumonia.", "No fracture.", "Fracture of the neck of the femur."]
    write_rows(
        tmp_path / "train.jsonl",
        [row(place, target=target) for place, target in enumerate(targets)],
    )
    files = [
        DataFile("train.jsonl", weight=3.0, told="normal"),
        DataFile("train.jsonl", weight=0.5, told="abnormal"),
    ]
    loaded = load_train(recipe(tmp_path, train=files))
    assert [(one["target"], weight) for one, weight in zip(loaded.rows, loaded.weights)] == [
        (targets[0], 3.0),
        (targets[2], 3.0),
        (targets[1], 0.5),
        (targets[3], 0.5),
    ]
    assert loaded.dropped == {"not told as normal": 2, "not told as abnormal": 2}
    told = [{"path": "train.jsonl", "told": "normal"}]
    for key in ("data.train", "data.validation"):
        with pytest.raises(RecipeError, match="told of train.jsonl is for .* radiology reports"):
            load_recipe("question", {key: told})
    with pytest.raises(RecipeError, match="told and composed of train.jsonl exclude each other"):
        load_recipe("radiology", {"data.train": [told[0] | {"composed": 5}]})


def test_the_same_pair_is_learned_once(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [row(1), row(1, id="2", input="input  1."), row(3)])
    loaded = load_train(recipe(tmp_path))
    assert [one["id"] for one in loaded.rows] == ["1", "3"]
    assert loaded.dropped == {"duplicate": 1}


@pytest.mark.parametrize(
    ("share", "sizes", "expected"),
    [
        (0.5, {"a": 300, "b": 100}, {"a": 100, "b": 100}),
        (0.6, {"a": 300, "b": 60, "c": 40}, {"a": 150, "b": 60, "c": 40}),
        (0.4, {"a": 300, "b": 200, "c": 50}, {"a": 100, "b": 100, "c": 50}),
        (0.4, {"a": 30, "b": 10}, {"a": 10, "b": 10}),
        (0.9, {"a": 30, "b": 10}, {"a": 30, "b": 10}),
        (1.0, {"a": 30}, {"a": 30}),
    ],
)
def test_no_source_fills_more_than_its_share(tmp_path: Path, share, sizes, expected) -> None:
    made = [
        row(f"{source}{number}", source=source)
        for source, size in sizes.items()
        for number in range(size)
    ]
    write_rows(tmp_path / "train.jsonl", made)
    loaded = load_train(recipe(tmp_path, max_source_share=share))
    totals = dict.fromkeys(sizes, 0.0)
    for one, weight in zip(loaded.rows, loaded.weights):
        totals[one["source"]] += weight
    assert totals == pytest.approx(expected)


def test_a_try_takes_rows_of_every_source(tmp_path: Path) -> None:
    made = [row(n, source="a") for n in range(9)] + [row(9, source="b")]
    write_rows(tmp_path / "train.jsonl", made)
    loaded = load_train(recipe(tmp_path, max_train_rows=4))
    assert [one["source"] for one in loaded.rows] == ["a", "a", "a", "b"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['{"input": "a"'], "line 1: not valid JSON"),
        (["[1]"], "line 1: a row must be an object"),
        ([json.dumps(row(1)), '{"input": "a", "target": 3}'], "line 2: target must be text"),
        (['{"target": "a"}'], "line 1: input must be text"),
        ([json.dumps(row(1, source=["a"]))], "line 1: source must be text"),
        ([json.dumps(row(1)), json.dumps(row(2, section=5))], "line 2: section must be text"),
        ([""], "No training row is left"),
        ([json.dumps(row(1, target="XXXX."))], "1 target not readable"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, lines: list[str], words: str) -> None:
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError) as fault:
        load_train(recipe(tmp_path))
    assert words in str(fault.value) and "\n" not in str(fault.value)


def test_a_missing_or_binary_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no data file .*train\.prepare"):
        load_train(recipe(tmp_path))
    with pytest.raises(DataError, match=r"There is no data file .*train\.auxiliary"):
        load_train(recipe(tmp_path, train=[DataFile("../aux/radiology-grammar.jsonl")]))
    with pytest.raises(DataError, match=r"There is no data file .*train\.distill"):
        load_train(recipe(tmp_path, train=[DataFile("../aux/radiology-told.jsonl")]))
    (tmp_path / "train.jsonl").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match="not UTF-8"):
        load_train(recipe(tmp_path))


def test_a_line_separator_inside_a_text_does_not_split_a_row(tmp_path: Path) -> None:
    made = row(1, input="one\u2028two\x85three")
    (tmp_path / "train.jsonl").write_text(json.dumps(made, ensure_ascii=False) + "\n")
    assert len(load_train(recipe(tmp_path)).rows) == 1


def test_segments_stand_in_the_prompt_where_the_recipe_says_so(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", radiology_rows(3))
    base = recipe(tmp_path)
    asked = dataclasses.replace(
        base,
        prompt="{section}: {input}",
        scaling=dataclasses.replace(base.scaling, input_feature="modality"),
    )
    loaded = load_train(asked)
    assert all(one["section"] == one["modality"].lower() for one in loaded.rows)
    write_rows(tmp_path / "train.jsonl", [row(1, section="plan")])  # its modality is not known
    assert load_train(asked).rows[0]["section"] is None
