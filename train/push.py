"""Puts an adapter, or the embedded base, on the Hub: weights, records, plots and a fresh card.

Run as: python -m train.push models/base OWNER/clinical-summaries-base
        python -m train.push models/radiology OWNER/clinical-summaries-radiology [--dry-run]

One commit with everything, or none. It says what goes up before it does; it refuses an adapter
that does not load, that lacks its base or its scores, whose scores were made with other weights,
and any pickle. The card is written from the records (`summarizer.card`); on the Hub the adapter's
configuration names its base there, at the commit that was checked to hold the same weights.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from summarizer.backbone import ModelError, file_sha256, read_shapes, weights_sha256
from summarizer.card import card
from summarizer.hub import HubError, HubName, RemoteFile, client, list_files, patiently, told
from summarizer.hub_files import (
    check_config,
    check_content,
    check_harmless,
    check_ranks,
    check_secrets,
    human_size,
    select,
)
from summarizer.publish import Push, Pushed, check_account, push
from summarizer.record import RecordError, part_of, public, read_json

if TYPE_CHECKING:
    from huggingface_hub import HfApi

BASE_NAME = "clinical-summaries-base"  # where an adapter of the embedded base looks for its base

_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
_RECORDS = ("run.json", "scores.json")
_EXTRA = re.compile(r"failures\.md|LICENSE|NOTICE|[\w-]+\.png")
_BASE = re.compile(
    r"config\.json|generation_config\.json|model(-\d{5}-of-\d{5})?\.safetensors"
    r"|model\.safetensors\.index\.json|tokenizer\.json|tokenizer_config\.json"
    r"|special_tokens_map\.json|added_tokens\.json|chat_template\.jinja|lexicon\.txt"
)
_STALE = re.compile(r"(run|scores)\.json|failures\.md|[\w-]+\.png")


class PushError(Exception):
    """Something that may not go up as it is: one sentence that says what, and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        return run(options)
    except (PushError, HubError, RecordError, ModelError) as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 1


def run(options: argparse.Namespace) -> int:
    name = HubName.parse(options.repository)
    if name.revision:
        raise PushError(f"Name the branch with --revision {name.revision}, not after an @.")
    branch = HubName.parse(f"{name.id}@{options.revision}").revision or ""
    if re.fullmatch(r"[0-9a-f]{40}", branch):
        raise PushError(f"{branch} is a commit: name the branch to push to with --revision.")
    folder = Path(options.folder)
    local = read_adapter(folder) if is_adapter(folder) else read_base(folder)
    api = client(options.timeout)
    base = None
    if local.base is not None:
        base = find_base(api, local, name, options.base_model, only_look=options.dry_run)
    wanted = Push(
        name,
        contents(local, name, base),
        f"{local.title}, with its card and records",
        revision=options.revision,
        private=options.private,
        create_pr=options.create_pr,
        managed=lambda path: bool(local.managed.fullmatch(path)),
    )
    announce(api, wanted, local, base)
    if options.dry_run:
        print(f"\n{wanted.files['README.md'].decode()}")
        print("Nothing was pushed: this was a dry run.")
        return 0
    instead = ", or open a pull request with --create-pr"
    check_account(api, name, anywhere=options.create_pr, instead=instead)
    _refuse_foreign(api, wanted)
    tell(push(api, wanted))
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m train.push",
        description="Push an adapter or the embedded base to the Hub, in one commit with its card, "
        "run record, scores and plots. The token is the Hub client's own: `hf auth login`, or "
        "HF_TOKEN.",
    )
    made.add_argument("folder", help="for example models/radiology")
    made.add_argument("repository", metavar="OWNER/NAME", help="made where it is missing")
    made.add_argument(
        "--base-model",
        metavar="OWNER/NAME",
        help=f"where the adapter's base is on the Hub (default: OWNER/{BASE_NAME} for the embedded "
        "base, else the one it was trained on)",
    )
    made.add_argument("--dry-run", action="store_true", help="show files and card; push nothing")
    made.add_argument("--private", action="store_true", help="a new repository is private")
    made.add_argument("--revision", default="main", help="the branch to push to (default: main)")
    made.add_argument("--create-pr", action="store_true", help="open a pull request instead")
    made.add_argument(
        "--timeout",
        type=_seconds,
        default=120.0,
        metavar="SECONDS",
        help="silence after which a request is given up (default: 120)",
    )
    return made


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")


# What is in the folder -------------------------------------------------------------------------


@dataclass(frozen=True)
class Local:
    """A folder that was checked.

    files: name -> path of what goes up as it is. managed: names that a push removes where the
    folder has them no longer. base: of an adapter, what its configuration calls its base.
    """

    folder: Path
    title: str
    files: Mapping[str, Path]
    skipped: tuple[str, ...]
    managed: re.Pattern[str]
    config: Mapping[str, Any]
    run: Mapping[str, Any]
    base: str | None = None


def is_adapter(folder: Path) -> bool:
    if not folder.is_dir():
        raise PushError(f"There is no folder {folder}: name one that holds an adapter.")
    if (folder / "adapter_config.json").is_file():
        return True
    if (folder / "config.json").is_file():
        return False
    raise PushError(f"{folder} holds neither an adapter (adapter_config.json) nor a base model.")


def read_adapter(folder: Path) -> Local:
    """An adapter that may go up. Raises PushError, HubError or ModelError for one that may not."""
    _check_files(folder)
    for name, remedy in (
        ("adapter_model.safetensors", "save it with PEFT's save_pretrained"),
        ("run.json", "train it with python -m train.run"),
        ("scores.json", f"score it with python -m eval.run {folder} --data TEST.jsonl"),
    ):
        if not (folder / name).is_file():
            raise PushError(f"{folder} has no {name}: {remedy}.")
    config = read_json(folder / "adapter_config.json") or {}
    run, scores = (read_json(folder / name) or {} for name in _RECORDS)
    weights = folder / "adapter_model.safetensors"
    check_config(str(folder), config)
    check_ranks(str(folder), config, read_shapes(weights))
    _check_hashes(folder, weights, run, scores)
    base = config.get("base_model_name_or_path")
    if not base:
        raise PushError(f"{folder}/adapter_config.json does not name the base model.")
    files = {p.name: p for p in _top(folder) if p.name in _ADAPTER + _RECORDS or _extra(p)}
    return Local(
        folder,
        f"{scores.get('task') or folder.name}: LoRA adapter",
        files,
        _skipped(folder, files),
        _STALE,
        config,
        run,
        str(base),
    )


def read_base(folder: Path) -> Local:
    """A base model that may go up: it loads, as safetensors, with its tokenizer."""
    from summarizer.backbone import load_backbone

    _check_files(folder)
    if not (folder / "tokenizer.json").is_file():
        raise PushError(f"{folder} has no tokenizer.json.")
    load_backbone(str(folder), "cpu", "auto")
    run = read_json(folder / "run.json") or {}
    files = {
        p.name: p for p in _top(folder) if _BASE.fullmatch(p.name) or p.name == "run.json" or _extra(p)
    }  # fmt: skip
    # Shards of an earlier push with other numbers would be other weights.
    managed = re.compile(f"{_STALE.pattern}|{_BASE.pattern}")
    config = read_json(folder / "config.json") or {}
    return Local(folder, "base model", files, _skipped(folder, files), managed, config, run)


def _top(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _extra(path: Path) -> bool:
    return bool(_EXTRA.fullmatch(path.name))


def _skipped(folder: Path, files: Mapping[str, Path]) -> tuple[str, ...]:
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return tuple(sorted(name for name in names if name not in files and name != "README.md"))


def _check_files(folder: Path) -> None:
    """Refuse pickles, code, links and tokens anywhere in the folder, uploaded or not."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for name, path in sorted(paths.items()):
        if path.is_symlink():
            raise PushError(f"{folder}/{name} is a symbolic link: put the file itself there.")
    check_harmless(str(folder), (name for name, path in paths.items() if path.is_file()))
    for name, path in sorted(paths.items()):
        if path.is_file():
            check_content(f"{folder}/{name}", path)
            check_secrets(f"{folder}/{name}", path)


def _check_hashes(
    folder: Path, weights: Path, run: Mapping[str, Any], scores: Mapping[str, Any]
) -> None:
    actual = file_sha256(weights)
    if run.get("adapter_sha256") and run["adapter_sha256"] != actual:
        raise PushError(
            f"run.json in {folder} tells of other weights than adapter_model.safetensors: train "
            "again, or put the weights back that belong to it."
        )
    score = f"score these with python -m eval.run {folder} --data TEST.jsonl"
    if not scores.get("adapter_sha256"):
        raise PushError(f"scores.json in {folder} does not say of which weights: {score}.")
    if scores["adapter_sha256"] != actual:
        raise PushError(f"scores.json in {folder} was made with other weights: {score}.")
    if not part_of(scores, "systems", folder / "scores.json").get("lora"):
        raise PushError(f"scores.json in {folder} has no scores of the adapter: {score}.")


# The base on the Hub ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Base:
    """A base on the Hub, checked to be the adapter's. commit: None where it was not looked at, and
    `unseen` says why."""

    id: str
    commit: str | None
    unseen: str = ""


def find_base(
    api: HfApi, local: Local, name: HubName, given: str | None, *, only_look: bool
) -> Base:
    """The adapter's base on the Hub. Raises PushError where it is missing or another one.

    `only_look`: where the Hub does not answer, or lacks the base, its commit stays open.
    """
    from summarizer.backbone import is_hub_id, resolve

    embedded = not is_hub_id(local.base or "") or Path(str(local.base)).is_dir()
    base = HubName.parse(given or (f"{name.owner}/{BASE_NAME}" if embedded else str(local.base)))
    folder = resolve(str(local.base), "backbone")[0] if embedded else None
    unseen = ""
    try:
        commit, listing = _look_at_base(api, base, local, missing_is_told=not only_look)
    except HubError as error:
        if not only_look:
            raise
        commit, listing, unseen = None, {}, str(error)
    if folder is None:
        with told(base, f"read the configuration of {base.id}"):
            file = api.hf_hub_download(base.id, "config.json", revision=commit)
        folder = Path(file).parent
    check_loads(local.folder, folder)
    recorded = _recorded_base(local).get("sha256")
    if embedded and recorded and recorded != weights_sha256(folder):
        raise PushError(
            f"{local.folder} was trained on other weights than {folder} holds now: train it again."
        )
    if commit is not None and embedded and not _same_weights(folder, listing):
        raise PushError(
            f"{base.id} on the Hub has other weights than {folder}, which {local.folder} was trained "
            "on: push the right base first."
        )
    if (
        commit is not None
        and not embedded
        and recorded
        and recorded != _listed_sha256(base, listing)
    ):
        raise PushError(
            f"{local.folder} was trained on other weights than {base.id} has on the Hub: name its "
            "own base with --base-model."
        )
    return Base(base.id, commit, unseen)


def _recorded_base(local: Local) -> Mapping[str, Any]:
    return part_of(local.run, "base", local.folder / "run.json")


def _listed_sha256(base: HubName, listing: Mapping[str, RemoteFile]) -> str:
    """`weights_sha256` of a backbone's folder as it would be fetched, from the Hub's listing."""
    digest = hashlib.sha256()
    for file in sorted(select(base.id, listing, "backbone"), key=lambda file: file.path):
        if file.path.endswith(".safetensors") and file.sha256:
            digest.update(file.path.encode())
            digest.update(bytes.fromhex(file.sha256))
    return digest.hexdigest()


def _look_at_base(
    api: HfApi, base: HubName, local: Local, *, missing_is_told: bool
) -> tuple[str, dict[str, RemoteFile]]:
    from huggingface_hub.errors import RepositoryNotFoundError

    revision = base.revision
    if revision is None and base.id == str(local.base).partition("@")[0]:
        revision = _recorded_base(local).get("revision")
    with told(base, f"look at the base {base.id}"):
        try:
            commit = patiently(lambda: api.repo_info(base.id, revision=revision)).sha
        except RepositoryNotFoundError:
            if not missing_is_told:
                raise
            raise PushError(
                f"The base {base.id} is not on the Hub: push it first (python -m train.push "
                f"{local.base} {base.id}), or name another with --base-model."
            ) from None
        return commit, patiently(lambda: list_files(api, base.id, commit))


def _same_weights(folder: Path, listing: Mapping[str, RemoteFile]) -> bool:
    """Whether the Hub lists the very safetensors files that the folder holds."""
    local = {path.name: path for path in folder.glob("*.safetensors")}
    listed = {path for path in listing if "/" not in path and path.endswith(".safetensors")}
    return listed == set(local) and all(listing[n].holds(path) for n, path in local.items())


def check_loads(adapter: Path, base: Path) -> None:
    """Put the adapter on a model of the base's shape, without the base's weights.

    Raises PushError where a matrix is missing, is not the base's, or is not a number.
    """
    import torch
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    weights = load_file(adapter / "adapter_model.safetensors")
    try:
        shape = AutoConfig.from_pretrained(base, trust_remote_code=False)
        kind = AutoModelForSeq2SeqLM if shape.is_encoder_decoder else AutoModelForCausalLM
        with torch.device("meta"):
            model = kind.from_config(shape)
            model = get_peft_model(model, LoraConfig.from_pretrained(str(adapter)))
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(". ")
        raise PushError(f"{adapter} does not load on its base: {reason}.") from error
    # Left to itself, PEFT would ask the Hub about the base's vocabulary here.
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    expected = {key: value.shape for key, value in state.items()}
    for key in expected.keys() | weights.keys():
        if key not in weights:
            raise PushError(f"{adapter} does not load: {key} is missing from its weights.")
        if key not in expected or weights[key].shape != expected[key]:
            raise PushError(f"{adapter} does not load: {key} does not fit its base.")
    for key, value in weights.items():
        if not torch.isfinite(value.float()).all():
            raise PushError(f"{adapter} holds NaN or infinite numbers in {key}: train it again.")


# What goes up, and what is said ----------------------------------------------------------------


def contents(local: Local, name: HubName, base: Base | None) -> dict[str, bytes | Path]:
    """Path in the repository -> content: files as they are, records without local paths, the card
    and an adapter's configuration with the names that hold on the Hub."""
    files: dict[str, bytes | Path] = dict(local.files)
    for record in _RECORDS:
        if record in files:
            try:
                files[record] = _json_bytes(public(read_json(local.folder / record)))
            except ValueError:
                raise PushError(
                    f"{record} in {local.folder} holds a figure that is NaN or infinite: write it "
                    "again."
                ) from None
    names: dict[str, str | None] = {"repo_id": name.id}
    if base is not None:
        named = {"base_model_name_or_path": base.id, "revision": base.commit}
        files["adapter_config.json"] = _json_bytes({**local.config, **named})
        names |= {"base_model": base.id, "base_revision": base.commit}
    files["README.md"] = card(local.folder, **names).encode()
    return dict(sorted(files.items()))


def _json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def announce(api: HfApi, wanted: Push, local: Local, base: Base | None) -> None:
    where = "a pull request" if wanted.create_pr else wanted.revision
    privacy = ", private if new" if wanted.private else ""
    print(f"To {api.endpoint}/{wanted.name.id} ({where}{privacy}), in one commit:")
    for path, content in wanted.files.items():
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        print(f"  {path:<34} {human_size(size):>10}")
    print(f"  {'together':<34} {human_size(wanted.size):>10}")
    if local.skipped:
        print(f"Not uploaded: {', '.join(local.skipped)}")
    if base is not None:
        seen = f" at {base.commit}" if base.commit else f", not looked at: {base.unseen}"
        print(f"Its base: {base.id}{seen}")


def _refuse_foreign(api: HfApi, wanted: Push) -> None:
    """Refuse a repository that would hold a pickle or code beside what is pushed."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    name = wanted.name
    with told(name, f"look at {name.id}"):
        try:
            files = patiently(lambda: list_files(api, name.id, wanted.revision))
        except (RepositoryNotFoundError, RevisionNotFoundError):
            return
    check_harmless(name.id, (path for path in files if path not in wanted.files))


def tell(done: Pushed) -> None:
    if done.pull_request:
        print(f"Pull request: {done.pull_request}")
    elif done.changed:
        print(f"Pushed: {done.page}/commit/{done.commit}")
    else:
        print(f"Nothing to push: {done.page} holds this already, at {done.commit}.")


if __name__ == "__main__":
    sys.exit(main())
