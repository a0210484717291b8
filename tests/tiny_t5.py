"""Tiny random models of the embedded model's kind, made in a moment and saved as real folders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

TEXTS = [
    "The heart is normal in size. The lungs are clear. No pleural effusion or pneumothorax.",
    "Findings: 1. Mild cardiomegaly. 2. A 2.5 cm nodule in the right upper lobe, new since 2019.",
    "Doctor: What brings you in today?\nPatient: I have had a cough for three weeks.\nDoctor: Fever?",
    "I take metformin 500 mg twice a day. Can I take ibuprofen for my back pain as well?",
    "summarize: note history of present illness: question: subjective objective assessment plan",
]


def make_tokenizer(*, ends: bool = True) -> Any:
    """A byte-level BPE tokenizer of 320 tokens that round-trips any text, like the embedded one.

    ends: whether it puts the end mark behind a text, as an encoder's does.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "</s>", "<unk>", "<extra_id_0>"]
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if ends:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", 1)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def make_backbone(folder: Path, *, seed: int = 0, width: int = 32) -> Path:
    """A tiny random T5 of the embedded model's kind, with its tokenizer, saved in `folder`."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=width,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_decoder_layers=2,
            num_heads=4,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.1,
            pad_token_id=0,
            eos_token_id=1,
            decoder_start_token_id=0,
            tie_word_embeddings=False,
        )
    )
    stir(model, seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    words = sorted({word.lower() for text in TEXTS for word in re.findall(r"[A-Za-z]+", text)})
    (folder / "lexicon.txt").write_text("\n".join(words) + "\n")
    return folder


def make_adapter(
    backbone: Path, folder: Path, *, seed: int, run: dict[str, Any] | None = None, **config: Any
) -> Path:
    """A random LoRA adapter for the backbone, strong enough to change its text."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    seq2seq = AutoConfig.from_pretrained(backbone).is_encoder_decoder
    factory = AutoModelForSeq2SeqLM if seq2seq else AutoModelForCausalLM
    torch.manual_seed(seed)
    settings = {
        "r": 4,
        "lora_alpha": 16,
        "target_modules": "all-linear",
        "task_type": "SEQ_2_SEQ_LM" if seq2seq else "CAUSAL_LM",
        "init_lora_weights": False,
    }
    model = get_peft_model(factory.from_pretrained(backbone), LoraConfig(**(settings | config)))
    model.save_pretrained(folder)
    if run is not None:
        (folder / "run.json").write_text(json.dumps(run))
    return folder


def stir(model: Any, seed: int) -> None:
    """Weights that make a random model's text vary and end, instead of one token for ever."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2:
                spread = (
                    1.0 if "shared" in name or "embed" in name else 1.5 / weight.shape[1] ** 0.5
                )
                weight.copy_(torch.randn(weight.shape, generator=generator) * spread)
        model.lm_head.weight[[0, 2, 3]] = 0.0  # padding and the like are rarely the best token
        model.lm_head.weight[4:260] *= 0.6  # whole words more often than single bytes
        model.lm_head.weight[1] *= 1.6
