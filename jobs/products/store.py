"""Files of products: each version's table in every form, and the copies made for single recipients. They are what leaves, byte for byte.

    products/<SHA-256 of the table>/parquet …          the table as it was released
    products/<SHA-256 of the table>/for/<who>/parquet  a copy that carries its recipient's mark

Beside each file stands `<form>.json` with its digest and size. Both are written whole and renamed, the file first. Everything here can be
made again, the same, from the staged releases and the keys.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from infra.files import begun, sync
from sandbox.finish.streams import Form, digest_of, write


@dataclass(frozen=True, slots=True)
class Copy:
    """A file to hand out. `sha256` is of all its bytes."""

    path: Path
    form: Form
    sha256: str
    bytes: int


class StoreDamaged(Exception):
    """A file is missing or not what was stored. Never answered with other bytes."""


Rows = Callable[[], Iterable[pa.RecordBatch]]  # from the beginning, each time it is called


class Store:
    """Several processes may share one folder. `random` names files that are being written."""

    def __init__(self, folder: Path, random: Callable[[int], bytes] = os.urandom) -> None:
        self._folder = folder
        self._random = random
        self._sound: dict[Path, tuple[int, int]] = {}  # files whose digest was computed by this process: size, time of change
        self._turns: dict[Path, threading.Lock] = {}
        self._turn = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def place(self, table_sha256: str, who: str | None = None) -> Path:
        """The folder of a table, or of what was made of it for one recipient."""
        folder = self._folder / table_sha256
        return folder if who is None else folder / "for" / who

    def aside(self) -> Path:
        """A folder to build in, until its name is known."""
        return self._folder / f".{self._random(8).hex()}"

    def adopt(self, aside: Path, folder: Path) -> None:
        """Give what was built its name, unless the same was built before."""
        try:
            os.rename(aside, folder)  # refused when the folder holds anything
        except OSError:
            if not folder.is_dir():
                raise
            for note in sorted(aside.glob("[a-z]*.json")):  # what of it is gone; the file before its note
                if not (folder / note.name).exists():
                    os.replace(aside / note.stem, folder / note.stem)
                    os.replace(note, folder / note.name)
            shutil.rmtree(aside, ignore_errors=True)

    def keep(self, folder: Path, form: Form, schema: pa.Schema, rows: Rows) -> Copy:
        """The file of that form, written unless it is there. Only one thread of this process writes it."""
        with self._turn:
            turn = self._turns.setdefault(folder / form, threading.Lock())
        with turn:
            there = self.find(folder, form)
            if there is not None:
                return there
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            aside = folder / f".{form}.{self._random(8).hex()}"
            try:
                written = write(form, schema, rows(), aside)
                return self._settle(folder, form, aside, written.sha256, written.bytes)
            finally:
                aside.unlink(missing_ok=True)

    def take_over(self, folder: Path, form: Form, source: Path, head: bytes = b"") -> Copy:
        """A file as it is elsewhere, after `head`."""
        there = self.find(folder, form)
        if there is not None:
            return there
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = folder / f".{form}.{self._random(8).hex()}"
        try:
            with source.open("rb") as held, begun(aside) as file:
                file.write(head)
                shutil.copyfileobj(held, file, 1 << 20)
            return self._settle(folder, form, aside, digest_of(aside), aside.stat().st_size)
        finally:
            aside.unlink(missing_ok=True)

    def _settle(self, folder: Path, form: Form, aside: Path, sha256: str, size: int) -> Copy:
        note = folder / f".{form}.json.{self._random(8).hex()}"
        note.write_text(json.dumps({"sha256": sha256, "bytes": size}), "utf-8")
        os.replace(aside, folder / form)
        os.replace(note, folder / f"{form}.json")
        sync(folder)
        self._trust(folder / form)
        return Copy(folder / form, form, sha256, size)

    def _trust(self, path: Path) -> None:
        stat = path.stat()
        self._sound[path] = (stat.st_size, stat.st_mtime_ns)

    def find(self, folder: Path, form: Form) -> Copy | None:
        """A stored file, its digest computed again the first time this process sees it and whenever it was touched. StoreDamaged when it is not
        what was stored; None when there is none."""
        path = folder / form
        try:
            told = json.loads((folder / f"{form}.json").read_bytes())
            stat = path.stat()
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise StoreDamaged(str(path)) from error
        if self._sound.get(path) != (stat.st_size, stat.st_mtime_ns):
            if stat.st_size != told["bytes"] or digest_of(path) != told["sha256"]:
                raise StoreDamaged(str(path))
            self._sound[path] = (stat.st_size, stat.st_mtime_ns)
        return Copy(path, form, told["sha256"], told["bytes"])

    def forms(self, folder: Path) -> list[str]:
        """Which forms are there."""
        return sorted(path.name.removesuffix(".json") for path in folder.glob("[a-z]*.json")) if folder.is_dir() else []
