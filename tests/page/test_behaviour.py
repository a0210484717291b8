"""What the page does around a model: bad input, faults, the queue, leaving. The columns are
scripted, so that these hold for any model."""

from __future__ import annotations

import re
import time

import pytest

from page.visiting import PHONE

HOSTILE = (
    '<img src=x onerror="window.hacked=1"><script>window.hacked=2</script><b>bold</b> '
    "**stars** # heading [link](http://example.com) ${window.hacked=3} {{7*7}} &amp; `tick` end"
)


def test_html_and_markdown_are_shown_as_text(scripted, visit):
    site = scripted(base=HOSTILE, lora=f"1. {HOSTILE}\n2. <i>second</i>")
    visitor = visit(site.url)
    visitor.run(HOSTILE)
    assert visitor.column("base") == HOSTILE
    assert visitor.column("lora") == f"1. {HOSTILE}\n2. <i>second</i>"
    assert visitor.text.input_value() == HOSTILE
    assert visitor.find(".side .summary *").count() == 0
    assert visitor.page.evaluate("window.hacked") is None


BAD_INPUTS = {
    "nothing": ("", "The text is empty"),
    "only spaces": (" \n\t  \n", "The text is empty"),
    "a megabyte": ("The lungs are clear. " * 50_000, "1,050,000 characters"),
    "binary": ("PNG\x00\x01\x02\x03\ufffd\ufffd\ufffd\x04\x05" * 20, "binary data"),
    "only invisible marks": ("\u202e\u200f\u200b\ufeff", "nothing to read"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_is_told_in_one_sentence_and_the_page_goes_on(scripted, visit, name):
    text, words = BAD_INPUTS[name]
    site = scripted()
    visitor = visit(site.url)
    message = visitor.run(text, "error")
    assert words in message
    assert message.count(".") == 1 and message.endswith(".")
    assert site.script.started == 0
    assert visitor.find('.status[role="alert"]').is_visible()

    visitor.run("The lungs are clear.")
    assert visitor.column("base") == "the base column says this"


@pytest.mark.parametrize(
    "text", ["😀 lungs 🫁 clear", "\u202ethe heart\u202c is normal", "الرئتان"]
)
def test_unusual_text_is_summarised_like_any_other(scripted, visit, text):
    visitor = visit(scripted(lora="قلب طبيعي 🫁").url)
    visitor.run(text)
    assert visitor.column("lora") == "قلب طبيعي 🫁"


def test_a_model_error_is_told_in_its_own_sentence_and_keeps_what_was_written(scripted, visit):
    from summarizer.generate import ModelError

    site = scripted(error=ModelError("The device is out of memory: choose a shorter length."))
    visitor = visit(site.url)
    message = visitor.run("The lungs are clear.", "error")
    assert message == "The device is out of memory: choose a shorter length."
    assert visitor.column("base") == "the base column says this"
    site.script.error = None
    visitor.run("The lungs are clear.")


def test_an_unforeseen_fault_shows_no_traceback_and_the_page_goes_on(scripted, visit):
    site = scripted(error=RuntimeError("secret detail"))
    visitor = visit(site.url)
    message = visitor.run("The lungs are clear.", "error")
    assert "secret detail" not in visitor.page.content()
    assert message.count(".") == 1
    site.script.error = None
    visitor.run("The lungs are clear.")


def test_stop_before_the_turn_has_come(scripted, visit):
    site = scripted(hold=2)
    first, second = visit(site.url), visit(site.url)
    first.text.fill("The lungs are clear.")
    first.press("run")
    first.find(".side.base .summary:not(.empty)").wait_for()
    second.text.fill("The heart is normal.")
    second.press("run")
    assert second.status("waiting") == "Waiting: 1 before this one."
    second.press("stop")
    assert second.status("stopped") == "Stopped before it began."

    site.script.go_on.set()
    first.status("done")
    time.sleep(0.5)
    assert site.script.started == 1
    second.press("run")
    second.status("done")


def test_a_full_queue_is_told_and_loses_nobody(scripted, visit):
    site = scripted(queue=0, hold=2)  # one may run, none may wait
    first, second = visit(site.url), visit(site.url)
    first.text.fill("The lungs are clear.")
    first.press("run")
    first.find(".side.base .summary:not(.empty)").wait_for()
    message = second.run("The heart is normal.", "error")
    assert "try again in a minute" in message
    site.script.go_on.set()
    first.status("done")
    second.press("run")
    second.status("done")


@pytest.mark.parametrize("way", ["closes", "reloads"])
def test_a_visitor_who_leaves_frees_the_engine(scripted, visit, way):
    site = scripted(hold=2)
    leaving, staying = visit(site.url), visit(site.url)
    leaving.text.fill("The lungs are clear.")
    leaving.press("run")
    leaving.find(".side.base .summary:not(.empty)").wait_for()
    staying.text.fill("The heart is normal.")
    staying.press("run")
    staying.status("waiting")
    if way == "closes":
        leaving.page.close()
    else:
        leaving.page.reload()
    assert site.script.cancelled.wait(20)
    site.script.go_on.set()
    staying.status("done")


def test_the_columns_are_marked_when_the_text_has_changed_since(scripted, visit):
    visitor = visit(scripted().url)
    visitor.run("The lungs are clear.")
    assert visitor.find('.results[data-stale="true"]').count() == 0
    visitor.text.press("End")
    visitor.text.press_sequentially(" More.")
    assert visitor.find('.results[data-stale="true"]').count() == 1
    visitor.press("run")
    visitor.status("done")
    assert visitor.find('.results[data-stale="true"]').count() == 0


def test_without_scores_the_page_says_so(scripted, visit):
    visitor = visit(scripted().url)
    assert "no measured scores yet" in visitor.find(".scores").inner_text()


def test_the_notice_stands_on_every_tab(scripted, visit):
    visitor = visit(scripted().url)
    for task in ("radiology", "dialogue"):
        visitor.open(task)
        notice = visitor.page.locator(".notice")
        assert notice.is_visible()
        words = notice.inner_text()
        assert "Research demonstration" in words and "not for clinical use" in words
        assert "Do not paste patient data" in words


def test_programs_find_one_endpoint_a_task_and_nothing_else(scripted):
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    site = scripted()
    client = Client(site.url, verbose=False)
    endpoints = client.view_api(return_format="dict", print_info=False)
    assert set(endpoints["named_endpoints"]) == {"/radiology", "/dialogue"}
    assert endpoints["unnamed_endpoints"] == {}
    answer = client.predict("The lungs are clear.", api_name="/radiology")
    assert answer["base"] == "the base column says this"
    assert answer["lora"] == "the LoRA column says that"
    with pytest.raises(AppError, match="^The text is empty"):
        client.predict(" ", api_name="/radiology")


def test_who_waits_reads_so_where_the_summaries_will_be(scripted, visit):
    site = scripted(hold=2)
    first, second = visit(site.url), visit(site.url, **PHONE)
    first.text.fill("The lungs are clear.")
    first.press("run")
    first.find(".side.base .summary:not(.empty)").wait_for()
    second.text.fill("The heart is normal.")
    second.press("run")
    second.status("waiting")
    assert second.column("base") == "Waiting: 1 before this one."
    site.script.go_on.set()
    second.status("done")


def test_an_error_is_in_sight_on_a_phone(scripted, visit):
    visitor = visit(scripted().url, **PHONE)
    visitor.button("run").evaluate("button => button.scrollIntoView({block: 'end'})")
    visitor.press("run")
    visitor.status("error")
    line = visitor.find(".status")
    visitor.page.wait_for_function(
        """() => {
            const box = document.querySelector(".task-radiology .status").getBoundingClientRect();
            return box.top >= 0 && box.bottom <= window.innerHeight;
        }"""
    )
    assert "The text is empty" in line.inner_text()


def test_what_is_typed_after_clear_stays(scripted, visit):
    visitor = visit(scripted().url)
    visitor.run("The lungs are clear.")
    visitor.press("clear")
    visitor.page.wait_for_function(
        "() => document.querySelector('.task-radiology .source textarea').value === ''"
    )
    visitor.text.fill("The heart is of normal size.")
    visitor.status("idle")
    visitor.page.wait_for_timeout(500)
    assert visitor.text.input_value() == "The heart is of normal size."


def test_results_run_every_example_and_order_them(scripted, visit):
    from summarizer.tasks import get_task
    from summarizer.ui import read_examples

    rows = read_examples(get_task("radiology"))
    text = rows[0].target
    visitor = visit(scripted(base="nothing", lora=text).url)
    visitor.page.get_by_role("tab", name="Results", exact=True).click()
    order = visitor.page.locator(".results-tab .order").first
    assert not order.is_visible()
    visitor.page.get_by_role("button", name="Run all examples").first.click()
    visitor.page.get_by_text(f"Done: {len(rows)} examples.").wait_for()
    cases = visitor.page.locator(".results-tab .case")
    assert cases.count() == len(rows)

    def gains() -> list[float]:
        return [float(case.split()[0]) for case in cases.locator("summary").all_inner_texts()]

    assert gains() == sorted(gains(), reverse=True) and gains()[0] > 0 > gains()[-1]
    order.get_by_text("LoRA loses most").click()
    worst = cases.first.locator("summary b").get_by_text(f"{min(gains()):+.1f}")
    worst.wait_for()
    assert gains() == sorted(gains())
    cases.first.locator("summary").click()
    assert cases.first.get_by_text("Reference", exact=True).is_visible()


# --- for every eye and hand --------------------------------------------------------------------

# The contrast of every visible text with what lies behind it (WCAG 2.2, 1.4.3), in the page.
CONTRAST = """
() => {
  const parse = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92
      : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const over = (front, back) => {
    const alpha = front[3] ?? 1;
    return [0, 1, 2].map(i => front[i] * alpha + back[i] * (1 - alpha));
  };
  const behind = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length && (colour[3] ?? 1) > 0) layers.unshift(colour);
    }
    return layers.reduce((back, front) => over(front, back), [255, 255, 255]);
  };
  const faults = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility({visibilityProperty: true})) continue;
    const box = element.getBoundingClientRect();
    if (box.width < 2 || box.height < 2 || element.closest(":disabled, script, style")) continue;
    const style = getComputedStyle(element), back = behind(element);
    const front = over(parse(style.color), back);
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) {
      faults.push(`${ratio.toFixed(2)} ${node.textContent.trim().slice(0, 40)}`);
    }
  }
  return faults;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(scripted, visit, scheme):
    visitor = visit(scripted().url, color_scheme=scheme, reduced_motion="reduce")
    visitor.open_settings()
    assert visitor.page.evaluate(CONTRAST) == []
    visitor.pick(0)
    visitor.status("done")
    assert visitor.page.evaluate(CONTRAST) == []
    visitor.run("", "error")
    assert visitor.page.evaluate(CONTRAST) == []
    background = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = max(map(int, re.findall(r"\d+", background)[:3])) < 60
    assert dark == (scheme == "dark")


def test_every_control_has_a_name(scripted, visit):
    visitor = visit(scripted().url)
    visitor.open("dialogue")
    visitor.pick(0)
    visitor.status("done")
    visitor.open_settings()
    nameless = visitor.page.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea, [role=tab]")]
            .filter(e => e.checkVisibility({visibilityProperty: true}) && !e.closest("[aria-hidden=true]"))
            .filter(e => !(e.innerText?.trim() || e.getAttribute("aria-label")
                || e.getAttribute("aria-labelledby") || e.title
                || [...(e.labels || [])].some(label => label.innerText.trim())))
            .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    assert visitor.find('.status[role="status"]').count() == 1
    assert visitor.page.locator("h1").count() == 1


def test_less_motion_is_respected(scripted, visit):
    site = scripted(hold=2)
    visitor = visit(site.url, reduced_motion="reduce")
    visitor.text.fill("The lungs are clear.")
    visitor.press("run")
    visitor.status("writing")
    moving = visitor.page.evaluate(
        """() => document.getAnimations().filter(a => a.playState === "running").map(
            a => a.effect.target.outerHTML.slice(0, 100) + (a.animationName ?? a.transitionProperty))"""
    )
    assert moving == []
    site.script.go_on.set()
