"""The texts that adapters are weighed on: whole, and like nothing that an adapter learns from."""

import json
import random
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from summarizer.tasks import SECTION_CODES
from tests.passages import passages
from train.answers import exchange_groups, exchanges
from train.messages import messages
from train.phrasings import FOLDER as PHRASINGS
from train.talks import talk_groups, talks
from train.written import files, templates

FOLDER = Path("train/held_out")
KEYS = {
    "radiology": {"id", "source", "input", "target", "modality", "normal"},
    "dialogue": {"id", "source", "input", "target", "section"},
    "question": {"id", "source", "input", "target"},
}
WORDS = 12  # in a row: fewer are stock phrases ("in the right atrium and right ventricle")


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rows_of(task: str) -> list[dict]:
    return read(FOLDER / f"{task}.jsonl")


def runs_of(text: str) -> set[tuple[str, ...]]:
    """Within a line: one heading after the other says nothing of its own."""
    return set().union(*(passages(line, WORDS) for line in text.splitlines()))


def learned(task: str) -> Iterator[tuple[str, str]]:
    """(where, a variant) of everything that was written for adapters to learn from."""
    rng, keys = random.Random(3), {"radiology": {"modality"}, "dialogue": {"section"}}
    wanted = keys.get(task, set())  # those of questions say neither
    every = [
        one
        for path in files("*")
        for one in templates(path)
        if wanted == one.keys.keys() & {"modality", "section"}
    ]
    if task == "dialogue":
        ways = [many for group in exchange_groups() for many in exchanges(group).values()]
        every += chain.from_iterable(ways)
        ways = [many for group in talk_groups() for many in talks(group).values()]
        for one in chain.from_iterable(ways):  # every wording, for few are drawn
            yield one.where, "\n".join([*one.asked, *one.answered, *one.noted])
    elif task == "question":
        for concerns in (False, True):
            for row in messages(3000, [], concerns=concerns):
                yield row["id"], row["input"]
    else:
        for path in sorted(PHRASINGS.glob("*/*.txt")):
            yield path.name, path.read_text(encoding="utf-8")
    assert len(every) > 5000
    for template in every:
        yield template.where, template.draw(rng)[0]
    for row in read(Path(f"examples/{task}.jsonl")):
        yield row["id"], row["input"]


@pytest.mark.parametrize("task", sorted(KEYS))
def test_rows_are_whole_and_none_comes_twice(task):
    rows = rows_of(task)
    assert len(rows) >= 80
    for row in rows:
        assert set(row) == KEYS[task] and row["input"].strip() and row["target"].strip(), row["id"]
        # A short message, well put, may be as long.
        shorter = len(row["input"].split()) - len(row["target"].split())
        assert shorter > (-3 if task == "question" else 0), row["id"]
        assert row.get("section", "GENHX") in SECTION_CODES, row["id"]
    assert len({row["id"] for row in rows}) == len({row["input"] for row in rows}) == len(rows)
    if task == "radiology":
        assert {row["normal"] for row in rows} == {True, False}
        assert {row["modality"] for row in rows} >= {"XR", "CT", "MR", "US", "MG", "NM", "FL"}


@pytest.mark.parametrize("task", sorted(KEYS))
def test_nothing_that_adapters_learn_from_has_a_passage_of_them(task):
    held = {one: row["id"] for row in rows_of(task) for one in runs_of(row["input"])}
    found = [
        (where, " ".join(one), held[one])
        for where, text in learned(task)
        for one in runs_of(text) & held.keys()
    ]
    assert found == []


def test_a_passage_that_is_shared_is_found():
    row = rows_of("radiology")[0]
    assert runs_of("Seen again. " + row["input"] + " So it is.") & runs_of(row["input"])
    assert not runs_of("The heart is of normal size.") & runs_of(row["input"])
