"""A training run as data: a YAML file in train/recipes -> frozen dataclasses.

A recipe names everything that a run depends on. Keys that no field answers to, values of the wrong
type and combinations that cannot work are refused here, before anything is read or downloaded, in
one sentence that names the key. Every value can be overridden on the command line, by its own name
(`--lora_rank 8`) or by its path (`--adapter.lora_rank 8`).

This module does not know torch, data or models.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from train.errors import RecipeError
from train.strict import build, override, parse_overrides, read_yaml

__all__ = ["Recipe", "RecipeError", "check", "load_recipe", "parse_overrides"]

RECIPES = Path(__file__).parent / "recipes"
# How the names of encoder-decoders are known: flan-t5-base, byt5-small, bart-large, ...
_T5 = re.compile(r"(?<!gp)t5")
_ENCODER_DECODER = re.compile(rf"{_T5.pattern}|bart|pegasus|marian|prophetnet")


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
    # other adapters of the same start and their shares of the weights that are kept, the rest what
    # this run learned: their mean is better than each of them (arXiv 2203.05482), and with a share
    # of init_from itself what was known is not lost (arXiv 2109.01903)
    mixed: dict[str, float] = field(default_factory=dict)
    use_8bit: bool = False  # backbone in LLM.int8 (arXiv 2208.07339)
    use_4bit: bool = False  # backbone in NF4: QLoRA (arXiv 2305.14314)


@dataclass(frozen=True)
class DataFile:
    """One file of rows. A plain string in a recipe is its `path`."""

    path: str  # relative to data_dir
    weight: float = 1.0  # copies of each row in an epoch; a fraction is drawn anew every epoch
    sources: list[str] | None = None  # keep only these
    sections: list[str] | None = None  # keep only these (canonical names)
    told: Literal["normal", "abnormal"] | None = None  # keep only reports whose target tells so
    # leave out target sentences of whose words the input holds less than this share (train.support)
    supported: float | None = None
    # a few turns each, with the target sentences that they bear out to this share, in place of the
    # whole rows (train.excerpts)
    excerpts: float | None = None
    # the windows of each conversation, with the target sentences that they bear out to this share;
    # the recipe's window_words says how long they are (train.windows)
    windowed: float | None = None
    # what else of the note was said in such a window is told by rule (train.retell)
    retold: bool = False
    # so many more copies of each conversation, with other names in it and its note (train.exchange)
    exchanged: int = 0
    # so many radiology reports composed of the file's, in place of them (train.compose)
    composed: int | None = None

    @classmethod
    def from_text(cls, text: str) -> DataFile:
        return cls(text)


@dataclass(frozen=True)
class Data:
    """Which rows are shown, and how often."""

    data_dir: str = ""  # empty: data/<task>
    train: list[DataFile] = field(default_factory=lambda: [DataFile("train.jsonl")])
    validation: list[DataFile] = field(default_factory=lambda: [DataFile("validation.jsonl")])
    source_weights: dict[str, float] = field(default_factory=dict)  # times the file's weight
    section_weights: dict[str, float] = field(default_factory=dict)  # canonical names
    # Of reports whose impression tells a finding, and of those that are coded abnormal (`normal`:
    # false) and whose impression tells none.
    abnormal_weight: float = 1.0
    silent_weight: float = 1.0
    # Impressions begin with a flag for normal or abnormal (summarizer.flag), whose token counts for
    # so many tokens in the loss, or so many rows (loss_average). None: no flags.
    flag_weight: float | None = None
    silent_windows: float = 1.0  # weight of windows of which the target says nothing
    max_source_share: float | None = None  # of an epoch's rows, in (0, 1]
    section_dropout: float = 0.0  # share of training rows shown without their section
    long_targets: Literal["cut", "drop"] = "cut"  # training targets past max_target_tokens
    packing: bool = False  # causal models: several rows in one sequence, none sees another
    packed_tokens: int = 1024  # length of such a sequence
    expected_rows: int | None = None  # of training, for --dry-run before the data is prepared
    max_train_rows: int | None = None
    max_validation_rows: int | None = None


@dataclass(frozen=True)
class Prepare:
    """How `python -m train.prepare` makes data_dir: from one of the Hub, files or publishers."""

    hub: str | None = None  # a data set's id
    hub_config: str | None = None
    hub_revision: str | None = None
    files: list[str] = field(default_factory=list)  # local JSONL, CSV, Excel or Parquet
    published: list[str] = field(default_factory=list)  # names in train/published.py
    # Published sets for training alone, each in a file of its own: ../aux/<name>.jsonl
    aux: list[str] = field(default_factory=list)
    mirror: str | None = None  # another root that serves the publishers' paths
    columns: dict[str, str] = field(default_factory=dict)  # our field -> the column there
    split: Literal["official", "random", "group"] = "random"
    official: dict[str, str] = field(default_factory=dict)  # our split -> its name there
    shares: list[float] = field(default_factory=lambda: [0.8, 0.1, 0.1])
    split_seed: int = 0
    group_by: str | None = None  # a field, such as patient: a group is in one split
    min_input_characters: int = 1
    min_target_characters: int = 1
    max_target_characters: int | None = None
    leaks: Literal["fail", "drop", "allow"] = "fail"  # drop: from training, never from a test
    near_duplicate: float = 0.8  # Jaccard similarity of word 5-grams that counts as a leak
    max_rows: int | None = None  # of each split, for a try


@dataclass(frozen=True)
class Scaling:
    """Seed 004's three ways to serve many kinds of report."""

    # One model that is told the segment: it stands in the prompt's {section}.
    input_feature: Literal["modality", "clinic", "section"] | None = None
    # An adapter for each cluster of reporting style; train.prepare finds the clusters.
    clusters: int | None = None
    cluster_by: str = "clinic"  # whose reports share a style
    cluster: int | None = None  # train this one alone; None: one after the other
    # More of the rare: rows of a segment are shown up to this share of the commonest one's.
    augment: Literal["modality", "clinic", "section", "source"] | None = None
    augment_share: float = 0.25
    augment_copies: int = 4  # most copies of a row
    shuffle_findings: bool = True  # the copies' sentences in another order (inputs only)


@dataclass(frozen=True)
class Training:
    """How it is trained."""

    num_epochs: float = 5.0
    max_steps: int | None = None  # overrides num_epochs
    batch_size: int = 16  # rows (or packed sequences) a device and forward pass
    gradient_accumulation_steps: int = 1
    learning_rate: float = 1e-3
    lr_scheduler: Literal["linear", "cosine", "constant", "cosine_with_min_lr"] = "linear"
    warmup: float = 0.05  # below 1: share of all steps; else steps
    optimizer: Literal[
        "adamw_torch", "adamw_torch_fused", "adamw_8bit", "paged_adamw_8bit", "adafactor"
    ] = "adamw_torch"
    weight_decay: float = 0.0
    adam_beta2: float = 0.999
    max_grad_norm: float = 1.0
    label_smoothing: float = 0.0
    # What a step's loss is the mean of: "tokens", where a long answer counts for as much as many
    # short ones; or "rows", where each answer counts the same, as it does in the scores.
    loss_average: Literal["tokens", "rows"] = "tokens"
    dropout: float | None = None  # of the backbone; None: as its configuration says
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"  # auto: bf16 where a GPU has it
    weights_dtype: Literal["float32", "bfloat16"] = "float32"  # of the frozen backbone
    gradient_checkpointing: bool = False
    torch_compile: bool = False
    group_by_length: bool = True
    logging_steps: int = 20
    max_minutes: float | None = None  # ends cleanly with the best so far
    save_minutes: float = 5.0  # at most so much is lost to a kill, besides each evaluation's save
    use_wandb: bool = False  # Weights & Biases besides TensorBoard


@dataclass(frozen=True)
class Distillation:
    """What is learned from other adapters of the same backbone (train.distill)."""

    teachers: list[str] = field(default_factory=list)  # their folders
    weight: float = 0.5  # of what they say, in the loss of each token; the rest is the target's


@dataclass(frozen=True)
class Reward:
    """What a text is worth (train.reward): shares of its scores, from 0 to 1 each."""

    rouge1: float = 0.5
    rouge2: float = 0.0
    rougeL: float = 0.5
    focus: float = 0.0  # the reference's focus words that the text names
    told: float = 0.2  # a report told as normal or as abnormal, as the reference tells it
    invented: float = 0.3  # taken off for words that neither the reference nor the input has
    scattered: float = 0.0  # taken off for words that stand together neither there nor there
    faults: float = 0.0  # taken off for each: a wrong side, denial or number, a repetition
    # Silence where the reference is empty, as that of a window that a note leaves out is; None: what
    # the scores together could earn
    silence: float | None = None
    turned: float = 0.0  # taken off for what a conversation affirms or denies, told otherwise
    awkward: float = 0.0  # taken off for sentences that no clinician would write so


@dataclass(frozen=True)
class Policy:
    """What is learned from the texts that the adapter writes itself (train.policy)."""

    samples: int = 0  # texts drawn of each row in each step; 0: the references alone are learned
    reward: Reward = field(default_factory=Reward)
    most_windows: int = 6  # inputs of more windows are left out: each is written `samples` times
    # What a window answers for: the whole text, or what it changes in it
    credit: Literal["text", "window"] = "text"
    # What counts alike: every text, or every window, so that a visit of forty counts forty times
    weight: Literal["text", "window"] = "text"
    # Beside the drawn texts, the reference's flag is learned (data.flag_weight): so much of its loss
    flag: float = 0.0


@dataclass(frozen=True)
class Evaluation:
    """How the best checkpoint is chosen."""

    every_epochs: float = 1.0
    metric: Literal["rouge1", "rouge2", "rougeL", "focus", "rouge1+focus", "loss"] = "rougeL"
    average: Literal["sources", "rows"] = "sources"  # mean of the sources' means, or of all rows
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
    end_bias: float | None = None
    copy_bias: float | None = None
    lexicon: bool | None = None
    flag: bool | None = None
    least_windows: float | None = None


@dataclass(frozen=True)
class Recipe:
    """One training run."""

    name: str
    task: str
    backbone: str = "models/base"  # Hub id or folder
    revision: str | None = None  # of a backbone on the Hub: its commit; None is today's
    architecture: Literal["seq2seq", "causal"] = "seq2seq"
    notice: str | None = None  # printed before anything is read
    prompt: str | None = None  # None: the task's
    prompt_without_section: str | None = None
    max_input_tokens: int | None = None  # None: the task's
    max_target_tokens: int | None = None  # None: the task's max_new_tokens
    # longer conversations are read in windows of so many words (summarizer.windows); None: whole
    window_words: int | None = None
    decoding: Decoding = field(default_factory=Decoding)
    adapter: Adapter = field(default_factory=Adapter)
    data: Data = field(default_factory=Data)
    training: Training = field(default_factory=Training)
    distillation: Distillation = field(default_factory=Distillation)
    policy: Policy = field(default_factory=Policy)
    evaluation: Evaluation = field(default_factory=Evaluation)
    prepare: Prepare = field(default_factory=Prepare)
    scaling: Scaling = field(default_factory=Scaling)
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
    raw = read_yaml(path)
    raw.setdefault("name", path.stem)
    if "backbone" in (overrides or {}):
        raw.pop("revision", None)  # it is the other backbone's
    for key, value in (overrides or {}).items():
        override(Recipe, raw, key, value)
    return check(_with_defaults(build(Recipe, raw)))


def recipe_names() -> list[str]:
    """The recipes that can be named, sorted."""
    return sorted(file.stem for file in RECIPES.glob("*.yaml"))


def _find(name: str) -> Path:
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise RecipeError(f"There is no recipe file {name}.")
        return path
    path = RECIPES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(recipe_names())
        raise RecipeError(
            f"There is no recipe {name!r} (its name comes first, then --key value); the recipes are "
            f"{known}."
        )
    return path


def _with_defaults(recipe: Recipe) -> Recipe:
    output_dir = recipe.output_dir or f"models/{recipe.name}"
    slug = "-".join(part for part in Path(output_dir).parts if part not in ("/", "..", "."))
    data_dir = recipe.data.data_dir or f"data/{recipe.task}"
    return dataclasses.replace(
        recipe,
        output_dir=output_dir,
        run_dir=recipe.run_dir or f"runs/{slug}",
        data=dataclasses.replace(recipe.data, data_dir=data_dir),
    )


# --- what cannot work ---------------------------------------------------------------------------


def check(recipe: Recipe) -> Recipe:
    """Refuse what cannot work, before anything is read or downloaded.

    Raises:
        RecipeError: one sentence that names the key.
    """
    _check_ranges(recipe)
    _check_adapter(recipe)
    _check_precision(recipe)
    _check_architecture(recipe)
    _check_policy(recipe)
    _check_prepare(recipe)
    _check_scaling(recipe)
    return recipe


def _check_ranges(recipe: Recipe) -> None:
    adapter, training, evaluation = recipe.adapter, recipe.training, recipe.evaluation
    above_zero = {
        "lora_rank": adapter.lora_rank,
        "lora_alpha": adapter.lora_alpha,
        "batch_size": training.batch_size,
        "gradient_accumulation_steps": training.gradient_accumulation_steps,
        "learning_rate": training.learning_rate,
        "num_epochs": training.num_epochs,
        "max_steps": training.max_steps,
        "logging_steps": training.logging_steps,
        "max_minutes": training.max_minutes,
        "max_input_tokens": recipe.max_input_tokens,
        "max_target_tokens": recipe.max_target_tokens,
        "window_words": recipe.window_words,
        "packed_tokens": recipe.data.packed_tokens,
        "evaluation.every_epochs": evaluation.every_epochs,
        "evaluation.batch_size": evaluation.batch_size,
        "patience": evaluation.patience,
        "max_train_rows": recipe.data.max_train_rows,
        "max_validation_rows": recipe.data.max_validation_rows,
        "expected_rows": recipe.data.expected_rows,
        "evaluation.max_rows": evaluation.max_rows,
        "prepare.max_rows": recipe.prepare.max_rows,
    }
    for key, value in above_zero.items():
        if value is not None and not value > 0:
            raise RecipeError(f"{key} must be above 0, not {value}.")
    below_one = {
        "lora_dropout": adapter.lora_dropout,
        "label_smoothing": training.label_smoothing,
        "dropout": training.dropout,
        "adam_beta2": training.adam_beta2,
    }
    for key, value in below_one.items():
        if value is not None and not 0 <= value < 1:
            raise RecipeError(f"{key} is a share from 0 to below 1, not {value}.")
    if not 0 <= recipe.data.section_dropout <= 1:
        raise RecipeError(
            f"section_dropout is a share from 0 to 1, not {recipe.data.section_dropout}."
        )
    for file in recipe.data.train:
        for key in ("supported", "excerpts", "windowed"):
            share = getattr(file, key)
            if share is not None and not 0 < share <= 1:
                raise RecipeError(f"{key} of {file.path} is a share above 0, up to 1, not {share}.")
        if file.windowed is not None and recipe.window_words is None:
            raise RecipeError(f"windowed of {file.path} needs window_words: how long a window is.")
        if file.retold and file.windowed is None:
            raise RecipeError(f"retold of {file.path} needs windowed: it fills windows' notes up.")
        if file.exchanged and (file.exchanged < 0 or recipe.task != "dialogue"):
            raise RecipeError(
                f"exchanged of {file.path} is a number of copies of a conversation, not "
                f"{file.exchanged} of {recipe.task}."
            )
        if file.exchanged and not file.retold:
            raise RecipeError(
                f"exchanged of {file.path} needs retold: where answers are turned round, the note is "
                "false."
            )
        if file.told is not None and file.composed is not None:
            raise RecipeError(
                f"told and composed of {file.path} exclude each other: a report is composed of both "
                "kinds."
            )
        if file.composed is not None and (file.composed < 1 or recipe.task != "radiology"):
            raise RecipeError(
                f"composed of {file.path} is a number of radiology reports, above 0, not "
                f"{file.composed} of {recipe.task}."
            )
    for file in [*recipe.data.train, *recipe.data.validation]:
        if file.told is not None and recipe.task != "radiology":
            raise RecipeError(
                f"told of {file.path} is for the impressions of radiology reports, not for "
                f"{recipe.task}."
            )
    flag_weight = recipe.data.flag_weight
    if flag_weight is not None:
        if not flag_weight > 0:
            raise RecipeError(f"flag_weight must be above 0, not {flag_weight}.")
        if recipe.task != "radiology" or recipe.architecture == "causal":
            raise RecipeError(
                "flag_weight is for impressions of radiology reports, written by an "
                f"encoder-decoder, not for {recipe.task} with a {recipe.architecture} model."
            )
    elif recipe.decoding.flag:
        raise RecipeError("decoding.flag needs flag_weight: nothing else teaches the flags.")
    for key in ("weight_decay", "warmup", "max_grad_norm", "save_minutes"):
        if getattr(training, key) < 0:
            raise RecipeError(f"{key} must not be below 0, not {getattr(training, key)}.")
    for key in ("abnormal_weight", "silent_weight", "silent_windows"):
        weight = getattr(recipe.data, key)
        if weight < 0:
            raise RecipeError(f"{key} must not be below 0, not {weight}.")
        if key != "silent_windows" and weight != 1.0 and recipe.task != "radiology":
            raise RecipeError(
                f"{key} is for the impressions of radiology reports, not for {recipe.task}."
            )
    for key, seed in (("seed", recipe.seed), ("split_seed", recipe.prepare.split_seed)):
        if not 0 <= seed < 2**32:
            raise RecipeError(f"{key} must be a whole number from 0 to {2**32 - 1}, not {seed}.")
    if not 0 < recipe.distillation.weight <= 1:
        raise RecipeError(
            "distillation.weight is a share above 0, up to 1, not "
            f"{recipe.distillation.weight}; without teachers it plays no part."
        )
    share = recipe.data.max_source_share
    if share is not None and not 0 < share <= 1:
        raise RecipeError(f"max_source_share must be above 0 and at most 1, not {share}.")
    weights = recipe.data.source_weights | recipe.data.section_weights
    for name, weight in [(file.path, file.weight) for file in recipe.data.train] + [
        *weights.items()
    ]:
        if weight < 0:
            raise RecipeError(f"data: the weight of {name} must not be below 0, not {weight}.")


def _check_adapter(recipe: Recipe) -> None:
    adapter = recipe.adapter
    if not adapter.target_modules:
        raise RecipeError("target_modules must name a layer, or be all-linear.")
    shares = list(adapter.mixed.values())
    if any(share <= 0 for share in shares) or sum(shares) >= 1:
        raise RecipeError(f"mixed: the shares must be above 0, together below 1, not {shares}.")
    if adapter.mixed and adapter.method == "full":
        raise RecipeError("mixed is of adapters, which method full does not train: leave it out.")
    if adapter.use_8bit and adapter.use_4bit:
        raise RecipeError("use_8bit and use_4bit exclude each other: choose one.")
    if adapter.method == "full":
        for key in ("use_8bit", "use_4bit", "use_dora", "use_rslora", "init_from"):
            if getattr(adapter, key):
                raise RecipeError(
                    f"{key} needs method: lora; a full fine-tuning trains every weight as it is."
                )


def _check_precision(recipe: Recipe) -> None:
    if recipe.training.precision == "fp16" and (
        _T5.search(_own_name(recipe)) or recipe.backbone.startswith("models/")
    ):
        raise RecipeError(
            "precision: fp16 overflows in T5 and FLAN-T5 and ends in NaN: use bf16 or fp32."
        )
    if recipe.training.precision == "fp16" and recipe.training.weights_dtype == "bfloat16":
        raise RecipeError("weights_dtype: bfloat16 and precision: fp16 exclude each other.")
    if recipe.adapter.method == "full" and recipe.training.weights_dtype == "bfloat16":
        raise RecipeError(
            "weights_dtype: bfloat16 loses a full fine-tuning's small updates: use float32."
        )


def _own_name(recipe: Recipe) -> str:
    """The backbone's name without its owner: it tells the family before anything is downloaded."""
    return recipe.backbone.lower().rstrip("/").rpartition("/")[2].partition("@")[0]


def _check_architecture(recipe: Recipe) -> None:
    data = recipe.data
    if recipe.architecture == "causal" and _ENCODER_DECODER.search(_own_name(recipe)):
        packing = " --packing false" if data.packing else ""
        raise RecipeError(
            f"{'packing and ' if packing else ''}architecture: causal do not go with the "
            f"encoder-decoder {recipe.backbone}: add --architecture seq2seq{packing}."
        )
    if data.packing and recipe.architecture == "seq2seq":
        raise RecipeError(
            "packing needs architecture: causal; an encoder-decoder's inputs and answers are two "
            "sequences."
        )
    if data.packing and recipe.max_input_tokens and recipe.max_target_tokens:
        longest = recipe.max_input_tokens + recipe.max_target_tokens
        if longest > data.packed_tokens:
            raise RecipeError(
                f"packed_tokens ({data.packed_tokens}) must hold max_input_tokens and "
                f"max_target_tokens together ({longest})."
            )
    if recipe.architecture == "causal" and recipe.training.label_smoothing:
        raise RecipeError("label_smoothing needs architecture: seq2seq.")
    if recipe.architecture == "causal" and recipe.distillation.teachers:
        raise RecipeError("distillation.teachers needs architecture: seq2seq.")
    if recipe.architecture == "causal" and recipe.training.loss_average == "rows":
        raise RecipeError("loss_average: rows needs architecture: seq2seq.")


def _check_policy(recipe: Recipe) -> None:
    policy, adapter = recipe.policy, recipe.adapter
    if recipe.decoding.least_windows:
        raise RecipeError(
            "decoding.least_windows is chosen when an adapter is trained, by python -m train.decoding "
            "--least: validation in training writes each window by itself."
        )
    if policy.samples == 0:
        for key, asked in (
            ("flag", policy.flag),
            ("weight: window", policy.weight == "window"),
            ("reward.silence", policy.reward.silence is not None),
        ):
            if asked:
                raise RecipeError(f"policy.{key} needs policy.samples: nothing is drawn without.")
        return
    if policy.weight == "window" and recipe.window_words is None:
        raise RecipeError("policy.weight: window needs window_words: how long a window is.")
    if policy.reward.silence is not None and not any(file.windowed for file in recipe.data.train):
        raise RecipeError(
            "policy.reward.silence needs a file that is windowed: no other target is empty."
        )
    if policy.samples < 2:
        raise RecipeError(
            f"policy.samples must be 0, or at least 2 texts that are held against each other, not "
            f"{policy.samples}."
        )
    if policy.flag < 0:
        raise RecipeError(f"policy.flag must not be below 0, not {policy.flag}.")
    if policy.flag and recipe.data.flag_weight is None:
        raise RecipeError("policy.flag needs flag_weight: without it there is no flag.")
    if policy.most_windows < 1:
        raise RecipeError(f"policy.most_windows must be at least 1, not {policy.most_windows}.")
    shares = dataclasses.asdict(policy.reward)
    for key, share in shares.items():
        if share is not None and share < 0:
            raise RecipeError(f"policy.reward.{key} must not be below 0, not {share}.")
    if not any(shares[key] for key in ("rouge1", "rouge2", "rougeL", "focus")):
        raise RecipeError("policy.reward needs a share of rouge1, rouge2, rougeL or focus.")
    if recipe.architecture == "causal":
        raise RecipeError("policy.samples needs architecture: seq2seq.")
    for key in ("use_4bit", "use_8bit", "use_dora"):
        if getattr(adapter, key):
            raise RecipeError(f"policy.samples and {key} exclude each other.")
    if adapter.method == "full":
        raise RecipeError("policy.samples needs method: lora.")
    if recipe.distillation.teachers:
        raise RecipeError("policy.samples and distillation.teachers exclude each other.")


def _check_prepare(recipe: Recipe) -> None:
    prepare = recipe.prepare
    named = [key for key in ("hub", "files", "published") if getattr(prepare, key)]
    if len(named) > 1:
        without = "--hub null" if "hub" in named else "--published '[]'"
        raise RecipeError(
            f"prepare.{named[0]} and prepare.{named[1]} exclude each other: take one away, as with "
            f"{without}."
        )
    if len(prepare.shares) != 3 or min(prepare.shares) <= 0 or abs(sum(prepare.shares) - 1) > 1e-6:
        raise RecipeError(
            "prepare.shares must be three numbers above 0 that add up to 1: train, validation, test."
        )
    if prepare.split == "group" and not prepare.group_by:
        raise RecipeError("prepare.split: group needs prepare.group_by, such as patient.")
    if not 0 < prepare.near_duplicate <= 1:
        raise RecipeError("prepare.near_duplicate is a similarity above 0 and at most 1.")
    if prepare.max_target_characters is not None and (
        prepare.max_target_characters < prepare.min_target_characters
    ):
        raise RecipeError("prepare.max_target_characters is below min_target_characters.")


def _check_scaling(recipe: Recipe) -> None:
    scaling = recipe.scaling
    if scaling.clusters is not None and scaling.clusters < 2:
        raise RecipeError(f"scaling.clusters must be at least 2, not {scaling.clusters}.")
    if scaling.cluster is not None and not 0 <= scaling.cluster < (scaling.clusters or 0):
        raise RecipeError("scaling.cluster must be a number from 0 to below scaling.clusters.")
    if not 0 < scaling.augment_share <= 1:
        raise RecipeError("scaling.augment_share must be above 0 and at most 1.")
    if scaling.augment_copies < 1:
        raise RecipeError("scaling.augment_copies must be at least 1.")
    if scaling.input_feature in ("modality", "clinic") and (
        recipe.prompt is None or "{section}" not in recipe.prompt
    ):
        raise RecipeError(
            f"scaling.input_feature: {scaling.input_feature} needs a prompt with {{section}}, where "
            "it is told to the model."
        )


def check_installed(recipe: Recipe) -> None:
    """Refuse a recipe that needs a package which is not installed, before anything is read.

    Raises:
        RecipeError: one sentence that names the key and the package.
    """
    wanted = {
        "use_4bit": ("bitsandbytes", recipe.adapter.use_4bit),
        "use_8bit": ("bitsandbytes", recipe.adapter.use_8bit),
        "optimizer": ("bitsandbytes", recipe.training.optimizer.endswith("8bit")),
        "use_wandb": ("wandb", recipe.training.use_wandb),
    }
    for key, (package, asked) in wanted.items():
        if asked and importlib.util.find_spec(package) is None:
            raise RecipeError(f"{key} needs {package}: run pip install {package}.")
