"""Models by owner/name@revision: what is fetched, what is refused, and what serves when the Hub
is away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from summarizer.hub import HubError, HubName, clean_line
from tests.hub_peer import OTHER_TOKEN, HubPeer, Repository
from tests.hub_runner import Done

if TYPE_CHECKING:
    from tests.hub_fixtures import Hub

pytest_plugins = ["tests.hub_fixtures"]

_FETCH = """
import json, logging, sys
from summarizer.hub import HubError, fetch
logging.basicConfig(format="%(message)s", level=logging.WARNING)
try:
    got = fetch({source!r}, {kind!r})
except HubError as error:
    sys.exit(f"Error: {{error}}")
names = sorted(p.relative_to(got.path).as_posix() for p in got.path.rglob("*") if p.is_file())
print(json.dumps([str(got.path), got.repo, got.revision, got.note, names]))
"""


def fetch(hub: Hub, source: str, kind: str = "adapter", **options) -> Done:
    return hub.code(_FETCH.format(source=source, kind=kind), **options)


def got(done: Done) -> tuple[Path, str, str, str | None, list[str]]:
    assert done.code == 0, done.err
    path, repo, revision, note, names = json.loads(done.out)
    return Path(path), repo, revision, note, names


@pytest.fixture
def adapter(peer: HubPeer, tiny_project: Path) -> Repository:
    """owner/radiology on the Hub, with a README and a picture that nobody needs to load it."""
    folder = tiny_project / "models/radiology"
    files = {path.name: path for path in folder.iterdir()}
    return peer.add("model", "owner/radiology", {**files, "README.md": "# x", "a/b.png": b"\0"})


@pytest.fixture
def base(peer: HubPeer, tiny_project: Path) -> Repository:
    files = {path.name: path for path in (tiny_project / "models/base").iterdir()}
    files |= {"pytorch_model.bin": b"\x80\x02pickle", "modeling_own.py": "raise SystemExit"}
    return peer.add("model", "owner/base", files)


def test_only_what_loading_needs_is_fetched(hub: Hub, adapter: Repository) -> None:
    path, repo, revision, note, names = got(fetch(hub, "owner/radiology"))
    assert repo == "owner/radiology" and revision == adapter.head.oid and note is None
    assert names == ["adapter_config.json", "adapter_model.safetensors", "run.json", "scores.json"]
    for name in names:
        assert (path / name).read_bytes() == adapter.files[name]


def test_of_a_backbone_neither_code_nor_pickles_are_fetched(hub: Hub, base: Repository) -> None:
    _, _, _, _, names = got(fetch(hub, "owner/base", "backbone"))
    assert len([name for name in names if name.endswith(".safetensors")]) > 1  # all shards
    assert {"config.json", "tokenizer.json", "lexicon.txt", "model.safetensors.index.json"} <= set(
        names
    )
    assert not [name for name in names if name.endswith((".py", ".bin"))]
    assert not hub.peer.requests("GET", r"pytorch_model|modeling_own")


def test_a_commit_stays_what_it_was(hub: Hub, adapter: Repository) -> None:
    first = adapter.head
    record = json.loads(adapter.files["run.json"]) | {"seed": 7}
    changed = dict(adapter.head.files)
    changed["run.json"] = type(changed["run.json"])(json.dumps(record).encode(), False)
    adapter.commit(changed, "another seed")
    path, _, revision, _, _ = got(fetch(hub, f"owner/radiology@{first.oid}"))
    assert revision == first.oid and json.loads((path / "run.json").read_text())["seed"] == 0
    path, _, revision, _, _ = got(fetch(hub, "owner/radiology"))
    assert revision != first.oid and json.loads((path / "run.json").read_text())["seed"] == 7


def test_a_branch_is_resolved_to_its_commit(hub: Hub, adapter: Repository) -> None:
    adapter.commit(dict(adapter.head.files), "same", "v2/beta")
    _, _, revision, _, _ = got(fetch(hub, "owner/radiology@v2/beta"))
    assert revision == adapter.refs["v2/beta"] != adapter.head.oid


def test_a_pinned_commit_is_asked_for_once(hub: Hub, adapter: Repository) -> None:
    pinned = f"owner/radiology@{adapter.head.oid}"
    got(fetch(hub, pinned))
    hub.peer.log.clear()
    path, _, revision, note, _ = got(fetch(hub, pinned))
    assert hub.peer.log == [] and revision == adapter.head.oid and note is None
    assert (path / "adapter_config.json").is_file()


@pytest.mark.parametrize("away", ["closed", "offline", "down"])
def test_a_copy_serves_when_the_hub_is_away(hub: Hub, adapter: Repository, away: str) -> None:
    first = got(fetch(hub, "owner/radiology"))
    changes = {
        "closed": {"HF_ENDPOINT": "http://127.0.0.1:9"},
        "offline": {"HF_HUB_OFFLINE": "1"},
        "down": {},
    }[away]
    hub.peer.fail("*", "", status=503, times=1000)
    done = fetch(hub, "owner/radiology", **changes)
    second = got(done)
    assert second[0] == first[0] and second[2] == first[2]
    assert (
        second[3] is not None and "the copy of owner/radiology fetched before is used" in done.err
    )


def test_with_a_copy_at_hand_the_hub_is_asked_one_question(hub: Hub, adapter: Repository) -> None:
    first = got(fetch(hub, "owner/radiology"))
    hub.peer.log.clear()
    assert got(fetch(hub, "owner/radiology")) == first
    assert len(hub.peer.log) == 1
    hub.peer.fail("*", "", status=503, times=1000)
    hub.peer.log.clear()
    assert got(fetch(hub, "owner/radiology"))[:3] == first[:3]
    assert len(hub.peer.log) == 2  # and once more, after a second


def test_without_a_copy_the_hub_being_away_is_one_sentence(hub: Hub, adapter: Repository) -> None:
    done = fetch(hub, "owner/radiology", HF_ENDPOINT="http://127.0.0.1:9")
    assert done.error == "The Hub cannot be reached, and there is no copy of owner/radiology here."


def test_half_a_copy_does_not_serve(hub: Hub, adapter: Repository) -> None:
    path, *_ = got(fetch(hub, "owner/radiology"))
    (path / "adapter_model.safetensors").unlink()
    done = fetch(hub, "owner/radiology", HF_ENDPOINT="http://127.0.0.1:9")
    assert "there is no copy" in done.error
    got(fetch(hub, "owner/radiology"))  # and with the Hub back, it is made whole
    assert (path / "adapter_model.safetensors").is_file()


# Faults of the network ------------------------------------------------------------------------

READS = r"/revision/|/tree/|/resolve/|/cdn/|/api/models/owner/radiology$"


@pytest.mark.parametrize(
    "fault",
    [
        dict(status=500),
        dict(status=502),
        dict(status=429, headers={"Retry-After": "1"}),
        dict(cut="answer"),
        dict(cut="reply"),
        dict(delay=0.4),
    ],
    ids=str,
)
@pytest.mark.parametrize("where", ["/revision/|/radiology$", "/tree/", "/resolve/", "/cdn/"])
def test_a_fault_that_passes_ends_in_success(
    hub: Hub, adapter: Repository, fault: dict, where: str
) -> None:
    met = hub.peer.fail("GET", where, **fault)
    head = hub.peer.fail("HEAD", where, **fault) if where == "/resolve/" else None
    path, *_ = got(fetch(hub, "owner/radiology"))
    assert (path / "adapter_model.safetensors").read_bytes() == adapter.files[
        "adapter_model.safetensors"
    ]
    assert met.met > 0 or (head and head.met > 0)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (dict(status=401), "the Hub does not know the token"),
        (dict(status=403), "the token in use may not do that with owner/radiology"),
        (dict(status=404), "the Hub does not find owner/radiology"),
        (dict(status=409), "something else is changing owner/radiology"),
        (dict(status=429, headers={"Retry-After": "9000"}), "try again in 9000 seconds"),
        (dict(status=500), "the Hub has a fault of its own (status 500)"),
        (dict(cut="reply"), "the connection broke"),
    ],
    ids=str,
)
def test_a_fault_that_stays_ends_in_one_sentence(
    hub: Hub, adapter: Repository, fault: dict, sentence: str
) -> None:
    hub.peer.fail("*", READS, times=1000, **fault)
    assert sentence in fetch(hub, "owner/radiology").error
    hub.peer.faults.clear()
    got(fetch(hub, "owner/radiology"))  # nothing half-made stands in the way


def test_retry_after_is_waited_for(hub: Hub, adapter: Repository) -> None:
    hub.peer.fail("GET", "/tree/", status=429, headers={"Retry-After": "2"})
    source = _FETCH.format(source="owner/radiology", kind="adapter")
    done = hub.runner._call(
        source=source, environment=hub.environment(None), cwd=Path.cwd(), patient=True
    )
    assert done.code == 0, done.err
    times = [request.at for request in hub.peer.requests("GET", "/tree/")]
    assert 1.9 < times[1] - times[0] < 4


def test_wrong_bytes_are_fetched_again_and_never_kept(hub: Hub, adapter: Repository) -> None:
    hub.peer.fail("GET", "/cdn/", corrupt=True)
    path, *_ = got(fetch(hub, "owner/radiology"))
    assert (path / "adapter_model.safetensors").read_bytes() == adapter.files[
        "adapter_model.safetensors"
    ]
    shutil.rmtree(hub.home)
    hub.peer.fail("GET", "/cdn/", corrupt=True, times=1000)
    done = fetch(hub, "owner/radiology")
    assert "adapter_model.safetensors of owner/radiology did not arrive" in done.error
    assert not list(hub.home.rglob("adapter_model.safetensors"))


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "radiology", "owner/../other", "../x", "owner/ra diology", "owner/radiology/deep", "owner/",
        "/etc/passwd", "owner/..", "owner/a..b", "owner/a--b", "owner/x.git", "owner/x@../main",
        "owner/x@", "owner/x@-rf", "owner/" + "x" * 120, "owner/x\n", "öwner/x", "owner/x;ls",
        "https://huggingface.co/owner/x", "owner\\x/y", "owner/x@main x", "",
    ],
)  # fmt: skip
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(HubError) as fault:
        HubName.parse(name)
    assert str(fault.value).count(". ") == 0


def test_names_that_are_names() -> None:
    assert str(HubName.parse("owner/na.me_1-x@v1.0/beta")) == "owner/na.me_1-x@v1.0/beta"
    assert HubName.parse("google-t5/t5-small") == HubName("google-t5", "t5-small", None)


def _spoil(repository: Repository, **files: bytes | str | None) -> None:
    blobs = dict(repository.head.files)
    for name, content in files.items():
        blob = next(iter(blobs.values()))
        if content is None:
            del blobs[name]
        else:
            data = content.encode() if isinstance(content, str) else content
            blobs[name] = type(blob)(data, lfs=False)
    repository.commit(blobs, "spoilt")


def _config(repository: Repository, **changes) -> str:
    return json.dumps(json.loads(repository.files["adapter_config.json"]) | changes)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"adapter_model.bin": b"x"}, "may be a pickle"),
        ({"checkpoint-9/optimizer.pt": b"x"}, "may be a pickle"),
        ({"training_args.bin": b"x"}, "may be a pickle"),
        ({"modeling_own.py": "x"}, "holds code (modeling_own.py)"),
        ({"../../.bashrc": "x"}, "path leads out of its folder"),
        ({"/etc/cron.d/x": "x"}, "path leads out of its folder"),
        ({"a\\..\\..\\x": "x"}, "path leads out of its folder"),
        ({"adapter_config.json": None}, "holds no adapter: adapter_config.json is missing"),
        ({"adapter_model.safetensors": None}, "adapter_model.safetensors is missing"),
        ({"adapter_model.safetensors": "../../secret"}, "it is a link or a placeholder"),
        ({"adapter_model.safetensors": b"\x80\x04" + b"." * 500}, "no safetensors file"),
        ({"adapter_model.safetensors": b"\xff" * 7 + b"\x7f" + b" " * 500}, "no safetensors file"),
        ({"adapter_config.json": "{"}, "cannot be read as JSON"),
        ({"adapter_config.json": "[" * 100_000}, "cannot be read as JSON"),
        ({"adapter_config.json": "[]"}, "holds no JSON object"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_repositories_that_are_refused(
    hub: Hub, adapter: Repository, files: dict, sentence: str
) -> None:
    _spoil(adapter, **files)
    assert sentence in fetch(hub, "owner/radiology").error


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"r": 8}, "says rank 8 and holds a matrix of rank 4"),
        ({"r": 0}, "names the rank 0"),
        ({"r": 10**9}, "names the rank 1000000000"),
        ({"r": "4"}, "names the rank '4'"),
        ({"peft_type": "PREFIX_TUNING"}, "only LoRA is used"),
        ({"auto_mapping": {"parent_library": "os", "base_model_class": "x"}}, "code of its own"),
        ({"init_lora_weights": "pissa"}, "changes the base when loaded"),
        ({"layer_replication": [[0, 4], [2, 6]]}, "asks for layer_replication"),
        ({"modules_to_save": ["lm_head"]}, "asks for modules_to_save"),
        ({"rank_pattern": {"q": 10**9}}, "names the rank 1000000000"),
        ({"rank_pattern": {"q": [4]}}, "names the rank [4]"),
        ({"rank_pattern": [4]}, "has a rank_pattern that is none"),
        ({"auto_mapping": "os"}, "code of its own"),
    ],
    ids=str,
)
def test_configurations_that_are_refused(
    hub: Hub, adapter: Repository, changes: dict, sentence: str
) -> None:
    _spoil(adapter, **{"adapter_config.json": _config(adapter, **changes)})
    assert sentence in fetch(hub, "owner/radiology").error


def test_ten_gigabytes_of_something_else_are_not_downloaded(hub: Hub, adapter: Repository) -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 10 * 1024**3

    blobs = dict(adapter.head.files)
    blobs["film.mp4"] = type(blobs["README.md"])(Huge(b"x"), lfs=True)
    adapter.commit(blobs, "a film")
    done = fetch(hub, "owner/radiology")
    assert "holds 10.0 GB, most of it in film.mp4" in done.error
    assert not hub.peer.requests("GET", "/resolve/|/cdn/")


def test_a_backbone_that_needs_its_own_code_is_refused(hub: Hub, base: Repository) -> None:
    config = json.loads(base.files["config.json"])
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "modeling_own.Own"}}
    _spoil(base, **{"config.json": json.dumps(config)})
    assert "runs only with code of its own" in fetch(hub, "owner/base", "backbone").error
    assert not hub.peer.requests("GET", r"safetensors$|/cdn/")  # told before the weights came


def test_a_backbone_that_transformers_knows_needs_no_code(hub: Hub, base: Repository) -> None:
    """Phi-3's repositories name code of their own, and run without."""
    config = json.loads(base.files["config.json"])
    _spoil(base, **{"config.json": json.dumps(config | {"auto_map": {"AutoConfig": "m.C"}})})
    got(fetch(hub, "owner/base", "backbone"))


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"model.safetensors.index.json": None}, "only in a pickle, which is not used here"),
        ({"config.json": None}, "holds no backbone: config.json is missing"),
    ],
    ids=str,
)
def test_backbones_that_are_refused(hub: Hub, base: Repository, files: dict, sentence: str) -> None:
    _spoil(base, **files)
    assert sentence in fetch(hub, "owner/base", "backbone").error


def test_private_gated_and_missing_are_told_apart_as_far_as_the_hub_does(
    hub: Hub, adapter: Repository
) -> None:
    adapter.private = True
    got(fetch(hub, "owner/radiology"))
    shutil.rmtree(hub.home)
    for token in (None, OTHER_TOKEN):
        assert (
            "There is no owner/radiology on the Hub"
            in fetch(hub, "owner/radiology", token=token).error
        )
    adapter.private, adapter.gated = False, True
    assert "asks for its terms" in fetch(hub, "owner/radiology", token=OTHER_TOKEN).error
    assert (
        "the Hub does not know the token"
        in fetch(hub, "owner/radiology", token="hf_wrongwrongwrongwrong").error
    )
    assert "has no revision v9" in fetch(hub, "owner/radiology@v9").error


def test_messages_are_swept() -> None:
    secret = "hf_" + "a" * 34
    line = clean_line(f"failed with {secret} at https://x.y/z?X-Amz-Signature=abc&t={secret}\n.")
    assert secret not in line and "Signature" not in line and "\n" not in line
