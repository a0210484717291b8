"""A model that FSDP has sharded over processes answers as the whole one does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
from functools import partial

import torch
from peft import LoraConfig, get_peft_model
from torch.distributed import fsdp
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.models.t5.modeling_t5 import T5Block

from train.selection import generate, whole

folder, version = sys.argv[1:]
torch.distributed.init_process_group("gloo")
torch.manual_seed(0)
tokenizer = AutoTokenizer.from_pretrained(folder)
lora = LoraConfig(r=4, target_modules="all-linear", task_type="SEQ_2_SEQ_LM")
model = get_peft_model(AutoModelForSeq2SeqLM.from_pretrained(folder), lora)
prompts = [tokenizer(f"The heart is {word}.")["input_ids"] for word in ("normal", "clear", "small")]
decoding = {"causal": False, "batch_size": 2, "max_new_tokens": 5, "num_beams": 1}
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
assert found == expected, (found, expected)
print("the same")
torch.distributed.destroy_process_group()
"""


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_sharded_model_generates_what_the_whole_one_does(tmp_path, backbones, version) -> None:
    script = tmp_path / "sharded.py"
    script.write_text(SCRIPT)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2",
         "--master_addr", "127.0.0.1", "--master_port", str(port), str(script),
         str(backbones("flan")), version],
        cwd=ROOT, capture_output=True, text=True, timeout=500, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("the same") == 2
