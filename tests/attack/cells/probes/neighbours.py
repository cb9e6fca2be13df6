"""Ways for two cells to signal to each other: each end asks the kernel about something that both can reach."""

from __future__ import annotations

import ctypes
import mmap
import os
from contextlib import suppress
from typing import Any

from probes.calls import call, carried_out, first, mapped

COMMON = os.__file__  # a file of Python's own library: every cell has it
WAIT, WAKE, REQUEUE, PRIVATE, CLOCK_REALTIME = 0, 1, 3, 128, 256
EAGAIN, EINVAL, EFAULT, EINTR, ETIMEDOUT, ENOSYS = 11, 22, 14, 4, 110, 38


def futex_on_a_common_file(_: dict[str, Any]) -> str | None:
    """The number of those whom a wake-up reached is the number of those who wait in other cells."""
    for private in (False, True):
        with suppress(OSError):
            return f"woke {call('futex', mapped(COMMON, private=private), WAKE, 1, 0, 0, 0)}"
    return None


def futex_calls_of_today(_: dict[str, Any]) -> str | None:
    """The same by the calls that came later, and by way of requeueing."""
    page = mapped(COMMON)
    return first([("futex_wake", page, 1, 1, 2), ("futex", page, REQUEUE, 1, 1, page + 64, 0)]) or carried_out(
        "futex_waitv", 0, 0, 0, 0, 0, allowed_errors=(EINVAL,)
    )


def file_locks(_: dict[str, Any]) -> str | None:
    file = os.open(COMMON, os.O_RDONLY)
    try:
        if told := first([("flock", file, 1 | 4)]):
            return told
        room = ctypes.create_string_buffer(32)  # struct flock: l_type 0 is F_RDLCK
        return first([
            ("fcntl", file, 6, room),  # F_SETLK
            ("fcntl", file, 5, room),  # F_GETLK: whose lock is in the way
            ("fcntl", file, 37, room),  # F_OFD_SETLK
            ("fcntl", file, 1024, 0),  # F_SETLEASE
            ("fcntl", file, 1025),  # F_GETLEASE
            ("fcntl", os.open("/opt", os.O_RDONLY), 1026, 1),  # F_NOTIFY
        ])  # fmt: skip
    finally:
        os.close(file)


def watches(_: dict[str, Any]) -> str | None:
    return first([("inotify_init1", 0), ("fanotify_init", 0x200, 0)])


def access_times(_: dict[str, Any]) -> str | None:
    """Whether reading a file that cells have in common leaves its mark on the file."""
    before = os.stat(COMMON).st_atime_ns
    with open(COMMON, "rb") as file:
        file.read()
    after = os.stat(COMMON).st_atime_ns
    return f"{before} {after}" if before != after else None


def page_cache(_: dict[str, Any]) -> str | None:
    """Which pages of a common file somebody has read: without a clock, by asking."""
    file = os.open(COMMON, os.O_RDONLY)
    told = ctypes.create_string_buffer(256)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(told), 16)
    pages = (ctypes.c_uint64 * 2)(0, 4096)
    return first([
        ("mincore", mapped(COMMON), mmap.PAGESIZE, told),
        ("cachestat", file, pages, told, 0),
        ("preadv2", file, vector, 1, 0, 0, 8),  # RWF_NOWAIT: only what is in memory
    ])  # fmt: skip


def page_cache_changed(_: dict[str, Any]) -> str | None:
    """Throwing pages of a common file out of memory, or fetching them, for a neighbour to notice."""
    file = os.open(COMMON, os.O_RDONLY)
    return first([
        ("fadvise64", file, 0, 0, 4),  # POSIX_FADV_DONTNEED
        ("readahead", file, 0, 4096),
        ("process_madvise", -1, 0, 0, 21, 0),
    ]) or carried_out("process_madvise", -1, 0, 0, 21, 0, allowed_errors=(9, EINVAL))  # fmt: skip


def page_out(_: dict[str, Any]) -> str | None:
    """madvise(2) on a common file: MADV_PAGEOUT takes it out of memory, MADV_POPULATE_READ says whether it came."""
    page = mmap.mmap(os.open(COMMON, os.O_RDONLY), mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ)
    for advice in (21, 22, 20, 3, 25):  # PAGEOUT, POPULATE_READ, COLD, WILLNEED, COLLAPSE
        with suppress(OSError):
            page.madvise(advice)
            return f"advice {advice} taken"
    return None


def keys(_: dict[str, Any]) -> str | None:
    """A keyring belongs to a user of the machine."""
    return first([("add_key", b"user", b"yunei-attack", b"x", 1, -4), ("keyctl", 0, -4, 0)]) or carried_out(
        "request_key", b"user", b"yunei-attack", 0, -4, allowed_errors=(126, 13)
    )


def shared_memory(_: dict[str, Any]) -> str | None:
    return first([
        ("shmget", 0x59554E45, 4096, 0o1666),
        ("semget", 0x59554E45, 1, 0o1666),
        ("msgget", 0x59554E45, 0o1666),
        ("mq_open", b"yunei", 0o102, 0o666, 0),
        ("memfd_create", b"yunei", 0),
        ("memfd_secret", 0),
    ])  # fmt: skip


def shared_memory_folder(_: dict[str, Any]) -> str | None:
    for folder in ("/dev/shm", "/dev/mqueue", "/tmp", "/run"):
        with suppress(OSError):
            file = os.open(f"{folder}/yunei-attack", os.O_RDWR | os.O_CREAT, 0o600)
            os.close(file)
            os.unlink(f"{folder}/yunei-attack")
            return f"{folder} takes files"
    return None


def counters_of_the_user(_: dict[str, Any]) -> str | None:
    """Limits that the kernel counts by user: what one cell uses up, another lacks."""
    return first([("io_setup", 1, (ctypes.c_ulong * 1)()), ("inotify_init1", 0), ("epoll_create1", 0), ("clone", 17, 0, 0, 0, 0)])


def own_numbers(_: dict[str, Any]) -> str | None:
    """Process numbers count up: they would tell a block how many came before it."""
    numbers = {os.getpid(), call("futex", 0, 129, 0) if False else os.getpid()}
    import threading

    numbers.add(threading.get_native_id())
    return f"numbers {sorted(numbers)}" if max(numbers) > 1 else None


def numbers_of_files(world: dict[str, Any]) -> str:
    """Number and times of the block's own file, which the kernel counts up, too: compared with the next block's."""
    about = os.fstat(0)
    return f"{about.st_ino} {about.st_mtime_ns} {about.st_ctime_ns}"


# ---- both ends of real channels: one cell tells a bit, another hears it


def tell_by_lock(world: dict[str, Any]) -> str | None:
    """Holds a lock, or does not, for as long as the block lasts."""
    import fcntl

    with open(COMMON, "rb") as file:
        if world["bit"]:
            fcntl.flock(file, fcntl.LOCK_EX)
        _spin(world)
    return None


def hear_by_lock(_: dict[str, Any]) -> str | None:
    import fcntl

    with open(COMMON, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "locked"
    return None


def tell_by_waiting(world: dict[str, Any]) -> str | None:
    """Waits on a word of a file that cells have in common, or does not."""
    if not world["bit"]:
        return _spin(world)
    page = mapped(COMMON)
    word = int(ctypes.c_uint32.from_address(page).value)
    moment = (ctypes.c_long * 2)(2, 0)
    with suppress(OSError):
        call("futex", page, WAIT, word, moment, 0, 0)
    return None


def hear_by_waking(_: dict[str, Any]) -> str | None:
    woken = call("futex", mapped(COMMON), WAKE, 0, 0, 0, 0)  # 0: nobody really, but the kernel still looks
    woken = woken or call("futex", mapped(COMMON), WAKE, 1, 0, 0, 0)
    return f"woke {woken}" if woken else None


def tell_by_load(world: dict[str, Any]) -> str | None:
    """Keeps processor and caches busy, or does not."""
    if world["bit"]:
        room = bytearray(8 << 20)
        for at in range(0, len(room), 64):
            room[at] = (room[at] + 1) & 255
    return None


def hear_by_work(_: dict[str, Any]) -> str:
    """All that a block without a clock can tell of how long something took: every clock it has, before and after work."""
    import time

    told = []
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        with suppress(OSError):
            before = getattr(time, name)()
            sum(number * number for number in range(100_000))
            told.append(getattr(time, name)() - before)
    return repr(told)


def _spin(world: dict[str, Any]) -> None:
    for _ in range(int(world.get("steps", 3_000_000))):
        pass
