"""BLEU and chrF are sacrebleu's, to 1e-9, for a corpus and for every resample of it."""

import random

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF

from eval.metrics import bleu, chrf
from eval.overlap import bleu_of, bleu_sums, chrf_of, chrf_sums

CORPORA = {
    "plain": (["No acute disease .", "A small left effusion is seen."],
              ["No acute disease.", "Small left pleural effusion is seen again."]),
    "one empty output": (["", "mild edema of the left lung"], ["Clear.", "mild edema in the lung"]),
    "all empty": (["", ""], ["a b c d e", "f"]),
    "nothing shared": (["x y z w v"], ["a b c d e"]),
    "no 4-gram matches": (["the left lung is big"], ["the lung left is big"]),
    "shorter than four words": (["left lung"], ["left lung"]),
    "too short": (["effusion of the left"], ["effusion of the left lung with edema and so on"]),
    "too long": (["a b c d e f g h i"], ["a b c d"]),
    "letters of other scripts": (["Größe 5,3 cm µ"], ["Größe 5.3 cm µ"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_equals_sacrebleu(name):
    outputs, references = CORPORA[name]
    ours, theirs = bleu(outputs, references), BLEU().corpus_score(outputs, [references])
    assert ours.score == pytest.approx(theirs.score, abs=1e-9)
    assert ours.brevity_penalty == pytest.approx(theirs.bp, abs=1e-9)
    assert (ours.output_length, ours.reference_length) == (theirs.sys_len, theirs.ref_len)
    expected = CHRF().corpus_score(outputs, [references]).score
    assert chrf(outputs, references) == pytest.approx(expected, abs=1e-9)


def test_every_resample_equals_sacrebleu():
    rng = random.Random(3)
    words = "no acute effusion left right mild 5.3 mm heart seen the , .".split()
    outputs, references = (
        [" ".join(rng.choices(words, k=rng.randint(0, 9))) for _ in range(30)] for _ in range(2)
    )
    draws = np.random.default_rng(0).integers(0, 30, size=(40, 30))
    all_bleu = bleu_of(bleu_sums(outputs, references)[draws].sum(axis=1))
    all_chrf = chrf_of(chrf_sums(outputs, references)[draws].sum(axis=1))
    for draw, our_bleu, our_chrf in zip(draws, all_bleu, all_chrf, strict=True):
        hyps, refs = [outputs[k] for k in draw], [references[k] for k in draw]
        assert our_bleu == pytest.approx(BLEU().corpus_score(hyps, [refs]).score, abs=1e-9)
        assert our_chrf == pytest.approx(CHRF().corpus_score(hyps, [refs]).score, abs=1e-9)


def test_a_fall_by_brevity_is_seen_as_one():
    reference = "1. Small left effusion. 2. Mild edema. 3. No pneumothorax."
    short = bleu(["1. Small left effusion."], [reference])
    assert short.brevity_penalty < 0.4
    assert short.score / short.brevity_penalty == pytest.approx(100, abs=1e-6)
