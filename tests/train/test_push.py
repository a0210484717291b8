"""Pushing an adapter and its base: one commit or none, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.hub_card_rules import check_card
from tests.hub_peer import OTHER_TOKEN, READ_TOKEN, HubPeer
from tests.hub_runner import Done

if TYPE_CHECKING:
    from tests.hub_fixtures import Hub

pytest_plugins = ["tests.hub_fixtures"]

NAME = "owner/radiology"
BASE = "owner/clinical-summaries-base"


@pytest.fixture
def project(tiny_project: Path, tmp_path: Path) -> Path:
    """A copy of the tiny project, to be spoilt."""
    return Path(shutil.copytree(tiny_project, tmp_path / "project"))


@pytest.fixture
def based(peer: HubPeer, tiny_project: Path) -> str:
    """The base is on the Hub; its commit."""
    return peer.add_folder("model", BASE, tiny_project / "models/base").head.oid


def push(hub: Hub, project: Path, *options: object, folder: str = "models/radiology", name=NAME,
         **more) -> Done:  # fmt: skip
    return hub.run("train.push", folder, name, *options, cwd=project, **more)


def _edit(path: Path, **values) -> None:
    record = json.loads(path.read_text())
    record.update(values)
    path.write_text(json.dumps(record))


# What a push does ------------------------------------------------------------------------------


def test_everything_goes_up_in_one_commit(hub: Hub, project: Path, based: str) -> None:
    (project / "models/radiology/curve.png").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    (project / "models/radiology/failures.md").write_text("It once told left as right.")
    done = push(hub, project)
    assert done.code == 0, done.err
    repository = hub.peer.repository("model", NAME)
    assert len(repository.commits) == 2  # the one that made it, and ours
    assert len(hub.peer.requests("POST", "/commit/")) == 1
    assert set(repository.files) == {
        ".gitattributes", "README.md", "adapter_config.json", "adapter_model.safetensors",
        "run.json", "scores.json", "curve.png", "failures.md",
    }  # fmt: skip
    assert repository.head.message == "radiology: LoRA adapter, with its card and records"
    assert done.out.splitlines()[-1].endswith(f"/owner/radiology/commit/{repository.head.oid}")
    assert not repository.private
    local = (project / "models/radiology/adapter_model.safetensors").read_bytes()
    assert repository.files["adapter_model.safetensors"] == local
    assert repository.head.files["adapter_model.safetensors"].lfs


def test_it_says_what_goes_up_before_it_does(hub: Hub, project: Path, based: str) -> None:
    (project / "models/radiology/notes.txt").write_text("mine")
    hub.peer.fail("POST", "/commit/", status=403)
    done = push(hub, project)
    assert done.code == 1
    assert re.search(r"adapter_model.safetensors +\d+\.\d KB", done.out)
    assert "Not uploaded: notes.txt" in done.out
    assert f"Its base: {BASE} at {based}" in done.out


def test_on_the_hub_the_adapter_names_its_base_there(hub: Hub, project: Path, based: str) -> None:
    assert push(hub, project).code == 0
    files = hub.peer.repository("model", NAME).files
    config = json.loads(files["adapter_config.json"])
    assert (config["base_model_name_or_path"], config["revision"]) == (BASE, based)
    front = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    assert front["base_model"] == BASE
    assert f'"{BASE}", revision="{based}"' in files["README.md"].decode()
    assert f'PeftModel.from_pretrained(backbone, "{NAME}")' in files["README.md"].decode()


def test_the_cards_pass_the_hubs_validator(hub: Hub, project: Path, based: str) -> None:
    assert push(hub, project).code == 0
    assert push(hub, project, folder="models/base", name="owner/base").code == 0
    assert [request.status for request in hub.peer.requests("POST", "/validate-yaml")] == [200] * 2
    for name in (NAME, "owner/base"):
        readme = hub.peer.repository("model", name).files["README.md"].decode()
        assert check_card(readme, "model") == ([], [])


def test_a_second_push_changes_nothing(hub: Hub, project: Path, based: str) -> None:
    assert push(hub, project).code == 0
    hub.peer.log.clear()
    done = push(hub, project)
    assert "Nothing to push" in done.out and done.code == 0
    assert {request.method for request in hub.peer.log} == {"GET"}
    assert len(hub.peer.repository("model", NAME).commits) == 2


def test_only_what_has_changed_is_sent_again(hub: Hub, project: Path, based: str) -> None:
    assert push(hub, project).code == 0
    _edit(project / "models/radiology/run.json", seconds=60.0)
    hub.peer.log.clear()
    assert push(hub, project).code == 0
    assert not hub.peer.requests("PUT")  # the weights are there
    assert len(hub.peer.repository("model", NAME).commits) == 3


def test_records_that_are_gone_here_go_there(hub: Hub, project: Path, based: str) -> None:
    notes = project / "models/radiology/failures.md"
    notes.write_text("x")
    assert push(hub, project).code == 0
    repository = hub.peer.repository("model", NAME)
    repository.head.files["LICENSE"] = repository.head.files["README.md"]  # by hand, on the Hub
    notes.unlink()
    assert push(hub, project).code == 0
    assert "failures.md" not in repository.files and "LICENSE" in repository.files


def test_a_dry_run_shows_files_and_card_and_writes_nothing(
    hub: Hub, project: Path, based: str
) -> None:
    hub.peer.log.clear()
    done = push(hub, project, "--dry-run")
    assert done.code == 0
    assert "adapter_model.safetensors" in done.out and "base_model_relation: adapter" in done.out
    assert "# Radiology report: LoRA adapter for" in done.out
    assert {request.method for request in hub.peer.log} <= {"GET"}
    assert ("model", NAME) not in hub.peer.repositories
    shown = done.out.split("---\n", 1)[1].rsplit("Nothing was pushed", 1)[0]
    assert push(hub, project).code == 0
    pushed = hub.peer.repository("model", NAME).files["README.md"].decode()
    assert pushed == "---\n" + shown.removesuffix("\n")


def test_a_dry_run_needs_neither_token_nor_hub(hub: Hub, project: Path) -> None:
    done = push(hub, project, "--dry-run", token=None, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.code == 0, done.err
    assert "not looked at: The Hub cannot be reached." in done.out
    assert "Nothing was pushed" in done.out
    done = push(hub, project, "--dry-run")
    assert f"not looked at: There is no {BASE} on the Hub" in done.out


def test_private_branch_and_pull_request(hub: Hub, project: Path, based: str) -> None:
    assert push(hub, project, "--private", "--revision", "v2").code == 0
    repository = hub.peer.repository("model", NAME)
    assert repository.private
    assert set(repository.files) == {".gitattributes"}
    assert "adapter_model.safetensors" in repository.find("v2").files
    done = push(hub, project, "--create-pr")
    assert done.code == 0 and done.out.splitlines()[-1].endswith("/owner/radiology/discussions/1")
    assert set(repository.files) == {".gitattributes"}
    assert "README.md" in repository.find("refs/pr/1").files


def test_a_pull_request_may_go_to_somebody_elses_repository(
    hub: Hub, project: Path, based: str
) -> None:
    hub.peer.add("model", "stranger/radiology", {"README.md": "# theirs"})
    done = push(hub, project, "--create-pr", "--base-model", BASE, name="stranger/radiology")
    assert done.code == 0, done.err
    theirs = hub.peer.repository("model", "stranger/radiology")
    assert theirs.files["README.md"] == b"# theirs" and "refs/pr/1" in theirs.refs


def test_what_was_public_does_not_become_private_silently(
    hub: Hub, project: Path, based: str
) -> None:
    assert push(hub, project).code == 0
    assert "is public" in push(hub, project, "--private").error


def test_the_base_is_a_model_of_its_own(hub: Hub, project: Path) -> None:
    done = push(hub, project, folder="models/base", name=BASE)
    assert done.code == 0, done.err
    files = hub.peer.repository("model", BASE).files
    local = {path.name for path in (project / "models/base").iterdir()}
    assert set(files) == local | {".gitattributes", "README.md"}
    assert push(hub, project).code == 0  # and its adapter finds it there


def test_shards_of_an_earlier_base_do_not_stay(hub: Hub, project: Path) -> None:
    assert push(hub, project, folder="models/base", name=BASE).code == 0
    code = "from pathlib import Path\nfrom tests.tiny_models import *\nmake_base(Path('one'))"
    assert hub.code(code, cwd=project).code == 0
    assert push(hub, project, folder="one", name=BASE).code == 0
    weights = [p for p in hub.peer.repository("model", BASE).files if "safetensors" in p]
    assert weights == ["model.safetensors"]


def test_local_paths_do_not_go_up(hub: Hub, project: Path, based: str) -> None:
    record = json.loads((project / "models/radiology/run.json").read_text())
    record["recipe"]["data"] = {"data_dir": "/home/someone/secret/data/radiology"}
    (project / "models/radiology/run.json").write_text(json.dumps(record))
    assert push(hub, project).code == 0
    for content in hub.peer.repository("model", NAME).files.values():
        assert b"someone" not in content and str(project).encode() not in content


# What is refused -------------------------------------------------------------------------------


def _cut(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _other_weights(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    save_file({key: value + 1 for key, value in weights.items()}, path)


def _rescore(folder: Path) -> None:
    from tests.tiny_models import sha256

    now = sha256(folder / "adapter_model.safetensors")
    _edit(folder / "scores.json", adapter_sha256=now)
    _edit(folder / "run.json", adapter_sha256=now)


def _change_weights(folder: Path, change) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "adapter_model.safetensors"
    save_file(change(load_file(path)), path)
    _rescore(folder)


def _drop_one(weights: dict) -> dict:
    return dict(sorted(weights.items())[1:])


def _not_a_number(weights: dict) -> dict:
    first = sorted(weights)[0]
    return weights | {first: weights[first] * float("nan")}


def _wider(weights: dict) -> dict:
    import numpy

    first = next(key for key in sorted(weights) if "lora_A" in key)
    return weights | {first: numpy.concatenate([weights[first]] * 2, axis=1)}


_NAN = {"lora": {"rougeL": {"mean": float("nan"), "low": 1.0, "high": 2.0}}}


def _torch_zip(path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")


REFUSED = {
    "no scores": (lambda f: (f / "scores.json").unlink(), "has no scores.json: score it with"),
    "no run record": (lambda f: (f / "run.json").unlink(), "has no run.json: train it with"),
    "no weights": (lambda f: (f / "adapter_model.safetensors").unlink(), "has no adapter_model"),
    "no base": (
        lambda f: _edit(f / "adapter_config.json", base_model_name_or_path=None),
        "does not name the base model",
    ),
    "weights cut short": (_cut, "is damaged or no safetensors file"),
    "other weights": (_other_weights, "run.json in models/radiology tells of other weights"),
    "scores of others": (
        lambda f: _edit(f / "scores.json", adapter_sha256="0" * 64),
        "scores.json in models/radiology was made with other weights",
    ),
    "scores of unknown": (
        lambda f: _edit(f / "scores.json", adapter_sha256=None),
        "does not say of which weights",
    ),
    "scores of nothing": (lambda f: _edit(f / "scores.json", systems={}), "has no scores of"),
    "a pickle": (lambda f: (f / "training_args.bin").write_bytes(b"x"), "may be a pickle"),
    "a pickle deep down": (
        lambda f: [(f / "checkpoint-1").mkdir(), (f / "checkpoint-1/rng.pth").write_bytes(b"x")],
        "may be a pickle",
    ),
    "a pickle by another name": (
        lambda f: (f / "adapter_model.safetensors").write_bytes(b"\x80\x04" + b"." * 999),
        "is a pickle, which can run code",
    ),
    "a pickle as a picture": (
        lambda f: (f / "curve.png").write_bytes(b"\x80\x04" + b"." * 99),
        "curve.png is a pickle",
    ),
    "a pickle without a suffix": (lambda f: _torch_zip(f / "state"), "state is a pickle"),
    "code": (lambda f: (f / "model.py").write_text("x"), "holds code"),
    "a link": (lambda f: (f / "notes.md").symlink_to("/etc/passwd"), "is a symbolic link"),
    "a token": (
        lambda f: (f / "failures.md").write_text("hf_" + "Ab1" * 12),
        "looks like an access token",
    ),
    "broken JSON": (lambda f: (f / "scores.json").write_text("{"), "cannot be read as JSON"),
    "JSON without a bottom": (
        lambda f: (f / "run.json").write_text("[" * 100_000), "cannot be read as JSON"
    ),
    "systems of another shape": (
        lambda f: _edit(f / "scores.json", systems=[1]), "systems in models/radiology/scores.json"
    ),
    "a base of another shape": (
        lambda f: _edit(f / "run.json", base="models/base"), "base in models/radiology/run.json"
    ),
    "a score that is none": (
        lambda f: _edit(f / "scores.json", systems=_NAN), "holds a figure that is NaN"
    ),
    "notes that are no text": (
        lambda f: (f / "failures.md").write_bytes(b"\xff\xfe"), "is no text in UTF-8"
    ),
    "ranks of another shape": (
        lambda f: _edit(f / "adapter_config.json", rank_pattern=[4]), "rank_pattern that is none"
    ),
    "rank": (lambda f: _edit(f / "adapter_config.json", r=8), "says rank 8"),
    "a layer missing": (lambda f: _change_weights(f, _drop_one), "is missing from its weights"),
    "a layer too wide": (lambda f: _change_weights(f, _wider), "does not fit its base"),
    "NaN": (lambda f: _change_weights(f, _not_a_number), "holds NaN or infinite numbers"),
    "another base": (
        lambda f: _edit(f / "run.json", base={"name": "models/base", "sha256": "0" * 64}),
        "was trained on other weights than models/base holds now",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_not_go_up(hub: Hub, project: Path, based: str, case: str) -> None:
    spoil, sentence = REFUSED[case]
    spoil(project / "models/radiology")
    done = push(hub, project)
    assert sentence in done.error
    assert {request.method for request in hub.peer.log} <= {"GET"}
    assert ("model", NAME) not in hub.peer.repositories


def test_a_base_that_is_not_on_the_hub_is_asked_for(hub: Hub, project: Path) -> None:
    done = push(hub, project)
    assert done.error == (
        f"The base {BASE} is not on the Hub: push it first (python -m train.push models/base "
        f"{BASE}), or name another with --base-model."
    )


def test_a_base_with_other_weights_on_the_hub_is_refused(
    hub: Hub, project: Path, based: str
) -> None:
    theirs = hub.peer.repository("model", BASE)
    files = dict(theirs.head.files)
    shard = next(name for name in files if name.endswith(".safetensors"))
    files[shard] = type(files[shard])(files[shard].data + b" ", True)
    theirs.commit(files, "other weights")
    assert (
        "which models/radiology was trained on: push the right base first"
        in push(hub, project).error
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("models/radiology", "owner/../x"), "is no repository name"),
        (("models/radiology", "ow ner/x"), "is no repository name"),
        (("models/radiology", "radiology"), "is no repository name"),
        (("models/radiology", "owner/x@v2"), "Name the branch with --revision v2"),
        (("models/radiology", "owner/x", "--revision", "../main"), "is no revision"),
        (("models/radiology", "owner/x", "--revision", ""), "is no revision"),
        (("models/radiology", "owner/x", "--revision", "0a" * 20), "is a commit: name the branch"),
        (("models/nowhere", "owner/x"), "There is no folder models/nowhere"),
        (("models", "owner/x"), "holds neither an adapter"),
    ],
)
def test_bad_arguments(hub: Hub, project: Path, arguments: tuple, sentence: str) -> None:
    assert sentence in hub.run("train.push", *arguments, cwd=project).error


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_that_is_none(hub: Hub, project: Path, seconds: str) -> None:
    done = push(hub, project, f"--timeout={seconds}")
    assert done.code == 2 and "is no number of seconds above 0" in done.err.splitlines()[-1]


def test_a_base_of_the_hub_has_to_be_the_one_that_it_was_trained_on(
    hub: Hub, project: Path
) -> None:
    """The same shapes are not the same weights."""
    make = "from pathlib import Path\nfrom tests.tiny_models import *\n"
    assert hub.code(f"{make}make_base(Path('twin'), seed=9)", cwd=project).code == 0
    trained_on = hub.peer.add_folder("model", "google/base", project / "models/base").head.oid
    twin = hub.peer.add_folder("model", "google/twin", project / "twin")
    folder = project / "models/radiology"
    _edit(folder / "adapter_config.json", base_model_name_or_path="google/base")
    record = json.loads((folder / "run.json").read_text())["base"]
    _edit(folder / "run.json", base={**record, "name": "google/base", "revision": trained_on})
    done = push(hub, project, "--base-model", "google/twin")
    assert "was trained on other weights than google/twin has on the Hub" in done.error
    assert ("model", NAME) not in hub.peer.repositories
    theirs = hub.peer.repository("model", "google/base")
    theirs.commit(twin.head.files, "other weights")  # the pinned commit stays what it was
    assert push(hub, project).code == 0
    config = json.loads(hub.peer.repository("model", NAME).files["adapter_config.json"])
    assert (config["base_model_name_or_path"], config["revision"]) == ("google/base", trained_on)


def test_another_owner_is_refused_before_anything_is_made(
    hub: Hub, project: Path, based: str
) -> None:
    done = push(hub, project, "--base-model", BASE, name="stranger/radiology")
    assert "belongs to stranger, and the token in use to owner" in done.error
    assert done.error.endswith("or open a pull request with --create-pr.")
    assert {request.method for request in hub.peer.log} == {"GET"}
    assert push(hub, project, "--base-model", BASE, name="team/radiology").code == 0


def test_tokens_that_may_not(hub: Hub, project: Path, based: str) -> None:
    assert "No token is there: run `hf auth login`" in push(hub, project, token=None).error
    assert "does not know the token" in push(hub, project, token="hf_wrongwrongwrong").error
    assert "The token in use is none" in push(hub, project, token="hf_schlüssel").error
    assert "may not do that" in push(hub, project, token=READ_TOKEN).error
    assert "belongs to owner, and the token in use to stranger" in (
        push(hub, project, token=OTHER_TOKEN).error
    )
    assert ("model", NAME) not in hub.peer.repositories


def test_a_token_from_hf_auth_login_is_used_too(hub: Hub, project: Path, based: str) -> None:
    from tests.hub_peer import WRITE_TOKEN

    hub.home.mkdir(parents=True)
    (hub.home / "token").write_text(WRITE_TOKEN)
    assert push(hub, project, token=None).code == 0


def test_a_repository_with_a_pickle_is_not_added_to(hub: Hub, project: Path, based: str) -> None:
    hub.peer.add("model", NAME, {"old.bin": b"x"})
    assert "holds old.bin, which may be a pickle" in push(hub, project).error
    assert len(hub.peer.repository("model", NAME).commits) == 1


# Faults of the network -------------------------------------------------------------------------

STEPS = {
    "create": ("POST", "/repos/create"),
    "card": ("POST", "/validate-yaml"),
    "modes": ("POST", "/preupload/"),
    "batch": ("POST", "/info/lfs/"),
    "bytes": ("PUT", "/lfs/"),
    "verify": ("POST", "/verify$"),
    "commit": ("POST", "/commit/"),
    "look": ("GET", r"/tree/"),
}
FAULTS = {
    "409": dict(status=409),
    "412": dict(status=412),
    "429": dict(status=429, headers={"Retry-After": "1"}),
    "500": dict(status=500),
    "cut on the way up": dict(cut="request"),
    "answer lost": dict(cut="reply"),
    "slow": dict(delay=0.3),
}
# The client itself does not try these again, and neither do we: a 409 or 412 of these calls means
# nothing that passes.
NEVER = {(step, code) for step in ("modes", "batch", "bytes", "verify") for code in ("409", "412")}


@pytest.mark.parametrize(
    ("step", "fault"),
    [(step, fault) for step in STEPS for fault in FAULTS if (step, fault) not in NEVER],
)
def test_a_fault_that_passes_ends_in_one_good_commit(
    hub: Hub, project: Path, based: str, step: str, fault: str
) -> None:
    met = hub.peer.fail(*STEPS[step], **FAULTS[fault])
    done = push(hub, project)
    assert done.code == 0, done.err
    assert met.met >= 1
    repository = hub.peer.repository("model", NAME)
    assert len(repository.commits) == 2
    local = (project / "models/radiology/adapter_model.safetensors").read_bytes()
    assert repository.files["adapter_model.safetensors"] == local
    hub.peer.log.clear()
    assert "Nothing to push" in push(hub, project).out


STAYING = {
    "401": (dict(status=401), r"does not know the token|may not see it"),
    "403": (dict(status=403), r"may not do that"),
    "404": (dict(status=404), r"does not find|There is no"),
    "409": (dict(status=409), r"something else is changing"),
    "412": (dict(status=412), r"changed by somebody else"),
    "429": (
        dict(status=429, headers={"Retry-After": "4000"}),
        r"try again in 4000 seconds",
    ),
    "500": (dict(status=500), r"a fault of its own \(status 500\)"),
    "cut": (dict(cut="request"), r"the connection broke"),
}
# While it uploads, the client waits for as long as a Retry-After says.
WAITING = {("modes", "429"), ("bytes", "429")}


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (step, fault)
        for step in ("create", "modes", "bytes", "commit")
        for fault in STAYING
        if (step, fault) not in WAITING
    ],
)
def test_a_fault_that_stays_ends_in_one_sentence_and_nothing_half_made(
    hub: Hub, project: Path, based: str, step: str, fault: str
) -> None:
    how, sentence = STAYING[fault]
    hub.peer.fail(*STEPS[step], times=1000, **how)
    done = push(hub, project)
    assert re.search(sentence, done.error)
    assert ("model", NAME) not in hub.peer.repositories
    hub.peer.faults.clear()
    assert push(hub, project).code == 0


def test_bytes_changed_on_the_way_are_sent_again_or_told(
    hub: Hub, project: Path, based: str
) -> None:
    hub.peer.fail("PUT", "/lfs/", corrupt=True)
    assert push(hub, project).code == 0
    hub.peer.repositories.pop(("model", NAME))
    hub.peer.fail("PUT", "/lfs/", corrupt=True, times=1000)
    assert "BadDigest" in push(hub, project).error
    assert ("model", NAME) not in hub.peer.repositories


def test_a_hub_that_never_answers_is_given_up(hub: Hub, project: Path, based: str) -> None:
    hub.peer.fail("POST", "/commit/", delay=1.5, status=504, times=9)
    assert "did not answer in time" in push(hub, project, "--timeout", "0.4").error


def test_somebody_elses_commit_meanwhile_is_not_covered(
    hub: Hub, project: Path, based: str
) -> None:
    """Another's commit lands between our look and our commit: 412, a new look, then success."""
    assert push(hub, project).code == 0
    repository = hub.peer.repository("model", NAME)
    _edit(project / "models/radiology/run.json", seconds=60.0)
    fault = hub.peer.fail("POST", "/preupload/", delay=0.01)
    theirs = dict(repository.head.files)

    class Meanwhile(float):
        def __bool__(self) -> bool:
            if len(repository.commits) == 2:
                theirs["theirs.txt"] = theirs["README.md"]
                repository.commit(theirs, "meanwhile")
            return True

    fault.delay = Meanwhile(0.01)
    assert push(hub, project).code == 0
    assert [request.status for request in hub.peer.requests("POST", "/commit/")] == [200, 412, 200]
    assert "theirs.txt" in repository.files
    assert json.loads(repository.files["run.json"])["seconds"] == 60.0


def test_a_pull_request_whose_answer_is_lost_is_not_opened_twice(
    hub: Hub, project: Path, based: str
) -> None:
    assert push(hub, project).code == 0
    _edit(project / "models/radiology/run.json", seconds=60.0)
    hub.peer.fail("POST", "/commit/", cut="reply", times=9)
    done = push(hub, project, "--create-pr")
    assert "while the pull request was opened" in done.error
    assert sorted(hub.peer.repository("model", NAME).refs) == ["main", "refs/pr/1"]


def test_a_repository_that_was_there_is_never_deleted(hub: Hub, project: Path, based: str) -> None:
    hub.peer.add("model", NAME, {})
    hub.peer.fail("POST", "/commit/", status=500, times=99)
    assert push(hub, project).code == 1
    assert ("model", NAME) in hub.peer.repositories
    assert not hub.peer.requests("DELETE")


def test_what_cannot_be_taken_away_is_told(hub: Hub, project: Path, based: str) -> None:
    hub.peer.fail("POST", "/commit/", status=500, times=99)
    hub.peer.fail("DELETE", "", status=403, times=99)
    assert push(hub, project).error.endswith(
        "and the empty repository that it had made is still there."
    )


def test_a_new_branch_goes_when_the_push_fails(hub: Hub, project: Path, based: str) -> None:
    hub.peer.add("model", NAME, {})
    hub.peer.fail("POST", "/commit/", status=500, times=99)
    assert push(hub, project, "--revision", "v2").code == 1
    assert set(hub.peer.repository("model", NAME).refs) == {"main"}
