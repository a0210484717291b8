"""Commands of this project in processes of their own, forked from one that has its libraries.

Importing torch, transformers and peft takes ten seconds and more of every start. A process forked
from one that has done so is a real one: it has its own memory, files and signals, can be killed and
started again, and ends with its own status. What a test asks of the start itself (an interpreter
with nothing loaded) is asked with `subprocess` elsewhere.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What training and scoring load besides the models.
TRAINING = (
    "accelerate", "matplotlib.figure", "pandas", "rouge_score.rouge_scorer",
    "torch.utils.tensorboard", "transformers.trainer",
)  # fmt: skip
_LIBRARIES = ["torch", "transformers.models.t5.modeling_t5", "peft", "gradio", *TRAINING]
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(_LIBRARIES)


class Started:
    """A command that runs, to be used as a `subprocess.Popen`; its output is kept in files."""

    def __init__(
        self,
        *command: object,
        env: Mapping[str, str] | None = None,
        terminal: str | None = None,
    ) -> None:
        """
        Args:
            command: a module, as after `python -m`, or a script of the root, and its arguments.
            env: the whole environment; this process's own where it is left out.
            terminal: the device that stderr is written to instead of to a file.
        """
        self.args = list(map(str, command))
        self._folder = tempfile.TemporaryDirectory(prefix="started-")
        self._files = [Path(self._folder.name) / name for name in ("out", "err")]
        if terminal is not None:
            self._files[1] = Path(terminal)
        given = (self.args, dict(os.environ if env is None else env), *map(str, self._files))
        self._process = _server.Process(target=_be, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; minus the number of the signal that ended it."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it has said on stdout and stderr, when it has ended."""
        self.wait(timeout)
        return self.said()

    def said(self) -> tuple[str, str]:
        """The same, so far."""
        out, err = (
            path.read_text(errors="replace") if path.is_file() else "" for path in self._files
        )
        return out, err


class Ranks:
    """A command in several processes that train together, each told of the others.

    The environment is that of `torchrun`, which `accelerate launch` goes by.
    """

    def __init__(self, count: int, *command: object, env: Mapping[str, str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        own = {
            "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo",
        }  # fmt: skip
        self.processes = [
            Started(*command, env={**env, **own, "RANK": str(rank), "LOCAL_RANK": str(rank)})
            for rank in range(count)
        ]

    def alive(self) -> bool:
        """Whether none has ended."""
        return all(process.poll() is None for process in self.processes)

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()

    def finished(self, timeout: float = 400) -> str:
        """What all have said on stdout, once all have ended well."""
        try:
            for process in self.processes:
                process.wait(timeout)
        finally:
            self.kill()
        said = [process.said() for process in self.processes]
        codes = [process.returncode for process in self.processes]
        assert not any(codes), (codes, [err[-3000:] for _, err in said])
        return "".join(out for out, _ in said)


def run(
    *command: object, env: Mapping[str, str] | None = None, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """The command, run to its end."""
    process = Started(*command, env=env)
    try:
        out, err = process.communicate(timeout)
    except subprocess.TimeoutExpired:
        process.kill()  # or pytest would wait for it at its end
        raise
    assert process.returncode is not None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def _be(command: list[str], env: dict[str, str], out: str, err: str) -> None:
    os.environ.clear()
    os.environ.update(env)
    for path, number in ((out, 1), (err, 2)):
        to = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOCTTY)
        os.dup2(to, number)
        os.close(to)
    os.chdir(ROOT)
    sys.argv = list(command)
    sys.path[0:0] = [str(ROOT)]
    name = command[0]
    if name.endswith(".py"):
        runpy.run_path(name, run_name="__main__")
    else:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
