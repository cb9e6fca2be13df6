"""Keys of datasets on disk, wrapped under the master key: made, wrapped anew, replaced, destroyed.

    <dataset>/dataset.key    {"format": 2, "keys": [{"generation": 1, "wrapped": …}]}: one, or two while a new one takes over
    root.key                 what `derive` starts from where that is no longer, or never was, the folder's first master key

They lie in the home even where the data is in another store. Before generations had numbers the file was one wrapped key; such files are
read as ever.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from infra.files import erase, replace
from infra.masters import KEY_BYTES, MasterKeyError, MasterKeys, MemoryMasters, Wrapped
from infra.vault.parts import VaultError
from infra.vault.text import data_of, text_of

Random = Callable[[int], bytes]
Result = TypeVar("Result")
FILE = "dataset.key"
ROOT = "root.key"
_REFUSED = ("keys_refused", "keys_version_unknown")
_ROOT_CONTEXT = b"yunei/root-key"


@dataclass(frozen=True, slots=True)
class Generation:
    """A dataset's key, wrapped. Numbers count up; the last one wraps what is new."""

    number: int
    wrapped: Wrapped


class KeyFiles:
    """`directory`: the vault's. What is wrapped for good is wrapped under the lock, shared; what replaces keys holds it alone."""

    def __init__(self, directory: Path, masters: MasterKeys, random: Random) -> None:
        self._directory, self.masters, self._random = directory, masters, random

    @contextmanager
    def locked(self, *, alone: bool) -> Iterator[None]:
        """Over processes of this machine, and of others that share its disk."""
        handle = os.open(self._directory, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield
        finally:
            os.close(handle)

    def path(self, dataset: str) -> Path:
        return self._directory / dataset.casefold() / FILE

    def datasets(self) -> list[str]:
        """Folders that have a key."""
        return sorted(path.parent.name for path in self._directory.glob(f"*/{FILE}"))

    def generations(self, dataset: str, version: int = 0) -> list[Generation]:
        """Oldest first; none where there is no key. VaultError key_refused for a file that is none."""
        try:
            data = self.path(dataset).read_bytes()
        except FileNotFoundError:
            return []
        if not data.startswith(b"{"):
            return [Generation(1, Wrapped.read(data))]
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(data)
            if told["format"] == 2 and told["keys"]:
                return [Generation(int(one["generation"]), Wrapped.read(data_of(one["wrapped"]))) for one in told["keys"]]
        raise VaultError("key_refused", dataset, version)

    def keep(self, dataset: str, keys: list[Generation], *, fresh: bool = False) -> None:
        """Put these in the file's place. `fresh`: FileExistsError where there is one."""
        told = {"format": 2, "keys": [{"generation": one.number, "wrapped": text_of(bytes(one.wrapped))} for one in keys]}
        replace(self.path(dataset), json.dumps(told, sort_keys=True).encode(), fresh=fresh)

    def destroy(self, dataset: str) -> None:
        """The dataset's key is gone from here: nothing of the dataset can be read any more."""
        erase(self.path(dataset))

    def open(self, dataset: str, version: int, one: Generation) -> bytes:
        """VaultError key_refused, keys_unavailable."""
        return _telling(dataset, version, lambda: self.masters.unwrap(one.wrapped, _context(dataset, one.number)))

    def newest(self, dataset: str, version: int) -> bytes:
        """VaultError key_refused, keys_unavailable."""
        keys = self.generations(dataset, version)
        if not keys:
            raise VaultError("key_refused", dataset, version)
        return self.open(dataset, version, keys[-1])

    def make(self, dataset: str, version: int) -> None:
        """A first key, unless there is one. VaultError keys_unavailable."""
        if not self.path(dataset).exists():
            with self.locked(alone=False), suppress(FileExistsError):
                self.keep(dataset, [self.wrapped(dataset, version, 1, self._random(KEY_BYTES))], fresh=True)

    def wrapped(self, dataset: str, version: int, number: int, key: bytes) -> Generation:
        """Under the current master key. VaultError keys_unavailable."""
        made = _telling(dataset, version, lambda: self.masters.wrap(key, _context(dataset, number), self._random))
        return Generation(number, made)

    # ── what other secrets follow from ───────────────────────────────────────────────────────────────────────────────────────────────

    def derive(self, label: str) -> bytes:
        """32 secret bytes for `label`, always the same whatever becomes of the master key (HKDF-SHA-256, RFC 5869)."""
        return HKDFExpand(SHA256(), KEY_BYTES, b"yunei/vault/" + label.encode()).derive(_telling(ROOT, 0, self._root))

    def _root(self) -> bytes:
        """The pseudorandom key of RFC 5869, 2.2: of the folder's first master key while nothing was rotated, so that homes made before there
        was a `root.key` go on as they were. It does not lead back to the master."""
        path = self._directory / ROOT
        if path.exists():
            return self.masters.unwrap(Wrapped.read(path.read_bytes()), _ROOT_CONTEXT)
        first = self.masters.first() if isinstance(self.masters, MemoryMasters) else None
        if first is not None:
            return HKDF.extract(SHA256(), None, first)
        if self.datasets():  # a new one would not fit what is there: units of two tables would no longer meet
            raise VaultError("key_refused", ROOT, 0)
        with self.locked(alone=False), suppress(FileExistsError):
            replace(path, bytes(self.masters.wrap(self._random(KEY_BYTES), _ROOT_CONTEXT, self._random)), fresh=True)
        return self.masters.unwrap(Wrapped.read(path.read_bytes()), _ROOT_CONTEXT)

    # ── the master key changes ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def under(self) -> dict[str, int]:
        """How many keys are wrapped under each version of the master key, `kind:version`. VaultError key_refused."""
        held = [one.wrapped for dataset in self.datasets() for one in self.generations(dataset)]
        root = self._directory / ROOT
        held += [Wrapped.read(root.read_bytes())] if root.exists() else []
        counts: dict[str, int] = {}
        for wrapped in held:
            counts[wrapped.under] = counts.get(wrapped.under, 0) + 1
        return counts

    def keep_root(self) -> None:
        """Before another master key takes over: what is derived must not change with it."""
        path = self._directory / ROOT
        if not path.exists():
            root = _telling(ROOT, 0, self._root)
            with suppress(FileExistsError):
                replace(path, bytes(_telling(ROOT, 0, lambda: self.masters.wrap(root, _ROOT_CONTEXT, self._random))), fresh=True)

    def rewrap(self) -> int:
        """Every key under the current master key; returns how many were not. One file at a time, each at once: broken off, it is taken up by
        calling it again, and until then each key opens under the version that it names. No row is read or written."""
        current = f"{self.masters.kind}:{self.masters.current}"
        done = 0
        with self.locked(alone=True):
            self.keep_root()
            for dataset in self.datasets():
                keys = self.generations(dataset)
                if any(one.wrapped.under != current for one in keys):
                    self.keep(dataset, [self.wrapped(dataset, 0, one.number, self.open(dataset, 0, one)) for one in keys])
                    done += 1
            path = self._directory / ROOT
            root = Wrapped.read(path.read_bytes())
            if root.under != current:
                secret = _telling(ROOT, 0, lambda: self.masters.unwrap(root, _ROOT_CONTEXT))
                replace(path, bytes(_telling(ROOT, 0, lambda: self.masters.wrap(secret, _ROOT_CONTEXT, self._random))))
                done += 1
        return done


def _telling(dataset: str, version: int, act: Callable[[], Result]) -> Result:
    """A provider's errors as the vault's."""
    try:
        return act()
    except MasterKeyError as error:
        code = "key_refused" if error.code in _REFUSED else "keys_unavailable"
    raise VaultError(code, dataset, version)


def _context(dataset: str, number: int) -> bytes:
    return f"yunei/dataset-key/{dataset.casefold()}/{number}".encode()
