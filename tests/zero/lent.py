"""What `ZeroEngine` promises, in a process of its own, as pytest runs it for test_zero.py.

A process is forked for each loan, so this one generates nothing itself: it is as calm as a
ZeroGPU Space's, whose page only loads the models. What the engine says without a loan was written
to the folder ZERO_FOLDER before.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tiny_t5 import TEXTS

from summarizer.backbone import ModelError
from summarizer.generate import Engine
from summarizer.tasks import TASKS, Decoding
from summarizer.text import InputError
from summarizer.zero import ALL_EXAMPLES, ONE_TEXT, ZeroEngine, lender

SHORT = Decoding(max_new_tokens=16)
LONG = Decoding(max_new_tokens=400, min_new_tokens=400)


FOLDER = Path(os.environ["ZERO_FOLDER"])


@pytest.fixture(scope="session")
def engine() -> Engine:
    adapters = {task: str(FOLDER / task) for task in TASKS}
    return Engine.load(str(FOLDER / "base"), adapters, device="cpu")


@pytest.fixture(scope="session")
def said() -> dict[str, Any]:
    return json.loads((FOLDER / "said.json").read_text())


@pytest.fixture
def loans(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SPACES_STANDIN_LOG", str(tmp_path / "loans"))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield tmp_path / "loans"
    sys.modules.pop("spaces", None)


@pytest.fixture
def lent(engine, loans) -> ZeroEngine:
    return ZeroEngine(engine, lender())


def test_the_text_is_that_of_the_engine(engine, lent, loans, said) -> None:
    there = list(lent.stream("radiology", TEXTS[0], decoding=SHORT))[-1]
    assert {"base": there.base.text, "lora": there.lora.text} == said["texts"][0]
    assert (there.base.finish, there.prompt) == (said["finish"], said["prompt"])
    again = lent.run("radiology", TEXTS[0], decoding=SHORT)
    assert again.lora.text == said["texts"][0]["lora"]
    assert loans.read_text().split()[1] == str(ONE_TEXT)
    for name in ("backbone_name", "backbone_revision", "adapters", "device", "dtype"):
        assert getattr(lent, name) == getattr(engine, name)
    assert lent.task("radiology") == engine.task("radiology")


def test_all_examples_run_in_one_loan(lent, loans, said) -> None:
    rows = [{"input": text} for text in TEXTS[:3]]
    there = dict(lent.batch("radiology", rows, decoding=SHORT, batch_size=2))
    texts = [{"base": there[row].base.text, "lora": there[row].lora.text} for row in range(3)]
    assert texts == said["texts"]
    assert loans.read_text().splitlines()[0].endswith(f" {ALL_EXAMPLES}")
    assert len(loans.read_text().splitlines()) == 2  # lent, and back


def test_stop_gives_the_gpu_back(lent, loans) -> None:
    cancel = threading.Event()
    for pair in lent.stream("radiology", TEXTS[0], decoding=LONG, cancel=cancel):
        if pair.base.tokens > 2:
            cancel.set()
    assert pair.base.finish == pair.lora.finish == "stopped"
    assert pair.base.tokens < 400
    assert loans.read_text().endswith("back\n")


def test_a_visitor_who_leaves_gives_the_gpu_back(lent, loans) -> None:
    pairs = lent.stream("radiology", TEXTS[0], decoding=LONG)
    next(pairs)
    pairs.close()
    assert loans.read_text().endswith("back\n")


def test_nothing_is_lent_for_what_is_refused_or_was_stopped(lent, loans) -> None:
    with pytest.raises(InputError):
        lent.stream("radiology", "   ")
    with pytest.raises(InputError, match="Row 2"):
        lent.batch("radiology", [{"input": "a"}, {"input": ""}])
    cancel = threading.Event()
    cancel.set()
    pair = lent.run("radiology", TEXTS[0], cancel=cancel)
    assert (pair.base.text, pair.base.finish) == ("", "stopped")
    assert not loans.exists()


def test_a_quota_that_is_used_up_is_told(lent, monkeypatch) -> None:
    said = "You have exceeded your GPU quota (60s requested).\n<a href='x'>Sign up</a>"
    monkeypatch.setenv("SPACES_STANDIN_REFUSES", said)
    with pytest.raises(ModelError) as told:
        lent.run("radiology", TEXTS[0])
    assert str(told.value) == (
        "No GPU could be used: You have exceeded your GPU quota (60s requested). Sign up."
    )


def test_a_fault_there_is_told_without_the_text(engine, lent, monkeypatch, capfd) -> None:
    """`spaces` prints the traceback of what it meets, and a library's message may quote."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"cannot work on {TEXTS[0]}")

    monkeypatch.setattr(engine, "_generate", broken)
    with pytest.raises(ModelError, match=r"failed on the GPU \(RuntimeError\)"):
        lent.run("radiology", TEXTS[0])
    out, err = capfd.readouterr()
    assert TEXTS[0][:20] not in out + err
