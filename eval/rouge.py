"""ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum, row by row, equal to the rouge-score package.

The package fills its longest-common-subsequence tables in plain Python and stems every word anew,
which takes minutes on a thousand long notes. Here stems are remembered and the tables are rows of
bits (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"); the figures are the same to the
last bit, which tests/eval/test_rouge.py holds against the package.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

ROUGE_NAMES = ("rouge1", "rouge2", "rougeL", "rougeLsum")

Token = str
_NOT_A_TOKEN = re.compile(r"[^a-z0-9]+")


def rouge(outputs: Sequence[str], references: Sequence[str]) -> dict[str, np.ndarray]:
    """F-measures x100 of each output against its reference: {name: array of shape (rows,)}.

    Stemmer on. ROUGE-Lsum takes each sentence as a line (`sentence_lines`). Raises ValueError where
    the two sequences differ in length.
    """
    if len(outputs) != len(references):
        raise ValueError(f"{len(outputs)} outputs for {len(references)} references")
    rows = [rouge_row(output, ref) for output, ref in zip(outputs, references, strict=True)]
    return {
        name: np.array([row[k] for row in rows], dtype=float) for k, name in enumerate(ROUGE_NAMES)
    }


def rouge_row(output: str, reference: str) -> tuple[float, float, float, float]:
    """ROUGE-1, -2, -L, -Lsum of one output, F-measure x100."""
    lines = [tokenize(line) for line in sentence_lines(output)]
    ref_lines = [tokenize(line) for line in sentence_lines(reference)]
    return (
        100 * f_measure("rouge1", output, reference),
        100 * f_measure("rouge2", output, reference),
        100 * f_measure("rougeL", output, reference),
        100 * _summary_f(lines, ref_lines),
    )


def f_measure(name: str, output: str, reference: str) -> float:
    """`rouge1`, `rouge2` or `rougeL` of one output, 0 to 1."""
    tokens, ref_tokens = tokenize(output), tokenize(reference)
    if name == "rougeL":
        return _f(lcs_length(ref_tokens, tokens), len(tokens), len(ref_tokens))
    return _ngram_f(tokens, ref_tokens, {"rouge1": 1, "rouge2": 2}[name])


def sentence_lines(text: str) -> list[str]:
    """The sentences of a text, one a line, as ROUGE-Lsum wants them."""
    from summarizer.text import sentences

    return [part for s in sentences(text) for part in s.split("\n") if part]


@lru_cache(maxsize=20_000)
def tokenize(text: str) -> tuple[Token, ...]:
    """rouge-score's tokens: lower case, letters and digits, words over 3 characters stemmed."""
    words = _NOT_A_TOKEN.sub(" ", text.lower()).split()
    return tuple(_stem(word) if len(word) > 3 else word for word in words)


@lru_cache(maxsize=200_000)
def _stem(word: str) -> str:
    return _stemmer().stem(word)


@lru_cache(maxsize=1)
def _stemmer():
    from nltk.stem import porter

    return porter.PorterStemmer()


def lcs_length(reference: Sequence[Token], output: Sequence[Token]) -> int:
    """Length of the longest common subsequence."""
    return len(output) - (_last_bits(reference, _positions(output), len(output))).bit_count()


def _ngram_f(output: Sequence[Token], reference: Sequence[Token], n: int) -> float:
    ours, theirs = _ngrams(output, n), _ngrams(reference, n)
    hits = sum(min(count, ours[gram]) for gram, count in theirs.items())
    precision = hits / max(sum(ours.values()), 1)
    recall = hits / max(sum(theirs.values()), 1)
    return _harmonic(precision, recall)


def _ngrams(tokens: Sequence[Token], n: int) -> Counter:
    return Counter(zip(*(tokens[k:] for k in range(n)), strict=False))


def _summary_f(output: Sequence[Sequence[Token]], reference: Sequence[Sequence[Token]]) -> float:
    """Summary-level LCS (Lin 2004, section 3.2), a token counted no oftener than it occurs."""
    left_in_output = Counter(token for line in output for token in line)
    left_in_reference = Counter(token for line in reference for token in line)
    output_length, reference_length = left_in_output.total(), left_in_reference.total()
    lines = [(_positions(line), len(line), line) for line in output]
    hits = 0
    for ref_line in reference:
        union: set[int] = set()
        for positions, length, line in lines:
            union |= _lcs_indices(ref_line, positions, length, line)
        for index in sorted(union):
            token = ref_line[index]
            if left_in_output[token] > 0 and left_in_reference[token] > 0:
                hits += 1
                left_in_output[token] -= 1
                left_in_reference[token] -= 1
    return _f(hits, output_length, reference_length)


def _f(hits: int, output_length: int, reference_length: int) -> float:
    if not output_length or not reference_length:
        return 0.0
    return _harmonic(hits / output_length, hits / reference_length)


def _harmonic(precision: float, recall: float) -> float:
    if precision + recall > 0:
        return 2 * precision * recall / (precision + recall)
    return 0.0


# --- the table of the longest common subsequence, a row of bits for each reference token --------
# After reference token i, bit j of the row is 0 where the table grows by one from column j to j+1.


def _positions(tokens: Sequence[Token]) -> dict[Token, int]:
    """Where each token stands, as a bit mask."""
    masks: dict[Token, int] = {}
    for k, token in enumerate(tokens):
        masks[token] = masks.get(token, 0) | (1 << k)
    return masks


def _last_bits(reference: Sequence[Token], positions: dict[Token, int], length: int) -> int:
    full = (1 << length) - 1
    row = full
    for token in reference:
        matches = positions.get(token)
        if matches:
            row = _next_row(row, matches, full)
    return row


def _next_row(row: int, matches: int, full: int) -> int:
    both = row & matches
    return ((row + both) | (row - both)) & full


def _lcs_indices(
    reference: Sequence[Token], positions: dict[Token, int], length: int, output: Sequence[Token]
) -> set[int]:
    """Places in the reference of the one LCS that the package's backtracking finds.

    Reference tokens that the output lacks never change the table nor the path: they are skipped.
    """
    kept = [k for k, token in enumerate(reference) if token in positions]
    if not kept:
        return set()
    full = (1 << length) - 1
    rows = [full]
    for k in kept:
        rows.append(_next_row(rows[-1], positions[reference[k]], full))
    found: set[int] = set()
    i, j = len(kept), length
    while i and j:
        if reference[kept[i - 1]] == output[j - 1]:
            found.add(kept[i - 1])
            i -= 1
            j -= 1
        elif _goes_left(rows, i, j):
            j -= 1
        else:
            i -= 1
    return found


def _goes_left(rows: list[int], i: int, j: int) -> bool:
    """Whether table[i][j-1] > table[i-1][j] (a count of zero bits, so fewer ones is more)."""
    if not rows[i] >> (j - 1) & 1:  # table[i][j] > table[i][j-1], so the row above holds as much
        return False
    below = (1 << j) - 1
    return (rows[i - 1] & below).bit_count() > (rows[i] & below).bit_count()
