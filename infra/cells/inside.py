"""What the process of a block does with the operator's program, once it is confined: shipped beside the zygote, the standard library alone."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import io
import json
import struct
import sys
import traceback
import zipfile
from collections.abc import Sequence
from types import ModuleType
from typing import Any


class Program(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports the modules of a zip file that lies in memory. Libraries come first: a package cannot put a module of its own in their place."""

    def __init__(self, package: bytes) -> None:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            self.sources = {name: archive.read(name).decode("utf-8") for name in archive.namelist() if name.endswith(".py")}
        self.folders = {name[:end] for name in self.sources for end, letter in enumerate(name) if letter == "/"}

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        name = self._file(fullname)
        if name is None and fullname.replace(".", "/") not in self.folders:
            return None
        spec = importlib.machinery.ModuleSpec(fullname, self, origin=name, is_package=self.is_package(fullname))
        spec.has_location = name is not None
        return spec

    def _file(self, fullname: str) -> str | None:
        stem = fullname.replace(".", "/")
        return next((name for name in (f"{stem}/__init__.py", f"{stem}.py") if name in self.sources), None)

    def is_package(self, fullname: str) -> bool:
        return fullname.replace(".", "/") in self.folders

    def get_source(self, fullname: str) -> str:
        return self.sources.get(self._file(fullname) or "", "")

    def get_code(self, fullname: str) -> Any:
        return compile(self.get_source(fullname), self._file(fullname) or fullname, "exec", dont_inherit=True)


def answer(block: bytes, package: bytes, entry: str, parameters: bytes, shape: str) -> Any:
    """What the program's function returns for the rows in `block`, an Arrow IPC stream."""
    program = Program(package)
    sys.meta_path.append(program)
    sys.argv[:] = [entry]
    module, _, function = entry.partition(":")
    arrow = sys.modules["pyarrow"]
    rows = arrow.ipc.open_stream(arrow.py_buffer(block)).read_all()
    if shape == "pandas":
        rows = rows.to_pandas()
    return getattr(importlib.import_module(module), function)(rows, json.loads(parameters))


def tell(error: BaseException) -> None:
    """A traceback that begins with the program's own lines."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None and frames.tb_frame.f_code.co_filename.startswith(("/", "<frozen")):
        frames = frames.tb_next
    traceback.print_exception(type(error), error, frames)


def frame(result: Any, count: int) -> bytes:
    """`count` float64, little-endian, of an iterable of numbers or of one. TypeError, ValueError, struct.error for anything else."""
    try:
        values = [float(each) for each in result]
    except TypeError:
        values = [float(result)]
    return struct.pack(f"<{count}d", *values)
