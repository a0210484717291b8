"""The thread that everything is computed in."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from tiny_t5 import TEXTS

from summarizer.compute import computed, submit
from summarizer.generate import Engine
from summarizer.tasks import Decoding

# so long that a test which stops it would notice if it did not
LONG = Decoding(max_new_tokens=400, min_new_tokens=400)
SHORT = Decoding(max_new_tokens=16)


def test_all_is_called_in_one_thread_and_in_turn():
    called = []
    jobs = [submit(called.append, number) for number in range(20)]
    for job in jobs:
        job.result()
    assert called == list(range(20))
    found = {computed(threading.get_ident) for _ in range(3)}
    assert len(found) == 1 and threading.get_ident() not in found


def test_what_is_called_may_call_again():
    assert computed(lambda: computed(lambda: 7) + 1) == 8


def test_a_fault_is_raised_where_it_is_waited_for_and_the_next_call_works():
    with pytest.raises(ZeroDivisionError):
        computed(lambda: 1 / 0)
    assert computed(int, "5") == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_computes_too():
    """As on ZeroGPU, where each generation is in a process forked for it."""
    code = (
        "import os\n"
        "from summarizer.compute import computed\n"
        "print(computed(lambda: 'parent'), flush=True)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    print(computed(lambda: 'child'), flush=True)\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "print(computed(lambda: 'parent'), flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["parent", "child", "parent"], done.stderr


def test_models_are_loaded_and_run_there_whoever_asks(tiny, monkeypatch):
    import torch

    seen = set()
    called = torch.nn.Module.__call__

    def watched(*args, **kwargs):
        seen.add(threading.get_ident())
        return called(*args, **kwargs)

    monkeypatch.setattr(torch.nn.Module, "__call__", watched)
    loaded = set()
    load = Engine._load.__func__

    def loading(*args):
        loaded.add(threading.get_ident())
        return load(*args)

    monkeypatch.setattr(Engine, "_load", classmethod(loading))
    engines = [Engine.load(str(tiny.backbone), tiny.adapters) for _ in range(2)]
    for engine in engines:
        engine.run("radiology", TEXTS[0], decoding=SHORT)
        list(engine.batch("radiology", [{"input": text} for text in TEXTS[:3]], decoding=SHORT))
    other = threading.Thread(target=engines[0].run, args=("radiology", TEXTS[0]))
    other.start()
    other.join()
    assert seen == loaded == {computed(threading.get_ident)}


def test_an_interrupt_ends_a_batch_and_what_it_computes(tiny):
    engine = Engine.load(str(tiny.backbone), tiny.adapters)
    rows = [{"input": text} for text in TEXTS[:2]]
    expected = dict(engine.batch("radiology", rows, decoding=SHORT))
    steps = 0

    def hook(*_):
        nonlocal steps
        steps += 1
        if steps == 5:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    watched = engine._model.get_base_model().decoder.register_forward_pre_hook(hook)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(engine.batch("radiology", rows, decoding=LONG))
        computed(int)  # behind what the interrupted batch left
        assert steps < 50
    finally:
        watched.remove()
        signal.signal(signal.SIGINT, before)
    found = dict(engine.batch("radiology", rows, decoding=SHORT))
    assert [pair.lora.text for _, pair in sorted(found.items())] == [
        pair.lora.text for _, pair in sorted(expected.items())
    ]
