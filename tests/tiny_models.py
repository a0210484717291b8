"""Tiny, randomly initialised models in the shapes of the real ones, made in a second.

A byte-level tokenizer, a gated-GELU T5 and LoRA adapters for it: enough for real loading, real
generation and real files. Importing this module imports no model library.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

VOCABULARY = 320


def make_base(folder: Path, *, seed: int = 0, shards: bool = False) -> Path:
    """A T5 of some 60,000 parameters and its tokenizer, as save_pretrained leaves them."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_decoder_layers=1,
        num_heads=4, feed_forward_proj="gated-gelu", tie_word_embeddings=False, pad_token_id=0,
        eos_token_id=1, decoder_start_token_id=0,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    with torch.no_grad():  # larger weights: outputs that depend on the input
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3.0)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, max_shard_size="60KB" if shards else "1GB")
    _tokenizer().save_pretrained(folder)
    (folder / "lexicon.txt").write_text("heart\nlungs\nnormal\n")
    return folder


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<pad>", "</s>", "<unk>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def make_adapter(
    folder: Path,
    base: Path,
    *,
    base_name: str | None = None,
    task: str = "radiology",
    rank: int = 4,
    seed: int = 1,
) -> Path:
    """A LoRA adapter whose weights are not zero, so that it changes what the base writes.

    `base_name` is what adapter_config.json calls the base (default: the path of `base`).
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSeq2SeqLM

    torch.manual_seed(seed)
    model = AutoModelForSeq2SeqLM.from_pretrained(base)
    config = LoraConfig(r=rank, lora_alpha=4 * rank, target_modules="all-linear",
                        task_type="SEQ_2_SEQ_LM")  # fmt: skip
    adapted = get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    adapted.save_pretrained(folder)
    (folder / "README.md").unlink()  # PEFT's placeholder
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = base_name or str(base)
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2))
    return folder


def write_records(
    folder: Path, *, task: str = "radiology", base: Path | None = None, **changes: Any
) -> None:
    """run.json and scores.json for an adapter, in the shapes that training and scoring write.

    `base`: the folder whose weights the run record names. `changes`: keys of `run` and `scores`.
    """
    from summarizer.backbone import weights_sha256

    base_hash = weights_sha256(base) if base else "ef" * 32
    adapter_hash = sha256(folder / "adapter_model.safetensors")
    run = {
        "recipe": {"name": task, "task": task, "backbone": "models/base",
                   "adapter": {"lora_rank": 4}, "training": {"learning_rate": 0.001}},
        "data": {
            "train": {"files": [{"name": "train.jsonl", "sha256": "ab" * 32, "rows": 1747}],
                      "sources": {"indiana-openi": 1675, "mtsamples": 72}},
            "validation": {"files": [{"name": "validation.jsonl", "sha256": "cd" * 32,
                                      "rows": 215}]},
        },
        "versions": {"torch": "2.13.0", "peft": "0.21.2"},
        "seed": 0,
        "device": "NVIDIA H100 80GB HBM3",
        "curve": [{"step": step, "epoch": step / 100, "loss": 3 - step / 200,
                   "eval_loss": 3.1 - step / 210} for step in range(0, 401, 20)],
        "seconds": 1800.0, "steps": 400, "tokens": 4_000_000,
        "trainable_parameters": 12_345, "parameters": 61_728,
        "base": {"name": "models/base", "sha256": base_hash},
        "selected": {"step": 380, "metric": "rougeL", "value": 58.91},
        "adapter_sha256": adapter_hash,
    }  # fmt: skip
    systems = {
        "base": {"rouge1": _score(12.0), "rougeL": _score(10.5), "bleu": _score(1.5)},
        "lora": {"rouge1": _score(61.0), "rougeL": _score(58.3), "bleu": _score(40.0)},
        "nearest": {"rouge1": _score(59.3), "rougeL": _score(58.8), "bleu": _score(41.2)},
    }
    scores = {
        "task": task,
        "data": {"name": "radiology/test.jsonl", "split": "test", "sha256": "12" * 32, "n": 403},
        "decoding": {"num_beams": 4, "max_new_tokens": 16, "length_penalty": 1.0,
                     "no_repeat_ngram_size": 0, "min_new_tokens": 0},
        "versions": {"rouge-score": "0.1.2"},
        "adapter_sha256": adapter_hash,
        "systems": systems,
        "paired": [{"a": "lora", "b": "base", "metric": "rougeL", "difference": 47.8,
                    "low": 45.0, "high": 50.2, "p": 0.0004}],
        "segments": [
            {"by": "source", "value": "indiana-openi", "n": 347, "systems": systems, "paired": []},
            {"by": "source", "value": "parrot-v0", "n": 16, "systems": systems, "paired": []},
        ],
    }  # fmt: skip
    for name, record in (("run", run), ("scores", scores)):
        record.update(changes.get(name, {}))
        (folder / f"{name}.json").write_text(json.dumps(record, indent=1))


def _score(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - 2.04, "high": mean + 1.96}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
