"""What tests of cells share: backends, and their root, built once."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from infra.cells.base import Backend
from infra.cells.bwrap import USER, Bwrap
from infra.cells.cgroups import cgroups
from infra.cells.docker import Docker, load
from infra.cells.dockerd import SOCKET, private_dockerd
from infra.cells.rootfs import Rootfs, rootfs
from tests.processes import deleted_meanwhile

CAMPAIGN = "CAMPAIGN" in os.environ
TRIALS = int(os.environ.get("CAMPAIGN", "20"))
"""Of what is drawn by lot; `make attack` sets many, and has strict cells try everything."""


def needed_here(what: str) -> NoReturn:
    """For what a developer's machine may lack and CI's may not: a backend that is missing there would go untested."""
    if os.environ.get("CI"):
        pytest.fail(f"CI has to have {what}")
    pytest.skip(f"this machine lacks {what}")


@cache
def a_root() -> Rootfs:
    """The cells' root, in a folder that the cells' user can reach, which a checkout's may not be. Kept from run to run: its name is a digest
    of all it is made of."""
    folder = Path(f"/var/tmp/yunei-test-cells-{os.getuid()}")
    folder.mkdir(mode=0o755, exist_ok=True)
    assert folder.stat().st_uid == os.getuid(), f"{folder} is somebody else's"
    return rootfs(folder)


class Daemon:
    """A Docker daemon of our own, which can be stopped and started again: it keeps its address and its images."""

    def __init__(self) -> None:
        self._held = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="yunei-dockerd-"))

    def start(self) -> str:
        return self._held.enter_context(private_dockerd(self.folder))

    def stop(self) -> None:
        self._held.close()

    def end(self) -> None:
        self.stop()
        deleted_meanwhile(self.folder)


@cache
def the_daemon() -> Daemon:
    """Started once and ended with this process."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        needed_here("docker.io, and root to start it (make test installs it)")
    daemon = Daemon()
    atexit.register(daemon.end)
    daemon.start()
    return daemon


@cache
def a_dockerd() -> tuple[str, str, Path]:
    """The daemon's address, the id of the cells' image, a folder for sockets."""
    daemon = the_daemon()
    jobs = daemon.folder / "jobs"
    jobs.mkdir()
    url = f"unix://{daemon.folder}/{SOCKET}"
    return url, load(url, a_root()), jobs


def a_backend(kind: str, *, strict: bool = False, without: frozenset[str] = frozenset()) -> Backend:
    """Cells of `kind`: `bwrap`, `docker`, `unsafe`. `without`: safeguards left out."""
    if kind == "bwrap":
        program = shutil.which("bwrap")
        if program is None:
            needed_here("bubblewrap")
        return Bwrap(a_root().path, program, cgroups(), USER if os.geteuid() == 0 else None, strict=strict, without=without)
    if kind == "docker":
        url, image, jobs = a_dockerd()
        return Docker(url, image, jobs, strict=strict, without=without)
    if kind == "unsafe":
        unsafe: Backend = importlib.import_module("infra.cells.unsafe").Unsafe()
        return unsafe
    raise ValueError(kind)
