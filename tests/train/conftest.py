"""Tiny backbones, small data and a way to train on them, shared by the tests of training."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.train.tiny_backbones import make

ORGANS = ("heart", "liver", "spleen", "aorta", "left lung", "right kidney", "pancreas", "bladder")
STATES = ("normal", "enlarged", "clear", "small", "stable", "displaced", "dense", "tortuous")


def radiology_rows(count: int, seed: int = 0, **fields: Any) -> list[dict[str, Any]]:
    """Reports that differ from each other, with impressions that follow from them."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        pairs = [(rng.choice(ORGANS), rng.choice(STATES)) for _ in range(rng.randint(2, 5))]
        size = rng.randint(1, 99)
        rows.append(
            {
                "id": f"r{seed}-{number}",
                "input": " ".join(f"The {organ} is {state}." for organ, state in pairs)
                + f" A lesion measures {size} mm.",
                "target": f"1. The {pairs[0][0]} is {pairs[0][1]}. 2. Lesion of {size} mm.",
                "source": "made-up",
                "modality": rng.choice(["CT", "MR"]),
                **fields,
            }
        )
    return rows


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`backbones("flan")`: the folder of a tiny backbone of that kind, made once."""
    made: dict[str, Path] = {}

    def backbone(kind: str) -> Path:
        if kind not in made:
            made[kind] = make(kind, tmp_path_factory.mktemp("backbones") / kind)
        return made[kind]

    return backbone


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """40 training and 6 validation rows."""
    folder = tmp_path / "data"
    write_rows(folder / "train.jsonl", radiology_rows(40))
    write_rows(folder / "validation.jsonl", radiology_rows(6, seed=1))
    return folder


@pytest.fixture
def recipe_file(
    tmp_path: Path, data_dir: Path, backbones: Callable[[str], Path]
) -> Callable[..., Path]:
    """Write a recipe that trains a tiny backbone in a few steps; `changes` are dotted keys."""

    def write(kind: str = "flan", name: str = "tiny", **changes: Any) -> Path:
        recipe: dict[str, Any] = {
            "name": name,
            "task": "radiology",
            "backbone": str(backbones(kind)),
            "architecture": "causal" if kind == "phi3" else "seq2seq",
            "max_input_tokens": 96,
            "max_target_tokens": 40,
            "decoding": {"max_new_tokens": 12},
            "adapter": {"lora_rank": 4, "lora_alpha": 8, "lora_dropout": 0.1},
            "data": {"data_dir": str(data_dir)},
            "training": {
                "num_epochs": 2,
                "batch_size": 8,
                "learning_rate": 0.01,
                "logging_steps": 1,
                "save_minutes": 60,
            },
            "evaluation": {"every_epochs": 1, "batch_size": 8, "metric": "loss"},
            "output_dir": str(tmp_path / "models" / name),
            "run_dir": str(tmp_path / "runs" / name),
        }
        for key, value in changes.items():
            *sections, leaf = key.split("__")
            place = recipe
            for section in sections:
                place = place.setdefault(section, {})
            place[leaf] = value
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
        return path

    return write


@pytest.fixture
def train_now(
    recipe_file: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Run `train.run` in this process: `(exit status, stdout, stderr)`."""
    from train.run import main

    def run(*arguments: str, path: Path | None = None, **changes: Any) -> tuple[int, str, str]:
        path = path or recipe_file(**changes)
        capfd.readouterr()
        status = main([str(path), *arguments])
        out, err = capfd.readouterr()
        return status, out, err

    return run
