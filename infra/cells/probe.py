"""A backend attacks itself: the table of attacks, and the features that they are about.

A feature is what an administrator can name in YUNEI_CELLS_ACCEPT to do without. It is found to hold when the cell says that it was put in
place and no attack about it succeeded. What cannot be tried is found not to hold.
"""

from __future__ import annotations

import io
import json
import os
import platform
import secrets
import socket
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa

from infra.cells.base import Backend, Cargo, Cell, CellsError, Finding, Limits

LIMITS = Limits(memory_mb=64, cpu_s=1, wall_s=20.0, output_bytes=8 * 32)  # a busy machine is no reason to find cells wanting

FEATURES: Mapping[str, tuple[str, str]] = {
    "network": ("没有网络", "no network"),
    "files": ("只见只读的解释器与程序库", "nothing to read but interpreter and libraries, nothing to write"),
    "proc": ("看不到 /proc", "no /proc"),
    "clocks": ("没有时钟，也不能自制时钟", "no clock, and nothing to make one from"),
    "neighbours": ("单元之间没有暗道", "no way to signal another cell or block"),
    "processes": ("不能创建、跟踪、影响进程", "no other process to start, trace or signal"),
    "seccomp": ("系统调用白名单", "system calls by an allow-list"),
    "landlock": ("Landlock 限制文件、网络与信号", "Landlock over files, network and signals"),
    "namespaces": ("每个数据块有自己的命名空间", "namespaces of each block's own"),
    "capabilities": ("没有任何特权", "no capability"),
    "descriptors": ("没有继承的文件描述符", "no inherited file"),
    "limits": ("内存、处理器时间与时长有限", "memory, processor time and time are limited"),
    "frame": ("只输出定长帧", "a frame of the declared length or none"),
    "user": ("在本机以专用用户运行", "a user of its own on this machine"),
    "cgroup_memory": ("控制组限制内存", "a control group limits memory"),
    "cgroup_pids": ("控制组限制进程数", "a control group limits processes"),
    "cgroup_cpu": ("控制组限制处理器", "a control group limits processors"),
}
"""All that can be missing, in both languages."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One function of `infra.cells.attacks`. `alone`: in a block of its own, because a cell that holds gives no frame then."""

    name: str
    about: str
    alone: bool = False
    only_x86_64: bool = False


ATTACKS = (
    Attack("connects", "network"),
    Attack("connects_by_path", "network"),
    Attack("connects_by_name", "network"),
    Attack("reads_the_machine", "files"),
    Attack("lists_the_root", "landlock"),
    Attack("writes", "files"),
    Attack("looks_at_processes", "proc"),
    Attack("holds_a_file", "descriptors"),
    Attack("tells_time", "clocks"),
    Attack("starts_a_thread", "clocks"),
    Attack("wakes_a_neighbour", "neighbours"),
    Attack("locks_a_file", "neighbours"),
    Attack("keeps_a_key", "neighbours"),
    Attack("watches_a_file", "neighbours"),
    Attack("sees_the_page_cache", "neighbours"),
    Attack("shares_memory", "neighbours"),
    Attack("was_here", "neighbours"),
    Attack("starts_a_process", "processes"),
    Attack("signals_others", "processes"),
    Attack("stops_the_parent", "processes"),
    Attack("traces", "processes"),
    Attack("runs_a_program", "processes", alone=True),
    Attack("mounts", "seccomp"),
    Attack("has_capabilities", "capabilities"),
    Attack("makes_a_namespace", "seccomp"),
    Attack("opens_rings", "seccomp"),
    Attack("lifts_a_limit", "seccomp"),
    Attack("takes_memory", "limits"),
    Attack("counts_cycles", "clocks", alone=True, only_x86_64=True),
    Attack("calls_another_way", "seccomp", alone=True, only_x86_64=True),
    Attack("says_more", "frame", alone=True),
    Attack("says_less", "frame", alone=True),
    Attack("spins", "limits", alone=True),
    Attack("hangs", "limits", alone=True),
)
_NUMBERS = {  # of calls that the table of a cell has not: x86_64, aarch64
    "futex": (202, 98),
    "add_key": (248, 217),
    "keyctl": (250, 219),
    "inotify_init1": (294, 26),
    "mincore": (27, 232),
    "sysinfo": (99, 179),
    "shmget": (29, 194),
    "mq_open": (240, 180),
    "capget": (125, 90),
    "io_uring_setup": (425, 425),
    "userfaultfd": (323, 282),
}


@cache
def _package() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("attacks.py", files("infra.cells").joinpath("attacks.py").read_bytes())
    return packed.getvalue()


def _block(names: list[str]) -> bytes:
    rows = pa.table({"attack": pa.array(names, pa.string())})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


def probe(backend: Backend) -> tuple[Finding, ...]:
    """Carry out every attack in a cell of `backend`, which has to come up whatever it lacks: findings about all that attacks or the cell's
    own words (`features`, where it has them) are about."""
    got: dict[str, list[str]] = {}
    said: dict[str, bool] = {}
    try:
        with _prey() as aim, backend.open(Cargo(_package(), "attacks:run", json.dumps(aim).encode()), LIMITS) as cell:
            for name, about in _succeeded(cell):
                got.setdefault(about, []).append(name)
            said.update(getattr(cell, "features", {}))
    except CellsError as error:
        return tuple(Finding(feature, False, f"{error.code}: {error.about}") for feature in _tried({}))
    return tuple(_finding(feature, got.get(feature, []), said.get(feature, True)) for feature in _tried(said))


def _tried(said: Mapping[str, bool]) -> list[str]:
    return list(dict.fromkeys([*(attack.about for attack in ATTACKS), *said]))


def _finding(feature: str, got: list[str], said: bool) -> Finding:
    if got:
        return Finding(feature, False, f"attacks that succeeded: {', '.join(dict.fromkeys(got))}")
    return Finding(feature, said, "" if said else "could not be put in place")


def _succeeded(cell: Cell) -> Iterator[tuple[str, str]]:
    """Attacks that got hold of something, and what they are about. Those that leave their process whole are carried out twice, in two blocks:
    the second looks for what the first left."""
    here = [attack for attack in ATTACKS if platform.machine() == "x86_64" or not attack.only_x86_64]
    together = [attack for attack in here if not attack.alone]
    for _ in range(2):
        values = _values(cell, [attack.name for attack in together])
        for attack, value in zip(together, values, strict=False):
            if value != 0.0:
                yield attack.name, attack.about
    for attack in here:
        if attack.alone and _values(cell, [attack.name])[0] == 1.0:
            yield attack.name, attack.about
    if _values(cell, []) != (0.0,) * (LIMITS.output_bytes // 8):  # it still works, after all of that
        yield "no_frame_afterwards", "frame"


def _values(cell: Cell, names: list[str]) -> tuple[float, ...]:
    """NaN for each attack when there is no frame: not 0, which would say that a batch was refused, and not 1."""
    frame = cell.run(_block(names))
    return tuple(memoryview(frame).cast("d")) if frame is not None else (float("nan"),) * max(1, len(names))


@contextmanager
def _prey() -> Iterator[dict[str, Any]]:
    """What attacks are after: listeners and a file of this process."""
    name = f"yunei-probe-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory(prefix="yunei-probe-") as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        place = Path(folder)
        place.chmod(0o755)
        (place / "canary").write_text(name)
        (place / "canary").chmod(0o644)
        with socket.socket(socket.AF_UNIX) as by_path, socket.socket(socket.AF_UNIX) as by_name:
            for each, address in ((by_path, str(place / "socket")), (by_name, f"\0{name}")):
                each.bind(address)
                each.listen()
            with suppress(OSError):
                os.chmod(place / "socket", 0o666)  # noqa: S103 - so that its mode is not what holds
            yield {
                "port": listener.getsockname()[1],
                "socket": str(place / "socket"),
                "abstract": name,
                "canary": str(place / "canary"),
                "memory_bytes": (LIMITS.memory_mb + 64) * 2**20,
                "width": LIMITS.output_bytes // 8,
                "numbers": {name: pair[platform.machine() == "aarch64"] for name, pair in _NUMBERS.items()},
            }
