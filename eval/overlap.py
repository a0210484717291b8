"""BLEU and chrF as sums over rows, so that a thousand resamples cost one matrix product.

Both are functions of sums: each row gives its counts, a corpus is scored from their totals. The
counts are sacrebleu's own; the last step is written for arrays and held against
sacrebleu to 1e-9 in tests/eval/test_overlap.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BLEU_ORDER = 4
CHRF_ORDER = 6
CHRF_BETA = 2


def bleu_sums(outputs: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """(rows, 10): output length, reference length, 4 matched and 4 total n-gram counts.

    sacrebleu's default settings: tokeniser 13a, case kept. Lengths in its tokens.
    """
    from sacrebleu.metrics import BLEU

    metric = BLEU(effective_order=True)  # only to read the counts of a row without a warning
    sums = np.zeros((len(outputs), 2 + 2 * BLEU_ORDER))
    for k, (output, reference) in enumerate(zip(outputs, references, strict=True)):
        row = metric.sentence_score(output, [reference])
        sums[k] = [row.sys_len, row.ref_len, *row.counts, *row.totals]
    return sums


def bleu_of(sums: np.ndarray) -> np.ndarray:
    """Corpus BLEU x100 of summed counts (..., 10), smoothing "exp" as sacrebleu's default."""
    matched, total = sums[..., 2:6], sums[..., 6:10]
    precision = np.zeros(matched.shape)
    halvings = np.ones(matched.shape[:-1])
    for n in range(BLEU_ORDER):
        none = (matched[..., n] == 0) & (total[..., n] > 0)
        halvings = np.where(none, halvings * 2, halvings)
        count = np.where(none, 1 / halvings, matched[..., n])
        precision[..., n] = 100 * count / np.where(total[..., n] > 0, total[..., n], 1)
    scored = (precision > 0).all(axis=-1) & (matched > 0).any(axis=-1)
    logs = np.log(np.where(precision > 0, precision, 1.0)).mean(axis=-1)
    return np.where(scored, brevity_penalty_of(sums) * np.exp(logs), 0.0)


def brevity_penalty_of(sums: np.ndarray) -> np.ndarray:
    """1 where the outputs are at least as long as the references, exp(1 - r/c) where shorter."""
    output, reference = sums[..., 0], sums[..., 1]
    ratio = reference / np.where(output > 0, output, 1)
    short = np.where(output > 0, np.exp(1 - ratio), 0.0)
    return np.where(output < reference, short, 1.0)


def chrf_sums(outputs: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """(rows, 18): output, reference and matched counts of character 1- to 6-grams."""
    from sacrebleu.metrics import CHRF

    # sacrebleu gives a row's counts through this method alone.
    return np.array(
        CHRF()._extract_corpus_statistics(list(outputs), [list(references)]), dtype=float
    ).reshape(len(outputs), 3 * CHRF_ORDER)


def chrf_of(sums: np.ndarray) -> np.ndarray:
    """Corpus chrF (beta 2) x100 of summed counts (..., 18)."""
    counts = sums.reshape(*sums.shape[:-1], CHRF_ORDER, 3)
    output, reference, matched = counts[..., 0], counts[..., 1], counts[..., 2]
    used = (output > 0) & (reference > 0)
    orders = np.maximum(used.sum(axis=-1), 1)
    precision = (np.where(used, matched / np.where(used, output, 1), 0).sum(axis=-1)) / orders
    recall = (np.where(used, matched / np.where(used, reference, 1), 0).sum(axis=-1)) / orders
    weight = CHRF_BETA**2
    below = weight * precision + recall
    f = (1 + weight) * precision * recall / np.where(below > 0, below, 1)
    return 100 * f
