"""What a cell is to the rest of the program: bytes in, bytes out.

    with choose(settings).open(cargo, limits) as cell:
        frame = cell.run(block)          # limits.output_bytes bytes, or None: the caller's public default

Whatever a program does with a block, exactly two things can be seen outside: a frame of the declared length, or None. Why there is none
(crash, no answer, a late one, one of another length) is not told, counted or logged anywhere, because it may depend on rows. Problems that
can be told (`CellsError`) arise before a block is handed over: when a backend is missing, or a cell cannot be opened.
"""

from __future__ import annotations

import importlib
import math
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, cast

if TYPE_CHECKING:
    from infra.settings import Settings

FLOAT_BYTES = 8
LIBRARIES = ("numpy", "pandas", "pyarrow", "scipy", "sklearn")  # by the name they are imported by
_ENTRY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*")
_BACKENDS = {
    "bwrap": ("infra.cells.bwrap", "from_settings"),
    "docker": ("infra.cells.docker", "from_settings"),
    "unsafe": ("infra.cells.unsafe", "from_settings"),
}

Shape = Literal["arrow", "pandas"]


class CellsError(Exception):
    """Cells cannot be had. `code` is stable: `cells_unavailable` (a backend or a part of it is missing), `cells_refused` (a probe of a
    feature failed), `cells_start_failed` (a cell did not come up). `about` names the feature or part and holds nothing of any row."""

    def __init__(self, code: str, about: str) -> None:
        super().__init__(code, about)
        self.code = code
        self.about = about


@dataclass(frozen=True, slots=True)
class Limits:
    """What one block may use; whoever goes past it gives the public default. Set them far above what the program is declared to need: a
    limit that is met is one bit of the rows.

    memory_mb     MiB of address space beyond what the libraries take
    cpu_s         seconds of processor time, whole
    wall_s        seconds from the moment the block is handed over
    output_bytes  length of the frame: 8 for each float64
    """

    memory_mb: int = 512
    cpu_s: int = 10
    wall_s: float = 20.0
    output_bytes: int = FLOAT_BYTES

    def __post_init__(self) -> None:
        if not 16 <= self.memory_mb <= 2**20 or not 1 <= self.cpu_s <= 86_400:
            raise ValueError("memory_mb is 16 to 1048576, cpu_s 1 to 86400")
        if not math.isfinite(self.wall_s) or not 0 < self.wall_s <= 86_400:
            raise ValueError("wall_s is above 0 and at most 86400")
        if self.output_bytes % FLOAT_BYTES or not FLOAT_BYTES <= self.output_bytes <= 2**20:
            raise ValueError("a frame is 1 to 131072 float64")


@dataclass(frozen=True, slots=True)
class Cargo:
    """What a cell is opened with: the operator's program, and nothing of any row.

    package     bytes of a zip file with the program's Python sources; it is unpacked inside the cell only
    entry       `module:function` in it, called `function(rows, parameters)` once a block, in a fresh process; the floats it returns
                (an iterable of numbers, or one number) become the frame
    parameters  a JSON object in UTF-8; the function gets it as a dict
    libraries   of LIBRARIES: loaded once, before any block. What is not named can still be imported, more slowly
    shape       `arrow`: rows come as a pyarrow.Table; `pandas`: as a DataFrame. A block is an Arrow IPC stream that we wrote
    """

    package: bytes
    entry: str
    parameters: bytes = b"{}"
    libraries: tuple[str, ...] = ("numpy", "pyarrow")
    shape: Shape = "arrow"

    def __post_init__(self) -> None:
        if not _ENTRY.fullmatch(self.entry):
            raise ValueError("entry looks like module:function")
        if unknown := set(self.libraries) - set(LIBRARIES):
            raise ValueError(f"not in the locked set: {', '.join(sorted(unknown))}")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a backend found out about itself. `feature` is what an administrator names in YUNEI_CELLS_ACCEPT to do without."""

    feature: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A run over invented rows: the frame, or None and why."""

    frame: bytes | None
    text: str


class Cell(Protocol):
    """Open until `close`. One block at a time; not for use from two threads."""

    def run(self, block: bytes) -> bytes | None:
        """The frame, exactly `output_bytes` long, for a block in Arrow IPC; None for whatever went wrong with it. CellsError where the machine
        cannot run it at all: found out before a row is looked at, so nothing depends on any."""
        ...

    def rehearse(self, block: bytes) -> Rehearsal:
        """The same, with what the program wrote to standard error and its traceback (at most 64 KiB). Only in a cell opened with
        `talkative`, whose blocks are invented rows: ValueError in any other."""
        ...

    def close(self) -> None:
        """End it; returns when no process of it is left."""
        ...


class Backend(Protocol):
    """A way of making cells."""

    @property
    def name(self) -> str: ...

    @property
    def isolates(self) -> bool:
        """False: whoever opens a cell must have made sure that the rows are invented."""
        ...

    def open(self, cargo: Cargo, limits: Limits, *, talkative: bool = False) -> AbstractContextManager[Cell]:
        """A cell of its own for one job. CellsError when it does not come up."""
        ...

    def probe(self) -> tuple[Finding, ...]:
        """Carry out attacks against cells of this backend; one finding per feature that should have stopped them. Seconds. No CellsError:
        what cannot be started is a finding."""
        ...


def choose(settings: Settings) -> Backend:
    """The backend that the settings name. CellsError(cells_unavailable) where it is missing here, or programs are switched off."""
    if settings.cells_backend not in _BACKENDS:
        raise CellsError("cells_unavailable", "YUNEI_CELLS_BACKEND")
    module, function = _BACKENDS[settings.cells_backend]
    if settings.cells_launcher is not None and settings.cells_backend != "unsafe":
        module = "infra.cells.launched"
    return cast(Backend, getattr(importlib.import_module(module), function)(settings))
