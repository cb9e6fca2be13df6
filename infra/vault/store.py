"""How the bytes of a part are got at by whoever reads it: a file of this machine, or an object of an S3-compatible store.

A worker is told where the store is with each part, and gets what opens it as it gets keys: sealed, for one job (`infra.vault.release`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from infra.vault.release import released_key, wipe

RETRIES = 5
_own: dict[str, Credentials] = {}  # of the server's process: by the store's name


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a store lets in. The repr shows none of it."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return "Credentials(…)"

    @classmethod
    def read(cls, path: Path) -> Credentials:
        """A file of JSON, `access_key` and `secret_key`, that this user alone can read. OSError, ValueError."""
        if path.stat().st_mode & 0o077:
            raise PermissionError(f"{path} can be read by others; chmod go= it, and change the key")
        return cls.of(path.read_bytes())

    @classmethod
    def of(cls, data: bytes) -> Credentials:
        try:
            told = json.loads(data)
            return cls(str(told["access_key"]), str(told["secret_key"]))
        except (ValueError, KeyError, TypeError):
            raise ValueError("credentials are JSON with access_key and secret_key") from None

    def sealed_form(self) -> bytearray:
        """Blanks at the end, for keys are wrapped eight bytes at a time (RFC 3394)."""
        data = json.dumps({"access_key": self.access_key, "secret_key": self.secret_key}).encode()
        return bytearray(data.ljust(-(-len(data) // 8) * 8))


@dataclass(frozen=True, slots=True)
class Store:
    """An S3-compatible store as workers are told of it: no secret is in it. `authority`: file of certificates to trust, on every node."""

    endpoint: str
    region: str
    authority: str = ""

    @property
    def name(self) -> str:
        """What its credentials are released under."""
        return f"s3 {self.endpoint}"


def own(store: Store, credentials: Credentials) -> None:
    """This process may read the store by itself."""
    _own[store.name] = credentials


@contextmanager
def opened(path: str, store: Store | None) -> Iterator[Any]:
    """The file for reading at any place. FileNotFoundError, OSError."""
    if store is None:
        with pa.OSFile(path) as file:
            yield file
        return
    with _system(store, _credentials(store)).open_input_file(path) as file:
        yield file


def _credentials(store: Store) -> Credentials:
    """Released to this task, or the process's own. OSError when there are none."""
    given = released_key(store.name)
    if given is None:
        if store.name not in _own:
            raise PermissionError("this process was given nothing that opens the store")
        return _own[store.name]
    try:
        return Credentials.of(bytes(given))
    finally:
        wipe(given)


@lru_cache(maxsize=4)
def _system(store: Store, credentials: Credentials) -> Any:
    """Connections are kept from one read to the next."""
    from pyarrow import fs

    scheme, _, host = store.endpoint.partition("://")
    return fs.S3FileSystem(
        access_key=credentials.access_key,
        secret_key=credentials.secret_key,
        region=store.region,
        scheme=scheme,
        endpoint_override=host,
        request_timeout=30,
        connect_timeout=5,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=RETRIES),
        tls_ca_file_path=store.authority or None,
    )
