"""Each category of error is found where it is, and the report shows texts as text."""

import json
import re
from types import SimpleNamespace

import pytest
from eval_helpers import rows, write_predictions

from eval import checks, errors
from eval.faults import CATEGORIES, content_words, faults, numbers
from eval.rows import read_predictions

SOURCE = (
    "The heart is enlarged. There is a small left pleural effusion and a 5 mm nodule in the right "
    "upper lobe. No pneumothorax. No consolidation in either lung is seen on this examination."
)
REFERENCE = "1. Cardiomegaly.\n2. Small left pleural effusion.\n3. 5 mm right upper lobe nodule."

CASES = {
    "empty": "",
    "omission": "1. Clear.\n2. Nodule.",
    "unsupported statement": "1. Cardiomegaly, small left pleural effusion, 5 mm right upper lobe "
    "nodule.\n2. Degenerative spondylosis, osteopenia, kyphosis, hepatic steatosis, cholelithiasis, "
    "diverticulosis, hydronephrosis.",
    "wrong side": "1. Cardiomegaly.\n2. Small right pleural effusion.\n3. 5 mm upper lobe nodule.",
    "negation": "1. Cardiomegaly.\n2. Small left pleural effusion.\n3. Lobe nodule. Pneumothorax.",
    "number": "1. Cardiomegaly.\n2. Small left pleural effusion.\n3. 9 mm right upper lobe nodule.",
    "copying": SOURCE,
    "repetition": "1. Cardiomegaly." + " Small left pleural effusion." * 6 + " 5 mm lobe nodule.",
    "wrong form": "Cardiomegaly, small left pleural effusion and 5 mm right upper lobe nodule.",
}


def found(text, task="radiology", **options):
    row = {"input": SOURCE, "target": REFERENCE}
    return {fault.category for fault in faults(task, row, text, **options)}


@pytest.mark.parametrize("category", CASES)
def test_a_category_is_found_where_it_is(category):
    assert category in found(CASES[category])


def test_a_good_output_has_no_fault():
    assert found(REFERENCE) == set()


def test_an_output_at_the_limit_is_cut_off():
    assert found(REFERENCE, cut_off=True) == {"cut off"}


def test_a_denial_that_the_input_makes_is_no_fault():
    text = REFERENCE + "\n4. No pneumothorax."
    assert "negation" not in found(text)
    assert "negation" in found(REFERENCE.replace("2. Small left", "2. No"))


def test_forms_of_the_other_tasks():
    row = {
        "input": "My knee hurts since I fell. What can I do about it?",
        "target": "What helps a knee?",
    }
    assert {f.category for f in faults("question", row, "Knee helps.")} == {"wrong form"}
    assert faults("question", row, "What helps a knee?") == []
    talk = {"input": "Doctor: Any pain?\nPatient: In my knee.", "target": "Knee pain."}
    assert "wrong form" in {
        f.category for f in faults("dialogue", talk, "Doctor: Any pain?\nPatient: In my knee.")
    }


def test_numbers_are_compared_however_they_are_written():
    spoken = "I am twenty six, it was nineteen eighty four, one hundred and twenty over eighty"
    assert {"26", "1984", "120", "80"} <= numbers(spoken)
    assert numbers("1. Nodule of 5.0 mm. 2. 1,200 mL") == {"5", "1200"}
    assert numbers("two thousand eight") == {"2008"}
    assert numbers("the fourth toe") == {"4"}


@pytest.mark.parametrize(
    ("said", "written", "new"),
    [
        ("your a1c went from nine point one to seven point four", "9.1, now 7.4", False),
        ("the potassium was three point oh five", "3.05", False),
        ("ninety eight point six", "98.6", False),
        ("the troponin is point four", "0.4", False),
        ("a hundred and one point two", "101.2", False),
        ("the point is , two of them", "0.4", True),
        ("seven point four", "7.5", True),
        ("at that point four doses", "4 doses", False),
    ],
)
def test_decimals_are_numbers_in_words_as_well(said, written, new):
    row = {"input": f"[doctor] {said}", "target": written}
    assert ("number" in {f.category for f in faults("dialogue", row, f"It was {written}.")}) == new


def test_a_length_in_another_unit_is_no_other_number():
    assert "number" not in found(REFERENCE.replace("5 mm", "0.5 cm"))
    assert "number" not in found(REFERENCE.replace("5 mm", "5mm"))
    assert "number" in found(REFERENCE.replace("5 mm", "5 cm").replace("5 cm", "0.05 cm"))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("There is a small effusion on the right.", True),
        ("There is a small effusion on the left side.", False),
        ("An effusion on right.", True),
        ("Right-sided effusion.", True),
    ],
)
def test_a_side_is_seen_behind_what_it_is_said_of(text, wrong):
    assert ("wrong side" in found(text)) == wrong


def test_the_numbers_of_points_are_no_content():
    assert content_words("1. Clear.\n2. A 5mm nodule.").keys() == {"clear", "5", "mm", "nodul"}
    row = {"input": SOURCE, "target": "1. Cardiomegaly.\n2. Effusion.\n3. Nodule."}
    named = "Cardiomegaly and effusion."
    assert "omission" not in {fault.category for fault in faults("radiology", row, named)}


def test_content_words_keep_the_word_as_written():
    assert content_words("There is a Small effusion of XXXX effusions") == {
        "small": "Small",
        "effus": "effusion",
    }


def test_findings_of_checks_take_the_place_of_the_rules(monkeypatch):
    module = SimpleNamespace(
        check=lambda task, source, output: [SimpleNamespace(kind="side", message="left for right")]
    )
    monkeypatch.setattr(checks.importlib, "import_module", lambda name: module)
    assert found(CASES["number"]) == {"wrong side"}
    assert checks.rates("radiology", rows(2), ["a", "b"])["side"] == [100.0, 100.0]
    assert checks.rates("radiology", rows(2), ["a", "b"])["number"] == [0.0, 0.0]


def test_without_checks_nothing_is_claimed(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name="summarizer.checks")

    monkeypatch.setattr(checks.importlib, "import_module", missing)
    assert not checks.available() and checks.rates("radiology", rows(2), ["a", "b"]) == {}


@pytest.fixture
def predictions(tmp_path):
    lines = []
    texts = list(CASES.values())
    for k, row in enumerate(rows(2 * len(texts))):
        lora = texts[k] if k < len(texts) else REFERENCE
        hostile = f"<script>alert({k})</script> ``` # x"
        lines.append(row | {"input": SOURCE, "target": REFERENCE, "base": hostile, "lora": lora,
                            "finish": {"base": "length", "lora": "end"}})  # fmt: skip
    return write_predictions(tmp_path / "p.jsonl", lines)


def test_every_category_is_counted_with_the_rules_own_error_rate(predictions):
    analysis = errors.analyse(read_predictions(predictions))
    assert (analysis.system, analysis.against) == ("lora", "base")
    assert all(analysis.counts["lora"][c] >= 1 for c in CASES)
    assert analysis.counts["base"]["cut off"] == 2 * len(CASES)
    assert set(analysis.counts["references"].values()) == {0}
    assert analysis.clean["lora"] == len(CASES)


def test_the_worst_cases_come_first(predictions):
    analysis = errors.analyse(read_predictions(predictions))
    for cases in analysis.cases.values():
        weights = [case.fault.weight for case in cases]
        assert weights == sorted(weights, reverse=True)


def test_both_files_are_written_and_show_texts_as_text(predictions, tmp_path, capsys):
    out = tmp_path / "errors"
    assert errors.main(["--predictions", str(predictions), "--out", str(out)]) == 0
    page = (tmp_path / "errors.html").read_text()
    assert "<script" not in page and "&lt;script&gt;alert(0)&lt;/script&gt;" in page
    assert not re.search(r"(?:src|href)=|url\(|@import", page)  # self-contained
    text = (tmp_path / "errors.md").read_text()
    for category in CASES:
        assert f"## {category} (" in text
    # A model's back quotes and headings end no fence and make no heading.
    assert "````text\n<script>alert(0)</script> ``` # x\n````" in text
    assert capsys.readouterr().out.split() == [f"{out}.md", f"{out}.html"]


def test_a_system_that_is_not_there_is_told(predictions, capsys):
    assert errors.main(["--predictions", str(predictions), "--system", "gpt"]) == 1
    assert "There is no system 'gpt': there are base, lora" in capsys.readouterr().err


def test_floors_alone_have_no_models_errors(tmp_path, capsys):
    lines = [row | {"whole input": row["input"]} for row in rows(3)]
    path = write_predictions(tmp_path / "p.jsonl", lines, **{"whole input": {"method": "rule"}})
    assert errors.main(["--predictions", str(path)]) == 1
    assert "No system here is a model's" in capsys.readouterr().err
    named = ["--predictions", str(path), "--system", "whole input", "--out", str(tmp_path / "e")]
    assert errors.main(named) == 0


def test_categories_are_the_issue_of_the_field():
    assert list(CATEGORIES) == [
        "empty", "omission", "unsupported statement", "wrong side", "negation", "number", "copying",
        "repetition", "cut off", "wrong form",
    ]  # fmt: skip
    assert json.dumps(CATEGORIES)
