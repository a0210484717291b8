"""Pairs drawn from grammars: right by how they are made, and none of the page's examples."""

import json
import random
import re
from pathlib import Path

import pytest

from summarizer.text import sentences
from tests.passages import passages
from train import synthetic
from train.auxiliary import conclusion, main, quoted, told_notes, topics
from train.compose import LASTING
from train.objectives import Document

TOPICS = ["Alport syndrome", "Gaucher disease", "hereditary angioedema"]
DRAWN = {
    "radiology": lambda count, seed=0: synthetic.reports(count, seed),
    "chest": lambda count, seed=0: synthetic.reports(count, seed, "chest"),
    "dialogue": lambda count, seed=0: synthetic.conversations(count, TOPICS, seed),
}


@pytest.fixture(scope="module", params=list(DRAWN))
def task(request):
    return request.param


@pytest.fixture(scope="module")
def rows(task):
    return list(DRAWN[task](600))


def test_the_same_seed_draws_the_same_rows(task, rows):
    assert list(DRAWN[task](600)) == rows
    assert list(DRAWN[task](600, 1)) != rows


def test_no_slot_is_left_open_and_no_text_comes_twice(rows):
    assert not [row for row in rows if re.search(r"[{}]", row["input"] + row["target"])]
    assert len({row["input"] for row in rows}) == len(rows) > 500
    assert all(row["input"].strip() and row["target"].strip() for row in rows)


def test_no_example_of_the_page_is_drawn(task, rows):
    drawn = set().union(*(passages(row["input"]) | passages(row["target"]) for row in rows))
    for line in (
        Path(f"examples/{'radiology' if task == 'chest' else task}.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    ):
        example = json.loads(line)
        assert not drawn & (passages(example["input"]) | passages(example["target"])), example["id"]


@pytest.mark.parametrize("name", ["radiology", "chest"])
def test_a_report_s_impression_tells_what_is_not_normal_and_that_alone(name):
    rules = synthetic.grammar(name)
    for row in synthetic.reports(400, name=name):
        examination = rules[row["modality"]]
        marks = {
            finding: re.sub(r"\{\w+\}", r"[\\w.-]+(?: \\w+ lobe)?", re.escape(finding).replace("\\{", "{").replace("\\}", "}"))
            for topic in examination["topics"]
            for wordings, _ in topic["abnormal"]
            for finding in ([wordings] if isinstance(wordings, str) else wordings)
        }  # fmt: skip
        lines = sentences(row["input"])
        seen = [f for f, mark in marks.items() if any(re.fullmatch(mark, line, re.IGNORECASE) for line in lines)]  # fmt: skip
        points = [re.sub(r"^\d\. ", "", line) for line in row["target"].split("\n")]
        if seen and examination.get("varied"):
            # Two sentences may stand on one line, and the last may be negative behind old findings.
            if len(points) == 1:
                points = sentences(points[0])
            if points[-1] in examination["negative"]:
                points.pop()
                assert all(LASTING.search(point) for point in points), row
        if seen:
            assert len(points) == len(seen), row
        else:
            assert row["target"] in [
                re.sub(r"\{side\}", side, re.sub(r"\{weeks\}", weeks, negative))
                for negative in examination["negative"]
                for side in ("left", "right")
                for weeks in map(str, range(12, 39))
            ]


def test_what_a_conversation_s_note_names_was_said():
    rules = synthetic.grammar("dialogue")
    slots = "drug allergen condition diagnosis job vaccine".split()
    faces = [value.split("|") for slot in slots for value in rules["slots"][slot]]
    spoken: dict[str, set[str]] = {}
    for said, *written in [*faces, *([topic] for topic in TOPICS)]:
        spoken.setdefault((written or [said])[0].lower(), set()).add(said.lower())
    found = 0
    for row in synthetic.conversations(400, TOPICS):
        heard = re.sub(r" (?=[.,?])", "", row["input"].lower())
        for name, ways in spoken.items():
            if len(name) > 5 and re.search(rf"\b{re.escape(name)}\b", row["target"].lower()):
                longer = [n for n in spoken if name in n and n != name]
                ways = ways.union(*(spoken[n] for n in longer))
                found += 1
                assert any(way in heard for way in {name, *ways}) or "type two" in heard, (
                    name,
                    row,
                )
    assert found > 300


def test_a_note_does_not_contradict_itself_about_a_habit():
    for row in synthetic.conversations(2000):
        habits = re.findall(r"does not smoke|has smoked|quit smoking|Former smoker|No tobacco", row["target"])  # fmt: skip
        assert len(habits) < 2, row


def test_a_part_of_a_visit_tells_only_what_belongs_to_it():
    rules = synthetic.grammar("dialogue")
    parts = {
        "subjective",
        "objective_exam",
        "objective_results",
        "assessment_and_plan",
        "full_note",
    }
    seen = set()
    for row in synthetic.conversations(600):
        if row["section"] not in parts:
            continue
        seen.add(row["section"])
        headings = re.findall(r"(?m)^[A-Z ]+$", row["target"])
        assert headings and len(set(headings)) == len(headings), row
        assert set(headings) <= set(rules["parts"][row["section"]].values()), row
    assert seen == parts


def test_half_of_the_conversations_hold_more_than_the_section_that_is_asked_for():
    rows = list(synthetic.conversations(400))
    plans = [row for row in rows if "Come back and see me" in row["input"]]
    elsewhere = [row for row in plans if "ollow up" not in row["target"]]
    assert 0.2 < len(elsewhere) / len(plans) < 0.9


def test_a_drug_that_nobody_knows_is_copied():
    rng = random.Random(0)
    names = {synthetic.invented(rng) for _ in range(300)}
    assert len(names) > 200 and all(re.fullmatch("[a-z]{5,}", name) for name in names)


def test_slots_agree_and_differ_where_they_are_numbered():
    filler = synthetic.Filler(random.Random(0), {"drug": ["aspirin", "codeine"]})
    said, written = filler.fill("I take {drug} and {drug2}.", "{Drug}, {drug2}.")
    first, second = re.fullmatch(r"I take (\w+) and (\w+)\.", said).groups()
    assert first != second and written == f"{first.capitalize()}, {second}."


def test_a_slot_with_two_faces_is_said_in_one_and_written_in_the_other():
    filler = synthetic.Filler(random.Random(0), {"condition": ["high blood pressure|hypertension"]})
    assert filler.fill("I have {condition}.", "{Condition}.", "No {condition}.") == [
        "I have high blood pressure.",
        "Hypertension.",
        "No hypertension.",
    ]


NOTE = Document(
    "mtsamples",
    "Ankle MRI\nA torn tendon.\n\nFINDINGS: There is a longitudinal tear of the peroneus brevis "
    "tendon. The peroneus longus tendon is normal. There is edema of the lateral malleolus with "
    "marrow signal change. The deltoid ligament is intact and normal in signal.\n\n"
    "IMPRESSION: Longitudinal tear of the peroneus brevis tendon.\n\nPLAN: Rest.",
)


def test_a_conclusion_is_what_the_document_ends_with():
    given, wanted = conclusion(NOTE)
    assert wanted == "Longitudinal tear of the peroneus brevis tendon."
    assert "IMPRESSION" not in given and "A torn tendon" not in given
    made_up = Document(
        "mtsamples", NOTE.text.replace("Longitudinal tear of", "Hepatic steatosis, not")
    )
    assert conclusion(Document("mtsamples", made_up.text.replace("peroneus brevis tendon.\n\nPLAN", "x.\n\nPLAN"))) is None  # fmt: skip


def test_quoted_are_the_sentences_that_are_not_normal():
    document = Document("mtsamples", NOTE.text.replace("FINDINGS", "MRI FINDINGS"))
    for seed in range(5):
        given, wanted = quoted(random.Random(seed), document)
        assert "normal" not in wanted and "intact" not in wanted
        for line in wanted.splitlines():
            assert re.sub(r"^\d\. ", "", line) in given


def test_a_note_s_section_is_told_and_asked_for_by_its_name():
    note = Document(
        "mtsamples",
        "Knee pain\nA visit.\n\nHISTORY OF PRESENT ILLNESS: The patient is a 44-year-old woman with "
        "pain in the left knee. She denies a fall.\n\nMEDICATIONS: 1. Naproxen 500 mg twice daily.\n"
        "2. Omeprazole 20 mg daily.\n\nSIGNATURE: Not a section of the task's.",
    )
    rows = list(told_notes([note, Document("medquad", note.text)]))
    assert [row["section"] for row in rows] == ["GENHX", "MEDICATIONS"]
    assert rows[0]["target"].endswith("She denies a fall.") and "knee" in rows[0]["input"]
    for row in rows:
        assert "SIGNATURE" not in row["input"]
        turns = row["input"].split("\n")
        assert all(re.match(r"(?:Doctor:|Patient:|\[doctor\]|\[patient\]) .*[a-z]", t) for t in turns), turns  # fmt: skip
    assert rows == list(told_notes([note]))


def test_topics_are_those_of_the_pages_questions():
    page = Document(
        "medquad", "What is (are) Alport syndrome ?\nA disease.\n\nWhat causes gout?\nUrate."
    )
    assert topics([page]) == ["Alport syndrome", "gout"]


def test_without_the_prepared_text_the_command_says_what_to_do(tmp_path, capsys):
    assert main(["--work", str(tmp_path), "--out", str(tmp_path / "aux")]) == 1
    assert "--stage prepare" in capsys.readouterr().err
    assert not (tmp_path / "aux").exists()
