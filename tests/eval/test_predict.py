"""Predictions of any number of systems on the same rows, whole after a kill, batched by length."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from eval_helpers import ROOT, rows, write_jsonl
from tiny_t5 import make_adapter

from eval import predict as module
from eval.predict import Journal, Request, predict, task_of
from eval.rows import DataError, read_rows
from eval.systems import Text
from summarizer.backbone import ModelError
from summarizer.generate import Engine
from tests.warm import Started, run

DECODING = {"max_new_tokens": 12}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("north")
    write_jsonl(folder / "train.jsonl", rows(9))
    return write_jsonl(folder / "test.jsonl", rows(11))


def request(tiny, *systems, **options):
    settings = {"backbone": tiny.backbone, "decoding": DECODING, "batch_size": 4} | options
    return Request(systems=systems, task="radiology", **settings)


@pytest.fixture(scope="module")
def whole(tiny, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "p.jsonl"
    wanted = request(tiny, "base", tiny.adapters["radiology"], "floors",
                     train=str(data.parent / "train.jsonl"))  # fmt: skip
    return out, predict(wanted, data, out)


def test_texts_are_the_engines_own(tiny, data, whole):
    engine = Engine.load(tiny.backbone, {"radiology": tiny.adapters["radiology"]}, device="cpu")
    from summarizer.tasks import Decoding

    _, found = whole
    for k, row in enumerate(read_rows(data)):
        pair = engine.run("radiology", row["input"], decoding=Decoding(max_new_tokens=12))
        assert (found.outputs["base"][k], found.outputs["lora"][k]) == (
            pair.base.text,
            pair.lora.text,
        )
    assert found.outputs["base"] != found.outputs["lora"]


def test_rows_keep_their_order_and_fields(data, whole):
    out, _ = whole
    written = [json.loads(line) for line in out.read_text().splitlines()]
    for row, line in zip(read_rows(data), written, strict=True):
        assert row.items() <= line.items()
        assert set(line["finish"]) >= {"base", "lora"}


def test_the_sidecar_says_exactly_how_each_system_wrote(tiny, whole):
    out, _ = whole
    meta = json.loads(Path(f"{out}.meta.json").read_text())
    assert meta["data"]["n"] == 11 and meta["data"]["split"] == "test"
    lora = meta["systems"]["lora"]
    assert lora["method"] == "generate"
    assert lora["decoding"]["max_new_tokens"] == 12
    assert len(lora["adapter_sha256"]) == len(lora["backbone_sha256"]) == 64
    assert meta["systems"]["base"]["decoding"] == lora["decoding"]
    assert "adapter" not in meta["systems"]["base"]
    assert meta["systems"]["nearest training input"]["method"] == "rule"
    assert meta["versions"]["transformers"]
    assert str(ROOT) not in json.dumps(meta) and tiny.backbone not in json.dumps(meta)


def test_two_adapters_as_easily_as_one(tiny, data, tmp_path):
    other = make_adapter(Path(tiny.backbone), tmp_path / "other", seed=9)
    wanted = request(tiny, "base", f"first={tiny.adapters['radiology']}", f"second={other}")
    found = predict(wanted, data, tmp_path / "p.jsonl")
    assert list(found.outputs) == ["base", "first", "second"]
    assert found.outputs["first"] != found.outputs["second"]


def test_a_full_model_and_a_base_alone_are_the_same_text(tiny, data, whole, tmp_path):
    """The backbone given as a fine-tuned model writes what the engine's base column writes."""
    _, found = whole
    full = predict(request(tiny, f"full={tiny.backbone}"), data, tmp_path / "a.jsonl")
    base = predict(request(tiny, "base"), data, tmp_path / "b.jsonl")
    assert full.outputs["full"] == base.outputs["base"] == found.outputs["base"]


@pytest.mark.parametrize("kind", ["bart", "phi3"])
def test_other_architectures_write_what_they_write_alone(kind, tiny, data, tmp_path):
    """Rows of a padded batch against the model loaded by itself and given one row at a time."""
    import torch
    from tiny_t5 import stir
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    from summarizer.tasks import get_task, prompt_parts
    from tests.train.tiny_backbones import make

    folder = make(kind, tmp_path / kind)
    factory = AutoModelForCausalLM if kind == "phi3" else AutoModelForSeq2SeqLM
    model = factory.from_pretrained(folder)
    stir(model, 3)
    model.save_pretrained(folder)
    written = predict(request(tiny, f"full={folder}"), data, tmp_path / "p.jsonl").outputs["full"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model.generation_config.forced_eos_token_id = None  # a text at the limit is cut off
    before, after = prompt_parts(get_task("radiology"), None)
    for row, text in zip(read_rows(data), written, strict=True):
        prompt = f"{before}{row['input']}{after}"
        if kind == "phi3":
            prompt = f"<s><|user|>\n{prompt}<|end|>\n<|assistant|>\n"
        given = tokenizer(prompt, return_tensors="pt", add_special_tokens=kind == "bart")
        with torch.no_grad():
            ids = model.generate(**given, max_new_tokens=12, do_sample=False)[0]
        ids = ids[given["input_ids"].shape[1] :] if kind == "phi3" else ids[1:]
        alone = tokenizer.decode(ids, skip_special_tokens=True).rstrip("\ufffd").strip()
        assert text == alone
    assert len(set(written)) > 1


def test_a_system_added_later_leaves_the_others_as_they_are(tiny, data, tmp_path, monkeypatch):
    out = tmp_path / "p.jsonl"
    predict(request(tiny, "base"), data, out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    lines[0]["base"] = "kept as it was"  # would be overwritten if it were generated again
    write_jsonl(out, lines)
    found = predict(request(tiny, "base", "first sentence"), data, out)
    assert found.outputs["base"][0] == "kept as it was"
    assert list(found.outputs) == ["base", "first sentence"]


def test_other_settings_are_generated_anew(tiny, data, tmp_path):
    out = tmp_path / "p.jsonl"
    short = predict(request(tiny, "base", decoding={"max_new_tokens": 2}), data, out)
    longer = predict(request(tiny, "base"), data, out)
    assert short.outputs["base"] != longer.outputs["base"]


def test_texts_that_other_code_wrote_are_generated_anew(tiny, data, tmp_path, monkeypatch):
    """What an older state of the package wrote is not scored as if this one had written it."""
    from summarizer import backbone

    out = tmp_path / "p.jsonl"
    written = predict(request(tiny, "base"), data, out).outputs["base"]
    lines = [json.loads(line) | {"base": "stale"} for line in out.read_text().splitlines()]
    write_jsonl(out, lines)
    assert set(predict(request(tiny, "base"), data, out).outputs["base"]) == {"stale"}
    monkeypatch.setattr(backbone, "code_sha256", lambda: "other")
    assert predict(request(tiny, "base"), data, out).outputs["base"] == written


def test_a_run_that_stops_half_way_goes_on_and_ends_the_same(tiny, data, whole, tmp_path):
    out, _ = whole
    again = tmp_path / "p.jsonl"
    wanted = request(tiny, "base", tiny.adapters["radiology"], "floors",
                     train=str(data.parent / "train.jsonl"))  # fmt: skip
    calls = []
    keep = Journal.add

    def stop_at_the_second_batch(self, batch):
        calls.append(len(batch))
        if len(calls) == 2:
            raise KeyboardInterrupt
        keep(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "add", stop_at_the_second_batch)
        with pytest.raises(KeyboardInterrupt):
            predict(wanted, data, again)
    assert not again.exists() and Path(f"{again}.part").exists()
    generated = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "add", lambda self, b: (generated.append(len(b)), keep(self, b)))
        predict(wanted, data, again)
    assert again.read_bytes() == out.read_bytes()
    assert generated[0] == 4 and sum(generated[:2]) == 7  # the first four were not written again
    assert not Path(f"{again}.part").exists()


def test_half_a_line_left_by_a_kill_is_written_again(tmp_path):
    lines = rows(3)
    out = tmp_path / "p.jsonl"
    journal = Journal(out, lines, "f" * 64)
    journal.start({"base": {"method": "generate"}})
    journal.add([(0, {"base": Text("one")})])
    journal.add([(1, {"base": Text("two")})])
    part = Path(f"{out}.part")
    part.write_bytes(part.read_bytes()[:-9])
    again = Journal(out, lines, "f" * 64)
    again.start({"base": {"method": "generate"}})
    assert again.missing("base") == [1, 2]
    again.add([(1, {"base": Text("two")})])
    assert Journal(out, lines, "f" * 64)._texts["base"][1].text == "two"


def test_a_journal_of_other_rows_is_not_taken_up(tmp_path):
    out = tmp_path / "p.jsonl"
    first = Journal(out, rows(3), "f" * 64)
    first.start({"base": {"method": "generate"}})
    first.add([(0, {"base": Text("one")})])
    for other in (Journal(out, rows(4), "f" * 64), Journal(out, rows(4), "e" * 64)):
        other.start({"base": {"method": "generate"}})
        assert other.missing("base") == [0, 1, 2, 3]


def test_a_killed_process_started_again_gives_the_same_file(tiny, tmp_path):
    folder = tmp_path / "south"
    folder.mkdir()
    test = write_jsonl(folder / "test.jsonl", rows(60))
    command = ["eval.predict", tiny.adapters["radiology"], "--task",
               "radiology", "--backbone", tiny.backbone, "--data", str(test), "--batch-size", "2",
               "--max-new-tokens", "60", "--device", "cpu", "--out"]  # fmt: skip
    straight, killed = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    run(*command, straight).check_returncode()
    process = Started(*command, killed)
    part = Path(f"{killed}.part")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if part.exists() and part.read_bytes().count(b'"texts"') >= 3:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    assert process.wait() == -signal.SIGKILL, "it must be killed before it ends"
    assert not killed.exists()
    run(*command, killed).check_returncode()
    assert killed.read_bytes() == straight.read_bytes()
    sidecars = [Path(f"{path}.meta.json").read_text() for path in (straight, killed)]
    assert sidecars[0] == sidecars[1]


@pytest.mark.parametrize(
    ("systems", "expected"),
    [
        (("a=base", "base"), "Two systems are called 'base'"),
        (("input={adapter}",), "cannot be called 'input'"),
        (("section={adapter}",), "cannot be called 'section'"),
        (("first sentence={adapter}",), "cannot be called 'first sentence': that is a floor"),
        (("nearest training input",), "needs the training set: give --train"),
    ],
)
def test_bad_systems_are_told(tiny, data, tmp_path, systems, expected):
    given = [s.format(adapter=tiny.adapters["radiology"]) for s in systems]
    with pytest.raises(DataError, match=expected):
        predict(request(tiny, *given), data, tmp_path / "p.jsonl")


def test_the_task_is_the_adapters(tiny, tmp_path):
    assert task_of([tiny.adapters["question"]]) == "question"
    named = make_adapter(Path(tiny.backbone), tmp_path / "mine", seed=3,
                         run={"recipe": {"task": "dialogue"}})  # fmt: skip
    assert task_of(["base", f"x={named}"]) == "dialogue"
    silent = make_adapter(Path(tiny.backbone), tmp_path / "silent", seed=3)
    with pytest.raises(DataError, match="Which task is this"):
        task_of(["base", str(silent)])
    with pytest.raises(ModelError, match="holds neither an adapter nor a model"):
        task_of([str(tmp_path)])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["base", "--data", "none.jsonl", "--task", "radiology"], "There is no file none.jsonl"),
        (["base", "--data", "{data}", "--task", "cooking"], "There is no task 'cooking'"),
        (["models/none", "--data", "{data}", "--task", "radiology"], "models/none is missing"),
        (["{empty}", "--data", "{data}", "--task", "radiology"], "holds neither an adapter nor"),
        (["base", "--data", "{data}"], "Which task is this"),
        (["base", "--data", "{data}", "--task", "radiology", "--batch-size", "0"], "--batch-size"),
        (["base", "--data", "{data}", "--task", "radiology", "--num-beams", "0"], "num_beams"),
        (["base", "--data", "{data}", "--task", "question"], "look like the task radiology"),
    ],
)
def test_bad_input_gets_one_line_and_a_non_zero_exit(
    tiny, data, tmp_path, capsys, arguments, expected
):
    given = [a.format(data=data, empty=tmp_path) for a in arguments]
    code = module.main([*given, "--backbone", tiny.backbone, "--out", str(tmp_path / "p.jsonl")])
    error = capsys.readouterr().err
    assert code == 1 and expected in error
    assert error.count("\n") == 1 and "Traceback" not in error


def test_help_answers_without_torch():
    script = (
        "import sys, runpy\nsys.argv = ['x', '--help']\ntry:\n"
        "    runpy.run_module(sys.argv.pop(0) and NAME, run_name='__main__')\n"
        "except SystemExit:\n    print('torch' in sys.modules, 'evaluate' in sys.modules)"
    )
    for name in ("eval.predict", "eval.run"):
        code = script.replace("sys.argv.pop(0) and NAME", repr(name))
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                              env=os.environ, check=True)  # fmt: skip
        assert "usage: python -m " + name in done.stdout
        assert done.stdout.rstrip().endswith("False False")


def test_long_rows_go_in_small_batches():
    from eval.systems import BATCH_TOKENS, batches_of

    made = [{"input": "x" * length} for length in (40, 30_000, 8000, 20, 4000, 60)]
    found = batches_of(made, 4)
    assert [place for batch in found for place in batch] == [1, 2, 4, 5, 0, 3]
    assert [len(batch) for batch in found] == [1, 4, 1]
    for batch in found:
        assert len(batch) == 1 or len(batch) * len(made[batch[0]]["input"]) / 4 <= BATCH_TOKENS
    # What is left after whole batches is cut in the same batches.
    assert batches_of([made[k] for k in (5, 0, 3)], 4) == [[0, 1, 2]]
    assert batches_of([], 4) == []


def test_an_input_that_no_model_is_given_is_told_with_its_row(tiny, tmp_path):
    lines = rows(3)
    lines[1]["input"] = "x" * 300_000
    data = write_jsonl(tmp_path / "test.jsonl", lines)
    with pytest.raises(DataError, match=r"test.jsonl, row 2 \(id r1\): The text has 300,000"):
        predict(request(tiny, "base"), data, tmp_path / "p.jsonl")


def test_what_is_read_or_is_no_predictions_is_not_overwritten(tiny, tmp_path):
    data = write_jsonl(tmp_path / "test.jsonl", rows(2))
    other = tmp_path / "other.jsonl"
    other.write_text("something else\n")
    kept = data.read_bytes()
    for out, expected in ((data, "is what is read"), (other, "holds no predictions")):
        with pytest.raises(DataError, match=expected):
            predict(request(tiny, "base"), data, out)
    assert data.read_bytes() == kept and other.read_text() == "something else\n"
    other.write_text("")  # nothing is lost
    assert predict(request(tiny, "base"), data, other).outputs


def test_several_processes_write_the_same_file(tiny, data, whole, tmp_path):
    out, _ = whole
    again = tmp_path / "p.jsonl"
    wanted = request(tiny, "base", tiny.adapters["radiology"], "floors", workers=2,
                     train=str(data.parent / "train.jsonl"))  # fmt: skip
    predict(wanted, data, again)
    assert again.read_bytes() == out.read_bytes()


def test_a_fault_in_a_worker_is_the_commands_and_no_worker_is_left(tiny, data, tmp_path):
    import multiprocessing

    broken = tmp_path / "radiology"
    broken.mkdir()
    for file in Path(tiny.adapters["radiology"]).iterdir():
        if file.is_file():
            (broken / file.name).write_bytes(file.read_bytes())
    weights = broken / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(ModelError):
        predict(request(tiny, "base", str(broken), workers=2), data, tmp_path / "p.jsonl")
    assert not multiprocessing.active_children()


def test_no_worker_outlives_a_killed_command(tiny, tmp_path):
    test = write_jsonl(tmp_path / "test.jsonl", rows(80))
    command = [sys.executable, "-m", "eval.predict", tiny.adapters["radiology"], "--task",
               "radiology", "--backbone", tiny.backbone, "--data", str(test), "--device", "cpu",
               "--max-new-tokens", "60", "--batch-size", "2", "--workers", "2",
               "--out", str(tmp_path / "p.jsonl")]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    part = tmp_path / "p.jsonl.part"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and b'"texts"' not in _bytes(part):
        time.sleep(0.01)
    workers = [pid for own in _children(process.pid) for pid in _children(own)]
    process.kill()
    process.wait()
    assert len(workers) == 2
    while time.monotonic() < deadline and any(map(_runs, workers)):
        time.sleep(0.05)
    assert not any(map(_runs, workers))


def _bytes(path):
    return path.read_bytes() if path.exists() else b""


def _children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _runs(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except OSError:
        return False
