"""The launcher and its other end, over a socket, with a backend that needs no cell."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from infra.cells import base, frames
from infra.cells.base import Cargo, CellsError, Finding, Limits, Rehearsal
from infra.cells.launched import Launched
from infra.cells.launcher import Most, from_settings
from infra.settings import Settings
from tests.echo_cells import MOST

CARGO = Cargo(b"package", "m:f", b'{"a": 1}', ("numpy",), "pandas")
LIMITS = Limits(memory_mb=32, wall_s=1.5, output_bytes=16)


@contextmanager
def launched(folder: Path, *, users: str = str(os.getuid()), cells: int = 64) -> Iterator[Launched]:
    """A launcher of echoes in a process of its own, as it is in production: it forks."""
    path = folder / "launcher"
    command = [sys.executable, "-m", "tests.echo_cells", str(path), users, str(cells)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        try:
            yield Launched(path, "bwrap")
        finally:
            running.terminate()


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    with launched(tmp_path_factory.mktemp("launcher")) as found:
        yield found


def test_bytes_go_there_and_back(launcher: Launched) -> None:
    with launcher.open(CARGO, LIMITS) as cell:
        assert cell.run(b"0123456789abcdef") == b"0123456789abcdef"
        assert cell.run(b"nothing") is None
        assert cell.run(b"too short") is None
        assert cell.run(b"fedcba9876543210") == b"fedcba9876543210"
        assert getattr(cell, "features", None) == {"clocks": False, "proc": True}


def test_a_cell_is_opened_with_what_was_said(launcher: Launched) -> None:
    with launcher.open(CARGO, LIMITS, talkative=True) as cell:
        assert cell.rehearse(bytes(16)) == Rehearsal(bytes(16), repr((CARGO, LIMITS)))


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({"memory_mb": 2**20}, {"memory_mb": MOST.memory_mb}),
        ({"cpu_s": 86_400}, {"cpu_s": MOST.cpu_s}),
        ({"wall_s": 86_400}, {"wall_s": MOST.wall_s}),
        ({"memory_mb": MOST.memory_mb, "cpu_s": MOST.cpu_s, "wall_s": MOST.wall_s}, {}),
    ],
)
def test_no_block_gets_more_than_the_launchers_own_settings_say(launcher: Launched, asked: dict[str, float], given: dict[str, float]) -> None:
    limits = replace(LIMITS, **asked)  # type: ignore[arg-type]
    with launcher.open(CARGO, limits, talkative=True) as cell:
        assert cell.rehearse(bytes(16)).text == repr((CARGO, replace(limits, **given)))  # type: ignore[arg-type]


def test_what_it_gives_at_most_is_what_its_settings_say() -> None:
    assert Most.from_settings(Settings(cells_memory_mb=33, cells_cpu_s=4, cells_wall_s=5.5)) == Most(33, 4, 5.5)


@pytest.mark.parametrize("name", ["memory_mb", "cpu_s", "wall_s"])
def test_who_promises_more_than_the_launcher_gives_is_told_before_anything_is_promised(launcher: Launched, name: str) -> None:
    exact = {f"cells_{each}": value for each, value in asdict(MOST).items()}
    assert base.choose(Settings.model_validate({"cells_backend": "bwrap", "cells_launcher": launcher.path, **exact}))
    more = exact | {f"cells_{name}": exact[f"cells_{name}"] + 1}
    with pytest.raises(CellsError, match=f"YUNEI_CELLS_{name.upper()}"):
        base.choose(Settings.model_validate({"cells_backend": "bwrap", "cells_launcher": launcher.path, **more}))


def test_a_cell_that_takes_rows_does_not_talk(launcher: Launched) -> None:
    with launcher.open(CARGO, LIMITS) as cell, pytest.raises(ValueError, match="does not talk"):
        cell.rehearse(b"")


def test_a_connection_that_dies_costs_its_block_only(launcher: Launched) -> None:
    with launcher.open(CARGO, LIMITS) as cell:
        assert cell.run(b"die") is None
        assert cell.run(bytes(16)) == bytes(16)


def test_a_machine_that_cannot_run_a_block_is_said_and_the_next_gets_another_cell(launcher: Launched) -> None:
    with launcher.open(CARGO, LIMITS) as cell:
        with pytest.raises(CellsError, match="no process to be had"):
            cell.run(b"broken machine")
        assert cell.run(bytes(16)) == bytes(16)


def test_large_blocks(launcher: Launched) -> None:
    with launcher.open(CARGO, Limits(output_bytes=2**20)) as cell:
        block = os.urandom(2**20)
        assert cell.run(block) == block


def test_problems_keep_their_words(launcher: Launched) -> None:
    with pytest.raises(CellsError) as refused, launcher.open(Cargo(b"refuse", "m:f"), LIMITS):
        pass
    assert (refused.value.code, refused.value.about) == ("cells_refused", "landlock")


def test_probes(launcher: Launched) -> None:
    assert launcher.probe() == (Finding("network", True), Finding("clocks", False, "not here"))


def test_several_at_once(launcher: Launched) -> None:
    found: list[bytes | None] = []

    def one(number: int) -> None:
        with launcher.open(CARGO, LIMITS) as cell:
            found.extend(cell.run(bytes([number]) * 16) for _ in range(5))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each or b"" for each in found) == sorted(bytes([number]) * 16 for number in range(8) for _ in range(5))


def test_nobody_there(tmp_path: Path) -> None:
    nobody = Launched(tmp_path / "nothing", "bwrap")
    with pytest.raises(CellsError, match="cells_unavailable"), nobody.open(CARGO, LIMITS):
        pass
    assert [finding.ok for finding in nobody.probe()] == [False]


def test_other_cells_than_wanted(launcher: Launched) -> None:
    for wanted, about in ((Launched(launcher.path, "docker"), "bwrap cells"), (Launched(launcher.path, "bwrap", strict=True), "not strict")):
        with pytest.raises(CellsError, match=about), wanted.open(CARGO, LIMITS):
            pass


def test_whoever_is_not_named_is_not_heard(tmp_path: Path) -> None:
    """Not even root: the kernel says who connects."""
    with launched(tmp_path, users=str(os.getuid() + 1)) as stranger:
        with pytest.raises(CellsError, match="not to this user"), stranger.open(CARGO, LIMITS):
            pass
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(str(stranger.path))
            connection.settimeout(5)
            assert connection.recv(100) == b""


def test_past_the_number_of_cells_it_says_so(tmp_path: Path) -> None:
    with launched(tmp_path, cells=1) as small, small.open(CARGO, LIMITS) as cell:
        with pytest.raises(CellsError, match="too many cells"), small.open(CARGO, LIMITS):
            pass
        assert cell.run(bytes(16)) == bytes(16)


def test_settings_choose_the_launcher(launcher: Launched) -> None:
    found = base.choose(Settings(cells_backend="bwrap", cells_launcher=launcher.path))
    assert isinstance(found, Launched)
    with pytest.raises(CellsError, match="bwrap cells"):
        base.choose(Settings(cells_backend="docker", cells_launcher=launcher.path))


@pytest.mark.parametrize(
    ("more", "about"),
    [
        ({"cells_backend": "off"}, "YUNEI_CELLS_BACKEND"),
        ({"cells_backend": "unsafe"}, "YUNEI_CELLS_BACKEND"),
        ({"cells_backend": "docker", "cells_launcher_users": ()}, "YUNEI_CELLS_LAUNCHER_USERS"),
    ],
)
def test_a_launcher_that_is_told_too_little_does_not_start(more: dict[str, object], about: str) -> None:
    with pytest.raises(CellsError, match=about):
        from_settings(Settings.model_validate({"cells_launcher_users": (1,), **more}))


def test_the_program_says_what_is_missing() -> None:
    command = [sys.executable, "-m", "infra.cells.launcher"]
    told = subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)
    assert (told.returncode, "YUNEI_CELLS_LAUNCHER" in told.stderr) == (1, True)


def test_contents_cannot_change_after_they_were_sent() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        frames.send(ours, "block", (b"rows",))
        _, [file], _, _ = socket.recv_fds(theirs, 100, 1)
        with pytest.raises(PermissionError):
            os.pwrite(file, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(file, 0)
        os.close(file)
