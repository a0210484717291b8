"""The README says what the files say."""

import json
import re
from pathlib import Path

import pytest

from eval import readme
from summarizer.tasks import TASKS

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _in_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_the_figures_are_those_of_the_files():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.written(text) == text, "run python -m eval.readme"


def test_every_task_has_a_row_with_its_n():
    table = readme.scores_table()
    for task in TASKS:
        scores = json.loads((ROOT / "models" / task / "scores.json").read_text())
        sources = [s for s in scores["segments"] if s["by"] == "source"]
        assert sources
        for segment in sources:
            assert re.search(rf"\| {task}, {segment['value']} \| {segment['n']} \|", table)


def test_a_changed_figure_is_seen():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    figure = re.search(r"\*\*(\d+\.\d) \[", text)
    assert figure
    changed = text.replace(figure[0], "**99.9 [", 1)
    assert readme.written(changed) == text != changed


def test_pictures_and_files_that_it_names_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http|#)([^)]+)\)", text):
        assert (ROOT / target).exists(), target
