"""A Docker daemon of our own: a private socket, no network, no rule in the machine's firewall. Cells need nothing else of Docker.

Tests and `make bench` start one for the time they run. In an installation it is a service of its own on a dedicated machine
(docs/how-to/cells.md); the command line is the same one.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.cells.base import CellsError

SOCKET = "docker.sock"
READY_S = 60.0
STOP_S = 30.0


def command(folder: Path, storage: str = "overlay2") -> list[str]:
    """The daemon's command line, everything of it below `folder`. `storage`: `vfs` where overlay file systems cannot be stacked."""
    return [
        "dockerd",
        f"--data-root={folder}/data",
        f"--exec-root={folder}/run",
        f"--pidfile={folder}/pid",
        f"--host=unix://{folder}/{SOCKET}",
        f"--storage-driver={storage}",
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
        "--ip-masq=false",
        "--userland-proxy=false",
        "--no-new-privileges",
        "--log-driver=none",
        "--log-level=warn",
    ]


@contextmanager
def private_dockerd(folder: Path) -> Iterator[str]:
    """Starts one (about three seconds) and ends it, and only it; yields where it listens, `unix://…`. It also ends with this process.
    For root only. CellsError(cells_unavailable) when it is not installed or does not come up."""
    if shutil.which("dockerd") is None or shutil.which("setpriv") is None:
        raise CellsError("cells_unavailable", "dockerd")
    problem = ""
    for storage in ("overlay2", "vfs"):
        with (folder / f"{storage}.log").open("wb") as log:
            # A child that outlives us would keep root's socket open: it gets SIGTERM when we end (prctl(2), PR_SET_PDEATHSIG).
            running = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command(folder, storage)], stdout=log, stderr=log)  # noqa: S603, S607
        try:
            if _answers(folder / SOCKET, running):
                yield f"unix://{folder}/{SOCKET}"
                return
        finally:
            running.terminate()
            try:
                running.wait(STOP_S)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
        problem = (folder / f"{storage}.log").read_text(errors="replace").strip().rpartition("\n")[2][:300]
    raise CellsError("cells_unavailable", f"dockerd: {problem}")


def _answers(path: Path, running: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + READY_S
    while time.monotonic() < until and running.poll() is None:
        if _ping(path):
            return True
        time.sleep(0.05)
    return False


def _ping(path: Path) -> bool:
    from docker import DockerClient
    from docker.errors import DockerException

    if not listens(path):
        return False
    try:
        client = DockerClient(base_url=f"unix://{path}", timeout=30)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (DockerException, OSError):
        return False


def listens(path: Path) -> bool:
    """Whether somebody listens there. To be asked first: the docker package leaves a socket open that did not connect."""
    with socket.socket(socket.AF_UNIX) as trial:
        try:
            trial.connect(str(path))
        except OSError:
            return False
    return True
