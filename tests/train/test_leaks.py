"""No validation or test row is given away by a training row without being told."""

from __future__ import annotations

import random

import pytest

from train.leaks import find_leaks, jaccard, word_grams

WORDS = [f"word{number}" for number in range(400)]


def text(seed: int, length: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def row(name: str, words: str, target: str = "t", **fields) -> dict:
    return {"id": name, "input": words, "target": target} | fields


def test_exact_and_near_twins_are_found_and_others_are_not() -> None:
    near = text(1).split()
    near[30] = "changed"
    splits = {
        "train": [row(f"a{seed}", text(seed)) for seed in range(200)],
        "validation": [row("v1", text(7).upper() + "."), row("v2", text(999))],
        "test": [row("t1", " ".join(near), "other"), row("t2", text(998))],
    }
    leaks = {leak.row: leak for leak in find_leaks(splits, 0.8)}
    assert set(leaks) == {"v1", "t1"}
    assert leaks["v1"].similarity == 1 and leaks["v1"].twin == "a7" and leaks["v1"].same_target
    assert leaks["t1"].twin == "a1" and leaks["t1"].twin_split == "train"
    assert not leaks["t1"].same_target
    assert leaks["t1"].similarity == pytest.approx(51 / 61, abs=1e-3)


def test_hashing_finds_what_comparing_all_pairs_finds() -> None:
    rng = random.Random(5)
    train, test = [], []
    for seed in range(120):
        train.append(row(f"a{seed}", text(seed, 40)))
        words = text(seed, 40).split()
        for _ in range(rng.randint(0, 6)):
            words[rng.randrange(len(words))] = "other"
        test.append(row(f"t{seed}", " ".join(words)))
    truth = {
        mine["id"]
        for mine in test
        if any(jaccard(word_grams(mine["input"]), word_grams(a["input"])) >= 0.7 for a in train)
    }
    found = {leak.row for leak in find_leaks({"train": train, "test": test}, 0.7)}
    assert found <= truth and len(found) >= 0.98 * len(truth) and 10 < len(truth) < 120


def test_another_section_of_the_same_visit_leaks_no_answer() -> None:
    splits = {
        "train": [row("a", text(1), section="plan")],
        "test": [row("b", text(1), section="subjective"), row("c", text(1), section="plan")],
    }
    assert [leak.row for leak in find_leaks(splits, 0.8)] == ["c"]


def test_a_test_row_that_stands_in_validation_is_a_leak_too() -> None:
    splits = {
        "train": [row("a", text(1))],
        "validation": [row("v", text(2))],
        "test": [row("t", text(2)), row("u", text(3))],
    }
    (leak,) = find_leaks(splits, 0.8)
    assert (leak.split, leak.row, leak.twin_split, leak.twin) == ("test", "t", "validation", "v")


def test_short_texts_are_compared_whole() -> None:
    splits = {
        "train": [row("a", "No fever.")],
        "test": [row("b", "no fever"), row("c", "No cough.")],
    }
    assert [leak.row for leak in find_leaks(splits, 0.8)] == ["b"]
