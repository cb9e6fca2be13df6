"""Content that events name by digest: snapshots and licences in one canonical spelling, so that equal content has equal digests."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any, cast

import rfc8785

from policies.catalogue import Column, KeyValue, Snapshot
from policies.licence import Licence
from policies.product import Description

EXACT = 2**53  # beyond it a JSON number is not exact everywhere (RFC 8785 refuses it): written as a decimal string


def snapshot_document(snapshot: Snapshot) -> bytes:
    """The snapshot, public, as RFC 8785 canonical JSON. Keys of a domain are text whatever their type: it stands beside them."""
    data = _exact(snapshot.model_dump(mode="json"))
    for column, plain in zip(snapshot.dataset.columns, data["dataset"]["columns"], strict=True):
        if column.domain is not None:
            plain["domain"] = [_spell(value) for value in column.domain]
    return cast(bytes, rfc8785.dumps(data))


def read_snapshot(body: bytes) -> Snapshot:
    """The inverse. ValueError for anything that is not a snapshot."""
    data = json.loads(body)
    for plain in data["dataset"]["columns"]:
        if plain["domain"] is not None:
            read = _READ[Column.model_validate({**plain, "domain": None}).type]
            plain["domain"] = tuple(read(value) for value in plain["domain"])
    return Snapshot.model_validate(data)


def licence_document(licence: Licence) -> bytes:
    """The licence as RFC 8785 canonical JSON."""
    return cast(bytes, rfc8785.dumps(_exact(licence.model_dump(mode="json"))))


def description_document(description: Description) -> bytes:
    """What is said of a product, as RFC 8785 canonical JSON."""
    return cast(bytes, rfc8785.dumps(description.model_dump(mode="json")))


def read_licence(body: bytes) -> Licence:
    return Licence.model_validate_json(body)


def _spell(value: KeyValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


_READ: dict[str, Callable[[str], KeyValue]] = {
    "integer": int,
    "text": str,
    "date": date.fromisoformat,
    "boolean": {"true": True, "false": False}.__getitem__,
}


def _exact(value: Any) -> Any:
    """Losses and any integer a JSON number might not carry become decimal strings; the models read them back."""
    if isinstance(value, dict):
        return {key: str(item) if key in ("pico_rho", "atto_delta") else _exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= EXACT:
        return str(value)
    return value
