"""With the packages installed, nothing goes to the network: the app needs loopback alone.

What the app tries is written down by a guard in its process. Where the machine allows a network
namespace, the app is also visited from inside one that has loopback and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from page.visiting import ROOT, ask, free_port, serving

TEXT = "The lungs are clear. The heart is of normal size."


@pytest.fixture
def guarded(tmp_path):
    """The environment of a user whose process writes into `.log` every other host it asks for."""
    log = tmp_path / "reached.txt"
    env = os.environ | {
        "SUMMARIZER_PORT": str(free_port()),
        "PYTHONPATH": str(Path(__file__).parent / "loopback_only"),
        "LOOPBACK_LOG": str(log),
        "HOME": str(tmp_path),
    }
    # Without the variables by which the tests cut the Hub off.
    for name in ("HF_ENDPOINT", "HF_HUB_DISABLE_TELEMETRY", "GRADIO_ANALYTICS_ENABLED", "HF_HOME"):
        env.pop(name, None)
    return SimpleNamespace(env=env, log=log)


def test_whoever_asks_for_another_host_is_written_down(guarded):
    done = subprocess.run(
        [sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 80))"],
        env=guarded.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "only loopback answers here" in done.stderr
    assert set(guarded.log.read_text().split()) == {"192.0.2.1"}


def _may_unshare() -> bool:
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    command = [unshare, "--net", "--map-root-user", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_the_page_works_where_only_loopback_answers_and_asks_for_no_other_host(guarded):
    if not _may_unshare():
        with serving([sys.executable, "app.py"], guarded.env) as app:
            for task in ("radiology", "dialogue", "question"):
                answer = ask(app.url, task, TEXT)
                assert {"base", "lora"} <= set(answer)
        assert not guarded.log.exists(), guarded.log.read_text()
        return
    done = subprocess.run(
        [
            *("unshare", "--net", "--map-root-user"),
            *(sys.executable, "-m", "page.isolated", json.dumps(guarded.env)),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["outside"] is False
    assert found["foreign"] == [] and found["faults"] == []
    assert set(found["columns"]) == {"radiology", "dialogue", "question"}
    for task, (base, lora) in found["columns"].items():
        assert base.strip() and lora.strip() and base != lora, task
    assert not guarded.log.exists(), guarded.log.read_text()
