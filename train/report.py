"""The record of a run: versions, and its curve as a picture."""

from __future__ import annotations

import json
import platform
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from summarizer.backbone import file_sha256
from train.data import Rows
from train.model import Source, base_record, count_parameters
from train.recipe import Recipe

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "tokenizers",
    "rouge-score",
    "bitsandbytes",
)


def run_record(
    recipe: Recipe, trainer: Any, rows: Rows, validation: Rows, source: Source
) -> dict[str, Any]:
    """run.json: all that it takes to say what an adapter is and to make it again."""
    trainable, total = count_parameters(trainer.model)
    progress = trainer.progress
    best = progress["best"]
    weights = trainer.best_dir / "adapter_model.safetensors"
    return {
        "recipe": recipe.to_dict(),
        **({"goes_on_from": parts} if (parts := earlier_parts(recipe)) else {}),
        "data": {
            "train": {
                "files": rows.files,
                "rows": len(rows.rows),
                "sources": dict(Counter(row["source"] for row in rows.rows)),
                "dropped": dict(rows.dropped),
            },
            "validation": {
                "files": validation.files,
                "rows": len(validation.rows),
                "sources": dict(Counter(row["source"] for row in validation.rows)),
            },
        },
        "versions": versions(),
        "seed": recipe.seed,
        "device": trainer.device_name,
        "processes": trainer.args.world_size,
        "curve": progress["curve"],
        "seconds": round(progress["seconds"], 1),
        "steps": trainer.state.global_step,
        "tokens": progress["tokens"],
        "tokens_per_second": round(progress["tokens"] / max(progress["training_seconds"], 1e-9), 1),
        "peak_memory_bytes": trainer.peak_memory(),
        "trainable_parameters": trainable,
        "parameters": total,
        "base": base_record(recipe, source),
        "selected": {key: best[key] for key in ("step", "metric", "value")},
        "validation_scores": best["scores"],
        "adapter_sha256": file_sha256(weights) if weights.is_file() else None,
    }


def earlier_parts(recipe: Recipe) -> list[str]:
    """The recipes whose adapters this one goes on from, is mixed with or learns from, as to be run."""
    parts: list[str] = []
    for folder in (
        recipe.adapter.init_from,
        *recipe.adapter.mixed,
        *recipe.distillation.teachers,
    ):
        path = Path(folder or "") / "run.json"
        if folder is None or not path.is_file():  # an adapter from elsewhere
            continue
        before = json.loads(path.read_text(encoding="utf-8"))
        parts += [*before.get("goes_on_from", []), before["recipe"]["name"]]
    return list(dict.fromkeys(parts))


def versions() -> dict[str, str]:
    """Versions of all that a run's numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def draw_curve(curve: list[dict[str, Any]], recipe: Recipe, path: Path) -> None:
    """Losses on the left axis, the metric that chooses on the right, over steps."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        print("matplotlib is not installed: curve.png is left out.", flush=True)
        return
    figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    drawn = bool(recipe.policy.samples)
    trained = "minus the reward of drawn texts" if drawn else "training loss"
    for key, label, color in (
        ("loss", trained, "#9aa5b1"),
        ("eval_loss", "validation loss", "#1f6feb"),
    ):
        points = [(entry["step"], entry[key]) for entry in curve if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, color=color)
    axes.set_xlabel("step")
    axes.set_ylabel("cross-entropy of an answer token" + ("; minus the reward" if drawn else ""))
    metric = recipe.evaluation.metric
    points = [
        (entry["step"], entry[f"eval_{metric}"]) for entry in curve if f"eval_{metric}" in entry
    ]
    if points and metric != "loss":
        right = axes.twinx()
        right.plot(*zip(*points, strict=True), "o-", color="#c2410c", label=f"validation {metric}")
        right.set_ylabel(f"{metric} x100 of generated text")
        right.legend(loc="upper right", frameon=False)
    axes.legend(loc="upper left", frameon=False)
    axes.set_title(
        f"{recipe.name}: LoRA on {recipe.backbone}"
        if recipe.adapter.method == "lora"
        else f"{recipe.name}: {recipe.backbone}, all weights"
    )
    figure.savefig(path)
