"""A version being written: its parts, and the one step that makes it appear."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import pyarrow as pa

from infra.crypto import Envelope
from infra.masters import KEY_BYTES
from infra.vault.keyfiles import KeyFiles, Random
from infra.vault.parts import FORMAT, Part, VaultError, Version, aad, part_name
from infra.vault.place import Place
from infra.vault.release import plain, wipe
from infra.vault.text import text_of
from infra.vault.writing import PartWriter

KEEPING = 2  # format of a manifest that keeps parts: whoever knows only the other kind refuses it, rather than read half


class Home(Protocol):
    """What a draft needs of the vault that it becomes a version of."""

    place: Place
    keys: KeyFiles
    envelope: Envelope

    def seal(self, dataset: str, version: int, key: bytes, content: dict[str, object]) -> bytes: ...

    def open(self, dataset: str, version: int) -> Version: ...


class Draft:
    """Leaving the context without `commit` removes every trace of it. File keys are in memory until then: what is wrapped under a dataset's
    key is wrapped at once, so that the key may change while rows are written."""

    def __init__(self, vault: Home, dataset: str, version: int, draft: Path, random: Random, after: Version | None) -> None:
        self._vault, self.dataset, self.version = vault, dataset, version
        self._draft, self._random, self._after = draft, random, after
        self._parts: dict[int, dict[str, object]] = {}
        self._keys: dict[int, bytearray] = {}
        self._schema: pa.Schema | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for key in self._keys.values():
            wipe(key)
        with suppress(OSError):  # a store that is away now; its next draft sweeps
            self._vault.place.abandon(self.dataset, self.version, self._draft)
        shutil.rmtree(self._draft, ignore_errors=True)
        with suppress(OSError):
            self._draft.parent.rmdir()  # only when nothing else of the dataset is there

    def part(self, index: int, schema: pa.Schema) -> PartWriter:
        """Write part `index`, which is its shard's number: parts are numbered from 0 without gaps, all of one schema, kept ones included.
        Raises VaultError key_refused, keys_unavailable, before a row is written."""
        if index in self._parts or (self._schema is not None and not self._schema.equals(schema)):
            raise ValueError("a part is written once, and all parts have one schema")
        if self._after is not None and self._after.schema != _described(schema):
            raise ValueError("all parts have one schema, and kept ones have another")
        if self._schema is None:
            self._vault.keys.make(self.dataset, self.version)
            self._vault.keys.newest(self.dataset, self.version)
        self._schema = schema
        key = self._keys[index] = bytearray(self._random(KEY_BYTES))

        def finished(sha256: str, rows: int) -> None:
            self._parts[index] = {"sha256": sha256, "rows": rows}
            self._vault.place.add(self.dataset, self.version, index, self._draft)

        return PartWriter(self._draft / part_name(index), schema, key, aad(self.dataset, self.version, index), finished)

    def commit(self, digest: str, contents: Sequence[str] = ()) -> Version:
        """Make the version appear, whole and synced. `contents`: the digest of the rows of each new part, to be had from `Part.content`
        again. Raises VaultError version_exists when another process was first."""
        if self._schema is None or sorted(self._parts) != list(range(len(self._parts))):
            raise ValueError("a version has parts numbered from 0")
        if self._after is not None and len(self._after.shards) != len(self._parts):
            raise ValueError("a version that keeps parts adds one to each shard")
        with self._vault.keys.locked(alone=False):
            key = self._vault.keys.newest(self.dataset, self.version)
            sealed = self._vault.seal(self.dataset, self.version, key, self._content(key, digest, contents))
            try:
                self._vault.place.publish(self.dataset, self.version, self._draft, sealed)
            except FileExistsError:
                raise VaultError("version_exists", self.dataset, self.version) from None
        return self._vault.open(self.dataset, self.version)

    def _content(self, key: bytes, digest: str, contents: Sequence[str]) -> dict[str, object]:
        assert self._schema is not None
        own = []
        for index, rows in enumerate(contents or [""] * len(self._parts)):
            part = self._parts[index] | {"content": rows, "key": self._wrapped(key, self._keys[index])}
            own.append(part | {"draft": self._draft.name} if self._vault.place.store else part)
        if len(own) != len(self._parts):
            raise ValueError("a digest for each part, or none")
        content: dict[str, object] = {"format": FORMAT, "digest": digest, "schema": _described(self._schema), "parts": own}
        if self._after is not None:
            content |= {"format": KEEPING, "kept": [[self._kept(key, part) for part in shard] for shard in self._after.shards]}
        return content

    def _kept(self, key: bytes, part: Part) -> dict[str, object]:
        same: dict[str, object] = {name: getattr(part, name) for name in ("version", "index", "sha256", "rows", "content")}
        if part.store is not None:
            same["draft"] = part.path.split("/")[-2]
        opened = part.opened_key()
        try:
            return same | {"key": self._wrapped(key, opened)}
        finally:
            wipe(opened)

    def _wrapped(self, wrapping: bytes, key: bytearray) -> str:
        with plain(key) as secret:
            return text_of(self._vault.envelope.wrap(wrapping, secret, self._random))


def _described(schema: pa.Schema) -> tuple[tuple[str, str], ...]:
    return tuple((column.name, str(column.type)) for column in schema)
