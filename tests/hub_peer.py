"""A small peer of the Hugging Face Hub on loopback, for the unmodified client.

    with HubPeer() as peer:
        peer.add("model", "owner/name", {"config.json": b"{}"})
        environment = peer.environment(home)      # HF_ENDPOINT, HF_HOME, HF_TOKEN, Xet off

It keeps repositories (models, data sets, Spaces) in memory with their commits, speaks the calls
that huggingface-hub makes to create, upload (plain and LFS), commit, list, download, validate a
card and run a Space, checks what it is sent as strictly as the Hub does where that is known, and
writes down every request in `peer.log`.

Faults on demand, each for the first `times` requests that match:

    peer.fail("POST", r"/commit/", status=429, headers={"Retry-After": "1"})
    peer.fail("PUT", r"/lfs/", cut="request")     # connection gone half-way through the upload
    peer.fail("GET", r"/cdn/", cut="answer")      # ... through the download
    peer.fail("POST", r"/commit/", cut="reply")   # done, but the answer never arrives
    peer.fail("GET", r"/cdn/", corrupt=True)      # one byte changed
    peer.fail("GET", r"/revision/", delay=3)      # slow

What it does not speak: Xet, git over HTTP, pull requests' merging, organisations' settings.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any, Self

import yaml

from tests.hub_card_rules import check_card

WRITE_TOKEN = "hf_peerwriteTokenOfOwner0000000000"  # user "owner", member of "team"
READ_TOKEN = "hf_peerreadTokenOfOwner00000000000"  # the same user, read only
OTHER_TOKEN = "hf_peerwriteTokenOfStranger0000000"  # user "stranger"

# Suffixes of the Hub's default .gitattributes; binary content becomes LFS as well.
_LFS = (
    ".7z .arrow .bin .bz2 .ckpt .ftz .gz .h5 .joblib .mlmodel .model .msgpack .npy .npz .onnx .ot "
    ".parquet .pb .pickle .pkl .pt .pth .rar .safetensors .tar .tflite .tgz .wasm .xz .zip .zst"
).split()
_PREFIX = {"model": "", "dataset": "datasets/", "space": "spaces/"}


@dataclass
class Account:
    """Who a token belongs to."""

    name: str
    organisations: tuple[str, ...] = ()
    writes: bool = True

    def owns(self, namespace: str) -> bool:
        return namespace == self.name or namespace in self.organisations


@dataclass
class Blob:
    """One file's content. `link` is set for a symbolic link: its target."""

    data: bytes
    lfs: bool
    link: bool = False

    @property
    def oid(self) -> str:
        """Git's object name: of the content, or of the pointer of an LFS file."""
        data = self.pointer if self.lfs else self.data
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def pointer(self) -> bytes:
        return (
            "version https://git-lfs.github.com/spec/v1\n"
            f"oid sha256:{self.sha256}\nsize {len(self.data)}\n"
        ).encode()


@dataclass
class Commit:
    oid: str
    parent: str | None
    message: str
    files: dict[str, Blob]


@dataclass
class Repository:
    kind: str
    id: str
    private: bool = False
    commits: list[Commit] = field(default_factory=list)
    refs: dict[str, str] = field(default_factory=dict)  # branch, tag or refs/pr/N -> commit
    lfs: dict[str, bytes] = field(default_factory=dict)  # sha256 -> bytes uploaded so far
    gated: bool = False
    # Spaces
    sdk: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    hardware: str | None = None
    stages: list[str] = field(default_factory=list)  # told one a poll; the last one stays
    stages_after_commit: list[str] = field(
        default_factory=lambda: ["BUILDING", "APP_STARTING", "RUNNING"]
    )
    error_message: str | None = None
    build_log: list[str] = field(default_factory=list)
    run_log: list[str] = field(default_factory=list)

    def commit(self, files: dict[str, Blob], message: str, ref: str = "main") -> Commit:
        parent = self.refs.get(ref)
        seed = (
            f"{self.kind}{self.id}{parent}{message}{sorted((p, b.oid) for p, b in files.items())}"
        )
        made = Commit(hashlib.sha1(seed.encode()).hexdigest(), parent, message, files)
        self.commits.append(made)
        self.refs[ref] = made.oid
        return made

    def find(self, revision: str) -> Commit | None:
        oid = self.refs.get(revision, revision)
        return next((commit for commit in self.commits if commit.oid == oid), None)

    @property
    def head(self) -> Commit:
        found = self.find("main")
        assert found is not None
        return found

    @property
    def files(self) -> dict[str, bytes]:
        """The files of main."""
        return {path: blob.data for path, blob in self.head.files.items()}


@dataclass
class Fault:
    method: str
    pattern: re.Pattern[str]
    times: int
    skip: int
    status: int | None
    headers: Mapping[str, str]
    message: str
    cut: str | None  # "request", "answer", "reply"
    corrupt: bool
    delay: float
    met: int = 0


@dataclass(frozen=True)
class Request:
    """A line of the peer's log."""

    method: str
    path: str
    status: int  # 0: the connection was cut
    token: str | None
    body_size: int
    at: float


class _Refused(Exception):
    """An error answer: status, the client's X-Error-Code, a sentence."""

    def __init__(self, status: int, message: str, code: str | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.extra = status, code, extra


class HubPeer:
    """The server: a context manager. State may be read and changed by the test at any time."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.log: list[Request] = []
        self.faults: list[Fault] = []
        self.accounts = {
            WRITE_TOKEN: Account("owner", ("team",)),
            READ_TOKEN: Account("owner", ("team",), writes=False),
            OTHER_TOKEN: Account("stranger"),
        }
        self._lock = threading.RLock()
        self._under_way = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{port}"
        self.cdn = f"http://localhost:{port}"  # another host, as far as the client can tell

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self, home: Path, token: str | None = WRITE_TOKEN) -> dict[str, str]:
        """What a process needs to speak to this peer and nobody else, with a home of its own."""
        values = {
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HOME": str(home),
            "HOME": str(home),
            "NO_PROXY": "127.0.0.1",
            "OMP_NUM_THREADS": "1",
        }
        return values | ({"HF_TOKEN": token} if token else {})

    def add(
        self,
        kind: str,
        name: str,
        files: Mapping[str, bytes | str | Path],
        *,
        private: bool = False,
        links: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> Repository:
        """A repository with one commit of these files, as if somebody had uploaded them."""
        repository = Repository(kind, name, private, **fields)
        blobs = {".gitattributes": Blob(b"*.safetensors filter=lfs\n", False)}
        for path, content in files.items():
            data = content.read_bytes() if isinstance(content, Path) else content
            data = data.encode() if isinstance(data, str) else data
            blobs[path] = Blob(data, is_lfs(path, data[:512], len(data)))
        for path, target in (links or {}).items():
            blobs[path] = Blob(target.encode(), False, link=True)
        for blob in blobs.values():
            if blob.lfs:
                repository.lfs[blob.sha256] = blob.data
        repository.commit(blobs, "initial commit")
        self.repositories[kind, name] = repository
        return repository

    def add_folder(self, kind: str, name: str, folder: Path, **fields: Any) -> Repository:
        """`add`, with every file of a folder."""
        files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
        return self.add(kind, name, files, **fields)

    def repository(self, kind: str, name: str) -> Repository:
        return self.repositories[kind, name]

    def fail(
        self,
        method: str,
        pattern: str,
        *,
        times: int = 1,
        skip: int = 0,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        message: str = "a fault on demand",
        cut: str | None = None,
        corrupt: bool = False,
        delay: float = 0.0,
    ) -> Fault:
        """Let the next requests of that method (or "*") whose path matches go wrong."""
        assert cut in (None, "request", "answer", "reply")
        fault = Fault(
            method, re.compile(pattern), times, skip, status, headers or {}, message, cut, corrupt,
            delay,
        )  # fmt: skip
        self.faults.append(fault)
        return fault

    def reset(self) -> None:
        """Forget repositories, log and faults, once every call that is under way has ended."""
        deadline = time.monotonic() + 20
        while self._under_way and time.monotonic() < deadline:
            time.sleep(0.01)
        with self._lock:
            self.repositories.clear()
            self.log.clear()
            self.faults.clear()

    def requests(self, method: str, pattern: str = "") -> list[Request]:
        """The log's lines of that method whose path matches."""
        return [r for r in self.log if r.method == method and re.search(pattern, r.path)]

    def _fault_for(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.method in (method, "*") and fault.pattern.search(path):
                    fault.met += 1
                    if fault.skip < fault.met <= fault.skip + fault.times:
                        return fault
        return None


def is_lfs(path: str, sample: bytes, size: int) -> bool:
    """Whether the Hub stores a file as LFS: by suffix, by size, or because it is binary."""
    if PurePosixPath(path).suffix.lower() in _LFS or size > 10 * 1024 * 1024:
        return True
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        return error.start < len(sample) - 4  # not merely a character cut in two
    return b"\0" in sample


# The calls -------------------------------------------------------------------------------------

_Answer = tuple[int, dict[str, str], bytes]
_ROUTES: list[tuple[str, re.Pattern[str], Callable[..., _Answer]]] = []


def _route(method: str, pattern: str) -> Callable:
    # {kind}/{id} as the API has them, {repo} as the pages have them
    pattern = pattern.replace("{api}", r"/api/(?P<kind>model|dataset|space)s/(?P<id>[^/]+/[^/]+)")
    pattern = pattern.replace(
        "{page}", r"/(?P<prefix>datasets/|spaces/)?(?P<id>(?!api/)[^/]+/[^/]+?)"
    )

    def register(function: Callable[..., _Answer]) -> Callable[..., _Answer]:
        _ROUTES.append((method, re.compile(pattern), function))
        return function

    return register


@_route("GET", r"/api/whoami-v2")
def _whoami(call: _Call) -> _Answer:
    account = call.account()
    if account is None:
        raise _Refused(401, "Invalid username or password.")
    return call.json({
        "type": "user", "name": account.name, "fullname": account.name,
        "orgs": [{"type": "org", "name": name} for name in account.organisations],
        "auth": {"type": "access_token", "accessToken": {
            "displayName": "peer", "role": "write" if account.writes else "read"}},
    })  # fmt: skip


@_route("POST", r"/api/repos/create")
def _create(call: _Call) -> _Answer:
    body = call.body_json()
    kind = body.get("type") or "model"
    account = call.writer(body.get("organization"))
    name = f"{body.get('organization') or account.name}/{body['name']}"
    if not re.fullmatch(r"[\w.-]+/[\w.-]{1,96}", name) or ".." in name:
        raise _Refused(400, f"Invalid repository name: {name}")
    if kind == "space" and body.get("sdk") not in ("gradio", "docker", "static"):
        raise _Refused(400, "Invalid SDK")
    url = f"{call.peer.url}/{_PREFIX[kind]}{name}"
    with call.peer._lock:
        if (kind, name) in call.peer.repositories:
            raise _Refused(409, f"You already created this {kind} repo: {name}", url=url)
        made = call.peer.add(kind, name, {}, private=body.get("visibility") == "private")
        made.sdk = body.get("sdk")
        made.hardware = body.get("hardware") or ("cpu-basic" if kind == "space" else None)
        made.variables = {item["key"]: item["value"] for item in body.get("variables") or []}
        made.secrets = {item["key"]: item["value"] for item in body.get("secrets") or []}
        if kind == "space":  # the Hub starts a Space with a README of its own
            readme = Blob(b"---\ntitle: New\nsdk: gradio\n---\n", False)
            made.commit({**made.head.files, "README.md": readme}, "initial commit")
            made.stages = ["NO_APP_FILE"]
    return call.json({"url": url, "name": name, "id": name})


@_route("DELETE", r"/api/repos/delete")
def _delete(call: _Call) -> _Answer:
    body = call.body_json()
    call.writer(body.get("organization"))
    key = (body.get("type") or "model", f"{body['organization']}/{body['name']}")
    if key not in call.peer.repositories:
        raise _Refused(404, "Repository not found", "RepoNotFound")
    del call.peer.repositories[key]
    return call.json({})


@_route("POST", r"/api/validate-yaml")
def _validate_yaml(call: _Call) -> _Answer:
    body = call.body_json()
    errors, warnings = check_card(body["content"], body["repoType"])
    answer = {
        "errors": [{"message": message} for message in errors],
        "warnings": [{"message": message} for message in warnings],
    }
    return call.json(answer, 400 if errors else 200)


@_route("GET", r"{api}(?:/revision/(?P<revision>[^/?]+))?")
def _info(call: _Call) -> _Answer:
    repository, commit = call.readable()
    siblings = []
    for path, blob in commit.files.items():
        one: dict[str, Any] = {"rfilename": path}
        if call.query.get("blobs"):
            one |= {"size": len(blob.data), "blobId": blob.oid}
            if blob.lfs:
                one["lfs"] = {
                    "sha256": blob.sha256, "size": len(blob.data), "pointerSize": len(blob.pointer)
                }  # fmt: skip
        siblings.append(one)
    answer: dict[str, Any] = {
        "_id": "0" * 24, "id": repository.id, "modelId": repository.id, "sha": commit.oid,
        "private": repository.private, "gated": repository.gated, "disabled": False,
        "author": repository.id.split("/")[0], "downloads": 0, "likes": 0, "tags": [],
        "siblings": siblings, "lastModified": "2025-01-01T00:00:00.000Z",
        "createdAt": "2025-01-01T00:00:00.000Z", "cardData": _card_data(commit.files),
    }  # fmt: skip
    if repository.kind == "space":
        subdomain = repository.id.replace("/", "-").lower()
        answer |= {
            "sdk": repository.sdk, "subdomain": subdomain, "host": f"https://{subdomain}.hf.space",
            "runtime": _runtime(repository, advance=False),
        }  # fmt: skip
    return call.json(answer)


@_route("GET", r"{api}/tree/(?P<revision>[^/?]+)(?:/(?P<folder>.*))?")
def _tree(call: _Call) -> _Answer:
    _, commit = call.readable()
    folder = (call.arguments.get("folder") or "").strip("/")
    recursive = call.query.get("recursive", "").lower() == "true"
    entries, folders = [], set()
    for path, blob in sorted(commit.files.items()):
        if folder and not path.startswith(folder + "/"):
            continue
        inside = path[len(folder) + 1 :] if folder else path
        parents = [str(p) for p in PurePosixPath(inside).parents][:-1]
        folders.update(parents if recursive else parents[-1:])
        if recursive or "/" not in inside:
            entries.append(_entry(path, blob))
    for name in folders:
        path = f"{folder}/{name}" if folder else name
        entries.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
    return call.json(entries)


@_route("POST", r"{api}/paths-info/(?P<revision>[^/?]+)")
def _paths_info(call: _Call) -> _Answer:
    _, commit = call.readable()
    wanted = call.body_form_or_json().get("paths", [])
    wanted = [wanted] if isinstance(wanted, str) else wanted
    entries = [_entry(path, commit.files[path]) for path in wanted if path in commit.files]
    for path in wanted:
        if any(known.startswith(path + "/") for known in commit.files):
            entries.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
    return call.json(entries)


@_route("GET", r"{api}/refs")
def _refs(call: _Call) -> _Answer:
    repository, _ = call.readable()
    branches = [
        {"name": name, "ref": f"refs/heads/{name}", "targetCommit": oid}
        for name, oid in repository.refs.items()
        if not name.startswith("refs/")
    ]
    return call.json({"branches": branches, "tags": [], "converts": []})


@_route("POST", r"{api}/branch/(?P<branch>[^?]+)")
def _branch(call: _Call) -> _Answer:
    repository, _ = call.readable()
    call.writer(repository.id.split("/")[0])
    branch = urllib.parse.unquote(call.arguments["branch"])
    if branch in repository.refs:
        raise _Refused(409, f"Reference already exists: {branch}")
    start = call.body_json().get("startingPoint") or "main"
    found = repository.find(start)
    if found is None:
        raise _Refused(404, "Invalid rev id", "RevisionNotFound")
    repository.refs[branch] = found.oid
    return call.json({})


@_route("DELETE", r"{api}/branch/(?P<branch>[^?]+)")
def _delete_branch(call: _Call) -> _Answer:
    repository, _ = call.readable()
    call.writer(repository.id.split("/")[0])
    if repository.refs.pop(urllib.parse.unquote(call.arguments["branch"]), None) is None:
        raise _Refused(404, "Reference not found", "RevisionNotFound")
    return call.json({})


@_route("POST", r"{api}/preupload/(?P<revision>[^/?]+)")
def _preupload(call: _Call) -> _Answer:
    repository, commit = call.readable()
    if not call.query.get("create_pr"):
        call.writer(repository.id.split("/")[0])
    modes = []
    for file in call.body_json()["files"]:
        sample = base64.b64decode(file["sample"])
        blob = commit.files.get(file["path"])
        lfs = is_lfs(file["path"], sample, file["size"])
        mode = {"path": file["path"], "uploadMode": "lfs" if lfs else "regular",
                "shouldIgnore": False}  # fmt: skip
        if blob is not None:
            # Of an LFS file the Hub gives the SHA-256 here, of a plain one git's object name.
            mode["oid"] = blob.sha256 if blob.lfs else blob.oid
        modes.append(mode)
    return call.json({"files": modes, "commitOid": commit.oid})


@_route("POST", r"{page}\.git/info/lfs/objects/batch")
def _lfs_batch(call: _Call) -> _Answer:
    repository = call.repository()
    body = call.body_json()
    assert body["operation"] == "upload" and body["hash_algo"] == "sha256", body
    objects = []
    for item in body["objects"]:
        one = {"oid": item["oid"], "size": item["size"]}
        if item["oid"] not in repository.lfs:
            where = f"{call.peer.url}/lfs/{repository.kind}/{repository.id}/{item['oid']}"
            one["authenticated"] = True
            one["actions"] = {
                "upload": {"href": where, "header": {}},
                "verify": {"href": f"{where}/verify", "header": {}},
            }
        objects.append(one)
    return call.json({"transfer": "basic", "objects": objects})


@_route("PUT", r"/lfs/(?P<kind>\w+)/(?P<id>[^/]+/[^/]+)/(?P<oid>[0-9a-f]{64})")
def _lfs_put(call: _Call) -> _Answer:
    # A signed address: it takes no token, and the client sends it none.
    if hashlib.sha256(call.body).hexdigest() != call.arguments["oid"]:
        raise _Refused(400, "BadDigest: the content does not have the SHA-256 that was announced")
    call.repository(signed=True).lfs[call.arguments["oid"]] = call.body
    return 200, {"ETag": f'"{call.arguments["oid"]}"'}, b""


@_route("POST", r"/lfs/(?P<kind>\w+)/(?P<id>[^/]+/[^/]+)/(?P<oid>[0-9a-f]{64})/verify")
def _lfs_verify(call: _Call) -> _Answer:
    body, stored = call.body_json(), call.repository().lfs
    if body["oid"] not in stored or len(stored[body["oid"]]) != body["size"]:
        raise _Refused(404, "Object does not exist in the storage")
    return call.json({"message": "File verified"})


@_route("POST", r"{api}/commit/(?P<revision>[^/?]+)")
def _commit(call: _Call) -> _Answer:
    repository, head = call.readable()
    pull_request = bool(call.query.get("create_pr"))
    if not pull_request:
        call.writer(repository.id.split("/")[0])
    lines = [json.loads(line) for line in call.body.splitlines() if line.strip()]
    assert lines and lines[0]["key"] == "header", "a commit starts with its header"
    header = lines[0]["value"]
    if header.get("parentCommit") and header["parentCommit"] != head.oid:
        raise _Refused(412, "A commit has happened since. Please refresh and try again.")
    files = dict(head.files)
    for line in lines[1:]:
        _apply(repository, files, line["key"], line["value"])
    readme = files.get("README.md")
    if readme is not None and readme is not head.files.get("README.md"):
        errors, _ = check_card(readme.data.decode(), repository.kind)
        if errors:
            raise _Refused(400, "Invalid metadata in README.md: " + "; ".join(errors))
    revision = urllib.parse.unquote(call.arguments["revision"])
    number = 1 + sum(ref.startswith("refs/pr/") for ref in repository.refs)
    ref = f"refs/pr/{number}" if pull_request else revision
    if pull_request:
        repository.refs[ref] = head.oid
    made = repository.commit(files, header["summary"], ref)
    if repository.kind == "space" and ref == "main":
        repository.stages = list(repository.stages_after_commit)
    page = f"{call.peer.url}/{_PREFIX[repository.kind]}{repository.id}"
    answer = {"success": True, "commitOid": made.oid, "commitUrl": f"{page}/commit/{made.oid}"}
    if pull_request:
        answer["pullRequestUrl"] = f"{page}/discussions/{number}"
    return call.json(answer)


def _apply(repository: Repository, files: dict[str, Blob], key: str, value: Any) -> None:
    path = value["path"]
    if path.startswith("/") or ".." in path.split("/"):
        raise _Refused(400, f"Invalid path: {path}")
    if key == "file":
        assert value["encoding"] == "base64"
        data = base64.b64decode(value["content"])
        if is_lfs(path, data[:512], len(data)) and data:
            raise _Refused(400, f"{path} must be stored with LFS")
        files[path] = Blob(data, False)
    elif key == "lfsFile":
        if value["oid"] not in repository.lfs:
            raise _Refused(400, f"LFS pointer pointed to a file that does not exist: {path}")
        files[path] = Blob(repository.lfs[value["oid"]], True)
    elif key == "deletedFile":
        if path not in files:
            raise _Refused(404, "A file with this name doesn't exist", "EntryNotFound")
        del files[path]
    elif key == "deletedFolder":
        inside = [name for name in files if name.startswith(path.rstrip("/") + "/")]
        if not inside:
            raise _Refused(404, "A file with this name doesn't exist", "EntryNotFound")
        for name in inside:
            del files[name]
    else:
        raise _Refused(400, f"Unknown operation {key}")


@_route("GET", r"{page}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
@_route("HEAD", r"{page}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
def _resolve(call: _Call) -> _Answer:
    repository, commit = call.readable()
    path = urllib.parse.unquote(call.arguments["path"])
    blob = commit.files.get(path)
    if blob is None:
        raise _Refused(404, "Entry not found", "EntryNotFound")
    headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
    if not blob.lfs:
        return call.content(blob.data, headers | {"ETag": f'"{blob.oid}"'})
    headers |= {
        "X-Linked-Size": str(len(blob.data)), "X-Linked-Etag": f'"{blob.sha256}"',
        "ETag": f'"{blob.oid}"',
        # The Hub sends large files from another host, by a signed address.
        "Location": f"{call.peer.cdn}/cdn/{repository.kind}/{repository.id}/{blob.sha256}",
    }  # fmt: skip
    return 302, headers, b""


@_route("GET", r"/cdn/(?P<kind>\w+)/(?P<id>[^/]+/[^/]+)/(?P<oid>[0-9a-f]{64})")
@_route("HEAD", r"/cdn/(?P<kind>\w+)/(?P<id>[^/]+/[^/]+)/(?P<oid>[0-9a-f]{64})")
def _cdn(call: _Call) -> _Answer:
    oid = call.arguments["oid"]
    return call.content(
        call.repository(signed=True).lfs[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"}
    )


# Spaces ----------------------------------------------------------------------------------------


@_route("GET", r"{api}/runtime")
def _space_runtime(call: _Call) -> _Answer:
    repository, _ = call.readable()
    return call.json(_runtime(repository, advance=True))


@_route("GET", r"{api}/(?P<what>variables|secrets)")
def _space_settings(call: _Call) -> _Answer:
    repository, _ = call.readable()
    call.writer(repository.id.split("/")[0])
    if call.arguments["what"] == "secrets":
        return call.json({key: {"updatedAt": None} for key in repository.secrets})
    return call.json({key: {"value": value} for key, value in repository.variables.items()})


@_route("POST", r"{api}/(?P<what>variables|secrets)")
def _space_set(call: _Call) -> _Answer:
    repository, _ = call.readable()
    call.writer(repository.id.split("/")[0])
    body = call.body_json()
    if not re.fullmatch(r"[a-zA-Z][_a-zA-Z0-9]*", body["key"]):
        raise _Refused(400, "Invalid key")
    getattr(repository, call.arguments["what"])[body["key"]] = body["value"]
    return _space_settings(call)


@_route("DELETE", r"{api}/(?P<what>variables|secrets)")
def _space_unset(call: _Call) -> _Answer:
    repository, _ = call.readable()
    call.writer(repository.id.split("/")[0])
    getattr(repository, call.arguments["what"]).pop(call.body_json()["key"], None)
    return _space_settings(call)


@_route("POST", r"{api}/hardware")
def _space_hardware(call: _Call) -> _Answer:
    repository, _ = call.readable()
    call.writer(repository.id.split("/")[0])
    repository.hardware = call.body_json()["flavor"]
    return call.json(_runtime(repository, advance=False))


@_route("GET", r"{api}/logs/(?P<what>build|run)")
def _space_logs(call: _Call) -> _Answer:
    repository, _ = call.readable()
    lines = getattr(repository, f"{call.arguments['what']}_log")
    events = [
        f"data: {json.dumps({'data': line + chr(10), 'timestamp': '2025-01-01T00:00:00.000Z'})}\n\n"
        for line in lines
    ]
    return 200, {"Content-Type": "text/event-stream"}, "".join(events).encode()


def _runtime(repository: Repository, *, advance: bool) -> dict[str, Any]:
    stages = repository.stages or ["NO_APP_FILE"]
    stage = stages[0]
    if advance and len(stages) > 1:
        stages.pop(0)
    answer: dict[str, Any] = {
        "stage": stage, "gcTimeout": 172_800, "storage": None, "sha": repository.head.oid,
        "hardware": {"current": None if "BUILD" in stage else repository.hardware,
                     "requested": repository.hardware},
    }  # fmt: skip
    if stage.endswith("ERROR") and repository.error_message:
        answer["errorMessage"] = repository.error_message
    return answer


# What a call knows -----------------------------------------------------------------------------


@dataclass
class _Call:
    peer: HubPeer
    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    arguments: dict[str, str] = field(default_factory=dict)

    @property
    def token(self) -> str | None:
        value = self.headers.get("Authorization") or ""
        return value.removeprefix("Bearer ").strip() or None

    def account(self) -> Account | None:
        """Whose token it is; None without one. A token nobody has is refused."""
        if self.token is None:
            return None
        if self.token not in self.peer.accounts:
            raise _Refused(401, "Invalid credentials in Authorization header")
        return self.peer.accounts[self.token]

    def writer(self, namespace: str | None) -> Account:
        account = self.account()
        if account is None:
            raise _Refused(401, "Unauthorized")
        if not account.writes or (namespace and not account.owns(namespace)):
            raise _Refused(
                403,
                "You don't have the rights to create or write to this under the namespace "
                f'"{namespace or account.name}"',
            )
        return account

    def repository(self, *, signed: bool = False) -> Repository:
        """The repository that the path names, if this token may see it or the path is signed."""
        kind = self.arguments.get("kind")
        if kind is None:
            kind = (self.arguments.get("prefix") or "models/").rstrip("s/")
        name = urllib.parse.unquote(self.arguments["id"])
        found = self.peer.repositories.get((kind, name))
        if signed and found is not None:
            return found
        account = self.account()
        hidden = found is not None and found.private
        if hidden and account is not None and account.owns(name.split("/")[0]):
            hidden = False
        if found is None or hidden:
            if account is None:  # the Hub does not tell strangers whether it exists
                raise _Refused(401, "Invalid username or password.", "RepoNotFound")
            raise _Refused(404, "Repository not found", "RepoNotFound")
        if found.gated and (account is None or not account.owns(name.split("/")[0])):
            raise _Refused(403, "Access to this repository is gated.", "GatedRepo")
        return found

    def readable(self) -> tuple[Repository, Commit]:
        repository = self.repository()
        revision = urllib.parse.unquote(self.arguments.get("revision") or "main")
        commit = repository.find(revision)
        if commit is None:
            raise _Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return repository, commit

    def body_json(self) -> dict[str, Any]:
        return json.loads(self.body or b"{}")

    def body_form_or_json(self) -> dict[str, Any]:
        if "json" in (self.headers.get("Content-Type") or ""):
            return self.body_json()
        return urllib.parse.parse_qs(self.body.decode())

    def json(self, value: Any, status: int = 200) -> _Answer:
        return status, {"Content-Type": "application/json"}, json.dumps(value).encode()

    def content(self, data: bytes, headers: dict[str, str]) -> _Answer:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not wanted:
            return 200, headers, data
        first, last = int(wanted[1]), int(wanted[2] or len(data) - 1)
        if first >= len(data):
            raise _Refused(416, "Range not satisfiable")
        headers = headers | {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
        return 206, headers, data[first : last + 1]


def _entry(path: str, blob: Blob) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": "file", "oid": blob.oid, "size": len(blob.data), "path": path
    }  # fmt: skip
    if blob.lfs:
        entry["lfs"] = {
            "oid": blob.sha256, "size": len(blob.data), "pointerSize": len(blob.pointer)
        }  # fmt: skip
    return entry


def _card_data(files: Mapping[str, Blob]) -> dict[str, Any]:
    readme = files.get("README.md")
    if readme is None:
        return {}
    found = re.match(r"---\n(.*?)\n---", readme.data.decode(errors="replace"), re.DOTALL)
    with contextlib.suppress(yaml.YAMLError):
        return (yaml.safe_load(found[1]) if found else {}) or {}
    return {}


# HTTP ------------------------------------------------------------------------------------------


def _handler(peer: HubPeer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # an answer in one piece; in two, each would wait for the other's ACK

        def log_message(self, *_: object) -> None:
            pass

        def _serve(self) -> None:
            with peer._lock:
                peer._under_way += 1
            try:
                with contextlib.suppress(OSError):  # the client has gone meanwhile
                    self._serve_one()
            finally:
                with peer._lock:
                    peer._under_way -= 1

        def _serve_one(self) -> None:
            path, _, query = self.path.partition("?")
            fault = peer._fault_for(self.command, path)
            if fault is not None and fault.cut == "request":
                self._read_half()
                return self._cut(path)
            body = self._read()
            if fault is not None and fault.delay:
                time.sleep(fault.delay)
            if fault is not None and fault.corrupt and body and self.command == "PUT":
                body = body[:-1] + bytes([body[-1] ^ 1])
            call = _Call(
                peer, self.command, path, dict(urllib.parse.parse_qsl(query)), self.headers, body
            )
            if fault is not None and fault.status is not None:
                answer = _error(_Refused(fault.status, fault.message))
                answer[1].update(fault.headers)
            else:
                answer = _answer(call)
            if fault is not None and fault.cut == "reply":
                return self._cut(path, call)
            status, headers, content = answer
            if fault is not None and fault.corrupt and content and self.command == "GET":
                content = content[:-1] + bytes([content[-1] ^ 1])
            half = fault is not None and fault.cut == "answer"
            self._note(path, 0 if half else status, call)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if half else content)
            if half:
                self.wfile.flush()
                self._close()

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

        def _read(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                return b"".join(self._chunks())
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _chunks(self) -> Iterator[bytes]:
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def _read_half(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)

        def _cut(self, path: str, call: _Call | None = None) -> None:
            self._note(path, 0, call)
            self._close()

        def _close(self) -> None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def _note(self, path: str, status: int, call: _Call | None) -> None:
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
            size = len(call.body) if call else 0
            peer.log.append(Request(self.command, path, status, token, size, time.monotonic()))

    return Handler


def _answer(call: _Call) -> _Answer:
    for method, pattern, function in _ROUTES:
        found = pattern.fullmatch(call.path) if method == call.method else None
        if found:
            call.arguments = {k: v for k, v in found.groupdict().items() if v is not None}
            try:
                return function(call)
            except _Refused as refusal:
                return _error(refusal)
    return _error(_Refused(404, f"The peer does not know {call.method} {call.path}"))


def _error(refusal: _Refused) -> _Answer:
    headers = {"Content-Type": "application/json", "X-Error-Message": str(refusal)}
    if refusal.code:
        headers["X-Error-Code"] = refusal.code
    return refusal.status, headers, json.dumps({"error": str(refusal), **refusal.extra}).encode()
