"""The command that writes the pairs beside the data sets, run on a few documents."""

import json
import lzma

import pytest

from train.auxiliary import main

NOTE = """CHIEF COMPLAINT: Knee pain.

HISTORY OF PRESENT ILLNESS: The patient has had pain in the left knee for two weeks. She fell off \
a ladder at the orchard. She takes naproxen and denies fever, chills or numbness.

PAST SURGICAL HISTORY: Cholecystectomy in 2004.

DESCRIPTION OF PROCEDURE: The incision was carried along the linea alba, lateral to the gracilis \
tendon, and the edge of the patellar retinaculum was seen."""
PAGE = """What is (are) Gaucher disease ?
Gaucher disease is inherited.

What are the treatments for Fabry disease ?
Enzymes are given."""
QUESTION = {
    "id": "q1",
    "input": "My aunt has lupus. She lives by the sea. Can she swim?",
    "target": "Can patients with lupus swim?",
    "source": "meqsum",
}
REPORT = {
    "id": "r1",
    "input": "The wrist is straight. There is a fracture of the scaphoid.",
    "target": "Fracture of the scaphoid.",
    "modality": "XR",
    "source": "indiana",
}
TALKS = [
    {
        "id": f"d{year}",
        "input": f"Doctor: Any surgery?\nPatient: Yes, a splenectomy in {year}.",
        "target": f"Splenectomy in {year}.",
        "section": "PASTSURGICAL",
        "source": "mts-dialog",
    }
    for year in range(1990, 2000)
]


@pytest.fixture
def folder(tmp_path):
    documents = [("mtsamples", NOTE), ("medquad", PAGE)]
    documents += [("openstax_health", f"Leaf number {number} is green.") for number in range(40)]
    with lzma.open(tmp_path / "train.jsonl.xz", "wt", encoding="utf-8") as out:
        for source, text in documents:
            out.write(json.dumps({"source": source, "text": text}) + "\n")
    given = {"questions": [QUESTION], "reports": [REPORT], "conversations": TALKS}
    for name, rows in given.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(lines)
    return tmp_path


def run(folder, out):
    given = [("work", folder), ("out", folder / out), ("count", 5), ("variants", 2)]
    given += [
        (name, folder / f"{name}.jsonl") for name in ("questions", "reports", "conversations")
    ]
    return main([word for name, value in given for word in (f"--{name}", str(value))])


def test_each_file_is_written_and_the_same_again(folder):
    assert run(folder, "a") == 0 and run(folder, "b") == 0
    files = {path.name: path.read_bytes() for path in (folder / "a").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (folder / "b").iterdir()}
    rows = {name: [json.loads(line) for line in text.splitlines()] for name, text in files.items()}
    assert {"answers.jsonl", "named-notes.jsonl", "spoken-notes.jsonl"} <= set(rows)
    # of this one note, the headings that end with a conclusion are not there
    assert {name for name, found in rows.items() if not found} <= {
        "mtsamples-conclusions.jsonl",
        "mtsamples-notes.jsonl",
    }
    for name, found in rows.items():
        assert all({"id", "input", "target", "source"} <= set(row) for row in found), name
    named = [row for row in rows["named-notes.jsonl"] if row["source"] == "mts-dialog"]
    assert named and all("splenectomy" not in row["target"].lower() for row in named)
    assert all(row["target"].split(" in ")[0].lower() in row["input"].lower() for row in named)


@pytest.mark.parametrize("name", ["questions", "reports", "conversations"])
def test_training_rows_that_are_missing_are_named_before_anything_is_written(name, folder, capsys):
    (folder / f"{name}.jsonl").unlink()
    assert run(folder, "aux") == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and f"{name}.jsonl" in said
    assert not (folder / "aux").exists()
