"""Loads a tokenizer, a base model and its adapters, from folders or from the Hub.

Only safetensors is read; a pickle is refused before anything is unpickled, and no code of a model
repository is ever run. Every fault is a ModelError of one sentence.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path
from types import MethodType
from typing import Any

from summarizer.copying import CopyBias
from summarizer.flag import FlagKept, token_ids
from summarizer.lexicon import FILE as LEXICON
from summarizer.lexicon import Lexicon, WordsOnly
from summarizer.silence import LeastWindows
from summarizer.tasks import Decoding

# Folders named in settings and tasks ("models/base") are looked for from here too, so that the
# commands work from any directory.
ROOT = Path(__file__).resolve().parent.parent

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"


class ModelError(RuntimeError):
    """A model or adapter cannot be loaded or used. The message is one sentence."""


@dataclass(frozen=True)
class Backbone:
    """A base model in memory, with its tokenizer.

    kind: "seq2seq" or "causal". positions: most tokens that its positions reach, None for no limit.
    ends: the tokens that end a text.
    """

    name: str
    path: Path
    revision: str | None
    kind: str
    tokenizer: Any
    model: Any
    positions: int | None
    ends: frozenset[int]

    @cached_property
    def lexicon(self) -> Lexicon | None:
        """The words that `Decoding.lexicon` keeps to, if the base has such a list."""
        return read_lexicon(self.path, self.tokenizer)

    def text_of(self, tokens: Sequence[int]) -> str:
        """The text of generated tokens, without special ones, half characters or outer space."""
        text = self.tokenizer.decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        # A character of several tokens shows as U+FFFD until its last token has come.
        return text.rstrip("\ufffd").strip()

    def pad(self, rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        """Token ids and attention mask, both (rows, longest row), on the model's device.

        Padding stands to the right for an encoder, to the left where the text is continued.
        """
        import torch

        longest = max(len(row) for row in rows)
        ids = torch.full((len(rows), longest), self.tokenizer.pad_token_id)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for place, row in enumerate(rows):
            where = slice(longest - len(row), None) if self.kind == "causal" else slice(len(row))
            ids[place, where] = torch.tensor(row)
            mask[place, where] = 1
        return ids.to(self.model.device), mask.to(self.model.device)


@dataclass(frozen=True)
class AdapterInfo:
    """One adapter as it was loaded.

    base: the backbone its configuration names. rank: LoRA's r. mixes: whether PEFT can run it in
    one batch with the base (not so for DoRA). run, scores: its run.json and scores.json. source:
    how it was asked for, a folder or owner/name@revision.
    """

    name: str
    path: str
    base: str
    rank: int
    revision: str | None
    run: dict[str, Any] | None
    scores: dict[str, Any] | None
    mixes: bool = True
    source: str = ""

    @property
    def label(self) -> str:
        """What a reader calls it: the folder, or owner/name with the commit that was fetched."""
        return shown_name(self.source or self.path, self.revision)


def shown_name(source: str, revision: str | None) -> str:
    """A model as the page and the command line name it; a commit is cut to 12 digits."""
    return f"{source.partition('@')[0]}@{revision[:12]}" if revision else source


def load_backbone(source: str, device: str = "auto", dtype: str = "auto") -> Backbone:
    """The tokenizer and the base model of `source`, ready to generate. Raises ModelError.

    Args:
        source: a folder, or owner/name@revision on the Hub.
        device: "auto" (CUDA where there is one), "cpu" or "cuda".
        dtype: "auto" (see `choose_dtype`), "float32" or "bfloat16".
    """
    device = choose_device(device)
    dtype = choose_dtype(dtype, device)
    path, revision = resolve(source, "backbone")
    _check_backbone_files(source, path)
    with _quiet(), _faults_of(source):
        import torch
        from transformers import (
            AutoConfig,
            AutoModelForCausalLM,
            AutoModelForSeq2SeqLM,
            AutoTokenizer,
        )

        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        kind = "seq2seq" if config.is_encoder_decoder else "causal"
        factory = AutoModelForSeq2SeqLM if kind == "seq2seq" else AutoModelForCausalLM
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        model, report = factory.from_pretrained(
            path,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    if report["missing_keys"] or report["mismatched_keys"]:
        raise ModelError(f"The weights of the backbone {source} are not all there: fetch it again.")
    if not tokenizer.is_fast:
        raise ModelError(f"The backbone {source} has no tokenizer.json, which is needed here.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    # A special token written out in somebody's text ("</s>") is text. A chat template's own are
    # not, so there the text is broken up instead: see `without_special`.
    tokenizer.split_special_tokens = kind == "seq2seq"
    model.to(device).eval().requires_grad_(False)
    model.generation_config = _plain_generation(model.generation_config, tokenizer)
    ends = model.generation_config.eos_token_id
    return Backbone(
        source,
        path,
        revision,
        kind,
        tokenizer,
        model,
        # T5's relative positions have no end; learned and rotary ones do.
        None if config.model_type in _ENDLESS else getattr(config, "max_position_embeddings", None),
        frozenset(ends if isinstance(ends, list) else [ends]),
    )


# The modules that have a part in what is written, besides the libraries and the weights.
WRITERS = (
    "backbone copying findings flag generate lexicon numbers reading sections sides silence tasks text "
    "windows"
).split()


@lru_cache(maxsize=1)
def code_sha256() -> str:
    """A hash of this package's modules that write text."""
    found = hashlib.sha256()
    for name in WRITERS:
        found.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return found.hexdigest()


def fuse_activations(model: Any) -> None:
    """GELU's tanh form as torch's one kernel, in place: four times as fast on a CPU as the seven
    steps of transformers' `NewGELUActivation`, equal to the last bit or two of float32."""
    import torch
    from transformers.activations import NewGELUActivation

    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is NewGELUActivation:
                setattr(module, name, torch.nn.GELU(approximate="tanh"))


def slice_mixed_batches(model: Any) -> None:
    """PEFT's mixed batch by slices, in place, where rows of one adapter stand side by side.

    PEFT gathers an adapter's rows by a list of their places and adds what LoRA makes of them back
    the same way, in every layer: in a small model's short steps that shows. The sums are the same.
    """
    import torch
    from peft.tuners.lora import Linear

    for module in model.modules():
        plain = type(module) is Linear and type(module.get_base_layer()) is torch.nn.Linear
        if plain and not module.lora_variant:
            module._mixed_batch_forward = MethodType(_sliced_forward, module)


def _sliced_forward(
    layer: Any, x: Any, *args: Any, adapter_names: Sequence[str], **kwargs: Any
) -> Any:
    """`peft.tuners.lora.Linear._mixed_batch_forward` of a layer without variants, by slices."""
    result = layer.base_layer(x, *args)
    start = 0
    for name, group in groupby(adapter_names):
        rows = slice(start, start + sum(1 for _ in group))
        start = rows.stop
        if name not in layer.lora_A:  # "__base__"
            continue
        lora_A, lora_B = layer.lora_A[name], layer.lora_B[name]
        part = lora_B(lora_A(x[rows].to(lora_A.weight.dtype))) * layer.scaling[name]
        result[rows] += part.to(result.dtype)
    return result


_ENDLESS = ("t5", "mt5", "umt5", "longt5")


def load_adapters(
    backbone: Backbone, sources: Mapping[str, str]
) -> tuple[Any, dict[str, AdapterInfo]]:
    """The backbone's model with every adapter on it (a PeftModel), and what each of them is.

    Args:
        sources: name -> folder or Hub id. The names are what PEFT's `adapter_names` takes.

    Raises:
        ModelError: no adapter there, a pickle, a damaged file, an adapter of another backbone.
    """
    if not sources:
        raise ModelError("No adapter is named: give at least one.")
    # All are checked before the first is put on the model.
    infos = {name: _inspect_adapter(backbone, name, source) for name, source in sources.items()}
    model: Any = None
    # Read on the CPU and moved below: a ZeroGPU Space has no GPU yet when it loads.
    plain = {"autocast_adapter_dtype": False, "torch_device": "cpu"}
    with _quiet():
        from peft import PeftModel

        for name, info in infos.items():
            with _faults_of(sources[name]):
                if model is None:
                    model = PeftModel.from_pretrained(
                        backbone.model, info.path, adapter_name=name, **plain
                    )
                else:
                    model.load_adapter(info.path, adapter_name=name, **plain)
            _check_all_weights_came(model, name, info.path)
    # One dtype throughout: the base's. Mixed types would cost a cast in every layer.
    first = next(backbone.model.parameters())
    model.to(device=first.device, dtype=first.dtype).eval().requires_grad_(False)
    return model, infos


def chat_parts(tokenizer: Any, before: str, after: str) -> tuple[str, str]:
    """What stands before and after the input for a causal model: its chat template's frame.

    A model without a template is given the prompt, and answers after an empty line.
    """
    if not tokenizer.chat_template:
        return before, after + "\n\n"
    mark = "\u241f"  # a character that no prompt holds
    whole = tokenizer.apply_chat_template(
        [{"role": "user", "content": before + mark + after}],
        tokenize=False,
        add_generation_prompt=True,
    )
    # The frame has its own start mark; the tokenizer must not add a second.
    whole = whole.removeprefix(tokenizer.bos_token or "")
    head, _, tail = whole.partition(mark)
    return head, tail


def generate_arguments(
    decoding: Decoding,
    ends: Iterable[int],
    prompts: Sequence[Sequence[int]],
    lexicon: Lexicon | None = None,
    tokenizer: Any = None,
    windows: Sequence[int] | None = None,
) -> dict[str, Any]:
    """A decoding as transformers' `generate` takes it.

    ends: the model's end marks. prompts: token ids of the rows that it is given, without padding.
    lexicon: the base's; needed where the decoding keeps to it. tokenizer: the base's as well, for
    its flags. windows: how many of the prompts each text has, in their order; None: not
    known, and `least_windows` holds nothing, nor are beams of what is said alone.
    """
    arguments: dict[str, Any] = {
        "num_beams": decoding.num_beams,
        "max_new_tokens": decoding.max_new_tokens,
        "do_sample": False,
    }
    if decoding.no_repeat_ngram_size and not decoding.lexicon:
        arguments["no_repeat_ngram_size"] = decoding.no_repeat_ngram_size
    if decoding.min_new_tokens:
        arguments["min_new_tokens"] = decoding.min_new_tokens
    if decoding.num_beams > 1:
        arguments["length_penalty"] = decoding.length_penalty
    if decoding.end_bias:
        arguments["sequence_bias"] = [[[end], decoding.end_bias] for end in sorted(ends)]
    processors: list[Any] = []
    if decoding.copy_bias:
        processors.append(CopyBias(prompts, decoding.copy_bias, frozenset(ends)))
    if decoding.lexicon:
        if lexicon is None:
            raise ModelError("A lexicon is asked for, and the base model has none.")
        processors.append(WordsOnly(lexicon, prompts, decoding.no_repeat_ngram_size))
    if decoding.flag:  # last, for it may leave one token
        if token_ids(tokenizer) is None:
            raise ModelError("A flag is asked for, and the base model has no token for it.")
        processors.append(FlagKept(tokenizer, decoding.num_beams))
    searched = decoding.num_beams > 1 and any(count > 1 for count in windows or ())
    if windows is not None and (decoding.least_windows or searched):
        processors.append(LeastWindows(windows, decoding.least_windows, ends))
    if processors:
        from transformers import LogitsProcessorList

        arguments["logits_processor"] = LogitsProcessorList(processors)
    return arguments


def read_lexicon(folder: Path, tokenizer: Any) -> Lexicon | None:
    """The lexicon in a base model's folder, None where there is none. Raises ModelError."""
    path = folder / LEXICON
    if not path.is_file():
        return None
    try:
        return Lexicon.read(path, tokenizer)
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"The file {path} cannot be read: {one_line(error)}.") from None


def without_special(tokenizer: Any, text: str) -> str:
    """The text with special tokens written out in it ("<|end|>") broken up by a space."""
    for token in tokenizer.get_added_vocab():
        text = text.replace(token, f"{token[:1]} {token[1:]}")
    return text


def resolve(source: str, what: str = "model") -> tuple[Path, str | None]:
    """Where a model's files lie, fetched from the Hub if need be, and the Hub's revision.

    Args:
        source: a folder (as given, or under the project's root), or owner/name[@revision].
        what: the word for it in an error, "backbone" or "adapter".

    Raises:
        ModelError: neither a folder nor a model that the Hub gives out.
    """
    for path in (Path(source).expanduser(), ROOT / source):
        if path.is_dir():
            return path, None
        if path.is_file():
            raise ModelError(f"{source} is a file: name the folder of the {what}.")
    if not is_hub_id(source):
        raise ModelError(f"The {what} folder {source} is missing.")
    try:
        return _fetch(source, what)
    except ModelError as error:
        if not Path(source).parent.is_dir():
            raise
        raise ModelError(f"There is no folder {source}. On the Hub: {error}") from error


_HUB_ID = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@(?P<revision>[\w./-]{1,200}))?"
)


def is_hub_id(source: str) -> bool:
    """Whether `source` names a repository of the Hub. A path into the project's models does not."""
    return (
        _HUB_ID.fullmatch(source) is not None
        and ".." not in source
        and source.split("/")[0] not in {"models", "runs", "data", "examples"}
    )


def _fetch(source: str, what: str) -> tuple[Path, str]:
    from summarizer.hub import HubError, fetch

    try:
        fetched = fetch(source, what)
    except HubError as error:
        raise ModelError(str(error)) from error
    return fetched.path, fetched.revision


def choose_device(device: str) -> str:
    """The device "auto" stands for. Raises ModelError for one that is not there."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in {"cpu", "cuda"}:
        raise ModelError(f"There is no device {device!r}: choose auto, cpu or cuda.")
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError("No CUDA device is there: use --device cpu or auto.")
    return device


def choose_dtype(dtype: str, device: str) -> str:
    """The number type "auto" stands for on a device: bfloat16 on CUDA, else float32.

    On a CPU float32 keeps a promise that bfloat16 cannot: a text's summary does not depend on
    which other texts share its batch. `python -m summarizer benchmark` times both.
    """
    if dtype == "auto":
        return "bfloat16" if device == "cuda" else "float32"
    if dtype not in {"float32", "bfloat16"}:
        raise ModelError(f"There is no dtype {dtype!r}: choose auto, float32 or bfloat16.")
    return dtype


def cpu_cores() -> int:
    """Physical cores this process may use, a container's limit counted. At least 1."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    if allowed is None:
        return max(1, (os.cpu_count() or 2) // 2)
    siblings = set()
    for cpu in allowed:
        path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            siblings.add(path.read_text().strip())
        except OSError:
            siblings.add(str(cpu))
    cores = len(siblings)
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max": no limit
        pass
    return max(1, cores)


def _check_backbone_files(source: str, path: Path) -> None:
    if not (path / "config.json").is_file():
        raise ModelError(f"The folder {source} holds no backbone: config.json is missing.")
    index = path / "model.safetensors.index.json"
    if index.is_file():
        places = _read_json(index).get("weight_map")
        shards = list(places.values()) if isinstance(places, Mapping) else [None]
        if not all(isinstance(shard, str) for shard in shards):
            raise ModelError(f"The file {index} does not say in which files the weights are.")
        shards = set(shards)
        if any(Path(shard).name != shard for shard in shards):
            raise ModelError(f"The file {index} names weights outside its folder.")
        files = [path / shard for shard in sorted(shards)]
    else:
        files = [path / "model.safetensors"]
    for file in files:
        if not file.is_file():
            if any(path.glob("*.bin")) or any(path.glob("*.pt")):
                raise ModelError(
                    f"The backbone {source} has its weights in a pickle, which is not read here: "
                    "save it as safetensors."
                )
            raise ModelError(f"The backbone {source} lacks its weights file {file.name}.")
        read_shapes(file)


def _inspect_adapter(backbone: Backbone, name: str, source: str) -> AdapterInfo:
    from summarizer.hub import HubError
    from summarizer.hub_files import check_config, check_ranks

    path, revision = resolve(source, "adapter")
    if not (path / ADAPTER_CONFIG).is_file():
        raise ModelError(f"The folder {source} holds no adapter: {ADAPTER_CONFIG} is missing.")
    weights = path / ADAPTER_WEIGHTS
    if not weights.is_file():
        if any(path.glob("*.bin")) or any(path.glob("*.pt")) or any(path.glob("*.pkl")):
            raise ModelError(
                f"The adapter {source} has its weights in a pickle, which is not read here: "
                f"save it as {ADAPTER_WEIGHTS}."
            )
        raise ModelError(f"The folder {source} holds no adapter: {ADAPTER_WEIGHTS} is missing.")
    config = _read_json(path / ADAPTER_CONFIG)
    shapes = read_shapes(weights)
    try:
        check_config(f"The adapter {source}", config)
        check_ranks(f"The adapter {source}", config, shapes)
    except HubError as error:
        raise ModelError(str(error)) from None
    run = _read_json(path / "run.json", optional=True)
    scores = _read_json(path / "scores.json", optional=True)
    base = str(config.get("base_model_name_or_path") or "")
    _check_belongs(backbone, source, base, shapes, run)
    return AdapterInfo(
        name,
        str(path),
        base,
        config["r"],
        revision,
        run,
        scores,
        mixes=not config.get("use_dora"),
        source=source,
    )


_LORA_KEY = re.compile(
    r"(?:base_model\.model\.)?(?P<module>.+?)\."
    r"(?:(?P<part>lora_[AB])\.weight|lora_embedding_(?P<embedding>[AB])|lora_magnitude_vector(?:\.weight)?)"
)


def _check_belongs(
    backbone: Backbone,
    source: str,
    base: str,
    shapes: Mapping[str, tuple[int, ...]],
    run: Mapping[str, Any] | None,
) -> None:
    """Refuse an adapter whose layers are not the backbone's, or that names other base weights."""
    trained_on = f" (it was trained on {base})" if base and base != backbone.name else ""
    other = f"The adapter {source} does not fit the backbone {backbone.name}{trained_on}"
    if not shapes:
        raise ModelError(f"The adapter {source} holds no weights.")
    for key, shape in shapes.items():
        match = _LORA_KEY.fullmatch(key)
        if match is None:
            raise ModelError(f"The adapter {source} holds {key}, which is not LoRA's.")
        if not match["part"]:
            continue
        try:
            weight = backbone.model.get_submodule(match["module"]).weight
        except AttributeError:
            raise ModelError(f"{other}: there is no layer {match['module']}.") from None
        if len(shape) != 2 or len(weight.shape) != 2:
            raise ModelError(f"{other}: {match['module']} is no linear layer.")
        # nn.Linear holds (out, in), the Conv1D of GPT-2 (in, out)
        conv = type(backbone.model.get_submodule(match["module"])).__name__ == "Conv1D"
        out_size, in_size = reversed(weight.shape) if conv else weight.shape
        wanted = in_size if match["part"] == "lora_A" else out_size
        found = shape[1] if match["part"] == "lora_A" else shape[0]
        if found != wanted:
            raise ModelError(
                f"{other}: {match['module']} has size {wanted}, the adapter's {found}."
            )
    of_run = (run or {}).get("base") or {}
    recorded = of_run.get("sha256") if isinstance(of_run, Mapping) else None
    if recorded:
        if recorded != weights_sha256(backbone.path):
            raise ModelError(f"{other}: its run record names other weights of the same shape.")
        return
    # Without a record a name is all there is; a folder's says nothing of what is in it, but for the
    # one that comes with the project.
    names = [text.partition("@")[0].casefold() for text in (base, backbone.name)]
    ours = backbone.path.resolve() == (ROOT / "models" / "base").resolve()
    named = [is_hub_id(name) and not Path(name).is_dir() for name in names]
    if names[0] != names[1] and named[0] and (named[1] or ours):
        raise ModelError(f"{other}: nothing beside it says that both have the same weights.")


def _check_all_weights_came(model: Any, name: str, path: str) -> None:
    """Refuse an adapter whose file lacks layers that its configuration names.

    PEFT only warns of it, and leaves those layers at zero or at random.
    """
    from peft import get_peft_model_state_dict

    # Left to itself, PEFT would ask the Hub about the base's vocabulary here.
    wanted = set(get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False))
    if wanted - set(read_shapes(Path(path) / ADAPTER_WEIGHTS)):
        raise ModelError(f"The weights of the adapter {path} are not all there: fetch it again.")


def weights_sha256(folder: Path | str) -> str:
    """One SHA-256 over the safetensors files of a folder: their names and bytes, in name order.

    An adapter's run record keeps it as `base.sha256`, so that it is never put on other weights.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(folder).glob("*.safetensors")):
        digest.update(path.name.encode())
        digest.update(bytes.fromhex(file_sha256(path)))
    return digest.hexdigest()


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor in a safetensors file, without reading the tensors.

    Raises ModelError for a file that is cut short, damaged, or something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError):
        raise ModelError(
            f"The file {path} is damaged or no safetensors file: fetch it again."
        ) from None


def _read_json(path: Path, *, optional: bool = False) -> Any:
    if optional and not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise ModelError(f"The file {path} cannot be read as JSON.") from None
    if not isinstance(value, dict):
        raise ModelError(f"The file {path} must hold one JSON object.")
    return value


def _plain_generation(given: Any, tokenizer: Any) -> Any:
    """The model's token ids for generation and nothing else.

    A backbone's own defaults (BART's beams and least length, ...) would decode behind the back of
    the decoding that the page shows.
    """
    from transformers import GenerationConfig

    return GenerationConfig(
        bos_token_id=given.bos_token_id,
        eos_token_id=given.eos_token_id
        if given.eos_token_id is not None
        else tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=given.decoder_start_token_id,
        forced_bos_token_id=given.forced_bos_token_id,
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and notes of the libraries on stderr: that is for this program's user."""
    import logging as standard_logging
    import warnings

    from transformers.utils import logging

    # Where bitsandbytes is installed, importing peft makes it tell what it lacks.
    standard_logging.getLogger("bitsandbytes").setLevel(standard_logging.ERROR)
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _faults_of(source: str) -> Iterator[None]:
    """Any fault of the libraries while they load `source`, as a ModelError of one sentence."""
    try:
        yield
    except ModelError:
        raise
    except ImportError as error:
        raise ModelError(f"{source} needs a package that is missing: {one_line(error)}.") from error
    except MemoryError as error:
        raise ModelError(f"{source} does not fit into memory.") from error
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":
            raise ModelError(f"{source} does not fit into the device's memory.") from error
        raise ModelError(f"{source} cannot be loaded: {one_line(error)}.") from error


def one_line(error: BaseException) -> str:
    """An exception's message on one line, at most 200 characters, without a full stop."""
    return " ".join(str(error).split())[:200].rstrip(". ") or type(error).__name__
