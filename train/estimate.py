"""What a run would take: parameters, steps, memory, time and cost, before anything is trained.

Parameters are counted, not guessed: the model is built from its configuration without weights.
Steps are those of the run's own plan where the data is prepared. Memory and time are estimates
from the sizes of the tensors and the number of operations; they name what they assume.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import yaml

from train.errors import DataError, RecipeError
from train.recipe import Recipe

# Memory in GiB and dense bf16 (T4: fp16) peak in TFLOP/s, from NVIDIA's data sheets.
GPUS = {
    "h100": (80, 989),
    "a100": (80, 312),
    "l4": (24, 121),
    "4090": (24, 165),
    "t4": (16, 65),
}
UTILISATION = 0.3  # share of the peak that a run of this kind reaches, padding included
SECONDS_A_MODULE = 6e-5  # a micro-batch takes at least this for each layer of the model, called
GIB = 2**30


@dataclass(frozen=True)
class Shape:
    """A model's sizes, as far as memory and time depend on them."""

    trainable: int
    total: int
    linear: int  # weights that a token is multiplied with, encoder and decoder together
    encoder_share: float  # of `linear`; 0 for a causal model
    layers: int
    hidden: int
    vocabulary: int
    modules: int


@dataclass(frozen=True)
class Load:
    """What a run puts through the model."""

    steps: int
    input_tokens: float  # a row's
    target_tokens: float
    rows_a_step: int
    measured: bool  # from prepared data; else the limits of the recipe


def dry_run(recipe: Recipe, *, gpu: str, price_per_hour: float) -> None:
    """Print the resolved recipe and what it would take on one GPU.

    Raises:
        RecipeError: an unknown GPU, or a backbone whose configuration cannot be read.
    """
    from train.run import each_cluster, resolve

    if gpu.lower() not in GPUS:
        raise RecipeError(f"gpu must be one of {', '.join(GPUS)}, not {gpu!r}.")
    gpu = gpu.lower()
    if not 0 <= price_per_hour < math.inf:
        raise RecipeError(f"price_per_hour must not be below 0, not {price_per_hour:g}.")
    recipe = resolve(recipe)
    print(yaml.safe_dump(recipe.to_dict(), sort_keys=False, allow_unicode=True), end="")
    if recipe.notice:
        print(f"# {recipe.notice}")
    shape = shape_of(recipe)
    load = load_of(each_cluster(recipe)[0])
    memory = memory_bytes(recipe, shape, load)
    room, peak = GPUS[gpu]
    hours = seconds(recipe, shape, load, peak * 1e12) / 3600 * len(each_cluster(recipe))
    known = "" if load.measured else " (the data is not prepared: from the recipe's limits)"
    print(
        f"\ntrainable parameters  {shape.trainable:,} of {shape.total:,} "
        f"({100 * shape.trainable / shape.total:.2f}%)\n"
        f"steps                 {load.steps:,} of {load.rows_a_step} rows{known}\n"
        f"tokens a row          {load.input_tokens:.0f} read, {load.target_tokens:.0f} answered\n"
        f"memory                about {memory / GIB:.1f} GiB of the {gpu}'s {room}"
        + ("" if memory < 0.95 * room * GIB else ": too much; lower batch_size")
        + f"\ntime                  about {_time(hours)} on one {gpu}, at "
        f"{100 * UTILISATION:.0f}% of its {peak} TFLOP/s, evaluations left out\n"
        f"cost                  about {hours * price_per_hour:.2f} at {price_per_hour:g} an hour"
    )


def shape_of(recipe: Recipe) -> Shape:
    """Sizes of the recipe's model, built from its configuration without weights."""
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    from train.model import count_parameters, fetch_description, lora_config, read_config

    config = read_config(recipe, fetch_description(recipe))
    factory = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.device("meta"):
        model = factory.from_config(config)
        linear, encoder = linear_weights(model)
        if recipe.adapter.method == "lora":
            try:
                model = get_peft_model(model, lora_config(recipe))
            except ValueError as fault:
                raise RecipeError(f"target_modules: {str(fault).splitlines()[0]}") from None
    trainable, total = count_parameters(model)
    if getattr(config, "scale_decoder_outputs", True) is False:
        # T5 1.1 and FLAN-T5: transformers ties every T5 that it builds, and parts the output layer
        # from the embedding when the weights that it loads have both.
        total += config.vocab_size * config.hidden_size
    layers = getattr(config, "num_hidden_layers", None) or config.num_layers
    if config.is_encoder_decoder:
        layers += getattr(config, "num_decoder_layers", None) or config.decoder_layers
    return Shape(
        trainable=trainable,
        total=total,
        linear=linear,
        encoder_share=encoder / linear,
        layers=layers,
        hidden=config.hidden_size,
        vocabulary=config.vocab_size,
        modules=sum(1 for module in model.modules() if not list(module.children())),
    )


def load_of(recipe: Recipe) -> Load:
    """Steps and lengths: of the prepared data, or of the recipe's limits where there is none."""
    from train.data import load_train
    from train.model import fetch_description, load_tokenizer
    from train.plan import RunPlan
    from train.tokens import tokenise

    training = recipe.training
    rows_a_step = training.batch_size * training.gradient_accumulation_steps
    try:
        rows = load_train(recipe)
    except DataError:
        rows = None
    if rows is not None:
        data = tokenise(recipe, rows, load_tokenizer(recipe, fetch_description(recipe)))
        count = len(data.examples)
        return Load(
            steps=len(RunPlan(recipe, data).steps),
            input_tokens=sum(len(example.input_ids) for example in data.examples) / count,
            target_tokens=sum(len(example.labels) for example in data.examples) / count,
            rows_a_step=rows_a_step,
            measured=True,
        )
    expected = recipe.data.expected_rows
    if expected is None and training.max_steps is None:
        raise RecipeError(
            f"The steps are not known before {recipe.data.data_dir} is prepared: run "
            f"python -m train.prepare {recipe.name}, or give --expected_rows."
        )
    input_tokens, target_tokens = recipe.max_input_tokens or 0, recipe.max_target_tokens or 0
    sequences = expected or 0
    if recipe.data.packing:
        sequences = math.ceil(
            sequences * (input_tokens + target_tokens) / recipe.data.packed_tokens
        )
    steps = training.max_steps
    steps = steps or math.ceil(training.num_epochs * math.ceil(sequences / rows_a_step))
    return Load(steps, float(input_tokens), float(target_tokens), rows_a_step, measured=False)


def memory_bytes(recipe: Recipe, shape: Shape, load: Load) -> float:
    """Peak memory of a training step.

    Weights as they are stored; 16 bytes for each trainable one (itself, gradient, two moments);
    activations after Korthikanti et al. 2022 (arXiv 2205.05198), 34 bytes a token and hidden unit
    of each layer, and 24 more for LoRA's dropped-out inputs; logits three times.
    """
    training, adapter = recipe.training, recipe.adapter
    frozen = shape.total - shape.trainable
    width = 4 if training.weights_dtype == "float32" else 2
    stored = frozen * width
    if adapter.use_4bit or adapter.use_8bit:
        packed = 0.53 if adapter.use_4bit else 1.0  # NF4 with its double-quantised constants
        stored = shape.linear * packed + (frozen - shape.linear) * 4
    longest_in, longest_out = _longest(recipe, load)
    tokens = training.batch_size * (longest_in + longest_out)
    kept = 34 + (24 if adapter.method == "lora" else 0)
    if training.gradient_checkpointing:
        activations = tokens * shape.hidden * (2 * shape.layers + kept)
    else:
        activations = tokens * shape.hidden * kept * shape.layers
    answered = training.batch_size * longest_out
    return stored + 16 * shape.trainable + activations + 10 * answered * shape.vocabulary


def seconds(recipe: Recipe, shape: Shape, load: Load, peak: float) -> float:
    """Training time on a GPU of `peak` operations a second.

    A token costs 2 operations a weight forward and 2 backward, 2 more where the weights themselves
    are trained, 2 more where activations are computed again. A small model is bound by the launch
    of its kernels instead: SECONDS_A_MODULE for each of its layers.
    """
    training = recipe.training
    a_weight = 4 + 2 * (recipe.adapter.method == "full") + 2 * training.gradient_checkpointing
    share = shape.encoder_share
    tokens = load.input_tokens + load.target_tokens
    if share:
        tokens = share * load.input_tokens + (1 - share) * load.target_tokens
    rows = load.steps * load.rows_a_step
    if recipe.data.packing:
        rows = rows * recipe.data.packed_tokens / (load.input_tokens + load.target_tokens)
    computing = a_weight * shape.linear * tokens * rows / (UTILISATION * peak)
    micro_batches = load.steps * training.gradient_accumulation_steps
    return max(computing, micro_batches * shape.modules * SECONDS_A_MODULE)


def _longest(recipe: Recipe, load: Load) -> tuple[float, float]:
    """Tokens a row in the longest micro-batch, which is what has to fit."""
    if recipe.data.packing:
        share = load.target_tokens / max(1.0, load.input_tokens + load.target_tokens)
        return recipe.data.packed_tokens * (1 - share), recipe.data.packed_tokens * share
    return float(recipe.max_input_tokens or 0), float(recipe.max_target_tokens or 0)


def linear_weights(model: Any) -> tuple[int, int]:
    """Weights that tokens are multiplied with, all of them and the encoder's."""
    import torch

    total = encoder = 0
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            total += module.weight.numel()
            if name.startswith(("encoder.", "model.encoder.")):
                encoder += module.weight.numel()
    return total, encoder


def _time(hours: float) -> str:
    if hours < 1:
        return f"{max(1, math.ceil(60 * hours))} min"
    return f"{hours:.1f} h"
