"""Which shared objects a program loads, asked of the machine's own loader (ld.so of the GNU C library 2.33 or later)."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_PT_INTERP = 3
_FOUND = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_MISSING = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)


class NoLoader(RuntimeError):
    """The interpreter is not a dynamically linked 64-bit ELF program of the GNU C library, or one of its objects is missing here."""


def loader(program: Path) -> str:
    """Absolute path of the loader `program` names (PT_INTERP, System V ABI chapter 5)."""
    with program.open("rb") as file:
        head = file.read(64)
        if head[:6] != b"\x7fELF\x02\x01":
            raise NoLoader(f"{program} is not a little-endian 64-bit ELF file")
        (table,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        for number in range(count):
            file.seek(table + number * size)
            entry = file.read(size)
            kind, _flags, offset, _address, _physical, length = struct.unpack_from("<IIQQQQ", entry)
            if kind == _PT_INTERP:
                file.seek(offset)
                return file.read(length).rstrip(b"\0").decode()
    raise NoLoader(f"{program} names no loader: it is linked statically")


def search_path(ld_so: str) -> str:
    """The first folder the loader looks into by itself: where it finds what has no search path of its own."""
    text = _ask(ld_so, "--help")
    match = re.search(r"^\s+(/\S+) \(system search path\)", text, re.MULTILINE)
    if match is None:
        raise NoLoader(f"{ld_so} does not say where it looks: the GNU C library 2.33 or later is needed")
    return match[1]


def closure(ld_so: str, objects: Iterable[Path]) -> list[Path]:
    """Every shared object that `objects` load, by absolute path, sorted. Raises `NoLoader` naming the first that is missing."""
    needed: set[Path] = set()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        listed = pool.map(lambda path: (path, _ask(ld_so, "--list", str(path))), objects)
        for path, text in listed:
            if missing := _MISSING.search(text):
                raise NoLoader(f"{path} needs {missing[1]}, which is not installed")
            needed.update(Path(found) for found in _FOUND.findall(text))
    return sorted(needed)


def _ask(*command: str) -> str:
    # An extension module may lack symbols that only the interpreter has: the loader then lists all the same and ends with an error.
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}).stdout  # noqa: S603 - the system's loader
