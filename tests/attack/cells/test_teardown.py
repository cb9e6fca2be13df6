"""Whoever holds a cell is killed in the middle of a block: nothing of the cell may live on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from infra.cells import docker
from infra.cells.cgroups import cgroups
from infra.cells.launched import Launched
from tests.attack.cells.arena import LIMITS, block, package
from tests.cells import a_backend, a_dockerd, a_root

SECONDS = 20  # for everything to be gone; a block that nobody kills would take BLOCK_S
BLOCK_S = 120

HOLDER = """
import json, sys
from dataclasses import replace
from pathlib import Path
from infra.cells.base import Cargo, Limits
from infra.cells.bwrap import Bwrap
from infra.cells.cgroups import cgroups
from infra.cells.docker import Docker
from infra.cells.launched import Launched
kind, given, package, block = sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]).read_bytes(), Path(sys.argv[4]).read_bytes()
if kind == "docker":
    backend = Docker(given["url"], given["image"], Path(given["jobs"]))
elif kind == "bwrap":
    backend = Bwrap(Path(given["root"]), given["program"], cgroups(), given["user"])
else:
    backend = Launched(Path(given["launcher"]), kind.split()[1])
limits = Limits(memory_mb=256, cpu_s=%d, wall_s=%d.0, output_bytes=given["output_bytes"])
with backend.open(Cargo(package, "probes.run:attack"), limits) as cell:
    print("opened", flush=True)
    cell.run(block)
    print("ended", flush=True)
""" % (BLOCK_S, BLOCK_S)  # noqa: UP031 - braces are the program's


def given(kind: str) -> dict[str, Any]:
    """What a holder of such a cell needs to know."""
    found: dict[str, Any] = {"output_bytes": LIMITS.output_bytes}
    if kind == "docker":
        url, image, jobs = a_dockerd()
        return {**found, "url": url, "image": image, "jobs": str(jobs)}
    backend: Any = a_backend("bwrap")
    return {**found, "root": str(backend.root), "program": backend.program, "user": backend.user}


@contextmanager
def holder(kind: str, about: dict[str, Any], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process with a cell that computes."""
    (folder / "package").write_bytes(package())
    (folder / "block").write_bytes(block([("resources:spin", {})]))
    command = [sys.executable, "-c", HOLDER, kind, json.dumps(about), str(folder / "package"), str(folder / "block")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "opened\n"
        time.sleep(0.3)
        try:
            yield running
        finally:
            running.kill()


def gone(still: Callable[[], object]) -> bool:
    until = time.monotonic() + SECONDS
    while still():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def cells_of(pid: int) -> dict[str, frozenset[int]]:
    """Control groups that a process made, and who is in them."""
    return {name: group.members() for name, group in cgroups().driver.left_behind() if name.startswith(f"yunei-cell-{pid}-")}


def containers(url: str) -> list[str]:
    client = DockerClient(base_url=url)
    try:
        return [each["Id"] for each in client.api.containers(all=True, filters={"label": docker.LABEL})]
    finally:
        client.close()


@pytest.mark.parametrize("kind", ["bwrap", "docker"])
def test_a_cell_ends_with_its_holder(kind: str, tmp_path: Path) -> None:
    """A worker that holds a cell itself."""
    about = given(kind)
    with holder(kind, about, tmp_path) as running:
        assert cells_of(running.pid) if kind == "bwrap" else containers(about["url"]), "the cell computes"
        running.kill()
        running.wait()
        if kind == "bwrap":
            assert gone(lambda: any(cells_of(running.pid).values()))
            cgroups().sweep()
            assert not cells_of(running.pid)
        else:
            assert gone(lambda: containers(about["url"]))


@contextmanager
def a_launcher(kind: str, folder: Path) -> Iterator[tuple[Launched, subprocess.Popen[bytes]]]:
    path = folder / "launcher"
    settings = {
        "YUNEI_CELLS_BACKEND": kind,
        "YUNEI_CELLS_LAUNCHER": str(path),
        "YUNEI_CELLS_LAUNCHER_USERS": str(os.getuid()),
        "YUNEI_CELLS_DIR": str(a_root().path.parents[1]),
        "YUNEI_CELLS_CPU_S": str(BLOCK_S),
        "YUNEI_CELLS_WALL_S": str(BLOCK_S),
        "PATH": os.environ["PATH"],
    }
    if kind == "docker":
        settings["YUNEI_CELLS_DOCKER"] = a_dockerd()[0]
    with subprocess.Popen([sys.executable, "-m", "infra.cells.launcher"], env=settings) as running:
        until = time.monotonic() + 60
        while not path.exists() and time.monotonic() < until and running.poll() is None:
            time.sleep(0.05)
        try:
            yield Launched(path, kind), running
        finally:
            running.terminate()


def children(pid: int) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@pytest.mark.parametrize("kind", ["bwrap", "docker"])
def test_a_cell_of_the_launcher_ends_with_whoever_asked_and_with_the_launcher(kind: str, tmp_path: Path) -> None:
    known: list[int] = []

    def left() -> list[object]:
        if kind == "docker":
            return list(containers(a_dockerd()[0]))
        return [name for child in known for name in cells_of(child)]

    def alive() -> bool:
        return any(members for child in known for members in cells_of(child).values())

    with a_launcher(kind, tmp_path) as (launched, launcher):
        assert [finding for finding in launched.probe() if not finding.ok] == [], "its cells are as good as those opened here"
        about = {"launcher": str(launched.path), "output_bytes": given(kind)["output_bytes"]}
        with holder(f"launched {kind}", about, tmp_path) as asker:
            known += children(launcher.pid)
            assert left(), "the cell computes"
            asker.kill()
            assert gone(left), "cleared away by the launcher"
        with holder(f"launched {kind}", about, tmp_path):
            known += children(launcher.pid)
            assert left(), "the cell computes"
            launcher.kill()
            if kind == "docker":
                assert gone(left), "the zygote ends when nobody listens, and the container with it"
            else:
                assert gone(alive)
                cgroups().sweep()  # as the next launcher does
                assert not left()
