"""System calls by number, machine code, and files that every cell has."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
MINE = 1 if platform.machine() == "aarch64" else 0
X86 = platform.machine() == "x86_64"

NUMBERS: dict[str, tuple[int, int]] = {  # x86_64, aarch64
    "add_key": (248, 217),
    "alarm": (37, -1),
    "bpf": (321, 280),
    "cachestat": (451, 451),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "clone": (56, 220),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "epoll_create1": (291, 20),
    "fadvise64": (221, 223),
    "fanotify_init": (300, 262),
    "fcntl": (72, 25),
    "finit_module": (313, 273),
    "flock": (73, 32),
    "fsopen": (430, 430),
    "futex": (202, 98),
    "futex_wait": (455, 455),
    "futex_waitv": (449, 449),
    "futex_wake": (454, 454),
    "getitimer": (36, 102),
    "getpriority": (140, 141),
    "getrusage": (98, 165),
    "gettimeofday": (96, 169),
    "inotify_init1": (294, 26),
    "io_setup": (206, 0),
    "io_uring_setup": (425, 425),
    "ioprio_get": (252, 31),
    "kcmp": (312, 272),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "membarrier": (324, 283),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mincore": (27, 232),
    "mount": (165, 40),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "nanosleep": (35, 101),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pivot_root": (155, 41),
    "poll": (7, -1),
    "ppoll": (271, 73),
    "prctl": (157, 167),
    "preadv2": (327, 286),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "pselect6": (270, 72),
    "quotactl": (179, 60),
    "readahead": (187, 213),
    "request_key": (249, 218),
    "rt_sigtimedwait": (128, 137),
    "sched_setaffinity": (203, 122),
    "seccomp": (317, 277),
    "semget": (64, 190),
    "setitimer": (38, 103),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "setrlimit": (160, 164),
    "shmget": (29, 194),
    "sysinfo": (99, 179),
    "syslog": (103, 116),
    "time": (201, -1),
    "timer_create": (222, 107),
    "timerfd_create": (283, 85),
    "times": (100, 153),
    "uname": (63, 160),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}


def call(name: str, *arguments: Any) -> int:
    """What the kernel answers; OSError when it refuses. A call that the machine does not have is refused, too."""
    number = NUMBERS[name][MINE]
    ctypes.set_errno(0)
    result = int(libc.syscall(ctypes.c_long(number), *(ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)))
    if number < 0 or result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)
    return result


def first(names_and_arguments: list[tuple[Any, ...]]) -> str | None:
    """The first call of several that is carried out."""
    for name, *arguments in names_and_arguments:
        try:
            return f"{name} answered {call(name, *arguments)}"
        except OSError:
            continue
    return None


def carried_out(name: str, *arguments: Any, allowed_errors: tuple[int, ...]) -> str | None:
    """Whether a call reaches the kernel's own code, which then finds fault with the arguments."""
    try:
        return f"{name} answered {call(name, *arguments)}"
    except OSError as refusal:
        return f"{name} looked at its arguments: {refusal}" if refusal.errno in allowed_errors else None


def machine_code(code: bytes) -> Any:
    """A function of no arguments that is these bytes."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    function = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    function.page = page
    return function


def mapped(path: str, *, private: bool = False) -> int:
    """Address of the first page of a file that cells have in common, mapped to be read."""
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
    file = os.open(path, os.O_RDONLY)
    try:
        address = libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_PRIVATE if private else mmap.MAP_SHARED, file, 0)
    finally:
        os.close(file)
    if address in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "mmap")
    return int(address)
