"""The bias towards what the text says next: which tokens it favours, row by row."""

import torch

from summarizer.copying import CopyBias

PROMPTS = [[5, 6, 7, 1], [5, 8, 5, 9, 8, 1]]


def favoured(prompts, last, bias=2.0, beams=1):
    scores = CopyBias(prompts, bias, {1})(torch.tensor([[0, one] for one in last]), torch.zeros(
        len(prompts) * beams, 12
    ))  # fmt: skip
    return [{at: value for at, value in enumerate(row) if value} for row in scores.tolist()]


def test_each_row_is_carried_on_by_its_own_text():
    assert favoured(PROMPTS, [5, 5]) == [{6: 2.0}, {8: 2.0, 9: 2.0}]
    assert favoured(PROMPTS, [6, 8], bias=-1.5) == [{7: -1.5}, {5: -1.5}]


def test_what_the_text_does_not_say_is_left_alone():
    assert favoured(PROMPTS, [11, 6]) == [{}, {}]
    assert favoured(PROMPTS, [7, 9]) == [{}, {8: 2.0}]  # an end mark is never favoured
    assert favoured([[], [4]], [4, 4]) == [{}, {}]


def test_every_beam_of_a_row_has_its_text():
    assert favoured(PROMPTS, [5, 6, 5, 9], beams=2) == [
        {6: 2.0}, {7: 2.0}, {8: 2.0, 9: 2.0}, {8: 2.0},
    ]  # fmt: skip


def test_the_scores_given_are_not_changed():
    scores = torch.zeros(1, 12)
    CopyBias([[5, 6]], 1.0, {1})(torch.tensor([[5]]), scores)
    assert not scores.any()
