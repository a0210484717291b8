"""Tokenizer, backbone and adapter of a recipe, and the folder that an adapter is saved as."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

from train.recipe import Recipe, RecipeError


def load_tokenizer(recipe: Recipe) -> Any:
    """The backbone's own tokenizer.

    Raises:
        RecipeError: there is none, or it has no padding or end token.
    """
    from transformers import AutoTokenizer

    _refuse_missing_folder(recipe)
    try:
        tokenizer = AutoTokenizer.from_pretrained(recipe.backbone, revision=recipe.revision)
    except (OSError, ValueError) as fault:
        raise RecipeError(f"backbone {recipe.backbone} has no tokenizer: {_first(fault)}") from None
    if tokenizer.eos_token_id is None:
        raise RecipeError(f"The tokenizer of backbone {recipe.backbone} has no end token.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.model_max_length = int(1e9)  # the recipe's limits hold, not a warning's
    return tokenizer


def load_backbone(recipe: Recipe) -> Any:
    """The pretrained model, frozen as it is; only safetensors is read.

    Raises:
        RecipeError: it is not there, or not of the recipe's architecture.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    _refuse_missing_folder(recipe)
    try:
        config = AutoConfig.from_pretrained(recipe.backbone, revision=recipe.revision)
        if recipe.training.dropout is not None:
            for key in ("dropout_rate", "dropout"):
                if hasattr(config, key):
                    setattr(config, key, recipe.training.dropout)
        model = AutoModelForSeq2SeqLM.from_pretrained(
            recipe.backbone,
            revision=recipe.revision,
            config=config,
            dtype=getattr(torch, recipe.training.weights_dtype),
            use_safetensors=True,
        )
    except (OSError, ValueError) as fault:
        raise RecipeError(f"backbone {recipe.backbone} cannot be loaded: {_first(fault)}") from None
    if recipe.training.gradient_checkpointing:
        model.config.use_cache = False
        model.enable_input_require_grads()
    return model


def with_adapter(recipe: Recipe, model: Any) -> Any:
    """The backbone with a fresh adapter on it, seeded by the recipe; or all of it, to be tuned."""
    import torch
    from peft import LoraConfig, PeftModel, TaskType, get_peft_model

    torch.manual_seed(recipe.seed)
    chosen = recipe.adapter
    if chosen.method == "full":
        return model
    if chosen.init_from is not None:
        return PeftModel.from_pretrained(model, chosen.init_from, is_trainable=True)
    config = LoraConfig(
        r=chosen.lora_rank,
        lora_alpha=chosen.lora_alpha,
        lora_dropout=chosen.lora_dropout,
        target_modules=chosen.target_modules,
        use_rslora=chosen.use_rslora,
        use_dora=chosen.use_dora,
        bias="none",
        task_type=TaskType.SEQ_2_SEQ_LM,
    )
    try:
        return get_peft_model(model, config)
    except ValueError as fault:
        raise RecipeError(
            f"target_modules does not fit {recipe.backbone}: {_first(fault)}"
        ) from None


def save_adapter(recipe: Recipe, model: Any, folder: Path) -> None:
    """Write the adapter as PEFT reads it, in bf16, named by a backbone that others can find."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    if recipe.adapter.method == "full":
        half = copy.deepcopy(model).to(torch.bfloat16)
        half.save_pretrained(folder)
        return
    state = {
        name: value.detach().to("cpu", torch.bfloat16).contiguous()
        for name, value in get_peft_model_state_dict(model).items()
    }
    weights = folder / "adapter_model.safetensors"
    save_file(state, weights, metadata={"format": "pt"})
    weights.chmod(0o644)  # safetensors writes for the owner alone
    config = copy.deepcopy(model.peft_config["default"])
    config.base_model_name_or_path = portable_name(recipe.backbone)
    config.revision = recipe.revision
    config.inference_mode = True
    config.save_pretrained(folder)


def portable_name(backbone: str) -> str:
    """A backbone's name that means the same on another machine: a Hub id or a relative path."""
    path = Path(backbone)
    if not path.is_absolute():
        return backbone.rstrip("/")
    for folder in (Path.cwd(), Path(__file__).resolve().parent.parent):
        if path.resolve().is_relative_to(folder):
            return path.resolve().relative_to(folder).as_posix()
    return f"models/{path.name}"


def base_record(recipe: Recipe) -> dict[str, Any]:
    """Name and fingerprint of the backbone: one SHA-256 over its weight files, in name order."""
    record: dict[str, Any] = {"name": portable_name(recipe.backbone), "revision": recipe.revision}
    folder = Path(recipe.backbone)
    if folder.is_dir():
        digest = hashlib.sha256()
        for file in sorted(folder.glob("*.safetensors")):
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        record["sha256"] = digest.hexdigest()
    return record


def count_parameters(model: Any) -> tuple[int, int]:
    """Trainable parameters and all of them, the adapter's included; a tied weight counts once."""
    trainable = sum(value.numel() for value in model.parameters() if value.requires_grad)
    return trainable, sum(value.numel() for value in model.parameters())


def _refuse_missing_folder(recipe: Recipe) -> None:
    """A path that is not there must not be asked for on the Hub."""
    path = Path(recipe.backbone)
    looks_local = recipe.backbone.startswith((".", "/", "models/", "runs/"))
    if looks_local and not (path / "config.json").is_file():
        raise RecipeError(f"There is no model in {recipe.backbone}: name one with --backbone.")
    if path.is_dir():
        kind = json.loads((path / "config.json").read_text()).get("model_type")
        if kind is None:
            raise RecipeError(f"{recipe.backbone}/config.json names no model_type.")


def _first(fault: Exception) -> str:
    return str(fault).strip().split("\n")[0]
