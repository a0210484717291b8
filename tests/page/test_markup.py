"""The page's HTML, without a browser: what it says and that it escapes."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import pytest

from summarizer import markup, measured
from summarizer.generate import AdapterInfo, Pair, Summary
from summarizer.markup import Example, Titles
from summarizer.tasks import Decoding, get_task
from summarizer.text import Cut

SCORES = {
    "task": "radiology",
    "data": {"name": "test.jsonl", "split": "test", "sha256": "0", "n": 1403},
    "decoding": {"num_beams": 4, "max_new_tokens": 192},
    "systems": {
        "base": {"rougeL": {"mean": 14.24, "low": 12.9, "high": 15.4}},
        "lora": {"rougeL": {"mean": 60.4, "low": 58.1, "high": 62.6}},
    },
}
EVIL = '<script>alert("x")</script>'


def adapter(scores: object) -> AdapterInfo:
    return AdapterInfo("radiology", "models/radiology", "base", 16, None, None, scores)


def pair(**changes: object) -> Pair:
    values = {
        "base": Summary("one two", 3, 0.5, "end"),
        "lora": Summary("1. One.", 4, 0.4, "end"),
        "cut": None,
        "decoding": Decoding(),
        "prompt": "",
    }
    return Pair(**{**values, **changes})


def test_the_columns_are_titled_by_what_they_are():
    titles = Titles.of("models/base", adapter(None))
    assert titles == Titles("models/base", "models/base + models/radiology")
    html = markup.results(titles, pair())
    assert "<b>Base:</b> models/base</h3>" in html
    assert "<b>LoRA:</b> models/base + models/radiology</h3>" in html


def test_the_revision_of_a_fetched_adapter_is_part_of_its_title():
    info = AdapterInfo("radiology", "owner/name", "base", 16, "0123456789abcdef", None, None)
    assert Titles.of("b", info).lora == "b + owner/name@0123456789ab"


def test_everything_written_by_somebody_is_escaped():
    evil = Example(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL)
    html = markup.results(
        Titles(EVIL, EVIL),
        pair(
            base=Summary(EVIL, 1, 1, "end"),
            lora=Summary(EVIL, 1, 1, "end"),
            cut=Cut(1, 2, EVIL, 1),
        ),
        evil,
    )
    html += markup.status("error", EVIL) + markup.examples(get_task("radiology"), [evil], 1)
    evil_scores = {**SCORES, "data": {**SCORES["data"], "name": EVIL, "split": EVIL}}
    html += markup.scores_line(adapter(evil_scores))
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 9


def test_a_card_tells_the_question_and_not_the_form_it_came_in():
    row = Example("q", "Gout", "SUBJECT: what to eat\nMESSAGE: I have gout.", "What to eat?")
    html = markup.examples(get_task("question"), [row], 1)
    assert "<span>what to eat · I have gout.</span>" in html


def test_the_scores_line_names_n_split_decoding_and_interval():
    line = markup.scores_line(adapter(SCORES))
    for part in (
        "test split",
        "n = 1,403",
        "4 beams, at most 192 tokens",
        "14.2 [12.9, 15.4]",
        "60.4 [58.1, 62.6]",
        "95% intervals",
    ):
        assert part in line


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (
            {"abnormal_kept": 83.2, "normal_kept": 95.6},
            "<b>17%</b> of the abnormal reports were summarised as normal, <b>4%</b> of the normal",
        ),
        ({"focus_kept": 43.6}, "<b>44%</b> were kept."),
        ({"abnormal_kept": 83.2}, None),
        ({}, None),
    ],
)
def test_the_scores_line_tells_what_rouge_does_not_see(kept, told):
    lora = {**SCORES["systems"]["lora"], **{name: {"mean": value} for name, value in kept.items()}}
    line = markup.scores_line(adapter({**SCORES, "systems": {**SCORES["systems"], "lora": lora}}))
    assert told in line if told else line == markup.scores_line(adapter(SCORES))


def test_scores_that_are_missing_or_broken_are_told():
    assert "no measured scores yet" in markup.scores_line(adapter(None))
    broken = {**SCORES, "systems": {"base": {}}}
    assert "cannot be read" in markup.scores_line(adapter(broken))


def test_a_column_says_how_it_ended():
    html = markup.results(Titles("b", "l"), pair(base=Summary("x", 1, 1.24, "length")))
    assert "1.2 s · 1 token · 1 word · ended at the length limit" in html
    assert "0.4 s · 4 tokens · 2 words<" in html


def test_the_results_tab_says_what_the_file_says():
    def paired(difference: float, low: float, high: float, p: float = 0.001) -> list[dict]:
        values = {"difference": difference, "low": low, "high": high, "p": p}
        return [{"a": "lora", "b": "base", "metric": "rougeL", **values}]

    file = {
        **SCORES,
        "paired": paired(46.2, 43.9, 48.4),
        "segments": [
            {"by": "modality", "value": EVIL, "n": 40, "paired": paired(-3.0, -4.0, -2.0)},
            {"by": "modality", "value": "MR", "n": 4, "paired": paired(30.0, 25.0, 35.0)},
            {"by": "modality", "value": "CT", "n": 40, "paired": paired(1.0, -2.0, 3.0)},
        ],
        "versions": {"rouge": "rouge-score, stemmed"},
        "form": {
            "base": {"copied": {"mean": 76.84}, "bleu_output_length": {"mean": 10.1}},
            "lora": {"copied": {"mean": 11.02}, EVIL: {"mean": 1.0}},
        },
    }
    html = measured.scores(get_task("radiology"), adapter(file))
    assert "n = 1,403" in html and "4 beams" in html
    assert "<b>60.4</b> <span>[58.1, 62.6]</span>" in html
    assert "<b>+46.2</b> <span>[+43.9, +48.4]</span></td>" in html
    assert html.count('<tr class="higher">') == 1 and html.count('<tr class="lower">') == 1
    assert html.count("too few to say") == 2
    assert "rouge-score, stemmed" in html and "<script" not in html
    assert html.count("<td>0.001</td>") == 4
    assert "runs of 4 or more</th><td>11.0%</td><td>76.8%</td>" in html
    assert "BLEU tokens of an output</th><td>-</td><td>10.1</td>" in html
    assert html.index('<th scope="row">LoRA') < html.index('<th scope="row">Base')


def test_the_training_curve_is_shown_where_there_is_one(tmp_path: Path):
    html = measured.scores(get_task("radiology"), adapter({**SCORES, "paired": [], "segments": []}))
    picture = base64.b64encode(Path("models/radiology/curve.png").read_bytes()).decode()
    assert f'src="data:image/png;base64,{picture}"' in html
    away = replace(adapter({**SCORES, "paired": [], "segments": []}), path=str(tmp_path))
    assert "<img" not in measured.scores(get_task("radiology"), away)


def test_rows_are_drawn_where_the_file_has_them():
    scores = {"base": [10.0, 20.0], "lora": [30.0, 5.0]}
    rows = {"metric": "rougeL", "words": [20, 40], "scores": scores}
    file = {**SCORES, "paired": [], "segments": [], "rows": rows}
    task = get_task("radiology")
    html = measured.scores(task, adapter(file))
    assert html.count("<svg") == 2
    assert "LoRA above the base in 1, below in 1, equal in 0 rows" in html
    del file["rows"]
    assert "<svg" not in measured.scores(task, adapter(file))
    uneven = {**rows, "scores": {"base": [1.0], "lora": [1.0, 2.0]}}
    assert "cannot be read" in measured.scores(task, adapter({**file, "rows": uneven}))


def test_the_results_tab_tells_of_scores_that_are_missing_or_broken():
    task = get_task("radiology")
    assert "no measured scores yet" in measured.scores(task, adapter(None))
    assert "cannot be read" in measured.scores(task, adapter({"data": {}}))


@pytest.mark.parametrize("n", [4, 9, 10, 400])
def test_a_difference_is_judged_as_the_evaluation_judges_it(n):
    from eval.statistics import verdict

    for difference in (-20.0, -1.0, 0.0, 0.5, 20.0):
        for half in (0.0, 0.2, 0.5, 5.0, 15.0, 30.0):
            for p in (0.001, 0.049, 0.05, 0.3):
                low, high = difference - half, difference + half
                entry = {"difference": difference, "low": low, "high": high, "p": p}
                assert measured.verdict(entry, n) == verdict(difference, low, high, p, n)


def test_cases_stand_in_the_order_of_gain():
    def case(name: str, base: float, lora: float) -> measured.Case:
        example = Example(name, name, "text", "target")
        return measured.Case(example, pair(), {"base": {"rougeL": base}, "lora": {"rougeL": lora}})

    found = [case("middle", 10, 20), case("loss", 50, 10), case("gain", 0, 90)]

    def order(html: str) -> list[str]:
        return re.findall(r'data-case="(\w+)"', html)

    assert order(measured.cases(found, gains_first=True)) == ["gain", "middle", "loss"]
    assert order(measured.cases(found, gains_first=False)) == ["loss", "middle", "gain"]
    assert "<b>+90.0</b> gain" in measured.cases(found, gains_first=True)
