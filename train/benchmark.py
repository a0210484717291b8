"""How fast training is: this project's trainer against the plain one with the seeds' settings.

Run as:
    python -m train.benchmark                       # all shapes that fit
    python -m train.benchmark flan-t5-large --steps 40 --out runs/benchmark.json

Models have the shape of the recipes' backbones and random weights: time does not depend on what a
model has learned. Rows have the lengths that the recipes' data has. Both systems see the same rows
in the same process. Counted are real tokens, padding left out; the share of the peak counts the
operations that those tokens need (4 for each weight and token with LoRA: 2 forward, 2 backward),
so that padding and recomputation lower it. Without a GPU the shapes are tiny, and the figures say
nothing of a GPU.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from train.data import Rows
from train.errors import UserError
from train.estimate import GPUS, linear_weights
from train.recipe import Recipe, load_recipe
from train.run import resolve
from train.tokens import IGNORED, Example, Tokenised

WARM_UP = 3  # steps that are not timed: allocation, kernel selection


@dataclass(frozen=True)
class Bench:
    """One backbone's shape with the runs that are compared on it."""

    kind: str  # t5, flan or phi3
    config: dict[str, int]
    seed: str  # the recipe with the seeds' values
    tuned: str  # the recipe with ours
    mean_input: float  # tokens, of the data that the seed trained on
    mean_target: float
    ours: dict[str, Any]  # what a large GPU allows, over the tuned recipe


SHAPES = {
    "t5-small": Bench(
        "t5",
        {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
        "radiology-t5-small",
        "radiology-t5-small-tuned",
        110,
        45,
        {"batch_size": 64},
    ),
    "flan-t5-base": Bench(
        "flan",
        {"d_model": 768, "d_kv": 64, "d_ff": 2048, "num_layers": 12, "num_heads": 12},
        "dialogue-flan-t5-base-higher-lr",
        "dialogue-flan-t5-base-tuned",
        180,
        60,
        {"batch_size": 64, "weights_dtype": "bfloat16"},
    ),
    "flan-t5-large": Bench(
        "flan",
        {"d_model": 1024, "d_kv": 64, "d_ff": 2816, "num_layers": 24, "num_heads": 16},
        "question-flan-t5-large",
        "question-flan-t5-large-tuned",
        90,
        16,
        {"batch_size": 64, "weights_dtype": "bfloat16"},
    ),
    "phi-3-mini": Bench(
        "phi3",
        {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32},
        "radiology-mediphi-qlora",
        "radiology-mediphi-qlora-tuned",
        230,
        60,
        # Where 4 bits are not needed to fit, they only cost the time to unpack them.
        {"batch_size": 8, "gradient_accumulation_steps": 1, "use_4bit": False,
         "gradient_checkpointing": False, "weights_dtype": "bfloat16"},
    ),
}  # fmt: skip
TINY = {
    "t5": {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4},
    "flan": {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4},
    "phi3": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2},
}
TINY_LENGTHS = 0.1  # of the texts' true ones


@dataclass
class Timing:
    """What one system did."""

    tokens_per_second: float
    seconds_a_step: float
    share_of_peak: float | None
    padding: float  # share of the positions computed
    peak_memory: int  # bytes


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m train.benchmark", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=", ".join(SHAPES))
    parser.add_argument("--steps", type=int, default=20, help="timed steps (default: 20)")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes, as without a GPU")
    parser.add_argument("--out", metavar="FILE", help="write the figures as JSON")
    options = parser.parse_args(arguments)
    try:
        for shape in options.shapes:
            if shape not in SHAPES:
                raise UserError(f"There is no shape {shape!r}: there are {', '.join(SHAPES)}.")
        if options.steps < 1:
            raise UserError(f"--steps must be at least 1, not {options.steps}.")
    except UserError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    results = benchmark(options.shapes or list(SHAPES), steps=options.steps, tiny=options.tiny)
    if options.out:
        Path(options.out).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


def benchmark(shapes: Sequence[str], *, steps: int, tiny: bool) -> dict[str, Any]:
    """Time both systems on every shape, print a table, return it."""
    import torch

    tiny = tiny or not torch.cuda.is_available()
    device, peak = _device()
    print(f"{device}; {'tiny shapes: the figures say nothing of a GPU' if tiny else 'bf16'}")
    print(f"{'shape':14} {'system':8} {'tokens/s':>10} {'s/step':>8} {'of peak':>8} "
          f"{'padding':>8} {'GiB':>6}")  # fmt: skip
    results: dict[str, Any] = {"device": device, "peak": peak, "tiny": tiny, "shapes": {}}
    for name in shapes:
        bench = SHAPES[name]
        timings = {
            "seeds": _time_seeds(bench, steps, tiny, peak),
            "ours": _time_ours(bench, steps, tiny, peak),
        }
        for system, timing in timings.items():
            share = "-" if timing.share_of_peak is None else f"{100 * timing.share_of_peak:.1f}%"
            print(
                f"{name:14} {system:8} {timing.tokens_per_second:10,.0f} "
                f"{timing.seconds_a_step:8.3f} {share:>8} {100 * timing.padding:7.0f}% "
                f"{timing.peak_memory / 2**30:6.1f}"
            )
        ratio = timings["ours"].tokens_per_second / timings["seeds"].tokens_per_second
        print(f"{name:14} {'ratio':8} {ratio:10.2f}", flush=True)
        results["shapes"][name] = {
            "ratio": ratio,
            **{system: dataclasses.asdict(timing) for system, timing in timings.items()},
        }
    return results


# --- the two systems ----------------------------------------------------------------------------


def _time_seeds(bench: Bench, steps: int, tiny: bool, peak: float | None) -> Timing:
    """transformers' own trainer as the seeds used it: padded to the limit, in random order.

    fp16 in the seeds, bf16 here: T5 overflows in fp16. MediPhi in 4 bits, packed to 1,024 with
    attention across examples.
    """
    from transformers import Trainer, TrainingArguments, default_data_collator
    from transformers.trainer_callback import PrinterCallback

    recipe = resolve(load_recipe(bench.seed))
    model = _model(bench, recipe, tiny)
    items = _padded(bench, recipe, tiny, _examples(bench, recipe, tiny, _rows_for(recipe, steps)))
    counted = {"real": 0, "all": 0}

    class Plain(Trainer):
        def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
            counted["real"] += int(inputs["attention_mask"].sum())
            counted["all"] += inputs["input_ids"].numel()
            if bench.kind != "phi3":
                counted["real"] += int((inputs["labels"] != IGNORED).sum())
                counted["all"] += inputs["labels"].numel()
            return super().training_step(model, inputs, num_items_in_batch)

    training = recipe.training
    folder = tempfile.mkdtemp()
    clock = _clock(steps)
    trainer = Plain(
        model=model,
        args=TrainingArguments(
            output_dir=folder,
            max_steps=WARM_UP + steps,
            per_device_train_batch_size=training.batch_size,
            gradient_accumulation_steps=training.gradient_accumulation_steps,
            learning_rate=training.learning_rate,
            bf16=_on_gpu(),
            activation_checkpointing=training.gradient_checkpointing,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
        ),
        train_dataset=items,
        data_collator=default_data_collator,
        callbacks=[clock],
    )
    clock.count = lambda: dict(counted)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    shutil.rmtree(folder, ignore_errors=True)
    return _timing(bench, recipe, model, clock, peak)


def _time_ours(bench: Bench, steps: int, tiny: bool, peak: float | None) -> Timing:
    """This project's trainer on the same rows."""
    from train.trainer import AdapterTrainer

    changes = bench.ours if _on_gpu() else {"use_4bit": False, "gradient_checkpointing": False}
    recipe = load_recipe(bench.tuned, changes)
    recipe = dataclasses.replace(
        resolve(recipe),
        training=dataclasses.replace(recipe.training, max_steps=WARM_UP + steps, save_minutes=1e9),
        evaluation=dataclasses.replace(recipe.evaluation, every_epochs=1e6),
        scaling=dataclasses.replace(recipe.scaling, input_feature=None, augment=None),
    )
    model = _model(bench, recipe, tiny)
    examples = _examples(bench, recipe, tiny, _rows_for(recipe, steps))
    data = Tokenised(
        examples, [None] * len(examples), [1.0] * len(examples), ["random"] * len(examples)
    )
    counted = {"real": 0, "all": 0}

    class Counted(AdapterTrainer):
        def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
            # counted here: the trainer's own count starts anew with every line it logs
            counted["real"] += int(self._real_tokens(inputs))
            counted["all"] += inputs["input_ids"].numel()
            if not self.causal:
                counted["all"] += inputs["labels"].numel()
            return super().training_step(model, inputs, num_items_in_batch)

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            return {}

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            """Nothing of a benchmark is kept."""

    folder = Path(tempfile.mkdtemp())
    trainer = Counted(recipe, model, _tokenizer(), data, Rows([], [], []), folder)
    clock = _clock(steps)
    clock.count = lambda: dict(counted)
    trainer.add_callback(clock)
    trainer.started = trainer.last_save = time.monotonic()
    trainer.last_evaluation_seconds = trainer.seconds_before = 0.0
    trainer.train()
    shutil.rmtree(folder, ignore_errors=True)
    return _timing(bench, recipe, model, clock, peak)


def _clock(steps: int) -> Any:
    """A callback that reads the time, and what was counted, after the warm-up and at the end."""
    import torch
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        count: Any = None
        seconds = 0.0
        counted: dict[str, int] = {}  # noqa: RUF012

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step not in (WARM_UP, WARM_UP + steps):
                return
            if _on_gpu():
                torch.cuda.synchronize()
            now, counted = time.perf_counter(), self.count()
            if state.global_step == WARM_UP:
                self.began, self.before = now, counted
            else:
                self.seconds = now - self.began
                self.counted = {key: counted[key] - self.before[key] for key in counted}
                self.seconds_a_step = self.seconds / steps

    return Clock()


def _timing(bench: Bench, recipe: Recipe, model: Any, clock: Any, peak: float | None) -> Timing:
    import torch

    linear, encoder = linear_weights(model)
    real = clock.counted["real"]
    share = None
    if peak is not None:
        if bench.kind == "phi3":
            operations = 4 * linear * real
        else:  # an input token meets the encoder alone, an answer's the decoder
            inputs = bench.mean_input / (bench.mean_input + bench.mean_target)
            operations = 4 * real * (inputs * encoder + (1 - inputs) * (linear - encoder))
        share = operations / clock.seconds / peak
    memory = torch.cuda.max_memory_allocated() if _on_gpu() else 0
    if _on_gpu():
        torch.cuda.reset_peak_memory_stats()
    return Timing(
        tokens_per_second=real / clock.seconds,
        seconds_a_step=clock.seconds_a_step,
        share_of_peak=share,
        padding=1 - real / clock.counted["all"],
        peak_memory=memory,
    )


# --- models and rows ----------------------------------------------------------------------------


def _model(bench: Bench, recipe: Recipe, tiny: bool) -> Any:
    """A random model of the shape with the recipe's adapter, on the device."""
    import torch
    from transformers import Phi3Config, Phi3ForCausalLM, T5Config, T5ForConditionalGeneration

    from train.model import with_adapter

    shape = TINY[bench.kind] if tiny else bench.config
    torch.manual_seed(0)
    if bench.kind == "phi3":
        size = {"vocab_size": 512, "bos_token_id": 1, "eos_token_id": 2} if tiny else {}
        heads = {"num_attention_heads": 4, "num_key_value_heads": 4} if tiny else {}
        config = Phi3Config(**shape, **size, **heads, pad_token_id=0)
        factory: Any = Phi3ForCausalLM
    else:
        config = T5Config(
            **shape,
            vocab_size=512 if tiny else 32128,
            feed_forward_proj="relu" if bench.kind == "t5" else "gated-gelu",
            decoder_start_token_id=0,
        )
        factory = T5ForConditionalGeneration
    # bf16 is many times slower than float32 on most CPUs
    dtype = torch.float32 if tiny else getattr(torch, recipe.training.weights_dtype)
    if recipe.adapter.use_4bit and _on_gpu():
        model = _quantised(factory, config)
    else:
        recipe = _without_bits(recipe)
        with torch.device("cuda" if _on_gpu() else "cpu"):
            torch.set_default_dtype(dtype)
            model = factory(config)
            torch.set_default_dtype(torch.float32)
    return with_adapter(recipe, model)


def _quantised(factory: Any, config: Any) -> Any:
    """Random weights in NF4: saved, and loaded as bitsandbytes loads a real model."""
    import torch
    from transformers import BitsAndBytesConfig

    with tempfile.TemporaryDirectory() as folder:
        with torch.device("cuda"):
            torch.set_default_dtype(torch.bfloat16)
            model = factory(config)
            torch.set_default_dtype(torch.float32)
        model.save_pretrained(folder)
        del model
        torch.cuda.empty_cache()
        return factory.from_pretrained(
            folder,
            device_map={"": 0},
            quantization_config=BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=torch.bfloat16,
            ),
        )


def _without_bits(recipe: Recipe) -> Recipe:
    adapter = dataclasses.replace(recipe.adapter, use_4bit=False, use_8bit=False)
    return dataclasses.replace(recipe, adapter=adapter)


def _rows_for(recipe: Recipe, steps: int) -> int:
    """Rows enough that no step needs one twice."""
    training = recipe.training
    rows = training.batch_size * training.gradient_accumulation_steps * (WARM_UP + steps)
    return rows * (6 if recipe.data.packing else 1)


def _examples(bench: Bench, recipe: Recipe, tiny: bool, count: int) -> list[Example]:
    """Rows of random tokens; lengths are log-normal, as those of reports and questions are."""
    rng = np.random.default_rng(0)
    scale = TINY_LENGTHS if tiny else 1.0

    def lengths(mean: float, limit: int) -> np.ndarray:
        drawn = rng.lognormal(np.log(mean * scale) - 0.245, 0.7, count)
        return np.clip(drawn.astype(int), 4, int(limit * scale))

    inputs = lengths(bench.mean_input, recipe.max_input_tokens or 512)
    targets = lengths(bench.mean_target, recipe.max_target_tokens or 256)
    return [
        Example(rng.integers(10, 500, a).tolist(), rng.integers(10, 500, b).tolist())
        for a, b in zip(inputs, targets, strict=True)
    ]


def _padded(
    bench: Bench, recipe: Recipe, tiny: bool, examples: list[Example]
) -> list[dict[str, list[int]]]:
    """As the seeds fed them: every row filled up to the limit; for Phi-3, blocks of 1,024."""
    scale = TINY_LENGTHS if tiny else 1.0
    if bench.kind == "phi3":
        width = int(recipe.data.packed_tokens * scale)
        stream = [token for one in examples for token in (*one.input_ids, *one.labels)]
        blocks = [stream[at : at + width] for at in range(0, len(stream) - width, width)]
        return [
            {"input_ids": block, "attention_mask": [1] * width, "labels": block} for block in blocks
        ]
    wide = int((recipe.max_input_tokens or 512) * scale)
    long = int((recipe.max_target_tokens or 256) * scale)
    return [
        {
            "input_ids": one.input_ids + [0] * (wide - len(one.input_ids)),
            "attention_mask": [1] * len(one.input_ids) + [0] * (wide - len(one.input_ids)),
            "labels": one.labels + [IGNORED] * (long - len(one.labels)),
        }
        for one in examples
    ]


def _tokenizer() -> Any:
    """The least tokenizer that the trainer asks anything of."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<pad>": 0, "</s>": 1, "<unk>": 2}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>")),
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    )


def _device() -> tuple[str, float | None]:
    """The device's name, and its dense bf16 peak in operations a second where that is known."""
    import torch

    if not _on_gpu():
        return f"CPU, {torch.get_num_threads()} threads", None
    name = torch.cuda.get_device_name()
    known = {"H100": "h100", "H200": "h100", "A100": "a100", "L4": "l4", "4090": "4090"}
    key = next((gpu for part, gpu in known.items() if part in name), None)
    return name, GPUS[key][1] * 1e12 if key else None


def _on_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    sys.exit(main())
