"""Where attacks are tried: cells of every backend, and outside of them what attackers are after.

Outside: a secret in a file, in the environment and in the memory of this process; listeners on loopback; a second cell with another
operator's job. Inside: the package of all probes. One cell carries out many probes: one block each, or all in one block where that is enough.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import socket
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from infra.cells.base import Backend, Cargo, Cell, Limits
from tests.attack.cells.probes.run import BATCH, GOT, NOTHING, REFUSED, WIDTH
from tests.cells import TRIALS, a_backend

LIMITS = Limits(memory_mb=256, cpu_s=1, wall_s=20.0, output_bytes=8 * BATCH * WIDTH)
HOW = {NOTHING: "nothing", GOT: "got", REFUSED: "refused"}


@dataclass(frozen=True)
class Outcome:
    """How one probe ended. `how`: `nothing` and `refused` are what is wanted; `got` is a hole, `text` says what; `default`: no frame at all."""

    how: str
    text: str = ""

    @property
    def contained(self) -> bool:
        return self.how != "got"


DEFAULT = Outcome("default")


@cache
def package() -> bytes:
    """All probes, as an operator's package."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted((Path(__file__).parent / "probes").glob("*.py")):
            archive.writestr(f"probes/{file.name}", file.read_bytes())
    return packed.getvalue()


def block(probes: Sequence[tuple[str, dict[str, Any]]]) -> bytes:
    """Rows that name probes and what each aims at besides the world."""
    rows = pa.table({"probe": [name for name, _ in probes], "aim": [json.dumps(aim) for _, aim in probes]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


def outcomes(frame: bytes | None, count: int) -> list[Outcome]:
    if frame is None:
        return [DEFAULT] * count
    values = memoryview(frame).cast("d")
    found = []
    for number in range(count):
        how, *letters = values[number * WIDTH : (number + 1) * WIDTH]
        found.append(Outcome(HOW[how], "".join(chr(int(letter)) for letter in letters if letter)))
    return found


class Ring:
    """One open cell that carries out probes. Not for two threads at once."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell

    def run(self, probe: str, **aim: Any) -> Outcome:
        """One probe in a block of its own: for those that end their process."""
        return outcomes(self.cell.run(block([(probe, aim)])), 1)[0]

    def run_all(self, probes: Sequence[tuple[str, dict[str, Any]]]) -> list[Outcome]:
        """Several, in as few blocks as they fit into."""
        found: list[Outcome] = []
        for start in range(0, len(probes), BATCH):
            part = probes[start : start + BATCH]
            found += outcomes(self.cell.run(block(part)), len(part))
        return found


@dataclass(frozen=True)
class Arena:
    """A kind of cells, and the world outside. `without`: safeguards left out, to see an attack succeed."""

    kind: str
    strict: bool
    world: dict[str, Any]
    without: frozenset[str] = frozenset()

    @property
    def trials(self) -> int:
        """How often what is drawn by lot is drawn. A strict cell is started for each: a hundredth of them."""
        return max(3, TRIALS // 100) if self.strict else TRIALS

    def backend(self) -> Backend:
        return a_backend(self.kind, strict=self.strict, without=self.without)

    @contextmanager
    def ring(self, limits: Limits = LIMITS, **aim: Any) -> Iterator[Ring]:
        """A cell of its own. `aim` comes on top of the world for every probe in it."""
        cargo = Cargo(package(), "probes.run:attack", json.dumps({**self.world, **aim}).encode(), libraries=("numpy", "pyarrow"))
        with self.backend().open(cargo, limits) as cell:
            yield Ring(cell)

    @contextmanager
    def two_rings(self, limits: Limits = LIMITS) -> Iterator[tuple[Ring, Ring]]:
        """Two cells at once: two jobs, of two operators. Each is used by one thread only."""
        with ExitStack() as held:
            yield held.enter_context(self.ring(limits)), held.enter_context(self.ring(limits))


def at_once(*calls: Any) -> list[Any]:
    """Results of several calls that run at the same time."""
    results: list[Any] = [None] * len(calls)

    def one(number: int) -> None:
        results[number] = calls[number]()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Outside:
    """What lies outside of cells, and whether anybody came to see it."""

    def __init__(self, folder: Path) -> None:
        self.secret = f"CANARY-{secrets.token_hex(16)}"  # in this process's memory, a file, the environment
        self.file = folder / "canary"
        self.file.write_text(self.secret)
        self.file.chmod(0o644)
        self.visits: list[str] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self.unix = folder / "listener"
        self.tcp = self._listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self.udp = self._listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self.tcp6 = self._listen(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)) if socket.has_ipv6 else 0
        self._listen(socket.AF_UNIX, socket.SOCK_STREAM, str(self.unix))
        self.unix.chmod(0o666)
        self.abstract = f"yunei-{secrets.token_hex(8)}"
        self._listen(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.abstract}")

    @property
    def world(self) -> dict[str, Any]:
        """What every probe is told: an attacker is supposed to know where things are."""
        return {
            "tcp": self.tcp,
            "udp": self.udp,
            "tcp6": self.tcp6,
            "unix": str(self.unix),
            "abstract": self.abstract,
            "canary": str(self.file),
            "harness_pid": os.getpid(),
            "frame_bytes": LIMITS.output_bytes,
        }

    def _listen(self, family: int, kind: int, where: Any) -> int:
        listener = socket.socket(family, kind)
        try:
            listener.bind(where)
        except OSError:
            if family != socket.AF_INET6:
                raise
            listener.close()  # a machine without IPv6
            return 0
        if kind == socket.SOCK_STREAM:
            listener.listen()
        listener.settimeout(0.1)
        self._sockets.append(listener)
        name = f"{socket.AddressFamily(family).name} {socket.SocketKind(kind).name}"
        thread = threading.Thread(target=self._watch, args=(listener, name), daemon=True)
        thread.start()
        self._threads.append(thread)
        return int(listener.getsockname()[1]) if isinstance(where, tuple) else 0

    def _watch(self, listener: socket.socket, name: str) -> None:
        while not self._stop.is_set():
            try:
                if listener.type == socket.SOCK_DGRAM:
                    listener.recv(1)
                else:
                    listener.accept()[0].close()
            except TimeoutError:
                continue
            self.visits.append(name)

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()


@contextmanager
def outside(folder: Path) -> Iterator[Outside]:
    found = Outside(folder)
    os.environ["CELLS_TEST_CANARY"] = found.secret
    try:
        yield found
    finally:
        del os.environ["CELLS_TEST_CANARY"]
        found.close()


Opened = AbstractContextManager[Ring]
