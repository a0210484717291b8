"""A training run as data: strict YAML -> frozen dataclasses.

A recipe names everything that a run depends on. Keys that no field answers to, values of the wrong
type and combinations that cannot work are refused here, before anything is read or downloaded, in
one sentence that names the key. Every value can be overridden on the command line, by its own name
(`--lora_rank 8`) or by its path (`--adapter.lora_rank 8`).

This module does not know torch, data or models.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

RECIPES = Path(__file__).parent / "recipes"


class RecipeError(ValueError):
    """A recipe or an override that cannot be run; the message names the key."""


@dataclass(frozen=True)
class Adapter:
    """What is trained."""

    method: Literal["lora", "full"] = "lora"  # full: every weight, no adapter
    lora_rank: int = 16
    lora_alpha: float = 64.0
    lora_dropout: float = 0.1
    target_modules: str | list[str] = "all-linear"
    use_rslora: bool = False  # scale by alpha / sqrt(rank): arXiv 2312.03732
    use_dora: bool = False  # magnitude and direction apart: arXiv 2402.09353
    init_from: str | None = None  # an adapter folder to go on from
    use_8bit: bool = False  # backbone in LLM.int8
    use_4bit: bool = False  # backbone in NF4 (QLoRA)


@dataclass(frozen=True)
class DataFile:
    """One file of rows. A plain string in a recipe is its `path`."""

    path: str  # relative to data_dir
    weight: float = 1.0  # copies of each row in an epoch; a fraction is drawn anew every epoch
    sources: list[str] | None = None  # keep only these
    sections: list[str] | None = None  # keep only these (canonical names)


@dataclass(frozen=True)
class Data:
    """Which rows are shown, and how often."""

    data_dir: str = ""
    train: list[DataFile] = field(default_factory=lambda: [DataFile("train.jsonl")])
    validation: list[DataFile] = field(default_factory=lambda: [DataFile("validation.jsonl")])
    source_weights: dict[str, float] = field(default_factory=dict)  # times the file's weight
    section_weights: dict[str, float] = field(default_factory=dict)  # canonical names
    max_source_share: float | None = None  # of an epoch's rows, in (0, 1]
    section_dropout: float = 0.0  # share of training rows shown without their section
    long_targets: Literal["cut", "drop"] = "cut"  # training targets past max_target_tokens
    max_train_rows: int | None = None
    max_validation_rows: int | None = None


@dataclass(frozen=True)
class Training:
    """How it is trained."""

    num_epochs: float = 5.0
    max_steps: int | None = None  # overrides num_epochs
    batch_size: int = 16  # rows a device and forward pass
    gradient_accumulation_steps: int = 1
    learning_rate: float = 1e-3
    lr_scheduler: Literal["linear", "cosine", "constant", "cosine_with_min_lr"] = "linear"
    warmup: float = 0.05  # below 1: share of all steps; else steps
    optimizer: str = "adamw_torch"
    weight_decay: float = 0.0
    adam_beta2: float = 0.999
    max_grad_norm: float = 1.0
    label_smoothing: float = 0.0
    dropout: float | None = None  # of the backbone; None: as its configuration says
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"  # auto: bf16 where a GPU has it
    weights_dtype: Literal["float32", "bfloat16"] = "float32"  # of the frozen backbone
    gradient_checkpointing: bool = False
    torch_compile: bool = False
    group_by_length: bool = True
    logging_steps: int = 20
    max_minutes: float | None = None  # ends cleanly with the best so far
    save_minutes: float = 5.0  # at most so much is lost to a kill, besides each evaluation's save


@dataclass(frozen=True)
class Evaluation:
    """How the best checkpoint is chosen."""

    every_epochs: float = 1.0
    metric: Literal["rouge1", "rouge2", "rougeL", "focus", "rouge1+focus", "loss"] = "rougeL"
    average: Literal["sources", "rows"] = (
        "sources"  # mean over sources of their means, or over rows
    )
    sources: list[str] | None = None  # the sources that choose; None: all
    batch_size: int = 64
    max_rows: int | None = None  # of validation, evenly over sources
    patience: int | None = None  # evaluations without a better one before it stops


@dataclass(frozen=True)
class Decoding:
    """As summarizer.tasks.Decoding; None: the task's own value."""

    num_beams: int | None = None
    max_new_tokens: int | None = None
    length_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    min_new_tokens: int | None = None


@dataclass(frozen=True)
class Recipe:
    """One training run."""

    name: str
    task: str
    backbone: str = "models/base"  # Hub id or folder
    revision: str | None = None
    architecture: Literal["seq2seq", "causal"] = "seq2seq"
    notice: str | None = None  # printed before anything is read
    prompt: str | None = None  # None: the task's
    prompt_without_section: str | None = None
    max_input_tokens: int | None = None  # None: the task's
    max_target_tokens: int | None = None  # None: the task's max_new_tokens
    decoding: Decoding = field(default_factory=Decoding)
    adapter: Adapter = field(default_factory=Adapter)
    data: Data = field(default_factory=Data)
    training: Training = field(default_factory=Training)
    evaluation: Evaluation = field(default_factory=Evaluation)
    seed: int = 0
    output_dir: str = ""  # empty: models/<name>
    run_dir: str = ""  # checkpoints and logs; empty: runs/<output_dir>

    def to_dict(self) -> dict[str, Any]:
        """The resolved recipe, as run.json carries it."""
        return dataclasses.asdict(self)


def load_recipe(name: str, overrides: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe by name (`train/recipes/<name>.yaml`) or by path, and apply overrides.

    Args:
        name: a recipe's name, or a path that ends in .yaml or .yml.
        overrides: key -> value; a key is a field's name or its dotted path.

    Raises:
        RecipeError: no such recipe; an unknown key; a wrong type; an impossible combination.
    """
    path = _find(name)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise RecipeError(f"{path} is not valid YAML: {_one_line(fault)}.") from None
    if not isinstance(raw, dict):
        raise RecipeError(f"{path} must hold keys and values, not {_kind(raw)}.")
    raw.setdefault("name", path.stem)
    for key, value in (overrides or {}).items():
        _override(raw, key, value)
    return check(_with_defaults(_build(Recipe, raw, "")))


def parse_overrides(arguments: list[str]) -> dict[str, Any]:
    """`["--lora_rank", "8", "--use_dora"]` -> `{"lora_rank": 8, "use_dora": True}`.

    Values are read as YAML, so `--target_modules '[q, v]'` is a list; a flag alone is true.

    Raises:
        RecipeError: a value without a key.
    """
    overrides: dict[str, Any] = {}
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        position += 1
        if not argument.startswith("--"):
            raise RecipeError(f"{argument!r} is not an option: write --key value.")
        key, has_value, text = argument[2:].partition("=")
        if not has_value:
            if position < len(arguments) and not arguments[position].startswith("--"):
                text = arguments[position]
                position += 1
            else:
                text = "true"
        try:
            overrides[key.replace("-", "_")] = yaml.safe_load(text) if text else None
        except yaml.YAMLError:
            overrides[key.replace("-", "_")] = text
    return overrides


def check(recipe: Recipe) -> Recipe:
    """Refuse what cannot work, before anything is read or downloaded.

    Raises:
        RecipeError: one sentence that names the key.
    """
    adapter, data, training, evaluation = (
        recipe.adapter,
        recipe.data,
        recipe.training,
        recipe.evaluation,
    )
    for key, value in (
        ("lora_rank", adapter.lora_rank),
        ("lora_alpha", adapter.lora_alpha),
        ("batch_size", training.batch_size),
        ("gradient_accumulation_steps", training.gradient_accumulation_steps),
        ("learning_rate", training.learning_rate),
        ("num_epochs", training.num_epochs),
        ("logging_steps", training.logging_steps),
        ("evaluation.every_epochs", evaluation.every_epochs),
        ("evaluation.batch_size", evaluation.batch_size),
    ):
        if not value > 0:
            raise RecipeError(f"{key} must be above 0, not {value}.")
    for key, value in (
        ("lora_dropout", adapter.lora_dropout),
        ("section_dropout", data.section_dropout),
        ("label_smoothing", training.label_smoothing),
        ("dropout", training.dropout or 0.0),
    ):
        if not 0 <= value <= (1 if key == "section_dropout" else 0.99):
            raise RecipeError(f"{key} is a share from 0 to 1, not {value}.")
    if data.max_source_share is not None and not 0 < data.max_source_share <= 1:
        raise RecipeError(
            f"max_source_share must be above 0 and at most 1, not {data.max_source_share}."
        )
    if adapter.use_8bit and adapter.use_4bit:
        raise RecipeError("use_8bit and use_4bit exclude each other: choose one.")
    if adapter.method == "full":
        for key in ("use_8bit", "use_4bit", "use_dora", "use_rslora"):
            if getattr(adapter, key):
                raise RecipeError(f"{key} needs method: lora; a full fine-tuning cannot use it.")
    if training.precision == "fp16" and "t5" in recipe.backbone.lower():
        raise RecipeError(
            "precision: fp16 overflows in T5 and FLAN-T5 and ends in NaN: use bf16 or fp32."
        )
    return recipe


def field_names() -> dict[str, list[str]]:
    """Every leaf of a recipe: its own name -> the dotted paths that end in it."""
    names: dict[str, list[str]] = {}
    for path, leaf in _leaves(Recipe, ""):
        names.setdefault(leaf, []).append(path)
    return names


# --- from YAML to dataclasses -------------------------------------------------------------------


def _find(name: str) -> Path:
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise RecipeError(f"There is no recipe file {name}.")
        return path
    path = RECIPES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in RECIPES.glob("*.yaml")))
        raise RecipeError(f"There is no recipe {name!r}; the recipes are {known}.")
    return path


def _override(raw: dict[str, Any], key: str, value: Any) -> None:
    names = field_names()
    paths = [key] if any(key in found for found in names.values()) else names.get(key, [])
    if not paths:
        raise RecipeError(f"{key} is not a key of a recipe; --help lists them.")
    # batch_size is training's and evaluation's: the first section in the recipe's order wins.
    *sections, leaf = min(paths, key=_precedence).split(".")
    place = raw
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise RecipeError(f"{section} must hold keys and values, not {_kind(place)}.")
    place[leaf] = value


def _precedence(path: str) -> int:
    order = ["", "adapter", "data", "training", "evaluation", "decoding"]
    return order.index(path.rpartition(".")[0])


def _leaves(kind: type, prefix: str) -> typing.Iterator[tuple[str, str]]:
    hints = typing.get_type_hints(kind)
    for entry in dataclasses.fields(kind):
        path = f"{prefix}{entry.name}"
        if dataclasses.is_dataclass(hints[entry.name]):
            yield from _leaves(hints[entry.name], f"{path}.")
        else:
            yield path, entry.name


def _build(kind: type, raw: Any, where: str) -> Any:
    if not isinstance(raw, dict):
        raise RecipeError(f"{where or 'A recipe'} must hold keys and values, not {_kind(raw)}.")
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in raw.items():
        path = f"{where}.{key}" if where else str(key)
        if key not in hints:
            known = ", ".join(hints)
            raise RecipeError(f"{path} is not a key of a recipe; known here: {known}.")
        values[key] = _convert(hints[key], value, path)
    missing = [
        entry.name
        for entry in dataclasses.fields(kind)
        if entry.name not in values
        and entry.default is dataclasses.MISSING
        and entry.default_factory is dataclasses.MISSING
    ]
    if missing:
        prefix = f"{where}." if where else ""
        raise RecipeError(f"{prefix}{missing[0]} is missing.")
    return kind(**values)


def _convert(hint: Any, value: Any, path: str) -> Any:
    """The value as the type `hint`, or a RecipeError that names `path`."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        faults = []
        for option in options:
            if option is type(None):
                continue
            try:
                return _convert(option, value, path)
            except RecipeError as fault:
                faults.append(fault)
        raise faults[-1]
    if origin is Literal:
        if value in typing.get_args(hint):
            return value
        raise RecipeError(
            f"{path} must be one of {', '.join(typing.get_args(hint))}, not {value!r}."
        )
    if dataclasses.is_dataclass(hint):
        if hint is DataFile and isinstance(value, str):
            value = {"path": value}
        return _build(hint, value, path)
    if origin is list:
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            raise RecipeError(f"{path} must be a list, not {_kind(value)}.")
        (inner,) = typing.get_args(hint)
        return [_convert(inner, item, f"{path}[{place}]") for place, item in enumerate(value)]
    if origin is dict:
        if not isinstance(value, dict):
            raise RecipeError(f"{path} must hold keys and values, not {_kind(value)}.")
        _, inner = typing.get_args(hint)
        return {str(key): _convert(inner, item, f"{path}.{key}") for key, item in value.items()}
    return _scalar(hint, value, path)


def _scalar(hint: type, value: Any, path: str) -> Any:
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str):
        return value
    if hint in (int, float) and not isinstance(value, bool):
        if isinstance(value, str):  # YAML reads 1e-3 as text
            try:
                value = float(value)
            except ValueError:
                raise RecipeError(f"{path} must be a number, not {value!r}.") from None
        if isinstance(value, (int, float)) and (hint is float or value == int(value)):
            return hint(value)
    name = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}[hint]
    raise RecipeError(f"{path} must be {name}, not {value!r}.")


def _with_defaults(recipe: Recipe) -> Recipe:
    output_dir = recipe.output_dir or f"models/{recipe.name}"
    slug = "-".join(part for part in Path(output_dir).parts if part not in ("/", "..", "."))
    data = recipe.data
    if not data.data_dir:
        data = dataclasses.replace(data, data_dir=f"data/{recipe.task}")
    return dataclasses.replace(
        recipe, output_dir=output_dir, run_dir=recipe.run_dir or f"runs/{slug}", data=data
    )


def _kind(value: Any) -> str:
    return {dict: "keys and values", list: "a list", str: "text", type(None): "nothing"}.get(
        type(value), f"{value!r}"
    )


def _one_line(fault: Exception) -> str:
    return " ".join(str(fault).split())
