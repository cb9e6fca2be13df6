"""Ray started and stopped, or its server killed, in a process of its own: nothing is left running or lying about."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import command, descendants, ended

START = """
import sys, time
from infra.workers import Workers
pool = Workers.start(workers=1, object_store_bytes=80 * 2**20)
print(*pool.folders, flush=True)
if sys.argv[1] == "close":
    pool.close()
    pool.close()
else:
    time.sleep(600)
"""


def start(tmp_path: Path, how: str) -> subprocess.Popen[str]:
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", START, how], stdout=subprocess.PIPE, text=True, env=environment)


def folders(process: subprocess.Popen[str]) -> list[Path]:
    assert process.stdout is not None
    return [Path(name) for name in process.stdout.readline().split()]


def test_closing_leaves_nothing_behind(tmp_path: Path) -> None:
    with start(tmp_path, "close") as process:
        made = folders(process)
        assert process.wait(60) == 0
    assert len(made) == 2
    assert not [folder for folder in made if folder.exists()]
    assert list(tmp_path.iterdir()) == []  # no ~/.ray, no token


def test_a_killed_server_takes_its_ray_along_and_the_next_sweeps_up(tmp_path: Path) -> None:
    with start(tmp_path, "wait") as process:
        made = folders(process)
        family = descendants(process.pid)
        assert any("_Actor" in command(pid) for pid in family)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    # Two of Ray's agents, which never see data or keys, poll and notice within two minutes; the test does not wait for them.
    agents = [pid for pid in family if "Agent" in command(pid)]
    assert len(agents) <= 2
    assert ended([pid for pid in family if pid not in agents], within_s=60)
    for pid in agents:
        os.kill(pid, signal.SIGKILL)
    assert made[0].exists()
    with start(tmp_path, "close") as process:
        folders(process)
        assert process.wait(60) == 0
    assert not [folder for folder in made if folder.exists()]


def test_a_temporary_folder_too_deep_for_sockets_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    from infra.workers import Workers, WorkersError

    deep = tmp_path / ("deep" * 15)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    began = time.monotonic()
    with pytest.raises(WorkersError) as caught:
        Workers.start()
    assert caught.value.code == "temp_path_too_long"
    assert time.monotonic() - began < 10
    assert list(deep.iterdir()) == []
