"""Every recipe, from the download of its backbone and data to an adapter that is evaluated.

The backbones are served under their real names by a local peer of the Hub: true architectures,
tiny and random. The data sets have their true columns, or their publishers' forms. What is
changed on the command line is how long it takes, not what it is.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pandas
import pytest

from tests.hub_fixtures import Hub
from tests.train.conftest import radiology_rows
from tests.train.publisher import Publisher, archive
from tests.train.tiny_backbones import HUB_MODELS, make
from train.published import PUBLISHED
from train.recipe import load_recipe, recipe_names

pytest_plugins = ["tests.hub_fixtures"]

RECIPES = [name for name in recipe_names() if load_recipe(name).backbone != "models/base"]
PINS = {load_recipe(name).backbone: load_recipe(name).revision for name in RECIPES}
SHORT = (
    "--max_steps 2 --max_train_rows 24 --max_validation_rows 3 --batch_size 4 "
    "--gradient_accumulation_steps 1 --max_new_tokens 6 --logging_steps 1 --evaluation.max_rows 3"
).split()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("hub-models")
    return {kind: make(kind, home / kind) for kind in set(HUB_MODELS.values())}


def parquet(rows: list[dict[str, str]]) -> bytes:
    stream = io.BytesIO()
    pandas.DataFrame(rows).to_parquet(stream)
    return stream.getvalue()


@pytest.fixture
def world(hub: Hub, folders: dict[str, Path]) -> Hub:
    """The Hub with all that the recipes name."""
    for name, kind in HUB_MODELS.items():
        repository = hub.peer.add_folder("model", name, folders[kind])
        repository.head.oid = repository.refs["main"] = PINS[name]
    mimic = {
        f"data/{split}-00000-of-00001.parquet": parquet(
            [
                {"prompt": row["input"].lower(), "impressions": row["target"].lower()}
                for row in radiology_rows(count, seed)
            ]
        )
        for seed, (split, count) in enumerate([("train", 40), ("validation", 8), ("test", 8)])
    }
    hub.peer.add("dataset", "hejazizo/mimic-iii", mimic)
    questions = [
        {
            "File": f"{number}.txt",
            "CHQ": f"I have had a {row['modality']} scan. {row['input']} What should I do next?",
            "Summary": f"What follows from report {number}?",
        }
        for number, row in enumerate(radiology_rows(60))
    ]
    hub.peer.add("dataset", "albertvillanova/meqsum", {"MeQSum.parquet": parquet(questions)})
    return hub


@pytest.fixture(scope="module")
def published() -> Iterator[Publisher]:
    with Publisher() as publisher:
        lines = ["uid,MeSH,indication,comparison,findings,impression"]
        for number, row in enumerate(radiology_rows(80)):
            lines.append(f'{number},normal,pain,none,"{row["input"] * 2}","{row["target"]}"')
        publisher.put("indiana-openi", "\n".join(lines).encode())
        pages = {
            f".scrapy/httpcache/mt/{number}/response_body": (
                f"<b>Sample Name:</b> CT {number}<br><b>FINDINGS:</b> {row['input'] * 2}"
                f"<br><b>IMPRESSION:</b> {row['target']}"
            )
            for number, row in enumerate(radiology_rows(12, seed=5))
        }
        publisher.put("mtsamples", archive(pages))
        reports = [
            {
                "DICOM Modality": "US",
                "English translation": f"Results: {row['input'] * 2}\nImpression: {row['target']}",
            }
            for row in radiology_rows(4, seed=6)
        ]
        publisher.put("parrot-v0", json.dumps(reports).encode())
        for place, (count, seed) in enumerate([(40, 7), (8, 8), (8, 9)]):
            lines = ["ID,section_header,section_text,dialogue"]
            for number, row in enumerate(radiology_rows(count, seed)):
                lines.append(
                    f'{number},GENHX,"{row["target"]}","Doctor: So?\nPatient: {row["input"]}"'
                )
            publisher.put("mts-dialog", "\n".join(lines).encode(), place)
        assert set(PUBLISHED)
        yield publisher


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_runs_from_download_to_evaluated_adapter(
    world: Hub, published: Publisher, tmp_path: Path, name: str
) -> None:
    recipe = load_recipe(name)
    data = tmp_path / "data" / "set"
    done = world.run("train.prepare", name, "--data_dir", data, "--mirror", published.url)
    assert done.code == 0, done.err
    if recipe.notice:
        assert "PhysioNet" in done.out
    assert f"tokens of {recipe.backbone}" in (data / "report.md").read_text()

    output = tmp_path / "models" / name
    places = ["--data_dir", data, "--output_dir", output, "--run_dir", tmp_path / "runs"]
    done = world.run("train.run", name, *places, "--dry-run")
    assert done.code == 0 and "trainable parameters" in done.out, done.err
    weights = f"/{recipe.backbone}/resolve/.*model.safetensors"
    assert not world.peer.requests("HEAD", weights)  # lengths and sizes need no weights
    done = world.run("train.run", name, *places, *SHORT)
    assert done.code == 0, done.err
    assert world.peer.requests("HEAD", weights)
    assert world.peer.requests("GET", f"/{recipe.backbone}/resolve/.*model.safetensors|/cdn/")
    run = json.loads((output / "run.json").read_text())
    revision = world.peer.repository("model", recipe.backbone).head.oid
    assert run["base"]["name"] == recipe.backbone and run["base"]["revision"] == revision
    assert run["steps"] == 2 and run["recipe"]["prompt"] == recipe.prompt

    if recipe.adapter.method == "full":
        assert (output / "model.safetensors").is_file()
        return
    config = json.loads((output / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == recipe.backbone
    assert config["revision"] == revision and config["r"] == recipe.adapter.lora_rank
    test = data / "test.jsonl"
    few = tmp_path / "few.jsonl"
    few.write_text("".join(line for line in test.open().readlines()[:3]))
    done = world.run(
        "eval.run", output, "--backbone", recipe.backbone, "--data", few, "--task", recipe.task,
        "--max-new-tokens", 6, "--resamples", 100, "--workers", 1, "--no-floors",
        "--json", tmp_path / "scores.json", cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores["systems"]) == {"base", "lora"} and scores["data"]["n"] == 3


def test_bart_also_trains_with_lora(world: Hub, published: Publisher, tmp_path: Path) -> None:
    """What question-bart-large says in its first lines."""
    data, output = tmp_path / "data" / "set", tmp_path / "models" / "bart"
    assert world.run("train.prepare", "question-bart-large", "--data_dir", data).code == 0
    done = world.run(
        "train.run", "question-bart-large", "--method", "lora", "--learning_rate", "1e-3",
        "--data_dir", data, "--output_dir", output, "--run_dir", tmp_path / "runs", *SHORT,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (output / "adapter_model.safetensors").is_file()


def test_a_backbone_or_data_set_that_is_not_open_is_told(hub: Hub, tmp_path: Path) -> None:
    data = tmp_path / "data" / "set"
    error = hub.run("train.prepare", "question-flan-t5-large", "--data_dir", data).error
    assert "albertvillanova/meqsum is not on the Hub, or is not open to you" in error
    error = hub.run("train.run", "question-flan-t5-large", "--data_dir", data, "--dry-run").error
    assert "google/flan-t5-large" in error


def test_a_column_that_is_not_there_is_told(hub: Hub, tmp_path: Path) -> None:
    rows = [{"question": "a", "answer": "b"}]
    hub.peer.add("dataset", "albertvillanova/meqsum", {"MeQSum.parquet": parquet(rows)})
    error = hub.run(
        "train.prepare", "question-flan-t5-large", "--data_dir", tmp_path / "data" / "set"
    ).error
    assert "no column 'CHQ' for input; the columns are question, answer" in error


def test_the_open_reports_keep_modality_and_clinic(
    world: Hub, published: Publisher, tmp_path: Path
) -> None:
    """Seed 004's columns, as a user's own reports have them."""
    data = tmp_path / "data" / "set"
    done = world.run(
        "train.prepare", "radiology-mediphi-qlora", "--data_dir", data, "--mirror", published.url
    )
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (data / "train.jsonl").open()]
    assert {row["modality"] for row in rows} == {"XR", "CT"}
    assert {row["clinic"] for row in rows} == {"indiana", "mtsamples"}
    assert all(len(row["input"]) >= 100 and 20 <= len(row["target"]) <= 1000 for row in rows)
    assert "input under 100 characters" in (data / "report.md").read_text() or rows
