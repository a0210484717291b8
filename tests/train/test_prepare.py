"""`train.prepare`: from files of any kind to splits that can be trusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest
import yaml

from tests.train.conftest import radiology_rows, write_rows
from train.prepare import main


@pytest.fixture
def prepare_now(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run `train.prepare` on files: `(exit status, stdout, stderr, splits by name)`."""

    def run(*files: Path, task: str = "radiology", flags: str = "", **prepare: Any):
        recipe = {
            "name": "mine",
            "task": task,
            "backbone": "models/none",  # lengths are told in words
            "data": {"data_dir": str(tmp_path / "out" / "mine")},
            "prepare": {"files": [str(file) for file in files], **prepare},
        }
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(recipe))
        status = main([str(path), *flags.split()])
        out, err = capsys.readouterr()
        splits = {
            split: [json.loads(line) for line in file.read_text().splitlines()]
            for split in ("train", "validation", "test")
            if (file := tmp_path / "out" / "mine" / f"{split}.jsonl").is_file()
        }
        return status, out, err, splits

    return run


def report(tmp_path: Path) -> str:
    return (tmp_path / "out" / "mine" / "report.md").read_text()


# Kinds of files and their columns ---------------------------------------------------------------


def reports() -> pandas.DataFrame:
    rows = radiology_rows(60)
    return pandas.DataFrame(
        {
            "Accession": [f"A{number}" for number in range(60)],
            "Findings": [row["input"] for row in rows],
            "Impression": [row["target"] for row in rows],
            "Site": [f"clinic {number % 3}" for number in range(60)],
            "Modality": [row["modality"] for row in rows],
        }
    )


COLUMNS = {
    "id": "Accession",
    "input": "Findings",
    "target": "Impression",
    "clinic": "Site",
    "modality": "Modality",
}


@pytest.mark.parametrize("kind", ["csv", "semicolon", "cp1252", "tsv", "xlsx", "parquet", "jsonl"])
def test_a_user_s_own_table_is_mapped_to_our_fields(tmp_path, prepare_now, kind: str) -> None:
    table = reports()
    path = tmp_path / f"reports.{'csv' if kind in ('semicolon', 'cp1252') else kind}"
    if kind == "xlsx":
        table.to_excel(path, index=False)
    elif kind == "parquet":
        table.to_parquet(path)
    elif kind == "jsonl":
        write_rows(path, table.to_dict("records"))
    elif kind == "cp1252":
        table.loc[0, "Findings"] += " Temperature 37°."
        table.to_csv(path, index=False, encoding="cp1252")
    else:
        table.to_csv(path, index=False, sep={"semicolon": ";", "tsv": "\t"}.get(kind, ","))
    status, out, err, splits = prepare_now(path, columns=COLUMNS)
    assert status == 0, err
    rows = [row for part in splits.values() for row in part]
    assert {row["id"] for row in rows} == set(reports()["Accession"])
    assert all(row["clinic"].startswith("clinic") and row["modality"] for row in rows)
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [48, 6, 6]
    if kind == "cp1252":
        assert any("37°" in row["input"] for row in rows)
    assert "48 train, 6 validation, 6 test" in out


def test_the_report_says_what_the_data_is_like(tmp_path, prepare_now) -> None:
    path = tmp_path / "reports.parquet"
    reports().to_parquet(path)
    assert prepare_now(path, columns=COLUMNS)[0] == 0
    text = report(tmp_path)
    for words in (
        "60 rows read",
        "## Rows dropped",
        "## Lengths, in words",
        "| clinic | clinic 0 |",
        "| modality | CT |",
        "## Style of the targets",
        "100.0%",
        "## Repeated targets",
        "None at a similarity of 0.8",
    ):
        assert words in text, words
    for picture in ("lengths.png", "segments.png"):
        assert (tmp_path / "out" / "mine" / picture).read_bytes().startswith(b"\x89PNG")
    record = json.loads((tmp_path / "out" / "mine" / "prepared.json").read_text())
    assert record["files"]["train.jsonl"]["rows"] == 48 and len(record["files"]) == 3


# Rules ------------------------------------------------------------------------------------------


def test_each_rule_s_drops_are_counted(tmp_path, prepare_now) -> None:
    rows = radiology_rows(30)
    rows += [
        {"id": "empty", "input": "", "target": "x"},
        {"id": "none", "input": "Some findings."},
        {"id": "masked", "input": "Findings of a report.", "target": "Stable XXXX."},
        {"id": "short", "input": "Short.", "target": "A long enough impression, this one."},
        {"id": "curt", "input": rows[0]["input"] + " More.", "target": "Normal."},
        {"id": "long", "input": rows[1]["input"] + " More.", "target": "word " * 60},
        {**rows[2], "id": "again", "input": rows[2]["input"].upper()},
    ]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    rules = {"min_input_characters": 20, "min_target_characters": 15, "max_target_characters": 200}
    status, out, err, splits = prepare_now(path, leaks="allow", **rules)
    assert status == 0, err
    record = json.loads((tmp_path / "out" / "mine" / "prepared.json").read_text())
    assert record["dropped"] == {
        "no input or no target": 2,
        "target not readable without its masks": 1,
        "input under 20 characters": 1,
        "target under 15 characters": 1,
        "target over 200 characters": 1,
        "the same input and target as another row": 1,
    }
    assert sum(map(len, splits.values())) == 30 == record["read"] - 7
    assert "| target over 200 characters | 1 |" in report(tmp_path)
    assert "1  target over 200 characters" in out


def test_headings_masks_and_odd_characters_are_cleaned(tmp_path, prepare_now) -> None:
    rows = radiology_rows(20)
    for row in rows:
        row["input"] = f"FINDINGS:  {row['input']}\r\n\u200bChest x-XXXX, XXXX."
        row["target"] = f"Impression: {row['target']}"
    path = write_rows(tmp_path / "rows.jsonl", rows)
    status, _, err, splits = prepare_now(path)
    assert status == 0, err
    for row in splits["train"]:
        assert row["input"].startswith("The ") and row["target"].startswith("1. ")
        assert not any(mark in row["input"] for mark in ("XXXX", "\r", "\u200b", "FINDINGS"))


def test_masked_targets_that_read_well_without_the_mask_are_kept(tmp_path, prepare_now) -> None:
    rows = radiology_rows(20)
    rows.append({"id": "m", "input": "A film of its own.", "target": "XXXX left basilar scarring."})
    status, _, err, splits = prepare_now(write_rows(tmp_path / "rows.jsonl", rows))
    assert status == 0, err
    told = {row["id"]: row["target"] for part in splits.values() for row in part}
    assert told["m"] == "Left basilar scarring."


def test_reports_coded_normal_are_told_apart(tmp_path, prepare_now) -> None:
    rows = [
        row | {"mesh": "normal" if number % 2 else "Cardiomegaly/mild;Opacity/lung"}
        for number, row in enumerate(radiology_rows(20))
    ]
    status, _, err, splits = prepare_now(write_rows(tmp_path / "rows.jsonl", rows))
    assert status == 0, err
    made = [row for part in splits.values() for row in part]
    assert len(made) == 20
    assert all(row["normal"] is (row["mesh"] == "normal") for row in made)


# Splits -----------------------------------------------------------------------------------------


def test_the_seed_makes_the_split_and_one_text_is_in_one_split(tmp_path, prepare_now) -> None:
    rows = []
    for number, row in enumerate(radiology_rows(40)):
        for section in ("subjective", "plan"):
            rows.append(row | {"id": f"{number}-{section}", "section": section,
                               "target": f"{section} {number}"})  # fmt: skip
    path = write_rows(tmp_path / "rows.jsonl", rows)
    first = prepare_now(path, task="dialogue")[3]
    again = prepare_now(path, task="dialogue")[3]
    other = prepare_now(path, task="dialogue", split_seed=1)[3]
    assert first == again and first != other
    inputs = [{row["input"] for row in first[split]} for split in first]
    assert not inputs[0] & inputs[1] and not inputs[0] & inputs[2] and not inputs[1] & inputs[2]
    assert len(first["train"]) == 64


def test_a_patient_is_in_one_split(tmp_path, prepare_now) -> None:
    rows = [row | {"patient": f"p{n % 12}"} for n, row in enumerate(radiology_rows(120))]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    settings = {"split": "group", "group_by": "patient", "columns": {"patient": "patient"}}
    status, _, err, splits = prepare_now(path, **settings)
    assert status == 0, err
    patients = [{row["patient"] for row in part} for part in splits.values()]
    assert sum(map(len, patients)) == 12 and all(patients)
    write_rows(path, [{**rows[0], "patient": None}, *rows[1:]])
    assert "prepare.group_by: row r0-0" in prepare_now(path, **settings)[2]


def test_a_patient_of_two_sources_is_in_one_split(tmp_path, prepare_now) -> None:
    rows = [
        row | {"MRN": n % 15, "source": f"scanner {n % 2}"}
        for n, row in enumerate(radiology_rows(120))
    ]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    status, _, err, splits = prepare_now(path, split="group", group_by="MRN")
    assert status == 0, err
    patients = [{row["MRN"] for row in part} for part in splits.values()]
    assert sum(map(len, patients)) == 15 and all(patients)
    assert "no column 'Patient'" in prepare_now(path, split="group", group_by="Patient")[2]


def test_official_splits_are_kept(tmp_path, prepare_now) -> None:
    files = [
        write_rows(tmp_path / f"{name}.jsonl", radiology_rows(count, seed=seed))
        for seed, (name, count) in enumerate([("train", 20), ("validation", 5), ("test", 7)])
    ]
    status, _, err, splits = prepare_now(*files, split="official")
    assert status == 0, err
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [20, 5, 7]
    assert all("split" not in row for part in splits.values() for row in part)


# Leaks ------------------------------------------------------------------------------------------


@pytest.fixture
def leaking(tmp_path: Path) -> list[Path]:
    train, test = radiology_rows(20), radiology_rows(6, seed=9)
    test[0] = {**train[3], "id": "leak"}
    return [
        write_rows(tmp_path / "train.jsonl", train),
        write_rows(tmp_path / "validation.jsonl", radiology_rows(4, seed=8)),
        write_rows(tmp_path / "test.jsonl", test),
    ]


def test_a_leak_fails_the_command_and_writes_nothing(tmp_path, prepare_now, leaking) -> None:
    status, out, err, splits = prepare_now(*leaking, split="official")
    assert status == 1 and out == "" and err.count("\n") == 1
    assert "test row leak is 100% training row r0-3" in err and "--leaks drop" in err
    assert not splits and not (tmp_path / "out" / "mine").exists()


def test_a_leaking_row_can_be_dropped_or_its_victim_marked(tmp_path, prepare_now, leaking) -> None:
    splits = prepare_now(*leaking, split="official", flags="--leaks drop")[3]
    assert len(splits["train"]) == 19 and len(splits["test"]) == 6
    test = tmp_path / "test.jsonl"  # a twin in validation is taken out of validation
    twin = json.loads((tmp_path / "validation.jsonl").read_text().splitlines()[0])
    test.write_text(test.read_text() + json.dumps({**twin, "id": "chosen on"}) + "\n")
    status, _, err, _ = prepare_now(leaking[1], test, leaking[0], split="official")
    assert status == 1 and "Rows that stand in another split as well: 2" in err
    splits = prepare_now(*leaking, split="official", flags="--leaks drop")[3]
    assert [len(part) for part in splits.values()] == [19, 3, 7]
    assert "validation row that stands in test" in report(tmp_path)
    splits = prepare_now(*leaking, split="official", flags="--leaks allow")[3]
    assert len(splits["train"]) == 20
    marked = {row["id"]: row["near_dup_in_train"] for row in splits["test"]}
    assert marked.pop("leak") is True and not any(marked.values())


# Clusters ---------------------------------------------------------------------------------------


def test_every_row_gets_the_style_of_its_clinic(tmp_path, prepare_now) -> None:
    rows = radiology_rows(60)
    for number, row in enumerate(rows):
        row["clinic"] = f"c{number % 4}"
        if number % 2:
            row["target"] = f"The examination shows no acute finding in patient {number}."
    path = write_rows(tmp_path / "rows.jsonl", rows)
    status, _, err, splits = prepare_now(path, flags="--clusters 2")
    assert status == 0, err
    styles = {(row["clinic"], row["style"]) for part in splits.values() for row in part}
    found = dict(styles)
    assert len(styles) == 4 and found["c0"] == found["c2"] != found["c1"] == found["c3"]
    assert "Clusters of reporting style" in report(tmp_path)


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.csv", None, "There is no file"),
        ("rows.pdf", b"%PDF", "is none of .jsonl, .csv"),
        ("rows.xlsx", b"not a workbook", "cannot be read as xlsx"),
        ("rows.parquet", b"not parquet", "cannot be read as parquet"),
        ("rows.csv", b"\x00\x01\x02\x03" * 50, "is not text"),
        ("rows.csv", b"input,target\n1,2,3\n", "another number of cells"),
        ("rows.csv", b"findings,target\na,b\n", "no column 'input' for input; the columns are"),
        ("rows.jsonl", b'{"input": "a", "target": "b"}\n{"input"', "line 2: not valid JSON"),
        ("rows.jsonl", b'["a"]', "line 1: a row must be an object"),
        ("rows.jsonl", b'{"input": 5, "target": "b"}', "row 1: input must be text, not 5"),
        ("rows.jsonl", b"", "The source holds no row"),
        ("rows.jsonl", b'{"input": "a b c", "target": "d e"}', "The validation split is empty"),
        (
            "rows.jsonl",
            b'{"input": "a b c", "target": "d e"}\n{"input": "f g", "target": "h"}',
            "The test split is empty",
        ),
        (
            "rows.jsonl",
            b'{"input": "a", "target": "b", "source": ["c"]}',
            "row 1: source must be one value, not ['c']",
        ),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, prepare_now, name, content, words) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    status, out, err, splits = prepare_now(path)
    assert status == 1 and not splits and out == ""
    assert err.startswith("error: ") and err.count("\n") == 1 and words in err


def test_a_later_file_without_the_column_is_told(tmp_path, prepare_now) -> None:
    first = write_rows(tmp_path / "a.jsonl", radiology_rows(30))
    other = write_rows(tmp_path / "b.jsonl", [{"input": "One.", "impression": "Two."}])
    status, _, err, _ = prepare_now(first, other)
    assert status == 1 and "b.jsonl" in err
    assert "no column 'target' for target; the columns are input, impression" in err


def test_a_segment_that_is_a_number_is_a_name(tmp_path, prepare_now) -> None:
    rows = [row | {"clinic": number % 2} for number, row in enumerate(radiology_rows(30))]
    splits = prepare_now(write_rows(tmp_path / "rows.jsonl", rows))[3]
    assert {row["clinic"] for row in splits["train"]} == {"0", "1"}


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, prepare_now) -> None:
    path = write_rows(tmp_path / "rows.jsonl", radiology_rows(30))
    (tmp_path / "file").write_text("")
    status, _, err, _ = prepare_now(path, flags=f"--data_dir {tmp_path / 'file' / 'x'}")
    assert status == 1 and err.count("\n") == 1 and "cannot be written: Not a directory" in err


def test_ctrl_c_leaves_what_was_there(tmp_path, prepare_now, monkeypatch) -> None:
    path = write_rows(tmp_path / "rows.jsonl", radiology_rows(30))
    before = prepare_now(path)[3]

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("train.datareport.write_report", interrupted)
    write_rows(path, radiology_rows(40, seed=5))
    status, _, err, after = prepare_now(path)
    assert status == 130 and err.startswith("Interrupted: no data was written") and after == before


def test_data_that_somebody_else_put_there_is_not_overwritten(tmp_path, prepare_now) -> None:
    theirs = write_rows(tmp_path / "out" / "mine" / "train.jsonl", radiology_rows(2))
    before = theirs.read_text()
    path = write_rows(tmp_path / "rows.jsonl", radiology_rows(30))
    status, _, err, _ = prepare_now(path)
    assert status == 1 and "is not overwritten" in err and theirs.read_text() == before
    # What the command made itself, it makes again.
    theirs.unlink()
    assert prepare_now(path)[0] == 0 and prepare_now(path)[0] == 0


def test_a_recipe_without_a_source_says_what_to_give(tmp_path, prepare_now) -> None:
    assert "give prepare.hub, prepare.files or prepare.published" in prepare_now()[2]
