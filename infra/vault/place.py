"""Where parts and manifests lie. Here: folders of a disk; `infra.vault.s3` is the other kind.

A version appears by one step at the end: on a disk by renaming its folder, in a store by writing the manifest if there is none.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from infra.files import replace, sync, write
from infra.vault.parts import part_name
from infra.vault.store import Credentials, Store

MANIFEST = "manifest"
DESTROYED = b"destroyed\n"  # in the place of a manifest: the number stays taken


class Place(Protocol):
    """`draft` is the local folder that a version is drafted in; its name tells apart two attempts at one version."""

    @property
    def store(self) -> Store | None: ...

    @property
    def reader(self) -> Credentials | None:
        """What workers are given to read by, sealed like keys."""
        ...

    def versions(self, dataset: str) -> tuple[int, ...]:
        """Numbers of the committed versions, ascending, destroyed ones included. OSError."""
        ...

    def manifest(self, dataset: str, version: int) -> bytes:
        """FileNotFoundError where there is no such version; OSError."""
        ...

    def part(self, dataset: str, version: int, index: int, draft: str) -> str:
        """The path that a part is read by."""
        ...

    def add(self, dataset: str, version: int, index: int, draft: Path) -> None:
        """Part `index` is finished and synced in the draft. OSError."""
        ...

    def publish(self, dataset: str, version: int, draft: Path, sealed: bytes) -> None:
        """The version is there, whole, when this returns. FileExistsError when another was first; then nothing happened."""
        ...

    def replace(self, dataset: str, version: int, sealed: bytes) -> None:
        """Another manifest in the place of the present one, at once."""
        ...

    def abandon(self, dataset: str, version: int, draft: Path) -> None:
        """Nothing of the draft is left, unless it was published."""
        ...

    def destroy(self, dataset: str, version: int, keep: Collection[str]) -> None:
        """The manifest makes way for DESTROYED, and parts that are not in `keep` (paths) are removed. Twice is once."""
        ...


class Folders:
    """Below `directory`: <dataset>/v<n>/."""

    store: Store | None = None
    reader: Credentials | None = None

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def versions(self, dataset: str) -> tuple[int, ...]:
        names = (path.name for path in (self._directory / dataset.casefold()).glob("v*") if path.is_dir())
        return tuple(sorted(int(name[1:]) for name in names if name[1:].isdecimal()))

    def manifest(self, dataset: str, version: int) -> bytes:
        return (self._folder(dataset, version) / MANIFEST).read_bytes()

    def part(self, dataset: str, version: int, index: int, draft: str) -> str:
        return str(self._folder(dataset, version) / part_name(index))

    def add(self, dataset: str, version: int, index: int, draft: Path) -> None:
        """It lies where it belongs already."""

    def publish(self, dataset: str, version: int, draft: Path, sealed: bytes) -> None:
        final = self._folder(dataset, version)
        write(draft / MANIFEST, sealed)
        sync(draft)
        try:
            os.rename(draft, final)  # fails when the target exists: a version is never empty
        except OSError:
            if not final.exists():
                raise
            raise FileExistsError(str(final)) from None
        sync(final.parent)

    def replace(self, dataset: str, version: int, sealed: bytes) -> None:
        replace(self._folder(dataset, version) / MANIFEST, sealed)

    def abandon(self, dataset: str, version: int, draft: Path) -> None:
        shutil.rmtree(draft, ignore_errors=True)

    def destroy(self, dataset: str, version: int, keep: Collection[str]) -> None:
        folder = self._folder(dataset, version)
        self.replace(dataset, version, DESTROYED)
        for path in folder.iterdir():
            if path.name != MANIFEST and str(path) not in keep:
                path.unlink()
        sync(folder)

    def _folder(self, dataset: str, version: int) -> Path:
        return self._directory / dataset.casefold() / f"v{version}"
