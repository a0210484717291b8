"""Fixtures for tests that speak to the Hub's peer. Use: `pytest_plugins = ["tests.hub_fixtures"]`.

One peer and one forking runner serve all tests of a session; each test has an empty peer, an empty
home and commands of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hub_peer import WRITE_TOKEN, HubPeer
from tests.hub_runner import ROOT, Done, Runner


@pytest.fixture(scope="session")
def hub_server() -> Iterator[HubPeer]:
    with HubPeer() as peer:
        yield peer


@pytest.fixture(scope="session")
def hub_process(hub_server: HubPeer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    runner = Runner(hub_server.environment(tmp_path_factory.mktemp("home")))
    yield runner
    runner.close()


@pytest.fixture
def peer(hub_server: HubPeer) -> HubPeer:
    hub_server.reset()
    return hub_server


@dataclass
class Hub:
    """Commands of a user with a home of their own, against the peer."""

    peer: HubPeer
    runner: Runner
    home: Path

    def environment(self, token: str | None, **changes: str | None) -> dict[str, str | None]:
        return {**self.peer.environment(self.home, token), "HF_TOKEN": token, **changes}

    def run(
        self,
        module: str,
        *arguments: object,
        token: str | None = WRITE_TOKEN,
        cwd: Path = ROOT,
        patient: bool = False,
        **changes: str | None,
    ) -> Done:
        """`python -m module arguments`."""
        done = self.runner.run(
            module, *map(str, arguments), environment=self.environment(token, **changes), cwd=cwd,
            patient=patient,
        )  # fmt: skip
        self._no_secrets(done)
        return done

    def code(
        self, source: str, *, token: str | None = WRITE_TOKEN, cwd: Path = ROOT, **changes: str
    ) -> Done:
        """`python -c source`."""
        done = self.runner.code(source, self.environment(token, **changes), cwd)
        self._no_secrets(done)
        return done

    def _no_secrets(self, done: Done) -> None:
        """Whatever happens: no token is printed, or sent to another host than the Hub."""
        for token in self.peer.accounts:
            assert token not in done.out + done.err
        for request in self.peer.log:
            if request.path.startswith(("/cdn/", "/lfs/")) and request.method in ("GET", "PUT"):
                assert request.token is None


@pytest.fixture
def hub(peer: HubPeer, hub_process: Runner, tmp_path: Path) -> Hub:
    return Hub(peer, hub_process, tmp_path / "home")


@pytest.fixture(scope="session")
def tiny_project(hub_process: Runner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models/base (in shards) and models/radiology with its records.

    Copy what a test changes.
    """
    root = tmp_path_factory.mktemp("project")
    done = hub_process.code(
        f"""
from pathlib import Path
from tests.tiny_models import make_adapter, make_base, write_records
base = make_base(Path({str(root)!r}) / "models/base", shards=True)
adapter = make_adapter(Path({str(root)!r}) / "models/radiology", base, base_name="models/base")
write_records(adapter, base=base)
"""
    )
    assert done.code == 0, done.err
    return root


@pytest.fixture(scope="session")
def checkout(tiny_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it is, with tiny models in the place of its own."""
    from summarizer.tasks import TASKS

    root = tmp_path_factory.mktemp("checkout") / "project"
    shutil.copytree(
        ROOT,
        root,
        ignore=lambda folder, names: [
            name
            for name in names
            if name in {".git", ".venv", "models", "runs", "data", "__pycache__", "docs"}
        ],
    )
    shutil.copytree(tiny_project / "models/base", root / "models/base")
    for task in TASKS:
        shutil.copytree(tiny_project / "models/radiology", root / "models" / task)
    return root
