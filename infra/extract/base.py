"""Where rows come from: an address without a secret, how the way there is guarded, and what a query gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa

System = Literal["postgresql", "mysql"]
SCHEMES: dict[str, System] = {"postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
PORTS: dict[System, int] = {"postgresql": 5432, "mysql": 3306}
BATCH_ROWS = 65_536


class OriginMalformed(ValueError):
    """An address that cannot be used. The text says why, and quotes nothing."""


class ExtractFailed(Exception):
    """The database refused or was lost. `reason`: before rows were read, what it said of the connection or the query; after that, no more than
    its error code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Tls:
    """`verify`: the server's certificate is checked against `ca` (the system's when None) and against the host's name; `off` is for a socket of
    this machine or a line that is guarded otherwise. `certificate` and `key`: ours, where the server asks for one."""

    mode: Literal["verify", "off"] = "verify"
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """A database, as whom, and by which way. The password is in no repr."""

    system: System
    host: str  # or the folder or file of a socket: begins with a slash
    port: int
    database: str
    user: str
    tls: Tls = Tls()
    password: str = field(default="", repr=False)

    @property
    def local(self) -> bool:
        return self.host.startswith("/")

    @property
    def label(self) -> str:
        """What may stand in messages and in the log."""
        return f"{self.system}://{'' if self.local else f'{self.host}:{self.port}'}/{self.database}"


def origin_of(url: str, tls: Tls, password: str) -> Origin:
    """`postgresql://user@host:port/database`, `mysql://…`; `?socket=/path` for one of this machine. Raises OriginMalformed."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise OriginMalformed("not a URL") from None
    system = SCHEMES.get(parts.scheme)
    query = parse_qs(parts.query)
    if system is None:
        raise OriginMalformed(f"not one of {' '.join(sorted(SCHEMES))}")
    if parts.password is not None:
        raise OriginMalformed("a password in the URL")
    if set(query) - {"socket"} or parts.fragment:
        raise OriginMalformed("options in the URL")
    host = query.get("socket", [parts.hostname or ""])[0]
    database = unquote(parts.path.lstrip("/"))
    if not host or not database or not parts.username:
        raise OriginMalformed("user, host and database")
    return Origin(system, host, port or PORTS[system], database, unquote(parts.username), tls, password)


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the answer. `kind`: as what it may be declared (of integer, float, decimal, text, boolean, date, timestamp; none: not
    read); `type`: what the database calls it. Fields come as text, but floats."""

    name: str
    kinds: frozenset[str]
    type: str


class Extract(Protocol):
    """A query that has been asked within a transaction that sees one moment and can change nothing. A context: leaving it ends both."""

    @property
    def fields(self) -> tuple[Field, ...]: ...

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """These columns of every row, in the order of `columns`; once. Raises ExtractFailed."""
        ...

    def __enter__(self) -> Extract: ...

    def __exit__(self, *error: object) -> None: ...
