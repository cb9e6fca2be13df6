"""Cells that the launcher opens: the other end of its socket, for servers and workers. It has no way to ask for anything but what
`infra.cells.frames` lists."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.cells import frames
from infra.cells.base import Cargo, Cell, CellsError, Finding, Limits, Rehearsal
from infra.cells.launcher import VERSION, Most
from infra.cells.lined import Guarded

if TYPE_CHECKING:
    from infra.settings import Settings

START_S = 180.0  # a cell, or all probes
LATE_S = 30.0  # beyond a block's own time


@dataclass(frozen=True)
class Launched:
    """The launcher at `path`, which has to be one of `name`, strict where this side wants that, and to give a block what this side promises:
    `promised`, by the names of `Most`."""

    path: Path
    name: str
    strict: bool = False
    promised: Most | None = None
    isolates: bool = True

    @contextmanager
    def open(self, cargo: Cargo, limits: Limits, *, talkative: bool = False) -> Iterator[Cell]:
        """CellsError: cells_unavailable, cells_start_failed, cells_refused."""
        cell = _LaunchedCell(self, cargo, limits, talkative)
        try:
            cell.start()
            yield cell
        finally:
            cell.close()

    def probe(self) -> tuple[Finding, ...]:
        """What the launcher's backend finds out about itself; where it cannot be asked, that."""
        try:
            with self._connected() as connection:
                connection.settimeout(START_S)
                frames.send(connection, "probe")
                _, values, _ = _answer(connection, "findings")
                return tuple(Finding(str(each["feature"]), each["ok"] is True, str(each["detail"])) for each in values["findings"])
        except CellsError as problem:
            return (Finding("launcher", False, f"{problem.code}: {problem.about}"),)
        except (frames.Broken, KeyError, TypeError):
            return (Finding("launcher", False, "it does not answer"),)

    def _connected(self) -> socket.socket:
        """A connection that said hello as it should."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.settimeout(LATE_S)
            try:
                connection.connect(str(self.path))
                _, values, _ = _answer(connection, "hello")
            except (OSError, frames.Broken):
                raise CellsError("cells_unavailable", "the launcher does not answer, or not to this user") from None
            if values["version"] != VERSION or values["backend"] != self.name:
                raise CellsError("cells_unavailable", f"the launcher has {values['backend']} cells, version {values['version']}")
            if self.strict and not values["strict"]:
                raise CellsError("cells_unavailable", "the launcher is not strict")
            self._given(values["most"])
        except BaseException:
            connection.close()
            raise
        return connection

    def _given(self, most: dict[str, Any]) -> None:
        """A launcher cuts what it is asked for to its own settings: programs that count on more would give defaults, and be paid for."""
        for name, promised in asdict(self.promised).items() if self.promised else ():
            given = most.get(name)
            if type(given) not in (int, float) or given < promised:
                raise CellsError("cells_unavailable", f"YUNEI_CELLS_{name.upper()}: {promised:g}, the launcher gives {given}")


class _LaunchedCell(Guarded):
    def __init__(self, backend: Launched, cargo: Cargo, limits: Limits, talkative: bool) -> None:
        super().__init__(talkative=talkative)
        self._backend = backend
        self._cargo = cargo
        self._limits = limits
        self._connection: socket.socket | None = None
        self.features: dict[str, bool] = {}

    def _run(self, block: bytes) -> Rehearsal:
        if self._connection is None:
            self.start()
        assert self._connection is not None
        self._connection.settimeout(self._limits.wall_s + START_S + LATE_S)  # a strict launcher starts a cell first
        try:
            frames.send(self._connection, "block", (block,))
            _, values, (frame, text) = _answer(self._connection, "done")
        except frames.Broken:
            self.close()
            return Rehearsal(None, "")
        except CellsError:
            self.close()  # so has the launcher: the next block gets another cell
            raise
        complete = frame if values["frame"] and len(frame) == self._limits.output_bytes else None
        return Rehearsal(complete, text.decode("utf-8", "replace"))

    def start(self) -> None:
        """A connection with a cell at its other end."""
        cargo = self._cargo
        connection = self._backend._connected()
        try:
            connection.settimeout(START_S)
            frames.send(
                connection,
                "open",
                (cargo.package, cargo.parameters),
                entry=cargo.entry,
                libraries=list(cargo.libraries),
                shape=cargo.shape,
                limits=asdict(self._limits),
                talkative=self._talkative,
            )
            _, values, _ = _answer(connection, "opened")
            self.features = {str(name): value is True for name, value in values["features"].items()}
        except frames.Broken:
            connection.close()
            raise CellsError("cells_start_failed", "the launcher dropped the connection") from None
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def close(self) -> None:
        """The launcher ends the cell when it sees this."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _answer(connection: socket.socket, wanted: str) -> tuple[str, dict[str, Any], list[bytes]]:
    """The answer that is due, or the problem that came in its place, raised. Broken."""
    say, values, contents = frames.receive(connection, {kind: frames.ANSWERS[kind] for kind in (wanted, "problem")})
    if say == "problem":
        raise CellsError(values["code"], values["about"])
    return say, values, contents


def from_settings(settings: Settings) -> Launched:
    """CellsError(cells_unavailable) when it does not answer, or has other cells than the settings name."""
    assert settings.cells_launcher is not None
    launched = Launched(settings.cells_launcher, settings.cells_backend, settings.cells_strict, Most.from_settings(settings))
    launched._connected().close()
    return launched
