"""How the tests start the page, script its models and visit it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]

# What a headless Chromium needs to run as root in a container, and to keep to itself.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
# A step of a real model on a busy machine with one thread.
PATIENCE = 120_000


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def serving(command: list[str], env: dict[str, str], **more: Any) -> Iterator[SimpleNamespace]:
    """A process that serves the page, from its first answer to its end; `.url`, `.output()`."""
    process = subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **{"cwd": ROOT, **more},
    )
    lines: list[str] = []
    served = threading.Event()

    def read() -> None:
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Serving on "):
                served.set()
        served.set()

    threading.Thread(target=read, daemon=True).start()
    try:
        served.wait(600)
        address = next((line.split()[2] for line in lines if line.startswith("Serving on ")), None)
        assert address, f"{command} did not serve:\n{''.join(lines)}"
        yield SimpleNamespace(
            url=address, process=process, output=lambda: "".join(lines), started=time.monotonic()
        )
        assert process.poll() is None, f"the app ended:\n{''.join(lines)}"
    finally:
        # The whole session of its own: make, the app and what they started.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ask(url: str, task: str, text: str, section: str = "") -> dict[str, Any]:
    """Both columns as a program gets them from the page's endpoint."""
    from gradio_client import Client

    return Client(url, verbose=False).predict(text, section, api_name=f"/{task}")


PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@dataclass
class Script:
    """What a scripted engine writes, and how: the page's own behaviour needs no model.

    hold: written so far when the engine waits for `go_on`; None never waits.
    """

    base: str = "the base column says this"
    lora: str = "the LoRA column says that"
    error: Exception | None = None
    hold: int | None = None
    go_on: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)
    started: int = 0


class ScriptedEngine:
    """An engine with the real one's face whose columns are given beforehand, word by word."""

    backbone_name = "scripted"
    device = "cpu"
    dtype = "float32"

    def __init__(self, script: Script, tasks: tuple[str, ...] = ("radiology", "dialogue")):
        from summarizer.generate import AdapterInfo

        self.script = script
        self.adapters = {
            name: AdapterInfo(name, f"models/{name}", "scripted", 4, None, None, None)
            for name in tasks
        }

    def task(self, name: str) -> Any:
        from summarizer.tasks import get_task

        return get_task(name)

    def stream(
        self,
        task: str,
        text: str,
        *,
        section: str | None = None,
        decoding: Any = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[Any]:
        from summarizer.generate import Pair, Summary
        from summarizer.text import check_input

        check_input(text)
        script, cancel = self.script, cancel or threading.Event()
        script.started += 1
        columns = [script.base.split(" "), script.lora.split(" ")]
        longest = max(map(len, columns))

        def pair(words: int, finish: str) -> Pair:
            base, lora = (
                Summary(" ".join(column[:words]), min(words, len(column)), 0.1 * words, finish)
                for column in columns
            )
            return Pair(base, lora, None, decoding or self.task(task).decoding, text)

        try:
            for words in range(1, longest + 1):
                while script.hold == words and not script.go_on.is_set():
                    if cancel.wait(0.01):
                        break
                if cancel.is_set():
                    yield pair(words, "stopped")
                    return
                yield pair(words, "running")
                time.sleep(0.04)
            if script.error:
                raise script.error
            yield pair(longest, "end")
        finally:
            if cancel.is_set():
                script.cancelled.set()

    def run(self, *arguments: Any, **named: Any) -> Any:
        return list(self.stream(*arguments, **named))[-1]

    def batch(self, task: str, rows: Any, *, cancel: Any = None, **_: Any) -> Iterator[Any]:
        """The columns of every second row are exchanged, so that not all gain alike."""
        from dataclasses import replace

        for place, row in enumerate(rows):
            pair = self.run(task, row["input"], section=row["section"], cancel=cancel)
            turned = replace(pair, base=pair.lora, lora=pair.base)
            yield place, turned if place % 2 else pair


class Visitor:
    """One visitor in a browser of their own. Words of the page, not of its markup."""

    def __init__(self, browser: Any, url: str, **context: Any):
        self.context = browser.new_context(**context)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.faults: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        self.page.goto(url)
        self.tab = "radiology"
        self.card(0).wait_for()
        self._listening()

    def _listening(self) -> None:
        """Wait until gradio answers to what is done on the page: it draws it before that, and on
        a busy machine a first click would come to nothing."""
        for _ in range(40):
            self.text.fill("Is anybody there?")
            self.button("clear").click()
            self.page.wait_for_timeout(50)
            if not self.text.input_value():
                return
        raise AssertionError("The page does not answer.")

    def open(self, task: str) -> None:
        # The first of the name: Results has tabs of its own.
        self.page.get_by_role("tab", name=task.capitalize(), exact=True).first.click()
        self.tab = task
        self.card(0).wait_for()

    def find(self, selector: str) -> Any:
        return self.page.locator(f".task-{self.tab} {selector}")

    def card(self, place: int) -> Any:
        return self.find("button.card").nth(place)

    @property
    def text(self) -> Any:
        return self.find(".source textarea")

    def button(self, name: str) -> Any:
        return self.find(f".actions button.{name.lower()}")

    def pick(self, place: int) -> None:
        """Click an example."""
        self._mark()
        self.card(place).click()

    def press(self, name: str) -> None:
        """Click Run, Stop or Clear."""
        self._mark()
        self.button(name).click()

    def open_settings(self) -> None:
        self.find(".settings .label-wrap").click()
        self.find(".settings input[type=number]").nth(1).wait_for()
        self.find('.settings .label-wrap[aria-expanded="true"]').wait_for()

    def set(self, place: int, value: int) -> None:
        """Put a value into a setting; opens the settings where they are closed.

        gradio draws them when they are opened and writes its own value over what is typed in the
        first moments after that, too soon for anybody's hand: what did not stay is typed again.
        """
        field = self.find(".settings input[type=number]").nth(place)
        if not field.is_visible():
            self.open_settings()
        for _ in range(20):
            field.fill(str(value))
            field.press("Tab")
            self.page.wait_for_timeout(250)
            if field.input_value() == str(value):
                return
        raise AssertionError(f"Setting {place} does not keep {value}.")

    def _mark(self) -> None:
        """Mark the status line as seen; the page's next change of it takes the mark away."""
        self.find(".status").evaluate("line => line.dataset.seen = 'yes'")

    def status(self, state: str) -> str:
        """Wait until the status line has come to this state since the last click; its text then,
        or after it where the state is over already."""
        self.find(f'.status[data-state="{state}"]:not([data-seen])').wait_for()
        return self.find(".status").inner_text()

    def column(self, side: str) -> str:
        return self.find(f".side.{side} .summary").inner_text()

    def meta(self, side: str) -> str:
        return self.find(f".side.{side} .meta").inner_text()

    def run(self, text: str, state: str = "done") -> str:
        self.text.fill(text)
        self.press("run")
        return self.status(state)

    def foreign(self) -> list[str]:
        """Requests to anywhere but the server."""
        hosts = {"127.0.0.1", ""}
        return [url for url in self.requests if urlsplit(url).hostname not in hosts | {None}]

    def overflow(self) -> int:
        """Pixels that the page is wider than its window."""
        return self.page.evaluate(
            "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
            " - window.innerWidth"
        )
