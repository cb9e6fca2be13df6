"""Cells of bubblewrap: a user, process, network, file and IPC namespace each, the locked root read-only, nothing else of the machine.

    root (or the service's user)
      └ bwrap     under a user of its own; a control group around it, where there are control groups
          └ zygote    libraries loaded once for the job, or for the block where cells are strict
              └ a process per block

Not mounted: /dev, /tmp, /sys, and /proc only until the libraries are loaded; each of them is a way to a neighbour. bubblewrap's own page
(SECURITY.md) says that policy is the caller's: the policy is `_command`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from infra.cells import bpf, wire
from infra.cells.base import Cargo, CellsError, Finding, Limits
from infra.cells.cgroups import Ceiling, Cgroups, Group, cgroups
from infra.cells.lined import Begun, LineCell, opened
from infra.cells.probe import FEATURES, probe
from infra.cells.rootfs import PYTHON, ZYGOTE, Rootfs, RootfsBroken, rootfs

if TYPE_CHECKING:
    from infra.settings import Settings

USER = 64001  # of cells, when the server is root: a user that owns nothing
LIBRARIES_MB = 1024  # that all libraries may take beside a block's own memory
PIDS = 32
HANG_UP_S = 2.0
WEAKER = frozenset({"network", "files", "proc", "seccomp", "landlock", "capabilities", "descriptors", "namespaces", "clocks", "limits"})
"""Safeguards that `without` can leave out. `files`: the machine's own files, writable, below /out."""


@dataclass(frozen=True)
class Bwrap:
    """bubblewrap at `program`. `user`: of the processes on this machine, None for our own. `without`, of WEAKER, is for tests that must see an
    attack succeed: what was left out is a feature that is missing, so nothing gets rows unless it is accepted, too."""

    root: Path
    program: str
    groups: Cgroups | None
    user: int | None = None
    strict: bool = False
    accept: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    name: str = field(default="bwrap", init=False)
    isolates: bool = field(default=True, init=False)

    def open(self, cargo: Cargo, limits: Limits, *, talkative: bool = False) -> AbstractContextManager[LineCell]:
        """CellsError: cells_start_failed, cells_refused. A cell ends with the thread that opened it, at the latest."""
        return opened(lambda: _grouped(self, cargo, limits, talkative), strict=self.strict, talkative=talkative)

    def sweep(self) -> int:
        """Ends what processes that are gone have left; how many cells that were."""
        return self.groups.sweep() if self.groups is not None else 0

    def probe(self) -> tuple[Finding, ...]:
        groups = cgroups().driver.findings() if self.groups is None else self.groups.findings()
        user = self.user is not None or os.geteuid() != 0
        return (
            *(replace(found, ok=found.ok and self.groups is not None) for found in groups),
            Finding("user", user, "" if user else "cells would run as root"),
            *probe(replace(self, accept=frozenset(FEATURES))),
        )


@contextmanager
def _grouped(backend: Bwrap, cargo: Cargo, limits: Limits, talkative: bool) -> Iterator[Begun]:
    """A sandbox in a control group, where there are any."""
    with ExitStack() as held:
        group: Group | None = None
        if backend.groups is not None:
            group = held.enter_context(backend.groups.group(Ceiling((limits.memory_mb + LIBRARIES_MB) * 2**20, PIDS)))
        yield held.enter_context(_sandbox(backend, cargo, limits, talkative, group))


@contextmanager
def _sandbox(backend: Bwrap, cargo: Cargo, limits: Limits, talkative: bool, group: Group | None) -> Iterator[Begun]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line = wire.Line(ours, cargo, limits, talkative=talkative, without=backend.without)
    said = os.memfd_create("said", os.MFD_CLOEXEC)  # before any block: errors of bubblewrap and of loading
    outer = wire.memory_file("filter", bpf.filter_for("outer"))
    try:
        process = subprocess.Popen(  # noqa: S603 - a constant command
            ["/bin/sh", "-c", 'read -r _ && exec "$@" </dev/null', "sh", *_command(backend, theirs.fileno(), outer)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={},
            cwd="/",
            pass_fds=(theirs.fileno(), outer),
            user=backend.user,
            group=backend.user,
            extra_groups=None if backend.user is None else (),
            umask=0o077,
        )
        try:
            assert process.stdin is not None
            if group is not None:
                group.enter(process.pid)  # while it waits: whatever it starts is in the group from its first instruction
            with suppress(BrokenPipeError):
                process.stdin.write(b"\n")
                process.stdin.close()
            theirs.close()
            try:
                features = line.hello()
            except wire.Gone:
                raise CellsError("cells_start_failed", _last_line(said)) from None
            wire.require(features, backend.accept | backend.without)
            yield line, {**features, **dict.fromkeys(backend.without, False)}
        finally:
            _end(process, ours)
    finally:
        line.close()
        theirs.close()
        os.close(said)
        os.close(outer)


def _command(backend: Bwrap, control: int, outer: int) -> list[str]:
    without = backend.without
    command = [backend.program, "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]
    command += [] if "network" in without else ["--unshare-net"]
    command += ["--die-with-parent", "--new-session", "--hostname", "cell", "--uid", "65534", "--gid", "65534", "--clearenv"]
    command += [word for name, value in wire.ENVIRONMENT.items() for word in ("--setenv", name, value)]
    command += ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN"]  # in its own user namespace: to number processes anew, and unmount /proc
    command += ["--ro-bind", str(backend.root), "/", "--proc", "/proc", "--chdir", "/"]
    command += ["--bind", "/", "/out"] if "files" in without else []
    command += [] if "seccomp" in without else ["--seccomp", str(outer)]
    return [*command, "--", str(PYTHON), *wire.FLAGS, str(ZYGOTE), str(control)]


def _end(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    """Hang up: the zygote ends, then its namespaces, then bubblewrap, each waited for by the one that started it. Where that takes too long it
    is killed, and the end of the line tells when the last process is gone."""
    with suppress(OSError):
        control.shutdown(socket.SHUT_WR)
    try:
        process.wait(HANG_UP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    control.settimeout(10.0)
    with suppress(OSError):
        while control.recv(wire.TEXT_BYTES):
            pass


def _last_line(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    lines = os.read(file, wire.TEXT_BYTES).decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "no answer"


@cache
def _groups() -> Cgroups:
    """This machine's, after what processes that were killed have left in them is ended."""
    found = cgroups()
    found.sweep()
    return found


@cache
def _root(folder: Path) -> Rootfs:
    return rootfs(folder)


def from_settings(settings: Settings) -> Bwrap:
    """CellsError(cells_unavailable) without bubblewrap, or where the root cannot be built."""
    program = shutil.which("bwrap")
    if program is None:
        raise CellsError("cells_unavailable", "bubblewrap")
    try:
        root = _root(settings.cells_root)
    except (RootfsBroken, OSError) as error:
        raise CellsError("cells_unavailable", f"root of cells: {error}") from error
    user = USER if os.geteuid() == 0 else None
    return Bwrap(root.path, program, _groups(), user, strict=settings.cells_strict, accept=frozenset(settings.cells_accept))
