"""The peer of the Hub behaves to the unmodified client as the Hub does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_card_rules import check_card
from tests.hub_peer import OTHER_TOKEN, READ_TOKEN, WRITE_TOKEN, HubPeer, is_lfs
from tests.hub_runner import Done, Runner

BIG = bytes(range(256)) * 400


@pytest.fixture(scope="module")
def _server() -> Iterator[HubPeer]:
    with HubPeer() as peer:
        yield peer


@pytest.fixture(scope="module")
def _runner(_server: HubPeer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    runner = Runner(_server.environment(tmp_path_factory.mktemp("home")))
    yield runner
    runner.close()


@pytest.fixture
def peer(_server: HubPeer) -> HubPeer:
    _server.reset()
    return _server


@pytest.fixture
def client(peer: HubPeer, _runner: Runner, tmp_path: Path):
    """Runs code that has `api`, an HfApi, and `tmp`; returns what it printed."""

    def run(source: str, *, token: str | None = WRITE_TOKEN, fails: bool = False) -> str:
        source = f"from huggingface_hub import *\napi = HfApi()\ntmp = {str(tmp_path)!r}\n{source}"
        environment = {**peer.environment(tmp_path / "home", token), "HF_TOKEN": token}
        done: Done = _runner.code(source, environment)
        assert (done.code != 0) == fails, done.err
        return done.err if fails else done.out

    return run


def test_create_commit_and_read_back(peer: HubPeer, client) -> None:
    source = f"""
api.create_repo("owner/thing", private=True)
api.create_commit("owner/thing", [
    CommitOperationAdd("a.json", b"[1]"),
    CommitOperationAdd("deep/weights.safetensors", {BIG!r}),
], commit_message="two files")
info = api.model_info("owner/thing", files_metadata=True)
print(info.private, sorted(s.rfilename for s in info.siblings))
print([s.lfs.sha256 for s in info.siblings if s.lfs])
path = snapshot_download("owner/thing")
print(open(path + "/a.json").read(), len(open(path + "/deep/weights.safetensors", "rb").read()))
"""
    out = client(source).splitlines()
    assert out[0] == "True ['.gitattributes', 'a.json', 'deep/weights.safetensors']"
    assert out[2] == f"[1] {len(BIG)}"
    repository = peer.repository("model", "owner/thing")
    assert [commit.message for commit in repository.commits] == ["initial commit", "two files"]
    assert repository.head.files["deep/weights.safetensors"].lfs
    assert not repository.head.files["a.json"].lfs
    # The bytes went by LFS, with no token on the signed address.
    assert [request.token for request in peer.requests("PUT", "/lfs/")] == [None]


def test_the_same_commit_twice_is_one(peer: HubPeer, client) -> None:
    again = f"""
api.create_repo("owner/thing", exist_ok=True)
api.create_commit("owner/thing", [
    CommitOperationAdd("a.json", b"[1]"), CommitOperationAdd("w.safetensors", {BIG!r}),
], commit_message="same")
"""
    client(again)
    client(again)
    assert len(peer.repository("model", "owner/thing").commits) == 2


def test_delete_and_branch_and_pull_request(peer: HubPeer, client) -> None:
    peer.add("model", "owner/thing", {"a.txt": "a", "b/c.txt": "c", "b/d.txt": "d"})
    source = """
api.create_branch("owner/thing", branch="v2")
api.create_commit("owner/thing", [CommitOperationDelete("a.txt"), CommitOperationDelete("b/")],
                  commit_message="less", revision="v2")
done = api.create_commit("owner/thing", [CommitOperationAdd("a.txt", b"new")],
                         commit_message="ask", create_pr=True)
print(done.pr_revision, done.pr_num)
"""
    assert client(source) == "refs/pr/1 1\n"
    repository = peer.repository("model", "owner/thing")
    assert repository.files["a.txt"] == b"a"
    assert set(repository.find("v2").files) == {".gitattributes"}
    assert repository.find("refs/pr/1").files["a.txt"].data == b"new"


def test_a_parent_that_is_no_longer_the_head_is_refused(peer: HubPeer, client) -> None:
    peer.add("model", "owner/thing", {"a.txt": "a"})
    source = """
head = api.model_info("owner/thing").sha
for text in (b"1", b"2"):
    api.create_commit("owner/thing", [CommitOperationAdd("a.txt", text)], commit_message="x",
                      parent_commit=head)
"""
    assert "412" in client(source, fails=True)
    assert peer.repository("model", "owner/thing").files["a.txt"] == b"1"


@pytest.mark.parametrize(
    ("token", "source", "error"),
    [
        (None, 'api.model_info("owner/secret")', "RepositoryNotFoundError"),
        (OTHER_TOKEN, 'api.model_info("owner/secret")', "RepositoryNotFoundError"),
        (WRITE_TOKEN, 'api.model_info("owner/none")', "RepositoryNotFoundError"),
        (WRITE_TOKEN, 'api.model_info("owner/secret", revision="v9")', "RevisionNotFoundError"),
        (WRITE_TOKEN, 'hf_hub_download("owner/secret", "no.txt")', "RemoteEntryNotFoundError"),
        ("hf_nobodys", 'api.model_info("owner/secret")', "Invalid credentials"),
        (READ_TOKEN, 'api.create_repo("owner/new")', "403"),
        (WRITE_TOKEN, 'api.create_repo("stranger/new")', "403"),
        (WRITE_TOKEN, 'api.create_repo("owner/secret")', "409"),
    ],
)
def test_refusals_are_the_clients_own_errors(
    peer: HubPeer, client, token: str | None, source: str, error: str
) -> None:
    peer.add("model", "owner/secret", {"a.txt": "a"}, private=True)
    assert error in client(source, token=token, fails=True)


def test_a_download_goes_on_where_it_was_cut(peer: HubPeer, client) -> None:
    size = 24 * 1024 * 1024  # the client counts in pieces of 10 MB
    peer.add("model", "owner/thing", {"w.safetensors": bytes(size)})
    peer.fail("GET", r"/cdn/", cut="answer")
    out = client('print(len(open(hf_hub_download("owner/thing", "w.safetensors"), "rb").read()))')
    assert out == f"{size}\n"
    assert [request.status for request in peer.requests("GET", "/cdn/")] == [0, 206]


def test_a_byte_changed_on_the_way_up_is_refused(peer: HubPeer, client) -> None:
    peer.fail("PUT", r"/lfs/", corrupt=True)
    source = f"""
api.create_repo("owner/thing")
api.create_commit("owner/thing", [CommitOperationAdd("w.safetensors", {BIG!r})], commit_message="x")
"""
    assert "BadDigest" in client(source, fails=True)
    assert len(peer.repository("model", "owner/thing").commits) == 1


def test_a_space_has_variables_secrets_hardware_and_stages(peer: HubPeer, client) -> None:
    source = """
api.create_repo("owner/page", repo_type="space", space_sdk="gradio",
                space_variables=[{"key": "A", "value": "1"}])
api.add_space_variable("owner/page", "B", "2")
api.add_space_secret("owner/page", "S", "s3cret")
api.request_space_hardware("owner/page", "t4-small")
api.create_commit("owner/page", [CommitOperationAdd("app.py", b"pass")], commit_message="app",
                  repo_type="space")
print({k: v.value for k, v in api.get_space_variables("owner/page").items()})
print(api.wait_for_space("owner/page", poll_interval=0.01).stage, api.space_info("owner/page").host)
print(list(api.fetch_space_logs("owner/page", build=True)))
"""
    peer_log = client(source).splitlines()
    assert peer_log == ["{'A': '1', 'B': '2'}", "RUNNING https://owner-page.hf.space", "[]"]
    space = peer.repository("space", "owner/page")
    assert (space.hardware, space.secrets) == ("t4-small", {"S": "s3cret"})


def test_data_sets_load_with_the_ordinary_client(peer: HubPeer, client) -> None:
    rows = "".join(json.dumps({"prompt": f"p{i}", "impressions": "i"}) + "\n" for i in range(5))
    peer.add("dataset", "someone/reports", {"train.jsonl": rows, "test.jsonl": rows})
    source = """
import datasets
loaded = datasets.load_dataset("someone/reports", cache_dir=tmp + "/data")
print({name: part.num_rows for name, part in loaded.items()}, loaded["train"].column_names)
"""
    assert client(source) == "{'train': 5, 'test': 5} ['prompt', 'impressions']\n"


@pytest.mark.parametrize(
    ("front", "fault"),
    [
        ("license: gpl-99", "license"),
        ("base_model: ../models/base", "base_model"),
        ("datasets: [a b]", "datasets"),
        ("pipeline_tag: summarisation", "pipeline_tag"),
        ("model-index: [{name: x, results: [{task: {type: summarization}}]}]", "dataset"),
        ("a: [", "YAML"),
    ],
)
def test_a_wrong_card_is_refused(front: str, fault: str) -> None:
    errors, _ = check_card(f"---\n{front}\n---\n\n# x\n", "model")
    assert any(fault in error for error in errors), errors


@pytest.mark.parametrize(
    ("front", "fault"),
    [
        ("title: x", "sdk"),
        ("sdk: gradio\nsdk_version: 6", "sdk_version"),
        ("sdk: gradio\npython_version: 3.1", "python_version"),  # YAML's number, not "3.10"
        ("sdk: gradio\nemoji: x", "emoji"),
        ("sdk: gradio\ncolorFrom: teal", "colorFrom"),
        (f"sdk: gradio\nshort_description: {'x' * 61}", "short_description"),
        ("sdk: gradio\nsuggested_hardware: laptop", "suggested_hardware"),
        ("sdk: gradio\ncolour: red", "colour"),
    ],
)
def test_a_wrong_front_matter_of_a_space_is_refused(front: str, fault: str) -> None:
    errors, _ = check_card(f"---\n{front}\n---\n", "space")
    assert any(fault in error for error in errors), errors


def test_what_is_stored_as_lfs() -> None:
    assert is_lfs("a.safetensors", b"", 10)
    assert is_lfs("plot.png", b"\x89PNG\r\n\x1a\n\0\0", 10)
    assert is_lfs("big.json", b"{}", 20_000_000)
    assert not is_lfs("note.md", "é".encode() * 300, 600)
    assert not is_lfs("note.md", ("x" + "é" * 300).encode()[:512], 601)
