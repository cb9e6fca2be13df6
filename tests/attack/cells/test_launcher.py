"""The launcher and Docker, attacked from the side that asks: by what is sent, since nothing else can be."""

from __future__ import annotations

import json
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.cells import bpf, docker, frames, launcher
from infra.cells.base import Cargo, Cell, Limits
from infra.cells.launcher import Launcher, converse
from infra.cells.wire import memory_file
from tests.cells import TRIALS
from tests.echo_cells import MOST, Echo, EchoCell

LIMITS = {"memory_mb": 64, "cpu_s": 1, "wall_s": 1.0, "output_bytes": 16}
OPEN = {"say": "open", "entry": "m:f", "libraries": ["numpy"], "shape": "arrow", "limits": LIMITS, "talkative": False}


class Counting(Echo):
    """Counts the cells that were opened, and what they were given."""

    def __init__(self) -> None:
        self.opened = 0
        self.blocks: list[bytes] = []

    @contextmanager
    def open(self, cargo: Cargo, limits: Limits, *, talkative: bool = False) -> Iterator[Cell]:
        self.opened += 1
        backend = self

        class Cell_(EchoCell):
            def run(self, block: bytes) -> bytes | None:
                backend.blocks.append(block)
                return super().run(block)

        yield Cell_(cargo, limits)


@contextmanager
def talking(backend: Counting) -> Iterator[socket.socket]:
    """A connection to a launcher that has said hello."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def serve() -> None:
        with theirs:
            converse(theirs, backend, strict=False, most=MOST)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with ours:
            ours.settimeout(10)
            assert frames.receive(ours, frames.ANSWERS)[0] == "hello"
            yield ours
    finally:
        thread.join()


def dropped(ours: socket.socket) -> bool:
    """Whether the other end has hung up, after whatever it said."""
    with suppress(ConnectionResetError):
        while ours.recv(frames.MESSAGE_BYTES):
            pass
    return True


def open_files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def sealed(size: int) -> int:
    """A sealed memory file of so many bytes, none of them there."""
    import fcntl

    file = os.memfd_create("large", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(file, size)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, 15)
    return file


def unsealed(_: Path) -> int:
    file = os.memfd_create("open", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(file, b"x")
    return file


def pipe_end(_: Path) -> int:
    out, into = os.pipe()
    os.close(into)
    return out


FILES: dict[str, Callable[[Path], int]] = {
    "a file on disk": lambda folder: os.open(folder / "file", os.O_RDWR | os.O_CREAT),
    "a folder": lambda folder: os.open(folder, os.O_RDONLY),
    "the machine's root": lambda _: os.open("/", os.O_PATH),
    "a pipe": pipe_end,
    "a socket": lambda _: socket.socket(socket.AF_UNIX).detach(),
    "a device": lambda _: os.open("/dev/zero", os.O_RDONLY),
    "this process": lambda _: os.open("/proc/self/mem", os.O_RDONLY),
    "a memory file that can change": unsealed,
    "one that is too large": lambda _: sealed(frames.BLOCK_BYTES + 1),
    "a process": lambda _: os.pidfd_open(os.getpid()),
}


@pytest.mark.parametrize("kind", FILES)
def test_files_that_are_no_contents(kind: str, tmp_path: Path) -> None:
    backend, before = Counting(), open_files()
    for opened in (False, True):
        with talking(backend) as ours:
            good = memory_file("x", b"package")
            if opened:
                socket.send_fds(ours, [json.dumps(OPEN).encode()], [good, good])
                assert frames.receive(ours, frames.ANSWERS)[0] == "opened"
            bad = FILES[kind](tmp_path)
            message = {"say": "block"} if opened else OPEN
            socket.send_fds(ours, [json.dumps(message).encode()], [bad] if opened else [good, bad])
            os.close(bad)
            os.close(good)
            assert dropped(ours)
    assert (backend.opened, backend.blocks) == (1, [])
    assert open_files() == before


@pytest.mark.parametrize("count", [0, 1, 3, 4, 20])
def test_files_too_many_or_too_few(count: int) -> None:
    backend, before = Counting(), open_files()
    with talking(backend) as ours:
        file = memory_file("x", b"package")
        socket.send_fds(ours, [json.dumps(OPEN).encode()], [file] * count)
        os.close(file)
        assert dropped(ours)
    assert backend.opened == 0
    assert open_files() == before


def mutated(draw: random.Random) -> bytes:
    """A message that is nearly the right one, or nothing like it."""
    values: Any = json.loads(json.dumps(OPEN))
    wrong = draw.choice([None, True, -1, 1e400, "", "../../etc/passwd", "--privileged", [], {}, ["numpy", 7], "x" * 1000, "m:f\0", 2**70])
    way = draw.randrange(10)
    if way == 0:
        return draw.randbytes(draw.randrange(1, 3000))
    if way == 1:
        text = json.dumps(values).encode()
        at = draw.randrange(len(text))
        return text[:at] + draw.randbytes(draw.randrange(1, 4)) + text[at + 1 :]
    if way == 2:
        return json.dumps(values).encode()[: draw.randrange(1, 60)]
    if way == 3:
        return b"[" * draw.randrange(1, frames.MESSAGE_BYTES)
    if way == 4:
        return json.dumps(values).encode().ljust(frames.MESSAGE_BYTES + draw.randrange(1, 40_000))
    if way == 5:
        values[draw.choice(["image", "path", "flags", "runtime", "volumes", "privileged", "command", "without", "accept"])] = wrong
    elif way == 6:
        values.pop(draw.choice(list(values)))
    elif way == 7:
        values["limits"][draw.choice([*LIMITS, "user", "network"])] = wrong
    elif way == 8:
        values["say"] = draw.choice(["done", "hello", "block", "opened", "close", "exec", wrong])
    else:
        values[draw.choice([key for key in values if key != "say"])] = wrong
    return json.dumps(values).encode()


def means_the_same(data: bytes) -> bool:
    """Whether a mutation is still a request that may be granted: another name of a function, say."""
    try:
        values = json.loads(data)
        Cargo(b"", values["entry"], b"", tuple(values["libraries"]), values["shape"])
        Limits(**values["limits"])
        return bool(values.keys() == OPEN.keys() and values["say"] == "open" and len(data) <= frames.MESSAGE_BYTES)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False


def test_what_is_not_understood_is_dropped() -> None:
    """Drawn by lot: nothing of it opens a cell, nothing stays open, nothing is said."""
    draw = random.Random(20260101)
    backend, before, granted = Counting(), open_files(), 0
    for _ in range(max(TRIALS, 200)):
        data = mutated(draw)
        with talking(backend) as ours:
            file = memory_file("x", b"package")
            with suppress(OSError):
                socket.send_fds(ours, [data], [file, file])
            os.close(file)
            try:
                assert frames.receive(ours, frames.ANSWERS)[0] == "opened"
            except frames.Broken:
                assert not ours.recv(1)
                continue
            assert means_the_same(data)
            granted += 1
    assert backend.opened == granted < 50
    assert open_files() == before


def test_one_connection_is_one_cell() -> None:
    """A request that was granted is not granted again, and a block needs a cell."""
    file = memory_file("x", b"package")
    for first, then in ((OPEN, OPEN), (OPEN, {"say": "probe"}), (None, {"say": "block"}), (None, {"say": "done", "frame": True})):
        backend = Counting()
        with talking(backend) as ours:
            if first is not None:
                socket.send_fds(ours, [json.dumps(first).encode()], [file, file])
                assert frames.receive(ours, frames.ANSWERS)[0] == "opened"
            socket.send_fds(ours, [json.dumps(then).encode()], [file, file][: {"open": 2, "probe": 0}.get(str(then["say"]), 1)])
            assert dropped(ours)
        assert backend.opened == (first is not None)
        assert backend.blocks == []
    os.close(file)


def test_no_message_names_a_path_a_flag_or_an_image() -> None:
    """The whole of what can be asked for."""
    assert {kind: sorted(keys) for kind, (keys, _) in frames.REQUESTS.items()} == {
        "open": ["entry", "libraries", "limits", "shape", "talkative"],
        "block": [],
        "probe": [],
    }


def test_flags_are_the_same_for_every_job(tmp_path: Path) -> None:
    """What Docker is asked for depends on one number, the memory; an image is named by its digest, never by a tag."""
    body = docker.container("sha256:0", tmp_path, 256, "runc")
    other = docker.container("sha256:0", tmp_path, 512, "runc")
    assert (other["HostConfig"].pop("Memory"), other["HostConfig"].pop("MemorySwap")) == (1536 * 2**20,) * 2
    assert (body["HostConfig"].pop("Memory"), body["HostConfig"].pop("MemorySwap")) == (1280 * 2**20,) * 2
    assert body == other
    host = body["HostConfig"]
    assert {key: host[key] for key in ("NetworkMode", "IpcMode", "CgroupnsMode")} == {
        "NetworkMode": "none",
        "IpcMode": "none",
        "CgroupnsMode": "private",
    }
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"], host["LogConfig"]) == (True, ["ALL"], False, {"Type": "none"})
    assert "no-new-privileges" in host["SecurityOpt"]
    assert f"seccomp={json.dumps(bpf.docker_profile('outer'))}" in host["SecurityOpt"]
    assert host["Mounts"] == [{"Type": "bind", "Source": str(tmp_path), "Target": "/job", "ReadOnly": True}]
    assert not {"Binds", "Devices", "CapAdd", "VolumesFrom", "Tmpfs", "PidMode", "UsernsMode", "PortBindings"} & host.keys()
    assert body["User"] == "64001:64001"
    assert body["Image"].startswith("sha256:")


def test_what_is_left_is_cleared_away_before_there_is_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sees the socket finds nothing of the launcher before."""
    path, said = tmp_path / "socket", []

    def sweep() -> int:
        said.append(("sweep", path.exists()))
        return 0

    def serve(_launcher: Launcher, _door: socket.socket, _until: object) -> None:
        said.append(("serve", path.exists()))

    settings = SimpleNamespace(cells_launcher=path)
    monkeypatch.setattr(launcher.Settings, "load", lambda: settings)
    monkeypatch.setattr(launcher, "from_settings", lambda _settings: Launcher(Counting(), False, frozenset(), MOST, sweep))
    monkeypatch.setattr(launcher.Launcher, "serve", serve)
    monkeypatch.setattr(launcher.signal, "signal", lambda *_: None)
    assert launcher.main() == 0
    assert said == [("sweep", False), ("serve", True)]
