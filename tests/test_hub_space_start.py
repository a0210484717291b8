"""The Space really starts: from what is uploaded, on two cores, and with models of the Hub."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from page.visiting import ask

from summarizer.settings import Settings, read_settings
from summarizer.space import space_files
from summarizer.tasks import TASKS
from tests.hub_peer import HubPeer
from tests.hub_runner import ROOT
from tests.space_start import TEXT, measure, started, unpack

if TYPE_CHECKING:
    from tests.hub_fixtures import Hub

pytest_plugins = ["tests.hub_fixtures"]

GIB = 1024**3


def test_it_starts_within_a_spaces_limits(checkout: Path, tmp_path: Path) -> None:
    """From what goes up and nothing else, with the packages alone that it installs. Bounds that
    hold on a busy machine; `python -m tests.space_start` measures."""
    root = unpack(tmp_path / "space", space_files(checkout, Settings(), []))
    found = measure(tmp_path / "home", root)
    installed = {path.name for path in (tmp_path / "home/packages").iterdir()}
    assert {"torch", "peft", "gradio"} <= installed
    assert not installed & {"bitsandbytes", "scipy", "datasets", "matplotlib", "tensorboard"}
    assert found["peak_memory_bytes"] < 4 * GIB  # of 16
    assert found["seconds_to_first_page"] < 300 and found["lora"]


@pytest.fixture
def variables(peer: HubPeer, tiny_project: Path) -> dict[str, str]:
    made = {}
    for name, key in (("base", "BACKBONE"), ("radiology", "ADAPTER_RADIOLOGY")):
        commit = peer.add_folder("model", f"owner/{name}", tiny_project / "models" / name).head.oid
        made[f"SUMMARIZER_{key}"] = f"owner/{name}@{commit}"
    return made


def test_the_same_page_serves_models_of_the_hub(
    hub: Hub,
    checkout: Path,
    variables: dict[str, str],
    tmp_path: Path,
) -> None:
    """Variables choose them; the page says which backbone, adapter and commit answered; and what
    a visitor types is neither logged nor kept."""
    files = space_files(checkout, read_settings(variables), [])
    assert not [path for path in files if path.startswith("models/")]
    root, home = unpack(tmp_path / "space", files), tmp_path / "home"
    environment = hub.peer.environment(home / "huggingface", token=None) | {"HOME": str(home)}
    secret = "Zaphod-Quillfeather 4471"
    with started(home, root, environment | variables) as app:
        answer = ask(app.url, "radiology", f"{TEXT} {secret}")
        assert {"base", "lora"} <= set(answer)
        with urllib.request.urlopen(f"{app.url}/config", timeout=60) as reply:
            page = json.dumps(json.load(reply))
        with urllib.request.urlopen(app.url, timeout=60) as reply:
            page += reply.read().decode()
        for name, key in (("base", "BACKBONE"), ("radiology", "ADAPTER_RADIOLOGY")):
            assert f"owner/{name}@{variables[f'SUMMARIZER_{key}'].partition('@')[2][:12]}" in page
        assert str(home) not in page
        output = app.output()
    assert "Quillfeather" not in output
    kept = [p for p in (*home.rglob("*"), *root.rglob("*"))
            if p.is_file() and b"Quillfeather" in p.read_bytes()]  # fmt: skip
    assert kept == []
    asked = {request.path for request in hub.peer.log}
    assert not any("Quillfeather" in path for path in asked)


def test_on_a_zerogpu_space_each_summary_runs_on_a_gpu_that_is_lent(
    checkout: Path, tmp_path: Path
) -> None:
    """With a stand-in for the Hub's `spaces`, which lends a process of its own and no GPU."""
    root = unpack(tmp_path / "space", space_files(checkout, Settings(), []))
    loans = tmp_path / "loans"
    zero = {
        "SPACES_ZERO_GPU": "true", "PYTHONPATH": str(ROOT / "tests/zero"),
        "SPACES_STANDIN_LOG": str(loans), "SUMMARIZER_THREADS": "1", "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    with started(tmp_path / "home", root, zero) as app:
        assert not loans.exists()  # none is asked for before a visitor comes
        answer = ask(app.url, "radiology", TEXT)
        assert {"base", "lora"} <= set(answer)
        with urllib.request.urlopen(f"{app.url}/config", timeout=60) as reply:
            assert "on cpu" in reply.read().decode()
        lent, back = loans.read_text().splitlines()
        assert lent.split()[0] == back.split()[0] != str(app.process.pid)
        for task in TASKS:  # what goes up has them all
            assert {"base", "lora"} <= set(ask(app.url, task, TEXT)), task
