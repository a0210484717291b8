"""The texts that adapters are weighed on: whole, and like nothing that an adapter learns from."""

import json
import random
import re
from pathlib import Path

import pytest

from summarizer.tasks import SECTION_CODES
from train.answers import exchange_groups, exchanges
from train.written import files, templates

FOLDER = Path("train/held_out")
KEYS = {
    "radiology": {"id", "source", "input", "target", "modality", "normal"},
    "dialogue": {"id", "source", "input", "target", "section"},
}
WORDS = 12  # in a row: fewer are stock phrases ("in the right atrium and right ventricle")


def rows_of(task: str) -> list[dict]:
    lines = (FOLDER / f"{task}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def passages(text: str) -> set[tuple[str, ...]]:
    """Within a line: one heading after the other says nothing of its own."""
    lines = [re.findall(r"[a-z0-9]+", line) for line in text.lower().splitlines()]
    return {tuple(one[i : i + WORDS]) for one in lines for i in range(len(one) - WORDS + 1)}


def learned(task: str):
    """A variant of everything that was written for adapters to learn from."""
    rng = random.Random(3)
    if task == "dialogue":
        every = [
            one for group in exchange_groups() for many in exchanges(group).values() for one in many
        ]
    else:
        every = [one for path in files("*") for one in templates(path) if "modality" in one.keys]
    assert len(every) > 5000
    for template in every:
        yield template.where, template.draw(rng)[0]
    for row in map(json.loads, open(f"examples/{task}.jsonl", encoding="utf-8")):
        yield row["id"], row["input"]


@pytest.mark.parametrize("task", sorted(KEYS))
def test_rows_are_whole_and_none_comes_twice(task):
    rows = rows_of(task)
    assert len(rows) >= 80
    for row in rows:
        assert set(row) == KEYS[task] and row["input"].strip() and row["target"].strip(), row["id"]
        assert len(row["target"].split()) < len(row["input"].split()), row["id"]
        assert row.get("section", "GENHX") in SECTION_CODES, row["id"]
    assert len({row["id"] for row in rows}) == len({row["input"] for row in rows}) == len(rows)
    if task == "radiology":
        assert {row["normal"] for row in rows} == {True, False}
        assert {row["modality"] for row in rows} >= {"XR", "CT", "MR", "US", "MG", "NM", "FL"}


@pytest.mark.parametrize("task", sorted(KEYS))
def test_nothing_that_adapters_learn_from_has_a_passage_of_them(task):
    held = {one: row["id"] for row in rows_of(task) for one in passages(row["input"])}
    found = [(where, " ".join(one), held[one]) for where, text in learned(task) for one in passages(text) & held.keys()]  # fmt: skip
    assert found == []


def test_a_passage_that_is_shared_is_found():
    row = rows_of("radiology")[0]
    assert passages("Seen again. " + row["input"] + " So it is.") & passages(row["input"])
    assert not passages("The heart is of normal size.") & passages(row["input"])
