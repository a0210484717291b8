"""What every test shares: a home of its own, no network, and tiny models.

The environment is set when this file is imported, before any library reads it. The models are
random: they show that the software does what it promises, not that it summarises well.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_t5 import make_adapter, make_backbone

ROOT = Path(__file__).resolve().parent.parent
# As the test run was started; for tests that need what is cut off below (a package index).
OUTSIDE = dict(os.environ)

_home = tempfile.mkdtemp(prefix="summarizer-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
for _name in list(os.environ):
    private = _name.startswith(("SUMMARIZER_", "HF_", "HUGGING", "GRADIO_", "SPACE_", "WANDB_"))
    if private or _name.lower().endswith("_proxy"):
        del os.environ[_name]
os.environ.update(
    HOME=_home,
    HF_HOME=f"{_home}/huggingface",
    XDG_CACHE_HOME=f"{_home}/cache",
    # A port where nothing listens: a call to the Hub fails at once instead of leaving the machine.
    HF_ENDPOINT="http://127.0.0.1:9",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_XET="1",
    GRADIO_ANALYTICS_ENABLED="False",
    TOKENIZERS_PARALLELISM="false",
    OMP_NUM_THREADS="1",
    # Threads of a process that has several wait asleep: spinning, they would take the others' cores.
    OMP_WAIT_POLICY="PASSIVE",
    PYTHONHASHSEED="0",
)


# The files that take longest, longest first: each worker takes a file at a time, and one that was
# taken last would be waited for by the other. The Makefile keeps xdist from its own order.
LONGEST = [
    "test_setup.py",
    "test_embedded.py",
    "test_run.py",
    "test_hub_recipes.py",
    "test_sharded.py",
    "test_page.py",
    "test_hub_space_start.py",
    "test_behaviour.py",
    "test_lexicon.py",
    "test_predict.py",
    "test_benchmark.py",
    "test_offline.py",
    "test_distill.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, the others in their order."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Any:
    """Connections leave this machine neither here nor, by the proxy variables, in most tools."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])
            if not (host.startswith("127.") or host in {"::1", "localhost", "0.0.0.0"}):
                raise OSError(f"a test tried to reach {host}: tests have no network")
        connect(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


@pytest.fixture
def run_command() -> Callable[..., Any]:
    """Run `python -m ...` in the project's root: run_command("summarizer", "--help", stdin="")."""
    import subprocess
    import sys

    def run(*arguments: Any, stdin: str | bytes = "", env: dict[str, str] | None = None) -> Any:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [sys.executable, "-m", *map(str, arguments)],
            input=data,
            capture_output=True,
            cwd=ROOT,
            env=dict(os.environ) | (env or {}),
            timeout=300,
            check=False,
        )
        return SimpleNamespace(
            code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode()
        )

    return run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A tiny backbone and an adapter for each task: `tiny.backbone`, `tiny.adapters[task]`."""
    from summarizer.tasks import TASKS

    folder = tmp_path_factory.mktemp("tiny")
    backbone = make_backbone(folder / "base")
    adapters = {
        task: make_adapter(backbone, folder / task, seed=seed)
        for seed, task in enumerate(TASKS, start=1)
    }
    return SimpleNamespace(
        backbone=str(backbone), adapters={task: str(path) for task, path in adapters.items()}
    )


@pytest.fixture(scope="session")
def engine(tiny: SimpleNamespace) -> Any:
    """The engine on the tiny models."""
    from summarizer.generate import Engine

    return Engine.load(tiny.backbone, tiny.adapters, device="cpu")
