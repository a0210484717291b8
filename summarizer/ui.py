"""The page: a tab for each task, its examples, and two columns that stream side by side.

A run is three steps. *Begin* (not queued) checks the text, so that a bad one is told at once, and
hands out a ticket; the new ticket starts the *run* (queued: one at a time, as the engine has one
lock); the run ends by itself, or when its ticket's cancel event is set by Stop, by another run in
the same tab, or by the visitor leaving. No text is kept on the server: a ticket is a name.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

from summarizer import markup, measured
from summarizer.backbone import shown_name
from summarizer.generate import Engine, ModelError, Pair
from summarizer.markup import Example, Titles
from summarizer.measured import Case
from summarizer.settings import Settings, SettingsError
from summarizer.tasks import TASKS, Decoding, Task, section_name
from summarizer.text import InputError, check_input
from summarizer.windows import SLACK

TITLE = "Medical summaries, side by side"

# Both columns run on one engine with one lock: gradio lets one request in at a time.
_ENGINE = {"concurrency_id": "engine", "concurrency_limit": 1}
# Examples that stand as cards; the others are folded under them.
_CARDS = 8
# A frame a thirtieth of a second: more is seen by nobody, and each costs the model time.
_FRAME_SECONDS = 1 / 30

_WRONG = "Something went wrong while this was written: please run it again."

_HERE = Path(__file__).parent
_LOG = logging.getLogger(__name__)


def build(engine: Engine, settings: Settings) -> gr.Blocks:
    """The page for this engine. Nothing listens before `launch`."""
    runs = Runs(settings.queue)
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.HTML(_header(), elem_classes="banner", apply_default_css=False)
        with gr.Tabs(elem_classes="tasks"):
            for name in engine.adapters:
                with gr.Tab(name.capitalize(), id=name, elem_classes=["task", f"task-{name}"]):
                    TaskTab(engine, TASKS[name], runs)
            with gr.Tab("Results", id="results", elem_classes="results-tab"):
                with gr.Tabs(elem_classes="tasks"):
                    for name in engine.adapters:
                        with gr.Tab(name.capitalize(), id=f"results-{name}"):
                            ResultsTab(engine, TASKS[name])
        gr.HTML(_footer(engine), elem_classes="foot", apply_default_css=False)
        page.unload(runs.leave)
        for name in engine.adapters:
            _endpoint(engine, TASKS[name])
    # gradio's own limit is wider than the page's, whose sentence so comes first.
    return page.queue(max_size=2 * settings.queue + 8, api_open=False)


def launch(page: gr.Blocks, settings: Settings) -> str:
    """Serve the page in a thread of its own; its address, once it answers.

    Raises SettingsError where nothing can listen on the port.
    """
    try:
        _, address, _ = page.launch(
            server_name=settings.host,
            server_port=settings.port,
            theme=theme(),
            css=(_HERE / "ui.css").read_text(encoding="utf-8"),
            head=f"<script>{(_HERE / 'ui.js').read_text(encoding='utf-8')}</script>",
            favicon_path=_HERE / "ui.svg",
            footer_links=["api"],
            run_history=False,  # it would keep inputs and outputs in the browser
            enable_monitoring=False,
            max_file_size="1kb",  # the page takes no files
            ssr_mode=False,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
        )
    except OSError as error:
        raise SettingsError(
            f"The page cannot listen on port {settings.port} of {settings.host}: end what uses "
            "it, or choose another with SUMMARIZER_PORT."
        ) from error
    # A browser that is still open would hold up the end for five seconds.
    page.server.force_exit = True
    return address.rstrip("/")


def warm_up(engine: Engine) -> None:
    """Do once what is slow the first time, so that the first visitor does not wait for it."""
    for task in engine.adapters:
        engine.run(task, "The heart is of normal size.", decoding=Decoding(max_new_tokens=4))
    rouge_scores("a", "a")


@dataclass
class Run:
    """A run that was asked for: waiting in the queue until `started`, then running."""

    session: str | None
    cancel: threading.Event = field(default_factory=threading.Event)
    started: bool = False
    replaced: bool = False  # a newer run of the same tab has the columns now


class Runs:
    """The runs that wait or run now, by ticket; at most `limit` wait. Thread-safe, no text."""

    def __init__(self, limit: int):
        self.limit = limit
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()

    def ahead(self, own: str | None = None) -> int:
        """How many runs stand before one that came now and would replace its tab's own."""
        with self._lock:
            return sum(
                not run.cancel.is_set() for ticket, run in self._runs.items() if ticket != own
            )

    def add(self, session: str | None) -> str:
        ticket = uuid.uuid4().hex
        with self._lock:
            self._runs[ticket] = Run(session)
        return ticket

    def take(self, ticket: str | None) -> Run | None:
        """The run of a ticket whose turn has come; None when it was stopped while it waited."""
        with self._lock:
            run = self._runs.get(ticket or "")
            if run is None:
                return None
            run.started = True
            return run

    def stop(self, ticket: str | None, *, replaced: bool = False) -> Run | None:
        """Cancel a run. One that waits is gone at once; one that runs ends within a step."""
        with self._lock:
            run = self._runs.get(ticket or "")
            if run is not None:
                run.replaced = run.replaced or replaced
                run.cancel.set()
                if not run.started:
                    del self._runs[ticket or ""]
            return run

    def end(self, ticket: str | None) -> None:
        with self._lock:
            self._runs.pop(ticket or "", None)

    def leave(self, request: gr.Request) -> None:
        """Cancel whatever a visitor who closed the page left behind."""
        with self._lock:
            mine = [t for t, run in self._runs.items() if run.session == request.session_hash]
        for ticket in mine:
            self.stop(ticket, replaced=True)


class TaskTab:
    """One task's tab: what it shows and what its buttons do."""

    def __init__(self, engine: Engine, task: Task, runs: Runs):
        self.engine = engine
        self.adapter = engine.adapters[task.name]
        self.task = engine.task(task.name)  # as the adapter was trained on it
        self.titles = Titles.of(_backbone(engine), self.adapter)
        self.rows = read_examples(self.task)
        self.runs = runs
        self._draw()
        self._connect()

    def _draw(self) -> None:
        task, decoding = self.task, self.task.decoding
        self.ticket = gr.State(None, delete_callback=self.runs.stop)
        self.cards = gr.HTML(
            markup.examples(task, self.rows, _CARDS),
            js_on_load="element.addEventListener('click', event => {"
            "const card = event.target.closest('[data-example]');"
            "if (card) trigger('click', {example: card.dataset.example}); });",
            apply_default_css=False,
        )
        with gr.Row(elem_classes="bench", equal_height=False):
            with gr.Column(scale=5, min_width=320, elem_classes="source"):
                self.text = gr.Textbox(
                    label=task.input_label,
                    placeholder=task.placeholder,
                    lines=11,
                    max_lines=11,
                    autoscroll=False,
                    elem_classes="text",
                    html_attributes=gr.InputHTMLAttributes(
                        autocomplete="off", autocorrect="off", spellcheck=False
                    ),
                )
                self.section = gr.Dropdown(
                    [("Let the model decide", ""), *((label, n) for n, label in task.sections)],
                    value="",
                    label="Section of the note",
                    visible=bool(task.sections),
                    elem_classes="section",
                )
                with gr.Row(elem_classes="actions"):
                    self.go = gr.Button("Run", variant="primary", elem_classes="run")
                    self.halt = gr.Button("Stop", interactive=False, elem_classes="stop")
                    self.empty = gr.Button("Clear", elem_classes="clear")
                self.status = gr.HTML(
                    markup.status("idle", "Or press Ctrl + Enter."), apply_default_css=False
                )
                with gr.Accordion("Settings", open=False, elem_classes="settings"):
                    self.length = gr.Slider(
                        8,
                        2 * decoding.max_new_tokens,
                        value=decoding.max_new_tokens,
                        step=1,
                        label="Longest summary, in tokens",
                        info=None
                        if task.window_words is None
                        else f"Of each window: a text of more than {SLACK * task.window_words:.0f} "
                        "words is read in windows, and their summaries are put together.",
                    )
                    self.beams = gr.Slider(
                        1,
                        8,
                        value=decoding.num_beams,
                        step=1,
                        label="Beams",
                        info="1 writes word by word. More weigh so many texts against each other: "
                        "slower, and words may change until the end. Both columns use the same "
                        "settings.",
                    )
            with gr.Column(scale=9, min_width=320, elem_classes="results"):
                self.view = gr.HTML(
                    markup.results(self.titles), elem_classes="view", apply_default_css=False
                )
                gr.HTML(markup.scores_line(self.adapter), apply_default_css=False)

    def _connect(self) -> None:
        # Private: the page's own steps. The endpoints for programs are `_endpoint`'s.
        direct = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        # Queued, though never waiting: gradio tells of a changed state for queued events alone.
        at_once = {**direct, "queue": True, "concurrency_limit": None}
        begun = [self.ticket, self.status, self.view, self.go, self.halt]
        self.go.click(self._begin, [self.ticket, self.text, self.section], begun, **at_once)
        self.cards.click(
            self._begin_example, [self.ticket], [self.text, self.section, *begun], **at_once
        )
        self.ticket.change(
            self._run,
            [self.ticket, self.text, self.section, self.beams, self.length],
            [self.status, self.view, self.go, self.halt],
            show_progress="hidden",
            api_visibility="private",
            trigger_mode="multiple",
            **_ENGINE,
        )
        self.ticket.change(None, js=f"() => reveal('task-{self.task.name}')", **direct)
        self.halt.click(self._stop, [self.ticket], [self.status, self.go, self.halt], **direct)
        # The text goes at once, in the browser: what is typed meanwhile must not go with it.
        self.empty.click(None, None, [self.text, self.section], js="() => ['', '']", **direct)
        self.empty.click(self._clear, [self.ticket], begun, **direct)

    def _begin(
        self, ticket: str | None, text: str | None, section: str | None, request: gr.Request
    ) -> tuple[Any, ...]:
        """Check the text and hand out the ticket that starts the run, or say what is wrong."""
        try:
            check_input(text or "")
        except InputError as error:
            return gr.skip(), markup.status("error", str(error)), *_skip(3)
        ahead = self.runs.ahead(own=ticket)
        if ahead > self.runs.limit:  # one of them runs, the others wait
            busy = f"{ahead} summaries are before this one: please try again in a minute."
            return gr.skip(), markup.status("error", busy), *_skip(3)
        self.runs.stop(ticket, replaced=True)
        waiting = f"Waiting: {ahead} before this one." if ahead else "Reading the text …"
        example = self._example(text, section)
        return (
            self.runs.add(request.session_hash),
            markup.status("waiting", waiting),
            markup.results(self.titles, example=example, waiting=waiting if ahead else "…"),
            gr.Button(interactive=False),
            gr.Button(interactive=True),
        )

    def _begin_example(
        self, ticket: str | None, event: gr.EventData, request: gr.Request
    ) -> tuple[Any, ...]:
        chosen = next(row for row in self.rows if row.id == event.example)
        section = chosen.section or ""
        return (
            chosen.input,
            section,
            *self._begin(ticket, chosen.input, section, request),
        )

    def _run(
        self, ticket: str, text: str, section: str | None, beams: int, length: int
    ) -> Iterator[tuple[Any, ...]]:
        """Stream both columns until they end, or until the ticket's run is cancelled."""
        run = self.runs.take(ticket)
        if run is None:
            yield _skip(4)
            return
        example = self._example(text, section)
        status, last = markup.status("writing", "Writing both columns …"), 0.0
        pair: Pair | None = None
        try:
            decoding = _decoding(self.task, beams, length)
            for pair in self.engine.stream(
                self.task.name,
                text,
                section=section or None,
                decoding=decoding,
                cancel=run.cancel,
            ):
                if run.replaced:
                    break
                now = time.monotonic()
                if now - last >= _FRAME_SECONDS:
                    last = now
                    view = markup.results(self.titles, pair, example, waiting="…")
                    yield status, view, *_skip(2)
                    status = gr.skip()
            if not run.replaced:
                yield self._last(pair, example, stopped=run.cancel.is_set())
        except (InputError, ModelError, ValueError) as error:
            yield self._failed(pair, str(error))
        except Exception as error:
            log_fault(self.task, error)
            yield self._failed(pair, _WRONG)
        finally:
            # Also when gradio closes this generator, because the visitor's connection ended.
            run.cancel.set()
            self.runs.end(ticket)

    def _last(
        self, pair: Pair | None, example: Example | None, *, stopped: bool
    ) -> tuple[Any, ...]:
        rouge = None
        if stopped or pair is None:
            line = markup.status("stopped", "Stopped: both columns ended here.")
        else:
            seconds = max(pair.base.seconds, pair.lora.seconds)
            over = f" over {pair.windows} windows of the text" if pair.windows > 1 else ""
            line = markup.status(
                "done", f"Done: both columns in {seconds:.1f} s, in one pass{over}."
            )
            if example:
                rouge = _case(example, pair).rouge
        view = markup.results(self.titles, pair, example, rouge, waiting="No text.")
        return line, view, *_at_rest()

    def _failed(self, pair: Pair | None, sentence: str) -> tuple[Any, ...]:
        view = markup.results(self.titles, pair, waiting="No text.")
        return markup.status("error", sentence), view, *_at_rest()

    def _stop(self, ticket: str | None) -> tuple[Any, ...]:
        run = self.runs.stop(ticket)
        if run is None or run.started:  # ended already, or its own last frame tells it
            return _skip(3)
        return markup.status("stopped", "Stopped before it began."), *_at_rest()

    def _clear(self, ticket: str | None) -> tuple[Any, ...]:
        self.runs.stop(ticket, replaced=True)
        status = markup.status("idle", "Or press Ctrl + Enter.")
        return None, status, markup.results(self.titles), *_at_rest()

    def _example(self, text: str | None, section: str | None) -> Example | None:
        """The example whose text and section these are, unedited, if there is one."""
        return next(
            (
                row
                for row in self.rows
                if row.input == text and (row.section or "") == (section or "")
            ),
            None,
        )


class ResultsTab:
    """What was measured of one task's adapter, and its examples by what the adapter gains."""

    _ORDERS = ("LoRA gains most", "LoRA loses most")

    def __init__(self, engine: Engine, task: Task):
        self.engine, self.task = engine, task
        self.rows = read_examples(task)
        self._found: list[Case] = []  # once made, shown to every visitor: none of it is theirs
        gr.HTML(measured.scores(task, engine.adapters[task.name]), apply_default_css=False)
        gr.HTML(
            f"<h3>The {len(self.rows)} examples, one by one</h3><p>Written now by both columns, "
            "with the ROUGE-L of each against its reference; the number is LoRA less base. These "
            "were written for this project: an impression, not a measurement.</p>",
            apply_default_css=False,
            elem_classes="cases-intro",
        )
        with gr.Row(elem_classes="actions"):
            go = gr.Button("Run all examples", variant="primary", elem_classes="run")
            halt = gr.Button("Stop", interactive=False, elem_classes="stop")
        status = gr.HTML("", apply_default_css=False)
        order = gr.Radio(
            list(self._ORDERS),
            value=self._ORDERS[0],
            label="Order",
            visible=False,  # until there is something to order
            elem_classes="order",
        )
        view = gr.HTML("", apply_default_css=False)

        private = {"show_progress": "hidden", "api_visibility": "private"}
        # A queue of its own: the engine's lock is free between batches, so single requests of
        # other visitors come in between.
        running = go.click(
            self._run,
            [order],
            [order, status, view, go, halt],
            concurrency_id="examples",
            **private,
        )
        halt.click(self._stopped, None, [status, go, halt], cancels=[running], **private)
        order.change(self._sorted, [order], [view], queue=False, **private)

    def _run(self, order: str) -> Iterator[tuple[Any, ...]]:
        found, cancel = list(self._found), threading.Event()
        shown = gr.Radio(visible=True)
        busy = gr.Button(interactive=False), gr.Button(interactive=True)
        try:
            if not found:
                yield shown, markup.status("writing", "Reading the examples …"), "", *busy
                rows = [{"input": row.input, "section": row.section} for row in self.rows]
                for place, pair in self.engine.batch(
                    self.task.name, rows, batch_size=4, cancel=cancel
                ):
                    found.append(_case(self.rows[place], pair))
                    line = f"{len(found)} of {len(rows)} examples."
                    cases = self._show(found, order)
                    yield gr.skip(), markup.status("writing", line), cases, *_skip(2)
                self._found = found
            line = f"Done: {len(found)} examples."
            yield shown, markup.status("done", line), self._show(found, order), *_at_rest()
        except ModelError as error:
            yield gr.skip(), markup.status("error", str(error)), gr.skip(), *_at_rest()
        finally:
            cancel.set()

    def _stopped(self) -> tuple[Any, ...]:
        return markup.status("stopped", "Stopped."), *_at_rest()

    def _sorted(self, order: str) -> Any:
        return self._show(self._found, order) if self._found else gr.skip()

    def _show(self, found: list[Case], order: str) -> str:
        return measured.cases(found, gains_first=order == self._ORDERS[0])


def _case(example: Example, pair: Pair) -> Case:
    texts = {"base": pair.base.text, "lora": pair.lora.text}
    rouge = {side: rouge_scores(example.target, text) for side, text in texts.items()}
    return Case(example, pair, rouge)


def _skip(count: int) -> tuple[Any, ...]:
    return (gr.skip(),) * count


def _at_rest() -> tuple[Any, ...]:
    """The Run and Stop buttons when nothing runs."""
    return gr.Button(interactive=True), gr.Button(interactive=False)


def _decoding(task: Task, beams: int, length: int) -> Decoding:
    """The task's decoding with the page's two settings. Raises ValueError out of their range."""
    changed = {**task.decoding.to_dict(), "num_beams": int(beams), "max_new_tokens": int(length)}
    changed["min_new_tokens"] = min(task.decoding.min_new_tokens, int(length))
    return Decoding.from_dict(changed)


def read_examples(task: Task, root: Path = _HERE.parent) -> list[Example]:
    """The task's example file, one row a line; empty where there is none."""
    path = root / task.examples
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    return [
        Example(
            id=row["id"],
            title=row["title"],
            input=row["input"],
            target=row["target"],
            section=section_name(task, row.get("section")),
            modality=row.get("modality"),
            indication=row.get("indication"),
        )
        for row in rows
    ]


@cache
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(markup.ROUGE_NAMES), use_stemmer=True)


def rouge_scores(target: str, text: str) -> dict[str, float]:
    """ROUGE-1/2/L of one text against one reference: F-measure x100, stemmer on (rouge-score)."""
    return {
        metric: 100 * score.fmeasure
        for metric, score in _rouge_scorer().score(target, text).items()
    }


def _endpoint(engine: Engine, task: Task) -> None:
    """The task as an endpoint for programs, with the page's own engine, queue and refusals."""

    def summarise(text: str, section: str = "") -> dict:
        cancel = threading.Event()
        try:
            for pair in engine.stream(task.name, text, section=section or None, cancel=cancel):
                yield {
                    "base": pair.base.text,
                    "lora": pair.lora.text,
                    "words_unread": pair.cut.words_unread if pair.cut else 0,
                    "left_out": list(pair.left_out),
                    "decoding": pair.decoding.to_dict(),
                }
        except (InputError, ModelError) as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception as error:
            log_fault(task, error)
            raise gr.Error(_WRONG, print_exception=False) from None
        finally:
            cancel.set()  # the caller hung up

    gr.api(
        summarise,
        api_name=task.name,
        api_description=f"{task.description} Returns both columns' texts and their decoding.",
        **_ENGINE,
    )


def log_fault(task: Task, error: BaseException) -> None:
    """Where a run failed and of what kind: a message may quote what the visitor typed."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _LOG.error("A run of %s failed: %s\n%s", task.name, type(error).__name__, frames)


def _header() -> str:
    return (
        f"<h1>{TITLE}</h1>"
        "<p>What a small language model writes on its own, and what it writes with a LoRA "
        "adapter trained for the task.</p>"
        '<p class="notice" role="note"><b>Research demonstration, not for clinical use.</b> '
        "Do not paste patient data. Many summaries miss a finding, change a side or invent words."
        "</p>"
    )


def _footer(engine: Engine) -> str:
    from html import escape

    return (
        f"<p>Backbone {escape(_backbone(engine))} on {escape(str(engine.device))} in "
        f"{escape(str(engine.dtype))}. The examples were written for this project. What you type "
        "is not stored and is sent nowhere else.</p>"
    )


def _backbone(engine: Engine) -> str:
    """The backbone's name, with the commit where it came from the Hub."""
    return shown_name(engine.backbone_name, getattr(engine, "backbone_revision", None))


def theme() -> gr.themes.Base:
    """System fonts, nothing fetched, and the page's first colours; ui.css has all of them."""
    return gr.themes.Base(
        primary_hue="teal",
        neutral_hue="slate",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
    ).set(
        body_background_fill="#f4f7f8",
        body_background_fill_dark="#0d1518",
        body_text_color="#14242c",
        body_text_color_dark="#e3ecef",
    )
