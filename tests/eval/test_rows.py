"""Bad files and rows are told in one sentence with the row, and unfair scores cannot be made."""

import json
import random

import pytest
from eval_helpers import rows, write_jsonl, write_predictions

from eval.rows import DataError, Predictions, named_split, read_predictions, read_rows


def bad_row(tmp_path, change, **options):
    lines = rows(4)
    change(lines)
    return write_jsonl(tmp_path / "test.jsonl", lines)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda ls: ls[2].pop("id"), "test.jsonl, row 3: the field 'id' is missing"),
        (lambda ls: ls[2].update(id="r0"), "row 3: the id r0 is already that of row 1"),
        (lambda ls: ls[1].update(target="  "), "row 2: the reference .* is empty"),
        (lambda ls: ls[1].update(input=""), "row 2: the input is empty"),
        (lambda ls: ls[3].pop("target"), "row 4: the field 'target' is missing"),
        (lambda ls: ls[3].update(input=7), "row 4: the field 'input' is missing or is no text"),
        (lambda ls: ls[3].update(section=7), "row 4: the field 'section' is no text"),
    ],
)
def test_a_bad_row_is_named(tmp_path, change, expected):
    with pytest.raises(DataError, match=expected) as error:
        read_rows(bad_row(tmp_path, change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "holds no rows"),
        (b"{broken\n", "row 1: this is not JSON"),
        (b"[1, 2]\n", "row 1: this is not a JSON object"),
        (
            b'{"id": 1, "input": "\\ud800", "target": "a"}',
            "row 1: a text holds half of a character",
        ),
        (b"\xff\xfe\x00binary", "cannot be read as UTF-8"),
    ],
)
def test_a_bad_file_is_told(tmp_path, content, expected):
    path = tmp_path / "test.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=expected):
        read_rows(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        read_rows(tmp_path / "none.jsonl")


def test_a_line_separator_inside_a_text_is_no_row_end(tmp_path):
    line = rows(1)[0] | {"input": "one\u2028two\x85three"}
    assert read_rows(write_jsonl(tmp_path / "t.jsonl", [line]))[0]["input"] == line["input"]


def predicted(count=12, **texts):
    return [row | {"base": "x", "lora": row["target"]} | texts for row in rows(count)]


def test_every_system_has_a_text_for_every_row(tmp_path):
    lines = predicted()
    del lines[4]["lora"]
    path = write_predictions(tmp_path / "p.jsonl", lines)
    with pytest.raises(DataError, match=r"row 5 \(id r4\): there is no output of 'lora'"):
        read_predictions(path)


def test_no_other_way_to_different_numbers_of_rows():
    with pytest.raises(DataError, match="lora has 3 outputs for 4 rows"):
        Predictions(
            "radiology",
            rows(4),
            {"base": ["a"] * 4, "lora": ["b"] * 3},
            {"base": {"method": "generate"}, "lora": {"method": "generate"}},
            {},
        )


def test_rows_lost_after_predicting_are_noticed(tmp_path):
    path = write_predictions(tmp_path / "p.jsonl", predicted())
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:8]))
    with pytest.raises(DataError, match="has 8 rows, and its p.jsonl.meta.json says 12"):
        read_predictions(path)


@pytest.mark.parametrize("method", ["teacher_forcing", "argmax", None, ""])
def test_text_that_was_not_generated_is_refused(tmp_path, method):
    path = write_predictions(tmp_path / "p.jsonl", predicted(), base={}, lora={"method": method})
    with pytest.raises(DataError, match="only generated text is scored"):
        read_predictions(path)


def test_text_of_which_nobody_says_what_made_it_is_refused(tmp_path):
    path = write_jsonl(tmp_path / "p.jsonl", predicted())
    with pytest.raises(DataError, match="does not say how 'base' was written"):
        read_predictions(path, task="radiology")
    told = read_predictions(path, task="radiology", generated_by="another program, greedy")
    assert told.systems["lora"] == {"method": "generate", "made_by": "another program, greedy"}


def test_teacher_forced_text_betrays_itself_whatever_its_file_says(tmp_path):
    rng = random.Random(0)
    lines = []
    for row in rows(40):
        target = f"{row['target']} Stable since the last examination of the chest {row['id']}."
        forced = [w if rng.random() < 0.85 else "effusion" for w in target.split()]
        lines.append(row | {"target": target, "base": "x", "lora": " ".join(forced)})
    with pytest.raises(DataError, match="teacher-forced"):
        read_predictions(write_predictions(tmp_path / "p.jsonl", lines))


def test_good_generated_text_is_not_taken_for_teacher_forced(tmp_path):
    lines = [row | {"base": "x", "lora": row["target"]} for row in rows(60)]
    for k, line in enumerate(lines):
        if k % 3 == 0:
            line["lora"] = "No acute disease. " + line["lora"]
    assert read_predictions(write_predictions(tmp_path / "p.jsonl", lines)).outputs


def test_another_tasks_file_is_refused(tmp_path):
    path = write_predictions(tmp_path / "p.jsonl", predicted(), task="radiology")
    with pytest.raises(DataError, match="predictions of the task radiology, not question"):
        read_predictions(path, task="question")
    asked = [row | {"target": "What treats a cough?"} for row in predicted()]
    with pytest.raises(DataError, match="look like the task question, not radiology"):
        read_predictions(write_predictions(tmp_path / "q.jsonl", asked))
    tagged = predicted()
    tagged[2]["task"] = "dialogue"
    with pytest.raises(DataError, match="row 3: this row is of the task dialogue"):
        read_predictions(write_predictions(tmp_path / "d.jsonl", tagged))


@pytest.mark.parametrize("name", ["target", "input", "section", "finish"])
def test_a_field_of_the_rows_is_no_system(tmp_path, name):
    """The reference given as a system would score 100."""
    path = write_jsonl(tmp_path / "p.jsonl", predicted())
    with pytest.raises(DataError, match=f"A system cannot be called '{name}'"):
        read_predictions(path, task="radiology", systems=[name, "lora"], generated_by="a program")


def test_only_a_floor_is_written_by_a_rule(tmp_path):
    path = write_predictions(tmp_path / "p.jsonl", predicted(), lora={"method": "rule"})
    with pytest.raises(DataError, match="'lora' is no floor"):
        read_predictions(path)


def test_the_split_is_the_one_that_a_file_is_called():
    named = {"test.jsonl": "test", "meqsum_test_2.jsonl": "test", "train.jsonl": "train",
             "validation.jsonl": "validation", "dev.jsonl": "validation", "latest.jsonl": None,
             "mine.jsonl": None}  # fmt: skip
    assert {name: named_split(name) for name in named} == named


def test_empty_outputs_are_told_and_kept(tmp_path):
    lines = predicted()
    lines[2]["lora"] = lines[5]["lora"] = " "
    found = read_predictions(write_predictions(tmp_path / "p.jsonl", lines))
    (note,) = found.empty_outputs()
    assert note.startswith("lora wrote nothing for row 3 (id r2) and 1 more: scored as 0")
    assert len(found.outputs["lora"]) == 12


def test_a_sidecar_that_is_no_json_is_told(tmp_path):
    path = write_predictions(tmp_path / "p.jsonl", predicted())
    (tmp_path / "p.jsonl.meta.json").write_text("{")
    with pytest.raises(DataError, match="p.jsonl.meta.json is not JSON"):
        read_predictions(path)
    (tmp_path / "p.jsonl.meta.json").write_text(json.dumps([1]))
    with pytest.raises(DataError, match="must hold one JSON object"):
        read_predictions(path)


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"systems": ["lora"]}, "'systems' must be a JSON object"),
        ({"data": 5}, "'data' must be a JSON object"),
        ({"systems": {"lora": 5}}, "'lora' must be a JSON object"),
        ({"systems": {"lora": {"method": ["generate"]}}}, "'lora' must be a JSON object"),
        ({"systems": {"lora": {"method": "generate", "decoding": 4}}}, "'lora' must be"),
    ],
)
def test_a_sidecar_of_another_shape_is_told(tmp_path, meta, expected):
    path = write_predictions(tmp_path / "p.jsonl", predicted())
    (tmp_path / "p.jsonl.meta.json").write_text(json.dumps({"task": "radiology"} | meta))
    with pytest.raises(DataError, match=expected):
        read_predictions(path)


def test_a_sidecar_may_leave_the_data_to_the_file(tmp_path):
    path = write_predictions(tmp_path / "p.jsonl", [row | {"finish": 7} for row in predicted()])
    meta = {"task": "radiology", "data": {"n": 12}, "systems": {"lora": {"method": "generate"}}}
    (tmp_path / "p.jsonl.meta.json").write_text(json.dumps(meta))
    found = read_predictions(path)
    assert found.data["name"].endswith("p.jsonl") and len(found.data["sha256"]) == 64
    assert found.extras == {}
