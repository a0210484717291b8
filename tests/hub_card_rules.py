"""What the Hub's `/api/validate-yaml` holds against a card, as far as its documentation says.

Sources: the metadata specification `modelcard.md`, `repositories-licenses.md` and
`spaces-config-reference.md` of the Hub's documentation. Stricter than the Hub where that costs
nothing: a field of the wrong type is an error here even where the Hub lets it pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

_LICENSES = set(
    """apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigcode-openrail-m
    afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0
    cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0
    cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
    cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0
    epl-2.0 etalab-2.0 eupl-1.1 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc
    lppl-1.3c ms-pl mpl-2.0 odc-by odbl openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib
    pddl llama2 gemma unknown other""".split()
)
_PIPELINES = {
    "summarization", "text-generation", "translation", "question-answering", "text-classification",
    "token-classification", "feature-extraction", "fill-mask", "sentence-similarity",
    "zero-shot-classification", "table-question-answering",
}  # fmt: skip
_COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
_HARDWARE = {
    "cpu-basic", "cpu-upgrade", "zero-a10g", "t4-small", "t4-medium", "l4x1", "l4x4", "l40sx1",
    "l40sx4", "l40sx8", "a10g-small", "a10g-large", "a10g-largex2", "a10g-largex4", "a100-large",
    "a100x4", "a100x8",
}  # fmt: skip
_SPACE_KEYS = {
    "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version",
    "suggested_hardware", "suggested_storage", "app_file", "app_build_command", "app_port",
    "base_path", "fullWidth", "header", "short_description", "models", "datasets", "tags",
    "thumbnail", "pinned", "hf_oauth", "hf_oauth_scopes", "disable_embedding",
    "startup_duration_timeout", "custom_headers", "preload_from_hub", "license",
}  # fmt: skip
_REPO = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def check_card(content: str, kind: str) -> tuple[list[str], list[str]]:
    """(errors, warnings) for a README.md of a "model", "dataset" or "space"."""
    block = re.match(r"---\r?\n(.*?)\r?\n---\r?\n", content, re.DOTALL)
    if block is None:
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        data = yaml.safe_load(block[1])
    except yaml.YAMLError as error:
        return [f"Invalid YAML: {' '.join(str(error).split())}"], []
    if not isinstance(data, dict):
        return ["The metadata is not a mapping"], []
    faults: list[str] = []
    _common(data, faults)
    if kind == "model":
        _model(data, faults)
    elif kind == "space":
        _space(data, faults)
    return faults, []


def _common(data: dict[str, Any], faults: list[str]) -> None:
    if "license" in data:
        _each(data["license"], faults, "license", lambda value: value in _LICENSES)
        if data["license"] == "other" and not data.get("license_name"):
            faults.append('"license_name" is required with license: other')
    if "datasets" in data:
        _each(data["datasets"], faults, "datasets", lambda v: bool(_REPO.fullmatch(str(v))))
    for key in ("tags", "metrics"):
        if key in data:
            _each(data[key], faults, key, lambda value: isinstance(value, str) and bool(value))
    if "language" in data:
        _each(
            data["language"], faults, "language", lambda value: re.fullmatch(r"[a-z]{2,3}", value)
        )


def _model(data: dict[str, Any], faults: list[str]) -> None:
    if "base_model" in data:
        _each(data["base_model"], faults, "base_model", lambda v: bool(_REPO.fullmatch(str(v))))
    if data.get("base_model_relation", "adapter") not in (
        "adapter", "finetune", "merge", "quantized"
    ):  # fmt: skip
        faults.append('"base_model_relation" is not valid')
    if data.get("pipeline_tag", "summarization") not in _PIPELINES:
        faults.append('"pipeline_tag" is not one of the Hub\'s tasks')
    if not isinstance(data.get("library_name", ""), str):
        faults.append('"library_name" must be a string')
    emissions = data.get("co2_eq_emissions", 0)
    grams = emissions.get("emissions") if isinstance(emissions, dict) else emissions
    if isinstance(grams, bool) or not isinstance(grams, (int, float)):
        faults.append('"co2_eq_emissions" must be a number of grams, or a mapping with one')
    for place, model in enumerate(data.get("model-index") or []):
        where = f"model-index[{place}]"
        if not isinstance(model, dict) or not isinstance(model.get("name"), str):
            faults.append(f'"{where}.name" is required')
            continue
        for number, result in enumerate(model.get("results") or []):
            _result(result, faults, f"{where}.results[{number}]")


def _result(result: Any, faults: list[str], where: str) -> None:
    task, dataset, metrics = (result.get(key) for key in ("task", "dataset", "metrics"))
    if not isinstance(task, dict) or not isinstance(task.get("type"), str):
        faults.append(f'"{where}.task.type" is required')
    if not isinstance(dataset, dict):
        faults.append(f'"{where}.dataset" is required')
    else:
        if not _REPO.fullmatch(str(dataset.get("type", ""))):
            faults.append(f'"{where}.dataset.type" is not valid')
        if not isinstance(dataset.get("name"), str):
            faults.append(f'"{where}.dataset.name" is required')
        for key in ("config", "split", "revision"):
            if not isinstance(dataset.get(key, ""), str):
                faults.append(f'"{where}.dataset.{key}" must be a string')
        if not isinstance(dataset.get("args", {}), (dict, str)):
            faults.append(f'"{where}.dataset.args" is not valid')
    if not isinstance(metrics, list) or not metrics:
        faults.append(f'"{where}.metrics" is required')
    for number, metric in enumerate(metrics or []):
        if not isinstance(metric.get("type"), str) or "value" not in metric:
            faults.append(f'"{where}.metrics[{number}]" needs type and value')
        if not isinstance(metric.get("name", ""), str):
            faults.append(f'"{where}.metrics[{number}].name" must be a string')


def _space(data: dict[str, Any], faults: list[str]) -> None:
    for key in data:
        if key not in _SPACE_KEYS:
            faults.append(f'"{key}" is not a setting of a Space')
    checks: dict[str, Callable[[Any], Any]] = {
        "title": lambda v: isinstance(v, str),
        "emoji": lambda v: isinstance(v, str) and 0 < len(v) <= 8 and not v.isascii(),
        "colorFrom": lambda v: v in _COLORS,
        "colorTo": lambda v: v in _COLORS,
        "sdk": lambda v: v in ("gradio", "docker", "static"),
        "sdk_version": lambda v: isinstance(v, str) and re.fullmatch(r"\d+\.\d+\.\d+", v),
        "python_version": lambda v: isinstance(v, str) and re.fullmatch(r"3\.\d+(\.\d+)?", v),
        "app_file": lambda v: isinstance(v, str) and not v.startswith("/"),
        "short_description": lambda v: isinstance(v, str) and len(v) <= 60,
        "suggested_hardware": lambda v: v in _HARDWARE,
        "pinned": lambda v: isinstance(v, bool),
    }
    for key, valid in checks.items():
        if key in data and not valid(data[key]):
            faults.append(f'"{key}" is not valid: {data[key]!r}')
    if "sdk" not in data:
        faults.append('"sdk" is required')
    for model in data.get("models") or []:
        if not _REPO.fullmatch(str(model)):
            faults.append(f'"models" holds {model!r}, which is no repository')
    for line in data.get("preload_from_hub") or []:
        words = str(line).split(" ")
        if len(words) > 3 or not _REPO.fullmatch(words[0]):
            faults.append(f'"preload_from_hub" holds {line!r}')
        elif len(words) == 3 and not _COMMIT.fullmatch(words[2]):
            faults.append(f'"preload_from_hub" pins {line!r} to no commit')


def _each(value: Any, faults: list[str], key: str, valid: Callable[[Any], Any]) -> None:
    values = value if isinstance(value, list) else [value]
    for one in values:
        if not isinstance(one, str) or not valid(one):
            faults.append(f'"{key}" is not valid: {one!r}')
