"""A model that FSDP has sharded over processes trains and answers as the whole one does."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.warm import Ranks

SCRIPT = """
import os
import sys
from functools import partial

import torch
from peft import LoraConfig, get_peft_model
from torch.distributed import fsdp
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.models.t5.modeling_t5 import T5Block

from summarizer.tasks import Decoding
from train.selection import generate, whole

folder = sys.argv[1]
torch.distributed.init_process_group("gloo")
tokenizer = AutoTokenizer.from_pretrained(folder)
lora = LoraConfig(r=4, target_modules="all-linear", task_type="SEQ_2_SEQ_LM")
prompts = [tokenizer(f"The heart is {word}.")["input_ids"] for word in ("normal", "clear", "small")]
decoding = {"causal": False, "batch_size": 2, "decoding": Decoding(max_new_tokens=5), "ends": [1]}
for version in ("1", "2"):
    torch.manual_seed(0)
    model = get_peft_model(AutoModelForSeq2SeqLM.from_pretrained(folder), lora)
    expected = generate(model, tokenizer, prompts, **decoding)
    if version == "2":
        mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (2,))
        for module in list(model.modules()):
            if isinstance(module, T5Block):
                fsdp.fully_shard(module, mesh=mesh)
        fsdp.fully_shard(model, mesh=mesh)
        wrapped = model
    else:
        policy = partial(transformer_auto_wrap_policy, transformer_layer_cls={T5Block})
        wrapped = fsdp.FullyShardedDataParallel(
            model, auto_wrap_policy=policy, use_orig_params=True, device_id=torch.device("cpu")
        )
    with whole(wrapped):
        found = generate(model, tokenizer, prompts, synced_gpus=True, **decoding)
    assert found == expected, (version, found, expected)
    # One write each, for both processes share the pipe: print's come in pieces, and mixed.
    os.write(1, f"the same by version {version}\\n".encode())
torch.distributed.destroy_process_group()
"""


def test_a_sharded_model_generates_what_the_whole_one_does(tmp_path, backbones) -> None:
    """By both versions of FSDP, one after the other."""
    script = tmp_path / "sharded.py"
    script.write_text(SCRIPT)
    out = Ranks(2, script, backbones("flan"), env=os.environ).finished()
    for version in ("1", "2"):
        assert out.count(f"the same by version {version}") == 2


# accelerate has FSDP for GPUs alone: here it takes two processes of a CPU for two of those.
LAUNCH = """
import os
import sys
import time

import torch
from accelerate import state
from accelerate.utils import DistributedType


def backend(self, *_, **__):
    return "gloo", DistributedType.MULTI_GPU


def device(self):
    self.device = torch.device("cpu")


state.PartialState._prepare_backend = backend
state.PartialState.set_device = device
from train.run import main
from transformers import Trainer


def late(self, output_dir, save=Trainer._save_rng_state):
    if os.environ["RANK"] == "1":  # slower than the first process
        open(os.path.join(output_dir, "rng_state_1.pth"), "w").close()
        time.sleep(0.3)
    save(self, output_dir)


Trainer._save_rng_state = late

sys.exit(main(sys.argv[1:]))
"""
# What `accelerate launch --use_fsdp --fsdp_version 2 --fsdp_auto_wrap_policy
# TRANSFORMER_BASED_WRAP` sets.
SHARDED = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
}


def launched(folder: Path, path: Path) -> Ranks:
    script = folder / "launch.py"
    script.write_text(LAUNCH)
    return Ranks(2, script, path, env={**os.environ, **SHARDED})


@pytest.mark.parametrize(("kind", "killed"), [("flan", True), ("phi3", False)])
def test_a_sharded_run_has_the_loss_and_the_adapter_of_one_process(
    tmp_path, train_now, recipe_file, kind, killed
) -> None:
    same = {"kind": kind, "adapter__lora_dropout": 0.0, "training__dropout": 0.0}
    halves = {"training__batch_size": 4, "training__gradient_accumulation_steps": 2}
    status, _, err = train_now(name="one", **halves, **same)
    assert status == 0, err
    path = recipe_file(name="two", training__batch_size=4, training__save_minutes=0, **same)
    process = launched(tmp_path, path)
    if killed:
        end = time.monotonic() + 240
        while not list((tmp_path / "runs" / "two").glob("checkpoint-4/trainer_state.json")):
            assert process.alive(), [one.said() for one in process.processes]
            assert time.monotonic() < end
            time.sleep(0.01)
        process.kill()
        process = launched(tmp_path, path)
    assert ("Going on from step " in process.finished()) == killed

    folders = [tmp_path / "models" / name for name in ("one", "two")]
    one, two = (json.loads((folder / "run.json").read_text()) for folder in folders)
    assert two["processes"] == 2 and one["steps"] == two["steps"] == 10
    for key in ("loss", "eval_loss"):
        pair = [[e[key] for e in run["curve"] if key in e] for run in (one, two)]
        assert pair[0] == pytest.approx(pair[1], rel=1e-3) and pair[0]
    whole, parts = (load_file(folder / "adapter_model.safetensors") for folder in folders)
    assert whole.keys() == parts.keys() and whole
    for name, value in whole.items():
        assert torch.allclose(value, parts[name], atol=2e-3), name
