"""Of the many windows of a text a share speaks in any case: those that would rather than others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from summarizer.generate import Engine
from summarizer.silence import LeastWindows
from summarizer.tasks import Decoding
from summarizer.windows import windows
from tests.summarizer.test_windows import VISIT

ENDS = (1,)
# Scores of a word, an end mark and another word: all but the third row would rather end.
SCORES = torch.tensor([[0.0, 3, 1], [0, 9, 1], [2, 1, 0], [0, 4, 3], [0, 5, 4.5], [0, 6, 1]])


def silent(scores) -> list[bool]:
    return (scores.argmax(1) == 1).tolist()


@pytest.mark.parametrize(
    ("texts", "share", "quiet"),
    [
        ([6], 0.5, [True, True, False, False, False, True]),
        ([6], 0.2, [True, True, False, True, True, True]),  # one speaks by itself
        ([6], 0.1, [True, True, False, True, True, True]),
        ([6], 0.0, [True, True, False, True, True, True]),
        ([2, 4], 0.5, [False, True, False, True, False, True]),
        ([1] * 6, 0.9, [True, True, False, True, True, True]),  # short texts are left alone
        ([1] * 6, 1.0, [False] * 6),
    ],
)
def test_those_speak_that_would_rather_than_others_of_the_same_text(texts, share, quiet):
    held = LeastWindows(texts, share, ENDS)(torch.zeros(6, 1, dtype=torch.long), SCORES)
    assert silent(held) == quiet
    open_ = torch.isfinite(held)
    assert torch.equal(held[open_], SCORES[open_]) and open_[:, [0, 2]].all()


def test_with_beams_a_window_is_silent_or_it_speaks():
    """As it would be greedily, and to its end; what must speak does."""
    processor = LeastWindows([3], 0.4, ENDS)
    scores = SCORES[[0, 1, 3]].repeat_interleave(2, 0)
    held = processor(torch.zeros(6, 1, dtype=torch.long), scores)
    assert silent(held) == [True, True, True, True, False, False]
    left = held > -1e8
    assert left[:4].sum(1).tolist() == [1] * 4  # an end mark alone
    assert not left[4:, sorted(ENDS)].any() and torch.equal(
        held[4:][left[4:]], scores[4:][left[4:]]
    )
    later = processor(torch.zeros(6, 2, dtype=torch.long), scores)
    assert torch.equal(later[4:], scores[4:])
    assert silent(later[:4]) == [True] * 4 and ((later[:4] > -1e8).sum(1) == 1).all()
    free = LeastWindows([3], 0.0, ENDS)(torch.zeros(6, 1, dtype=torch.long), scores)
    assert silent(free) == silent(scores)
    short = LeastWindows([1, 1, 1], 0.0, ENDS)  # a text of one window may be searched for
    assert torch.equal(short(torch.zeros(6, 1, dtype=torch.long), scores), scores)
    assert torch.equal(short(torch.zeros(6, 2, dtype=torch.long), scores), scores)


def test_greedily_a_window_is_asked_once():
    processor = LeastWindows([3], 0.4, ENDS)
    processor(torch.zeros(3, 1, dtype=torch.long), SCORES[[0, 1, 3]])
    assert processor(torch.zeros(3, 2, dtype=torch.long), SCORES[[0, 1, 3]]).equal(
        SCORES[[0, 1, 3]]
    )


@pytest.fixture(scope="module")
def engine():
    return Engine.load("models/base", {"dialogue": "models/dialogue"})


@pytest.mark.parametrize("beams", [1, 2])
def test_a_visit_of_which_nothing_would_be_told_is_told(engine, beams):
    """The end mark is far likelier in most windows; alone, in a batch, and in both columns."""
    quiet = Decoding(max_new_tokens=1, end_bias=10.0, num_beams=beams)
    some = replace(quiet, least_windows=0.9)
    rows = [{"input": VISIT}, {"input": "Patient: a turn of a visit."}, {"input": VISIT[:900]}]
    words, gained = engine.task("dialogue").window_words, 0
    alone = [engine.run("dialogue", row["input"], decoding=some) for row in rows]
    for row, pair in zip(rows, alone, strict=True):
        least = int(0.9 * len(windows(row["input"], words)))
        before = engine.run("dialogue", row["input"], decoding=quiet)
        for column in ("base", "lora"):
            # one token a window that speaks
            spoken, free = getattr(pair, column).tokens, getattr(before, column).tokens
            assert spoken == max(least, free), column
            gained += spoken - free
    assert gained > 0
    for size in (1, 3):
        for place, pair in engine.batch("dialogue", rows, decoding=some, batch_size=size):
            assert pair.base.text == alone[place].base.text
            assert pair.lora.text == alone[place].lora.text
