"""Control groups: version 1 of the machine itself, version 2 over a tree of files that stands in for the kernel's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.cells import cgroups as module
from infra.cells.base import CellsError
from infra.cells.cgroups import V1, V2, Ceiling, Cgroups, Group, StillBusy, cgroups
from tests.cells import needed_here

SMALL = Ceiling(memory_bytes=64 * 2**20, pids=8, cpus=0.5)
MIB = 2**20


@pytest.fixture(scope="module")
def here() -> Cgroups:
    found = cgroups()
    missing = [finding.feature for finding in found.findings() if not finding.ok]
    if missing or not isinstance(found.driver, V1):
        needed_here(f"control groups of version 1: {missing or 'this machine has version 2'}")
    return found


def run_in(group: Group, code: str, seconds: float = 20) -> subprocess.CompletedProcess[str]:
    """A Python program that enters the group before it does anything else."""
    enter = "".join(f"open({str(file)!r}, 'w').write('0')\n" for file in group.procs)
    return subprocess.run([sys.executable, "-S", "-c", enter + code], capture_output=True, text=True, timeout=seconds, check=False)


def test_memory_is_held(here: Cgroups) -> None:
    bomb = "b = []\nwhile True: b.append(bytearray(1 << 20))"
    with here.group(SMALL) as group:
        assert run_in(group, "b = bytearray(32 << 20); print(len(b))").stdout == f"{32 * MIB}\n"
        assert run_in(group, bomb).returncode == -9


def test_forking_is_held(here: Cgroups) -> None:
    bomb = """
import os, time
made = 0
try:
    while made < 100:
        if os.fork() == 0: time.sleep(30)
        made += 1
except BlockingIOError: pass
print(made, flush=True); os._exit(0)
"""
    with here.group(SMALL) as group:
        enter = "".join(f"open({str(file)!r}, 'w').write('0')\n" for file in group.procs)
        with subprocess.Popen([sys.executable, "-S", "-c", enter + bomb], stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            assert int(running.stdout.readline()) == SMALL.pids - 1
            assert len(group.members()) >= SMALL.pids - 1
            group.kill()
            assert group.members() == frozenset()


def test_processor_time_is_held(here: Cgroups) -> None:
    spin = "import time\nt = time.monotonic()\nwhile time.monotonic() < t + 1: pass\nprint(time.process_time())"
    with here.group(Ceiling(64 * MIB, 8, cpus=0.2)) as group:
        assert float(run_in(group, spin).stdout) < 0.5


def test_whoever_forks_all_the_time_is_ended_too(here: Cgroups) -> None:
    """Each process that is seen and killed has left another: without the stop to forking the hunt would not end."""
    runaway = """
import os
while True:
    pid = os.fork()
    if pid: os._exit(0)
"""
    with here.group(Ceiling(64 * MIB, 64)) as group:
        enter = "".join(f"open({str(file)!r}, 'w').write('0')\n" for file in group.procs)
        with subprocess.Popen([sys.executable, "-S", "-c", enter + runaway]):
            time.sleep(0.3)
            group.kill(within_s=30)
            assert group.members() == frozenset()
            assert [(folder / "pids.max").read_text() for folder in group.folders if (folder / "pids.max").exists()] == ["0\n"]


def test_nothing_is_left(here: Cgroups) -> None:
    with here.group(SMALL) as group:
        folders = group.folders
        left = subprocess.Popen(["/bin/sleep", "60"])
        group.enter(left.pid)
        assert all(folder.is_dir() for folder in folders)
    assert left.wait(60) == -9
    assert not any(folder.exists() for folder in folders)
    group.remove()  # again: no harm


def test_a_group_of_a_maker_that_was_killed_is_swept(here: Cgroups) -> None:
    code = """
import subprocess, sys
from infra.cells.cgroups import Ceiling, cgroups
with cgroups().group(Ceiling(1 << 26, 8)) as group:
    sleeper = subprocess.Popen(["/bin/sleep", "60"])
    group.enter(sleeper.pid)
    print(group.folders[0].name, sleeper.pid, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=Path.cwd()) as maker:
        assert maker.stdout is not None
        name, sleeper = maker.stdout.readline().split()
        here.sweep()
        assert name in dict(here.driver.left_behind()), "a maker that runs keeps its groups"
        maker.kill()
        while not _ended(maker.pid):
            time.sleep(0.01)
        assert here.sweep() >= 1, "though nobody has asked for the maker's status yet"
        assert name not in dict(here.driver.left_behind())
        assert _ended(int(sleeper))


def _ended(pid: int) -> bool:
    """Gone, or waiting to be reaped by whoever took it over."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def tree(folder: Path, *, version: int) -> tuple[Path, Path]:
    """(a process's folder in /proc, a root) that look like a machine with one version only."""
    process, root = folder / "proc", folder / "root"
    process.mkdir(parents=True)
    mine = "system.slice/yunei.service"
    if version == 2:
        process.joinpath("cgroup").write_text(f"0::/{mine}\n")
        process.joinpath("mountinfo").write_text("30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n")
        group = root / "sys/fs/cgroup" / mine
        group.mkdir(parents=True)
        group.joinpath("cgroup.controllers").write_text("cpuset cpu io memory pids\n")
        group.joinpath("cgroup.subtree_control").write_text("")
        group.joinpath("cgroup.procs").write_text("41\n42\n")
    else:
        process.joinpath("cgroup").write_text(f"5:memory:/{mine}\n4:pids:/\n3:cpu,cpuacct:/{mine}\n")
        lines = []
        for point, options in (("memory", "memory"), ("pids", "pids"), ("cpu,cpuacct", "cpu,cpuacct")):
            lines.append(f"30 23 0:26 / /sys/fs/cgroup/{point} rw - cgroup cgroup rw,{options}\n")
            (root / "sys/fs/cgroup" / point / mine).mkdir(parents=True)
        process.joinpath("mountinfo").write_text("".join(lines))
    return process, root


class Kernel:
    """Enough of version 2's rules over plain files: what is handed on shows up, and files of a group come with its folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, busy: bool) -> None:
        self.written: list[tuple[str, str]] = []
        self.busy = busy
        real_write, real_mkdir = Path.write_text, Path.mkdir

        def write(path: Path, text: str, *rest: object, **more: object) -> int:
            if path.name == "cgroup.subtree_control":
                if self.busy and (path.parent / "cgroup.procs").read_text().strip():
                    raise OSError(16, "Device or resource busy")
                return real_write(path, f"{path.read_text()} {text}")
            if path.name == "cgroup.procs":
                source = path.parent.parent / "cgroup.procs"
                real_write(source, "".join(line for line in source.read_text().splitlines(True) if line.strip() != text))
            self.written.append((f"{path.parent.name}/{path.name}", text))
            return real_write(path, text)

        def mkdir(path: Path, *rest: object, **more: object) -> None:
            real_mkdir(path, *rest, **more)  # type: ignore[arg-type]
            for name in ("cgroup.procs", "memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max", "cgroup.kill"):
                real_write(path / name, "")

        def rmdir(path: Path) -> None:
            for file in path.iterdir():
                file.unlink()
            path.rmdir()

        monkeypatch.setattr(Path, "write_text", write)
        monkeypatch.setattr(Path, "mkdir", mkdir)
        monkeypatch.setattr(module, "_rmdir", rmdir)


def test_version_2_limits_kills_and_removes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process, root = tree(tmp_path, version=2)
    kernel = Kernel(monkeypatch, busy=False)
    found = cgroups(process, root)
    assert isinstance(found.driver, V2)
    assert all(finding.ok for finding in found.findings())
    with found.group(SMALL) as group:
        name = group.folders[0].name
    assert [(file.removeprefix(f"{name}/"), value) for file, value in kernel.written if file.startswith(f"{name}/")] == [
        ("memory.max", str(64 * MIB)),
        ("memory.swap.max", "0"),
        ("memory.oom.group", "0"),
        ("pids.max", "8"),
        ("cpu.max", "50000 100000"),
        ("cgroup.kill", "1"),
    ]
    assert not group.folders[0].exists()


def test_version_2_moves_the_service_aside_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group with processes of its own hands no controller on ("no internal processes")."""
    process, root = tree(tmp_path, version=2)
    kernel = Kernel(monkeypatch, busy=True)
    assert all(finding.ok for finding in cgroups(process, root).findings())
    assert [value for file, value in kernel.written if file == "yunei-service/cgroup.procs"] == ["41", "42"]


def test_a_controller_that_is_not_handed_on_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process, root = tree(tmp_path, version=2)
    (root / "sys/fs/cgroup/system.slice/yunei.service/cgroup.controllers").write_text("pids cpu\n")
    Kernel(monkeypatch, busy=False)
    assert [finding.feature for finding in cgroups(process, root).findings() if not finding.ok] == ["cgroup_memory"]


def test_controllers_mounted_together_and_apart(tmp_path: Path) -> None:
    process, root = tree(tmp_path, version=1)
    found = cgroups(process, root)
    assert isinstance(found.driver, V1)
    assert {each: str(path.relative_to(root / "sys/fs/cgroup")) for each, path in found.driver.parents.items()} == {
        "memory": "memory/system.slice/yunei.service",
        "pids": "pids",
        "cpu": "cpu,cpuacct/system.slice/yunei.service",
    }


def test_uncounted_swap_is_a_hole(tmp_path: Path) -> None:
    process, root = tree(tmp_path, version=1)
    (root / "proc").mkdir()
    (root / "proc/swaps").write_text("Filename\tType\n/dev/vda2 partition\n")
    assert [finding.feature for finding in cgroups(process, root).findings() if not finding.ok] == ["cgroup_memory"]


def test_where_nothing_is_allowed_everything_is_named(tmp_path: Path) -> None:
    process, root = tree(tmp_path, version=1)
    (process / "mountinfo").write_text("")
    found = cgroups(process, root)
    assert [finding.ok for finding in found.findings()] == [False, False, False]
    with found.group(SMALL) as group:
        group.enter(1)
        group.kill()
        assert (group.procs, group.members()) == ((), frozenset())


def test_it_never_kills_itself(tmp_path: Path) -> None:
    for pid in (0, os.getpid()):
        (tmp_path / "cgroup.procs").write_text(f"{pid}\n")
        with pytest.raises(StillBusy):
            Group((tmp_path,), unified=False).kill()


def test_a_limit_that_is_refused_leaves_no_group(here: Cgroups) -> None:
    beyond = Ceiling(64 * MIB, 8)
    object.__setattr__(beyond, "pids", 2**23)  # more than the kernel has numbers for
    with pytest.raises(CellsError, match="cells_start_failed"), here.group(beyond):
        pass
    assert not [name for name, _ in here.driver.left_behind() if f"-{os.getpid()}-" in name]


@pytest.mark.parametrize("wrong", [{"memory_bytes": 1}, {"pids": 0}, {"cpus": 0}, {"cpus": float("nan")}])
def test_ceilings_that_mean_nothing(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least"):
        Ceiling(**{"memory_bytes": 2**26, "pids": 8, "cpus": 1.0, **wrong})  # type: ignore[arg-type]
