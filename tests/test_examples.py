"""The examples the page offers: complete, varied, honest references, and nobody's data."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from summarizer.tasks import SECTION_CODES, TASKS
from summarizer.text import clean
from tests.passages import passages

ROOT = Path(__file__).resolve().parents[1]

FIELDS = {
    "radiology": {"id", "title", "input", "target", "modality", "normal", "indication"},
    "dialogue": {"id", "title", "input", "target", "section"},
    "question": {"id", "title", "input", "target"},
}

# Least and most words of an input and of a reference.
WORDS = {
    "radiology": ((30, 250), (3, 80)),
    "dialogue": ((30, 1200), (4, 260)),
    "question": ((20, 200), (5, 18)),
}

# What would point to a person, and for each a text that it must find.
IDENTIFIERS = {
    "date with a year": (
        r"\b(19|20)\d\d\b(?! mg\b)|\b\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}\b",
        ["seen on 03/14/21", "in March 2019", "2020-01-05"],
    ),
    "day of a month": (
        r"\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.? \d{1,2}\b",
        ["on June 3 she fell", "Sept. 14"],
    ),
    "phone number": (
        r"\(?\b\d{3}\)?[ .-]\d{3}[ .-]\d{4}\b|\b\d{3}-\d{4}\b",
        ["(555) 010-1234", "call 555-0100"],
    ),
    "e-mail or web address": (
        r"\S+@\S+\.\w+|https?://|\bwww\.",
        ["write to someone@example.org", "https://example.org"],
    ),
    "record number": (
        r"\b\d{6,}\b|\b\d{3}-\d{2}-\d{4}\b|\b(MRN|SSN)\b|\b[A-Z]{1,3}\d{5,}\b",
        ["record 00412345", "MRN 12", "accession AB123456"],
    ),
    "title with a name": (
        r"\b(Dr|Mr|Mrs|Ms|Prof)\.? [A-Z]|\bDoctor [A-Z]|\b[Mm]y name is\b",
        ["Dr. Smith", "Mrs Jones", "Doctor Kumar", "my name is Ann"],
    ),
    "age above 89": (
        r"\b(9\d|1[0-4]\d)[ -]years?[ -]old",
        ["a 93-year-old woman"],
    ),
    "mask of a de-identified text": (
        r"XX+|\[\*\*|\*\*\]|___|\[[A-Z]{3,}\]|\bmm/dd\b",
        ["x-XXXX", "[** Name **]", "____", "[LOCATION]", "mm/dd/yy"],
    ),
}


def rows_of(task: str) -> list[dict]:
    lines = (ROOT / TASKS[task].examples).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def words(text: str) -> int:
    return len(text.split())


def case(row: dict) -> str:
    return row["id"]


EVERY = [(task, row) for task in TASKS for row in rows_of(task)]
every_example = pytest.mark.parametrize(("task", "row"), EVERY, ids=[row["id"] for _, row in EVERY])
every_task = pytest.mark.parametrize("task", TASKS)
every_report = pytest.mark.parametrize("row", rows_of("radiology"), ids=case)
every_dialogue = pytest.mark.parametrize("row", rows_of("dialogue"), ids=case)
every_question = pytest.mark.parametrize("row", rows_of("question"), ids=case)


# All tasks


@every_task
def test_a_task_has_at_least_twelve_examples(task):
    assert len(rows_of(task)) >= 12


@every_task
def test_examples_are_numbered_in_their_order(task):
    ids = [row["id"] for row in rows_of(task)]
    assert ids == [f"{task}-{number:02d}" for number in range(1, len(ids) + 1)]


@every_task
def test_no_two_examples_share_a_title_or_a_text(task):
    for field in ("title", "input", "target"):
        seen = Counter(row[field].casefold() for row in rows_of(task))
        assert not [text for text, times in seen.items() if times > 1], field


@every_task
def test_no_example_is_another_one_reworded(task):
    def runs_of_four(row):
        tokens = re.findall(r"\w+", row["input"].lower())
        return {tuple(tokens[i : i + 4]) for i in range(len(tokens) - 3)}

    runs = {row["id"]: runs_of_four(row) for row in rows_of(task)}
    for (a, first), (b, second) in combinations(runs.items(), 2):
        shared = len(first & second) / min(len(first), len(second))
        assert shared < 0.2, f"{a} and {b} share {shared:.0%} of their runs of four words"


@every_task
def test_the_first_example_is_short_enough_to_read_at_a_glance(task):
    assert words(rows_of(task)[0]["input"]) <= 150


@every_example
def test_an_example_has_the_fields_of_its_task_and_no_others(task, row):
    assert set(row) == FIELDS[task]
    assert all(isinstance(value, str) for field, value in row.items() if field != "normal")
    assert all(value == value.strip() != "" for value in row.values() if isinstance(value, str))


@every_example
def test_a_title_fits_a_button(task, row):
    assert 4 <= len(row["title"]) <= 32
    assert "\n" not in row["title"]
    assert words(row["title"]) >= 2


@every_example
def test_lengths_are_those_of_the_task(task, row):
    (low, high), (least, most) = WORDS[task]
    assert low <= words(row["input"]) <= high
    assert least <= words(row["target"]) <= most


@every_example
def test_a_reference_is_shorter_than_its_text(task, row):
    assert words(row["target"]) < 0.8 * words(row["input"])


@every_example
def test_an_example_reaches_the_model_as_it_is_written(task, row):
    assert clean(row["input"]) == row["input"]
    assert clean(row["target"]) == row["target"]


@every_example
@pytest.mark.parametrize("kind", IDENTIFIERS)
def test_an_example_holds_nothing_that_points_to_a_person(task, row, kind):
    pattern, _ = IDENTIFIERS[kind]
    for field, value in row.items():
        if isinstance(value, str) and field != "id":
            found = re.search(pattern, value)
            assert not found, f"{kind} in {field}: {found[0]!r}"


@pytest.mark.parametrize("kind", IDENTIFIERS)
def test_the_search_for_identifiers_finds_planted_ones(kind):
    pattern, planted = IDENTIFIERS[kind]
    for text in planted:
        assert re.search(pattern, text), text


# Radiology


def test_reports_cover_every_modality_and_both_outcomes():
    rows = rows_of("radiology")
    assert {row["modality"] for row in rows} == {"XR", "CT", "MR", "US", "NM", "MG"}
    assert sum(row["title"].startswith("Chest X-ray") for row in rows) >= 6
    assert sum(row["normal"] for row in rows) >= 3
    assert sum(not row["normal"] for row in rows) >= 9
    assert not rows[0]["normal"], "the first report shows what there is to find"
    lengths = [words(row["input"]) for row in rows]
    assert min(lengths) < 45 and max(lengths) > 200


@every_report
def test_an_impression_of_several_points_is_numbered(row):
    lines = row["target"].split("\n")
    if len(lines) > 1:
        numbers = [line.split(" ", 1)[0] for line in lines]
        assert numbers == [f"{number}." for number in range(1, len(lines) + 1)]
    else:
        assert not row["target"].startswith("1.")
    assert all(line.endswith(".") for line in lines)


@every_report
def test_an_impression_is_normal_where_the_report_is_and_only_there(row):
    assert isinstance(row["normal"], bool)
    statements = re.split(r"(?<=\.)\s+", re.sub(r"(?m)^\d+\. ", "", row["target"]))
    positive = [text for text in statements if not re.match(r"(No|Normal|Unremarkable)\b", text)]
    assert bool(positive) is not row["normal"], row["target"]


@every_report
def test_an_impression_measures_and_sides_only_what_the_findings_do(row):
    measures = r"\d+(?:\.\d+)? (?:mm|cm|percent)\b|\b[CTLS]\d\b"
    # "4.6 x 3.8 cm" gives its unit once, so numbers are looked up without their units.
    for measure in re.findall(measures, row["target"]):
        assert re.search(rf"(?<![\d.]){re.escape(measure.split()[0])}(?![\d.]\d)", row["input"])
    for side in ("left", "right"):
        if re.search(rf"\b{side}", row["target"], re.IGNORECASE):
            assert re.search(rf"\b{side}\b", row["input"], re.IGNORECASE)


@every_report
def test_findings_hold_neither_the_impression_nor_a_heading_of_it(row):
    assert not re.search(r"\b(impression|conclusion)\b", row["input"], re.IGNORECASE)
    assert row["target"] not in row["input"]


# Conversations


def test_conversations_cover_many_sections_and_lengths():
    rows = rows_of("dialogue")
    assert len({row["section"] for row in rows}) >= 11
    turns = [row["input"].count("\n") + 1 for row in rows]
    assert min(turns) == 4
    long = [row for row, count in zip(rows, turns, strict=True) if count >= 60]
    assert any(
        words(row["input"]) > 700 and row["section"] in ("assessment_and_plan", "full_note")
        for row in long
    )


@every_dialogue
def test_a_section_is_a_code_of_the_data_sets(row):
    assert row["section"] in SECTION_CODES


@every_dialogue
def test_a_conversation_is_turns_that_alternate(row):
    turns = row["input"].split("\n")
    speakers = [re.match(r"(Doctor|Patient): \S", turn) for turn in turns]
    assert all(speakers), turns[speakers.index(None)] if None in speakers else ""
    names = [speaker[1] for speaker in speakers]
    assert names[0] == "Doctor"
    assert all(a != b for a, b in pairwise(names))


@every_dialogue
def test_a_note_is_in_the_third_person(row):
    found = re.search(r"\b(I|I'm|I've|my|me|you|your|we|our)\b", row["target"])
    assert not found, found[0]


# Questions


def test_questions_are_of_several_kinds_and_forms():
    rows = rows_of("question")
    assert len({row["title"].split(":")[0] for row in rows}) >= 10
    with_subject = [row for row in rows if row["input"].startswith("SUBJECT: ")]
    assert 4 <= len(with_subject) <= len(rows) - 4
    lengths = [words(row["input"]) for row in rows]
    assert min(lengths) <= 25 and max(lengths) >= 150


@every_question
def test_a_reference_is_one_short_question(row):
    assert row["target"].endswith("?")
    assert row["target"].count("?") == 1
    assert row["target"][0].isupper()
    assert "\n" not in row["target"]


@every_question
def test_a_subject_line_is_followed_by_its_message(row):
    if "SUBJECT:" in row["input"]:
        assert re.fullmatch(r"SUBJECT: [^\n]+\nMESSAGE: .+", row["input"], re.DOTALL)


# names of places may be seven words long ("the posterior horn of the medial meniscus")
@pytest.mark.parametrize(
    ("grammar", "task", "words"), [("messages", "question", 6), ("findings", "radiology", 8)]
)
def test_what_adapters_learn_from_says_nothing_as_an_example_does(grammar, task, words):
    said = passages(Path(f"train/grammar/{grammar}.yaml").read_text(encoding="utf-8"), words)
    for line in Path(f"examples/{task}.jsonl").read_text(encoding="utf-8").splitlines():
        example = json.loads(line)
        assert not said & passages(example["input"], words), example["id"]
