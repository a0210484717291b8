"""Intervals and tests for scores that are functions of sums over rows.

A score is a table of each row's addends, shape (rows, k), and a function of their sums: a mean is
sum / count, BLEU a function of ten sums. So a resample is a weight for each row, all resamples of
all systems are one matrix product, and two systems are compared on the same rows of every resample.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Key = Hashable  # a system's name, or whatever else tells systems apart

RESAMPLES = 1_000
PERMUTATIONS = 9_999
CONFIDENCE = 95.0
FEWEST_ROWS = 10  # a percentile interval from fewer rows is far too narrow
_CHUNK = 4_000_000  # weights held at a time


@dataclass(frozen=True)
class Sums:
    """Each row's addends of a score, `rows` of shape (n, k), and the score of (..., k) sums."""

    rows: np.ndarray
    score: Callable[[np.ndarray], np.ndarray]

    def total(self) -> float:
        """The score of all rows."""
        return float(self.score(self.rows.sum(axis=0)))

    def take(self, which: np.ndarray) -> Sums:
        """The same score over some of the rows."""
        return Sums(self.rows[which], self.score)

    def per_row(self) -> np.ndarray:
        """(n,): the score of each row by itself."""
        return self.score(self.rows)


def mean_of(values: Sequence[float] | np.ndarray) -> Sums:
    """A mean over rows; a row whose value is NaN does not count."""
    values = np.asarray(values, dtype=float)
    known = ~np.isnan(values)
    return Sums(np.stack([np.where(known, values, 0.0), known], axis=1), _mean)


def _mean(sums: np.ndarray) -> np.ndarray:
    total, count = sums[..., 0], sums[..., 1]
    return np.where(count > 0, total / np.where(count > 0, count, 1), np.nan)


@dataclass(frozen=True)
class Interval:
    """A score and its percentile bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How much higher a scores than b on the same rows, its interval, and a two-sided p."""

    difference: float
    low: float
    high: float
    p: float


def bootstrap(
    systems: Mapping[Key, Sums], resamples: int = RESAMPLES, seed: int = 0
) -> dict[Key, np.ndarray]:
    """The score of each system on each resample of the rows: {name: array of (resamples,)}.

    All systems are scored on the same resamples (Efron and Tibshirani 1993; paired as in Koehn
    2004). Raises ValueError where systems differ in their number of rows.
    """
    n = _rows_of(systems)
    table = np.concatenate([s.rows for s in systems.values()], axis=1)
    drawn = np.concatenate(
        [weights @ table for weights in _resample_weights(n, resamples, seed)], axis=0
    )
    return _apply(systems, drawn)


def intervals(
    systems: Mapping[Key, Sums], resamples: int = RESAMPLES, seed: int = 0
) -> dict[Key, Interval]:
    """Each system's score with its 95% percentile bootstrap interval."""
    drawn = bootstrap(systems, resamples, seed)
    return {
        name: Interval(sums.total(), *percentile_interval(drawn[name]))
        for name, sums in systems.items()
    }


def differences(
    systems: Mapping[Key, Sums],
    pairs: Sequence[tuple[Key, Key]],
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> dict[tuple[Key, Key], Difference]:
    """For each pair (a, b): score of a minus score of b, its paired interval and p."""
    drawn = bootstrap(systems, resamples, seed)
    p_values = randomisation_p(systems, pairs, permutations, seed)
    return {
        (a, b): Difference(
            systems[a].total() - systems[b].total(),
            *percentile_interval(drawn[a] - drawn[b]),
            p_values[a, b],
        )
        for a, b in pairs
    }


def randomisation_p(
    systems: Mapping[Key, Sums],
    pairs: Sequence[tuple[Key, Key]],
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> dict[tuple[Key, Key], float]:
    """Two-sided p by approximate randomisation (Noreen 1989): rows swap systems at random.

    Of `permutations` swaps plus the data itself, the share whose difference is at least as large.
    """
    n = _rows_of(systems)
    table = np.concatenate([s.rows for s in systems.values()], axis=1)
    chosen = np.concatenate([swaps @ table for swaps in _swaps(n, permutations, seed)], axis=0)
    moved = dict(zip(systems, np.split(chosen, _edges(systems), axis=1), strict=True))
    p_values = {}
    for a, b in pairs:
        first, second = systems[a], systems[b]
        total_a, total_b = first.rows.sum(axis=0), second.rows.sum(axis=0)
        change = moved[b] - moved[a]
        swapped = second.score(total_b - change) - first.score(total_a + change)
        observed = abs(float(second.score(total_b) - first.score(total_a)))
        as_large = np.abs(swapped) >= observed - 1e-9 * max(1.0, observed)
        p_values[a, b] = float((as_large.sum() + 1) / (permutations + 1))
    return p_values


def percentile_interval(drawn: np.ndarray) -> tuple[float, float]:
    """The middle 95% of the resamples; resamples without a score (NaN) are left out."""
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return float("nan"), float("nan")
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number (Holm 1979), in the order given, at most 1."""
    order = np.argsort(p_values, kind="stable")
    corrected = [0.0] * len(order)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def too_few(difference: float, low: float, high: float, n: int) -> bool:
    """Whether the rows are too few to say: the interval is wider than the claim, or n < 10."""
    return n < FEWEST_ROWS or not (high - low) <= abs(difference)


def verdict(difference: float, low: float, high: float, p: float, n: int) -> str:
    """ "higher", "lower", "no difference shown" or "too few to say", of a against b."""
    if too_few(difference, low, high, n):
        return "too few to say"
    if p >= 1 - CONFIDENCE / 100 or low <= 0 <= high:
        return "no difference shown"
    return "higher" if difference > 0 else "lower"


def _rows_of(systems: Mapping[Key, Sums]) -> int:
    counts = {name: len(sums.rows) for name, sums in systems.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"systems must be scored on the same rows, and here they have {counts}")
    n = next(iter(counts.values()))
    if not n:
        raise ValueError("there are no rows to score")
    return n


def _edges(systems: Mapping[Key, Sums]) -> np.ndarray:
    return np.cumsum([s.rows.shape[1] for s in systems.values()])[:-1]


def _apply(systems: Mapping[Key, Sums], drawn: np.ndarray) -> dict[Key, np.ndarray]:
    parts = np.split(drawn, _edges(systems), axis=1)
    return {
        name: sums.score(part) for (name, sums), part in zip(systems.items(), parts, strict=True)
    }


def _resample_weights(n: int, resamples: int, seed: int):
    """How often each row is drawn, (some resamples, n) at a time."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // n)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.integers(0, n, size=(count, n)) + n * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n).astype(float)


def _swaps(n: int, permutations: int, seed: int):
    """Which rows swap, as 0 and 1, (some permutations, n) at a time."""
    rng = np.random.default_rng(seed + 1)
    step = max(1, _CHUNK // n)
    for start in range(0, permutations, step):
        count = min(step, permutations - start)
        yield rng.integers(0, 2, size=(count, n), dtype=np.int8).astype(float)
