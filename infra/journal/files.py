"""The log as a folder of files: tiles, documents and the newest checkpoint, written from what the database holds.

Everything here can be made again from the entries. The checkpoint is replaced last, so whoever reads it finds every tile it needs.
The checkpoint and full tiles are renamed into place, full tiles are also synced. Partial ones need neither: after a crash or a power cut the
next process to publish checks the right edge and writes again what is short.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from infra.files import sync as sync_folder
from infra.journal.tiles import Level, TileName, decode_entries, decode_hashes, readable_entries
from infra.journal.tree import TILE_WIDTH

CHECKPOINT = "checkpoint"
WITNESSED = "witnessed"


class LogFiles:
    """Reading never changes anything. Writing wants `exclusive()` around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """One writer at a time, among all processes on this machine; the system lets go of it when a process dies."""
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def checkpoint(self) -> str | None:
        """The newest signed checkpoint, or None before the first."""
        try:
            return (self.folder / CHECKPOINT).read_text("utf-8")
        except FileNotFoundError:
            return None

    def witnessed(self) -> str | None:
        """The newest checkpoint that a witness cosigned, or None."""
        try:
            return (self.folder / WITNESSED).read_text("utf-8")
        except FileNotFoundError:
            return None

    def hashes(self, level: int, n: int, width: int) -> list[bytes]:
        """The first `width` hashes of a tile, from the partial tile of that width or the full one. FileNotFoundError when neither is there."""
        return decode_hashes(self._tile(level, n, width))[:width]

    def entries(self, n: int, width: int) -> list[bytes]:
        """The first `width` entries of an entry tile, likewise."""
        return decode_entries(self._tile("entries", n, width))[:width]

    def readable_entries(self, n: int, width: int) -> list[bytes]:
        """As many whole entries of a tile as can be read, however damaged it is; none when it is missing."""
        try:
            return readable_entries(self._tile("entries", n, width))[0][:width]
        except OSError:
            return []

    def _tile(self, level: Level, n: int, width: int) -> bytes:
        try:
            return (self.folder / TileName(level, n, width).path).read_bytes()
        except FileNotFoundError:
            return (self.folder / TileName(level, n, TILE_WIDTH).path).read_bytes()

    def has_document(self, digest: str) -> bool:
        """Whether the document is there and unchanged."""
        try:
            return sha256((self.folder / document_path(digest)).read_bytes()).hexdigest() == digest
        except OSError:
            return False

    def put_tile(self, name: TileName, data: bytes) -> None:
        """Write one tile. A full one makes its partial forms superfluous: they go."""
        if name.width == TILE_WIDTH:
            self._put(name.path, data, sync=True)
            shutil.rmtree(self.folder / name.partials, ignore_errors=True)
        else:  # no checkpoint names this width yet, so nobody reads it half-written
            target = self.folder / name.path
            try:
                target.write_bytes(data)
            except FileNotFoundError:
                target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                target.write_bytes(data)

    def put_document(self, digest: str, data: bytes) -> None:
        self._put(document_path(digest), data, sync=True)

    def put_checkpoint(self, note: str) -> None:
        self._put(CHECKPOINT, note.encode(), sync=False)

    def succession(self, number: int) -> str | None:
        """The receipt of the announcement of the log's `number`-th key after its first, or None."""
        try:
            return (self.folder / f"keys/{number}").read_text("utf-8")
        except FileNotFoundError:
            return None

    def put_succession(self, number: int, receipt: str) -> None:
        self._put(f"keys/{number}", receipt.encode(), sync=True)

    def put_witnessed(self, note: str) -> None:
        self._put(WITNESSED, note.encode(), sync=True)

    def _put(self, path: str, data: bytes, *, sync: bool) -> None:
        target = self.folder / path
        aside = self.folder / f".writing-{os.getpid()}"
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(descriptor)
        try:
            aside.replace(target)
        except FileNotFoundError:
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            aside.replace(target)
        if sync:
            sync_folder(target.parent)


def document_path(digest: str) -> str:
    return f"documents/{digest[:2]}/{digest}"
