"""What a repository may hold, and what of it is taken: decided before anything is loaded.

Everything here judges names, sizes and configurations. Pickles are never opened, code is never
run, and of a backbone's repository neither is even downloaded.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from .hub import HubError, RemoteFile

GIB = 1024**3
LARGEST_ADAPTER = 2 * GIB  # whole repository; rank 256 on a 4-billion model is below 1 GiB
LARGEST_BACKBONE = 40 * GIB  # what is taken of it
LARGEST_TEXT = 64 * 1024**2  # one JSON or vocabulary file
LARGEST_RANK = 1024

PICKLES = frozenset(
    [".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".npy", ".npz"]
)
_CODE = frozenset(
    [".py", ".pyc", ".so", ".dll", ".dylib", ".sh", ".bat", ".ps1", ".exe", ".js", ".jar", ".whl"]
)

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_BESIDE_ADAPTER = ("run.json", "scores.json")
_BACKBONE_FILES = re.compile(
    r"(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab"
    r"|model\.safetensors\.index|run)\.json"
    r"|model(-\d{5}-of-\d{5})?\.safetensors"
    r"|(merges|vocab|lexicon)\.txt|(spiece|tokenizer|sentencepiece\.bpe)\.model|chat_template\.jinja"
)


def select(repo: str, listing: Mapping[str, RemoteFile], kind: str) -> list[RemoteFile]:
    """The files of a repository that are to be fetched, smallest first. Raises HubError."""
    check_names(repo, listing)
    if kind == "adapter":
        wanted = _of_an_adapter(repo, listing)
    else:
        wanted = _of_a_backbone(repo, listing)
    for file in wanted:
        if not file.path.endswith(".safetensors") and file.size > LARGEST_TEXT:
            raise HubError(
                f"{file.path} of {repo} has {human_size(file.size)}: that is no text file."
            )
    return sorted(wanted, key=lambda file: (file.size, file.path))


def check_names(repo: str, paths: Iterable[str]) -> None:
    """Refuse a listing with a path that could lead out of the folder. Raises HubError."""
    for path in paths:
        parts = path.split("/")
        if (
            path.startswith(("/", "~"))
            or "\\" in path
            or any(part in ("", ".", "..") for part in parts)
            or any(ord(letter) < 32 for letter in path)
            or re.match(r"[A-Za-z]:", path)
        ):
            raise HubError(f"{repo} holds a file whose path leads out of its folder: {path!r}.")


def check_harmless(repo: str, paths: Iterable[str]) -> None:
    """Refuse pickles and code, by name. Raises HubError."""
    for path in sorted(paths):
        suffix = PurePosixPath(path).suffix.lower()
        if suffix in PICKLES:
            raise HubError(
                f"{repo} holds {path}, which may be a pickle, and a pickle can run code: only "
                "safetensors is used here."
            )
        if suffix in _CODE:
            raise HubError(f"{repo} holds code ({path}): an adapter has none, so it is not used.")


def check_content(name: str, path: Path) -> None:
    """Refuse a file that is a pickle whatever its name says. Raises HubError."""
    with path.open("rb") as file:
        start = file.read(2)
    pickled = start[:1] == b"\x80" and start[1:] in (b"\x02", b"\x03", b"\x04", b"\x05")
    if start == b"PK":  # what torch.save writes is a zip that holds one
        with contextlib.suppress(zipfile.BadZipFile, NotImplementedError):
            with zipfile.ZipFile(path) as archive:
                pickled = any(member.endswith(".pkl") for member in archive.namelist())
    if pickled:
        raise HubError(f"{name} is a pickle, which can run code: only safetensors is used here.")


TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}")
_TEXT = (".json", ".jsonl", ".md", ".txt", ".py", ".css", ".js", ".svg", ".jinja")


def check_secrets(name: str, content: bytes | Path) -> None:
    """Refuse a text that holds what looks like an access token of the Hub. Raises HubError."""
    if PurePosixPath(name).suffix in _TEXT:
        data = content.read_bytes() if isinstance(content, Path) else content
        if TOKEN.search(data.decode("utf-8", "replace")):
            raise HubError(
                f"{name} holds what looks like an access token of the Hub: remove it, and revoke "
                "that token."
            )


def _of_an_adapter(repo: str, listing: Mapping[str, RemoteFile]) -> list[RemoteFile]:
    check_harmless(repo, listing)
    whole = sum(file.size for file in listing.values())
    if whole > LARGEST_ADAPTER:
        largest = max(listing.values(), key=lambda file: file.size)
        raise HubError(
            f"{repo} holds {human_size(whole)}, most of it in {largest.path}: an adapter has at most "
            f"{human_size(LARGEST_ADAPTER)}."
        )
    for needed in ADAPTER_FILES:
        if needed not in listing:
            raise HubError(f"{repo} holds no adapter: {needed} is missing.")
    return [listing[name] for name in (*ADAPTER_FILES, *_BESIDE_ADAPTER) if name in listing]


def _of_a_backbone(repo: str, listing: Mapping[str, RemoteFile]) -> list[RemoteFile]:
    wanted = [file for path, file in listing.items() if _BACKBONE_FILES.fullmatch(path)]
    names = {file.path for file in wanted}
    if "config.json" not in names:
        raise HubError(f"{repo} holds no backbone: config.json is missing.")
    if "model.safetensors" in names:  # then shards of the same model are not needed
        wanted = [
            file for file in wanted if not file.path.startswith(("model-", "model.safetensors."))
        ]
    elif "model.safetensors.index.json" not in names:
        pickled = any(PurePosixPath(path).suffix in PICKLES for path in listing)
        raise HubError(
            f"{repo} has no weights in safetensors"
            + (", only in a pickle, which is not used here." if pickled else ".")
        )
    whole = sum(file.size for file in wanted)
    if whole > LARGEST_BACKBONE:
        raise HubError(
            f"{repo} has {human_size(whole)} of weights: more than {human_size(LARGEST_BACKBONE)} is not "
            "fetched here."
        )
    return wanted


def check_room(repo: str, files: Iterable[RemoteFile], cache: Path) -> None:
    """Refuse a download that the disk has no room for. Raises HubError."""
    folder = cache
    while not folder.exists():
        folder = folder.parent
    needed, free = sum(file.size for file in files), shutil.disk_usage(folder).free
    if needed > free:
        raise HubError(
            f"{repo} needs {human_size(needed)} of disk, and {human_size(free)} are free."
        )


def check_backbone(repo: str, folder: Path) -> None:
    """Refuse a model that only runs with code of its own. Raises HubError."""
    config = _json(repo, folder / "config.json")
    if config.get("auto_map"):
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

        if config.get("model_type") not in CONFIG_MAPPING_NAMES:
            raise HubError(
                f"{repo} runs only with code of its own, and no code of a repository is run here."
            )


def check_adapter(repo: str, folder: Path) -> None:
    """Refuse an adapter whose configuration or shapes are not a plain LoRA's. Raises HubError.

    Whether it fits the backbone is the loader's to say: that needs the backbone.
    """
    from .backbone import ModelError, read_shapes

    weights = folder / "adapter_model.safetensors"
    config = _json(repo, folder / "adapter_config.json")
    check_config(repo, config)
    if weights.stat().st_size < 256:
        raise HubError(
            f"adapter_model.safetensors of {repo} has {weights.stat().st_size} bytes: it is a link "
            "or a placeholder, not weights."
        )
    try:
        shapes = read_shapes(weights)
    except ModelError:
        raise HubError(
            f"adapter_model.safetensors of {repo} is damaged or no safetensors file."
        ) from None
    check_ranks(repo, config, shapes)


# Settings of a LoraConfig that make loading do more than to put matrices beside layers.
_INITIALISATIONS = (True, False, None, "gaussian", "orthogonal")
_NOT_PLAIN = (
    "layer_replication", "modules_to_save", "megatron_config", "trainable_token_indices",
    "target_parameters", "alora_invocation_tokens", "kasa_config", "arrow_config",
    "monteclora_config", "use_bdlora",
)  # fmt: skip


def check_config(repo: str, config: Mapping[str, Any]) -> None:
    """Refuse what is not LoRA, or would change the base or run code when loaded."""
    if str(config.get("peft_type", "")).upper() != "LORA":
        raise HubError(f"{repo} is of the type {config.get('peft_type')}, and only LoRA is used.")
    pattern = config.get("rank_pattern") or {}
    if not isinstance(pattern, Mapping):
        raise HubError(f"{repo} has a rank_pattern that is none: save it as a plain LoRA.")
    for rank in (config.get("r"), *pattern.values()):
        if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= LARGEST_RANK:
            raise HubError(f"{repo} names the rank {rank!r}: it is from 1 to {LARGEST_RANK}.")
    layers = config.get("target_modules")
    if not isinstance(layers, (str, list)) or not all(isinstance(name, str) for name in layers):
        raise HubError(f"{repo} names the layers {layers!r} as target_modules: names are expected.")
    mapping = config.get("auto_mapping") or {}
    library = mapping.get("parent_library") if isinstance(mapping, Mapping) else mapping
    if mapping and not str(library).startswith("transformers."):
        raise HubError(f"{repo} asks for code of its own, and no code of a repository is run here.")
    if config.get("init_lora_weights", True) not in _INITIALISATIONS:
        raise HubError(
            f"{repo} changes the base when loaded (init_lora_weights is "
            f"{config['init_lora_weights']!r}): save it as a plain LoRA."
        )
    for key in _NOT_PLAIN:
        if config.get(key):
            raise HubError(f"{repo} asks for {key}, which a plain LoRA does not have.")


def check_ranks(
    repo: str, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse matrices of another rank than the configuration names."""
    allowed = {config["r"], *(config.get("rank_pattern") or {}).values()}
    for key, shape in shapes.items():
        part = re.search(r"\.lora_([AB])\.weight$", key)
        if part and len(shape) == 2:
            rank = shape[0] if part[1] == "A" else shape[1]
            if rank not in allowed:
                raise HubError(
                    f"{repo} says rank {config['r']} and holds a matrix of rank {rank}: its "
                    "configuration and its weights do not belong together."
                )


def _json(repo: str, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise HubError(f"{path.name} of {repo} cannot be read as JSON.") from None
    if not isinstance(value, dict):
        raise HubError(f"{path.name} of {repo} holds no JSON object.")
    return value


def human_size(count: int) -> str:
    """A number of bytes for a person: 512 bytes, 3.4 MB."""
    size = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
