"""The app ends with one sentence where it cannot serve: no traceback, a status other than zero."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import urllib.request

import pytest

from page.visiting import Script, ScriptedEngine, free_port
from summarizer import ui
from summarizer.settings import Settings
from tests.warm import run


@pytest.fixture
def adapter(tiny, tmp_path):
    return shutil.copytree(tiny.adapters["radiology"], tmp_path / "adapter")


def start(tiny, adapter, **changes: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("SUMMARIZER_")}
    env |= {
        "SUMMARIZER_PORT": str(free_port()),
        "SUMMARIZER_BACKBONE": str(tiny.backbone),
        "SUMMARIZER_ADAPTER_RADIOLOGY": str(adapter),
        **changes,
    }
    return run("app.py", env=env)


def assert_told(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("app.py: ") and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_models_that_cannot_be_used(tiny, adapter, tmp_path):
    (tmp_path / "empty").mkdir()
    assert_told(start(tiny, tmp_path / "empty"), "holds no adapter")
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:300])
    assert_told(start(tiny, adapter), "damaged")
    weights.rename(adapter / "adapter_model.bin")
    assert_told(start(tiny, adapter), "pickle")


def test_settings_and_a_port_that_is_taken(tiny, adapter):
    assert_told(start(tiny, adapter, SUMMARIZER_PORT="many"), "SUMMARIZER_PORT")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert_told(start(tiny, adapter, SUMMARIZER_PORT=port), port, "SUMMARIZER_PORT")


def test_the_server_ends_though_a_browser_is_still_open():
    settings = Settings(port=free_port())
    page = ui.build(ScriptedEngine(Script()), settings)
    url = ui.launch(page, settings)
    with urllib.request.urlopen(f"{url}/gradio_api/heartbeat/browser", timeout=60) as beats:
        assert beats.read(1)  # a stream that an open page never ends
        page.server.close()  # as on Ctrl+C
        assert not page.server.thread.is_alive()
    page.close(verbose=False)
