"""A run's steps are planned from its seed: every row as often as its weight says."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from train.plan import RunPlan, pack
from train.recipe import Recipe, load_recipe
from train.tokens import Example, Tokenised


def recipe(**training) -> Recipe:
    base = load_recipe("question-flan-t5-large")
    defaults = {"num_epochs": 2, "batch_size": 4, "gradient_accumulation_steps": 1}
    return dataclasses.replace(
        base, training=dataclasses.replace(base.training, **(defaults | training))
    )


def data(lengths: list[int], weights: list[float] | None = None, sources=None) -> Tokenised:
    examples = [Example([5] * length, [6, 1]) for length in lengths]
    return Tokenised(
        examples=examples,
        hidden=[Example([4], example.labels) for example in examples],
        weights=weights or [1.0] * len(lengths),
        sources=sources or ["a"] * len(lengths),
    )


def rows(steps: list[list[tuple[int, ...]]]) -> Counter:
    return Counter(item // 2 for step in steps for bundle in step for item in bundle)


def test_every_row_is_shown_once_an_epoch_and_all_steps_have_one_size() -> None:
    plan = RunPlan(recipe(), data(list(range(10, 30))))
    assert plan.steps_per_epoch == 5 and len(plan.steps) == 10
    assert {len(step) for step in plan.steps} == {4}
    assert set(rows(plan.steps[:5]).values()) == {1} and len(rows(plan.steps[:5])) == 20


def test_a_last_step_is_filled_with_rows_drawn_again() -> None:
    plan = RunPlan(recipe(num_epochs=1), data(list(range(10, 20))))
    counts = rows(plan.steps)
    assert len(counts) == 10 and sum(counts.values()) == 12


def test_the_plan_is_the_seed_s_and_epochs_differ() -> None:
    one, same = (RunPlan(recipe(), data(list(range(9, 49)))) for _ in range(2))
    assert list(one) == list(same)
    other = RunPlan(dataclasses.replace(recipe(), seed=1), data(list(range(9, 49))))
    assert list(one) != list(other)
    assert one.steps[:10] != one.steps[10:]


def test_rows_of_a_step_have_similar_lengths() -> None:
    lengths = [(7 * number) % 200 + 1 for number in range(200)]
    plan = RunPlan(recipe(num_epochs=1), data(lengths))
    spread = [
        max(lengths[item // 2] for (item,) in step) - min(lengths[item // 2] for (item,) in step)
        for step in plan.steps
    ]
    assert sum(spread) / len(spread) <= 5
    # and the steps themselves are not sorted
    firsts = [lengths[step[0][0] // 2] for step in plan.steps]
    assert firsts != sorted(firsts) and firsts != sorted(firsts, reverse=True)


def test_weights_are_copies_and_a_fraction_is_drawn_anew_every_epoch() -> None:
    sources = ["a"] * 20 + ["b"] * 20
    plan = RunPlan(recipe(batch_size=1), data([10] * 40, [2.0] * 20 + [0.25] * 20, sources))
    first, second = rows(plan.steps[:45]), rows(plan.steps[45:])
    for counts in (first, second):
        assert all(counts[row] == 2 for row in range(20))
        assert sum(counts[row] for row in range(20, 40)) == 5
    assert {row for row in first if row >= 20} != {row for row in second if row >= 20}


def test_a_share_of_the_rows_is_shown_without_its_section() -> None:
    asked = recipe(num_epochs=5)
    asked = dataclasses.replace(asked, data=dataclasses.replace(asked.data, section_dropout=0.3))
    plan = RunPlan(asked, data([10] * 100))
    hidden = [item % 2 for step in plan.steps for (item,) in step]
    assert 0.22 < sum(hidden) / len(hidden) < 0.38
    assert plan.data[(1,)][0].input_ids == [4] and plan.data[(0,)][0].input_ids == [5] * 10


def test_two_processes_meet_the_batches_of_one() -> None:
    lengths = [(11 * number) % 90 + 1 for number in range(57)]
    alone = RunPlan(recipe(gradient_accumulation_steps=2), data(lengths), processes=1)
    shared = RunPlan(recipe(gradient_accumulation_steps=1), data(lengths), processes=2)
    assert list(alone) == list(shared) and len(shared) == 2 * len(shared.steps)


@pytest.mark.parametrize(("epochs", "steps"), [(0.5, 3), (1.0, 5), (1.2, 6), (2.0, 10)])
def test_part_of_an_epoch_is_part_of_its_steps(epochs: float, steps: int) -> None:
    plan = RunPlan(recipe(num_epochs=epochs), data(list(range(10, 30))))
    assert len(plan.steps) == steps
    assert plan.epoch_at(steps) == pytest.approx(steps / 5)


def test_steps_can_be_given_instead_of_epochs() -> None:
    assert len(RunPlan(recipe(max_steps=13), data(list(range(10, 30)))).steps) == 13


def test_packing_fills_sequences_and_loses_nothing() -> None:
    lengths = [(37 * number) % 97 + 3 for number in range(300)]
    bundles = pack(list(range(300)), lambda item: lengths[item], 128)
    assert sorted(item for bundle in bundles for item in bundle) == list(range(300))
    sizes = [sum(lengths[item] for item in bundle) for bundle in bundles]
    assert max(sizes) <= 128 and sum(sizes) / (128 * len(sizes)) > 0.97


def test_a_row_longer_than_the_sequence_stands_alone() -> None:
    assert sorted(pack([0, 1, 2], [50, 10, 10].__getitem__, 20)) == [(0,), (1, 2)]
