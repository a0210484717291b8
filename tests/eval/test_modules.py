"""The evaluate.Metric subclasses: the packages' figures, no network, nothing left on disk."""

import os
import socket
from types import SimpleNamespace

import evaluate
import pytest
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF

from eval import checks, semantic
from eval.metrics import load
from eval.modules import MODULES
from eval.rouge import ROUGE_NAMES, sentence_lines

PREDICTIONS = ["1. Small left effusion.\n2. No edema.", "No acute disease.", ""]
REFERENCES = [
    "1. Small left pleural effusion.",
    "No acute cardiopulmonary disease.",
    "Clear lungs.",
]


@pytest.fixture(autouse=True)
def no_socket(monkeypatch):
    def refuse(*_):
        raise AssertionError("a metric opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)


def test_rouge_equals_rouge_score():
    found = load("rouge").compute(predictions=PREDICTIONS, references=REFERENCES)
    scorer = rouge_scorer.RougeScorer(ROUGE_NAMES, use_stemmer=True)
    rows = []
    for output, reference in zip(PREDICTIONS, REFERENCES, strict=True):
        lines = ["\n".join(sentence_lines(text)) for text in (reference, output)]
        rows.append(
            scorer.score(reference, output) | {"rougeLsum": scorer.score(*lines)["rougeLsum"]}
        )
    for name in ROUGE_NAMES:
        mean = 100 * sum(row[name].fmeasure for row in rows) / len(rows)
        assert found[name] == pytest.approx(mean, abs=1e-9)


def test_bleu_and_chrf_equal_sacrebleu():
    found = load("bleu").compute(predictions=PREDICTIONS, references=REFERENCES)
    theirs = BLEU().corpus_score(PREDICTIONS, [REFERENCES])
    assert found["bleu"] == pytest.approx(theirs.score, abs=1e-9)
    assert found["brevity_penalty"] == pytest.approx(theirs.bp, abs=1e-9)
    assert (found["output_length"], found["reference_length"]) == (theirs.sys_len, theirs.ref_len)
    chrf = load("chrf").compute(predictions=PREDICTIONS, references=REFERENCES)["chrf"]
    assert chrf == pytest.approx(CHRF().corpus_score(PREDICTIONS, [REFERENCES]).score, abs=1e-9)


def test_bertscore_takes_its_model_and_says_why_it_is_missing(tiny):
    found = load("bertscore", model=tiny.backbone).compute(
        predictions=PREDICTIONS, references=REFERENCES
    )
    theirs = semantic.bertscore(PREDICTIONS, REFERENCES, tiny.backbone)
    assert found["bertscore"] == pytest.approx(theirs.mean(), abs=1e-9)
    with pytest.raises(ValueError, match="BERTScore is missing: its model no/such"):
        load("bertscore", model="no/such").compute(predictions=["a"], references=["b"])


def test_checks_are_read_through_the_one_interface(monkeypatch):
    def check(task, source, output):
        assert task == "dialogue"
        return [SimpleNamespace(kind="side")] if "left" in output and "left" not in source else []

    module = SimpleNamespace(check=check)
    monkeypatch.setattr(checks.importlib, "import_module", lambda name: module)
    found = load("checks", task="dialogue").compute(
        predictions=PREDICTIONS, sources=["A small effusion on the right.", "Clear.", "left"]
    )
    assert found["check_side"] == pytest.approx(100 / 3)
    assert found["check_number"] == 0


def test_all_of_them_are_evaluates_metrics_and_leave_nothing_on_disk(tmp_path, monkeypatch, tiny):
    before = sorted(os.walk(os.environ["HOME"]))
    monkeypatch.chdir(tmp_path)
    for name in MODULES:
        metric = load(name, model=tiny.backbone) if name == "bertscore" else load(name)
        assert isinstance(metric, evaluate.Metric)
        texts = {"predictions": PREDICTIONS, "references": REFERENCES}
        if name in ("style", "checks"):
            texts["sources"] = REFERENCES
        if name == "checks":
            del texts["references"]
        assert all(isinstance(value, (int, float)) for value in metric.compute(**texts).values())
    assert not os.listdir(tmp_path)
    assert sorted(os.walk(os.environ["HOME"])) == before


def test_they_take_rows_one_by_one_and_combine():
    metric = load("rouge")
    for prediction, reference in zip(PREDICTIONS, REFERENCES, strict=True):
        metric.add(prediction=prediction, reference=reference)
    assert metric.compute() == load("rouge").compute(predictions=PREDICTIONS, references=REFERENCES)
    both = evaluate.combine([load("rouge"), load("bleu")])
    found = both.compute(predictions=PREDICTIONS, references=REFERENCES)
    assert {"rougeL", "bleu"} <= set(found)


def test_an_unknown_name_is_refused():
    with pytest.raises(KeyError):
        load("accuracy")
