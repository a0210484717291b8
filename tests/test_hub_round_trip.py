"""From a recipe to a stranger's machine: train, score, push, fetch on a clean home, summarise.

Every step is the command that a user types; only the data, the base and the Hub are small.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.hub_runner import Done
from tests.train.conftest import radiology_rows, write_rows

if TYPE_CHECKING:
    from tests.hub_fixtures import Hub

pytest_plugins = ["tests.hub_fixtures"]

TEXT = "The heart is enlarged. The aorta is tortuous. A lesion measures 12 mm."
RECIPE = {
    "name": "radiology",
    "task": "radiology",
    "backbone": "models/base",
    "max_input_tokens": 128,
    "max_target_tokens": 40,
    "decoding": {"max_new_tokens": 24},
    "adapter": {"lora_rank": 4, "lora_alpha": 16},
    "data": {"data_dir": "data"},
    "training": {"num_epochs": 2, "batch_size": 8, "learning_rate": 0.02, "logging_steps": 1},
    "evaluation": {"every_epochs": 1, "batch_size": 8, "metric": "loss"},
    "output_dir": "models/radiology",
}


def _ran(done: Done) -> str:
    assert done.code == 0, done.err
    return done.out


@pytest.fixture
def trained(hub: Hub, tiny_project: Path, tmp_path: Path) -> Path:
    """A user's folder with a base and an adapter trained and scored by the commands."""
    root = tmp_path / "project"
    shutil.copytree(tiny_project / "models/base", root / "models/base")
    for seed, split in enumerate(("train", "validation", "test")):
        write_rows(root / f"data/{split}.jsonl", radiology_rows(24 if seed == 0 else 6, seed))
    (root / "radiology.yaml").write_text(yaml.safe_dump(RECIPE))
    _ran(hub.run("train.run", "radiology.yaml", cwd=root))
    _ran(
        hub.run("eval.run", "models/radiology", "--data", "data/test.jsonl", "--train",
                "data/train.jsonl", "--split", "test", cwd=root)
    )  # fmt: skip
    assert (root / "models/radiology/scores.json").is_file()
    return root


def _summary(hub: Hub, cwd: Path, *options: str, **changes: str | None) -> dict:
    text = cwd / "report.txt"
    text.write_text(TEXT)
    done = hub.run("summarizer", "run", "radiology", text, "--json", *options, cwd=cwd, **changes)
    return json.loads(_ran(done))


def test_what_was_trained_is_what_a_stranger_runs(hub: Hub, trained: Path, tmp_path: Path) -> None:
    local = _summary(hub, trained, "--backbone", str(trained / "models/base"),
                     "--adapter", str(trained / "models/radiology"))  # fmt: skip
    assert local["base"]["text"] != local["lora"]["text"]

    _ran(hub.run("train.push", "models/base", "owner/base", cwd=trained))
    out = _ran(
        hub.run("train.push", "models/radiology", "owner/radiology", "--base-model", "owner/base",
                cwd=trained)
    )  # fmt: skip
    commit = re.search(r"/owner/radiology/commit/([0-9a-f]{40})", out)[1]
    base = hub.peer.repository("model", "owner/base").head.oid
    assert (
        "model-index" in hub.peer.repository("model", "owner/radiology").files["README.md"].decode()
    )

    stranger = tmp_path / "stranger"
    stranger.mkdir()
    hub.home = tmp_path / "another-home"
    shutil.rmtree(trained)  # nothing of the first machine is left
    options = ("--backbone", f"owner/base@{base}", "--adapter", f"owner/radiology@{commit}")
    there = _summary(hub, stranger, *options, token=None)
    for column in ("base", "lora"):
        assert there[column]["text"] == local[column]["text"]
        assert there[column]["tokens"] == local[column]["tokens"]
    assert there["prompt"] == local["prompt"]  # the run record came along
    assert there["decoding"] == local["decoding"]
    assert there["backbone"] == {"name": f"owner/base@{base}", "revision": base}
    assert there["adapter"]["revision"] == commit
    assert there["adapter"]["name"] == f"owner/radiology@{commit[:12]}"
    told = _ran(hub.run("summarizer", "run", "radiology", stranger / "report.txt", *options,
                        token=None, cwd=stranger))  # fmt: skip
    assert f"LoRA: owner/base@{base[:12]} + owner/radiology@{commit[:12]} (" in told

    # Pinned and fetched, it needs no Hub any more.
    hub.peer.log.clear()
    again = _summary(hub, stranger, *options, token=None, HF_ENDPOINT="http://127.0.0.1:9")
    assert again["lora"]["text"] == local["lora"]["text"] and hub.peer.log == []


def test_the_cards_snippet_runs_for_a_stranger(hub: Hub, trained: Path, tmp_path: Path) -> None:
    """What the page of the adapter on the Hub tells its reader to paste."""
    _ran(hub.run("train.push", "models/base", "owner/base", cwd=trained))
    _ran(
        hub.run("train.push", "models/radiology", "owner/radiology", "--base-model", "owner/base",
                cwd=trained)
    )  # fmt: skip
    card = hub.peer.repository("model", "owner/radiology").files["README.md"].decode()
    snippet = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    hub.home = tmp_path / "another-home"
    assert "summarizer" not in snippet
    _ran(hub.code(snippet, token=None, cwd=tmp_path))


def test_an_adapter_of_another_base_is_refused(hub: Hub, trained: Path, tmp_path: Path) -> None:
    from tests.hub_runner import ROOT

    _ran(hub.run("train.push", "models/base", "owner/base", cwd=trained))
    _ran(
        hub.run("train.push", "models/radiology", "owner/radiology", "--base-model", "owner/base",
                cwd=trained)
    )  # fmt: skip
    make = "from pathlib import Path\nfrom tests.tiny_models import make_base\n"
    _ran(hub.code(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{make}make_base(Path('other'), seed=5)",
                  cwd=trained))  # fmt: skip
    done = hub.run("summarizer", "run", "radiology", "radiology.yaml", "--backbone",
                   str(trained / "other"), "--adapter", "owner/radiology", cwd=trained)  # fmt: skip
    assert "does not fit the backbone" in done.error
