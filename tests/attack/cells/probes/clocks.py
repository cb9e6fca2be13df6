"""Telling time: whoever can, can measure what a neighbour does."""

from __future__ import annotations

import ctypes
import mmap
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
CLOCKS = 12  # ids 0 to 11: all that Linux has


def advances(read: Callable[[], float]) -> str | None:
    """What a clock says, if it moves while something is computed: one that stands still tells no time."""
    before = read()
    sum(number * number for number in range(20_000))
    after = read()
    return f"{before} {after}" if after != before else None


def time_calls(_: dict[str, Any]) -> str | None:
    for call in (time.time, time.monotonic, time.perf_counter, time.process_time, time.thread_time):
        with suppress(OSError):
            if told := advances(call):
                return f"{call.__name__} {told}"
    return None


def every_clock_id(_: dict[str, Any]) -> str | None:
    told = (ctypes.c_long * 2)()
    for number in range(CLOCKS):
        if libc.clock_gettime(number, told) == 0:
            return f"clock {number} says {told[0]}"
    return None


def machine_code(code: bytes) -> Any:
    """A function of no arguments that is these bytes."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    function = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    function.page = page
    return function


def cycle_counter(_: dict[str, Any]) -> str:
    counter = machine_code(b"\x0f\x31\xc3")
    return f"rdtsc {counter()}"
