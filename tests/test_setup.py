"""`make app` and `make test` on a fresh machine: what they install, once, and what they say."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import OUTSIDE, ROOT
from page.visiting import ask, free_port, serving

# What a user's shell does not have: the marks of the make, Python and test run around this test.
FRESH = {
    name: value
    for name, value in OUTSIDE.items()
    if not name.startswith(("MAKE", "MFLAGS", "PYTHON", "PYTEST", "SUMMARIZER_", "OMP_"))
    and name not in {"VIRTUAL_ENV", "VENV", "CHROME", "TESTS"}
}


def make(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        **{"cwd": ROOT, "env": FRESH, "timeout": 300, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def clone(folder: Path) -> Path:
    """A clone of what is committed here, as a stranger gets it."""
    command = ["git", "-c", "safe.directory=*", "clone", "--quiet", str(ROOT), str(folder)]
    subprocess.run(command, check=True, env=FRESH)
    return folder


@pytest.mark.timeout(3000)
def test_both_commands_work_from_a_fresh_clone_and_install_once(tmp_path):
    folder = clone(tmp_path / "clone")
    env = FRESH | {"SUMMARIZER_PORT": str(free_port())}
    with serving(["make", "app"], env, cwd=folder) as app:
        assert app.url == f"http://127.0.0.1:{env['SUMMARIZER_PORT']}"
        answer = ask(app.url, "radiology", "The lungs are clear. There is no effusion.")
        assert answer["base"].strip() and answer["lora"].strip()
        assert "pip" in app.output() or "Collecting" in app.output()

    # Where no package index answers, a second call can only serve: it installs nothing.
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}
    env = env | nowhere | {"SUMMARIZER_PORT": str(free_port())}
    with serving(["make", "app"], env, cwd=folder) as app:
        assert "Collecting" not in app.output() and "Requirement" not in app.output()

    # The other command goes on from there: what the tests need, then the tests. One file of them
    # here, as this one is among all of them.
    some = "TESTS=tests/summarizer/test_tasks.py"
    done = make("test", some, cwd=folder, timeout=1800)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert " passed" in done.stdout and "failed" not in done.stdout
    done = make("test", some, cwd=folder, env=FRESH | nowhere)
    assert done.returncode == 0 and "Collecting" not in done.stdout


def test_a_changed_pin_installs_again(tmp_path):
    """By make's own account: -n says what it would do."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()

    def would_install() -> bool:
        return "pip" in make("-n", "app", cwd=tmp_path).stdout

    assert would_install()
    mark = subprocess.run(
        "cksum < requirements.txt | cut -d' ' -f1",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (tmp_path / ".venv" / f".ready-app-{mark}").touch()
    assert not would_install()
    with (tmp_path / "requirements.txt").open("a") as pins:
        pins.write("absent==1.0\n")
    assert would_install()


@pytest.mark.parametrize("python", ["/bin/false", "/no/such/python", ""])
def test_a_python_that_is_missing_or_too_old_is_told_in_one_sentence(tmp_path, python):
    done = make("app", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if line.startswith("Python 3.11")]
    assert told == [
        "Python 3.11 or newer is needed: install it, or name it as PYTHON=/path/to/python3."
    ]
    assert not (tmp_path / "venv").exists()


def test_every_requirement_is_pinned_and_installed_as_pinned():
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        pins = [line.split("#")[0].strip() for line in lines]
        pins = [pin.partition("==") for pin in pins if pin]
        assert len(pins) >= 4
        for package, equals, wanted in pins:
            assert equals == "==", package
            assert version(package).partition("+")[0] == wanted, package


def test_continuous_integration_calls_make_test(tmp_path):
    said = tmp_path / "said.txt"
    tool(tmp_path / "make", f'echo "$@" > {said}; pwd >> {said}')
    env = FRESH | {"PATH": f"{tmp_path}:{FRESH['PATH']}", "CI": "true"}
    done = subprocess.run(
        ["bash", str(ROOT / ".ci" / "run")],
        cwd=tmp_path,
        env=env,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0
    assert said.read_text().splitlines() == ["test", str(ROOT)]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)

    tool(tmp_path / "make", "exit 3")
    assert subprocess.run(["bash", str(ROOT / ".ci" / "run")], env=env, check=False).returncode == 3


def test_the_code_passes_the_linter():
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


# --- the browser of the tests --------------------------------------------------------------------


def tool(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def chromium(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "tests" / "page" / "chromium.py")],
        env={"PATH": str(folder), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_chromium_that_is_installed_is_taken(tmp_path):
    chrome = tool(tmp_path / "google-chrome", "")
    assert chromium(tmp_path).stdout.strip() == str(chrome)
    first = tool(tmp_path / "chromium", "")
    assert chromium(tmp_path).stdout.strip() == str(first)
    own = tool(tmp_path / "own", "")
    assert chromium(tmp_path, CHROME=str(own)).stdout.strip() == str(own)


def test_debians_chromium_is_installed_where_that_is_allowed(tmp_path):
    calls = tmp_path / "calls.txt"
    for name in ("env", "cat", "chmod", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name))
    tool(
        tmp_path / "apt-get",
        f'echo "$@" >> {calls}; echo a word on stdout\n'
        f'case "$*" in *install*) cat < /dev/null > {tmp_path}/chromium; '
        f"chmod +x {tmp_path}/chromium;; esac",
    )
    tool(tmp_path / "sudo", 'shift; exec "$@"')
    done = chromium(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "chromium")
    assert [line.split()[1] for line in calls.read_text().splitlines()] == ["update", "install"]


@pytest.mark.parametrize("apt", ["absent", "refused"])
def test_without_any_chromium_one_sentence_says_what_to_do(tmp_path, apt):
    if apt == "refused":
        (tmp_path / "env").symlink_to(shutil.which("env"))
        tool(tmp_path / "apt-get", "exit 100")
        tool(tmp_path / "sudo", "exit 1")
    done = chromium(tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("No Chromium was found")
