"""The demo as a Space of the Hub: what it is made of, and how it is deployed.

The repository itself is a valid Space: `front_matter()` is the block that README.md opens with, and
a test holds the two together. `deploy` uploads the page, the library and the models it serves, in
one commit, at pinned revisions, sets hardware, variables and secrets, and waits for the build.

    python -m summarizer.space        prints the front matter of README.md
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .hub import SILENCE, HubError, HubName, client, list_files, patiently, told
from .hub_files import TOKEN, check_secrets, human_size, select
from .publish import Push, check_account, look, push
from .settings import Settings, read_settings
from .tasks import TASKS

if TYPE_CHECKING:
    from huggingface_hub import HfApi

ROOT = Path(__file__).resolve().parent.parent

TITLE = "Medical summaries, side by side"
DESCRIPTION = "Clinical text, summarised by a base model and its LoRA"  # at most 60 characters
TAGS = ("summarization", "medical", "lora", "peft", "t5", "research-demonstration")
PYTHON = "3.11"  # a Space's default, 3.10, is too old for transformers 5

POLL = 5.0  # seconds between looks at the build
_GOING_ON = ("BUILDING", "RUNNING_BUILDING", "APP_STARTING", "RUNNING_APP_STARTING", "NO_APP_FILE")

# Divides requirements.txt: what follows is not installed in a Space.
_TRAINING = "# Training and evaluation"

# Files of the library and of a local model that are served or shown; nothing else goes up.
_LIBRARY = (".py", ".css", ".js", ".svg")
_MODEL = re.compile(
    r"adapter_config\.json|adapter_model\.safetensors|run\.json|scores\.json|README\.md"
    r"|failures\.md|lexicon\.txt|config\.json|generation_config\.json|tokenizer\.json|tokenizer_config\.json"
    r"|special_tokens_map\.json|model(-\d{5}-of-\d{5})?\.safetensors"
    r"|model\.safetensors\.index\.json|[\w-]+\.png"
)


@dataclass(frozen=True)
class Deployed:
    """A Space that was deployed. `stage`: "RUNNING", or as it was when nobody waited."""

    page: str
    address: str
    commit: str
    changed: bool
    stage: str


class BuildFailed(HubError):
    """The Space's build or start failed. `log`: the last lines that it wrote."""

    def __init__(self, message: str, log: list[str]) -> None:
        super().__init__(message)
        self.log = log


def deploy(
    space: str,
    *,
    root: Path = ROOT,
    hardware: str | None = None,
    variables: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    private: bool = False,
    replace_app: bool = False,
    dry_run: bool = False,
    wait: float = 1800.0,
    silence: float = SILENCE,
    say: Callable[[str], None] = print,
) -> Deployed | None:
    """Make or bring up to date a Space that serves the page; None for a dry run.

    Args:
        space: owner/name.
        root: the project's folder.
        hardware: a flavour such as "cpu-basic" or "zero-a10g"; None leaves it (new: cpu-basic).
        variables: the page's settings (SUMMARIZER_...). Models of the Hub named there without a
            commit are pinned to today's.
        secrets: name -> value, for example a token that may read a private adapter.
        private: a new Space is private.
        replace_app: overwrite a Space that holds another app.
        wait: seconds to wait for the build; 0 does not wait.
        silence: seconds without a byte after which a request is given up.
        say: is told what is done, line by line; never a secret's value.

    Raises:
        HubError, SettingsError: one sentence. BuildFailed, a HubError, where the Space does not
        start.
    """
    name = HubName.parse(space)
    if name.revision:
        raise HubError("A Space runs its main branch: leave the revision out.")
    _check_names(variables or {}, secrets or {}, hardware)
    read_settings(variables or {})
    api = client(silence)
    variables = pin(api, variables or {}, say)
    wanted = Push(
        name,
        space_files(root, read_settings(variables), preload(api, variables, secrets or {}, say)),
        "The page, its library and its models",
        kind="space",
        private=private,
        managed=lambda path: path != ".gitattributes",
        creation={
            "space_sdk": "gradio",
            "space_hardware": hardware,
            "space_variables": [{"key": k, "value": v} for k, v in variables.items()] or None,
            "space_secrets": [{"key": k, "value": v} for k, v in (secrets or {}).items()] or None,
        },
    )
    _announce(api, wanted, hardware, variables, secrets or {}, say)
    if dry_run:
        say("Nothing was deployed: this was a dry run.")
        return None
    check_account(api, name)
    with told(name, f"look at the Space {name.id}"):
        before = patiently(lambda: look(api, wanted))
    if before is not None and not replace_app:
        _refuse_another_app(name, before.files)
    undo: list[Callable[[], Any]] = []
    try:
        if before is not None:
            # First: files that meet the settings of others would be a page that does not start.
            _configure(api, name, hardware, variables, secrets or {}, say, undo)
        done = push(api, wanted)
    except BaseException:
        for step in reversed(undo):
            with contextlib.suppress(Exception):  # the first fault is the one to tell
                step()
        raise
    say(f"Uploaded: {done.page}" if done.changed else f"Nothing to upload: {done.page} has it.")
    stage = _wait(api, name, done.commit, wait, say) if wait > 0 else "not waited for"
    return Deployed(done.page, _address(api, name), done.commit, done.changed, stage)


# What the Space is made of ---------------------------------------------------------------------


def front_matter(
    settings: Settings | None = None, preloaded: list[str] | None = None, root: Path = ROOT
) -> str:
    """The YAML block that opens a Space's README, with its dashes.

    settings: which models are served; those of the Hub are listed (default: the embedded ones).
    preloaded: lines of `preload_from_hub`, fetched when the Space is built.
    """
    from huggingface_hub.utils import yaml_dump

    models = [HubName.parse(source).id for source in _hub_sources(settings or Settings())]
    values: dict[str, Any] = {
        "title": TITLE,
        "emoji": "🩺",
        "colorFrom": "blue",
        "colorTo": "green",
        "sdk": "gradio",
        "sdk_version": _pinned("gradio", root),
        "app_file": "app.py",
        "python_version": PYTHON,
        "license": "apache-2.0",
        "short_description": DESCRIPTION,
        "suggested_hardware": "cpu-basic",
        "pinned": False,
        "tags": list(TAGS),
        "models": list(dict.fromkeys(models)) or None,
        "preload_from_hub": preloaded or None,
    }
    values = {key: value for key, value in values.items() if value is not None}
    return f"---\n{yaml_dump(values, sort_keys=False, allow_unicode=True).strip()}\n---\n"


def _pinned(package: str, root: Path) -> str:
    found = re.search(
        rf"^{package}==(\S+)$", (root / "requirements.txt").read_text(encoding="utf-8"), re.M
    )
    if found is None:
        raise HubError(f"requirements.txt does not pin {package}, as a Space needs it.")
    return found[1]


def readme(root: Path, settings: Settings, preloaded: list[str]) -> str:
    """The project's README with the front matter of a Space that serves these settings."""
    text = (root / "README.md").read_text(encoding="utf-8")
    body = re.sub(r"\A---\n.*?\n---\n", "", text, count=1, flags=re.DOTALL)
    return front_matter(settings, preloaded, root) + body


def requirements(root: Path) -> str:
    """The pins that the page needs: requirements.txt up to the part for training and evaluation.

    Raises HubError where the file is not divided so.
    """
    text = (root / "requirements.txt").read_text(encoding="utf-8")
    page, heading, _ = text.partition(f"\n{_TRAINING}")
    if not heading:
        raise HubError(
            f"requirements.txt has no line {_TRAINING!r}: deploy the project's own checkout."
        )
    return f"{page}\n"


def space_files(root: Path, settings: Settings, preloaded: list[str]) -> dict[str, bytes | Path]:
    """Path in the Space -> content: exactly what the page needs to serve these settings.

    Raises HubError where something is missing, or a file holds an access token.
    """
    files: dict[str, bytes | Path] = {
        "README.md": readme(root, settings, preloaded).encode(),
        "requirements.txt": requirements(root).encode(),
    }
    for name in ("app.py", "LICENSE"):
        files[name] = root / name
    for path in sorted((root / "summarizer").rglob("*")):
        if path.suffix in _LIBRARY and "__pycache__" not in path.parts:
            files[path.relative_to(root).as_posix()] = path
    for task in TASKS.values():
        if task.name in settings.adapters:
            files[task.examples] = root / task.examples
    for source in _local_sources(settings):
        files |= _model_files(root, source)
    for name, content in files.items():
        if isinstance(content, Path) and not content.is_file():
            raise HubError(f"{name} is missing: deploy from a whole checkout.")
        check_secrets(name, content)
    return dict(sorted(files.items()))


def _model_files(root: Path, source: str) -> dict[str, bytes | Path]:
    folder = root / source
    if Path(source).is_absolute() or ".." in Path(source).parts or not folder.is_dir():
        raise HubError(f"{source} is no folder of the project: a Space can only take those along.")
    files: dict[str, bytes | Path] = {
        f"{Path(source).as_posix()}/{path.name}": path
        for path in sorted(folder.iterdir())
        if path.is_file() and _MODEL.fullmatch(path.name)
    }
    if not any(name.endswith(".safetensors") for name in files):
        raise HubError(f"{source} holds no weights in safetensors.")
    return files


def _sources(settings: Settings) -> list[str]:
    return list(dict.fromkeys([settings.backbone, *settings.adapters.values()]))


def _hub_sources(settings: Settings) -> list[str]:
    from .backbone import is_hub_id

    return [source for source in _sources(settings) if is_hub_id(source)]


def _local_sources(settings: Settings) -> list[str]:
    hub = set(_hub_sources(settings))
    return [source for source in _sources(settings) if source not in hub]


# Models of the Hub, at pinned commits ----------------------------------------------------------


def pin(api: HfApi, variables: Mapping[str, str], say: Callable[[str], None]) -> dict[str, str]:
    """The variables with every model of the Hub at a commit: today's, where none is named."""
    from .backbone import is_hub_id

    pinned = dict(variables)
    for key, value in variables.items():
        if not key.startswith(("SUMMARIZER_BACKBONE", "SUMMARIZER_ADAPTER_")):
            continue
        if is_hub_id(value):
            name = HubName.parse(value)
            with told(name, f"look at {name.id}"):
                commit = patiently(lambda name=name: api.repo_info(name.id, revision=name.revision))
            pinned[key] = str(replace(name, revision=commit.sha))
            if pinned[key] != value:
                say(f"{key}: {value} is pinned to {commit.sha}")
    return pinned


def preload(
    api: HfApi,
    variables: Mapping[str, str],
    secrets: Mapping[str, str],
    say: Callable[[str], None],
) -> list[str]:
    """Lines of `preload_from_hub`: repository, the files that are needed, commit.

    The repositories are judged as they are before loading. One that is not open to everybody is
    left out: the build has no token, and fetches nothing that needs one. Raises HubError.
    """
    lines = []
    settings = read_settings(variables)
    for source in _hub_sources(settings):
        name = HubName.parse(source)
        kind = "backbone" if source == settings.backbone else "adapter"
        with told(name, f"look at {name.id}"):
            listing = patiently(lambda name=name: list_files(api, name.id, name.revision))
            info = patiently(lambda name=name: api.repo_info(name.id, revision=name.revision))
        wanted = select(name.id, listing, kind)
        if not (info.private or info.gated):
            paths = ",".join(sorted(file.path for file in wanted))
            lines.append(f"{name.id} {paths} {name.revision}")
        elif "HF_TOKEN" not in secrets:
            say(f"{name.id} is not open to everybody: the Space needs --secret HF_TOKEN for it.")
    return lines


# The Space on the Hub --------------------------------------------------------------------------


def _check_names(
    variables: Mapping[str, str], secrets: Mapping[str, str], hardware: str | None
) -> None:
    for key in (*variables, *secrets):
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", key):
            raise HubError(f"{key!r} is no name for a variable or secret of a Space.")
        if key in variables and key in secrets:
            raise HubError(f"{key} is named as a variable and as a secret: a Space has it once.")
    for key, value in variables.items():
        if TOKEN.search(value):
            raise HubError(
                f"The variable {key} holds what looks like an access token of the Hub, and a Space's "
                "variables are public: use --secret."
            )
    if hardware is not None and not re.fullmatch(r"[a-z0-9][a-z0-9-]*", hardware):
        raise HubError(f"{hardware!r} is no hardware of a Space: write, for example, cpu-basic.")


def _announce(
    api: HfApi,
    wanted: Push,
    hardware: str | None,
    variables: Mapping[str, str],
    secrets: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    say(f"To {api.endpoint}/spaces/{wanted.name.id}, in one commit:")
    folders: dict[str, list[int]] = {}
    for path, content in wanted.files.items():
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        parts = path.split("/")
        folder = (
            path if len(parts) == 1 else "/".join(parts[:2] if parts[0] == "models" else parts[:1])
        )
        folders.setdefault(folder, []).append(size)
    for folder, sizes in folders.items():
        files = "" if len(sizes) == 1 else f"{len(sizes)} files"
        say(f"  {folder:<28} {files:>9} {human_size(sum(sizes)):>10}")
    say(f"  {'together':<28} {len(wanted.files):>3} files {human_size(wanted.size):>10}")
    say(f"Hardware: {hardware or 'as it is (new: cpu-basic)'}")
    for key, value in variables.items():
        say(f"Variable {key}={value}")
    for key in secrets:
        say(f"Secret {key} (its value is not shown)")


def _refuse_another_app(name: HubName, files: Mapping[str, Any]) -> None:
    """A Space with files of its own that are not this page is somebody's other work."""
    if set(files) <= {".gitattributes", "README.md"} or "summarizer/ui.py" in files:
        return
    raise HubError(
        f"{name.id} holds another app, which would be overwritten: choose another name, or say "
        "--replace."
    )


def _configure(
    api: HfApi,
    name: HubName,
    hardware: str | None,
    variables: Mapping[str, str],
    secrets: Mapping[str, str],
    say: Callable[[str], None],
    undo: list[Callable[[], Any]],
) -> None:
    """Bring variables, secrets and hardware of a Space that was there to what is wanted.

    `undo` is given what takes each change back; a secret's old value is not known to anybody.
    """
    with told(name, f"configure the Space {name.id}"):
        there = patiently(lambda: api.get_space_variables(name.id))
        stale = [k for k in there if k.startswith("SUMMARIZER_") and k not in variables]
        wanted: dict[str, str | None] = {**variables, **dict.fromkeys(stale)}
        for key, value in wanted.items():
            old = there[key].value if key in there else None
            if value != old:
                undo.append(partial(_set_variable, api, name, key, old))
                patiently(partial(_set_variable, api, name, key, value))
        for key in stale:
            say(f"Variable {key} is removed: it was not asked for.")
        if hardware is not None:
            runtime = patiently(lambda: api.get_space_runtime(name.id))
            had = runtime.requested_hardware or runtime.hardware
            if hardware not in (runtime.hardware, runtime.requested_hardware):
                if had is not None:
                    undo.append(lambda: api.request_space_hardware(name.id, had))
                patiently(lambda: api.request_space_hardware(name.id, hardware))
        for key, value in secrets.items():
            patiently(partial(api.add_space_secret, name.id, key, value))


def _set_variable(api: HfApi, name: HubName, key: str, value: str | None) -> None:
    if value is None:
        api.delete_space_variable(name.id, key)
    else:
        api.add_space_variable(name.id, key, value)


def _wait(
    api: HfApi, name: HubName, commit: str, patience: float, say: Callable[[str], None]
) -> str:
    """Wait until the commit runs. Raises BuildFailed, or HubError when patience ends."""
    deadline, shown = time.monotonic() + patience, None
    while True:
        with told(name, f"ask how the Space {name.id} is"):
            runtime = patiently(lambda: api.get_space_runtime(name.id))
        stage = str(getattr(runtime.stage, "value", runtime.stage))
        # A Space that ran before goes on for a moment with its old commit.
        old = stage == "RUNNING" and runtime.raw.get("sha") not in (None, commit)
        if stage != shown:
            say(f"Space: {stage}" + (" (the version before)" if old else ""))
            shown = stage
        if stage == "RUNNING" and not old:
            return stage
        if stage not in _GOING_ON and not old:
            raise _failure(api, name, stage, runtime.raw)
        if time.monotonic() >= deadline:
            raise HubError(
                f"The Space {name.id} is still {stage} after {patience:.0f} seconds: look at "
                f"{api.endpoint}/spaces/{name.id}."
            )
        time.sleep(POLL)


def _failure(api: HfApi, name: HubName, stage: str, raw: Mapping[str, Any]) -> HubError:
    if stage in ("PAUSED", "STOPPED", "SLEEPING"):
        return HubError(
            f"The Space {name.id} is uploaded and {stage.lower()}: restart it at "
            f"{api.endpoint}/spaces/{name.id}/settings."
        )
    try:
        lines = list(api.fetch_space_logs(name.id, build=stage == "BUILD_ERROR"))
    except Exception:  # the log is a help, not the message
        lines = []
    lines = [line.rstrip("\n") for line in lines if line.strip()]
    reason = " ".join(
        str(raw.get("errorMessage") or (lines[-1] if lines else "no reason given")).split()
    )
    return BuildFailed(
        f"The Space {name.id} does not start ({stage}): {reason[:300].rstrip('. ')}; its logs are "
        f"at {api.endpoint}/spaces/{name.id}.",
        lines[-30:],
    )


def _address(api: HfApi, name: HubName) -> str:
    with told(name, f"look at the Space {name.id}"):
        host = patiently(lambda: api.space_info(name.id)).host
    return host or f"https://{name.owner}-{name.name}.hf.space".lower().replace("_", "-")


if __name__ == "__main__":
    print(front_matter(), end="")
