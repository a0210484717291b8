"""The environment, read once into one frozen dataclass. No other module reads it.

SUMMARIZER_BACKBONE             folder, or owner/name@revision on the Hub   models/base
SUMMARIZER_ADAPTER_<TASK>       the same, or "none" for no such task        models/<task>
SUMMARIZER_DEVICE               auto, cpu, cuda                             auto
SUMMARIZER_DTYPE                auto, float32, bfloat16                     auto
SUMMARIZER_THREADS              threads of a CPU, 0 for one per core        0
SUMMARIZER_HOST                 address the page listens on                 127.0.0.1
SUMMARIZER_PORT                 its port                                    7860
SUMMARIZER_QUEUE                most requests that wait; more are told so   32

On a Space (SPACE_ID is set there) the page listens on 0.0.0.0; with SPACES_ZERO_GPU, which the Hub
sets on a ZeroGPU Space, each generation runs on a GPU lent for it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from summarizer.tasks import TASKS

DEFAULT_BACKBONE = "models/base"
DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("auto", "float32", "bfloat16")
_PREFIX = "SUMMARIZER_"
_ADAPTER = _PREFIX + "ADAPTER_"
_NAMES = [
    _PREFIX + name for name in ("BACKBONE", "DEVICE", "DTYPE", "THREADS", "HOST", "PORT", "QUEUE")
]


class SettingsError(ValueError):
    """A setting has a value that cannot be. The message is one sentence that names it."""


@dataclass(frozen=True)
class Settings:
    """How the page and the command line run. See the module's table."""

    backbone: str = DEFAULT_BACKBONE
    adapters: Mapping[str, str] = field(  # task name -> folder or Hub id
        default_factory=lambda: {task.name: task.adapter for task in TASKS.values()}
    )
    device: str = "auto"
    dtype: str = "auto"
    threads: int = 0
    host: str = "127.0.0.1"
    port: int = 7860
    queue: int = 32
    on_space: bool = False
    zero_gpu: bool = False


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this environment (default: the process's own). Raises SettingsError.

    With a backbone other than the embedded one, only adapters that are named are used: the
    embedded adapters do not fit another backbone.
    """
    values = os.environ if environment is None else environment
    _refuse_unknown(values)
    backbone = _text(values, "SUMMARIZER_BACKBONE", DEFAULT_BACKBONE)
    on_space = bool(values.get("SPACE_ID", "").strip())
    return Settings(
        backbone=backbone,
        adapters=_adapters(values, embedded=backbone == DEFAULT_BACKBONE),
        device=_choice(values, "SUMMARIZER_DEVICE", DEVICES),
        dtype=_choice(values, "SUMMARIZER_DTYPE", DTYPES),
        threads=_number(values, "SUMMARIZER_THREADS", 0, 0, 1024),
        host=_text(values, "SUMMARIZER_HOST", "0.0.0.0" if on_space else "127.0.0.1"),
        port=_number(values, "SUMMARIZER_PORT", 7860, 1, 65535),
        queue=_number(values, "SUMMARIZER_QUEUE", 32, 1, 10_000),
        on_space=on_space,
        zero_gpu=values.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true"),
    )


def _refuse_unknown(values: Mapping[str, str]) -> None:
    """A misspelt setting would be a setting that does nothing."""
    for name in values:
        if name.startswith(_ADAPTER) and name[len(_ADAPTER) :].lower() not in TASKS:
            tasks = ", ".join(_ADAPTER + task.upper() for task in TASKS)
            raise SettingsError(f"{name} names no task: there are {tasks}.")
        if name.startswith(_PREFIX) and not name.startswith(_ADAPTER) and name not in _NAMES:
            near = difflib.get_close_matches(name, _NAMES, 1, cutoff=0.85)
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(_NAMES)}."
            raise SettingsError(f"There is no setting {name}: {meant}")


def _adapters(values: Mapping[str, str], *, embedded: bool) -> dict[str, str]:
    adapters = {}
    for task in TASKS.values():
        source = _text(values, _ADAPTER + task.name.upper(), task.adapter if embedded else "none")
        if source.lower() != "none":
            adapters[task.name] = source
    if not adapters:
        raise SettingsError(
            f"No adapter is set for the backbone {_text(values, 'SUMMARIZER_BACKBONE', '')!r}: "
            f"name one, for example in {_ADAPTER}RADIOLOGY."
        )
    return adapters


def _text(values: Mapping[str, str], name: str, default: str) -> str:
    return values.get(name, "").strip() or default


def _choice(values: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = _text(values, name, choices[0]).lower()
    if value not in choices:
        raise SettingsError(f"{name} is {value!r}: it must be one of {', '.join(choices)}.")
    return value


def _number(values: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = _text(values, name, str(default))
    if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
        raise SettingsError(f"{name} is {text!r}: it must be a whole number from {low} to {high}.")
    return int(text)
