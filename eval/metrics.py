"""Every score this project reports, by name: what it means, and how rows become its sums.

The functions that measure are pure and live beside this file: `rouge`, `overlap` (BLEU, chrF),
`clinical` (focus of a question, abnormality of an impression), `style`. Here they are gathered
into one table, so that an interval, a paired test and a segment treat them all alike.

    rouge(outputs, references)["rougeL"]      # (rows,) array, x100
    bleu(outputs, references).score           # corpus BLEU x100
    measure("radiology", rows, outputs)       # {name: Sums} for eval.statistics
    load("rouge").compute(predictions=..., references=...)   # an evaluate.Metric, no network
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval import overlap, style
from eval.clinical import focus_kept, focus_words, tells_abnormality
from eval.faults import new_words
from eval.rouge import rouge, sentence_lines
from eval.statistics import Sums, mean_of

__all__ = [
    "METRICS", "BleuScore", "Metric", "abnormality", "bleu", "chrf", "focus_kept",
    "focus_words", "form", "load", "measure", "rouge", "tells_abnormality",
]  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """What a name in scores.json stands for.

    better: "higher", "lower" or "" where neither is. x100 except where `count` says that the
    figure is a count per row. quality: whether it stands among the scores of a system or, like a
    length or an error rate, among what its texts look like.
    """

    title: str
    explanation: str
    better: str = "higher"
    count: bool = False

    @property
    def quality(self) -> bool:
        return self.better == "higher"


METRICS: dict[str, Metric] = {
    "rouge1": Metric("ROUGE-1", "words shared with the reference, F-measure, stemmed"),
    "rouge2": Metric("ROUGE-2", "pairs of words shared with the reference"),
    "rougeL": Metric("ROUGE-L", "longest common subsequence with the reference"),
    "rougeLsum": Metric("ROUGE-Lsum", "the same, sentence by sentence"),
    "bleu": Metric("BLEU", "corpus BLEU, sacrebleu's defaults (13a, exp), brevity penalty in it"),
    "bleu_brevity_penalty": Metric("brevity penalty", "100: no penalty", ""),
    "bleu_output_length": Metric("output length", "BLEU tokens a row", "", True),
    "bleu_reference_length": Metric("reference length", "BLEU tokens a row", "", True),
    "chrf": Metric("chrF", "characters shared with the reference, corpus chrF2 of sacrebleu"),
    "bertscore": Metric("BERTScore", "F1 of contextual embeddings"),
    "focus_kept": Metric("focus kept", "content words of the reference question that are named"),
    "abnormal_kept": Metric("abnormal as abnormal", "of rows whose reference tells a finding"),
    "normal_kept": Metric("normal as normal", "of rows whose reference tells none"),
    "abnormality_agreement": Metric("abnormality agrees", "either, of all rows"),
    "numbered": Metric("numbered", "outputs as numbered points", ""),
    "bulleted": Metric("bulleted", "outputs with bullets", ""),
    "form_kept": Metric("form kept", "numbered, bulleted or neither as the reference is", ""),
    "sentences": Metric("sentences", "sentences an output", "", True),
    "length_ratio": Metric("length ratio", "output's words per word of the reference", ""),
    "copied": Metric("copied", "words in runs of 4 or more taken from the input", ""),
    "new_words": Metric("new words", "content words that the input lacks", ""),
    "new_bigrams": Metric("new bigrams", "pairs of words that the input lacks", ""),
    "repetition": Metric("repetition", "3-grams said again", "lower"),
    "empty": Metric("empty", "outputs without a word", "lower"),
    "cut_off": Metric("cut off", "outputs that reached the length limit", "lower"),
    "not_extracted": Metric("not extracted", "answers without an impression to find", "lower"),
    "check_side": Metric("wrong side", "outputs with a left/right not in the source", "lower"),
    "check_negation": Metric("negation", "outputs that turn a denial or a finding", "lower"),
    "check_number": Metric("number", "outputs with a number not in the source", "lower"),
    "check_unsupported": Metric("unsupported", "outputs stating what the source lacks", "lower"),
    "check_missed": Metric("missed", "outputs without a critical finding of the source", "lower"),
}


@dataclass(frozen=True)
class BleuScore:
    """Corpus BLEU x100, its brevity penalty (1: none) and both lengths in tokens."""

    score: float
    brevity_penalty: float
    output_length: int
    reference_length: int


def bleu(outputs: Sequence[str], references: Sequence[str]) -> BleuScore:
    """Corpus BLEU as sacrebleu gives it with its defaults."""
    sums = overlap.bleu_sums(outputs, references).sum(axis=0)
    return BleuScore(
        float(overlap.bleu_of(sums)),
        float(overlap.brevity_penalty_of(sums)),
        int(sums[0]),
        int(sums[1]),
    )


def chrf(outputs: Sequence[str], references: Sequence[str]) -> float:
    """Corpus chrF x100 as sacrebleu gives it with its defaults."""
    return float(overlap.chrf_of(overlap.chrf_sums(outputs, references).sum(axis=0)))


def abnormality(outputs: Sequence[str], references: Sequence[str]) -> dict[str, np.ndarray]:
    """Does an impression tell a finding where its reference does? x100, NaN where not asked.

    {abnormal_kept, normal_kept, abnormality_agreement: array of shape (rows,)}.
    """
    told = np.array([tells_abnormality(text) for text in outputs], dtype=bool)
    expected = np.array([tells_abnormality(text) for text in references], dtype=bool)
    empty = np.array([not text.strip() for text in outputs], dtype=bool)
    agrees = 100.0 * ((told == expected) & ~empty)
    return {
        "abnormal_kept": np.where(expected, agrees, np.nan),
        "normal_kept": np.where(expected, np.nan, agrees),
        "abnormality_agreement": agrees,
    }


def measure(
    task: str, rows: Sequence[Mapping[str, Any]], outputs: Sequence[str]
) -> dict[str, Sums]:
    """All scores of one system that need nothing but text: {name of METRICS: Sums}.

    rows: each with `input` and `target`; outputs: as many texts. Raises ValueError otherwise.
    """
    if len(outputs) != len(rows):
        raise ValueError(f"{len(outputs)} outputs for {len(rows)} rows")
    references = [row["target"] for row in rows]
    sources = [row["input"] for row in rows]
    sums = {name: mean_of(values) for name, values in rouge(outputs, references).items()}
    sums |= _overlap(outputs, references)
    if task == "question":
        kept = [focus_kept(o, r) for o, r in zip(outputs, references, strict=True)]
        sums["focus_kept"] = mean_of(kept)
    if task == "radiology":
        sums |= {name: mean_of(v) for name, v in abnormality(outputs, references).items()}
    return sums | form(outputs, references, sources)


def _overlap(outputs: Sequence[str], references: Sequence[str]) -> dict[str, Sums]:
    counts = overlap.bleu_sums(outputs, references)
    lengths = counts[:, :2]
    return {
        "bleu": Sums(counts, overlap.bleu_of),
        "bleu_brevity_penalty": Sums(lengths, lambda s: 100 * overlap.brevity_penalty_of(s)),
        "bleu_output_length": mean_of(lengths[:, 0]),
        "bleu_reference_length": mean_of(lengths[:, 1]),
        "chrf": Sums(overlap.chrf_sums(outputs, references), overlap.chrf_of),
    }


def form(
    outputs: Sequence[str], references: Sequence[str], sources: Sequence[str]
) -> dict[str, Sums]:
    """What texts look like, by `eval.style`: {name of METRICS: Sums}."""
    numbered = [style.is_numbered(o) for o in outputs]
    bulleted = [style.is_bulleted(o) for o in outputs]
    form_kept = [
        style.is_numbered(o) == style.is_numbered(r)
        and style.is_bulleted(o) == style.is_bulleted(r)
        for o, r in zip(outputs, references, strict=True)
    ]
    return {
        "numbered": mean_of(100.0 * np.array(numbered)),
        "bulleted": mean_of(100.0 * np.array(bulleted)),
        "form_kept": mean_of(100.0 * np.array(form_kept)),
        "sentences": mean_of([float(len(sentence_lines(o))) for o in outputs]),
        "length_ratio": mean_of(list(map(style.length_ratio, outputs, references))),
        "copied": _mean_of_all(list(map(style.copied, outputs, sources))),
        "new_words": _mean_of_all(list(map(new_words, outputs, sources))),
        "new_bigrams": _mean_of_all(list(map(style.new_ngrams, outputs, sources))),
        "repetition": mean_of(list(map(style.repetition, outputs))),
        "empty": mean_of([100.0 * (not style.words(o)) for o in outputs]),
    }


def _mean_of_all(values: Sequence[float]) -> Sums:
    """An output too short to have a share counts as 0: left out, systems would differ in rows."""
    return mean_of(np.nan_to_num(np.array(values, dtype=float)))


def load(name: str, **options: Any):
    """An `evaluate.Metric` of this project by name, without the network.

    options: `model` of "bertscore", `task` of "checks".

    Raises KeyError for a name that `eval.modules` does not have.
    """
    from eval.modules import MODULES

    return MODULES[name](**options)
