"""Looking around inside: the process, its surroundings, what the harness has left in memory."""

from __future__ import annotations

import gc
import os
import stat
import sys
from contextlib import suppress
from typing import Any

from probes.files import first_read

GIVEN = """ARROW_DEFAULT_MEMORY_POOL ARROW_IO_THREADS GLIBC_TUNABLES HOME HOSTNAME LC_ALL MALLOC_ARENA_MAX OMP_NUM_THREADS OPENBLAS_NUM_THREADS
PATH PWD PYTHONHASHSEED PYTHONUTF8 TZ"""
SECRET = "-".join(("CANARY", ""))  # in pieces: the source of this file lies in memory, too


def own_process(_: dict[str, Any]) -> str | None:
    return first_read("/proc/self/maps", "/proc/self/environ", "/proc/self/mountinfo", "/proc/self/cgroup", "/proc/self/status")


def other_processes(_: dict[str, Any]) -> str | None:
    if numbers := [name for name in os.listdir("/proc") if name.isdigit()]:
        return f"processes {','.join(numbers[:5])}"
    return first_read("/proc/1/cmdline", "/proc/1/environ")


def the_machine(_: dict[str, Any]) -> str | None:
    names = "loadavg stat meminfo uptime pressure/cpu vmstat interrupts keys net/dev sys/kernel/random/boot_id version"
    return first_read(*(f"/proc/{name}" for name in names.split()))


def machine_by_call(_: dict[str, Any]) -> str:
    import ctypes

    told = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None, use_errno=True).sysinfo(told) != 0:
        raise PermissionError("sysinfo")
    return f"up {int.from_bytes(told.raw[:8], 'little')} s"


def inherited_files(_: dict[str, Any]) -> str | None:
    """Beyond the four of a block."""
    for file in range(4, 4096):
        with suppress(OSError):
            return f"file {file} of type {stat.S_IFMT(os.fstat(file).st_mode):o}"
    return None


def environment(_: dict[str, Any]) -> str | None:
    more = sorted(set(os.environ) - set(GIVEN.split()))
    return f"{more}" if more or any(SECRET in value for value in os.environ.values()) else None


def host_name(_: dict[str, Any]) -> str:
    return os.uname().nodename


def mapped_user(_: dict[str, Any]) -> str | None:
    """A number that says who we are outside: the cell's answer is that of nobody."""
    user = os.getuid()
    return None if user in (65534, 2**32 - 1, -1) else f"uid {user}"


def arguments(_: dict[str, Any]) -> str | None:
    told = [word for word in (*sys.orig_argv, *sys.argv) if SECRET in word or word.startswith(("/work", "/home", "/root"))]
    return f"{told}" if told else None


def harness_memory(world: dict[str, Any]) -> str | None:
    """The caller's variables, and every object that the collector knows. In the weaker world there is one to be found."""
    planted = [f"{SECRET}planted"] if world.get("weaker") else []
    frame = sys._getframe()
    while (frame := frame.f_back) is not None:  # type: ignore[assignment]
        for name, value in frame.f_locals.items():
            if SECRET in repr(value)[:10_000]:
                return f"{name} of {frame.f_code.co_name}"
    for thing in [*gc.get_objects(), planted]:
        held = thing if isinstance(thing, list | tuple | set) else thing.values() if isinstance(thing, dict) else ()
        for value in list(held)[:1000]:
            if isinstance(value, str | bytes) and len(value) > len(SECRET):
                text = value if isinstance(value, str) else value.decode("latin-1")
                if text.startswith(SECRET):
                    return f"found {text[:16]}"
    return None


def modules_of_ours(_: dict[str, Any]) -> str | None:
    found = [name for name in sys.modules if name.split(".")[0] in ("api", "jobs", "infra", "sandbox", "policies", "ray", "duckdb")]
    return f"{found}" if found else None
