"""The project's scores as `evaluate.Metric`s, without the network.

`evaluate.load("rouge")` fetches a script; these are classes, made by `eval.metrics.load("rouge")`,
and combine like any other:

    evaluate.combine([load("rouge"), load("bleu")]).compute(predictions=..., references=...)

Only BERTScore needs a model: `load("bertscore", model="FOLDER")`.

Texts are kept in memory, never in evaluate's cache on disk: they may be a patient's.
"""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import numpy as np

from eval import checks, metrics, semantic


class _InMemory(evaluate.Metric):
    """What all of them share: texts in, x100 out, nothing on disk."""

    description = ""
    citation = ""
    columns: tuple[str, ...] = ("predictions", "references")

    def __init__(self, config_name: str | None = None, **options: Any) -> None:
        super().__init__(config_name, **({"keep_in_memory": True} | options))

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.description,
            citation=self.citation,
            inputs_description=f"{', '.join(self.columns)}: lists of texts of the same length.",
            features=datasets.Features({name: datasets.Value("string") for name in self.columns}),
        )

    def _build_data_dir(self) -> str:
        return ""  # evaluate would make a folder in its cache

    def _download_and_prepare(self, dl_manager: Any) -> None:
        pass


class Rouge(_InMemory):
    """ROUGE-1, -2, -L, -Lsum: mean F-measures x100, stemmer on, a sentence a line for Lsum."""

    description = "ROUGE F-measures x100 of the rouge-score package, stemmer on."
    citation = "Lin C-Y. ROUGE: A Package for Automatic Evaluation of Summaries. 2004"

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        found = metrics.rouge(predictions, references)
        return {name: float(values.mean()) for name, values in found.items()}


class Bleu(_InMemory):
    """Corpus BLEU x100 with its brevity penalty and both lengths in tokens."""

    description = "Corpus BLEU x100, sacrebleu's defaults."
    citation = "Post M. A Call for Clarity in Reporting BLEU Scores. WMT 2018"

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        found = metrics.bleu(predictions, references)
        return {
            "bleu": found.score,
            "brevity_penalty": found.brevity_penalty,
            "output_length": found.output_length,
            "reference_length": found.reference_length,
        }


class Chrf(_InMemory):
    """Corpus chrF x100."""

    description = "Corpus chrF x100, sacrebleu's defaults."
    citation = "Popovic M. chrF: character n-gram F-score for automatic MT evaluation. WMT 2015"

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        return {"chrf": metrics.chrf(predictions, references)}


class FocusKept(_InMemory):
    """Share x100 of a reference question's content words that the output names."""

    description = "Focus kept of a question, see eval.clinical."

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        kept = [metrics.focus_kept(p, r) for p, r in zip(predictions, references, strict=True)]
        return {"focus_kept": _mean(kept)}


class Abnormality(_InMemory):
    """Whether an impression tells a finding where its reference does, x100."""

    description = "Abnormal told as abnormal, normal as normal, see eval.clinical."

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        found = metrics.abnormality(predictions, references)
        return {name: _mean(values) for name, values in found.items()}


class Style(_InMemory):
    """What the texts look like: points, lengths, copying, repetition."""

    description = "Form of the texts, see eval.style."
    columns = ("predictions", "references", "sources")

    def _compute(
        self, predictions: list[str], references: list[str], sources: list[str]
    ) -> dict[str, float]:
        found = metrics.form(predictions, references, sources)
        return {name: sums.total() for name, sums in found.items()}


class BertScore(_InMemory):
    """BERTScore F1 x100 with the encoder of that folder or name on the Hub, if it can be loaded."""

    description = "F1 x100 of contextual embeddings, not rescaled, see eval.semantic."
    citation = "Zhang T et al. BERTScore: Evaluating Text Generation with BERT. ICLR 2020"

    def __init__(self, config_name: str | None = None, **options: Any) -> None:
        self.model = options.pop("model", semantic.DEFAULT_MODEL)
        super().__init__(config_name, **options)

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        reason = semantic.why_missing(self.model, fetch=True)
        if reason:
            raise ValueError(reason)
        return {"bertscore": _mean(semantic.bertscore(predictions, references, self.model))}


class Checks(_InMemory):
    """Share x100 of outputs with each kind of error against their sources; nothing where no
    checker is there (`eval.checks`). The task is that of the texts."""

    description = "Rates of errors against the source, see eval.checks."
    columns = ("predictions", "sources")

    def __init__(self, config_name: str | None = None, **options: Any) -> None:
        self.task = options.pop("task", "radiology")
        super().__init__(config_name, **options)

    def _compute(self, predictions: list[str], sources: list[str]) -> dict[str, float]:
        rows = [{"input": source} for source in sources]
        found = checks.rates(self.task, rows, predictions)
        return {f"check_{kind}": _mean(values) for kind, values in found.items()}


MODULES = {
    "rouge": Rouge,
    "bleu": Bleu,
    "chrf": Chrf,
    "focus_kept": FocusKept,
    "abnormality": Abnormality,
    "style": Style,
    "bertscore": BertScore,
    "checks": Checks,
}


def _mean(values: Any) -> float:
    known = np.array(values, dtype=float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else float("nan")
