"""`train.run` from data to adapter: what it writes, how it ends, and that a kill loses nothing."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import select
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from summarizer.backbone import weights_sha256
from summarizer.findings import tells_abnormality
from summarizer.generate import Engine
from tests.train.conftest import ORGANS, STATES, radiology_rows, write_rows
from tests.warm import Ranks, Started

ROOT = Path(__file__).resolve().parents[2]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())


# What is written --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["t5", "flan", "bart", "phi3"])
def test_an_adapter_that_anybody_s_peft_loads(tmp_path, train_now, backbones, kind: str) -> None:
    from peft import PeftModel
    from safetensors import safe_open
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    status, out, err = train_now(kind=kind)
    assert status == 0, err
    folder = tmp_path / "models" / "tiny"
    assert sorted(path.name for path in folder.iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "curve.png", "run.json",
    ]  # fmt: skip
    factory = AutoModelForCausalLM if kind == "phi3" else AutoModelForSeq2SeqLM
    base = factory.from_pretrained(backbones(kind))
    before = {name: value.clone() for name, value in base.named_parameters()}
    loaded = PeftModel.from_pretrained(base, folder)
    learned = [value for name, value in loaded.named_parameters() if "lora_B" in name]
    assert learned and all(value.abs().max() > 0 for value in learned)
    for name, value in base.named_parameters():
        key = name.replace(".base_layer", "")
        if key in before:
            assert torch.equal(value, before[key])
    with safe_open(folder / "adapter_model.safetensors", "pt") as weights:
        assert {weights.get_tensor(key).dtype for key in weights.keys()} == {torch.bfloat16}  # noqa: SIM118
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == f"models/{kind}"  # no path of this machine
    assert str(tmp_path) not in (folder / "adapter_config.json").read_text()
    assert config["inference_mode"] is True and config["r"] == 4
    result = json.loads(out.splitlines()[-1])
    assert result["adapter_sha256"] == sha256(folder / "adapter_model.safetensors")


def test_it_learns(tmp_path, train_now, data_dir) -> None:
    write_rows(data_dir / "train.jsonl", [
        {**row, "target": "No acute disease."} for row in radiology_rows(40)
    ])  # fmt: skip
    write_rows(data_dir / "validation.jsonl", [
        {**row, "target": "No acute disease."} for row in radiology_rows(6, seed=1)
    ])  # fmt: skip
    status, out, _ = train_now(
        kind="t5",
        adapter__lora_rank=16,
        training__num_epochs=12,
        training__learning_rate=0.03,
        evaluation__every_epochs=4,
        evaluation__metric="rougeL",
    )
    assert status == 0
    curve = [
        entry["eval_loss"]
        for entry in record(tmp_path / "models" / "tiny")["curve"]
        if "eval_loss" in entry
    ]
    assert curve == sorted(curve, reverse=True) and curve[-1] < 0.85 * curve[0] < 3
    result = json.loads(out.splitlines()[-1])
    assert result["scores"]["sources"]["made-up"]["n"] == 6
    assert result["selected"]["value"] > 50  # it writes words of the one target there is


def test_the_run_record_says_how_it_was_made(tmp_path, train_now, data_dir, backbones) -> None:
    assert train_now()[0] == 0
    run = record(tmp_path / "models" / "tiny")
    assert run["recipe"]["adapter"]["lora_rank"] == 4
    assert run["recipe"]["prompt"] == "summarize: {input}"
    assert run["recipe"]["decoding"]["max_new_tokens"] == 12
    assert run["data"]["train"]["files"] == [
        {"name": "train.jsonl", "sha256": sha256(data_dir / "train.jsonl"), "rows": 40}
    ]
    assert run["data"]["train"]["sources"] == {"made-up": 40}
    assert run["data"]["validation"]["rows"] == 6
    assert run["steps"] == 10 and run["seed"] == 0 and run["device"].startswith("CPU")
    losses = [entry for entry in run["curve"] if "loss" in entry]
    assert [entry["step"] for entry in losses] == list(range(1, 11))
    assert [entry["epoch"] for entry in run["curve"] if "eval_loss" in entry] == [1.0, 2.0]
    assert run["tokens"] > 1000 and run["tokens_per_second"] > 0 and run["peak_memory_bytes"] > 1e8
    assert 0 < run["trainable_parameters"] < run["parameters"]
    assert run["base"]["sha256"] == weights_sha256(backbones("flan"))
    assert run["selected"]["step"] in (5, 10) and run["selected"]["metric"] == "loss"
    assert {"torch", "transformers", "peft", "python"} <= set(run["versions"])
    assert str(tmp_path / "models") not in json.dumps({**run, "recipe": None})
    events = list((tmp_path / "runs" / "tiny" / "tensorboard").glob("events*"))
    assert len(events) == 1
    assert not list((tmp_path / "runs" / "tiny").glob("checkpoint-*"))


def test_one_line_for_each_evaluation_and_json_at_the_end(train_now) -> None:
    status, out, _ = train_now()
    lines = out.splitlines()
    told = [line for line in lines if line.startswith("step ")]
    assert status == 0 and len(told) == 2 and told[0].startswith("step 5  epoch 1.00  train loss ")
    assert "validation loss" in told[0] and "made-up R " in told[0] and "(6)" in told[0]
    assert json.loads(lines[-1])["steps"] == 10


def test_the_best_is_kept_not_the_last(tmp_path, train_now) -> None:
    """With a rate that destroys the model late, the early checkpoint is what is left."""
    status, _, err = train_now(
        training__num_epochs=6, training__learning_rate=0.3, training__lr_scheduler="linear",
        training__warmup=0.9,
    )  # fmt: skip
    assert status == 0, err
    run = record(tmp_path / "models" / "tiny")
    values = {e["step"]: e["eval_loss"] for e in run["curve"] if "eval_loss" in e}
    assert run["selected"]["step"] == min(values, key=values.get) < max(values)
    assert run["selected"]["value"] == min(values.values())


def test_it_stops_early_where_nothing_gets_better(tmp_path, train_now) -> None:
    status, _, _ = train_now(
        training__num_epochs=20, training__learning_rate=1e-12, evaluation__patience=2,
        evaluation__metric="rougeL",
    )  # fmt: skip
    run = record(tmp_path / "models" / "tiny")
    assert status == 0 and run["steps"] == 15 and run["selected"]["step"] == 5


def test_an_adapter_is_replaced_whole(tmp_path, train_now) -> None:
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "scores.json").write_text("{}")  # of the adapter that was there
    assert train_now()[0] == 0
    assert not (folder / "scores.json").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_all_weights_can_be_trained(tmp_path, train_now, backbones) -> None:
    from transformers import AutoModelForSeq2SeqLM

    status, _, err = train_now(kind="bart", adapter__method="full", training__learning_rate=1e-3)
    assert status == 0, err
    folder = tmp_path / "models" / "tiny"
    tuned = AutoModelForSeq2SeqLM.from_pretrained(folder)
    base = AutoModelForSeq2SeqLM.from_pretrained(backbones("bart"))
    assert not torch.allclose(
        tuned.model.shared.weight.float(), base.model.shared.weight, atol=1e-4
    )
    run = record(folder)
    assert run["trainable_parameters"] == run["parameters"]
    size = (folder / "model.safetensors").stat().st_size
    assert size < 2.2 * run["parameters"]  # tied weights are stored once


@pytest.mark.parametrize(
    "changes",
    [
        {"adapter__use_rslora": True},
        {"adapter__use_dora": True},
        {"training__gradient_checkpointing": True},
        {"training__label_smoothing": 0.1, "training__optimizer": "adafactor"},
        {"training__precision": "bf16", "training__weights_dtype": "bfloat16"},
        {"training__lr_scheduler": "cosine_with_min_lr", "adapter__target_modules": ["q", "v"]},
    ],
)
def test_options_train(tmp_path, train_now, changes) -> None:
    status, _, err = train_now(training__max_steps=2, **changes)
    assert status == 0, err
    config = json.loads((tmp_path / "models" / "tiny" / "adapter_config.json").read_text())
    assert config["use_rslora"] is changes.get("adapter__use_rslora", False)
    assert config["use_dora"] is changes.get("adapter__use_dora", False)


def test_a_checkpoint_is_chosen_by_texts_of_real_words(tmp_path, train_now, backbones) -> None:
    backbone = shutil.copytree(backbones("flan"), tmp_path / "worded")
    words = sorted({*ORGANS[:4], *STATES, "the", "is"})
    (backbone / "lexicon.txt").write_text("\n".join(words) + "\n")
    settings = {"backbone": str(backbone), "evaluation__metric": "rouge1"}
    status, _, err = train_now(training__max_steps=4, decoding__lexicon=True, **settings)
    assert status == 0, err
    made = record(tmp_path / "models" / "tiny")
    assert made["recipe"]["decoding"]["lexicon"] is True
    engine = Engine.load(str(backbone), {"radiology": str(tmp_path / "models" / "tiny")})
    assert engine.task("radiology").decoding.lexicon is True


def test_reports_are_flagged_before_anything_is_told(tmp_path, train_now, backbones) -> None:
    flagged = {"data__flag_weight": 4.0, "decoding__flag": True}
    status, _, err = train_now(training__num_epochs=12, **flagged)
    assert status == 0, err
    engine = Engine.load(str(backbones("flan")), {"radiology": str(tmp_path / "models" / "tiny")})
    decoding = engine.task("radiology").decoding
    assert decoding.flag is True
    begun = set()
    for row in radiology_rows(6, seed=1):
        request = engine._prepare("radiology", row, decoding)
        begun |= {
            made[0]
            for made in engine._generate("radiology", ["lora"], [request.rows], decoding, ())
        }
    # every impression here tells a lesion
    assert begun == {engine._backbone.tokenizer.convert_tokens_to_ids("<extra_id_1>")}


def test_the_flag_counts_as_often_as_the_recipe_says(tmp_path, train_now) -> None:
    def loss(weight: float) -> float:
        name = f"w{weight:g}"
        steady = {"adapter__lora_dropout": 0.0, "training__dropout": 0.0, "training__max_steps": 1}
        status, _, err = train_now(name=name, data__flag_weight=weight, **steady)
        assert status == 0, err
        made = record(tmp_path / "models" / name)
        return next(entry["loss"] for entry in made["curve"] if "loss" in entry)

    once, twice, four_times = loss(1.0), loss(2.0), loss(4.0)
    assert twice > once
    assert four_times - twice == pytest.approx(2 * (twice - once), rel=1e-3)


def test_a_loss_that_is_the_mean_of_rows_or_of_tokens(tmp_path, train_now, backbones) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    rows = radiology_rows(8)
    for place, row in enumerate(rows):  # answers of very different lengths
        row["target"] = "Normal." if place % 2 else f"{row['target']} New fracture. {row['target']}"
    write_rows(tmp_path / "data" / "train.jsonl", rows)
    tokenizer = AutoTokenizer.from_pretrained(backbones("flan"))
    model = AutoModelForSeq2SeqLM.from_pretrained(backbones("flan")).eval()
    flags = tokenizer.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_1>"])

    def plain(row: dict[str, Any], flagged: bool) -> torch.Tensor:
        """Loss of each answer token of a row, one row at a time, by transformers alone."""
        labels = tokenizer(row["target"]).input_ids
        if flagged:
            labels = [flags[tells_abnormality(row["target"])], *labels]
        given = tokenizer("summarize: " + row["input"], return_tensors="pt")
        with torch.no_grad():
            logits = model(**given, labels=torch.tensor([labels])).logits[0]
        return torch.nn.functional.cross_entropy(logits, torch.tensor(labels), reduction="none")

    def trained(name: str, **changes: Any) -> float:
        still = {"adapter__lora_dropout": 0.0, "training__dropout": 0.0, "training__max_steps": 1}
        whole = {"max_input_tokens": 256, "max_target_tokens": 192}
        status, _, err = train_now(name=name, **whole, **still, **changes)
        assert status == 0, err
        curve = record(tmp_path / "models" / name)["curve"]
        return next(entry["loss"] for entry in curve if "loss" in entry)

    losses = [plain(row, False) for row in rows]
    by_tokens = float(torch.cat(losses).mean())
    by_rows = float(torch.stack([loss.mean() for loss in losses]).mean())
    assert abs(by_rows - by_tokens) > 0.003
    assert trained("tokens") == pytest.approx(by_tokens, rel=1e-5)
    assert trained("rows", training__loss_average="rows") == pytest.approx(by_rows, rel=1e-5)
    halves = {"training__batch_size": 2, "training__gradient_accumulation_steps": 4}
    divided = trained("divided", training__loss_average="rows", **halves)
    assert divided == pytest.approx(by_rows, rel=1e-5)

    losses = [plain(row, True) for row in rows]
    flagged = float(torch.stack([loss[1:].mean() + 0.5 * loss[0] for loss in losses]).mean())
    found = trained("flagged", training__loss_average="rows", data__flag_weight=0.5, **halves)
    assert found == pytest.approx(flagged, rel=1e-5)


def test_gradient_accumulation_and_checkpointing_change_nothing_but_memory(
    tmp_path, train_now
) -> None:
    def losses(**changes) -> list[float]:
        name = f"run{len(list(tmp_path.glob('*.yaml')))}"
        status, _, err = train_now(name=name, adapter__lora_dropout=0.0, training__dropout=0.0,
                                   training__max_steps=4, **changes)  # fmt: skip
        assert status == 0, err
        return [e["loss"] for e in record(tmp_path / "models" / name)["curve"] if "loss" in e]

    plain = losses()
    halves = losses(training__batch_size=4, training__gradient_accumulation_steps=2)
    checkpointed = losses(training__gradient_checkpointing=True)
    assert halves == pytest.approx(plain, rel=1e-4)
    assert checkpointed == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "bits"), [("phi3", "use_4bit"), ("phi3", "use_8bit"), ("flan", "use_8bit")]
)
def test_a_quantised_backbone_trains_and_goes_on_learning_after_an_evaluation(
    tmp_path, train_now, kind: str, bits: str
) -> None:
    pytest.importorskip("bitsandbytes")
    changes = {f"adapter__{bits}": True, "training__num_epochs": 4}
    if kind == "phi3":
        changes |= {"data__packing": True, "data__packed_tokens": 160, "training__batch_size": 2}
    status, _, err = train_now(kind=kind, **changes)
    assert status == 0, err
    run = record(tmp_path / "models" / "tiny")
    values = [e["eval_loss"] for e in run["curve"] if "eval_loss" in e]
    assert values == sorted(values, reverse=True) and values[-1] < 0.97 * values[0]


def test_a_packed_run_has_the_loss_of_an_unpacked_one(tmp_path, train_now) -> None:
    """Packing changes what a batch costs, not what it teaches: one batch of all rows."""
    settings = {
        "kind": "phi3", "adapter__lora_dropout": 0.0, "training__max_steps": 2,
        "training__group_by_length": False,
    }  # fmt: skip
    found = []
    for name, changes in (
        ("loose", {"training__batch_size": 40}),
        (
            "packed",
            {"data__packing": True, "data__packed_tokens": 20000, "training__batch_size": 1},
        ),
    ):
        status, _, err = train_now(name=name, **settings, **changes)
        assert status == 0, err
        curve = record(tmp_path / "models" / name)["curve"]
        found.append([entry["loss"] for entry in curve if "loss" in entry])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_an_adapter_can_be_gone_on_from(tmp_path, train_now) -> None:
    assert train_now(name="first")[0] == 0
    first = tmp_path / "models" / "first"
    status, _, err = train_now(
        name="second", adapter__init_from=str(first), adapter__lora_dropout=0.25
    )
    assert status == 0, err
    end = [e["eval_loss"] for e in record(first)["curve"] if "eval_loss" in e][-1]
    start = [e["eval_loss"] for e in record(tmp_path / "models" / "second")["curve"]
             if "eval_loss" in e][0]  # fmt: skip
    assert start < end
    kept = json.loads((tmp_path / "models" / "second" / "adapter_config.json").read_text())
    assert kept["lora_dropout"] == 0.25, "the recipe's, not the first adapter's"
    assert "goes_on_from" not in record(first)
    assert record(tmp_path / "models" / "second")["goes_on_from"] == ["first"]
    status, _, err = train_now(
        name="third", adapter__init_from=str(tmp_path / "models" / "second"), training__max_steps=1
    )
    assert status == 0, err
    assert record(tmp_path / "models" / "third")["goes_on_from"] == ["first", "second"]


def test_an_adapter_is_mixed_with_others_of_the_same_start(tmp_path, train_now) -> None:
    first, other = tmp_path / "models" / "first", tmp_path / "models" / "other"
    runs = [
        ("first", {}),
        ("other", {"adapter__init_from": str(first), "seed": 1}),
        ("learned", {"adapter__init_from": str(first)}),
        (
            "mixed",
            {
                "adapter__init_from": str(first),
                "adapter__mixed": {str(first): 0.25, str(other): 0.25},
            },
        ),
    ]
    weights = {}
    for name, changes in runs:
        status, _, err = train_now(name=name, **changes)
        assert status == 0, err
        weights[name] = load_file(tmp_path / "models" / name / "adapter_model.safetensors")
    moved = 0
    for key, value in weights["mixed"].items():
        learned, start, second = (
            weights[name][key].float() for name in ("learned", "first", "other")
        )
        moved += not (torch.equal(learned, start) or torch.equal(learned, second))
        assert value.dtype == torch.bfloat16
        mean = (0.5 * learned + 0.25 * start + 0.25 * second).to(torch.bfloat16)
        assert torch.equal(value, mean), key
    assert moved
    assert record(tmp_path / "models" / "mixed")["goes_on_from"] == ["first", "other"]
    kept, file = record(tmp_path / "models" / "mixed"), tmp_path / "models" / "mixed"
    assert kept["adapter_sha256"] == sha256(file / "adapter_model.safetensors")
    assert kept["recipe"]["adapter"]["mixed"] == {str(first): 0.25, str(other): 0.25}


def test_the_segment_is_told_in_training_and_when_the_adapter_serves(tmp_path, train_now) -> None:
    """Seed 004's first way to scale, from a row's modality to the prompt of both columns."""
    from summarizer.generate import Engine

    status, _, err = train_now(
        prompt="{section} report: {input}", prompt_without_section="report: {input}",
        scaling__input_feature="modality", training__max_steps=1,
    )  # fmt: skip
    assert status == 0, err
    adapter = tmp_path / "models" / "tiny"
    engine = Engine.load(record(adapter)["recipe"]["backbone"], {"radiology": str(adapter)})
    rows = [{"input": "Clear.", "modality": "CT"}, {"input": "Clear.", "section": "plan"}]
    prompts = {place: pair.prompt for place, pair in engine.batch("radiology", rows)}
    assert prompts == {0: "ct report: Clear.", 1: "report: Clear."}
    assert engine.run("radiology", "Clear.", section="MR").prompt == "mr report: Clear."


# Resuming ---------------------------------------------------------------------------------------


def start(path: Path, *arguments: str) -> Started:
    return Started("train.run", path, *arguments)


def wait_for(process: Started, pattern: str, folder: Path) -> None:
    end = time.monotonic() + 240
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.said()
        assert time.monotonic() < end, f"{pattern} never came"
        time.sleep(0.01)


SLOWLY = {"training__num_epochs": 3, "training__save_minutes": 0}  # 15 steps, a save after each


@pytest.mark.parametrize("step", [3, 7])
def test_a_killed_run_ends_with_the_same_adapter(
    tmp_path, train_now, recipe_file: Callable[..., Path], step: int
) -> None:
    """Bit for bit, whether it is killed in the first epoch or between evaluations."""
    assert train_now(name="whole", **SLOWLY)[0] == 0
    path = recipe_file(name="killed", **SLOWLY)
    runs = tmp_path / "runs" / "killed"
    process = start(path)
    wait_for(process, f"checkpoint-{step}/trainer_state.json", runs)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "models" / "killed").exists()
    status, out, err = train_now(path=path)
    assert status == 0, err
    assert "Going on from step " in out
    whole, killed = (tmp_path / "models" / name for name in ("whole", "killed"))
    assert sha256(whole / "adapter_model.safetensors") == sha256(
        killed / "adapter_model.safetensors"
    )
    one, other = (
        [entry for entry in record(folder)["curve"] if "eval_loss" in entry]
        for folder in (whole, killed)
    )
    assert one == other


def test_a_checkpoint_that_was_being_written_is_passed_over(
    tmp_path, train_now, recipe_file
) -> None:
    assert train_now(name="whole", **SLOWLY)[0] == 0
    path = recipe_file(name="killed", **SLOWLY)
    runs = tmp_path / "runs" / "killed"
    process = start(path)
    wait_for(process, "checkpoint-4/trainer_state.json", runs)
    process.kill()
    process.wait()
    newest = max(runs.glob("checkpoint-*"), key=lambda folder: int(folder.name.split("-")[1]))
    if (newest / "trainer_state.json").is_file():
        text = (newest / "trainer_state.json").read_text()
        (newest / "trainer_state.json").write_text(text[: len(text) // 2])
    (runs / ".best-99").mkdir()
    status, _, err = train_now(path=path)
    assert status == 0, err
    whole, killed = (tmp_path / "models" / name / "adapter_model.safetensors"
                     for name in ("whole", "killed"))  # fmt: skip
    assert sha256(whole) == sha256(killed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, train_now, recipe_file, number) -> None:
    changes = {"training__num_epochs": 60, "evaluation__every_epochs": 60}
    path = recipe_file(name="stopped", **changes)
    runs = tmp_path / "runs" / "stopped"
    process = start(path, "--save_minutes", "0")
    wait_for(process, "checkpoint-2", runs)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    last = out.splitlines()[-1]
    assert last.startswith("Interrupted at step ") and "the same command goes on" in last
    assert "Traceback" not in err
    step = int(last.split()[3].rstrip(";"))
    assert (runs / f"checkpoint-{step}" / "trainer_state.json").is_file()
    status, out, err = train_now("--num_epochs", "60", "--max_minutes", "0.02", path=path)
    assert status == 0 and f"Going on from step {step}." in out, err


def test_checkpoints_of_another_recipe_are_refused(tmp_path, train_now, recipe_file) -> None:
    path = recipe_file(name="one", training__num_epochs=40)
    process = start(path, "--save_minutes", "0")
    wait_for(process, "checkpoint-1/trainer_state.json", tmp_path / "runs" / "one")
    process.kill()
    process.wait()
    status, out, err = train_now("--lora_rank", "8", path=path)
    assert status == 1 and err.startswith("error: ") and err.count("\n") == 1
    assert "adapter.lora_rank is 4 there, 8 here" in err and "--fresh" in err
    files = '[{"path": "train.jsonl", "weight": 2.0}]'
    for option, value, said in (
        ("--data.train", files, "data.train[0].weight is 1.0 there, 2.0 here"),
        ("--end_bias", "1", "decoding.end_bias is 0.0 there, 1.0 here"),
    ):
        status, _, err = train_now(option, value, path=path)
        assert status == 1 and err.count("\n") == 1 and said in err, err
    # A run may be made shorter or longer; its record then tells the parts.
    status, out, err = train_now("--num_epochs", "2", path=path)
    assert status == 0 and "with 2.0 epochs instead of 40.0" in out, err
    first, second = record(tmp_path / "models" / "one")["parts"]
    assert first == {"from": 0, "training.num_epochs": 40.0}
    assert second["training.num_epochs"] == 2.0 and second["from"] >= 1
    # Another limit of time is no other recipe; --fresh starts over.
    status, out, _ = train_now("--lora_rank", "8", "--fresh", "--max_steps", "2", path=path)
    assert status == 0 and "Going on" not in out


def test_a_time_limit_ends_cleanly_with_the_best_so_far(tmp_path, train_now) -> None:
    status, out, _ = train_now("--max_minutes", "0.02", training__num_epochs=4000,
                               evaluation__every_epochs=4000)  # fmt: skip
    run = record(tmp_path / "models" / "tiny")
    assert status == 0 and 1 <= run["steps"] < 20000
    assert run["selected"]["step"] == run["steps"] and run["seconds"] < 60


def test_checkpoints_of_other_data_are_refused(tmp_path, train_now, recipe_file, data_dir) -> None:
    path = recipe_file(name="one", training__num_epochs=40)
    process = start(path, "--save_minutes", "0")
    wait_for(process, "checkpoint-1/trainer_state.json", tmp_path / "runs" / "one")
    process.kill()
    process.wait()
    write_rows(data_dir / "train.jsonl", radiology_rows(40, seed=7))
    status, _, err = train_now(path=path)
    assert status == 1 and err.count("\n") == 1
    assert "train file train.jsonl is" in err and "--fresh" in err


def test_ctrl_c_before_the_first_step_is_no_traceback(train_now, monkeypatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("train.model.load_backbone", interrupted)
    status, out, err = train_now()
    assert status == 130 and "the same command goes on" in out and err == ""


# What goes wrong --------------------------------------------------------------------------------


def test_nan_in_the_loss_stops_with_the_step_and_what_to_change(
    tmp_path, train_now, monkeypatch
) -> None:
    from train.trainer import AdapterTrainer

    compute = AdapterTrainer.compute_loss

    def poisoned(self, model, inputs, *arguments, **options):
        loss = compute(self, model, inputs, *arguments, **options)
        return loss * float("nan") if self.state.global_step == 3 and model.training else loss

    monkeypatch.setattr(AdapterTrainer, "compute_loss", poisoned)
    status, _, err = train_now()
    assert status == 1 and err.count("\n") == 1
    assert "NaN or infinite at step 4" in err and "--learning_rate (now 0.01)" in err
    assert not (tmp_path / "models" / "tiny").exists()


def test_a_rate_that_blows_up_is_noticed(tmp_path, train_now) -> None:
    status, _, err = train_now(
        training__learning_rate=1e30, training__warmup=0, training__max_grad_norm=0,
        training__num_epochs=20,
    )  # fmt: skip
    assert status == 1 and "NaN or infinite at step" in err


def test_an_evaluation_that_is_not_finite_chooses_nothing(tmp_path, train_now) -> None:
    """One step, and the weights that it leaves answer with NaN."""
    status, out, err = train_now(
        training__max_steps=1, training__learning_rate=1e30, training__warmup=0,
        training__max_grad_norm=0,
    )  # fmt: skip
    assert status == 1 and "validation loss became NaN or infinite at step 1" in err
    assert " best " not in out and not (tmp_path / "models" / "tiny").exists()


# What torch raises when a GPU, and when a CPU has no more.
FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 99999999999 bytes. Error code 12 (Cannot allocate memory)"
    ),
]


@pytest.mark.parametrize("fault", FULL)
def test_a_model_that_does_not_fit_says_which_flags_to_lower(train_now, monkeypatch, fault) -> None:
    def full(*_: Any, **__: Any):
        raise fault

    monkeypatch.setattr("train.model.load_backbone", full)
    status, _, err = train_now()
    assert status == 1 and err.count("\n") == 1
    assert "ran out of memory while the model was loaded" in err and "--use_4bit" in err


@pytest.mark.parametrize("fault", FULL)
def test_out_of_memory_says_which_flags_to_lower(train_now, monkeypatch, fault) -> None:
    from train.trainer import AdapterTrainer

    def full(*_: Any, **__: Any):
        raise fault

    monkeypatch.setattr(AdapterTrainer, "compute_loss", full)
    status, _, err = train_now()
    assert status == 1 and err.count("\n") == 1 and "ran out of memory at step 1" in err
    for flag in ("--batch_size to 4 with --gradient_accumulation_steps 2",
                 "--gradient_checkpointing", "--max_input_tokens (now 96)", "--use_4bit"):  # fmt: skip
        assert flag in err


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        SafetensorError("I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 74112 vs 74000"),
    ],
)
def test_a_full_disk_is_one_sentence(train_now, monkeypatch, fault) -> None:
    """As Python, safetensors and torch say it (seen on a small tmpfs)."""
    from train import trainer

    def full(*_: Any, **__: Any):
        raise fault

    monkeypatch.setattr(trainer, "save_adapter", full)
    status, _, err = train_now()
    assert status == 1 and err.count("\n") == 1 and "No space is left" in err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data__data_dir": "/nowhere"}, "There is no data file /nowhere/train.jsonl"),
        ({"backbone": "models/nothing"}, "backbone: The backbone folder models/nothing is missing"),
        ({"backbone": "no/such"}, "backbone: "),
        ({"architecture": "causal"}, "architecture is causal"),
        ({"adapter__target_modules": ["nope"]}, "target_modules: "),
        ({"training__precision": "fp16"}, "precision: fp16 overflows in T5"),
        ({"adapter__init_from": "/nowhere"}, "init_from /nowhere: there is no adapter in this"),
        (
            {"adapter__init_from": "models/radiology-t5-small-tuned"},
            "make it with python -m train.run radiology-t5-small-tuned",
        ),
        (
            {"adapter__mixed": {"a": 0.5, "b": 0.5}},
            "mixed: the shares must be above 0, together below 1, not [0.5, 0.5]",
        ),
        ({"adapter__mixed": {"a": 0}}, "mixed: the shares must be above 0, together below 1"),
        ({"adapter__mixed": {"/nowhere": 0.5}}, "mixed /nowhere: there is no adapter in this"),
        ({"adapter__mixed": {"models/question": 0.5}}, "mixed: models/question has rank 64, this"),
        ({"output_dir": "/proc/none/x"}, "output_dir /proc/none/x cannot be written"),
        ({"run_dir": "/dev/null/x"}, "run_dir /dev/null/x cannot be written"),
        ({"task": "surgery"}, "There is no task 'surgery'"),
        ({"kind": "bart", "max_input_tokens": 2048}, "max_input_tokens: "),
        ({"prompt": "{report}"}, "must hold {input} once"),
        ({"decoding__lexicon": True}, "has no lexicon.txt: leave it out"),
        (
            {"kind": "bart", "data__flag_weight": 1.0},
            "has no <extra_id_0> and <extra_id_1> to flag",
        ),
    ],
)
def test_bad_input_is_one_sentence(train_now, tmp_path, changes, words) -> None:
    changes = {key: value for key, value in changes.items()}
    if changes.get("training__precision") == "fp16":
        changes["backbone"] = str(_renamed(tmp_path, train_now))
    status, out, err = train_now(**changes)
    assert status == 1 and err.startswith("error: ") and err.count("\n") == 1, err
    assert words in err
    assert not (tmp_path / "models").exists()


def _renamed(tmp_path: Path, train_now) -> Path:
    """A T5 whose name does not say so."""
    from tests.train.tiny_backbones import make

    return make("flan", tmp_path / "plain")


def test_checkpoints_are_no_part_of_an_adapter(train_now, tmp_path) -> None:
    inside = str(tmp_path / "models" / "tiny" / "checkpoints")
    status, _, err = train_now(run_dir=inside)
    assert status == 1 and "run_dir must not lie in output_dir" in err


def test_long_targets_are_counted_and_told(train_now) -> None:
    status, out, _ = train_now(max_target_tokens=8, training__max_steps=1)
    assert status == 0
    assert "40 training targets are longer than max_target_tokens 8: cut, with no end mark." in out


def test_a_terminal_shows_progress_speed_and_the_time_left(recipe_file) -> None:
    import pty
    import termios

    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 160))
    process = Started("train.run", recipe_file(), terminal=os.ttyname(follower))
    shown = b""
    while process.poll() is None or select.select([leader], [], [], 0)[0]:
        if select.select([leader], [], [], 0.1)[0]:
            shown += os.read(leader, 65536)
    os.close(follower)
    os.close(leader)
    assert process.returncode == 0, shown
    assert re.search(rb"\d\d:\d\d<\d\d:\d\d", shown), shown[-500:]
    assert re.search(rb"loss \d+\.\d+, [\d,]+ tokens/s", shown), shown[-500:]


def test_weights_and_biases_are_told_when_asked_for(train_now, monkeypatch) -> None:
    import importlib.util

    import transformers.integrations

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "wandb" else real(name, *rest),
    )
    status, _, err = train_now(training__use_wandb=True)
    assert status == 1 and "use_wandb needs wandb: run pip install wandb." in err

    told: list[dict[str, Any]] = []

    class Stub(transformers.TrainerCallback):
        def on_log(self, *_: Any, logs: dict[str, Any], **__: Any) -> None:
            told.append(logs)

    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: real("json" if name == "wandb" else name, *rest),
    )
    monkeypatch.setattr(transformers.integrations, "WandbCallback", Stub)
    assert train_now(training__max_steps=2)[0] == 0 and told == []
    assert train_now("--fresh", training__use_wandb=True, training__max_steps=2)[0] == 0
    assert any("loss" in logs for logs in told) and any("eval_loss" in logs for logs in told)


# Several processes ------------------------------------------------------------------------------


def test_two_processes_have_the_loss_of_one(tmp_path, train_now, recipe_file) -> None:
    same = {"adapter__lora_dropout": 0.0, "training__dropout": 0.0, "evaluation__metric": "rougeL"}
    alone = {"training__batch_size": 4, "training__gradient_accumulation_steps": 2, **same}
    status, _, err = train_now(name="one", **alone)
    assert status == 0, err
    path = recipe_file(name="two", training__batch_size=4, **same)
    # Two CPUs stand for two GPUs; accelerate's own --cpu would ask for MPI.
    env = {**os.environ, "ACCELERATE_USE_CPU": "true"}
    said = Ranks(2, "train.run", path, env=env).finished()
    assert len([line for line in said.splitlines() if line.startswith("{")]) == 1
    one, two = record(tmp_path / "models" / "one"), record(tmp_path / "models" / "two")
    assert two["processes"] == 2 and one["processes"] == 1
    for key in ("loss", "eval_loss", "eval_rougeL"):
        pair = [[e[key] for e in run["curve"] if key in e] for run in (one, two)]
        assert pair[0] == pytest.approx(pair[1], rel=1e-4) and pair[0]
    assert one["tokens"] == two["tokens"] and one["steps"] == two["steps"] == 10
