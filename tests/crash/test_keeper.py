"""Ray as a process of its own: a killed server leaves it to the next, a clean end stops it, and one that does not fit is replaced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import keeper
from tests.processes import command, descendants, ended, listening

SERVER = """
import math, operator, sys, time
from pathlib import Path
from infra import keeper
began = time.monotonic()
pool = keeper.workers(Path(sys.argv[1]), workers=1, memory_bytes=2**20, object_store_bytes=80 * 2**20, linger_s=float(sys.argv[2]))
assert pool.map(math.sqrt, [4.0, 9.0]) == [2.0, 3.0]
print(time.monotonic() - began, *pool.pids(), flush=True)
for line in sys.stdin:
    if line == "close\\n":
        pool.close()
        pool.close()
        break
    print(*pool.map(operator.neg, [1, 2]), *pool.pids(), flush=True)
"""


class Server:
    """A process that uses the keeper of a folder."""

    def __init__(self, folder: Path, linger_s: float) -> None:
        environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(folder / "ray"), str(linger_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        words = self.line()
        self.took_s, self.worker = float(words[0]), int(words[1])

    def line(self) -> list[str]:
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def ask(self) -> list[int]:
        self.say("ask")
        return [int(word) for word in self.line()]

    def close(self) -> None:
        self.say("close")
        assert self.process.wait(40) == 0
        self._forget()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)
        self._forget()

    def _forget(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    keeper._end(tmp_path / "ray")


def kept(folder: Path) -> keeper.Kept:
    found = keeper._read(folder / "ray")
    assert found is not None
    return found


def gone(left: keeper.Kept, family: list[int], within_s: float = 20) -> None:
    assert ended([left.pid, *family], within_s)
    assert not [path for path in left.folders if Path(path).exists()]


def test_a_killed_server_leaves_ray_to_the_next_and_a_clean_end_stops_it(folder: Path) -> None:
    first = Server(folder, 60)
    held, family = kept(folder), descendants(kept(folder).pid)
    assert any("_Actor" in command(pid) for pid in family)
    assert listening([held.pid, *family]) <= {"127.0.0.1", "::1"}
    for path in (folder / "ray", *map(Path, held.folders)):
        assert path.stat().st_mode & 0o077 == 0
    assert (folder / "ray" / "kept.json").stat().st_mode & 0o077 == 0
    first.kill()
    second = Server(folder, 60)
    assert second.worker == first.worker  # the same process, still warm
    assert kept(folder) == held
    assert second.took_s < first.took_s / 2  # 12 s and 1 s on a machine of its own
    os.kill(second.worker, signal.SIGKILL)  # a worker dies: another takes its place, its items are run again
    answers = second.ask()
    assert answers[:2] == [-1, -2]
    assert answers[2] != second.worker
    family = descendants(held.pid)
    second.close()
    gone(held, family)
    assert not (folder / "ray" / "kept.json").exists()


def test_after_a_while_without_a_server_it_ends_by_itself(folder: Path) -> None:
    server = Server(folder, 0)
    held, family = kept(folder), descendants(kept(folder).pid)
    time.sleep(1)
    assert held.lives  # it is being used
    server.kill()
    gone(held, family, 30)
    assert not (folder / "ray" / "kept.json").exists()


@pytest.mark.parametrize("how", ["another program", "a number used again"])
def test_one_that_is_stale_is_replaced(folder: Path, how: str) -> None:
    first = Server(folder, 60)
    held, family = kept(folder), descendants(kept(folder).pid)
    first.kill()
    note = folder / "ray" / "kept.json"
    if how == "another program":
        note.write_text(json.dumps({**json.loads(note.read_text()), "program": "0" * 64}))
    else:
        os.kill(held.pid, signal.SIGKILL)
        assert ended([held.pid], 10)
        note.write_text(json.dumps({**json.loads(note.read_text()), "pid": os.getpid()}))  # alive, and not it
    second = Server(folder, 60)
    assert kept(folder).pid not in (held.pid, os.getpid())
    assert second.ask()[:2] == [-1, -2]
    assert not [path for path in held.folders if Path(path).exists()]
    second.close()
    agents = [pid for pid in family if "Agent" in command(pid)]  # two of Ray's poll for two minutes; they see neither data nor keys
    assert ended([held.pid, *(pid for pid in family if pid not in agents)], 15)
    for pid in agents:
        os.kill(pid, signal.SIGKILL)


HOLDING = """
import sys, time
from pathlib import Path
from api.home import held
from infra.settings import Settings
with held(Settings(home=Path(sys.argv[1]), workers=1, object_store_bytes=80 * 2**20)) as ours:
    assert ours.ray is not None and ours.ray.kept is None
    loaded = {"api.app", "fastapi", "ray", "sqlalchemy", "opendp"} & set(sys.modules)
    print(" ".join(loaded) or "nothing", flush=True)
    time.sleep(60)
"""


def keepers(folder: Path) -> list[int]:
    """Processes that keep a Ray for this folder; a child of one is called as it is until it runs a program of its own."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    found = {pid: parent(pid) for pid in pids if "infra.keeper" in command(pid) and str(folder) in command(pid)}
    return [pid for pid, of in found.items() if of not in found]


def only_keeper(folder: Path) -> int:
    """Waits for its command line: `Popen` returns while the kernel still lays out the new program, and till then there is none to read."""
    until = time.monotonic() + 10
    while not (found := keepers(folder)) and time.monotonic() < until:
        time.sleep(0.01)
    (pid,) = found
    return pid


def parent(pid: int) -> int:
    """0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_ray_is_on_its_way_before_a_server_has_read_its_program_and_ends_with_it(folder: Path) -> None:
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", HOLDING, str(folder)], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        with process.stdout as said:
            assert said.readline() == "nothing\n"
        pid = only_keeper(folder)
        assert keeper._read(folder / "ray") is None, "nobody has waited for it"
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
    assert status == 128 + signal.SIGTERM
    assert ended([pid], 10)
    assert keepers(folder) == []


def test_a_keeper_that_was_begun_is_the_one_that_is_used(folder: Path) -> None:
    size = {"workers": 1, "object_store_bytes": 80 * 2**20, "linger_s": 0.0}
    begun = keeper.begin(folder / "ray", **size)  # type: ignore[arg-type]  # the numbers are what they are
    try:
        pid = only_keeper(folder)
        found = begun.there()
        assert (found.pid, begun.there()) == (pid, found)
        time.sleep(1)
        assert found.lives, "it is in use"
        again = keeper._fitting(folder / "ray", 1, 80 * 2**20)
        assert again == found
    finally:
        begun.leave()
        begun.leave()
    gone(found, [])
