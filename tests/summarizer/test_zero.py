"""On a ZeroGPU Space each generation runs where a GPU is lent, and the page's engine stays whole."""

from __future__ import annotations

import builtins
import sys
import threading
from pathlib import Path

import pytest
from tiny_t5 import TEXTS

from summarizer.backbone import ModelError
from summarizer.settings import SettingsError, read_settings
from summarizer.tasks import Decoding
from summarizer.text import InputError
from summarizer.zero import ALL_EXAMPLES, ONE_TEXT, ZeroEngine, lender

SHORT = Decoding(max_new_tokens=16)
LONG = Decoding(max_new_tokens=400, min_new_tokens=400)


@pytest.fixture
def loans(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SPACES_STANDIN_LOG", str(tmp_path / "loans"))
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "zero"))
    yield tmp_path / "loans"
    sys.modules.pop("spaces", None)


@pytest.fixture
def lent(engine, loans) -> ZeroEngine:
    return ZeroEngine(engine, lender())


def test_the_text_is_that_of_the_engine(engine, lent, loans) -> None:
    here = engine.run("radiology", TEXTS[0], decoding=SHORT)
    pairs = list(lent.stream("radiology", TEXTS[0], decoding=SHORT))
    there = pairs[-1]
    assert (there.base.text, there.lora.text) == (here.base.text, here.lora.text)
    assert (there.base.finish, there.prompt) == (here.base.finish, here.prompt)
    assert lent.run("radiology", TEXTS[0], decoding=SHORT).lora.text == here.lora.text
    assert loans.read_text().split()[1] == str(ONE_TEXT)
    for name in ("backbone_name", "backbone_revision", "adapters", "device", "dtype"):
        assert getattr(lent, name) == getattr(engine, name)
    assert lent.task("radiology") == engine.task("radiology")


def test_all_examples_run_in_one_loan(engine, lent, loans) -> None:
    rows = [{"input": text} for text in TEXTS[:3]]
    here = dict(engine.batch("radiology", rows, decoding=SHORT, batch_size=2))
    there = dict(lent.batch("radiology", rows, decoding=SHORT, batch_size=2))
    assert {k: v.lora.text for k, v in there.items()} == {k: v.lora.text for k, v in here.items()}
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
