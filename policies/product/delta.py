"""A version as Delta Sharing tells it (delta-io/delta-sharing, PROTOCOL.md, 2025): protocol, metadata and files as lines of JSON.

Share, schema and table are `yunei`, `products` and the product's id; the table's version is the product's. Two spellings: `parquet`, which
every client reads, and `delta`, the actions of a Delta log, for those that ask for it alone.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

SHARE, SCHEMA = "yunei", "products"
Spelling = Literal["parquet", "delta"]
_NAMESPACE = uuid.UUID("6f1f3c52-2f4b-5b0a-9a8a-5d9e4a0d7f10")  # ours, so that a product has one id whoever asks
_TYPES: Mapping[str, str] = {
    "int8": "byte",
    "int16": "short",
    "int32": "integer",
    "int64": "long",
    "float": "float",
    "double": "double",
    "bool": "boolean",
    "string": "string",
    "large_string": "string",
    "binary": "binary",
}
_DECIMAL = re.compile(r"decimal(?:128)?\((\d+), (\d+)\)")


def spark_type(arrow: str) -> str:
    """The name of an Arrow type in a schema of Spark's. Unsigned numbers and whatever is not known there come as text.

    >>> spark_type("int64"), spark_type("decimal128(18, 2)"), spark_type("date32[day]"), spark_type("timestamp[us]")
    ('long', 'decimal(18,2)', 'date', 'timestamp')
    """
    if arrow.startswith(("date", "timestamp")):
        return "date" if arrow.startswith("date") else "timestamp"
    decimal = _DECIMAL.fullmatch(arrow)
    return f"decimal({decimal[1]},{decimal[2]})" if decimal else _TYPES.get(arrow, "string")


@dataclass(frozen=True, slots=True)
class Shared:
    """What is told of a version. Times are milliseconds since 1970."""

    product: str
    title: str
    about: str
    version: int
    columns: tuple[tuple[str, str], ...]
    rows: int
    added_ms: int

    @property
    def id(self) -> str:
        return str(uuid.uuid5(_NAMESPACE, self.product))

    @property
    def schema(self) -> str:
        fields = [{"name": name, "type": spark_type(kind), "nullable": True, "metadata": {}} for name, kind in self.columns]
        return json.dumps({"type": "struct", "fields": fields}, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A Parquet file by its address, good until `ends_ms`."""

    url: str
    sha256: str
    bytes: int
    ends_ms: int


def head_lines(shared: Shared, spelling: Spelling, bytes_: int | None = None) -> list[dict[str, Any]]:
    """The protocol and the metadata of a table."""
    metadata: dict[str, Any] = {
        "id": shared.id,
        "name": shared.title,
        "description": shared.about,
        "format": {"provider": "parquet"},
        "schemaString": shared.schema,
        "partitionColumns": [],
    }
    if spelling == "parquet":
        size = {} if bytes_ is None else {"size": bytes_, "numFiles": 1}
        return [{"protocol": {"minReaderVersion": 1}}, {"metaData": {**metadata, "configuration": {}, "version": shared.version, **size}}]
    delta = {**metadata, "format": {"provider": "parquet", "options": {}}, "configuration": {}, "createdTime": shared.added_ms}
    size = {} if bytes_ is None else {"size": bytes_, "numFiles": 1}
    return [
        {"protocol": {"deltaProtocol": {"minReaderVersion": 1, "minWriterVersion": 2}}},
        {"metaData": {"version": shared.version, **size, "deltaMetadata": delta}},
    ]


def file_line(shared: Shared, file: SharedFile, spelling: Spelling) -> dict[str, Any]:
    stats = json.dumps({"numRecords": shared.rows})
    common = {"id": file.sha256[:32], "version": shared.version, "timestamp": shared.added_ms, "expirationTimestamp": file.ends_ms}
    if spelling == "parquet":
        return {"file": {"url": file.url, "partitionValues": {}, "size": file.bytes, "stats": stats, **common}}
    add = {
        "path": file.url,
        "partitionValues": {},
        "size": file.bytes,
        "modificationTime": shared.added_ms,
        "dataChange": True,
        "stats": stats,
    }
    return {"file": {**common, "deltaSingleAction": {"add": add}}}
