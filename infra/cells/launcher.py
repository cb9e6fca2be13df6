"""The launcher: a service under a user of its own that opens cells for others. It alone may talk to Docker, and knows nothing else.

    python -m infra.cells.launcher            settings: YUNEI_CELLS_LAUNCHER, _LAUNCHER_USERS, _BACKEND, _STRICT, _ACCEPT, _DIR, _DOCKER,
                                              _DOCKER_RUNTIME; _MEMORY_MB, _CPU_S and _WALL_S are the most that a block gets here

The server and its workers hold rows and keys, so they may not hold Docker's socket, which is root. The launcher holds that, and no row but
the block it passes on: what it is sent is bytes (`infra.cells.frames`), and what it starts is constant. Each connection is one cell and one
process of its own, forked from this one, which stays single-threaded and clears away what a process that ended has left.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from infra.cells import base, frames
from infra.cells.base import Backend, Cargo, CellsError, Limits
from infra.settings import Settings

VERSION = 2
CELLS = 64  # at once; whoever comes after that is told to come again
IDLE_S = 900.0  # without a word from the other end
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Most:
    """What a block gets at most, in the units of `Limits`. The launcher's own settings say it: who asks is not believed."""

    memory_mb: int
    cpu_s: int
    wall_s: float

    def of(self, asked: Limits) -> Limits:
        """What was asked for, cut to this."""
        return replace(
            asked,
            memory_mb=min(asked.memory_mb, self.memory_mb),
            cpu_s=min(asked.cpu_s, self.cpu_s),
            wall_s=min(asked.wall_s, self.wall_s),
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> Most:
        return cls(settings.cells_memory_mb, settings.cells_cpu_s, settings.cells_wall_s)


@dataclass(frozen=True)
class Launcher:
    """`users`: numbers of those who may ask. `most`: what a block gets at most, whatever is asked for. `sweep` ends what processes of ours
    that are gone have left."""

    backend: Backend
    strict: bool
    users: frozenset[int]
    most: Most
    sweep: Callable[[], int]

    def serve(self, door: socket.socket, until: Callable[[], bool] = lambda: False) -> None:
        """Takes connections for as long as `until` says no, looking twice a second."""
        children: set[int] = set()
        door.settimeout(0.5)
        try:
            while not until():
                self._reap(children)
                try:
                    connection, _ = door.accept()
                except TimeoutError:
                    continue
                with connection:
                    if self._may(connection):
                        children |= self._forked(connection, len(children))
        finally:
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGTERM)
            while children:
                self._reap(children, 0)

    def _may(self, connection: socket.socket) -> bool:
        """Whether the kernel says that one of `users` has connected."""
        _pid, user, _group = struct.unpack("=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return user in self.users

    def _forked(self, connection: socket.socket, running: int) -> set[int]:
        if running >= CELLS:
            with suppress(frames.Broken):
                connection.settimeout(1.0)
                frames.send(connection, "problem", code="cells_unavailable", about="too many cells at once")
            return set()
        child = os.fork()
        if child:
            return {child}
        status = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            _die_with_parent()
            with _gone_when_hung_up(connection):
                converse(connection, self.backend, strict=self.strict, most=self.most)
            status = 0
        finally:
            os._exit(status)

    def _reap(self, children: set[int], options: int = os.WNOHANG) -> None:
        ended = False
        while children:
            pid, _ = os.waitpid(-1, options)  # every child of this process is a connection's
            if not pid:
                break
            children.discard(pid)
            ended = True
        if ended:
            with suppress(Exception):  # Docker is away: what is left is cleared away after the next connection
                self.sweep()


def converse(connection: socket.socket, backend: Backend, *, strict: bool, most: Most) -> None:
    """One connection, from hello to its end; in place of hello, why there are no cells now. Whatever is not understood ends it without a
    word."""
    connection.settimeout(IDLE_S)
    with suppress(frames.Broken):
        try:
            getattr(backend, "ready", lambda: None)()
        except CellsError as problem:
            return frames.send(connection, "problem", code=problem.code, about=problem.about)
        frames.send(connection, "hello", version=VERSION, backend=backend.name, strict=strict, most=asdict(most))
        say, values, contents = frames.receive(connection, frames.REQUESTS)
        if say == "probe":
            frames.send(connection, "findings", findings=[asdict(finding) for finding in backend.probe()])
        elif say == "open":
            cargo, limits = _cargo(values, contents)
            try:
                _run(connection, backend, cargo, most.of(limits), talkative=values["talkative"])
            except CellsError as problem:
                frames.send(connection, "problem", code=problem.code, about=problem.about)


def _run(connection: socket.socket, backend: Backend, cargo: Cargo, limits: Limits, *, talkative: bool) -> None:
    with backend.open(cargo, limits, talkative=talkative) as cell:
        frames.send(connection, "opened", features=dict(getattr(cell, "features", {})))
        while True:
            _, _, (block,) = frames.receive(connection, {"block": frames.REQUESTS["block"]})
            if talkative:
                said = cell.rehearse(block)
                frame, text = said.frame, said.text.encode("utf-8", "replace")[: frames.TEXT_BYTES]
            else:
                frame, text = cell.run(block), b""
            frames.send(connection, "done", (frame or b"", text), frame=frame is not None)


def _cargo(values: dict[str, Any], contents: list[bytes]) -> tuple[Cargo, Limits]:
    """What to open a cell with; Broken where a part is not what it has to be, though the other end should have seen to it."""
    limits, libraries = values["limits"], values["libraries"]
    if limits.keys() != _LIMITS.keys() or any(type(limits[key]) not in kinds for key, kinds in _LIMITS.items()):
        raise frames.Broken
    if not all(isinstance(library, str) for library in libraries) or values["shape"] not in ("arrow", "pandas"):
        raise frames.Broken
    try:
        cargo = Cargo(contents[0], values["entry"], contents[1], tuple(libraries), values["shape"])
        return cargo, Limits(**limits)
    except ValueError:
        raise frames.Broken from None


_LIMITS: dict[str, tuple[type, ...]] = {"memory_mb": (int,), "cpu_s": (int,), "wall_s": (int, float), "output_bytes": (int,)}


def _die_with_parent() -> None:
    """The cell goes with its connection's process (bubblewrap) or soon after (Docker), and that with the launcher, however it ends."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


@contextmanager
def _gone_when_hung_up(connection: socket.socket) -> Iterator[None]:
    """Ends this process as soon as the other end is gone, even in the middle of a block: nobody waits for that any more."""

    def watch() -> None:
        waiting = select.poll()
        waiting.register(connection, select.POLLRDHUP)
        waiting.poll()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    yield


@contextmanager
def door(path: Path) -> Iterator[socket.socket]:
    """The socket that is listened on. Everybody may connect; who is not in `users` is not heard."""
    with suppress(FileNotFoundError):
        path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(path))
        path.chmod(0o666)
        listening.listen(128)
        try:
            yield listening
        finally:
            path.unlink(missing_ok=True)


def from_settings(settings: Settings) -> Launcher:
    """CellsError(cells_unavailable) for what is missing, named as the setting."""
    if settings.cells_backend not in ("bwrap", "docker"):
        raise CellsError("cells_unavailable", "YUNEI_CELLS_BACKEND")
    if not settings.cells_launcher_users:
        raise CellsError("cells_unavailable", "YUNEI_CELLS_LAUNCHER_USERS")
    backend = base.choose(settings.model_copy(update={"cells_launcher": None}))
    users, most = frozenset(settings.cells_launcher_users), Most.from_settings(settings)
    return Launcher(backend, settings.cells_strict, users, most, getattr(backend, "sweep", lambda: 0))


def main() -> int:
    """Runs until SIGTERM or SIGINT."""
    settings = Settings.load()
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    try:
        if settings.cells_launcher is None:
            raise CellsError("cells_unavailable", "YUNEI_CELLS_LAUNCHER")
        launcher = from_settings(settings)
        launcher.sweep()  # before there is a socket: whoever sees it finds nothing of the launcher before this one
        with door(settings.cells_launcher) as listening:
            launcher.serve(listening, ending.is_set)
    except (CellsError, OSError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
