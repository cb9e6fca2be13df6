"""Master keys in the home's folder of keys: `master` is the first version, `master-2`, `master-3` … those that followed.

The default. Who can read the folder can read everything: back it up apart from the vault.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from infra.crypto import Suite, envelope_of
from infra.files import erase, sync, write
from infra.masters.base import KEY_BYTES, MasterKeyError, Random, Wrapped
from infra.masters.memory import MemoryMasters

_FILE = re.compile(r"master(?:-([1-9]\d{0,8}))?")


class FolderMasters(MemoryMasters):
    """Reads the folder at each use: another process may have rotated."""

    kind = "folder"

    def __init__(self, folder: Path, suite: Suite = "international") -> None:
        self._folder = folder
        self._envelope = envelope_of(suite)
        self._read()

    def __repr__(self) -> str:
        return f"FolderMasters({str(self._folder)!r})"

    @property
    def current(self) -> str:
        self._read()
        return super().current

    def versions(self) -> tuple[str, ...]:
        self._read()
        return super().versions()

    def first(self) -> bytes | None:
        self._read()
        return super().first()

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        self._read()
        return super().unwrap(wrapped, context)

    def rotate(self, random: Random) -> str:
        name = str(int(self.current) + 1)
        path = self._path(name)
        aside = path.with_name(f".{path.name}-{os.getpid()}")
        aside.unlink(missing_ok=True)
        write(aside, random(KEY_BYTES))
        try:
            os.link(aside, path)  # never over the one that another process has just made
        except FileExistsError:
            pass
        finally:
            aside.unlink()
        sync(self._folder)
        return self.current

    def retire(self, version: str) -> None:
        """Overwritten, then removed: what the disk's own wear levelling, snapshots and backups keep of it is out of reach of a program."""
        if version == self.current:
            raise MasterKeyError("keys_unsupported", f"{self.kind}:{version} is the current version")
        path = self._path(version)
        if path.exists():
            erase(path)

    def _path(self, version: str) -> Path:
        return self._folder / ("master" if version == "1" else f"master-{version}")

    def _read(self) -> None:
        try:
            names = [name for name in os.listdir(self._folder) if _FILE.fullmatch(name)]
        except OSError as error:
            raise MasterKeyError("keys_missing", f"{self._folder}: {error.strerror}") from error
        if not names:
            raise MasterKeyError("keys_missing", f"{self._folder / 'master'} is missing; restore it, a new key would not fit the data")
        versions = {int(name.partition("-")[2] or 1): self._folder / name for name in names}
        self._secrets = {str(number): read_secret(path) for number, path in sorted(versions.items())}


def read_secret(path: Path) -> bytes:
    """32 bytes that only this user can read."""
    try:
        mode = path.stat().st_mode
        secret = path.read_bytes()
    except OSError as error:
        raise MasterKeyError("keys_missing", f"{path}: {error.strerror}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise MasterKeyError("keys_exposed", f"{path} can be read by others; chmod go= it, and consider whether the keys leaked")
    if len(secret) != KEY_BYTES:
        raise MasterKeyError("keys_malformed", f"{path} is not {KEY_BYTES} bytes")
    return secret
