"""The locked library set: what a program in a cell may import besides Python's own library, and nothing more.

Names and versions are what `requirements.lock` installed here, closed over run-time dependencies. Authors and reviewers are shown them
together with the digest of the root file system that holds them (`infra.cells.rootfs`). What is not in the set is not in the cell.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

NAMED = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy")  # what authors are promised; the rest is what these need

BESIDE = ("tzdata",)  # time zones: a cell has none of the machine's

# What a cell has no use for. Tests are a third of the files; clients of networks have no network and are the more code to attack.
_NO_SUFFIX = frozenset({".a", ".c", ".cpp", ".h", ".hpp", ".pxd", ".pxi", ".pyc", ".pyi", ".pyx", ".pth"})
_NO_FOLDER = frozenset({"tests", "__pycache__", "include", "conftest.py", "_pyinstaller"})
_NO_NETWORK = re.compile(r"pyarrow/(lib)?_?(arrow_(python_)?flight|arrow_s3|flight|s3fs|gcsfs|azurefs|hdfs)\b.*\.so.*")

# "numpy<2.7,>=1.26.4; python_version < '3.14'" → name and marker (PEP 508). Extras are somebody else's wish.
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)[^;]*(?:;(.*))?$")


@dataclass(frozen=True, order=True)
class Library:
    """One distribution of the set. `record` is the SHA-256 (hex) of the list of its files and their digests, as installed."""

    name: str
    version: str
    record: str


class LibrarySetBroken(RuntimeError):
    """The environment does not hold the set: a package is missing, or has no list of its files."""


def library_set() -> tuple[Library, ...]:
    """The set as installed here, by name. Raises `LibrarySetBroken` naming the package that is missing or was not installed from a wheel."""
    found: dict[str, Library] = {}
    waiting = [*NAMED, *BESIDE]
    while waiting:
        name = _canonical(waiting.pop())
        if name not in found:
            installed = _installed(name)
            record = installed.read_text("RECORD")
            if record is None:
                raise LibrarySetBroken(f"{name} has no RECORD: install it from a wheel (make setup)")
            found[name] = Library(name, installed.version, hashlib.sha256(_without_local(record).encode()).hexdigest())
            waiting += _needs(installed)
    return tuple(sorted(found.values()))


def files(name: str) -> Iterator[tuple[Path, PurePosixPath]]:
    """(file on this machine, path below site-packages) of what a cell gets of one distribution: what its RECORD lists inside site-packages."""
    for entry in _installed(name).files or ():
        inside = PurePosixPath(entry)
        if ".." in inside.parts or inside.is_absolute() or inside.suffix in _NO_SUFFIX or not _NO_FOLDER.isdisjoint(inside.parts):
            continue
        if inside.name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json") or _NO_NETWORK.fullmatch(str(inside)):
            continue
        yield Path(str(entry.locate())), inside


def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise LibrarySetBroken(f"{name} is not installed: make setup") from None


def _needs(installed: Distribution) -> Iterator[str]:
    """Names of the run-time dependencies that apply on Linux. A marker that is not known to be a no is a yes: more is copied, never less."""
    for text in installed.requires or ():
        match = _REQUIREMENT.match(text)
        if match is None:
            raise LibrarySetBroken(f"{installed.name} requires {text!r}, which cannot be read")
        marker = match[2] or ""
        if "extra" not in marker and "win32" not in marker and "emscripten" not in marker and "Windows" not in marker:
            yield match[1]


def _without_local(record: str) -> str:
    """RECORD without what depends on this machine: scripts beside the interpreter and caches."""
    return "\n".join(sorted(line for line in record.splitlines() if not line.startswith("..") and "__pycache__" not in line))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
