"""The backbones of the recipes, tiny and random: true architectures, small tokenizers.

`make(kind, folder)` with kind t5 (ReLU, tied), flan (gated GELU, untied), bart or phi3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

# What is served under which name.
HUB_MODELS = {
    "google-t5/t5-small": "t5",
    "google-t5/t5-base": "t5",
    "google/flan-t5-base": "flan",
    "google/flan-t5-large": "flan",
    "facebook/bart-large": "bart",
    "microsoft/MediPhi-Instruct": "phi3",
}
TEXTS = [
    "The heart is normal in size. The lungs are clear. No pleural effusion or pneumothorax.",
    "Findings: 1. Mild cardiomegaly. 2. A 2.5 cm nodule in the right upper lobe, new since 2019.",
    "Doctor: What brings you in today?\nPatient: I have had a cough for three weeks.",
    "I take metformin 500 mg twice a day. Can I take ibuprofen for my back pain as well?",
    "Write the impression of this radiology report. Summarize this conversation as a clinical note.",
]
PHI3_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] "
    "+ '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}"
    "{% else %}{{ eos_token }}{% endif %}"
)


def make(kind: str, folder: Path, seed: int = 0) -> Path:
    """Save a tiny model and its tokenizer in `folder`."""
    import torch

    torch.manual_seed(seed)
    tokenizer = _tokenizer(kind)
    model = {"t5": _t5, "flan": _t5, "bart": _bart, "phi3": _phi3}[kind](len(tokenizer), kind)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(kind: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = {
        "bart": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        "phi3": ["<unk>", "<s>", "<|endoftext|>", "<|assistant|>", "<|end|>", "<|user|>"],
    }.get(kind, ["<pad>", "</s>", "<unk>", "<extra_id_0>", "<extra_id_1>"])
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=384,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    frame = {"bart": "<s> $A </s>", "phi3": "<s> $A"}.get(kind, "$A </s>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=frame, special_tokens=[(name, place) for place, name in enumerate(special)]
    )
    if kind == "phi3":
        made = PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            bos_token="<s>",
            eos_token="<|endoftext|>",
            pad_token="<|endoftext|>",
            unk_token="<unk>",
        )
        made.chat_template = PHI3_TEMPLATE
        return made
    named = {"bos_token": "<s>"} if kind == "bart" else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        **named,
    )


def _t5(size: int, kind: str) -> Any:
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=size,
            d_model=32,
            d_kv=8,
            d_ff=48,
            num_layers=2,
            num_decoder_layers=2,
            num_heads=4,
            feed_forward_proj="gated-gelu" if kind == "flan" else "relu",
            tie_word_embeddings=kind == "t5",
            pad_token_id=0,
            eos_token_id=1,
            decoder_start_token_id=0,
        )
    )
    if kind == "flan":  # as in T5 1.1, the output layer has weights of its own
        model.lm_head.weight = torch.nn.Parameter(0.05 * torch.randn(size, 32))
    return model


def _bart(size: int, kind: str) -> Any:
    from transformers import BartConfig, BartForConditionalGeneration

    return BartForConditionalGeneration(
        BartConfig(
            vocab_size=size,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=48,
            decoder_ffn_dim=48,
            max_position_embeddings=1024,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
            decoder_start_token_id=2,
            forced_bos_token_id=0,
        )
    )


def _phi3(size: int, kind: str) -> Any:
    from transformers import Phi3Config, Phi3ForCausalLM

    return Phi3ForCausalLM(
        Phi3Config(
            vocab_size=size,
            hidden_size=64,  # NF4 on a CPU packs weights in blocks of 64
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=2048,
            pad_token_id=2,
            bos_token_id=1,
            eos_token_id=2,
        )
    )
