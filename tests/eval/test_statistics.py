"""Intervals cover, tests find what is there and nothing else, and rows are always paired."""

import numpy as np
import pytest

from eval.overlap import bleu_of, bleu_sums
from eval.statistics import (
    Sums,
    bootstrap,
    differences,
    holm,
    intervals,
    mean_of,
    randomisation_p,
    too_few,
    verdict,
)


def test_the_interval_of_a_mean_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(1)
    truth, hits, runs = 100 / 3, 0, 400
    for run in range(runs):
        sample = mean_of(100 * rng.beta(1, 2, size=120))
        interval = intervals({"system": sample}, resamples=400, seed=run)["system"]
        hits += interval.low <= truth <= interval.high
    assert 0.92 <= hits / runs <= 0.975


def test_the_paired_interval_covers_and_the_test_keeps_its_level():
    rng = np.random.default_rng(2)
    covered = rejected = 0
    runs = 300
    for run in range(runs):
        hard = rng.normal(40, 20, size=80)  # rows differ far more than the systems do
        a = mean_of(hard + rng.normal(0, 5, size=80))
        b = mean_of(hard + rng.normal(0, 5, size=80))
        found = differences({"a": a, "b": b}, [("a", "b")], 400, 399, seed=run)["a", "b"]
        covered += found.low <= 0 <= found.high
        rejected += found.p < 0.05
    assert 0.91 <= covered / runs <= 0.98
    assert rejected / runs <= 0.085


def test_pairing_finds_a_small_difference_that_unpaired_intervals_hide():
    rng = np.random.default_rng(3)
    hard = rng.normal(40, 20, size=200)
    systems = {"a": mean_of(hard), "b": mean_of(hard + 1 + rng.normal(0, 2, size=200))}
    alone = intervals(systems)
    assert alone["a"].high > alone["b"].low
    found = differences(systems, [("b", "a")])["b", "a"]
    assert found.low > 0 and found.p < 0.001


def test_a_system_against_itself_differs_by_nothing():
    values = mean_of(np.random.default_rng(0).normal(size=50))
    found = differences({"a": values, "b": values}, [("a", "b")])["a", "b"]
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_a_perfect_system_scores_100_with_no_width():
    texts = [f"{k}. A finding of number {k} is seen in the lung." for k in range(30)]
    perfect = {"rouge": mean_of([100.0] * 30), "bleu": Sums(bleu_sums(texts, texts), bleu_of)}
    for interval in intervals(perfect).values():
        assert interval.mean == pytest.approx(100, abs=1e-9)
        assert interval.high - interval.low == pytest.approx(0, abs=1e-9)


def test_systems_with_different_rows_cannot_be_compared():
    systems = {"a": mean_of([1.0, 2.0, 3.0]), "b": mean_of([1.0, 2.0])}
    for compare in (bootstrap, intervals, lambda s: differences(s, [("a", "b")]),
                    lambda s: randomisation_p(s, [("a", "b")])):  # fmt: skip
        with pytest.raises(ValueError, match="same rows"):
            compare(systems)


def test_no_rows_cannot_be_scored():
    with pytest.raises(ValueError, match="no rows"):
        intervals({"a": mean_of([])})


def test_rows_that_do_not_count_leave_the_mean_alone():
    assert mean_of([10.0, float("nan"), 20.0]).total() == 15
    assert np.isnan(mean_of([float("nan")]).total())


def test_the_same_seed_gives_the_same_interval_and_another_does_not():
    values = {"a": mean_of(np.random.default_rng(0).normal(size=50))}
    assert intervals(values, seed=4) == intervals(values, seed=4)
    assert intervals(values, seed=4) != intervals(values, seed=5)


def test_resamples_do_not_depend_on_how_they_are_cut_in_chunks(monkeypatch):
    values = {"a": mean_of(np.random.default_rng(0).normal(size=50))}
    whole = bootstrap(values, 100)["a"]
    monkeypatch.setattr("eval.statistics._CHUNK", 350)
    assert bootstrap(values, 100)["a"] == pytest.approx(whole, rel=1e-12)


def test_holm_is_the_textbook_one():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("difference", "low", "high", "p", "n", "expected"),
    [
        (7.4, 6.0, 8.8, 0.001, 200, "higher"),
        (-7.4, -8.8, -6.0, 0.001, 200, "lower"),
        (2.0, 1.4, 2.8, 0.2, 200, "no difference shown"),
        (2.0, -1.0, 5.0, 0.2, 200, "too few to say"),
        (2.0, 0.5, 3.5, 0.01, 200, "too few to say"),
        (40.0, 40.0, 40.0, 0.001, 2, "too few to say"),
    ],
)
def test_a_verdict_claims_no_more_than_the_interval(difference, low, high, p, n, expected):
    assert verdict(difference, low, high, p, n) == expected


def test_an_interval_that_is_not_a_number_is_too_few():
    assert too_few(1.0, float("nan"), float("nan"), 50)


def test_a_thousand_rows_and_a_thousand_resamples_take_seconds():
    """Processor time of everything: every metric of two systems, intervals, tests, segments."""
    import random
    import time

    from eval_helpers import rows

    from eval.rows import Predictions
    from eval.scores import score

    rng = random.Random(0)
    made = rows(1000)
    texts = [" ".join(rng.sample(row["input"].split(), 9)) for row in made]
    systems = {name: {"method": "generate"} for name in ("base", "lora")}
    outputs = {"base": texts, "lora": [row["target"] for row in made]}
    predictions = Predictions("radiology", made, outputs, systems, {"n": 1000})
    started = time.process_time()
    score(predictions)
    assert time.process_time() - started < 20  # some 3 on the machine it was written on
