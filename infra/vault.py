"""Raw data at rest: versions of datasets as encrypted Parquet parts, written once and never changed.

On disk, under the vault's directory:

    <dataset>/dataset.key        the dataset key, wrapped under the master key: AES-KW (RFC 3394), or SM4-GCM
    <dataset>/v<n>/manifest      schema, digest and, per part, rows, SHA-256 and wrapped file key; AES-256-GCM or SM4-GCM
    <dataset>/v<n>/part-00000.parquet …   Parquet Modular Encryption, footer included, one random key per file

Each part is bound to dataset, version and position by an AAD prefix that is not stored in the file; the manifest is bound likewise. So a
flipped bit, a part moved to another place, and an old version put in the place of a new one are all refused. A version appears by one
rename after everything in it has been synced: after a crash it is there wholly or not at all. Nothing is written in plaintext.

A version may keep the parts of an earlier one and add as many of its own, one to each shard. Kept files stay where they were written, bound to
that version and position; the new manifest names them with their digests and wraps their keys anew. Such a version can be read only
while the versions that it keeps parts of are there (`Version.needs`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from infra.crypto import SealBroken, Suite, envelope_of
from infra.scratch import Scratch

Random = Callable[[int], bytes]
KEY_BYTES = 32
_FORMAT = 1  # of what is bound by an AAD, and of a manifest that keeps nothing
_KEEPING = 2  # of a manifest that keeps parts: whoever knows only the other kind refuses it, rather than read half
_NAME = re.compile(r"[^\W\d]\w{0,62}")  # as the catalogue has it: nothing that means something in a path


class VaultError(Exception):
    """What the vault refuses. `code` is one of: version_exists, version_missing, manifest_damaged, part_missing, part_damaged,
    key_refused. Nothing else is said: neither the library's text nor any value."""

    def __init__(self, code: str, dataset: str, version: int, part: int | None = None) -> None:
        super().__init__(code, dataset, version, part)
        self.code, self.dataset, self.version, self.part = code, dataset, version, part


@dataclass(frozen=True, slots=True)
class Part:
    """One encrypted file and the key that opens it: all a worker is ever given. Rows per part are private facts, keys are secret:
    neither is in the repr."""

    dataset: str
    version: int
    index: int
    path: str
    sha256: str  # of the encrypted file
    rows: int = field(repr=False)
    key: bytes = field(repr=False)
    content: str = field(default="", repr=False)  # digest of the rows, where whoever wrote the part gave one

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of these columns (all: None), in stored order. One thread. Raises VaultError part_missing or part_damaged."""
        try:
            # Decryption properties carry state: pyarrow wants new ones for each open.
            properties = pe.create_decryption_properties(footer_key=self.key, aad_prefix=_aad(self.dataset, self.version, self.index))
            with pq.ParquetFile(self.path, decryption_properties=properties) as file:
                return file.read(columns=None if columns is None else list(columns), use_threads=False)
        except FileNotFoundError:
            code = "part_missing"
        except (OSError, pa.ArrowException):
            code = "part_damaged"
        raise VaultError(code, self.dataset, self.version, self.index)

    def check(self) -> None:
        """Compare the file's SHA-256 with the manifest's: finds damage in columns no query has read. Raises as `read` does."""
        try:
            with open(self.path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            raise VaultError("part_missing", self.dataset, self.version, self.index) from None
        if digest != self.sha256:
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


class Vault:
    """All versions of all datasets under one directory and one master key (32 bytes). `suite` is what keys and manifests are sealed in from now
    on; those of the other suite are read all the same.

    Safe to open from several processes: versions are immutable and appear atomically. The directory is made, 0700, when missing.
    """

    def __init__(self, directory: Path, master_key: bytes, suite: Suite = "international") -> None:
        if len(master_key) != KEY_BYTES:
            raise ValueError(f"a master key is {KEY_BYTES} bytes")
        self._directory = directory
        self._master_key = master_key
        self.envelope = envelope_of(suite)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"Vault({str(self._directory)!r})"

    def derive(self, label: str) -> bytes:
        """32 secret bytes for `label`, always the same under one master key (HKDF-SHA-256)."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"yunei/vault/" + label.encode()).derive(self._master_key)

    def unwrap(self, key: bytes, text: str) -> bytes:
        """A file key as a manifest holds it. SealBroken, ValueError."""
        return self.envelope.unwrap(key, base64.b64decode(text, validate=True))

    def versions(self, dataset: str) -> tuple[int, ...]:
        """Numbers of the committed versions, ascending."""
        names = (path.name for path in self._folder(dataset).glob("v*") if path.is_dir())
        return tuple(sorted(int(name[1:]) for name in names if name[1:].isdecimal()))

    def open(self, dataset: str, version: int) -> Version:
        """Read and authenticate a manifest. Raises VaultError version_missing, key_refused, manifest_damaged."""
        folder = self._folder(dataset) / f"v{version}"
        try:
            sealed = (folder / "manifest").read_bytes()
        except OSError:
            raise VaultError("version_missing", dataset, version) from None
        key = self.dataset_key(dataset, version)
        try:
            plain = self.envelope.open(_manifest_key(key), sealed, _aad(dataset, version, "manifest"))
            content = json.loads(plain)
            if content["format"] not in (_FORMAT, _KEEPING):
                raise ValueError("a manifest of another format")
            own = [(version, index, part) for index, part in enumerate(content["parts"])]
            kept = [[(part["version"], part["index"], part) for part in shard] for shard in content.get("kept") or [[] for _ in own]]
            shards = tuple(tuple(self._part(dataset, key, *of) for of in (*older, new)) for older, new in zip(kept, own, strict=True))
        except (SealBroken, ValueError):
            raise VaultError("manifest_damaged", dataset, version) from None
        return Version(dataset, version, content["digest"], tuple((name, kind) for name, kind in content["schema"]), shards)

    def _part(self, dataset: str, key: bytes, version: int, index: int, of: dict[str, Any]) -> Part:
        path = self._folder(dataset) / f"v{version}" / _part_name(index)
        return Part(dataset, version, index, str(path), of["sha256"], of["rows"], self.unwrap(key, of["key"]), of.get("content", ""))

    def begin(self, dataset: str, version: int, random: Random, after: Version | None = None) -> Draft:
        """Start writing a version; use as a context manager. `after`: an earlier version of the dataset whose parts all are kept, and to
        each shard of which one part is added. Raises VaultError version_exists, and key_refused from its first part on."""
        folder = self._folder(dataset)
        if after is not None and (after.dataset.casefold() != dataset.casefold() or after.version >= version):
            raise ValueError("a version keeps parts of an earlier version of the same dataset")
        folder.mkdir(mode=0o700, exist_ok=True)
        if (folder / f"v{version}").exists():
            raise VaultError("version_exists", dataset, version)
        for left in folder.glob(".draft-*"):
            if not _alive(int(left.name.split("-")[1])):
                shutil.rmtree(left, ignore_errors=True)  # a crash left it; its keys are gone, so it is noise on the disk
        draft = folder / f".draft-{os.getpid()}-{random(8).hex()}"
        draft.mkdir(mode=0o700)
        return Draft(self, dataset, version, draft, folder / f"v{version}", random, after)

    def left_behind(self, dataset: str) -> bool:
        """Whether there is scratch of the dataset, of a process that lives or is dead."""
        return any(self._folder(dataset).glob(".scratch-*"))

    def scratch(self, dataset: str, version: int, schema: pa.Schema, random: Random, *, identity: str, resume: bool = True) -> Scratch:
        """Room for rows on their way into a version, on a disk of this machine; what a dead process left of the same ingest, where there is
        such and `resume` says so. Raises VaultError key_refused."""
        folder = self._folder(dataset)
        folder.mkdir(mode=0o700, exist_ok=True)
        key = self.dataset_key(dataset, version, random)
        return Scratch.open(folder, key, self.envelope, schema, random, identity=f"{dataset}/{version}/{identity}", resume=resume)

    def _folder(self, dataset: str) -> Path:
        if not _NAME.fullmatch(dataset):
            raise ValueError("a dataset's name is letters, digits and underscores")
        return self._directory / dataset.casefold()

    def dataset_key(self, dataset: str, version: int, random: Random | None = None) -> bytes:
        """The dataset's key, unwrapped; made when `random` is given and there is none. Raises VaultError key_refused."""
        path = self._folder(dataset) / "dataset.key"
        if random is not None and not path.exists():
            fresh = path.with_name(f".key-{os.getpid()}-{random(8).hex()}")
            _write(fresh, self.envelope.wrap(self._master_key, random(KEY_BYTES), random))
            try:
                os.link(fresh, path)  # unlike rename, never replaces the key that another process has just made
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
            _sync(path.parent)
        try:
            return self.envelope.unwrap(self._master_key, path.read_bytes())
        except (OSError, SealBroken):
            raise VaultError("key_refused", dataset, version) from None


class Draft:
    """A version being written. Leaving the context without `commit` removes every trace of it."""

    def __init__(self, vault: Vault, dataset: str, version: int, draft: Path, final: Path, random: Random, after: Version | None) -> None:
        self._vault, self.dataset, self.version = vault, dataset, version
        self._draft, self._final, self._random, self._after = draft, final, random, after
        self._parts: dict[int, dict[str, object]] = {}
        self._schema: pa.Schema | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        shutil.rmtree(self._draft, ignore_errors=True)
        with suppress(OSError):
            self._final.parent.rmdir()  # only when nothing else of the dataset is there

    @cached_property
    def _key(self) -> bytes:
        return self._vault.dataset_key(self.dataset, self.version, self._random)

    def part(self, index: int, schema: pa.Schema) -> PartWriter:
        """Write part `index`, which is its shard's number: parts are numbered from 0 without gaps, all of one schema, kept ones included."""
        if index in self._parts or (self._schema is not None and not self._schema.equals(schema)):
            raise ValueError("a part is written once, and all parts have one schema")
        if self._after is not None and self._after.schema != _described(schema):
            raise ValueError("all parts have one schema, and kept ones have another")
        self._schema = schema
        wrapping, key = self._key, self._random(KEY_BYTES)

        def finished(sha256: str, rows: int) -> None:
            self._parts[index] = {"sha256": sha256, "rows": rows, "key": self._wrapped(wrapping, key)}

        return PartWriter(self._draft / _part_name(index), schema, key, _aad(self.dataset, self.version, index), finished)

    def commit(self, digest: str, contents: Sequence[str] = ()) -> Version:
        """Make the version appear, whole and synced. `contents`: the digest of the rows of each new part, to be had from `Part.content`
        again. Raises VaultError version_exists when another process was first."""
        if self._schema is None or sorted(self._parts) != list(range(len(self._parts))):
            raise ValueError("a version has parts numbered from 0")
        if self._after is not None and len(self._after.shards) != len(self._parts):
            raise ValueError("a version that keeps parts adds one to each shard")
        parts = [self._parts[index] for index in range(len(self._parts))]
        content: dict[str, object] = {"format": _FORMAT, "digest": digest, "schema": _described(self._schema)}
        content["parts"] = [part | {"content": rows} for part, rows in zip(parts, contents or [""] * len(parts), strict=True)]
        if self._after is not None:
            content |= {"format": _KEEPING, "kept": [[self._kept(part) for part in shard] for shard in self._after.shards]}
        plain = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        _write(
            self._draft / "manifest",
            self._vault.envelope.seal(_manifest_key(self._key), plain, _aad(self.dataset, self.version, "manifest"), self._random),
        )
        _sync(self._draft)
        try:
            os.rename(self._draft, self._final)  # fails when the target exists: a version is never empty
        except OSError:
            if not self._final.exists():
                raise
            raise VaultError("version_exists", self.dataset, self.version) from None
        _sync(self._final.parent)
        return self._vault.open(self.dataset, self.version)

    def _kept(self, part: Part) -> dict[str, object]:
        same = {name: getattr(part, name) for name in ("version", "index", "sha256", "rows", "content")}
        return same | {"key": self._wrapped(self._key, part.key)}

    def _wrapped(self, wrapping: bytes, key: bytes) -> str:
        return _text(self._vault.envelope.wrap(wrapping, key, self._random))


class PartWriter:
    """Appends row groups to one encrypted part; leaving the context closes, syncs and digests it."""

    def __init__(self, path: Path, schema: pa.Schema, key: bytes, aad: bytes, finished: Callable[[str, int], None]) -> None:
        self._path, self._finished, self._rows = path, finished, 0
        self._writer = _writer(path, schema, pe.create_encryption_properties(footer_key=key, aad_prefix=aad, store_aad_prefix=False))

    def write(self, table: pa.Table) -> None:
        """Add the rows as one row group."""
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._rows += table.num_rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()
        if kind is None:
            _sync(self._path)
            with open(self._path, "rb") as file:
                self._finished(hashlib.file_digest(file, "sha256").hexdigest(), self._rows)


def _writer(path: Path, schema: pa.Schema, properties: Any) -> Any:
    # LZ4 with dictionaries reads four times faster than zstd here, at 1.2 times the size. Statistics serve no one: parts are read whole.
    return pq.ParquetWriter(
        path,
        schema,
        encryption_properties=properties,
        compression="lz4",
        use_dictionary=True,
        write_statistics=False,
        store_decimal_as_integer=True,
    )


def _described(schema: pa.Schema) -> tuple[tuple[str, str], ...]:
    return tuple((column.name, str(column.type)) for column in schema)


def _part_name(index: int) -> str:
    return f"part-{index:05}.parquet"


def _aad(dataset: str, version: int, part: int | str) -> bytes:
    return f"yunei/{_FORMAT}/{dataset.casefold()}/{version}/{part}".encode()


def _manifest_key(dataset_key: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"yunei/vault/manifest").derive(dataset_key)


def _text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _write(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
