"""The base's pre-training: rows, packing, what is kept out, going on after a kill, the folder."""

import dataclasses
import json
import lzma
import os
import shutil
import signal
import time

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from tests.warm import Started
from train import pretrain
from train.growth import ADDS, deeper
from train.pretrain import Pretraining, Rows, new_model, packed_loss

TINY = Pretraining(
    d_model=32, d_ff=48, d_kv=8, num_heads=2, num_layers=2, num_decoder_layers=1,
    vocabulary_size=512, input_tokens=128, target_tokens=64, rows=2, steps=8, warmup=2,
    copy_steps=2, ramp_steps=2,
)  # fmt: skip
FLAGS = [
    part
    for field in dataclasses.fields(TINY)
    for part in (f"--{field.name}", str(getattr(TINY, field.name)))
]
SECRET = (
    "a row of a task that says quite plainly that the left lower lobe holds a mass of four "
    "centimetres which was not there before"
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for source in ("mtsamples", "medquad"):
        with lzma.open(folder / f"{source}.jsonl.xz", "wt") as out:
            for number in range(30):
                text = (
                    f"Visit {number} of {source}\n\nHISTORY: The patient is {20 + number} years old. He has a "
                    f"cough for {number} days. He denies fever and chest pain.\n\nPLAN: He will "
                    "have a chest x-ray. He will come back in a week.\n\nALLERGIES: None known.\n\n"
                    f"What is a cough number {number}?\nA cough clears the airways of mucus and "
                    "dust. It often ends by itself. See a doctor when it lasts."
                )
                if source == "mtsamples" and number == 3:
                    text += " " + SECRET.upper() + "."
                out.write(json.dumps({"id": f"{source}-{number}", "text": text}) + "\n")
    (folder / "task.jsonl").write_text(json.dumps({"input": SECRET, "target": "short"}) + "\n")
    return folder


@pytest.fixture(scope="module")
def work(corpus, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    pretrain.prepare(corpus, [corpus / "task.jsonl"], work, TINY.vocabulary_size)
    return work


@pytest.fixture
def rows(work):
    tokenizer = AutoTokenizer.from_pretrained(work / "tokenizer")
    return Rows(pretrain.read_documents(work / "train.jsonl.xz"), tokenizer, TINY)


def test_documents_that_hold_a_task_s_row_are_left_out(work):
    report = json.loads((work / "corpus.json").read_text())
    assert report["left_out"] == ["mtsamples-3"]
    texts = [
        d.text for part in ("train", "validation") for d in pretrain.read_documents(work / f"{part}.jsonl.xz")
    ]  # fmt: skip
    assert len(texts) == 59
    assert not any(SECRET.upper() in t for t in texts)


def test_training_and_validation_share_no_document(work):
    train, validation = (
        {d.text for d in pretrain.read_documents(work / f"{p}.jsonl.xz")} for p in ("train", "validation")
    )  # fmt: skip
    assert not train & validation


def test_the_lexicon_holds_the_words_of_three_documents(work, corpus, tmp_path):
    words = (work / "lexicon.txt").read_text().split()
    assert words == sorted(words)
    assert {"cough", "patient", "he", "mtsamples"} <= set(words)
    assert not {"centimetres", "lobe"} & set(words), "one document says that, and it was left out"
    assert all(word == word.lower() and word.isalpha() for word in words)
    old = shutil.copytree(work, tmp_path / "old")  # prepared before there was a lexicon
    (old / "lexicon.txt").unlink()
    pretrain.prepare(corpus, [], old, TINY.vocabulary_size)
    assert (old / "lexicon.txt").read_bytes() == (work / "lexicon.txt").read_bytes()


def test_a_row_depends_on_its_number_alone(rows):
    first, again = rows[11], rows[11]
    assert all((first[k] == again[k]).all() for k in first)
    assert (rows[12]["input"] != first["input"]).any()


def test_rows_are_well_formed(rows):
    for index in range(0, 16):
        row = rows[index]
        for part in range(1, row["input_part"].max() + 1):
            given = row["input"][row["input_part"] == part]
            labels = row["label"][row["decoder_part"] == part]
            decoder = row["decoder"][row["decoder_part"] == part]
            assert given[-1] == labels[-1] == 1
            assert decoder[0] == 0
            assert (decoder[1:] == labels[:-1]).all()
        assert (row["label"][row["decoder_part"] == 0] == -100).all()


def test_examples_packed_in_a_row_do_not_see_each_other(rows):
    """The packed loss is the loss of the examples one by one, by the model's ordinary forward."""
    torch.manual_seed(0)
    model = new_model(dataclasses.replace(TINY, attention="eager")).eval()
    row = next(rows[i] for i in range(40) if rows[i]["input_part"].max() >= 2)
    batch = {k: torch.tensor(v)[None] for k, v in row.items()}
    total, tokens = 0.0, 0
    for part in range(1, int(row["input_part"].max()) + 1):
        given = batch["input"][batch["input_part"] == part][None]
        labels = batch["label"][batch["decoder_part"] == part][None]
        with torch.no_grad():
            total += model(input_ids=given, labels=labels).loss.item() * labels.numel()
        tokens += labels.numel()
    with torch.no_grad():
        packed = packed_loss(model, batch).item()
    assert packed == pytest.approx(total / tokens, abs=1e-4)


def run(work, folder, *more):
    return Started(
        *("train.pretrain", "--work", work, "--run", folder, "--stage", "train", "--device", "cpu"),
        *("--no-compile", "--workers", "0", *FLAGS, *more),
    )


def weights(folder):
    whole = torch.load(folder / "state.pt", weights_only=True)
    return whole["state"]["step"], whole["model"]


def test_a_killed_run_goes_on_and_ends_as_one_never_killed(work, tmp_path):
    whole = run(work, tmp_path / "whole")
    killed = run(work, tmp_path / "killed", "--save-every", "0")
    deadline = time.monotonic() + 600
    while not (tmp_path / "killed/state.pt").exists() and killed.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    again = run(work, tmp_path / "killed")
    assert again.wait() == 0
    assert whole.wait() == 0
    (step, one), (other_step, other) = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert step == other_step == TINY.steps
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_state_of_another_run_is_refused_by_name(work, tmp_path):
    assert run(work, tmp_path, "--steps", "1").wait() == 0
    for name, value in (("clip", "0.5"), ("start", "models/base")):
        other = run(work, tmp_path, f"--{name}", value)
        _, error = other.communicate()
        assert other.returncode != 0
        assert f"another {name}" in error and "Traceback" not in error


def test_the_exported_folder_is_a_bf16_t5_that_anyone_loads(work, tmp_path):
    pretrain.train(TINY, work, tmp_path / "run", minutes=9, workers=0, device="cpu",
                   compile_model=False, save_every=9)  # fmt: skip
    pretrain.export(TINY, work, tmp_path / "run", tmp_path / "base", shard="40KB")
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "base")
    assert model.dtype == torch.bfloat16
    assert len(list((tmp_path / "base").glob("*.safetensors"))) > 1, "in shards"
    lexicon = (tmp_path / "base/lexicon.txt").read_bytes()
    assert lexicon == (work / "lexicon.txt").read_bytes()
    record = json.loads((tmp_path / "base/run.json").read_text())
    assert record["steps"] == TINY.steps
    assert record["parameters"] == sum(p.numel() for p in model.parameters())
    assert record["tokens"] == TINY.steps * TINY.rows * TINY.input_tokens
    trained = torch.load(tmp_path / "run/state.pt", weights_only=True)["model"]
    assert all(torch.equal(p, trained[n].to(torch.bfloat16)) for n, p in model.named_parameters())


def test_the_rate_warms_up_stays_and_falls_to_zero():
    config = dataclasses.replace(TINY, steps=1000, warmup=100, decay=0.2)
    rates = [pretrain.rate_at(step, config) for step in range(1001)]
    assert rates[0] == pytest.approx(0.01)
    assert set(rates[100:800]) == {1.0}
    assert rates[900] == pytest.approx(0.5)
    assert rates[1000] == 0


def test_copying_comes_first_then_the_mixture_alone():
    config = dataclasses.replace(TINY, copy_steps=10, ramp_steps=20)
    shares = [pretrain.copying_share(step, config) for step in range(40)]
    assert set(shares[:10]) == {1.0}
    assert shares[20] == pytest.approx(0.5)
    assert set(shares[30:]) == {0.0}
    plain = dataclasses.replace(TINY, copy_steps=0, ramp_steps=0)
    assert pretrain.copying_share(0, plain) == 0, "the validation rows hold their own objective"


def test_a_run_goes_on_with_longer_rows_and_other_objectives(work, tmp_path):
    """A second part changes what it may; the record tells both parts and counts their tokens."""
    assert run(work, tmp_path / "run").wait() == 0
    more = ["--steps", "12", "--rows", "1", "--input_tokens", "256", "--mixture", "language"]
    assert run(work, tmp_path / "run", *more).wait() == 0
    pretrain.export(
        dataclasses.replace(TINY, steps=12), work, tmp_path / "run", tmp_path / "base", "1MB"
    )
    record = json.loads((tmp_path / "base/run.json").read_text())
    assert record["steps"] == 12
    assert record["tokens"] == 8 * 2 * 128 + 4 * 1 * 256
    assert [part["from"] for part in record["phases"]] == [0, 8]
    assert set(record["mixtures"]) == {"broad", "language"}
    first, second = record["command"].splitlines()
    assert "--mixture" not in first
    assert "--steps 12" in second and "--rows 1" in second and "--mixture language" in second


@pytest.fixture(scope="module")
def released(work, tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    pretrain.train(TINY, work, folder / "run", minutes=9, workers=0, device="cpu",
                   compile_model=False, save_every=9)  # fmt: skip
    pretrain.export(TINY, work, folder / "run", folder / "base", "1MB")
    return folder / "base"


def test_a_run_goes_on_from_released_weights_where_no_state_is_kept(work, released, tmp_path):
    """The steps, tokens and commands of both parts are told; the rate warms up anew."""
    base = released
    longer = dataclasses.replace(TINY, steps=12, start=str(base))

    model = new_model(TINY)
    state = pretrain.released_state(base, longer, model)
    released = AutoModelForSeq2SeqLM.from_pretrained(base, dtype=torch.float32)
    assert all(torch.equal(p, released.state_dict()[n]) for n, p in model.state_dict().items())
    assert state["step"] == 8 and state["phases"][-1]["from"] == 8

    more = ["--steps", "12", "--start", str(base)]
    assert run(work, tmp_path / "second", *more, "--minutes", "0").wait() == 0
    assert run(work, tmp_path / "second", *more).wait() == 0
    pretrain.export(longer, work, tmp_path / "second", tmp_path / "next", "1MB")
    record = json.loads((tmp_path / "next/run.json").read_text())
    assert record["steps"] == 12
    assert record["tokens"] == 12 * 2 * 128
    assert [phase["from"] for phase in record["phases"]] == [0, 8]
    first, second = record["command"].splitlines()
    assert "--start" not in first and second.endswith(f"--start {base}")
    assert [c["step"] for c in record["curve"] if "eval_loss" in c] == [8, 12]
    assert pretrain.rate_at(8, longer, 8) < pretrain.rate_at(9, longer, 8)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_deeper_base_begins_where_the_trained_one_ended(times):
    torch.manual_seed(0)
    shallow = new_model(TINY).eval()
    deep = new_model(dataclasses.replace(TINY, num_layers=2 * times)).eval()
    tokens = torch.randint(3, 200, (2, 40))

    def apart(weights):
        deep.load_state_dict(weights)
        with torch.no_grad():
            before, after = (m(input_ids=tokens, decoder_input_ids=tokens).logits for m in (shallow, deep))  # fmt: skip
        return ((after - before).norm() / before.norm()).item()

    grown = deeper(shallow.state_dict(), 2 * times)
    adding_all = {
        name: weight * times if name.startswith("encoder") and name.endswith(ADDS) else weight
        for name, weight in grown.items()
    }
    near, far = apart(grown), apart(adding_all)
    assert (near == far == 0) if times == 1 else (near < 0.2 and far > 2 * near), (near, far)


def test_a_base_grows_by_whole_times_alone(released):
    grown = dataclasses.replace(TINY, steps=12, start=str(released), num_layers=4)
    model = new_model(grown)
    state = pretrain.released_state(released, grown, model)
    assert len(model.encoder.block) == 4
    last = pretrain.commands(state["phases"])[-1]
    assert "--num_layers 4" in last and last.endswith(f"--start {released}")
    odd = dataclasses.replace(grown, num_layers=5)
    with pytest.raises(SystemExit, match="no multiple of the 2"):
        pretrain.released_state(released, odd, new_model(odd))


@pytest.mark.parametrize("fault", ["no folder", "another shape", "a cut file", "enough steps"])
def test_weights_that_a_run_cannot_go_on_from_are_refused(released, tmp_path, fault):
    base, config = tmp_path / "base", dataclasses.replace(TINY, steps=12)
    if fault != "no folder":
        shutil.copytree(released, base)
    if fault == "another shape":
        config = dataclasses.replace(config, d_model=48)
    if fault == "a cut file":
        file = next(base.glob("*.safetensors"))
        file.write_bytes(file.read_bytes()[:1000])
    if fault == "enough steps":
        config = TINY
    with pytest.raises(SystemExit, match=r"has 8 steps already" if config is TINY else "no base"):
        pretrain.released_state(base, config, new_model(config))


def test_every_mixture_has_the_same_objectives_and_sums_to_one():
    from train.objectives import MIXTURES

    for shares in MIXTURES.values():
        assert set(shares) == set(MIXTURES["broad"])
        assert sum(shares.values()) == pytest.approx(1)
