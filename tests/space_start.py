"""How a Space starts: time to the first page and to the first summary, and peak memory.

Run as: PYTHONPATH=.:tests python -m tests.space_start [docs/measured/space.json]
It starts app.py with a Space's environment on two cores (a Space's "CPU basic" has two, and 16 GB)
with a home of its own and with the packages that a Space installs alone, asks for one page and one summary, prints what it measured as JSON, and
writes it to the file where one is named.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from page.visiting import ROOT, ask, free_port, serving

from summarizer.settings import Settings
from summarizer.space import space_files

TEXT = (
    "The heart is normal in size. There is a small left pleural effusion with adjacent "
    "atelectasis. No pneumothorax. No acute bony abnormality."
)
CORES = 2
_ON_CORES = f"""
import os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:{CORES}])
os.execv(sys.executable, [sys.executable, "-S", "app.py"])
"""


def unpack(root: Path, files: Mapping[str, bytes | Path]) -> Path:
    """Write what `space_files` gives into a folder, as it will lie in the Space."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.read_bytes()
        (root / path).write_bytes(data)
    return root


def install(folder: Path, pins: str) -> None:
    """Put the pinned packages and what they need, as they are installed here, into a folder.

    By links: with `python -S` and PYTHONPATH it is an environment in which no other package is.
    """
    names = [line.partition("==")[0] for line in pins.splitlines() if line and line[0] != "#"]
    seen: set[str] = set()
    while names:
        name = canonicalize_name(names.pop())
        if name in seen:
            continue
        seen.add(name)
        package = distribution(name)
        for file in package.files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(package.locate_file(top))).resolve())
        for needed in map(Requirement, package.requires or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                names.append(needed.name)


@contextlib.contextmanager
def started(
    folder: Path, root: Path, variables: Mapping[str, str] | None = None
) -> Iterator[SimpleNamespace]:
    """The app of `root`, an unpacked Space, with `folder` as its home; `.begun` is when."""
    for name in ("tmp", "huggingface", "packages"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    install(folder / "packages", (root / "requirements.txt").read_text())
    variables = dict(variables or {})
    paths = [str(folder / "packages"), *filter(None, [variables.pop("PYTHONPATH", "")])]
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("SUMMARIZER_", "GRADIO_"))},
        "SYSTEM": "spaces",
        "SPACE_ID": "owner/summaries",
        "SPACE_HOST": "owner-summaries.hf.space",
        "SUMMARIZER_PORT": str(free_port()),
        "HOME": str(folder),
        "HF_HOME": str(folder / "huggingface"),
        "TMPDIR": str(folder / "tmp"),
        "GRADIO_TEMP_DIR": str(folder / "tmp/gradio"),
        "PYTHONPATH": os.pathsep.join(paths),
        **variables,
    }
    environment.pop("OMP_NUM_THREADS", None)  # a Space has none
    begun = time.monotonic()
    with serving([sys.executable, "-S", "-c", _ON_CORES], environment, cwd=root) as app:
        app.begun = begun
        app.url = app.url.replace("0.0.0.0", "127.0.0.1")
        yield app


def peak_memory(process: int) -> int:
    """Bytes that the process has had in memory at most (Linux: VmHWM)."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def measure(folder: Path, root: Path, task: str = "radiology") -> dict[str, Any]:
    """Seconds from the start of the process, and bytes."""
    with started(folder, root) as app:
        with urllib.request.urlopen(app.url, timeout=60) as answer:
            assert answer.status == 200
            answer.read()
        first_page = time.monotonic() - app.begun
        ready = peak_memory(app.process.pid)
        asked = time.monotonic()
        answer = ask(app.url, task, TEXT)
        return {
            "cores": CORES,
            "seconds_to_first_page": round(first_page, 2),
            "seconds_to_first_summary": round(time.monotonic() - app.begun, 2),
            "seconds_of_the_summary": round(time.monotonic() - asked, 2),
            "peak_memory_bytes_when_ready": ready,
            "peak_memory_bytes": peak_memory(app.process.pid),
            "lora": answer["lora"],
        }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        root = unpack(Path(home) / "space", space_files(ROOT, Settings(), []))
        found = json.dumps(measure(Path(home), root), indent=1, ensure_ascii=False)
    print(found)
    for name in sys.argv[1:2]:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(found + "\n", encoding="utf-8")
