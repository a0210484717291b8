"""Tokenizer, backbone and adapter of a recipe, and the folder that an adapter is saved as."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from summarizer.backbone import ModelError, is_hub_id, resolve, weights_sha256
from summarizer.flag import TOKENS as FLAGS
from summarizer.flag import token_ids
from summarizer.lexicon import FILE as LEXICON
from train.errors import RecipeError
from train.recipe import Recipe, load_recipe, recipe_names

# The files that say what a model is and how it reads text; none of them holds a weight.
DESCRIPTION = ("*.json", "*.txt", "*.jinja", "*.model")


@dataclass(frozen=True)
class Source:
    """Where a backbone's files lie on this machine, and the Hub's revision of them."""

    folder: Path
    revision: str | None


def fetch_backbone(recipe: Recipe) -> Source:
    """The backbone's folder, downloaded from the Hub if need be: safetensors, never a pickle.

    Raises:
        RecipeError: neither a folder nor a model that the Hub gives out.
    """
    try:
        return Source(*resolve(pinned(recipe), "backbone"))
    except ModelError as fault:
        raise RecipeError(f"backbone: {fault}") from None


def pinned(recipe: Recipe) -> str:
    """The backbone as it is asked for: a folder, or owner/name with the recipe's revision."""
    source = recipe.backbone
    if recipe.revision is not None and is_hub_id(source) and "@" not in source:
        return f"{source}@{recipe.revision}"
    return source


def fetch_description(recipe: Recipe) -> Source:
    """Like `fetch_backbone`, but of the Hub's files only configuration and tokenizer.

    They tell what cannot work, and how long texts are, before gigabytes are downloaded.

    Raises:
        RecipeError: neither a folder nor a model that the Hub gives out.
    """
    from summarizer.hub import HubError, HubName, client, patiently, told

    source = pinned(recipe)
    if not is_hub_id(source) or Path(source).is_dir():
        return fetch_backbone(recipe)
    try:
        name = HubName.parse(source)
        api = client()
        with told(name, f"fetch the configuration of {name.id}"):
            folder = patiently(
                lambda: api.snapshot_download(
                    name.id, revision=name.revision, allow_patterns=list(DESCRIPTION)
                )
            )
    except HubError as fault:
        raise RecipeError(f"backbone: {fault}") from None
    return Source(Path(folder), None)


def read_config(recipe: Recipe, source: Source) -> Any:
    """The backbone's configuration, held against the recipe before any weight is read.

    Raises:
        RecipeError: another architecture, a limit past its positions, fp16 with a T5.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(source.folder)
    except (OSError, ValueError) as fault:
        raise RecipeError(f"backbone {recipe.backbone} cannot be read: {_first(fault)}") from None
    kind = "seq2seq" if config.is_encoder_decoder else "causal"
    if kind != recipe.architecture:
        raise RecipeError(
            f"architecture is {recipe.architecture}, but backbone {recipe.backbone} is {kind}."
        )
    if recipe.training.precision == "fp16" and config.model_type.endswith("t5"):
        raise RecipeError("precision: fp16 overflows in T5 and ends in NaN: use bf16 or fp32.")
    positions = getattr(config, "max_position_embeddings", None)
    wanted = max(recipe.max_input_tokens or 0, recipe.max_target_tokens or 0)
    if kind == "causal":
        wanted = (recipe.max_input_tokens or 0) + (recipe.max_target_tokens or 0)
    if positions is not None and not config.model_type.endswith("t5") and wanted > positions:
        raise RecipeError(
            f"max_input_tokens: backbone {recipe.backbone} has {positions} positions, and "
            f"{wanted} are asked for."
        )
    if recipe.training.dropout is not None:
        for key in ("dropout_rate", "dropout", "resid_pdrop", "embd_pdrop"):
            if hasattr(config, key):
                setattr(config, key, recipe.training.dropout)
    return config


def load_tokenizer(recipe: Recipe, source: Source) -> Any:
    """The backbone's tokenizer, set as the engine sets it.

    Raises:
        RecipeError: there is none, or it has no end token.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source.folder)
    except (OSError, ValueError) as fault:
        raise RecipeError(f"backbone {recipe.backbone} has no tokenizer: {_first(fault)}") from None
    if tokenizer.eos_token_id is None:
        raise RecipeError(f"The tokenizer of backbone {recipe.backbone} has no end token.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if recipe.decoding.lexicon and not (source.folder / LEXICON).is_file():
        raise RecipeError(
            f"decoding.lexicon is set, and backbone {recipe.backbone} has no {LEXICON}: leave it out."
        )
    if recipe.data.flag_weight is not None and token_ids(tokenizer) is None:
        raise RecipeError(
            f"flag_weight is set, and backbone {recipe.backbone} has no {' and '.join(FLAGS)} to "
            "flag a report with: leave it out."
        )
    tokenizer.split_special_tokens = recipe.architecture == "seq2seq"
    tokenizer.model_max_length = int(1e9)  # the recipe's limits hold, not a warning's
    return tokenizer


def load_backbone(recipe: Recipe, source: Source, config: Any, tokenizer: Any) -> Any:
    """The pretrained model, quantised if the recipe says so.

    Raises:
        RecipeError: its weights cannot be read.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, GenerationConfig
    from transformers.utils import logging

    factory = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    extra: dict[str, Any] = {}
    if recipe.adapter.use_4bit or recipe.adapter.use_8bit:
        extra["quantization_config"] = _quantisation(recipe)
        if torch.cuda.is_available():
            extra["device_map"] = {"": int(os.environ.get("LOCAL_RANK", 0))}
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        model = factory.from_pretrained(
            source.folder,
            config=config,
            dtype=getattr(torch, recipe.training.weights_dtype),
            use_safetensors=True,
            **extra,
        )
    except (OSError, ValueError) as fault:
        raise RecipeError(f"backbone {recipe.backbone} cannot be loaded: {_first(fault)}") from None
    given = model.generation_config
    ends = given.eos_token_id if given.eos_token_id is not None else tokenizer.eos_token_id
    # The recipe decodes, not the backbone's own habits (BART's beams and least length).
    model.generation_config = GenerationConfig(
        bos_token_id=given.bos_token_id,
        eos_token_id=ends,
        pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=given.decoder_start_token_id,
        forced_bos_token_id=given.forced_bos_token_id,
    )
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() in {"true", "1"}:
        _one_embedding(model)
    return model


def _one_embedding(model: Any) -> None:
    """Make one module of a weight's several embeddings, as T5's and BART's encoder and decoder
    have: torch's FSDP 2 refuses a parameter that two modules of different groups hold."""
    owner = model.get_input_embeddings()
    for module in list(model.modules()):
        for name, child in module.named_children():
            same = type(child) is type(owner) and child.weight is owner.weight
            scales = [getattr(one, "embed_scale", 1.0) for one in (child, owner)]
            if same and child is not owner and scales[0] == scales[1]:
                setattr(module, name, owner)


def with_adapter(recipe: Recipe, model: Any) -> Any:
    """The backbone with a fresh adapter on it, seeded by the recipe; or all of it, to be tuned.

    Raises:
        RecipeError: target_modules names no layer of this backbone.
    """
    import torch
    from peft import PeftConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training

    torch.manual_seed(recipe.seed)
    chosen = recipe.adapter
    if chosen.method == "full":
        return model
    if chosen.use_4bit or chosen.use_8bit:
        # Gradient checkpointing is the Trainer's to turn on.
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        for module in model.modules():
            # On a CPU, bitsandbytes packs 4-bit weights for inference at the first evaluation, and
            # packed weights pass no gradient: the training after it would be silently wrong.
            if hasattr(module, "support_avx512bf16_for_cpu"):
                module.support_avx512bf16_for_cpu = False
    if chosen.init_from is not None:
        check_init_from(recipe)
        try:
            begun = PeftConfig.from_pretrained(chosen.init_from)
            begun.lora_dropout = chosen.lora_dropout  # the recipe's, whatever it was begun with
            adapted = PeftModel.from_pretrained(
                model, chosen.init_from, is_trainable=True, config=begun
            )
            adapted.peft_config["default"].base_model_name_or_path = model.name_or_path
            return adapted
        except (OSError, ValueError, RuntimeError) as fault:
            raise RecipeError(f"init_from {chosen.init_from}: {_first(fault)}") from None
    try:
        return get_peft_model(model, lora_config(recipe))
    except ValueError as fault:
        raise RecipeError(f"target_modules: {_first(fault)}") from None


def check_init_from(recipe: Recipe) -> None:
    """Refuse an adapter to go on from that is not on this machine: PEFT would ask the Hub for it.

    Raises:
        RecipeError: no adapter's folder; the recipe that makes it is named where there is one.
    """
    if recipe.adapter.init_from is not None:
        check_adapter("init_from", recipe.adapter.init_from)
    for folder in recipe.adapter.mixed:
        check_adapter("mixed", folder)
        rank = json.loads((Path(folder) / "adapter_config.json").read_text())["r"]
        if rank != recipe.adapter.lora_rank:  # told now, not after the last step
            raise RecipeError(
                f"mixed: {folder} has rank {rank}, this recipe {recipe.adapter.lora_rank}: "
                "only adapters of one rank have a mean."
            )


def check_adapter(key: str, folder: str) -> None:
    """Refuse a folder without an adapter, named by a recipe's `key`. Raises RecipeError."""
    if (Path(folder) / "adapter_model.safetensors").is_file():
        return
    makers = (name for name in recipe_names() if load_recipe(name).output_dir == folder)
    maker = next(makers, None)
    raise RecipeError(
        f"{key} {folder}: there is no adapter in this folder"
        + (f"; make it with python -m train.run {maker}." if maker else ".")
    )


def mix(recipe: Recipe, folder: Path) -> str:
    """Mix the adapter in `folder` with those of the recipe's `mixed`.

    Each tensor becomes its own values times what the shares leave plus each other's times its
    share, in float32 and then in the tensor's own type (Wortsman et al. 2022, arXiv 2203.05482).

    Returns:
        The SHA-256 of the adapter's file.

    Raises:
        RecipeError: one of them has other tensors.
    """
    from safetensors.torch import load_file, save_file

    from summarizer.backbone import file_sha256

    shares, name = recipe.adapter.mixed, "adapter_model.safetensors"
    own = load_file(folder / name)
    sums = {key: (1 - sum(shares.values())) * value.float() for key, value in own.items()}
    for other, share in shares.items():
        tensors = load_file(Path(other) / name)
        if {key: value.shape for key, value in tensors.items()} != {
            key: value.shape for key, value in own.items()
        }:
            raise RecipeError(f"mixed: {other} has other layers or ranks.")
        for key, value in tensors.items():
            sums[key] += share * value.float()
    kept = {key: value.to(own[key].dtype) for key, value in sums.items()}
    save_file(kept, folder / name, metadata={"format": "pt"})
    return file_sha256(folder / name)


def lora_config(recipe: Recipe) -> Any:
    """The recipe's adapter as PEFT writes it down."""
    from peft import LoraConfig, TaskType

    chosen = recipe.adapter
    causal = recipe.architecture == "causal"
    return LoraConfig(
        r=chosen.lora_rank,
        lora_alpha=chosen.lora_alpha,
        lora_dropout=chosen.lora_dropout,
        target_modules=chosen.target_modules,
        use_rslora=chosen.use_rslora,
        use_dora=chosen.use_dora,
        bias="none",
        task_type=TaskType.CAUSAL_LM if causal else TaskType.SEQ_2_SEQ_LM,
    )


def save_adapter(
    recipe: Recipe, model: Any, folder: Path, revision: str | None, state: dict | None = None
) -> None:
    """Write the adapter as PEFT reads it, in bf16, named by a backbone that others can find.

    With method: full, write the whole model instead.

    Args:
        revision: the Hub's, of the backbone.
        state: the model's weights, where they are gathered from several processes.
    """
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    if recipe.adapter.method == "full":
        state = model.state_dict() if state is None else state
        # Tied weights are one tensor before and after: they are stored once.
        halves = {value.data_ptr(): value.to(torch.bfloat16) for value in state.values()}
        half = {name: halves[value.data_ptr()] for name, value in state.items()}
        model.save_pretrained(folder, state_dict=half)
    else:
        # No embedding is trained: PEFT need not ask the Hub whether the vocabulary has changed.
        adapter = get_peft_model_state_dict(model, state_dict=state, save_embedding_layers=False)
        half = {
            name: value.detach().to("cpu", torch.bfloat16).contiguous()
            for name, value in adapter.items()
        }
        save_file(half, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        config = copy.deepcopy(model.peft_config["default"])
        config.base_model_name_or_path = portable_name(recipe.backbone)
        config.revision = revision
        config.inference_mode = True
        config.save_pretrained(folder)
    for file in folder.glob("*.safetensors"):
        file.chmod(0o644)  # safetensors writes for the owner alone


def portable_name(backbone: str) -> str:
    """A backbone's name that means the same on another machine: a Hub id or a relative path."""
    path = Path(backbone)
    if not path.is_absolute():
        return backbone.rstrip("/").partition("@")[0]
    for folder in (Path.cwd(), Path(__file__).resolve().parent.parent):
        if path.resolve().is_relative_to(folder):
            return path.resolve().relative_to(folder).as_posix()
    return f"models/{path.name}"


def base_record(recipe: Recipe, source: Source) -> dict[str, Any]:
    """Name, revision and fingerprint of the backbone: the engine holds an adapter to them."""
    return {
        "name": portable_name(recipe.backbone),
        "revision": source.revision,
        "sha256": weights_sha256(source.folder),
    }


def count_parameters(model: Any) -> tuple[int, int]:
    """Trainable parameters and all of them, the adapter's included; a tied weight counts once.

    A weight packed in 4 bits counts as the two weights that its byte holds.
    """
    trainable = sum(value.numel() for value in model.parameters() if value.requires_grad)
    total = sum(
        value.numel() * (2 if type(value).__name__ == "Params4bit" else 1)
        for value in model.parameters()
    )
    return trainable, total


def _quantisation(recipe: Recipe) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    if recipe.adapter.use_8bit:
        return BitsAndBytesConfig(load_in_8bit=True)
    wide = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if wide else torch.float32,
    )


def _first(fault: Exception) -> str:
    return str(fault).strip().split("\n")[0]
