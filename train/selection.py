"""Which checkpoint is the best: ROUGE of what the model generates on the validation rows.

Scores are of generated text, never of teacher-forced logits, and come from rouge_score with the
stemmer, as eval.run reports them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import isnan
from statistics import fmean
from typing import Any

from summarizer.backbone import generate_arguments
from summarizer.lexicon import Lexicon
from summarizer.tasks import Decoding
from train.recipe import Evaluation

ROUGE = ("rouge1", "rouge2", "rougeL")
MEASURES = (*ROUGE, "focus")
METRICS = (*MEASURES, "rouge1+focus")


def generate(
    model: Any,
    tokenizer: Any,
    inputs: Sequence[list[int]],
    *,
    causal: bool,
    batch_size: int,
    decoding: Decoding,
    ends: Collection[int],
    lexicon: Lexicon | None = None,
    **more: Any,
) -> list[str]:
    """The model's answer to every input, in the inputs' order.

    Batches hold inputs of similar length, longest first, so that too large a batch fails at once.

    Args:
        inputs: token ids of prompts.
        causal: whether the answer continues the prompt, which is then padded on the left.
        decoding: as the engine's, biases and all; which windows are of one text is not known here,
            so `least_windows` holds nothing.
        ends: the model's end marks.
        lexicon: the base's, needed where the decoding keeps to it.
        more: as transformers' `generate` takes it.
    """
    import torch

    order = sorted(range(len(inputs)), key=lambda place: len(inputs[place]), reverse=True)
    texts = [""] * len(inputs)
    training = model.training
    model.eval()
    try:
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            width = len(inputs[places[0]])
            # without a ban of ours, none of the backbone's own (BART's is of three tokens)
            arguments = {"no_repeat_ngram_size": 0, **more} | generate_arguments(
                decoding, ends, [inputs[place] for place in places], lexicon, tokenizer
            )
            pad = [width - len(inputs[place]) for place in places]
            ids, mask = [], []
            for place, missing in zip(places, pad, strict=True):
                filling, row = [tokenizer.pad_token_id] * missing, inputs[place]
                ids.append(filling + row if causal else row + filling)
                zeros, ones = [0] * missing, [1] * len(row)
                mask.append(zeros + ones if causal else ones + zeros)
            with torch.no_grad():
                out = model.generate(
                    input_ids=torch.tensor(ids, device=model.device),
                    attention_mask=torch.tensor(mask, device=model.device),
                    eos_token_id=list(ends),
                    **arguments,
                )
            for place, answer in zip(places, out, strict=True):
                answer = answer[width:] if causal else answer
                texts[place] = tokenizer.decode(answer, skip_special_tokens=True).strip()
    finally:
        model.train(training)
    return texts


def whole(model: Any) -> AbstractContextManager:
    """A context in which a model that FSDP has sharded generates; any other does so without.

    `generate` goes past the outermost forward, whose hooks bring the embedding together: FSDP 2 is
    told of `generate`, FSDP 1 gathers everything as long as the context lasts.
    """
    from torch.distributed import fsdp

    if isinstance(model, fsdp.FullyShardedDataParallel):
        return fsdp.FullyShardedDataParallel.summon_full_params(model, writeback=False)
    if isinstance(model, fsdp.FSDPModule):
        fsdp.register_fsdp_forward_method(model, "generate")
    return nullcontext()


def score(targets: Sequence[str], texts: Sequence[str]) -> list[dict[str, float]]:
    """ROUGE-1/2/L F-measures x100 (stemmer on) and the focus kept, of each text.

    The focus is eval.clinical's: the share x100 of the target's words outside all templates.
    """
    from rouge_score.rouge_scorer import RougeScorer

    from eval.clinical import focus_kept

    scorer = RougeScorer(list(ROUGE), use_stemmer=True)
    rows = []
    for target, text in zip(targets, texts, strict=True):
        row = {name: 100 * value.fmeasure for name, value in scorer.score(target, text).items()}
        row["focus"] = focus_kept(text, target)
        rows.append(row)
    return rows


def summarise(
    evaluation: Evaluation, sources: Sequence[str], scores: Sequence[dict[str, float]]
) -> dict[str, Any]:
    """Mean scores by source, and one figure for each metric that can choose.

    Returns:
        `{"sources": {source: {"n", "rouge1", ...}}, "rouge1", ..., "focus", "rouge1+focus"}`.
    """
    by_source: dict[str, list[dict[str, float]]] = defaultdict(list)
    for source, row in zip(sources, scores, strict=True):
        by_source[source].append(row)
    result: dict[str, Any] = {
        "sources": {
            source: {"n": len(rows), **{name: _mean(rows, name) for name in MEASURES}}
            for source, rows in by_source.items()
        }
    }
    groups = list(result["sources"].values()) if evaluation.average == "sources" else list(scores)
    for name in MEASURES:
        result[name] = _mean(groups, name)
    result["rouge1+focus"] = (result["rouge1"] + result["focus"]) / 2
    return result


def _mean(rows: Sequence[dict[str, float]], name: str) -> float:
    values = [row[name] for row in rows if not isnan(row[name])]
    return fmean(values) if values else 0.0


def line(summary: dict[str, Any]) -> str:
    """ROUGE-1/2/L, focus kept and n by source: `indiana-openi R 59.1/52.0/58.7 F 61.2 (200)`."""
    return ", ".join(
        f"{source} R "
        + "/".join(f"{row[name]:.1f}" for name in ROUGE)
        + f" F {row['focus']:.1f} ({row['n']})"
        for source, row in summary["sources"].items()
    )
