"""With the packages installed, nothing goes to the network: the app needs loopback alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from page.visiting import ROOT, ask, free_port, serving

TEXT = "The lungs are clear. The heart is of normal size."


def test_the_app_tries_to_reach_no_other_host(tmp_path):
    log = tmp_path / "reached.txt"
    env = os.environ | {
        "SUMMARIZER_PORT": str(free_port()),
        "PYTHONPATH": str(Path(__file__).parent / "loopback_only"),
        "LOOPBACK_LOG": str(log),
        "HOME": str(tmp_path),
    }
    # As a user's environment is: without the variables by which the tests cut the Hub off.
    for name in ("HF_ENDPOINT", "HF_HUB_DISABLE_TELEMETRY", "GRADIO_ANALYTICS_ENABLED", "HF_HOME"):
        env.pop(name, None)
    guarded = subprocess.run(
        [sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 80))"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "only loopback answers here" in guarded.stderr
    assert log.read_text().split() == ["192.0.2.1"] * len(log.read_text().split())
    log.unlink()

    with serving([sys.executable, "app.py"], env) as app:
        for task in ("radiology", "dialogue", "question"):
            answer = ask(app.url, task, TEXT)
            assert {"base", "lora"} <= set(answer)
    assert not log.exists(), log.read_text()


def _may_unshare() -> bool:
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    command = [unshare, "--net", "--map-root-user", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _may_unshare(), reason="this machine allows no network namespace")
def test_the_page_works_where_only_loopback_answers(tmp_path):
    done = subprocess.run(
        [
            *("unshare", "--net", "--map-root-user"),
            *(sys.executable, "-m", "page.isolated", str(tmp_path)),
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
    for task, (base, lora) in found["columns"].items():
        assert base.strip() and lora.strip() and base != lora, task
