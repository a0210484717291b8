"""On a ZeroGPU Space each generation runs where a GPU is lent, and the page's engine stays whole."""

from __future__ import annotations

import builtins
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_t5 import TEXTS

from summarizer.settings import SettingsError, read_settings
from summarizer.tasks import Decoding
from summarizer.zero import lender

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 600


def test_each_generation_is_lent_a_process(engine, tiny, tmp_path) -> None:
    """tests/zero/lent.py in a new process: forked from this one, whose threads have multiplied
    matrices and ended, another can spin for ever in MKL's table of buffers by thread."""
    rows = [
        engine.run("radiology", text, decoding=Decoding(max_new_tokens=16)) for text in TEXTS[:3]
    ]
    said = {
        "texts": [{"base": row.base.text, "lora": row.lora.text} for row in rows],
        "finish": rows[0].base.finish,
        "prompt": rows[0].prompt,
    }
    (tmp_path / "said.json").write_text(json.dumps(said))
    for name, folder in {"base": tiny.backbone, **tiny.adapters}.items():
        (tmp_path / name).symlink_to(folder)
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    with (tmp_path / "output").open("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "tests/zero/lent.py"],
            env=variables | {"ZERO_FOLDER": str(tmp_path)},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        output.seek(0)
        text = output.read()
    assert code == 0, text
    assert re.search(r"^7 passed", text, re.MULTILINE), text


def test_the_package_is_no_dependency(monkeypatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "spaces":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert not read_settings({}).zero_gpu
    assert read_settings({"SPACES_ZERO_GPU": "true"}).zero_gpu
    with pytest.raises(SettingsError, match="package spaces is not there"):
        lender()
