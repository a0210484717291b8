"""Runs commands of this project in processes of their own, without each importing torch anew.

A process with the Hub's environment set before its first import loads the libraries once; every
call is a fork of it, with its own home, token, folder, stdout and stderr. What a user would see is
what a call returns. `python -m tests.hub_runner` is that process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.warm import TRAINING

ROOT = Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def error(self) -> str:
        """Its one line of error; fails where there is more or less than one, or a traceback."""
        lines = [line for line in self.err.splitlines() if line.lower().startswith("error: ")]
        assert self.code != 0 and len(lines) == 1, self.err
        assert "Traceback" not in self.err, self.err
        return lines[0][len("error: ") :]


class Runner:
    """The process that forks. `environment` stands before any library is imported."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hub_runner"], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def close(self) -> None:
        self._process.kill()
        self._process.wait(timeout=30)

    def run(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str | None] | None = None,
        cwd: Path = ROOT,
        patient: bool = False,
    ) -> Done:
        """`python -m module arguments`. `patient`: the client's pauses between tries are real;
        otherwise each is a twentieth of what it is."""
        return self._call(module=module, arguments=arguments, environment=environment, cwd=cwd,
                          patient=patient)  # fmt: skip

    def code(
        self, source: str, environment: Mapping[str, str | None] | None = None, cwd: Path = ROOT
    ) -> Done:
        """`python -c source`."""
        return self._call(source=source, environment=environment, cwd=cwd)

    def _call(self, *, cwd: Path, **request: Any) -> Done:
        assert self._process.stdin is not None and self._process.stdout is not None
        request["environment"] = dict(request["environment"] or {})
        self._process.stdin.write(json.dumps({**request, "cwd": str(cwd)}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the runner is gone"
        return Done(**json.loads(line))


# Seconds after which the system ends a command that hangs.
_AT_MOST = 600

_LOADED_ONCE = (
    "huggingface_hub.hf_api", "huggingface_hub.repocard", "huggingface_hub._commit_api",
    "huggingface_hub._snapshot_download", "httpx2", "peft", "safetensors.torch", "transformers",
    "transformers.models.auto.modeling_auto", "transformers.models.t5.modeling_t5",
    "nltk.stem", "sacrebleu", *TRAINING,
)  # fmt: skip


def _serve() -> None:
    import importlib

    import torch

    for name in _LOADED_ONCE:
        importlib.import_module(name)

    torch.set_num_threads(1)
    _warm_up()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            start = time.monotonic()
            child = os.fork()
            if child == 0:
                _be_the_command(request, out.fileno(), err.fileno())
            _, status = os.waitpid(child, 0)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
            done = Done(os.waitstatus_to_exitcode(status), *texts, time.monotonic() - start)
        answers.write(json.dumps(dataclasses.asdict(done)) + "\n")
        answers.flush()


def _warm_up() -> None:
    """Fill the libraries' caches (patterns compiled, mappings built) once for all calls."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    shape = AutoConfig.for_model("t5", d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2,
                                 vocab_size=8, decoder_start_token_id=0)  # fmt: skip
    get_peft_model(
        AutoModelForSeq2SeqLM.from_config(shape),
        LoraConfig(target_modules="all-linear", task_type="SEQ_2_SEQ_LM"),
    )


def _be_the_command(request: Mapping[str, Any], out: int, err: int) -> None:
    code = 1
    signal.alarm(_AT_MOST)
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(request["cwd"])
        sys.path.insert(0, request["cwd"])
        _set_environment(request["environment"])
        with contextlib.ExitStack() as stack:
            if not request.get("patient"):
                stack.enter_context(_short_pauses())
            code = _run(request)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(request: Mapping[str, Any]) -> int:
    if "source" in request:
        exec(compile(request["source"], "<test>", "exec"), {"__name__": "__main__"})
        return 0
    import importlib

    sys.argv = [request["module"], *request["arguments"]]
    name = request["module"]
    if name == "summarizer":
        name = "summarizer.__main__"
    return _command(importlib.import_module(name).main, request["arguments"])


def _command(main: Any, arguments: Sequence[str]) -> int:
    code = main(list(arguments))
    return code if isinstance(code, int) else int(bool(code))


def _set_environment(values: Mapping[str, str | None]) -> None:
    """The environment, and what the Hub's client has already read of it."""
    from huggingface_hub import constants

    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if values.get("HF_HOME"):
        home = str(values["HF_HOME"])
        constants.HF_HOME = home
        constants.HF_HUB_CACHE = constants.HUGGINGFACE_HUB_CACHE = os.path.join(home, "hub")
        constants.HF_TOKEN_PATH = os.path.join(home, "token")
        constants.HF_STORED_TOKENS_PATH = os.path.join(home, "stored_tokens")
        constants.HF_XET_CACHE = os.path.join(home, "xet")
        if "datasets" in sys.modules:  # transformers.trainer has loaded it
            from datasets import config

            config.HF_CACHE_HOME = config.HF_DATASETS_CACHE = Path(home) / "datasets"
            config.HF_MODULES_CACHE = os.path.join(home, "modules")
            config.DOWNLOADED_DATASETS_PATH = config.HF_DATASETS_CACHE / "downloads"
            config.EXTRACTED_DATASETS_PATH = config.DOWNLOADED_DATASETS_PATH / "extracted"
    if values.get("HF_ENDPOINT"):
        constants.ENDPOINT = str(values["HF_ENDPOINT"])
        constants.HUGGINGFACE_CO_URL_TEMPLATE = (
            constants.ENDPOINT + "/{repo_id}/resolve/{revision}/{filename}"
        )


@contextlib.contextmanager
def _short_pauses() -> Iterator[None]:
    real = time.sleep
    time.sleep = lambda seconds: real(seconds / 20)
    try:
        yield
    finally:
        time.sleep = real


if __name__ == "__main__":
    _serve()
