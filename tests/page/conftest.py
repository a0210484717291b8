"""What the tests of the page share: the real app in a process, a scripted one, and a browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from page.chromium import ADVICE, find
from page.visiting import (
    CHROMIUM_FLAGS,
    Script,
    ScriptedEngine,
    Visitor,
    free_port,
    serving,
)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The app as a user starts it, with the models of this repository: `.url`, `.folder`.

    `.folder` holds everything it can write: its home and its temporary files.
    """
    folder = tmp_path_factory.mktemp("site")
    (folder / "tmp").mkdir()
    env = os.environ | {
        "SUMMARIZER_PORT": str(free_port()),
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HF_HOME": str(folder / "huggingface"),
        "GRADIO_TEMP_DIR": str(folder / "tmp" / "gradio"),
    }
    with serving([sys.executable, "app.py"], env) as app:
        app.folder = folder
        yield app


@pytest.fixture
def scripted() -> Iterator[Callable[..., SimpleNamespace]]:
    """scripted(queue=32, base="...", ...) serves the page with a scripted engine in this process:
    `.url`, `.script`."""
    from summarizer import ui
    from summarizer.settings import Settings

    pages = []

    def serve(queue: int = 32, **script: Any) -> SimpleNamespace:
        written = Script(**script)
        settings = Settings(port=free_port(), queue=queue)
        page = ui.build(ScriptedEngine(written), settings)
        pages.append((page, written))
        return SimpleNamespace(url=ui.launch(page, settings), script=written)

    yield serve
    for page, script in pages:
        script.go_on.set()
        page.close(verbose=False)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = find()
    assert path, ADVICE
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visitor]]:
    """visit(url, **context) opens the page. Whatever a test does, nothing may leave for another
    host and no script may fail."""
    visitors: list[Visitor] = []

    def open_page(url: str, **context: Any) -> Visitor:
        visitors.append(Visitor(browser, url, **context))
        return visitors[-1]

    yield open_page
    for visitor in visitors:
        visitor.context.close()
    for visitor in visitors:
        assert visitor.foreign() == []
        assert visitor.faults == []
