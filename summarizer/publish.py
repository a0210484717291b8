"""Files into a repository of the Hub: in one commit, or not at all.

A push looks first and sends only what differs, so a second push of the same thing sends nothing.
It names the commit that it builds on, so it never covers somebody else's work; it tries again what
may pass; when it fails, a repository or branch that it had made is taken away again. What the Hub
then holds is compared with what was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .hub import HubError, HubName, RemoteFile, list_files, patiently, told

if TYPE_CHECKING:
    from huggingface_hub import HfApi

# What the Hub itself puts into a repository that has just been made.
_FROM_THE_START = {"model": {".gitattributes"}, "space": {".gitattributes", "README.md"}}


@dataclass(frozen=True)
class Push:
    """What is to stand in a repository.

    files: path in the repository -> bytes, or a file to read. managed: whether a path there is
    this project's to remove when it is not in `files`. private: of a repository that is made.
    creation: further arguments of `create_repo`.
    """

    name: HubName
    files: Mapping[str, bytes | Path]
    message: str
    kind: str = "model"
    revision: str = "main"
    private: bool = False
    create_pr: bool = False
    managed: Callable[[str], bool] = lambda path: False
    creation: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(
            content.stat().st_size if isinstance(content, Path) else len(content)
            for content in self.files.values()
        )


@dataclass(frozen=True)
class Pushed:
    """How it ended. `changed`: whether there was anything to send."""

    page: str
    commit: str
    changed: bool
    pull_request: str | None = None


def check_account(api: HfApi, name: HubName, *, anywhere: bool = False, instead: str = "") -> str:
    """The user whose token it is, if it can write under the name's owner (or `anywhere`).

    `instead`: what else the user may do, as the end of the sentence.

    Raises HubError: no token, one that the Hub does not know, another owner.
    """
    with told(name, "ask the Hub whose token it is"):
        account = patiently(api.whoami)
    owners = [account["name"], *(one["name"] for one in account.get("orgs", []))]
    if name.owner not in owners and not anywhere:
        raise HubError(
            f"{name.id} belongs to {name.owner}, and the token in use to {owners[0]}: write under "
            f"{' or '.join(owners)}{instead}."
        )
    return owners[0]


def push(api: HfApi, wanted: Push) -> Pushed:
    """Make the repository hold `wanted`. Raises HubError, with nothing half-made left behind."""
    made: list[str] = []
    try:
        with told(wanted.name, f"push to {wanted.name.id}"):
            before = patiently(lambda: look(api, wanted))
            if before is not None and not wanted.create_pr:
                _check_privacy(before, wanted)
            _prepare(api, wanted, before, made)
            return patiently(lambda: _commit(api, wanted))
    except HubError as fault:
        left = _undo(api, wanted, made)
        if left:
            raise HubError(f"{str(fault).rstrip('.')}, and {left}.") from fault
        raise
    except BaseException:  # Ctrl+C among them
        _undo(api, wanted, made)
        raise


@dataclass(frozen=True)
class Seen:
    """A repository as the Hub has it: head commit, files, privacy."""

    commit: str
    files: Mapping[str, RemoteFile]
    private: bool
    branch: bool = True  # whether the revision asked for is there

    def lacks(self, wanted: Push) -> tuple[list[str], list[str]]:
        """(paths to send, paths to remove) for it to hold what is wanted."""
        send = [
            path
            for path, content in wanted.files.items()
            if path not in self.files or not self.files[path].holds(content)
        ]
        remove = [p for p in self.files if p not in wanted.files and wanted.managed(p)]
        return send, remove


def look(api: HfApi, wanted: Push) -> Seen | None:
    """What the Hub has under the name and revision; None where there is no such repository."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    name, kind = wanted.name.id, wanted.kind
    try:
        info = api.repo_info(name, repo_type=kind, revision=wanted.revision)
        branch = True
    except RepositoryNotFoundError:
        return None
    except RevisionNotFoundError:
        info, branch = api.repo_info(name, repo_type=kind), False
    files = list_files(api, name, info.sha, kind)
    return Seen(info.sha, files, bool(info.private), branch)


def _check_privacy(seen: Seen, wanted: Push) -> None:
    if wanted.private and not seen.private:
        raise HubError(
            f"{wanted.name.id} is there and is public: --private is for a new repository; make it "
            "private on the Hub first, or leave --private out."
        )


def _prepare(api: HfApi, wanted: Push, seen: Seen | None, made: list[str]) -> None:
    """Make the repository and the branch where they are missing; `made` says which, for `_undo`."""
    name = wanted.name.id
    if seen is None and wanted.create_pr:
        raise HubError(f"There is no {name} to open a pull request in: push without --create-pr.")
    if seen is None:
        made.append("repository")  # said first: the answer may be lost on its way
        patiently(lambda: _create(api, wanted))
    if wanted.revision != "main" and (seen is None or not seen.branch):
        made.append("branch")
        patiently(
            lambda: api.create_branch(
                name, repo_type=wanted.kind, branch=wanted.revision, exist_ok=True
            )
        )


def _create(api: HfApi, wanted: Push) -> None:
    from huggingface_hub.errors import HfHubHTTPError

    try:
        api.create_repo(
            wanted.name.id, repo_type=wanted.kind, private=wanted.private, **wanted.creation
        )
    except HfHubHTTPError as error:
        # 409 says that it is there, as after a lost answer, or that the owner's last change is
        # not done yet.
        if error.response.status_code != 409 or look(api, wanted) is None:
            raise


def _commit(api: HfApi, wanted: Push) -> Pushed:
    """One try. Safe to repeat: what an earlier try has brought there is not sent again."""
    from httpx2 import TransportError
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    seen = look(api, wanted)
    assert seen is not None
    page = f"{api.endpoint}/{'spaces/' if wanted.kind == 'space' else ''}{wanted.name.id}"
    send, remove = seen.lacks(wanted)
    if not send and not remove:
        return Pushed(page, seen.commit, changed=False)
    operations = [
        *(CommitOperationAdd(path, wanted.files[path]) for path in send),
        *(CommitOperationDelete(path, is_folder=False) for path in remove),
    ]
    try:
        done = api.create_commit(
            wanted.name.id, operations, commit_message=wanted.message, repo_type=wanted.kind,
            revision=wanted.revision, create_pr=wanted.create_pr, parent_commit=seen.commit,
        )  # fmt: skip
    except TransportError as error:
        if wanted.create_pr and "/commit/" in error.request.url.path:
            raise HubError(
                f"The connection broke while the pull request was opened: look at {page}"
                "/discussions before you try again."
            ) from error
        raise
    _confirm(api, wanted, done.oid, send)
    return Pushed(page, done.oid, changed=True, pull_request=done.pr_url)


def _confirm(api: HfApi, wanted: Push, commit: str, sent: list[str]) -> None:
    files = list_files(api, wanted.name.id, commit, wanted.kind)
    wrong = [p for p in sent if p not in files or not files[p].holds(wanted.files[p])]
    if wrong:
        raise HubError(
            f"The Hub holds other bytes of {wrong[0]} than were sent to {wanted.name.id}: look at "
            "it there, and push again."
        )


def _undo(api: HfApi, wanted: Push, made: list[str]) -> str:
    """Take away what this push has made, if nothing stands in it. Returns what was left, or ''."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    if not made:
        return ""
    name, kind = wanted.name.id, wanted.kind
    try:
        if "repository" not in made:
            api.delete_branch(name, repo_type=kind, branch=wanted.revision)
        elif set(list_files(api, name, "main", kind)) <= _FROM_THE_START[kind]:
            api.delete_repo(name, repo_type=kind, missing_ok=True)
        return ""
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return ""
    except Exception:  # the first fault is the one to tell
        return f"the empty {made[0]} that it had made is still there"
