"""Rows on their way into the vault: encrypted files on a disk of this machine, from which an interrupted ingest goes on.

A folder holds a wrapped key, runs, and a checkpoint:

    key          32 random bytes, wrapped under the dataset's key
    run-00000 …  Parquet Modular Encryption under that key, bound to the run's number; one row group for each shard that has rows
    checkpoint   which runs count, and what the writer wants to know when it goes on; sealed, bound to what is being ingested

A run is synced before the checkpoint that counts it, and the checkpoint replaces the one before in one rename: after a kill it says what is
there. A lock on the folder is held while its process lives, so of two processes neither takes the other's, and what a dead one left is
gone on with, when it was the same ingest, or removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from infra.crypto import Envelope, SealBroken
from infra.files import sync, write

Random = Callable[[int], bytes]
_PREFIX = ".scratch-"


class ScratchLost(Exception):
    """A run that the checkpoint counts is not there as it was written."""


class Scratch:
    """Rows of one ingest, shard by shard. `state` is what the last checkpoint said; None: a fresh start. Use from one thread, but `read`,
    which any may."""

    def __init__(self, folder: Path, lock: int, key: bytes, seal: _Seal, schema: pa.Schema, runs: list[list[int]], state: Any) -> None:
        self._folder, self._lock, self._key, self._seal, self._schema = folder, lock, key, seal, schema
        self._runs = runs  # of each run, the shards whose row groups it has, in order
        self.state = state

    @classmethod
    def open(
        cls, parent: Path, wrapping: bytes, envelope: Envelope, schema: pa.Schema, random: Random, *, identity: str, resume: bool = True
    ) -> Scratch:
        """Scratch in a folder of its own under `parent`: the one that a dead process left in the middle of the same ingest (`identity`: all
        that makes it the same), else an empty one. What dead processes left of other ingests is removed."""
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found: Scratch | None = None
        for folder in sorted(parent.glob(f"{_PREFIX}*")):
            lock = _locked(folder)
            if lock is None:
                continue  # its process lives
            if found is None and resume and (found := cls._left(folder, lock, wrapping, envelope, schema, identity)) is not None:
                continue
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
        if found is not None:
            return found
        folder = parent / f"{_PREFIX}{random(8).hex()}"
        folder.mkdir(mode=0o700)
        lock = _locked(folder)
        assert lock is not None  # a name nobody else has
        key = random(32)
        write(folder / "key", envelope.wrap(wrapping, key, random))
        return cls(folder, lock, key, _Seal(envelope, key, identity, random), schema, [], None)

    @classmethod
    def _left(cls, folder: Path, lock: int, wrapping: bytes, envelope: Envelope, schema: pa.Schema, identity: str) -> Scratch | None:
        try:
            key = envelope.unwrap(wrapping, (folder / "key").read_bytes())
            seal = _Seal(envelope, key, identity, os.urandom)
            said = json.loads(seal.open((folder / "checkpoint").read_bytes()))
        except (OSError, SealBroken, ValueError):
            return None  # before its first checkpoint, of another ingest, or damaged
        left = cls(folder, lock, key, seal, schema, said["runs"], said["state"])
        for path in folder.glob("run-*"):
            if int(path.name[4:]) >= len(left._runs):
                path.unlink()  # written, but not counted yet
        return left if all(left._path(run).is_file() for run in range(len(left._runs))) else None

    def spill(self, rows: Mapping[int, Sequence[pa.Table]], state: Any) -> None:
        """Write a run, and with it the checkpoint: whoever goes on gets every row spilled so far and `state`, which JSON can say."""
        number, shards = len(self._runs), sorted(shard for shard, tables in rows.items() if tables)
        properties = pe.create_encryption_properties(footer_key=self._key, aad_prefix=_aad(number), store_aad_prefix=False)
        with pq.ParquetWriter(
            self._path(number), self._schema, encryption_properties=properties, compression="lz4", use_dictionary=False, write_statistics=False,
            store_decimal_as_integer=True,
        ) as writer:  # fmt: skip
            for shard in shards:
                table = pa.concat_tables(rows[shard]).combine_chunks()
                writer.write_table(table, row_group_size=max(1, table.num_rows))
        sync(self._path(number))
        self._runs.append(shards)
        sealed = self._seal.seal(json.dumps({"runs": self._runs, "state": state}).encode())
        aside = self._folder / "checkpoint.next"
        aside.unlink(missing_ok=True)
        write(aside, sealed)
        aside.rename(self._folder / "checkpoint")
        sync(self._folder)

    def read(self, shard: int, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Everything spilled of a shard, in the order it came, run by run. Raises ScratchLost."""
        for number, shards in enumerate(self._runs):
            if shard in shards:
                yield self._read(number, shards.index(shard), columns)

    def everything(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """These columns of all that was spilled. Raises ScratchLost."""
        for number, shards in enumerate(self._runs):
            for group in range(len(shards)):
                yield self._read(number, group, columns)

    def _read(self, number: int, group: int, columns: Sequence[str] | None) -> pa.Table:
        try:
            properties = pe.create_decryption_properties(footer_key=self._key, aad_prefix=_aad(number))
            with pq.ParquetFile(self._path(number), decryption_properties=properties) as file:
                return file.read_row_group(group, columns=None if columns is None else list(columns), use_threads=False)
        except (OSError, pa.ArrowException):
            pass
        raise ScratchLost

    def remove(self) -> None:
        """All of it, for good."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self.leave()

    def leave(self) -> None:
        """Let go of it as it is, for whoever goes on."""
        with suppress(OSError):
            os.close(self._lock)

    def _path(self, number: int) -> Path:
        return self._folder / f"run-{number:05}"


class _Seal:
    """Checkpoints, sealed under the scratch's key and bound to what is being ingested."""

    def __init__(self, envelope: Envelope, key: bytes, identity: str, random: Random) -> None:
        self._envelope, self._key, self._random = envelope, hashlib.sha256(b"yunei/scratch/checkpoint" + key).digest(), random
        self._aad = b"yunei/scratch/" + identity.encode()

    def seal(self, plain: bytes) -> bytes:
        return self._envelope.seal(self._key, plain, self._aad, self._random)

    def open(self, sealed: bytes) -> bytes:
        return self._envelope.open(self._key, sealed, self._aad)


def _aad(number: int) -> bytes:
    return f"yunei/scratch/run/{number}".encode()


def _locked(folder: Path) -> int | None:
    """A lock on the folder, for as long as the handle is open; None while another process holds it."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None  # removed in the meantime
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle
