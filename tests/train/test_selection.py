"""The texts that a checkpoint is chosen by are written with the recipe's whole decoding."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from summarizer.backbone import generate_arguments, read_lexicon
from summarizer.tasks import Decoding
from train.selection import generate

TEXTS = (
    "The patient takes amlodipine every morning and lisinopril at night.",
    "There is a small left pleural effusion. The heart is not enlarged. No pneumothorax is seen.",
    "I was told that I have sarcoidosis.",
)


@pytest.fixture(scope="module")
def base():
    tokenizer = AutoTokenizer.from_pretrained("models/base")
    return AutoModelForSeq2SeqLM.from_pretrained("models/base").eval(), tokenizer


@pytest.mark.parametrize("more", [{}, {"copy_bias": 2.0}, {"lexicon": True}])
def test_a_batch_says_what_each_row_says_alone_with_the_biases(base, more) -> None:
    model, tokenizer = base
    decoding = Decoding(max_new_tokens=24, no_repeat_ngram_size=3, end_bias=-6.0, **more)
    lexicon = read_lexicon(Path("models/base"), tokenizer)
    prompts = [tokenizer("summarize: " + text)["input_ids"] for text in TEXTS]
    settings = {"causal": False, "batch_size": 2, "ends": [1], "lexicon": lexicon}
    texts = generate(model, tokenizer, prompts, decoding=decoding, **settings)
    alone = []
    for prompt in prompts:
        with torch.no_grad():
            out = model.generate(
                input_ids=torch.tensor([prompt]),
                **generate_arguments(decoding, [1], [prompt], lexicon),
            )
        alone.append(tokenizer.decode(out[0], skip_special_tokens=True).strip())
    assert texts == alone
    without = dataclasses.replace(decoding, end_bias=0.0, copy_bias=0.0)
    assert texts != generate(model, tokenizer, prompts, decoding=without, **settings)
