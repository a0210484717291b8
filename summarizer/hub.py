"""The Hub: names, models fetched by revision, and every fault of the network in one sentence.

Fetching asks first and downloads after: the listing is judged (`hub_files`), only the files that a
model needs are taken, at one pinned commit, and each is held against the hash that the listing
names. A copy that is complete serves when the Hub cannot be reached. No code of a repository is
ever downloaded, let alone run.

The token is the client's own affair (`hf auth login`, or HF_TOKEN): nothing here reads, prints or
stores it, and messages are swept of it.
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LOG = logging.getLogger("summarizer")

SILENCE = 120.0  # seconds without a byte after which a request is given up
LONGEST_WAIT = 300  # seconds of Retry-After that are waited for; more is told instead
_PAUSES = (1.0, 2.0, 4.0)  # seconds between tries of what the client itself does not try again

T = TypeVar("T")


class HubError(RuntimeError):
    """The Hub, or what is on it, cannot be used. The message is one sentence."""


@dataclass(frozen=True)
class HubName:
    """A repository of the Hub, and the revision asked for (None: its main branch)."""

    owner: str
    name: str
    revision: str | None = None

    @property
    def id(self) -> str:
        return f"{self.owner}/{self.name}"

    def __str__(self) -> str:
        return f"{self.id}@{self.revision}" if self.revision else self.id

    @classmethod
    def parse(cls, source: str) -> HubName:
        """`owner/name` or `owner/name@revision`. Raises HubError for anything else."""
        repo, mark, revision = source.partition("@")
        parts = repo.split("/")
        if len(parts) != 2 or not all(_PART.fullmatch(part) for part in parts):
            raise HubError(
                f"{source!r} is no repository name: write OWNER/NAME, of letters, digits, "
                "single dots, dashes and underscores."
            )
        if len(repo) > 96 or ".." in repo or "--" in repo or repo.endswith(".git"):
            raise HubError(
                f"{source!r} is no repository name: the Hub takes at most 96 characters, no "
                "'..' or '--', and no '.git' at the end."
            )
        if mark and (not _REVISION.fullmatch(revision) or ".." in revision):
            raise HubError(f"{revision!r} is no revision: write a branch, a tag or a commit.")
        return cls(*parts, revision or None)


_PART = re.compile(r"[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9_])?", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_][\w./-]{0,199}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


# Fetching --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fetched:
    """A model's files on this machine. `revision`: the commit. `note`: what a user should know."""

    path: Path
    repo: str
    revision: str
    note: str | None = None


def fetch(source: str, kind: str) -> Fetched:
    """The files of an adapter or a backbone on the Hub, checked, in the client's cache.

    Args:
        source: owner/name or owner/name@revision. A commit (40 hexadecimal digits) that is in the
            cache already is taken from there without asking the Hub.
        kind: "adapter" or "backbone".

    Raises:
        HubError: no such name, repository or revision; no access; a repository that holds what
            may not be loaded; bytes that are not those the Hub lists; no Hub and no copy.
    """
    name = HubName.parse(source)
    if name.revision and _COMMIT.fullmatch(name.revision):
        copy = _copy(name, name.revision, kind)
        if copy is not None:
            return Fetched(copy, name.id, name.revision)
    api = client()
    known = _known_copy(name, kind)
    try:
        with told(name, f"fetch the {kind} {name.id}"):
            if known is not None:
                # One question, asked twice at most: `resolve_revision` would not tell that nobody
                # answered, and a listing is asked for a dozen times.
                info = patiently(lambda: api.model_info(name.id, revision=name.revision), (1.0,))
                if info.sha == known[0]:
                    return Fetched(known[1], name.id, known[0])
            resolved = patiently(lambda: api.resolve_revision(name.id, revision=name.revision))
            listing = patiently(lambda: list_files(api, name.id, resolved.resolved))
            path = _download(api, name, resolved, listing, kind)
    except HubAway as away:
        return _copy_instead(name, known, away)
    return Fetched(path, name.id, resolved.resolved)


@dataclass(frozen=True)
class RemoteFile:
    """A file as the Hub lists it: bytes, git's object name, and SHA-256 where it is LFS."""

    path: str
    size: int
    oid: str
    sha256: str | None = None

    def holds(self, content: bytes | Path) -> bool:
        """Whether it is, byte for byte, that content."""
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        if size != self.size:
            return False
        return digest_of(content, git=self.sha256 is None) == (self.sha256 or self.oid)


def list_files(
    api: HfApi, repo: str, revision: str | None, kind: str = "model"
) -> dict[str, RemoteFile]:
    """Path -> file, for everything in a repository at a revision."""
    from huggingface_hub import RepoFile

    files = {}
    for entry in api.list_repo_tree(repo, recursive=True, revision=revision, repo_type=kind):
        if isinstance(entry, RepoFile):
            files[entry.path] = _remote(entry)
    return files


def digest_of(content: bytes | Path, *, git: bool) -> str:
    """SHA-256 of the bytes, or git's object name (SHA-1 over a header and the bytes)."""
    import hashlib

    if isinstance(content, Path) and not git:
        with content.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    data = content.read_bytes() if isinstance(content, Path) else content
    if not git:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _download(
    api: HfApi, name: HubName, resolved: Any, listing: Mapping[str, RemoteFile], kind: str
) -> Path:
    from huggingface_hub import constants

    from .hub_files import check_room, select

    wanted = select(name.id, listing, kind)
    check_room(name.id, wanted, Path(constants.HF_HUB_CACHE))
    # A configuration can rule a model out; it is read before gigabytes are fetched.
    for group in ([file for file in wanted if file.path.endswith(".json")], wanted):
        path = patiently(lambda group=group: _snapshot(api, name, resolved, group))
        _judge(name, path, kind, complete=group is wanted)
    return path


def _snapshot(api: HfApi, name: HubName, resolved: Any, files: list[RemoteFile]) -> Path:
    names = [file.path for file in files]
    folder = Path(api.snapshot_download(name.id, revision=resolved, allow_patterns=names))
    _verify(name, folder, files)
    return folder


def _verify(name: HubName, folder: Path, files: list[RemoteFile]) -> None:
    """Hold what was downloaded against the listing; wrong bytes are removed from the cache."""
    wrong = [file for file in files if not file.holds((folder / file.path).resolve())]
    for file in wrong:
        (folder / file.path).resolve().unlink(missing_ok=True)
        (folder / file.path).unlink(missing_ok=True)
    if wrong:
        raise WrongBytes(
            f"{wrong[0].path} of {name.id} did not arrive as the Hub lists it: the bytes are "
            "others; try again, and if it stays so, do not use it."
        )


def _judge(name: HubName, folder: Path, kind: str, *, complete: bool) -> None:
    from .hub_files import check_adapter, check_backbone

    if kind == "backbone":
        check_backbone(name.id, folder)
    elif complete:
        check_adapter(name.id, folder)


# The copy of a fetch before --------------------------------------------------------------------


def _known_copy(name: HubName, kind: str) -> tuple[str, Path] | None:
    """The commit that the name led to when it was last fetched, and its files, if whole."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RevisionResolutionError

    try:
        known = HfApi().resolve_revision(name.id, revision=name.revision, local_files_only=True)
        path = _copy(name, known.resolved, kind)
    except (HubError, RevisionResolutionError):  # unfit, or never there: the Hub may have better
        return None
    return (known.resolved, path) if path else None


def _copy_instead(name: HubName, known: tuple[str, Path] | None, away: HubAway) -> Fetched:
    if known is None:
        raise HubError(f"{str(away).rstrip('.')}, and there is no copy of {name} here.") from away
    commit, path = known
    note = f"{str(away).rstrip('.')}: the copy of {name} fetched before is used."
    LOG.warning("%s", note)
    return Fetched(path, name.id, commit, note)


def _copy(name: HubName, commit: str, kind: str) -> Path | None:
    """The cached files of a commit, if all that the kind needs are there and fit to be loaded."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    from .hub_files import select

    try:
        # A pattern that nothing matches: the folder is asked for, its contents are judged below.
        path = Path(
            snapshot_download(
                name.id, revision=commit, local_files_only=True, allow_patterns=["\0"]
            )
        )
        listing = _copied_files(name, commit, path)
        wanted = select(name.id, listing, kind)
    except (HubError, LocalEntryNotFoundError, OSError, ValueError):
        return None
    if any(
        not (path / file.path).is_file() or (path / file.path).stat().st_size != file.size
        for file in wanted
    ):
        return None
    _judge(name, path, kind, complete=True)
    return path


def _copied_files(name: HubName, commit: str, folder: Path) -> dict[str, RemoteFile]:
    """What the Hub listed at that commit; where nobody kept the listing, what the folder holds."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        tree = get_cached_repo_tree(name.id, revision=commit)
    except CachedRepoTreeNotFoundError:
        paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
        return {path: RemoteFile(path, file.stat().st_size, "") for path, file in paths.items()}
    return {entry.path: _remote(entry) for entry in tree}


def _remote(entry: Any) -> RemoteFile:
    """A RepoFile of the client's as ours."""
    sha256 = entry.lfs.sha256 if entry.lfs else None
    return RemoteFile(entry.path, entry.size, entry.blob_id, sha256)


# The client, its faults, and patience ----------------------------------------------------------


class HubAway(HubError):
    """The Hub cannot be reached, or is not able to answer: a copy may serve."""


class WrongBytes(HubError):
    """Bytes that are not those announced: worth a second try."""


def client(silence: float = SILENCE) -> HfApi:
    """The Hub's own client, which gives up a request after `silence` seconds without a byte.

    By itself it waits for ever.
    """
    from huggingface_hub import HfApi, set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def factory() -> Any:
        made = default_client_factory()
        made.timeout = silence
        return made

    set_client_factory(factory)
    return HfApi(library_name="medical-summaries")


def patiently(work: Callable[[], T], pauses: Sequence[float] = _PAUSES) -> T:
    """Do `work`, again after a pause where the fault may pass: 409, 412, 429, 5xx, a cut line.

    A Retry-After is waited for, up to `LONGEST_WAIT`. What the client has tried again by itself
    (uploads, downloads) is not tried a second time. `work` has to be safe to repeat.
    """
    for pause in (*pauses, None):
        try:
            return work()
        except Exception as error:
            wait = None if pause is None else _wait_for(error, pause)
            if wait is None:
                raise
            LOG.info("Trying again in %.0f seconds.", wait)
            time.sleep(wait)
    raise AssertionError("unreachable")


def _wait_for(error: BaseException, pause: float) -> float | None:
    """Seconds to wait before another try; None where another try is useless."""
    from httpx2 import ConnectError, TransportError
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HubError):
        return pause if isinstance(error, WrongBytes) else None
    cause = _root(error)
    if isinstance(cause, HfHubHTTPError):
        status = cause.response.status_code
        if status == 400 and "BadDigest" in str(cause):
            return pause
        if status not in (408, 409, 412, 429, 500, 502, 503, 504) or _tried(cause):
            return None
        after = cause.response.headers.get("Retry-After", "")
        wait = float(after) if after.isdigit() else pause
        return wait if wait <= LONGEST_WAIT else None
    if isinstance(cause, TransportError) and not isinstance(cause, ConnectError):
        return None if _tried(cause) else pause
    return None


def _tried(error: Any) -> bool:
    """Whether the client has already tried this request several times."""
    try:
        request = error.request
    except RuntimeError:
        return False
    path = request.url.path if request is not None else ""
    return "/preupload/" in path or "/info/lfs/" in path or (request and request.method == "PUT")


def _root(error: BaseException) -> BaseException:
    """The HTTP fault beneath an error of the client's that only says "while uploading"."""
    from httpx2 import HTTPError

    seen = error
    while seen is not None and not isinstance(seen, HTTPError):
        seen = seen.__cause__
    return seen if seen is not None else error


@contextlib.contextmanager
def told(name: HubName | None, doing: str) -> Iterator[None]:
    """Any fault of the client as a HubError of one sentence, without the token.

    Args:
        name: the repository in question.
        doing: what was tried, as the end of "Cannot ...".
    """
    from httpx2 import HTTPError
    from huggingface_hub.errors import RevisionResolutionError

    try:
        yield
    except HubError:
        raise
    except (HTTPError, RevisionResolutionError, OSError, ValueError, RuntimeError) as error:
        raise _sentence(_root(error), name, doing) from error


def _sentence(error: BaseException, name: HubName | None, doing: str) -> HubError:
    from httpx2 import ConnectError, HTTPError, ProxyError, TimeoutException
    from huggingface_hub import errors

    repo = name.id if name else "the repository"
    if isinstance(error, UnicodeEncodeError):  # of the header that carries it
        return HubError("The token in use is none: run `hf auth login`, or set HF_TOKEN.")
    if isinstance(error, errors.LocalTokenNotFoundError):
        return HubError("No token is there: run `hf auth login`, or set HF_TOKEN.")
    if isinstance(error, (errors.OfflineModeIsEnabled, errors.RevisionResolutionError)):
        return HubAway("The Hub cannot be asked: HF_HUB_OFFLINE is set.")
    if isinstance(error, errors.LocalEntryNotFoundError):
        return HubAway("The Hub cannot be reached.")
    if isinstance(error, errors.GatedRepoError):
        return HubError(f"{repo} asks for its terms to be accepted on the Hub first.")
    if isinstance(error, errors.RepositoryNotFoundError):
        return HubError(
            f"There is no {repo} on the Hub, or the token in use may not see it: check the name, "
            "or run `hf auth login`."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return HubError(f"{repo} has no revision {name.revision if name else ''} on the Hub.")
    if isinstance(error, errors.HfHubHTTPError):
        return _by_status(error, repo, doing)
    if isinstance(error, TimeoutException):
        return HubAway(f"Cannot {doing}: the Hub did not answer in time.")
    if isinstance(error, (ConnectError, ProxyError)):
        return HubAway("The Hub cannot be reached.")
    if isinstance(error, HTTPError):
        return HubAway(f"Cannot {doing}: the connection broke.")
    return HubError(f"Cannot {doing}: {clean_line(error)}.")


def _by_status(error: Any, repo: str, doing: str) -> HubError:
    status = error.response.status_code
    said = clean_line(error.server_message or "", 160)
    said = f" ({said})" if said else ""
    if status >= 500 or status == 408:
        return HubAway(f"Cannot {doing}: the Hub has a fault of its own (status {status}).")
    if status == 429:
        after = error.response.headers.get("Retry-After", "")
        when = f"in {after} seconds" if after.isdigit() else "later"
        return HubAway(f"Cannot {doing}: the Hub has had too many requests; try again {when}.")
    sentences = {
        401: "the Hub does not know the token; run `hf auth login` with one that may write",
        402: f"the Hub asks for a paid plan{said}",
        403: f"the token in use may not do that with {repo}{said}",
        404: f"the Hub does not find {repo}{said}",
        409: f"something else is changing {repo}; try again in a minute",
        412: f"{repo} was changed by somebody else meanwhile; look at it, and try again",
        413: "the Hub finds it too large",
    }
    reason = sentences.get(status, f"the Hub refuses it with status {status}{said}")
    return HubError(f"Cannot {doing}: {reason}.")


def clean_line(error: object, most: int = 300) -> str:
    """A message on one line, at most `most` characters, without tokens or signed addresses."""
    text = " ".join(str(error).split())
    text = re.sub(r"\bhf_\w{8,}", "hf_...", text)
    text = re.sub(r"(https?://[^\s?]+)\?\S+", r"\1", text)
    return text[:most].rstrip(". ") or type(error).__name__
