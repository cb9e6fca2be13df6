"""The vault: versions opened, begun, given other keys, destroyed."""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from infra.crypto import SealBroken, Suite, envelope_of
from infra.masters import KEY_BYTES, MasterKeys, MemoryMasters
from infra.scratch import Scratch
from infra.vault.draft import KEEPING, Draft
from infra.vault.eras import Eras
from infra.vault.keyfiles import KeyFiles, Random
from infra.vault.parts import FORMAT, Part, VaultError, Version, aad
from infra.vault.place import DESTROYED, Folders, Place
from infra.vault.text import data_of, text_of

_NAME = re.compile(r"[^\W\d]\w{0,62}")  # as the catalogue has it: nothing that means something in a path


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A file's key as its manifest has it. It opens with the dataset's key, which is asked for each time and kept nowhere."""

    vault: Vault
    dataset: str
    version: int
    text: str

    def __repr__(self) -> str:
        return "WrappedKey(…)"

    def open(self) -> bytearray:
        """VaultError key_refused, keys_unavailable."""
        return self.vault.file_keys([self])[0]


@dataclass(frozen=True, slots=True)
class Era:
    """Of a vault, between two destructions: decrypted rows are kept within one, numbers only grow."""

    vault: str
    number: int


class Vault:
    """All versions of all datasets under one directory and one master key: a provider's or, for tests and tools, 32 bytes. `suite` is what file
    keys and manifests are sealed in from now on; those of the other suite are read all the same. `place`: where parts and manifests lie;
    None: in the directory too.

    Safe to open from several processes: versions are immutable and appear atomically. The directory is made, 0700, when missing.
    """

    def __init__(
        self,
        directory: Path,
        masters: MasterKeys | bytes,
        suite: Suite = "international",
        *,
        place: Place | None = None,
        random: Random = os.urandom,
    ) -> None:
        held = MemoryMasters({"1": masters}, suite, kind="folder") if isinstance(masters, bytes) else masters
        self._directory = directory
        self.envelope = envelope_of(suite)
        self.random = random
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.place: Place = place or Folders(directory)
        self.keys = KeyFiles(directory, held, random)
        self._eras = Eras(directory)

    def __repr__(self) -> str:
        return f"Vault({str(self._directory)!r})"

    @property
    def era(self) -> Era:
        """Another one after each destruction, by whatever process. OSError, ValueError when it cannot be told."""
        return Era(str(self._directory), self._eras.now())

    def derive(self, label: str) -> bytes:
        """32 secret bytes for `label`, always the same in one vault. VaultError key_refused, keys_unavailable."""
        return self.keys.derive(label)

    def versions(self, dataset: str) -> tuple[int, ...]:
        """Numbers of the committed versions, ascending; destroyed ones keep theirs."""
        return self.place.versions(_named(dataset))

    def open(self, dataset: str, version: int) -> Version:
        """Read and authenticate a manifest. Raises VaultError version_missing, key_refused, keys_unavailable, manifest_damaged, destroyed. No
        file's key is unwrapped."""
        sealed = self._sealed(dataset, version)
        keys = self.keys.generations(dataset, version)
        if not keys:
            raise VaultError("key_refused", dataset, version)
        for one in reversed(keys):  # two, while a new key takes over: a manifest is under one of them
            with suppress(SealBroken):
                return self._read(dataset, version, self.keys.open(dataset, version, one), sealed)
        raise VaultError("manifest_damaged", dataset, version)

    def begin(self, dataset: str, version: int, random: Random, after: Version | None = None) -> Draft:
        """Start writing a version; use as a context manager. `after`: an earlier version of the dataset whose parts all are kept, and to
        each shard of which one part is added. Raises VaultError version_exists, and key_refused from its first part on."""
        folder = self._folder(dataset)
        if after is not None and (after.dataset.casefold() != dataset.casefold() or after.version >= version):
            raise ValueError("a version keeps parts of an earlier version of the same dataset")
        folder.mkdir(mode=0o700, exist_ok=True)
        if version in self.versions(dataset):
            raise VaultError("version_exists", dataset, version)
        for left in folder.glob(".draft-*"):
            if not _alive(int(left.name.split("-")[1])):
                self.place.abandon(dataset, version, left)  # a crash left it; its keys are gone, so it is noise on the disk
                shutil.rmtree(left, ignore_errors=True)
        draft = folder / f".draft-{os.getpid()}-{random(8).hex()}"
        draft.mkdir(mode=0o700)
        return Draft(self, dataset, version, draft, random, after)

    def left_behind(self, dataset: str) -> bool:
        """Whether there is scratch of the dataset, of a process that lives or is dead."""
        return any(self._folder(dataset).glob(".scratch-*"))

    def scratch(self, dataset: str, version: int, schema: pa.Schema, random: Random, *, identity: str, resume: bool = True) -> Scratch:
        """Room for rows on their way into a version, on a disk of this machine; what a dead process left of the same ingest, where there is
        such and `resume` says so. Raises VaultError key_refused, keys_unavailable."""
        folder = self._folder(dataset)
        folder.mkdir(mode=0o700, exist_ok=True)
        self.keys.make(dataset, version)
        key = self.keys.newest(dataset, version)
        return Scratch.open(folder, key, self.envelope, schema, random, identity=f"{dataset}/{version}/{identity}", resume=resume)

    def file_keys(self, wanted: list[WrappedKey], opened: dict[str, list[bytes]] | None = None) -> list[bytearray]:
        """Unwrapped, in memory of the caller's own. One question to whoever holds the master for each dataset; `opened` keeps the datasets'
        keys from one call to the next, for as long as the caller does. VaultError."""
        opened = {} if opened is None else opened
        found = []
        for one in wanted:
            name = one.dataset.casefold()
            if name not in opened:
                opened[name] = [self.keys.open(name, one.version, each) for each in reversed(self.keys.generations(name, one.version))]
            found.append(self._unwrapped(opened[name], one))
        return found

    def _unwrapped(self, keys: list[bytes], one: WrappedKey) -> bytearray:
        for key in keys:
            with suppress(SealBroken, ValueError):
                return bytearray(self.envelope.unwrap(key, data_of(one.text)))
        raise VaultError("key_refused", one.dataset, one.version)

    def _sealed(self, dataset: str, version: int) -> bytes:
        try:
            sealed = self.place.manifest(_named(dataset), version)
        except OSError:
            raise VaultError("version_missing", dataset, version) from None
        if sealed == DESTROYED:
            raise VaultError("destroyed", dataset, version)
        return sealed

    def _read(self, dataset: str, version: int, key: bytes, sealed: bytes) -> Version:
        """SealBroken when it is under another key; VaultError manifest_damaged when what it holds is no manifest."""
        plain = self.envelope.open(manifest_key(key), sealed, aad(dataset, version, "manifest"))
        try:
            content = json.loads(plain)
            if content["format"] not in (FORMAT, KEEPING):
                raise ValueError("a manifest of another format")
            own = [(version, index, part) for index, part in enumerate(content["parts"])]
            kept = [[(part["version"], part["index"], part) for part in shard] for shard in content.get("kept") or [[] for _ in own]]
            shards = tuple(tuple(self._part(dataset, *of) for of in (*older, new)) for older, new in zip(kept, own, strict=True))
            return Version(dataset, version, content["digest"], tuple((name, kind) for name, kind in content["schema"]), shards)
        except (ValueError, KeyError, TypeError):
            raise VaultError("manifest_damaged", dataset, version) from None

    def _part(self, dataset: str, version: int, index: int, of: dict[str, Any]) -> Part:
        path = self.place.part(dataset, version, index, of.get("draft", ""))
        key = WrappedKey(self, dataset, version, of["key"])
        return Part(dataset, version, index, path, of["sha256"], of["rows"], key, of.get("content", ""), self.place.store)

    def _folder(self, dataset: str) -> Path:
        return self._directory / _named(dataset).casefold()

    # ── another key, or none ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def rotate(self, dataset: str) -> int:
        """A new dataset key: file keys are wrapped and manifests sealed under it, no row is read or written, and the old one is gone. Returns
        its generation. Broken off at any moment it is taken up by calling it again; until then both are there. VaultError."""
        with self.keys.locked(alone=True):
            return self._rotate(dataset)

    def _rotate(self, dataset: str) -> int:
        keys = self.keys.generations(_named(dataset))
        if not keys:
            raise VaultError("key_refused", dataset, 0)
        if len(keys) == 1:
            keys.append(self.keys.wrapped(dataset, 0, keys[0].number + 1, self.random(KEY_BYTES)))
            self.keys.keep(dataset, keys)
        old, new = (self.keys.open(dataset, 0, one) for one in keys[-2:])
        for version in self.versions(dataset):
            if self._there(dataset, version):
                self._reseal(dataset, version, old, new)
        self.keys.keep(dataset, keys[-1:])
        return keys[-1].number

    def _reseal(self, dataset: str, version: int, old: bytes, new: bytes) -> None:
        """A manifest under the new key, unless it is already. VaultError manifest_damaged when it is under neither: no key goes then."""
        sealed = self._sealed(dataset, version)
        with suppress(SealBroken):
            self._read(dataset, version, new, sealed)
            return
        try:
            content = json.loads(self.envelope.open(manifest_key(old), sealed, aad(dataset, version, "manifest")))
            for part in [*content["parts"], *(part for shard in content.get("kept") or () for part in shard)]:
                part["key"] = text_of(self.envelope.wrap(new, self.envelope.unwrap(old, data_of(part["key"])), self.random))
        except (SealBroken, ValueError, KeyError, TypeError):
            raise VaultError("manifest_damaged", dataset, version) from None
        self.place.replace(dataset, version, self.seal(dataset, version, new, content))

    def seal(self, dataset: str, version: int, key: bytes, content: dict[str, object]) -> bytes:
        """A manifest as it is stored."""
        plain = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        return self.envelope.seal(manifest_key(key), plain, aad(dataset, version, "manifest"), self.random)

    def destroy(self, dataset: str, version: int | None = None) -> None:
        """Nothing of the version, or (None) of the dataset, can be read any more: its keys are destroyed, then its files removed. Of a version,
        the keys of files that another version keeps live on in that one's manifest; all else is under a dataset key that is replaced and gone.
        Broken off, it is taken up by calling it again; when it is over, again is nothing. VaultError."""
        with self.keys.locked(alone=True), self._eras.ending():
            gone = [number for number in self.versions(dataset) if version in (None, number)]
            left = [number for number in self.versions(dataset) if number not in gone and self._there(dataset, number)]
            keep = {part.path for number in left for part in self.open(dataset, number).parts}
            was = [number for number in gone if self._there(dataset, number)]
            if left and (was or len(self.keys.generations(dataset)) > 1):
                for number in was:
                    self.place.replace(dataset, number, DESTROYED)
                self._rotate(dataset)
            if not left:
                self.keys.destroy(_named(dataset))
            for number in self.versions(dataset):
                if number not in left:  # those destroyed before too: what they still had for another version's sake may have no user now
                    self.place.destroy(dataset, number, keep)

    def gone(self, dataset: str, version: int | None = None) -> bool:
        """Whether `destroy` has nothing to do any more. OSError."""
        numbers = [number for number in self.versions(dataset) if version in (None, number)]
        over = not self._eras.under_way and not any(self._there(dataset, number) for number in numbers)
        over = over and len(self.keys.generations(dataset)) < 2
        return over and (version is not None or not self.keys.path(_named(dataset)).exists())

    def _there(self, dataset: str, version: int) -> bool:
        return self.place.manifest(dataset, version) != DESTROYED


def manifest_key(dataset_key: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"yunei/vault/manifest").derive(dataset_key)


def _named(dataset: str) -> str:
    if not _NAME.fullmatch(dataset):
        raise ValueError("a dataset's name is letters, digits and underscores")
    return dataset


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
