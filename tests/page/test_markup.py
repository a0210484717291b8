"""The page's HTML, without a browser: what it says and that it escapes."""

from __future__ import annotations

from summarizer import markup
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


def test_scores_that_are_missing_or_broken_are_told():
    assert "no measured scores yet" in markup.scores_line(adapter(None))
    broken = {**SCORES, "systems": {"base": {}}}
    assert "cannot be read" in markup.scores_line(adapter(broken))


def test_a_column_says_how_it_ended():
    html = markup.results(Titles("b", "l"), pair(base=Summary("x", 1, 1.24, "length")))
    assert "1.2 s · 1 token · 1 word · ended at the length limit" in html
    assert "0.4 s · 4 tokens · 2 words<" in html
