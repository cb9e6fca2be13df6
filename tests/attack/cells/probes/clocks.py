"""Telling time, and waiting for a time: whoever can, can measure what a neighbour does."""

from __future__ import annotations

import ctypes
import os
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from probes.calls import X86, call, first, libc, machine_code

CLOCKS = 12  # ids 0 to 11: all that Linux has
AT_SYSINFO_EHDR = 33
FRAME = 3


def work() -> None:
    sum(number * number for number in range(20_000))


def advances(read: Callable[[], float]) -> str | None:
    """What a clock says, if it moves while something is computed: one that stands still tells no time."""
    before = read()
    work()
    after = read()
    return f"{before} {after}" if after != before else None


def time_calls(_: dict[str, Any]) -> str | None:
    for read in (time.time, time.monotonic, time.perf_counter, time.process_time, time.thread_time):
        with suppress(OSError):
            if told := advances(read):
                return f"{read.__name__} {told}"
    return None


def every_clock_id(_: dict[str, Any]) -> str | None:
    told = (ctypes.c_long * 2)()
    for number in range(CLOCKS):
        with suppress(OSError):
            call("clock_gettime", number, told)
            return f"clock {number} says {told[0]}"
    return None


def calls_that_tell(_: dict[str, Any]) -> str | None:
    room = (ctypes.c_long * 64)()
    return first([
        ("gettimeofday", room, 0),
        ("time", 0),
        ("times", room),
        ("getrusage", 0, room),
        ("getitimer", 0, room),
        ("sysinfo", room),
        ("clock_adjtime", 0, room),
    ])  # fmt: skip


def cycle_counter(_: dict[str, Any]) -> str:
    counter = machine_code(b"\x0f\x31\xc3")  # rdtsc; ret
    return f"rdtsc {counter()}"


def cycle_counter_in_order(_: dict[str, Any]) -> str:
    counter = machine_code(b"\x0f\x01\xf9\xc3")  # rdtscp; ret
    return f"rdtscp {counter()}"


def instruction_counter(_: dict[str, Any]) -> str:
    counter = machine_code(b"\x31\xc9\x0f\x01\xfd\xc3")  # xor ecx, ecx; rdpru: the processor's own count of cycles (AMD)
    return f"rdpru {counter()}"


def performance_counter(_: dict[str, Any]) -> str:
    counter = machine_code(b"\x31\xc9\x0f\x33\xc3")  # xor ecx, ecx; rdpmc
    return f"rdpmc {counter()}"


def clock_page_by_address(_: dict[str, Any]) -> str | None:
    """The vDSO where the kernel said it is: its first bytes are those of an ELF file."""
    libc.getauxval.restype = ctypes.c_ulong
    address = libc.getauxval(ctypes.c_ulong(AT_SYSINFO_EHDR))
    return f"vDSO at {address:x}: {ctypes.string_at(address, 4)!r}" if address else None


def clock_page_by_search(world: dict[str, Any]) -> str | None:
    """The pages wherever they are: the whole map, read by mincore(2), which tells mapped pages from others, or from /proc."""
    with open("/proc/self/maps", encoding="ascii") as maps:
        return next((line for line in maps if line.rstrip().endswith(("[vdso]", "[vvar]", "[vvar_vclock]"))), None)


def interrupts(_: dict[str, Any]) -> str | None:
    """Counting until the next interrupt, which clears a segment register that holds a null selector other than 0: the machine's tick is a clock
    that no call reads (Zhang et al., SegScope, HPCA 2024)."""
    body = bytes.fromhex("48ffc18cd8")  # inc rcx; mov eax, ds
    enough = bytes.fromhex("4881f900ca9a3b7405")  # cmp rcx, 1e9; je out
    again = bytes.fromhex("6685c075") + bytes([256 - len(body) - len(enough) - 5])  # test ax, ax; jnz body
    counter = machine_code(bytes.fromhex("b8010000008ed831c9") + body + enough + again + bytes.fromhex("4889c8c3"))
    counted = [counter() for _ in range(5)]
    return f"ticks after {counted} steps" if min(counted) < 1_000_000_000 else None


def restartable_sequences(_: dict[str, Any]) -> str | None:
    """glibc registers one for each thread: the kernel writes there which processor runs it."""
    try:
        size = ctypes.c_uint.in_dll(libc, "__rseq_size").value
    except ValueError:
        return None
    return f"rseq of {size} bytes" if size else None


def waits(_: dict[str, Any]) -> str | None:
    """A call that returns after a while is a clock."""
    moment = (ctypes.c_long * 2)(0, 1000)
    empty = (ctypes.c_long * 64)()
    return first([
        ("nanosleep", moment, 0),
        ("clock_nanosleep", 1, 0, moment, 0),
        ("poll", 0, 0, 1),
        ("ppoll", 0, 0, moment, 0),
        ("pselect6", 0, 0, 0, 0, moment, 0),
        ("epoll_create1", 0),
        ("futex", empty, 0x80 | 9 | 256, 1, moment, 0, -1),
    ])  # fmt: skip


def rings(_: dict[str, Any]) -> str | None:
    """A signal or a file that becomes ready after a while is one, too."""
    moment = (ctypes.c_long * 4)(0, 1000, 0, 1000)
    empty = (ctypes.c_long * 64)()
    told = first([
        ("timerfd_create", 1, 0),
        ("timer_create", 1, 0, empty),
        ("setitimer", 1, moment, 0),
        ("rt_sigtimedwait", empty, 0, moment, 8),
    ])  # fmt: skip
    if told is None and X86:
        told = first([("alarm", 1)])
    return told


def futex_with_a_timeout(_: dict[str, Any]) -> str | None:
    """A private futex may be waited for; how long must not be the caller's to say."""
    word = (ctypes.c_uint32 * 2)()
    moment = (ctypes.c_long * 2)(0, 50_000_000)
    try:
        call("futex", word, 0x80, 0, moment, 0, 0)
    except OSError as answer:
        return "timed out" if answer.errno == 110 else None
    return None


def counts_in_a_thread(_: dict[str, Any]) -> str:
    """A thread that does nothing but count is a clock without a call."""
    import threading

    counted = [0]
    stop = threading.Event()

    def count() -> None:
        while not stop.is_set():
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    work()
    stop.set()
    thread.join()
    return f"counted to {counted[0]}"


def times_of_the_frame(world: dict[str, Any]) -> str | None:
    """The pipe that the frame goes into notes when it was last written to: write the frame in parts, and ask between them."""
    words = struct.pack("d", 2.0)  # the first number of a frame that says "got"
    before = os.fstat(FRAME).st_mtime_ns
    for _round in range(50):
        work()
    os.write(FRAME, words)
    advanced = os.fstat(FRAME).st_mtime_ns - before
    if advanced == 0:
        return None
    letters = [float(ord(letter)) for letter in f"{advanced} ns went by"]
    rest = struct.pack(f"{len(letters)}d", *letters).ljust(world["frame_bytes"] - len(words), b"\0")
    while rest:
        rest = rest[os.write(FRAME, rest) :]
    os._exit(0)


def times_of_any_file(_: dict[str, Any]) -> str | None:
    """When the block's own files were made: how long the blocks before it took. Asked of each, and of copies."""
    import fcntl

    for file in range(64):
        with suppress(OSError):
            return f"file {file} was made at {os.fstat(file).st_ctime_ns}"
        for command in (fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC):
            with suppress(OSError):
                copy = fcntl.fcntl(file, command, 8)
                return f"a copy of file {file} was made at {os.fstat(copy).st_ctime_ns}"
    return None
