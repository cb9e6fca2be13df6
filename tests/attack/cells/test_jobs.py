"""Jobs whose programs run in Docker's cells, opened by the server's own process and by a launcher under another user: what they give is what
bubblewrap gives, and whatever breaks beneath them shows as one of two public outcomes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from api.services import ClosablePool, Services
from infra.cells.base import Cargo, Limits
from infra.workers import InlineWorkers, Workers
from jobs.cells import CellRoom
from jobs.kinds.program import ProgramKind
from policies.problem import Problem
from sandbox.raw import blocks as room
from sandbox.raw.blocks import BlocksTask
from tests.attack.cells.test_teardown import containers, gone
from tests.bureau import Home, settings_in
from tests.cells import a_backend, a_dockerd, a_root, the_daemon
from tests.e2e.conftest import Borrowed
from tests.program_jobs import asked, released, sound, wait
from tests.program_jobs import programs_home as programs_home

BLOCKS = 12
LAUNCHER_USER = 64_002  # who it is does not matter, as long as it is nobody else
REACHES = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]  # an interpreter in root's own folder, on some machines
WITHOUT_RIGHTS = ["setpriv", "--reuid", str(LAUNCHER_USER), "--regid", str(LAUNCHER_USER), "--clear-groups", *REACHES]
SLOTS_MS = (250, 1_000)  # and every second from then on


@dataclass
class Seen:
    """What went into cells and came out of them, in this process's one worker."""

    cargo: Cargo | None = None
    limits: Limits | None = None
    blocks: list[bytes] = field(default_factory=list)
    frames: list[bytes | None] = field(default_factory=list)
    before: Callable[[int], None] = lambda _: None
    """Called before each block is handed over, with the number of those that were."""


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    seen, called, dealt, numbers = Seen(), room._called, room.dealt, room.numbers

    def watched(task: BlocksTask, cell: Any) -> Any:
        seen.cargo, seen.limits = task.bay.cargo, task.bay.limits
        return called(task, cell)

    def kept(*words: Any, **more: Any) -> Iterator[bytes]:
        for block in dealt(*words, **more):
            seen.before(len(seen.blocks))
            seen.blocks.append(block)
            yield block

    def framed(run: Any, part: Any, frames: Any) -> Any:
        seen.frames += frames
        return numbers(run, part, frames)

    for name, function in (("_called", watched), ("dealt", kept), ("numbers", framed)):
        monkeypatch.setattr(room, name, function)
    return seen


@contextmanager
def bureau(home: Path, folder: Path, **settings: Any) -> Iterator[Services]:
    """A server over a copy of `home`, with Docker's cells."""
    Home(home, {}).copy_to(folder / "home")
    given = {"cells_backend": "docker", "cells_docker": a_dockerd()[0], "cells_dir": a_root().path.parents[1], **settings}
    services = Services.open(settings_in(folder / "home", slots_ms=SLOTS_MS, **given), serving=True)
    services.start(cast(ClosablePool, InlineWorkers()))
    try:
        services.cells.warm()  # or waits for what has begun to: a job that waited would take a later slot
        yield services
    finally:
        services.close()


class Launcher:
    """The program itself, under a user of its own who may use the daemon's socket, and nothing else of root's."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.socket = folder / "run" / "socket"
        self.cells = folder / "cells"
        self._settings = {
            "YUNEI_CELLS_BACKEND": "docker",
            "YUNEI_CELLS_DOCKER": a_dockerd()[0],
            "YUNEI_CELLS_LAUNCHER": str(self.socket),
            "YUNEI_CELLS_LAUNCHER_USERS": str(os.getuid()),
            "YUNEI_CELLS_DIR": str(self.cells),
            "PATH": os.environ["PATH"],
            **settings,
        }
        built = a_root().path.parent
        (self.cells / built.name).mkdir(parents=True)
        (self.cells / built.name / "root").symlink_to(built / "root")  # which takes fifteen seconds to build
        for name in ("manifest.json", "held"):
            shutil.copyfile(built / name, self.cells / built.name / name)
        self.socket.parent.mkdir()
        for each in (folder, self.socket.parent, self.cells, self.cells / built.name):
            each.chmod(0o755)
        for each in (self.socket.parent, self.cells):
            os.chown(each, LAUNCHER_USER, LAUNCHER_USER)
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        command = [*WITHOUT_RIGHTS, sys.executable, "-m", "infra.cells.launcher"]
        self._running = subprocess.Popen(command, env=self._settings)
        until = time.monotonic() + 60
        while not self.socket.exists() and time.monotonic() < until and self._running.poll() is None:
            time.sleep(0.02)
        assert self.socket.exists()
        status = Path(f"/proc/{self._running.pid}/status").read_text()
        assert int(status.partition("\nUid:")[2].split()[0]) == LAUNCHER_USER

    def kill(self) -> None:
        assert self._running is not None
        self._running.kill()
        self._running.wait()

    def folders(self) -> list[Path]:
        """Of cells, open or left behind."""
        return list((self.cells / "jobs").iterdir())

    def end(self) -> None:
        if self._running is not None:
            self._running.terminate()
            self._running.wait(30)


@contextmanager
def a_launcher(**settings: str) -> Iterator[Launcher]:
    share_the_daemon()
    with tempfile.TemporaryDirectory(prefix="yunei-launcher-", ignore_cleanup_errors=True) as folder:
        launcher = Launcher(Path(folder), **settings)
        try:
            launcher.start()
            yield launcher
        finally:
            launcher.end()


def share_the_daemon() -> None:
    """As `--group=yunei-cells` does: who is in that group may use the socket."""
    os.chown(a_dockerd()[0].removeprefix("unix://"), 0, LAUNCHER_USER)
    the_daemon().folder.chmod(0o711)


@pytest.fixture(autouse=True)
def quick_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProgramKind, "expected_ms", lambda *_: 100.0)


@pytest.fixture(scope="module")
def direct(programs_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with bureau(programs_home, tmp_path_factory.mktemp("direct")) as services:
        yield services


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with a_launcher() as launcher:
        yield launcher


@pytest.fixture(scope="module")
def launched(programs_home: Path, launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A server that may not use Docker's socket: what it is told of it is a place where there is none."""
    folder = tmp_path_factory.mktemp("launched")
    with bureau(programs_home, folder, cells_launcher=launcher.socket, cells_docker="unix:///nowhere", cells_dir=folder) as services:
        yield services


def as_bubblewrap_has_it(seen: Seen) -> bool:
    """Whether its cells give the same bytes for the same blocks."""
    assert seen.cargo is not None
    assert seen.limits is not None
    assert len(seen.blocks) == BLOCKS
    assert None not in seen.frames
    with a_backend("bwrap").open(seen.cargo, seen.limits) as cell:
        return [cell.run(block) for block in seen.blocks] == seen.frames


def probed(services: Services) -> list[tuple[str, tuple[str, ...]]]:
    events = [event.event for event in services.register.events(limit=1000) if event.kind == "cells_probed"]
    return [(cast(Any, event).backend, cast(Any, event).missing) for event in events]


def order(services: Services, **changes: Any) -> Any:
    return asked(services, **{"blocks": BLOCKS, "seconds": "0.5", "privacy": {"rho": "0.02"}, **changes})


def answered(services: Services, **changes: Any) -> dict[str, Any]:
    """A job's one row, published."""
    (row,) = released(services, order(services, **changes))
    assert row.keys() == {"days", "days__half_width", "urgent", "urgent__half_width"}
    sound(services)
    return row


def left() -> list[str]:
    return containers(a_dockerd()[0])


@pytest.mark.parametrize("way", ["direct", "launched"])
def test_a_program_runs_over_protected_rows_in_containers(way: str, seen: Seen, request: pytest.FixtureRequest) -> None:
    services: Services = request.getfixturevalue(way)
    answered(services)
    assert as_bubblewrap_has_it(seen)
    assert probed(services) == [("docker", ())]
    assert gone(left)


def test_real_workers_open_cells_through_the_launcher(launched: Services, workers: Workers) -> None:
    """What a worker needs travels to it: settings, the program, limits."""
    office = launched.office
    inline = office.workers
    object.__setattr__(office, "workers", cast(ClosablePool, Borrowed(workers)))
    try:
        answered(launched, blocks=6, privacy={"rho": "0.08"})
    finally:
        object.__setattr__(office, "workers", inline)
    assert gone(left)


def test_a_strict_launcher_starts_a_container_for_each_block(
    programs_home: Path, launcher: Launcher, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probed_before(room_of: CellRoom, now: datetime) -> None:
        """A strict probe starts a container for every attack; `make attack` has them all."""
        room_of._probed_at = now

    monkeypatch.setattr(CellRoom, "_probe", probed_before)
    monkeypatch.setattr(sys.modules[__name__], "BLOCKS", 3)
    names: set[str] = set()
    with a_launcher(YUNEI_CELLS_STRICT="true") as strict:
        folder = {"cells_dir": tmp_path, "cells_docker": "unix:///nowhere", "cells_strict": True}
        with bureau(programs_home, tmp_path, cells_launcher=strict.socket, **folder) as services:
            seen.before = lambda _: names.update(left())
            answered(services)
            assert as_bubblewrap_has_it(seen)
            assert not names, "between two blocks there is none"
            assert gone(left)
    with bureau(programs_home, tmp_path / "other", cells_launcher=launcher.socket, **folder) as services:
        refused(services, "not strict")


def refused(services: Services, why: str) -> None:
    """Nothing is promised, charged or read."""
    before = charges(services)
    with pytest.raises(Problem) as caught:
        services.submit(order(services, privacy={"rho": "0.03"})).result(60)
    assert (caught.value.code, why in caught.value.fields["feature"]) == ("program_cells_unavailable", True), caught.value.fields
    assert charges(services) == before


def charges(services: Services) -> int:
    return sum(event.kind == "charge_reserved" for event in services.register.events(limit=1000))


def broken(services: Services, seen: Seen, breaks: Callable[[], None], rho: str) -> None:
    """A job beneath which something breaks before its fourth block ends like every job that fails."""
    seen.before = lambda number: breaks() if number == 3 else None
    found = wait(services, services.submit(order(services, privacy={"rho": rho})).result(60))
    assert (found.state, found.release, list(found.problem)) == ("failed", None, ["job_failed"])
    assert 4 <= len(seen.blocks) < BLOCKS
    seen.before = lambda _: None
    seen.blocks.clear()
    seen.frames.clear()
    sound(services)


def test_a_launcher_that_is_killed_fails_the_job_and_refuses_the_next_until_it_is_back(
    launched: Services, launcher: Launcher, seen: Seen
) -> None:
    broken(launched, seen, launcher.kill, "0.04")
    refused(launched, "the launcher does not answer")
    assert gone(left), "the zygote ends when nobody listens"
    assert launcher.folders(), "it had no time to clear them away"
    launcher.start()
    assert launcher.folders() == []
    answered(launched, privacy={"rho": "0.05"})
    assert as_bubblewrap_has_it(seen)


def test_a_daemon_that_is_stopped_fails_the_job_and_refuses_the_next_until_it_is_back(
    direct: Services, launched: Services, launcher: Launcher, seen: Seen
) -> None:
    daemon = the_daemon()
    try:
        broken(direct, seen, daemon.stop, "0.06")
        for services in (direct, launched):
            refused(services, "Docker's daemon does not answer")
    finally:
        daemon.start()
        share_the_daemon()
    assert left() == []
    assert gone(lambda: launcher.folders() or list((a_root().path.parents[1] / "jobs").glob(f"cell-{os.getpid()}-*")))
    for services in (direct, launched):
        answered(services, privacy={"rho": "0.07"})
