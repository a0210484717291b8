"""BERTScore (Zhang et al. 2020) with whatever encoder can be loaded here; no package of its own.

F1 of greedily matched token embeddings of one hidden layer, without importance weights and without
rescaling, x100. `why_missing` says in one sentence why there is no score.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

DEFAULT_MODEL = "FacebookAI/roberta-large"
_LAYERS = {"FacebookAI/roberta-large": 17}  # the layer that the paper's authors chose
_BATCH = 32


def why_missing(model: str, *, fetch: bool) -> str | None:
    """None where BERTScore can be computed, else the reason in one sentence.

    fetch: whether the model may be fetched from the Hub; else it must be on this machine.
    """
    try:
        _load(model, fetch)
    except Exception as error:
        if not fetch:
            return (
                f"BERTScore is missing: its model {model} is not on this machine "
                "(--bertscore fetches it, --bertscore FOLDER takes another)."
            )
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        return f"BERTScore is missing: its model {model} cannot be loaded ({reason})."
    return None


def described(model: str) -> str:
    """The model as scores.json names it: without the folders of this machine, and its layer."""
    layer = _LAYERS.get(model)
    name = "/".join(Path(model).parts[-2:])
    return f"{name}, {'last layer' if layer is None else f'layer {layer}'}, not rescaled"


def bertscore(outputs: Sequence[str], references: Sequence[str], model: str) -> np.ndarray:
    """(rows,) F1 x100; 0 where either text is empty. Raises whatever loading the model raises."""
    tokenizer, encoder, layer = _load(model, True)
    scores = np.zeros(len(outputs))
    order = sorted(range(len(outputs)), key=lambda k: len(outputs[k]) + len(references[k]))
    for start in range(0, len(order), _BATCH):
        places = order[start : start + _BATCH]
        ours = _embed([outputs[k] for k in places], tokenizer, encoder, layer)
        theirs = _embed([references[k] for k in places], tokenizer, encoder, layer)
        for k, a, b in zip(places, ours, theirs, strict=True):
            scores[k] = 100 * _f1(a, b)
    return scores


def _f1(output: np.ndarray, reference: np.ndarray) -> float:
    if not len(output) or not len(reference):
        return 0.0
    similar = output @ reference.T
    precision, recall = similar.max(axis=1).mean(), similar.max(axis=0).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall > 0 else 0.0


def _embed(
    texts: Sequence[str], tokenizer: Any, encoder: Any, layer: int | None
) -> list[np.ndarray]:
    """Unit vectors of each text's tokens, special ones left out: (tokens, width) each."""
    import torch

    batch = tokenizer(
        list(texts),
        return_tensors="pt",
        padding=True,
        truncation=True,
        max_length=min(tokenizer.model_max_length, 512),
        return_special_tokens_mask=True,
    )
    special = batch.pop("special_tokens_mask").bool()
    with torch.inference_mode():
        states = encoder(**batch, output_hidden_states=True).hidden_states
    hidden = torch.nn.functional.normalize(states[-1 if layer is None else layer].float(), dim=-1)
    kept = batch["attention_mask"].bool() & ~special
    return [vectors[mask].numpy() for vectors, mask in zip(hidden, kept, strict=True)]


@lru_cache(maxsize=2)
def _load(model: str, fetch: bool) -> tuple[Any, Any, int | None]:
    from transformers import AutoModel, AutoTokenizer

    where = {} if fetch else {"local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(model, **where)
    encoder = AutoModel.from_pretrained(model, use_safetensors=True, **where).eval()
    if getattr(encoder.config, "is_encoder_decoder", False):
        encoder = encoder.get_encoder()
    return tokenizer, encoder, _LAYERS.get(model)
