"""A part: one encrypted file, where it lies, and the key that opens it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from infra.vault.release import plain, released_key, wipe
from infra.vault.store import Store, opened

FORMAT = 1  # of what is bound by an AAD


class VaultError(Exception):
    """What the vault refuses. `code` is one of: version_exists, version_missing, manifest_damaged, part_missing, part_damaged; key_refused
    (wrapped under another master key, or for another place), keys_unavailable (who holds the master key does not answer, or does not let
    us in), key_absent (this process was not given the part's key), destroyed. Nothing else is said: neither the library's text nor any
    value."""

    def __init__(self, code: str, dataset: str, version: int, part: int | None = None) -> None:
        super().__init__(code, dataset, version, part)
        self.code, self.dataset, self.version, self.part = code, dataset, version, part


class FileKey(Protocol):
    """A file's key, wherever it is. `open` gives its 32 bytes in memory of the caller's own, to be wiped after use. VaultError."""

    def open(self) -> bytearray: ...


@dataclass(frozen=True, slots=True)
class Part:
    """One encrypted file. Rows per part are private facts and keys secret: neither is in the repr. What is pickled has no key: a worker is
    given keys apart from its parts, sealed for it, job by job (`infra.vault.release`)."""

    dataset: str
    version: int
    index: int
    path: str
    sha256: str  # of the encrypted file
    rows: int = field(repr=False)
    key: FileKey | None = field(repr=False, compare=False)
    content: str = field(default="", repr=False)  # digest of the rows, where whoever wrote the part gave one
    store: Store | None = None  # None: `path` is a file of this machine, or of a disk that all nodes see

    def __reduce__(self) -> tuple[Any, ...]:
        return Part, (self.dataset, self.version, self.index, self.path, self.sha256, self.rows, None, self.content, self.store)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of these columns (all: None), in stored order. One thread. Raises VaultError part_missing, part_damaged, key_absent, and
        what opening the key raises."""
        key = self.opened_key()
        try:
            # Decryption properties carry state: pyarrow wants new ones for each open. Arrow has the key in memory that it wipes itself.
            with plain(key) as footer_key:
                properties = pe.create_decryption_properties(footer_key, aad_prefix=aad(self.dataset, self.version, self.index))
            wipe(key)
            with opened(self.path, self.store) as source, pq.ParquetFile(source, decryption_properties=properties) as file:
                return file.read(columns=None if columns is None else list(columns), use_threads=False)
        except FileNotFoundError:
            code = "part_missing"
        except (OSError, pa.ArrowException):
            code = "part_damaged"
        finally:
            wipe(key)
        raise VaultError(code, self.dataset, self.version, self.index)

    def opened_key(self) -> bytearray:
        """From what was released to this process for the present job, or from the vault. VaultError key_absent."""
        key = released_key(self.sha256)
        if key is None and self.key is not None:
            key = self.key.open()
        if key is None:
            raise VaultError("key_absent", self.dataset, self.version, self.index)
        return key

    def check(self) -> None:
        """Compare the file's SHA-256 with the manifest's: finds damage in columns no query has read. Raises as `read` does; needs no key."""
        digest = hashlib.sha256()
        try:
            with opened(self.path, self.store) as source:
                while piece := source.read(1 << 20):
                    digest.update(piece)
        except OSError:
            raise VaultError("part_missing", self.dataset, self.version, self.index) from None
        if digest.hexdigest() != self.sha256:
            raise VaultError("part_damaged", self.dataset, self.version, self.index)


@dataclass(frozen=True, slots=True)
class Version:
    """One committed version. `digest` is the content digest that whoever wrote the version gave it; `schema` pairs column and Arrow type.

    `shards`: the files of each shard, oldest first; all shards have as many. They are read together: a unit's rows may lie in several
    files, but of one shard.
    """

    dataset: str
    version: int
    digest: str
    schema: tuple[tuple[str, str], ...]
    shards: tuple[tuple[Part, ...], ...] = field(repr=False)

    @property
    def parts(self) -> tuple[Part, ...]:
        """All files, by shard."""
        return tuple(part for shard in self.shards for part in shard)

    @property
    def needs(self) -> tuple[int, ...]:
        """The versions whose files these are, ascending: its own and those it keeps parts of."""
        return tuple(sorted({part.version for part in self.parts}))


def aad(dataset: str, version: int, part: int | str) -> bytes:
    """What a file or manifest is bound to."""
    return f"yunei/{FORMAT}/{dataset.casefold()}/{version}/{part}".encode()


def part_name(index: int) -> str:
    return f"part-{index:05}.parquet"
