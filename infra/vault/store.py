"""How the bytes of a part are got at by whoever reads it: a file of this machine, or an object of an S3-compatible store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Store:
    """An S3-compatible store as workers are told of it: no secret is in it."""

    endpoint: str
    region: str


@contextmanager
def opened(path: str, store: Store | None) -> Iterator[Any]:
    """The file for reading at any place. FileNotFoundError, OSError."""
    with pa.OSFile(path) as file:
        yield file
