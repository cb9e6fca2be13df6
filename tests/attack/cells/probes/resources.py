"""Using up what is shared, and ending badly."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import sys
import threading
import time
from typing import Any

MUCH = 512 * 2**20  # twice what a block of these tests may take


def one_array(_: dict[str, Any]) -> str:
    return f"{len(bytearray(MUCH))} bytes"


def numpy_array(_: dict[str, Any]) -> str:
    import numpy

    return f"{numpy.zeros(MUCH // 8).nbytes} bytes"


def pages(_: dict[str, Any]) -> str:
    return f"{len(mmap.mmap(-1, MUCH))} bytes"


def many_small(_: dict[str, Any]) -> str:
    kept = [bytes(2**16) for _ in range(MUCH // 2**16)]
    return f"{len(kept)} pieces"


def core_dumps(_: dict[str, Any]) -> str | None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    return None if hard == 0 else f"core files up to {hard}"


def dumpable(_: dict[str, Any]) -> str | None:
    """What is piped to a program when it crashes, as many machines do with core files, is not limited."""
    found = ctypes.CDLL(None, use_errno=True).prctl(3, 0, 0, 0, 0)
    return f"dumpable {found}" if found > 0 else None


def large_files(_: dict[str, Any]) -> str | None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if hard == 0 else f"files up to {hard}"


def log_flood(_: dict[str, Any]) -> None:
    for _ in range(64):
        os.write(1, b"x" * 2**16)
        os.write(2, b"x" * 2**16)
        print("x" * 1000)


def used_processor() -> float:
    try:
        return time.process_time()
    except (OSError, RuntimeError):
        return 0.0


def spin(_: dict[str, Any]) -> str:
    """Longer than the limit of processor time; where there is no clock, for ever."""
    while used_processor() < 1.1:
        sum(range(100_000))
    return "1.1 s"


def deaf_spin(_: dict[str, Any]) -> str:
    """Inside C, where Python's own signal handlers do not run."""
    sum(range(10**15))
    return "counted"


def hang(_: dict[str, Any]) -> str:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
    return "woken"


def recursion(_: dict[str, Any]) -> str:
    sys.setrecursionlimit(10**9)

    def deeper(depth: int) -> int:
        return deeper(depth + 1) + len(sorted([depth], key=lambda each: each))

    return f"{deeper(0)}"


def stack(_: dict[str, Any]) -> str:
    sys.setrecursionlimit(10**9)
    nested: list[Any] = []
    for _ in range(10**6):
        nested = [nested]
    return repr(nested)[:1]


def segfault(_: dict[str, Any]) -> str:
    return f"{ctypes.string_at(8)!r}"


def abort(_: dict[str, Any]) -> str:
    os.abort()


def leave(world: dict[str, Any]) -> str:
    os._exit(int(world.get("status", 7)))


def flood(_: dict[str, Any]) -> str:
    while True:
        os.write(3, b"\0" * 2**16)


def one_byte_more(_: dict[str, Any]) -> str:
    os.write(3, b"\0")
    return "frame and a byte"


def one_byte_less(_: dict[str, Any]) -> str:
    from probes.run import BATCH, WIDTH

    os.write(3, b"\0" * (8 * BATCH * WIDTH - 1))
    os._exit(0)


def no_frame(_: dict[str, Any]) -> str:
    os._exit(0)


def drip(_: dict[str, Any]) -> str:
    """Half a frame, and then nothing more."""
    os.write(3, b"\0" * 64)
    return hang({})


def closes(_: dict[str, Any]) -> str:
    os.close(3)
    return "closed"


def raises(world: dict[str, Any]) -> str:
    print(world["mark"], file=sys.stderr, flush=True)
    os.write(1, world["mark"].encode())
    os.write(2, world["mark"].encode())
    os._exit(1)
