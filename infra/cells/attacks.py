"""Attacks that a backend carries out against itself: a program like any operator's, shipped into a cell as a package of its own.

Each returns what it got hold of, or nothing; to be refused is to raise. `infra.cells.probe` has the table of them: which feature should have
stopped each. The standard library alone is imported.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

Aim = dict[str, Any]
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def run(rows: Any, aim: Aim) -> list[float]:
    """Rows name attacks; 1.0 for each that got hold of something, else 0.0, up to the length of the frame."""
    frame = []
    for name in rows["attack"].to_pylist():
        try:
            got = globals()[name](aim)
        except BaseException:
            got = None
        frame.append(1.0 if got else 0.0)
    return frame + [0.0] * (aim["width"] - len(frame))


def _call(aim: Aim, name: str, *arguments: object) -> bool:
    """Whether the kernel carried a call out."""
    return int(_libc.syscall(aim["numbers"][name], *arguments)) >= 0


# ---- network


def connects(aim: Aim) -> bool:
    with socket.create_connection(("127.0.0.1", aim["port"]), timeout=1):
        return True


def connects_by_path(aim: Aim) -> bool:
    for place in ("", "/out"):
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(place + aim["socket"])
            except OSError:
                continue
            return True
    return False


def connects_by_name(aim: Aim) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect("\0" + aim["abstract"])
        return True


# ---- files, /proc


def reads_the_machine(aim: Aim) -> bool:
    for place in ("", "/out"):
        try:
            with open(place + aim["canary"], "rb") as file:
                return bool(file.read())
        except OSError:
            continue
    return False


def lists_the_root(_: Aim) -> bool:
    return bool(os.listdir("/"))


def writes(_: Aim) -> bool:
    for folder in ("/tmp", "/in", "/job", "/opt/py", "/dev/shm", "/out/tmp", "/out/var/tmp"):  # noqa: S108 - to be refused
        path = f"{folder}/yunei-probe-{os.getpid()}"
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        except OSError:
            continue
        os.unlink(path)
        return True
    return False


def looks_at_processes(_: Aim) -> bool:
    for path in ("/proc/self/maps", "/proc/loadavg", "/proc/1/environ", "/proc/stat"):
        try:
            with open(path, "rb") as file:
                return bool(file.read(1))
        except OSError:
            continue
    return False


def holds_a_file(_: Aim) -> bool:
    """One that was open before it."""
    for file in range(4, 256):
        try:
            os.fstat(file)
        except OSError:
            continue
        return True
    return False


# ---- clocks


def tells_time(_: Aim) -> bool:
    """A clock that stands still tells no time; Python shows one that cannot be read as 0."""
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        try:
            before = getattr(time, name)()
            sum(number * number for number in range(10_000))
            if getattr(time, name)() != before:
                return True
        except (OSError, RuntimeError):
            continue
    return False


def _machine_code(code: bytes) -> Callable[[], int]:
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    function = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    _kept.append(page)
    return function


_kept: list[mmap.mmap] = []


def counts_cycles(_: Aim) -> bool:
    _machine_code(b"\x0f\x31\xc3")()  # rdtsc; ret
    return True


def starts_a_thread(_: Aim) -> bool:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    return True


# ---- neighbours: what two cells could signal by


def wakes_a_neighbour(aim: Aim) -> bool:
    """A futex on a page of a file that all cells share: the number of waiters is an answer of zero or more."""
    with open(os.__file__, "rb") as file:
        page = mmap.mmap(file.fileno(), mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ)
    address = int(_libc_mmap_address(page))
    return _call(aim, "futex", ctypes.c_void_p(address), 1, 1, None, None, 0)


def _libc_mmap_address(page: mmap.mmap) -> int:
    """Of a read-only map: by the buffer protocol, which ctypes takes of writable ones only."""

    class View(ctypes.Structure):
        _fields_ = [("buf", ctypes.c_void_p), ("rest", ctypes.c_char * 128)]

    view = View()
    get = ctypes.pythonapi.PyObject_GetBuffer
    get.argtypes = (ctypes.py_object, ctypes.c_void_p, ctypes.c_int)
    get(page, ctypes.byref(view), 0)
    return int(view.buf or 0)


def locks_a_file(_: Aim) -> bool:
    import fcntl

    with open(os.__file__, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        return True


def keeps_a_key(aim: Aim) -> bool:
    return _call(aim, "add_key", b"user", b"yunei-probe", b"x", 1, -2) or _call(aim, "keyctl", 0, -3, 1)


def watches_a_file(aim: Aim) -> bool:
    return _call(aim, "inotify_init1", 0)


def sees_the_page_cache(aim: Aim) -> bool:
    page = mmap.mmap(-1, mmap.PAGESIZE)
    held = ctypes.create_string_buffer(8)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return _call(aim, "mincore", ctypes.c_void_p(address), mmap.PAGESIZE, held) or _call(aim, "sysinfo", ctypes.create_string_buffer(256))


def shares_memory(aim: Aim) -> bool:
    return _call(aim, "shmget", 0, 4096, 0o1600) or _call(aim, "mq_open", b"yunei-probe", 0o102, 0o600, None)


def was_here(_: Aim) -> bool:
    """A mark of an earlier block."""
    marked = hasattr(sys, "yunei_probe")
    sys.yunei_probe = True  # type: ignore[attr-defined]
    return marked


# ---- processes, the kernel


def starts_a_process(_: Aim) -> bool:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return True


def runs_a_program(aim: Aim) -> bool:
    """Another one in its place, which writes the frame."""
    code = f"import os, struct; os.write(3, struct.pack('<{aim['width']}d', 1.0, *[0.0] * {aim['width'] - 1}))"
    os.execv(sys.orig_argv[0], [sys.orig_argv[0], "-S", "-c", code])  # noqa: S606 - to be refused


def signals_others(_: Aim) -> bool:
    os.kill(os.getppid(), 0)
    return True


def stops_the_parent(_: Aim) -> bool:
    os.kill(1, signal.SIGCONT)
    return True


def traces(_: Aim) -> bool:
    return bool(_libc.ptrace(0, 0, None, None) == 0)


def makes_a_namespace(_: Aim) -> bool:
    return bool(_libc.unshare(0x10000000) == 0)


def mounts(_: Aim) -> bool:
    return bool(_libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0)


def has_capabilities(aim: Aim) -> bool:
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    return _call(aim, "capget", header, sets) and any(sets)


def opens_rings(aim: Aim) -> bool:
    return _call(aim, "io_uring_setup", 1, ctypes.create_string_buffer(256)) or _call(aim, "userfaultfd", 0)


def calls_another_way(_: Aim) -> bool:
    _machine_code(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")()  # mov eax, 20 (getpid of i386); int 0x80; ret
    return True


def lifts_a_limit(_: Aim) -> bool:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return True


# ---- limits, and what leaves


def takes_memory(aim: Aim) -> bool:
    return len(bytearray(aim["memory_bytes"])) > 0


def hangs(_: Aim) -> bool:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
    return True


def spins(_: Aim) -> bool:
    while True:
        pass


def says_more(_: Aim) -> bool:
    os.write(3, b"\0" * 8)
    return True


def says_less(_: Aim) -> bool:
    os.close(3)
    return True
