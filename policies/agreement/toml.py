"""A model as TOML that `licence_from_toml` or `dataset_from_toml` reads back to the same: what a clerk keeps, changes and hands in again."""

from __future__ import annotations

import json
import re
from typing import Any

from policies.catalogue import Model

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def as_toml(model: Model) -> str:
    """Scalars first, then lists of tables. Exact numbers and times are text, as the models write them; what is None is left out."""
    data = _without_none(model.model_dump(mode="json"))
    tables = {key: value for key, value in data.items() if isinstance(value, list) and value and all(isinstance(item, dict) for item in value)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in data.items() if key not in tables]
    for key, items in tables.items():
        for item in items:
            lines += ["", f"[[{_key(key)}]]", *(f"{_key(name)} = {_value(value)}" for name, value in item.items())]
    return "\n".join(lines) + "\n"


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(value: str) -> str:
    """A JSON string is a TOML basic string, but for DEL, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return str(value)
