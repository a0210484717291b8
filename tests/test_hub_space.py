"""The Space: what it is made of, and deploying it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from summarizer.hub import HubError
from summarizer.settings import Settings, read_settings
from summarizer.space import DESCRIPTION, front_matter, readme, space_files
from summarizer.tasks import TASKS
from tests.hub_card_rules import check_card
from tests.hub_peer import OTHER_TOKEN, HubPeer
from tests.hub_runner import Done

if TYPE_CHECKING:
    from tests.hub_fixtures import Hub

pytest_plugins = ["tests.hub_fixtures"]

ROOT = Path(__file__).resolve().parent.parent
SPACE = "owner/summaries"
HIDDEN = "hf_" + "Ab1" * 12  # a token that no message may repeat


@pytest.fixture
def on_the_hub(peer: HubPeer, tiny_project: Path) -> dict[str, str]:
    """A base and its adapter on the Hub, and the variables that serve them."""
    for name in ("base", "radiology"):
        peer.add_folder("model", f"owner/{name}", tiny_project / "models" / name)
    return {"SUMMARIZER_BACKBONE": "owner/base", "SUMMARIZER_ADAPTER_RADIOLOGY": "owner/radiology"}


_DEPLOY = """
import json, sys
from pathlib import Path
from summarizer.hub import HubError
from summarizer.settings import SettingsError
from summarizer.space import deploy
try:
    done = deploy({space!r}, root=Path({root!r}), **{options!r})
except (HubError, SettingsError) as error:
    print("\\n".join(getattr(error, "log", [])), file=sys.stderr)
    sys.exit(f"Error: {{error}}")
print("done:", done and (done.address, done.stage, done.changed))
"""


def deploy(
    hub: Hub, checkout: Path, space: str = SPACE, *, token: str | None = "", **options
) -> Done:
    source = _DEPLOY.format(space=space, root=str(checkout), options=options)
    return hub.code(source, **({"token": token} if token != "" else {}))


# What it is made of ----------------------------------------------------------------------------


def test_the_front_matter_passes_the_hubs_rules() -> None:
    block = front_matter()
    assert check_card(block, "space") == ([], [])
    values = yaml.safe_load(block.strip("-\n"))
    assert values["sdk"] == "gradio" and values["app_file"] == "app.py"
    assert values["python_version"] == "3.11" and values["license"] == "apache-2.0"
    assert len(DESCRIPTION) <= 60
    assert not check_card(readme(ROOT, Settings(), []), "space")[0]


def test_the_repository_itself_is_a_valid_space() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.startswith(front_matter()), "put what `python -m summarizer.space` prints on top"
    for name in ("app.py", "requirements.txt"):
        assert (ROOT / name).is_file()


def test_requirements_are_pinned_and_gradio_is_the_sdks() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][\w.]*", pin) for pin in pins)
    version = yaml.safe_load(front_matter().strip("-\n"))["sdk_version"]
    assert f"gradio=={version}" in pins


def test_the_command_prints_the_block() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "summarizer.space"], cwd=ROOT, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout == front_matter()


def test_exactly_what_the_page_needs_goes_up(checkout: Path) -> None:
    files = space_files(checkout, Settings(), [])
    assert {"app.py", "requirements.txt", "README.md", "LICENSE"} <= set(files)
    assert {"summarizer/ui.py", "summarizer/ui.css", "summarizer/__main__.py"} <= set(files)
    assert "models/base/tokenizer.json" in files
    assert "models/base/lexicon.txt" in files
    for task in TASKS.values():
        assert task.examples in files and f"{task.adapter}/adapter_model.safetensors" in files
    pins = files["requirements.txt"].decode()
    page, heading, training = (ROOT / "requirements.txt").read_text().partition("# Training")
    assert pins == page and "peft==" in pins and "gradio==" in pins and "bitsandbytes==" in training
    tops = {path.split("/")[0] for path in files}
    assert tops <= {"app.py", "requirements.txt", "README.md", "LICENSE", "summarizer", "examples",
                    "models"}  # fmt: skip


def test_requirements_that_are_not_divided_are_refused(checkout: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(checkout, tmp_path / "project"))
    (root / "requirements.txt").write_text("gradio==6.31.0\npeft==0.21.2\n")
    with pytest.raises(HubError, match="has no line '# Training and evaluation'"):
        space_files(root, Settings(), [])


def test_what_lies_about_does_not_go_up(checkout: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(checkout, tmp_path / "project"))
    for stray in (".env", "summarizer/notes.txt", "summarizer/x.pyc", "models/radiology/a.bin",
                  "models/radiology/optimizer.pt", "examples/private.jsonl"):  # fmt: skip
        (root / stray).write_text("stray")
    assert set(space_files(root, Settings(), [])) == set(space_files(checkout, Settings(), []))
    (root / "summarizer/extra.py").write_text("token = 'hf_" + "Ab1" * 12 + "'")
    with pytest.raises(RuntimeError, match="looks like an access token"):
        space_files(root, Settings(), [])


def test_a_space_of_hub_models_takes_no_local_ones_along(
    hub: Hub, checkout: Path, on_the_hub: dict[str, str]
) -> None:
    files = space_files(checkout, read_settings(on_the_hub), [])
    assert not [path for path in files if path.startswith("models/")]
    assert [path for path in files if path.startswith("examples/")] == ["examples/radiology.jsonl"]


# Deploying -------------------------------------------------------------------------------------


def test_a_new_space_runs(hub: Hub, checkout: Path) -> None:
    done = deploy(
        hub, checkout, hardware="cpu-basic", variables={"SUMMARIZER_QUEUE": "16"},
        secrets={"HF_TOKEN": "s3cret-value"},
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "done: ('https://owner-summaries.hf.space', 'RUNNING', True)" in done.out
    assert "s3cret-value" not in done.out + done.err
    space = hub.peer.repository("space", SPACE)
    assert (space.sdk, space.hardware) == ("gradio", "cpu-basic")
    assert space.variables == {"SUMMARIZER_QUEUE": "16"}
    assert space.secrets == {"HF_TOKEN": "s3cret-value"}
    assert len(hub.peer.requests("POST", "/commit/")) == 1
    local = {path: content for path, content in space_files(checkout, Settings(), []).items()}
    assert set(space.files) - {".gitattributes"} == set(local)
    assert space.files["README.md"].decode().startswith(front_matter())
    for stage in ("BUILDING", "APP_STARTING", "RUNNING"):
        assert f"Space: {stage}" in done.out


def test_a_second_deployment_changes_nothing(hub: Hub, checkout: Path) -> None:
    options = {"variables": {"SUMMARIZER_QUEUE": "16"}, "hardware": "t4-small"}
    assert deploy(hub, checkout, **options).code == 0
    hub.peer.log.clear()
    done = deploy(hub, checkout, **options)
    assert "Nothing to upload" in done.out and "'RUNNING', False" in done.out
    assert {request.method for request in hub.peer.log} == {"GET"}


def test_a_space_is_brought_up_to_date(hub: Hub, checkout: Path, tmp_path: Path) -> None:
    assert deploy(hub, checkout, variables={"SUMMARIZER_QUEUE": "16"}).code == 0
    space = hub.peer.repository("space", SPACE)
    space.variables["OTHER"] = "not ours"
    root = Path(shutil.copytree(checkout, tmp_path / "project"))
    (root / "summarizer/measured.py").unlink(missing_ok=True)
    (root / "app.py").write_text((root / "app.py").read_text() + "# newer\n")
    done = deploy(hub, root, hardware="t4-small", variables={"SUMMARIZER_DTYPE": "float32"})
    assert done.code == 0, done.err
    assert space.files["app.py"].endswith(b"# newer\n")
    assert "summarizer/measured.py" not in space.files
    assert space.variables == {"SUMMARIZER_DTYPE": "float32", "OTHER": "not ours"}
    assert space.hardware == "t4-small"
    assert len(hub.peer.requests("POST", "/commit/")) == 2


def test_models_of_the_hub_are_pinned_and_preloaded(
    hub: Hub, checkout: Path, on_the_hub: dict[str, str]
) -> None:
    done = deploy(hub, checkout, variables=on_the_hub)
    assert done.code == 0, done.err
    space = hub.peer.repository("space", SPACE)
    commits = {
        n: hub.peer.repository("model", f"owner/{n}").head.oid for n in ("base", "radiology")
    }
    assert space.variables == {
        "SUMMARIZER_BACKBONE": f"owner/base@{commits['base']}",
        "SUMMARIZER_ADAPTER_RADIOLOGY": f"owner/radiology@{commits['radiology']}",
    }
    front = yaml.safe_load(space.files["README.md"].decode().split("---\n")[1])
    assert front["models"] == ["owner/base", "owner/radiology"]
    lines = dict(line.split(" ", 1) for line in front["preload_from_hub"])
    assert lines["owner/radiology"] == (
        "adapter_config.json,adapter_model.safetensors,run.json,scores.json " + commits["radiology"]
    )
    assert lines["owner/base"].endswith(commits["base"])
    assert not [path for path in space.files if path.startswith("models/")]


def test_a_private_adapter_is_fetched_with_the_spaces_token_when_it_starts(
    hub: Hub, checkout: Path, on_the_hub: dict[str, str]
) -> None:
    """The build has no token: what it cannot fetch must not be asked of it."""
    hub.peer.repository("model", "owner/radiology").private = True
    done = deploy(hub, checkout, variables=on_the_hub, dry_run=True)
    assert "owner/radiology is not open to everybody: the Space needs --secret" in done.out
    done = deploy(hub, checkout, variables=on_the_hub, secrets={"HF_TOKEN": "s3cret-value"})
    assert done.code == 0 and "--secret" not in done.out, done.err
    readme = hub.peer.repository("space", SPACE).files["README.md"].decode()
    lines = yaml.safe_load(readme.split("---\n")[1])["preload_from_hub"]
    assert [line.split()[0] for line in lines] == ["owner/base"]


def test_a_dry_run_makes_nothing(hub: Hub, checkout: Path) -> None:
    done = deploy(hub, checkout, dry_run=True, token=None)
    assert done.code == 0 and "done: None" in done.out
    assert "models/base" in done.out and "Nothing was deployed" in done.out
    assert hub.peer.log == []


@pytest.mark.parametrize("stage", ["BUILD_ERROR", "RUNTIME_ERROR", "CONFIG_ERROR"])
def test_the_builds_error_is_told(hub: Hub, checkout: Path, stage: str) -> None:
    hub.peer.add("space", SPACE, {"README.md": "---\nsdk: gradio\n---\n"}, sdk="gradio",
                 stages_after_commit=["BUILDING", stage], error_message="Exit code: 1",
                 build_log=["Collecting torch", "No matching distribution"],
                 run_log=["Starting", "ValueError: no weights"])  # fmt: skip
    done = deploy(hub, checkout)
    assert f"does not start ({stage}): Exit code: 1; its logs are at" in done.error
    last = "No matching distribution" if stage == "BUILD_ERROR" else "ValueError: no weights"
    assert last in done.err


def test_a_build_without_an_end_is_given_up(hub: Hub, checkout: Path) -> None:
    hub.peer.add("space", SPACE, {}, sdk="gradio", stages_after_commit=["BUILDING"])
    assert "is still BUILDING after 1 seconds" in deploy(hub, checkout, wait=1.0).error


def test_a_paused_space_is_said_to_be(hub: Hub, checkout: Path) -> None:
    hub.peer.add("space", SPACE, {}, sdk="gradio", stages_after_commit=["PAUSED"])
    assert "is uploaded and paused: restart it" in deploy(hub, checkout).error


def test_nobody_has_to_wait(hub: Hub, checkout: Path) -> None:
    done = deploy(hub, checkout, wait=0)
    assert "'not waited for'" in done.out and not hub.peer.requests("GET", "/runtime$")


def test_another_app_is_not_overwritten(hub: Hub, checkout: Path) -> None:
    hub.peer.add("space", SPACE, {"app.py": "theirs", "README.md": "x"}, sdk="gradio")
    assert "holds another app" in deploy(hub, checkout).error
    assert hub.peer.repository("space", SPACE).files["app.py"] == b"theirs"
    assert deploy(hub, checkout, replace_app=True).code == 0


@pytest.mark.parametrize(
    ("space", "options", "sentence"),
    [
        ("owner/../x", {}, "is no repository name"),
        ("ow ner/x", {}, "is no repository name"),
        ("owner/x@main", {}, "leave the revision out"),
        ("stranger/x", {}, "and the token in use to owner: write under owner or team."),
        ("owner/x", {"variables": {"a b": "1"}}, "is no name for a variable"),
        ("owner/x", {"variables": {"SUMMARIZER_DEVICE": "tpu"}}, "SUMMARIZER_DEVICE"),
        ("owner/x", {"variables": {"SUMMARIZER_ADAPTER_POETRY": "a/b"}}, "names no task"),
        ("owner/x", {"variables": {"SUMMARIZER_BACKBONE": "owner/none"}}, "No adapter is set"),
        (
            "owner/x",
            {"variables": {"SUMMARIZER_BACKBONE": "owner/none",
                           "SUMMARIZER_ADAPTER_RADIOLOGY": "owner/none"}},
            "There is no owner/none on the Hub",
        ),
        (
            "owner/x",
            {"variables": {"SUMMARIZER_ADAPTER_RADIOLOGY": "../../etc"}},
            "is no folder of the project",
        ),
        ("owner/x", {"hardware": "Big Iron"}, "is no hardware"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_refused(
    hub: Hub, checkout: Path, space: str, options: dict, sentence: str
) -> None:
    assert sentence in deploy(hub, checkout, space, **options).error
    assert not [key for key in hub.peer.repositories if key[0] == "space"]


def test_an_adapter_on_the_hub_is_judged_before_a_space_is_made_of_it(
    hub: Hub, checkout: Path, on_the_hub: dict[str, str]
) -> None:
    theirs = hub.peer.repository("model", "owner/radiology")
    theirs.commit({**theirs.head.files, "x.bin": theirs.head.files["run.json"]}, "a pickle")
    assert "may be a pickle" in deploy(hub, checkout, variables=on_the_hub).error


def test_other_tokens(hub: Hub, checkout: Path) -> None:
    assert "No token is there" in deploy(hub, checkout, token=None).error
    assert "belongs to owner" in deploy(hub, checkout, token=OTHER_TOKEN).error


SPACE_STEPS = {
    "create": ("POST", "/repos/create"),
    "commit": ("POST", "/commit/"),
    "bytes": ("PUT", "/lfs/"),
    "runtime": ("GET", "/runtime$"),
    "address": ("GET", "/api/spaces/owner/summaries$"),
}


@pytest.mark.parametrize("step", SPACE_STEPS)
@pytest.mark.parametrize(
    "fault",
    [dict(status=500), dict(status=429, headers={"Retry-After": "1"}), dict(cut="reply")],
    ids=str,
)
def test_a_fault_that_passes_ends_in_a_running_space(
    hub: Hub, checkout: Path, step: str, fault: dict
) -> None:
    met = hub.peer.fail(*SPACE_STEPS[step], **fault)
    done = deploy(hub, checkout)
    assert done.code == 0, done.err
    assert met.met and "'RUNNING'" in done.out
    assert hub.peer.repository("space", SPACE).files["app.py"]


@pytest.mark.parametrize("step", ["create", "commit", "bytes"])
@pytest.mark.parametrize("status", [402, 403, 500])
def test_a_fault_that_stays_leaves_no_half_made_space(
    hub: Hub, checkout: Path, step: str, status: int
) -> None:
    hub.peer.fail(*SPACE_STEPS[step], status=status, times=1000, message="Subscribe to PRO")
    done = deploy(hub, checkout)
    assert done.error.startswith("Cannot push to owner/summaries")
    if status == 402:
        assert "asks for a paid plan (Subscribe to PRO)" in done.error
    assert ("space", SPACE) not in hub.peer.repositories


@pytest.mark.parametrize(
    "step",
    [
        ("POST", "/variables$"),
        ("DELETE", "/variables$"),
        ("POST", "/hardware$"),
        ("POST", "/secrets$"),
        ("POST", "/commit/"),
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [403, 500])
def test_a_space_that_runs_is_changed_as_a_whole_or_not_at_all(
    hub: Hub, checkout: Path, on_the_hub: dict[str, str], step: tuple, status: int
) -> None:
    """From models of the Hub back to the local ones: new files, and settings that go."""
    before = {**on_the_hub, "SUMMARIZER_QUEUE": "16"}
    assert deploy(hub, checkout, variables=before).code == 0
    space = hub.peer.repository("space", SPACE)
    was = dict(space.variables), space.hardware, space.head.oid
    # It ends with the step that meets it, or nothing could be taken back.
    hub.peer.fail(*step, status=status, times=4 if status == 500 else 1)
    change = {
        "variables": {"SUMMARIZER_QUEUE": "8", "SUMMARIZER_THREADS": "2"},
        "hardware": "t4-small",
        "secrets": {"HF_TOKEN": "s3cret-value"},
    }
    done = deploy(hub, checkout, **change)
    assert done.error.startswith("Cannot ")
    assert (space.variables, space.hardware, space.head.oid) == was
    hub.peer.faults.clear()
    assert deploy(hub, checkout, **change).code == 0
    assert space.variables == change["variables"] and "models/base/config.json" in space.files


# The command -----------------------------------------------------------------------------------


def test_the_command_deploys(hub: Hub, on_the_hub: dict[str, str]) -> None:
    """With models of the Hub, so that it does not matter which ones this checkout holds."""
    options = [part for k, v in on_the_hub.items() for part in ("--variable", f"{k}={v}")]
    done = hub.run(
        "summarizer", "deploy", SPACE, *options, "--secret", "READ_TOKEN", "--hardware",
        "cpu-basic", READ_TOKEN="from-the-environment",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == "https://owner-summaries.hf.space (RUNNING)"
    space = hub.peer.repository("space", SPACE)
    assert space.secrets == {"READ_TOKEN": "from-the-environment"}
    assert "from-the-environment" not in done.out + done.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--variable", "X"], "--variable X: write NAME=VALUE"),
        (["--secret", "X"], "--secret X: give its name alone"),
        (["--secret", "X=hidden-value"], "give its name alone"),
        (["--secret", HIDDEN], "give its name alone"),
        (["--variable", HIDDEN], "write NAME=VALUE"),
        (["--variable", f"X={HIDDEN}"], "a Space's variables are public: use --secret"),
        (["--variable", "HOME=x", "--secret", "HOME"], "as a variable and as a secret"),
        (["--wait=nan"], "is not a number of seconds"),
        (["--wait=-1"], "is not a number of seconds"),
    ],
    ids=str,
)
def test_bad_options(hub: Hub, options: list[str], sentence: str) -> None:
    done = hub.run("summarizer", "deploy", SPACE, *options)
    assert sentence in done.error
    assert "hidden-value" not in done.out + done.err and HIDDEN not in done.out + done.err
    assert not hub.peer.requests("POST")
