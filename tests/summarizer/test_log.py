"""What a visitor types is not in the log, even where a fault quotes it."""

from __future__ import annotations

import gradio as gr
import pytest

from summarizer import ui
from summarizer.settings import Settings

TYPED = "Zaphod-Quillfeather 4471"


@pytest.fixture
def broken(engine, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"cannot work on {TYPED}")

    monkeypatch.setattr(engine, "_generate", fail)
    return engine


def test_a_fault_is_logged_without_its_message(broken, caplog, capfd) -> None:
    page = ui.build(broken, Settings())
    endpoint = next(fn for fn in page.fns.values() if fn.api_name == "radiology")
    with pytest.raises(gr.Error, match="Something went wrong"):
        list(endpoint.fn(TYPED))
    with gr.Blocks():
        tab = ui.TaskTab(broken, broken.task("radiology"), ui.Runs(1))
    shown = list(tab._run(tab.runs.add("session"), TYPED, None, 1, 8))
    assert "Something went wrong" in str(shown[-1])
    assert caplog.text.count("A run of radiology failed: RuntimeError") == 2
    assert "in fail" in caplog.text  # where it happened
    assert TYPED not in caplog.text + "".join(capfd.readouterr())
