"""Drawn reports: what the impression tells stands in the report, and nothing there is denied."""

import re

import pytest

from eval.faults import numbers
from eval.rouge import tokenize
from train.drawn import drawn, plain
from train.synthetic import grammar

RULES = grammar("findings")
FOUND = {"CT": ["The soft tissues are symmetric."], "XR": ["The trachea is straight."]}


@pytest.fixture(scope="module")
def rows():
    return list(drawn(3000, FOUND))


def test_the_same_seed_draws_the_same_reports(rows):
    assert list(drawn(3000, FOUND)) == rows
    assert list(drawn(3000, FOUND, seed=1)) != rows


def test_no_slot_is_left_open_and_no_report_comes_twice(rows):
    assert not [row for row in rows if re.search(r"[{}|<>]", row["input"] + row["target"])]
    assert len({row["input"] for row in rows}) == len(rows) > 2900
    for row in rows:
        assert re.search(r"\S\.$", row["target"]) and row["target"][0].isupper() or row["target"][0].isdigit(), row  # fmt: skip
        assert "  " not in row["input"] and ". and" not in row["input"], row


@pytest.mark.parametrize("number", range(len(RULES["examinations"])))
def test_every_group_of_every_examination_can_be_drawn(number, monkeypatch):
    """Each way in which a group may tell a finding has its slots."""
    examination = RULES["examinations"][number]
    for name in set(examination["groups"]):
        group = RULES["groups"][name]
        for way in ("in", "of", "at", "other"):
            if way not in group:
                continue
            alone = {key: group[key] for key in group if key not in ("in", "of", "at", "other")}
            rules = RULES | {
                "examinations": [examination | {"groups": [name]}],
                "groups": {name: alone | {way: group[way]}},
            }
            monkeypatch.setattr("train.drawn.grammar", lambda _, rules=rules: rules)
            assert list(drawn(40)), (name, way)


def test_sizes_sides_and_levels_of_an_impression_are_the_report_s(rows):
    told = 0
    for row in rows:
        points = re.sub(r"(?m)^\d\. ", "", row["target"])
        said = tokenize(row["input"])
        for word in tokenize(points):
            if word in ("left", "right") or re.fullmatch(r"[ctl]\d+", word):
                told += 1
                assert word in said, row
        # "grade 1" is a word of the grammar, and L1-L2 a place
        assert not numbers(points) - numbers(row["input"]) - {"1"}, row
    assert told > 1000


def test_a_report_without_findings_is_told_as_normal(rows):
    normal = {one for examination in RULES["examinations"] for one in examination["negative"]}
    told = [row for row in rows if row["target"] in normal]
    assert 0.1 < len(told) / len(rows) < 0.3
    listed = [row for row in rows if row["target"].startswith("1. ")]
    assert 0.25 < len(listed) / len(rows) < 0.6


def test_what_is_there_is_not_denied(rows):
    for row in rows:
        if row["target"].startswith("No"):
            continue
        denied = re.findall(r"(?:No|Negative for|evidence of|There is no) ([a-z ,]+?)(?: is seen)?\.", row["input"])  # fmt: skip
        for listed in denied:
            for name in re.split(r", | or ", listed):
                if "Evaluate for" not in row["input"]:
                    assert not re.search(rf"(?m)^(?:\d\. )?(?:\w+ )?{name}\b", row["target"]), row


def test_found_sentences_stand_between_and_never_in_the_impression(rows):
    every = {one for found in FOUND.values() for one in found}
    assert sum(any(one in row["input"] for one in every) for row in rows) > 200
    assert not [row for row in rows if any(one in row["target"] for one in every)]


def test_plain_sentences_tell_nothing_abnormal():
    rows = [
        {
            "modality": "CT",
            "input": "The liver is normal in size. There is a mass in the liver. XXXX is clear and well.",
        },
        {"modality": "CT", "input": "The liver is normal in size. Normal."},
    ]
    assert plain(rows) == {"CT": ["The liver is normal in size."]}
