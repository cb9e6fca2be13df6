"""Control groups: what all processes of a cell may use together, and the way to end them all. Version 1 and version 2 behind one interface.

Groups are made below the group that this process is in, so a service's own limits hold for its cells, too. Their names tell who made
them; `sweep` ends what a maker that was killed has left. What the machine or the user's rights do not allow is said by `findings` and left
undone: whether that is good enough is the caller's to decide (fail closed: `YUNEI_CELLS_ACCEPT`).

Sources: Linux Documentation/admin-guide/cgroup-v1/{memory,pids}.rst, Documentation/scheduler/sched-bwc.rst, admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.cells.base import CellsError, Finding

CONTROLLERS = ("memory", "pids", "cpu")
PREFIX = "yunei-cell-"
PERIOD_US = 100_000
_POLL_S = 0.002
_NUMBERS = itertools.count()  # one for the process: names hold the process, not who in it asks
_PID_MAX = 2**22  # more than a group can hold: what pids.max says for "no limit"


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What one group may use. memory_bytes counts swap, too: none is given beside it. cpus: cores, as a share of time."""

    memory_bytes: int
    pids: int
    cpus: float = 1.0

    def __post_init__(self) -> None:
        if self.memory_bytes < 2**20 or not 1 <= self.pids <= _PID_MAX or not 0.01 <= self.cpus <= 4096:
            raise ValueError("memory_bytes is at least 1 MiB, pids at least 1, cpus at least 0.01")


class StillBusy(RuntimeError):
    """A group still held processes after all of them had been killed and the time was up: one of them hangs in the kernel."""


class Group:
    """One group: a folder for each hierarchy in use. With no hierarchy at all it limits nothing, holds nobody and is always empty."""

    def __init__(self, folders: tuple[Path, ...], *, unified: bool) -> None:
        self.folders = folders
        self._unified = unified

    @property
    def procs(self) -> tuple[Path, ...]:
        """Files that a process writes `0` into to enter: before it runs anything that is not ours."""
        return tuple(folder / "cgroup.procs" for folder in self.folders)

    def enter(self, pid: int) -> None:
        """Puts a process in, with all that it forks from now on. ProcessLookupError when it has ended."""
        for file in self.procs:
            file.write_text(f"{pid}\n")

    def members(self) -> frozenset[int]:
        """Process ids, as seen here. A group that is removed while it is read has none."""
        found: set[int] = set()
        for file in self.procs:
            try:
                found.update(map(int, file.read_text().split()))
            except OSError as error:  # gone before it was opened, or while it was read; anything else is not for us to overlook
                if error.errno not in (errno.ENOENT, errno.ENODEV):
                    raise
        return frozenset(found)

    def kill(self, within_s: float = 10.0) -> None:
        """Ends every process in the group and returns when none is left: a cell's namespace outlives the last answer by some milliseconds,
        and the next cell must not run beside it. Raises `StillBusy`."""
        self._stop_forking()
        until = time.monotonic() + within_s
        while left := self.members():
            if os.getpid() in left or 0 in left:  # 0: how a process of a namespace that is not ours is shown; to kill 0 is to kill ourselves
                raise StillBusy("processes in the group are not ours to end")
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > until:
                raise StillBusy(f"{len(left)} processes of {self.folders[0].name} do not end")
            time.sleep(_POLL_S)

    def remove(self, within_s: float = 10.0) -> None:
        """Kills what is in it and takes the group away. Doing so twice does no harm. Raises `StillBusy`."""
        self.kill(within_s)
        until = time.monotonic() + within_s
        for folder in self.folders:
            while True:
                try:
                    _rmdir(folder)
                    break
                except FileNotFoundError:
                    break
                except OSError as problem:
                    if problem.errno != errno.EBUSY or time.monotonic() > until:
                        raise StillBusy(f"{folder} cannot be removed: {problem.strerror}") from None
                    time.sleep(_POLL_S)

    def _stop_forking(self) -> None:
        """So that the loop above ends whatever they do."""
        for folder in self.folders:
            if self._unified and (folder / "cgroup.kill").exists():
                (folder / "cgroup.kill").write_text("1")
            elif (folder / "pids.max").exists():
                (folder / "pids.max").write_text("0")


class Driver(Protocol):
    """One version of control groups."""

    def make(self, name: str, ceiling: Ceiling) -> Group: ...
    def findings(self) -> tuple[Finding, ...]: ...
    def left_behind(self) -> Iterator[tuple[str, Group]]: ...


@dataclass(frozen=True)
class V1:
    """One hierarchy for each controller. `parents`: controller → folder to make groups in; those that are missing or may not be written
    to are not in it."""

    parents: dict[str, Path]
    swap: bool = False

    def make(self, name: str, ceiling: Ceiling) -> Group:
        folders = tuple(dict.fromkeys(parent / name for parent in self.parents.values()))  # cpu and pids may be mounted together
        return _made(Group(folders, unified=False), [(self.parents[each] / name, _v1_values(each, ceiling)) for each in self.parents])

    def findings(self) -> tuple[Finding, ...]:
        have = set(self.parents)
        if self.swap and "memory" in have and not (self.parents["memory"] / "memory.memsw.limit_in_bytes").exists():
            have.remove("memory")  # what goes to swap would not be counted
        return _found(have, f"no control group of version 1 that this user may make groups in{_SWAP if self.swap else ''}")

    def left_behind(self) -> Iterator[tuple[str, Group]]:
        names = {folder.name for parent in self.parents.values() for folder in parent.glob(PREFIX + "*")}
        for name in sorted(names):
            yield (
                name,
                Group(tuple(dict.fromkeys(parent / name for parent in self.parents.values() if (parent / name).is_dir())), unified=False),
            )


_NEEDED = frozenset({"memory.limit_in_bytes", "pids.max", "cpu.cfs_quota_us", "memory.max", "cpu.max"})  # others where the kernel has them
_SWAP = ", or swap is on and not counted: boot with swapaccount=1, or turn it off"


def _v1_values(controller: str, ceiling: Ceiling) -> tuple[tuple[str, str], ...]:
    bytes_ = str(ceiling.memory_bytes)
    return {
        "memory": (("memory.limit_in_bytes", bytes_), ("memory.memsw.limit_in_bytes", bytes_), ("memory.swappiness", "0")),
        "pids": (("pids.max", str(ceiling.pids)),),
        "cpu": (("cpu.cfs_period_us", str(PERIOD_US)), ("cpu.cfs_quota_us", str(_quota(ceiling)))),
    }[controller]


@dataclass(frozen=True)
class V2:
    """One hierarchy. `parent`: the folder to make groups in, whose `cgroup.subtree_control` hands `controllers` on."""

    parent: Path
    controllers: frozenset[str]

    def make(self, name: str, ceiling: Ceiling) -> Group:
        folder = self.parent / name
        values = {
            "memory": (("memory.max", str(ceiling.memory_bytes)), ("memory.swap.max", "0"), ("memory.oom.group", "0")),
            "pids": (("pids.max", str(ceiling.pids)),),
            "cpu": (("cpu.max", f"{_quota(ceiling)} {PERIOD_US}"),),
        }
        return _made(Group((folder,), unified=True), [(folder, values[each]) for each in CONTROLLERS if each in self.controllers])

    def findings(self) -> tuple[Finding, ...]:
        return _found(self.controllers, f"{self.parent} does not hand it on: run under systemd with Delegate=yes")

    def left_behind(self) -> Iterator[tuple[str, Group]]:
        for folder in sorted(self.parent.glob(PREFIX + "*")):
            yield folder.name, Group((folder,), unified=True)


@dataclass(frozen=True)
class Cgroups:
    """What this machine has. `make` a group for each cell; `sweep` once at start."""

    driver: Driver
    _numbers: Iterator[int]

    @contextmanager
    def group(self, ceiling: Ceiling) -> Iterator[Group]:
        """A group for as long as the block lasts; whatever is in it then is killed."""
        made = self.driver.make(f"{PREFIX}{owner(os.getpid())}-{next(self._numbers)}", ceiling)  # the process may be a fork
        try:
            yield made
        finally:
            made.remove()

    def findings(self) -> tuple[Finding, ...]:
        """`cgroup_memory`, `cgroup_pids`, `cgroup_cpu`: whether each can be limited here."""
        return self.driver.findings()

    def sweep(self) -> int:
        """Ends and removes the groups of makers that are gone; how many there were."""
        gone = 0
        for name, group in self.driver.left_behind():
            if not alive(name.removeprefix(PREFIX).rpartition("-")[0]):
                group.remove()
                gone += 1
        return gone


def cgroups(process: Path = Path("/proc/self"), root: Path = Path("/")) -> Cgroups:
    """What there is for this process. `process`: its folder in /proc; `root`: what paths of mounts are below (tests give a tree of files)."""
    return Cgroups(_driver(process, root), _NUMBERS)


def _driver(process: Path, root: Path) -> Driver:
    mine = dict(line.split(":", 2)[1:] for line in (process / "cgroup").read_text().splitlines())
    v1: dict[str, Path] = {}
    v2: V2 | None = None
    for inside, point, kind, options in _mounts(process):
        if kind == "cgroup":
            listed = options.split(",")
            for controller in CONTROLLERS:
                path = next((path for names, path in mine.items() if controller in names.split(",")), None)
                if controller in listed and path is not None and (folder := _writable(root, point, inside, path)):
                    v1[controller] = folder
        elif kind == "cgroup2" and (folder := _writable(root, point, inside, mine.get("", "/"))):
            v2 = _delegated(folder)
    swaps = root / "proc/swaps"
    return v2 if v2 is not None and not v1 else V1(v1, swap=swaps.exists() and len(swaps.read_text().splitlines()) > 1)


def _mounts(process: Path) -> Iterator[tuple[str, str, str, str]]:
    """(root of the mount inside its hierarchy, mount point, type, options of the file system): proc_pid_mountinfo(5)."""
    for line in (process / "mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _source, options = after.split(" ", 2)
        if kind.startswith("cgroup"):
            yield before.split(" ")[3], before.split(" ")[4], kind, options


def _writable(root: Path, point: str, inside: str, path: str) -> Path | None:
    """The folder of group `path` below a mount that shows `inside` of the hierarchy; None where groups cannot be made in it."""
    shown = path.removeprefix(inside.rstrip("/")) if path.startswith(inside) else path
    folder = root / point.lstrip("/") / shown.lstrip("/")
    trial = folder / f"{PREFIX}{owner(os.getpid())}-trial"
    try:
        trial.mkdir()
        _rmdir(trial)
    except OSError:
        return None
    return folder


def _delegated(folder: Path) -> V2 | None:
    """Hands on what can be handed on. A group that has processes of its own may not (the "no internal processes" rule): they move into a
    group beside the cells' first."""
    offered = set((folder / "cgroup.controllers").read_text().split()) & set(CONTROLLERS)
    if not offered:
        return None
    control = folder / "cgroup.subtree_control"
    for controller in sorted(offered - set(control.read_text().split())):
        try:
            control.write_text(f"+{controller}")
        except OSError as problem:
            if problem.errno != errno.EBUSY:
                continue
            _move_aside(folder)
            with suppress(OSError):
                control.write_text(f"+{controller}")
    return V2(folder, frozenset(offered & set(control.read_text().replace("+", "").split())))


def _move_aside(folder: Path) -> None:
    aside = folder / "yunei-service"
    aside.mkdir(exist_ok=True)
    for pid in (folder / "cgroup.procs").read_text().split():
        with suppress(OSError):  # it has ended
            (aside / "cgroup.procs").write_text(pid)


def _made(group: Group, values: Iterable[tuple[Path, tuple[tuple[str, str], ...]]]) -> Group:
    """Makes the folders of a group and writes its limits; takes it away again when one is refused."""
    try:
        for folder in group.folders:
            folder.mkdir()
        for folder, files in values:
            for file, value in files:
                if file in _NEEDED or (folder / file).exists():
                    (folder / file).write_text(value)
    except OSError as problem:
        group.remove()
        raise CellsError("cells_start_failed", f"control group: {problem.strerror}") from None
    return group


def _found(have: Iterable[str], why: str) -> tuple[Finding, ...]:
    present = frozenset(have)
    return tuple(Finding(f"cgroup_{each}", each in present, "" if each in present else why) for each in CONTROLLERS)


def _quota(ceiling: Ceiling) -> int:
    return max(1000, round(ceiling.cpus * PERIOD_US))


def _rmdir(folder: Path) -> None:
    folder.rmdir()


def owner(pid: int) -> str:
    """A process, by number and time of its start: what groups and containers are labelled with."""
    return f"{pid}-{_started(pid)}"


def _started(pid: int) -> str:
    """When a process began, in ticks since boot: field 22 of proc_pid_stat(5); a number used again is another process. One that has ended is
    gone, though nobody has asked for its status yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "gone"
    return "gone" if fields[0] in "ZX" else fields[19]


def alive(owner: str) -> bool:
    """Whether that very process still runs."""
    pid, _, started = owner.partition("-")
    return pid.isdigit() and _started(int(pid)) == started
