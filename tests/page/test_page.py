"""The page with the models of this repository, in a real browser."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from page.visiting import PHONE, ROOT, ask
from summarizer.windows import windows

TASKS = ("radiology", "dialogue", "question")


def examples(task: str) -> list[dict[str, Any]]:
    lines = (ROOT / "examples" / f"{task}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("task", TASKS)
def test_an_example_is_one_click_away_and_ends_in_two_different_columns(site, visit, task):
    visitor = visit(site.url)
    visitor.open(task)
    example = examples(task)[0]

    visitor.pick(0)
    assert "both columns" in visitor.status("done")

    assert visitor.text.input_value() == example["input"]
    base, lora = visitor.column("base"), visitor.column("lora")
    assert base.strip() and lora.strip() and base != lora
    assert "XXXX" not in base + lora
    for side in ("base", "lora"):
        assert re.search(r"\d\.\d s · \d+ tokens? · \d+ words?", visitor.meta(side))
    assert visitor.find(".side.base h3").inner_text().startswith("Base: ")
    assert visitor.find(".side.lora h3").inner_text().startswith("LoRA: ")
    assert f"models/{task}" in visitor.find(".side.lora h3").inner_text()


@pytest.mark.parametrize("task", TASKS)
def test_an_example_shows_its_reference_and_the_rouge_of_both_columns(site, visit, task):
    from rouge_score.rouge_scorer import RougeScorer

    visitor = visit(site.url)
    visitor.open(task)
    example = examples(task)[1]
    visitor.pick(1)
    visitor.status("done")

    assert visitor.find("article.reference .summary").inner_text() == example["target"].strip()
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    for side in ("base", "lora"):
        scores = scorer.score(example["target"], visitor.column(side))
        shown = visitor.find(f".side.{side} .rouge dd").all_inner_texts()
        expected = [100 * scores[name].fmeasure for name in ("rouge1", "rouge2", "rougeL")]
        assert shown == [f"{value:.1f}" for value in expected]


def test_an_edited_example_or_another_section_has_no_reference(site, visit):
    visitor = visit(site.url)
    visitor.open("dialogue")
    example = examples("dialogue")[6]
    visitor.pick(6)
    visitor.status("done")
    assert visitor.find("article.reference").count() == 1

    visitor.run(example["input"] + " And that is all.")
    assert visitor.find("article.reference").count() == 0

    visitor.text.fill(example["input"])
    box = visitor.find(".section input")
    box.click()
    visitor.page.get_by_role("option", name="Let the model decide").click()
    visitor.press("run")
    visitor.status("done")
    assert visitor.find("article.reference").count() == 0


def test_both_columns_stream_together(site, visit):
    visitor = visit(site.url)
    visitor.open("dialogue")
    visitor.page.evaluate(
        """() => {
            window.seen = [];
            const length = side => (document.querySelector(
                `.task-dialogue .side.${side} .summary:not(.empty)`)?.textContent ?? "").length;
            new MutationObserver(() => window.seen.push([length("base"), length("lora")])).observe(
                document.querySelector(".task-dialogue .results"),
                {childList: true, subtree: true, characterData: true, attributes: true});
        }"""
    )
    visitor.pick(0)
    visitor.status("done")
    seen = visitor.page.evaluate("window.seen")
    together = [pair for pair in seen if min(pair) > 0]
    growing = sorted({tuple(pair) for pair in together})
    assert len(growing) >= 5
    # Neither column waits for the other: at the first text of one, the other has begun too.
    first = next(pair for pair in seen if max(pair) > 0)
    assert min(first) > 0
    assert len({base for base, _ in growing}) >= 4 and len({lora for _, lora in growing}) >= 4


def test_stop_ends_both_columns_and_the_page_goes_on(site, visit):
    visitor = visit(site.url)
    visitor.open("dialogue")
    visitor.pick(3)  # the long visit
    visitor.find(".side.base .summary:not(.empty)").wait_for()
    assert visitor.button("run").is_disabled()
    visitor.press("stop")

    assert "Stopped" in visitor.status("stopped")
    assert "stopped" in visitor.meta("base") + visitor.meta("lora")
    stopped = visitor.column("base"), visitor.column("lora")
    visitor.page.wait_for_timeout(700)
    assert (visitor.column("base"), visitor.column("lora")) == stopped
    assert visitor.find(".rouge").count() == 0  # no score for half a text

    visitor.pick(6)
    visitor.status("done")
    assert visitor.button("stop").is_disabled()


def test_another_example_takes_over_from_one_that_runs(site, visit):
    visitor = visit(site.url)
    visitor.open("dialogue")
    visitor.pick(3)
    visitor.find(".side.base .summary:not(.empty)").wait_for()
    visitor.pick(6)
    visitor.find("article.reference").get_by_text(examples("dialogue")[6]["target"]).wait_for()
    visitor.status("done")
    visitor.page.wait_for_timeout(500)
    alone = visitor.column("base"), visitor.column("lora")
    assert visitor.text.input_value() == examples("dialogue")[6]["input"]
    visitor.press("run")
    visitor.status("writing")
    visitor.status("done")
    assert (visitor.column("base"), visitor.column("lora")) == alone


def test_two_visitors_at_once_each_get_their_own_summaries(site, visit):
    rows = examples("radiology")
    alone = [ask(site.url, "radiology", rows[place]["input"]) for place in (2, 5)]
    visitors = [visit(site.url), visit(site.url)]
    for visitor, place in zip(visitors, (2, 5), strict=True):
        visitor.pick(place)
    for visitor, place, expected in zip(visitors, (2, 5), alone, strict=True):
        visitor.find(".rouge").first.wait_for()
        assert visitor.text.input_value() == rows[place]["input"]
        assert visitor.column("base") == shown(expected["base"])
        assert visitor.column("lora") == shown(expected["lora"])


def test_eight_simultaneous_requests_equal_their_single_user_answers(site):
    requests = [
        (task, row["input"], row.get("section", ""))
        for task in TASKS
        for row in examples(task)[: 2 if task == "dialogue" else 3]
    ]
    assert len(requests) == 8
    alone = [ask(site.url, *request) for request in requests]
    assert len({answer["lora"] for answer in alone}) == 8
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda request: ask(site.url, *request), requests))
    assert together == alone


def test_what_was_not_read_is_told(site, visit):
    visitor = visit(site.url)
    visitor.run("The lungs are clear. " * 1300 + "The last words are these.")
    report = visitor.find(".cut")
    words = re.search(r"the last ([\d,]+) words", report.inner_text())
    assert "Not all of the text was read" in report.inner_text()
    report.locator("summary").click()
    unread = report.locator(".unread").inner_text()
    assert unread.endswith("The last words are these.")
    assert len(unread.split()) == int(words[1].replace(",", ""))


def test_what_is_left_out_of_a_whole_report_is_told(site, visit):
    visitor = visit(site.url)
    visitor.run("HISTORY: Cough <b>.\nFINDINGS: The lungs are clear.\nIMPRESSION: Normal.")
    told = visitor.find(".left-out").inner_text()
    assert told.endswith("Left out: HISTORY, IMPRESSION.")
    assert visitor.find(".cut").count() == 0
    visitor.run("The lungs are clear.")
    assert visitor.find(".left-out").count() == 0


def test_a_whole_visit_is_read_in_windows_and_told_so(site, visit):
    visitor = visit(site.url)
    visitor.open("dialogue")
    longest = max((row["input"] for row in examples("dialogue")), key=len)
    told = re.search(r"in one pass over (\d+) windows of the text", visitor.run(longest))
    record = json.loads((ROOT / "models/dialogue/run.json").read_text())
    parts = windows(longest, record["recipe"]["window_words"])
    assert int(told[1]) == len(parts) >= 3
    assert visitor.find(".cut").count() == 0  # every turn was read


def test_a_text_that_is_read_whole_has_no_such_report(site, visit):
    visitor = visit(site.url)
    visitor.run("The lungs are clear. The heart is of normal size.")
    assert visitor.find(".cut").count() == 0


@pytest.mark.parametrize("key", ["Control+Enter", "Meta+Enter"])
def test_the_keyboard_alone_is_enough(site, visit, key):
    visitor = visit(site.url)
    visitor.text.focus()
    visitor.page.keyboard.insert_text("The lungs are clear. No effusion.")
    visitor.page.keyboard.press(key)
    visitor.status("done")
    assert visitor.column("lora").strip()


def test_an_example_runs_from_the_keyboard(site, visit):
    visitor = visit(site.url)
    visitor.page.keyboard.press("Tab")
    for _ in range(20):
        if visitor.page.evaluate("document.activeElement.matches('button.card')"):
            break
        visitor.page.keyboard.press("Tab")
    outline = visitor.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    visitor.page.keyboard.press("Enter")
    visitor.status("done")


def test_copy_puts_the_summary_on_the_clipboard(site, visit):
    visitor = visit(site.url, permissions=["clipboard-read", "clipboard-write"])
    visitor.pick(0)
    visitor.status("done")
    for side in ("base", "lora"):
        visitor.find(f".side.{side} .copy").click()
        visitor.find(f".side.{side} .copy").get_by_text("Copied").wait_for()
        copied = visitor.page.evaluate("navigator.clipboard.readText()")
        assert shown(copied) == visitor.column(side)


def test_clear_empties_everything(site, visit):
    visitor = visit(site.url)
    visitor.open("dialogue")
    visitor.pick(6)
    visitor.status("done")
    visitor.press("clear")
    visitor.status("idle")
    assert visitor.text.input_value() == ""
    assert visitor.find(".section input").input_value() == "Let the model decide"
    assert visitor.find(".summary.empty").count() == 2
    assert visitor.find(".card[aria-current]").count() == 0


def test_settings_are_closed_at_first_and_then_change_the_length(site, visit):
    visitor = visit(site.url)
    length = visitor.find(".settings input[type=number]").first
    assert not length.is_visible()
    visitor.set(0, 8)
    visitor.run("The lungs are clear. The heart is of normal size. No effusion is seen.")
    for side in ("base", "lora"):
        assert int(re.search(r"(\d+) token", visitor.meta(side))[1]) <= 8


def test_beams_are_a_setting_and_greedy_is_one_of_them(site, visit):
    visitor = visit(site.url)
    visitor.open("question")
    texts = []
    for beams in (1, 3):
        visitor.set(1, beams)
        visitor.run("My knee hurts when I climb stairs and I wonder what I can do about it.")
        texts.append(visitor.column("lora").strip())
    assert all(texts)


@pytest.mark.parametrize("task", TASKS)
def test_a_phone_shows_everything_without_scrolling_sideways(site, visit, task):
    visitor = visit(site.url, **PHONE)
    visitor.open(task)
    assert visitor.overflow() <= 0
    visitor.pick(3)
    visitor.find(".side.lora .summary:not(.empty)").wait_for()
    # Still writing: Stop is in sight. Asked at once, for the run may end between two questions.
    box = visitor.find(".actions").evaluate(
        """actions => actions.closest(".task").querySelector(
            ".status:is([data-state=waiting], [data-state=writing])"
        ) && actions.querySelector("button.stop").getBoundingClientRect().toJSON()"""
    )
    assert box is None or 0 <= box["y"] <= 844 - box["height"]
    visitor.status("done")
    visitor.page.wait_for_timeout(600)  # the way down is smooth
    top = visitor.find(".results").bounding_box()["y"]
    assert -5 <= top < 500
    assert visitor.overflow() <= 0
    base, lora = (visitor.find(f".side.{side}").bounding_box() for side in ("base", "lora"))
    assert lora["y"] >= base["y"] + base["height"]  # one under the other


@pytest.mark.parametrize("task", TASKS)
def test_the_measured_scores_stand_under_the_columns(site, visit, task):
    visitor = visit(site.url)
    visitor.open(task)
    scores = json.loads((ROOT / "models" / task / "scores.json").read_text(encoding="utf-8"))
    line = visitor.find(".scores").inner_text()
    assert f"n = {scores['data']['n']:,}" in line
    for system in ("base", "lora"):
        value = scores["systems"][system]["rougeL"]
        assert f"{value['mean']:.1f} [{value['low']:.1f}, {value['high']:.1f}]" in line


def test_nothing_typed_is_kept_by_the_server_or_the_browser(site, visit):
    marker = "Zanzibar-Quixote-7731"
    visitor = visit(site.url)
    visitor.run(f"The lungs are clear. {marker} is seen. The heart is of normal size.")
    kept = visitor.page.evaluate(
        """async () => JSON.stringify([
            {...localStorage}, {...sessionStorage}, document.cookie,
            (await indexedDB.databases()).map(base => base.name), location.href])"""
    )
    assert marker not in kept and json.loads(kept)[3] == []
    assert marker not in site.output()
    files = [path for path in Path(site.folder).rglob("*") if path.is_file()]
    assert [path for path in files if marker.encode() in path.read_bytes()] == []


def shown(text: str) -> str:
    """A text as the page shows it and the browser gives it back: the ends without space."""
    return text.strip() or "No text."
