"""YAML -> frozen dataclasses, strictly: every fault names its key in one sentence.

Knows no recipe in particular: types, documentation and defaults are the dataclasses' own.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml

from train.errors import RecipeError


class _Loader(yaml.SafeLoader):
    """YAML of which the later of two equal keys does not silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value} stands there twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file. Raises RecipeError."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise RecipeError(f"{path} is not valid YAML: {' '.join(str(fault).split())}.") from None
    if not isinstance(raw, dict):
        raise RecipeError(f"{path} must hold keys and values, not {_kind(raw)}.")
    return raw


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


def override(kind: type, raw: dict[str, Any], key: str, value: Any) -> None:
    """Set one value in `raw`, by its name or its dotted path.

    A name that stands in several sections means the first of them, in the order of the fields.
    """
    names = field_names(kind)
    paths = [key] if any(key in found for found in names.values()) else names.get(key, [])
    if not paths:
        raise RecipeError(f"{key} is not a key of a recipe; --help lists them.")
    *sections, leaf = paths[0].split(".")
    place = raw
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise RecipeError(f"{section} must hold keys and values, not {_kind(place)}.")
    place[leaf] = value


def field_names(kind: type) -> dict[str, list[str]]:
    """Every leaf: its own name -> the dotted paths that end in it, in the order of the fields."""
    names: dict[str, list[str]] = {}
    for path in _leaves(kind, ""):
        names.setdefault(path.rpartition(".")[2], []).append(path)
    return names


def build(kind: type, raw: Any, where: str = "") -> Any:
    """`raw` as the dataclass `kind`; `where` is its dotted path. Raises RecipeError."""
    if not isinstance(raw, dict):
        raise RecipeError(f"{where or 'A recipe'} must hold keys and values, not {_kind(raw)}.")
    hints = typing.get_type_hints(kind)
    prefix = f"{where}." if where else ""
    values = {}
    for key, value in raw.items():
        if key not in hints:
            known = ", ".join(hints)
            raise RecipeError(f"{prefix}{key} is not a key of a recipe; known here: {known}.")
        values[key] = _convert(hints[key], value, f"{prefix}{key}")
    for entry in dataclasses.fields(kind):
        optional = entry.default is not dataclasses.MISSING
        optional = optional or entry.default_factory is not dataclasses.MISSING
        if entry.name not in values and not optional:
            raise RecipeError(f"{prefix}{entry.name} is missing.")
    return kind(**values)


def _leaves(kind: type, prefix: str) -> Iterator[str]:
    hints = typing.get_type_hints(kind)
    for entry in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[entry.name]):
            yield from _leaves(hints[entry.name], f"{prefix}{entry.name}.")
        else:
            yield f"{prefix}{entry.name}"


def _convert(hint: Any, value: Any, path: str) -> Any:
    """The value as the type `hint`, or a RecipeError that names `path`."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(typing.get_args(hint), value, path)
    if origin is Literal:
        options = typing.get_args(hint)
        if value in options:
            return value
        raise RecipeError(f"{path} must be one of {', '.join(options)}, not {value!r}.")
    if dataclasses.is_dataclass(hint):
        if isinstance(value, str) and hasattr(hint, "from_text"):
            return hint.from_text(value)
        return build(hint, value, path)
    if origin is list:
        value = [value] if isinstance(value, str) else value
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


def _convert_union(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in options:
        return None
    fault: RecipeError | None = None
    for option in options:
        if option is not type(None):
            try:
                return _convert(option, value, path)
            except RecipeError as error:
                fault = error
    assert fault is not None
    raise fault


def _scalar(hint: type, value: Any, path: str) -> Any:
    if hint in (bool, str) and isinstance(value, hint):
        return value
    if hint in (int, float) and not isinstance(value, bool):
        if isinstance(value, str):  # YAML reads 1e-3 as text
            try:
                value = float(value)
            except ValueError:
                raise RecipeError(f"{path} must be a number, not {value!r}.") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise RecipeError(f"{path} must be a finite number, not {value!r}.")
        if isinstance(value, (int, float)) and (hint is float or value == int(value)):
            return hint(value)
    name = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}[hint]
    raise RecipeError(f"{path} must be {name}, not {value!r}.")


def _kind(value: Any) -> str:
    kinds = {dict: "keys and values", list: "a list", str: "text", type(None): "nothing"}
    return kinds.get(type(value), repr(value))
