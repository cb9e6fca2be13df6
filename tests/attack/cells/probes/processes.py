"""Other processes: to trace, to signal, to start. What would end or stop somebody is asked for with signal 0: whether it may be done."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import threading
from contextlib import suppress
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
NUMBERS = {  # x86_64, aarch64
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "kcmp": (312, 272),
    "tgkill": (234, 131),
    "clone": (56, 220),
    "clone3": (435, 435),
    "vfork": (58, None),
    "execveat": (322, 281),
}


def number(name: str) -> int:
    found = NUMBERS[name]["aarch64" in sys.implementation._multiarch]  # type: ignore[attr-defined]
    if found is None:
        raise PermissionError(f"this machine has no {name}")
    return found


def call(name: str, *arguments: Any) -> int:
    """OSError when the kernel refuses."""
    found = int(libc.syscall(number(name), *arguments))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found


def trace_me(_: dict[str, Any]) -> str | None:
    return "PTRACE_TRACEME" if libc.ptrace(0, 0, None, None) == 0 else None


def trace_others(_: dict[str, Any]) -> str | None:
    for pid in range(1, 64):
        if pid != os.getpid() and libc.ptrace(0x4206, pid, None, None) == 0:
            return f"seized {pid}"
    return None


class Span(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def memory_call(name: str) -> str:
    """On itself: a process may do with itself what it may do with others of its own."""
    here, there = ctypes.create_string_buffer(b"x", 8), ctypes.create_string_buffer(b"y", 8)
    one = Span(ctypes.addressof(here), 8)
    other = Span(ctypes.addressof(there), 8)
    found = call(name, os.getpid() or 1, ctypes.byref(one), 1, ctypes.byref(other), 1, 0)
    return f"{name} moved {found} bytes"


def read_memory(_: dict[str, Any]) -> str:
    return memory_call("process_vm_readv")


def write_memory(_: dict[str, Any]) -> str:
    return memory_call("process_vm_writev")


def process_file(_: dict[str, Any]) -> str:
    return f"pidfd {call('pidfd_open', os.getpid() or 1, 0)}"


def compare(_: dict[str, Any]) -> str:
    pid = os.getpid() or 1
    return f"kcmp {call('kcmp', pid, pid, 0, 0, 0)}"


def signal_others(_: dict[str, Any]) -> str | None:
    for pid in (*range(1, 64), os.getppid()):
        if pid not in (0, os.getpid()):
            with suppress(OSError):
                os.kill(pid, 0)
                return f"may signal {pid}"
    return None


def signal_all(_: dict[str, Any]) -> str:
    os.kill(-1, 0)
    return "may signal all"


def signal_threads(_: dict[str, Any]) -> str:
    pid = os.getpid() or 1
    call("tgkill", pid, pid, 0)
    return "may signal threads"


def new_session(_: dict[str, Any]) -> str:
    return f"session {os.setsid()}"


def new_group(_: dict[str, Any]) -> str:
    os.setpgid(0, 0)
    return "group"


def forks(_: dict[str, Any]) -> str:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return f"child {child}"


def raw_clone(_: dict[str, Any]) -> str:
    child = call("clone", 17, None, None, None, None)
    if child == 0:
        os._exit(0)
    return f"child {child}"


def raw_clone3(_: dict[str, Any]) -> str:
    wanted = (ctypes.c_uint64 * 11)()
    wanted[4] = 17  # exit_signal: SIGCHLD
    child = call("clone3", wanted, 88)
    if child == 0:
        os._exit(0)
    return f"child {child}"


def spawns(_: dict[str, Any]) -> str:
    child = os.posix_spawn(sys.orig_argv[0], [sys.orig_argv[0], "-S", "-c", "pass"], {})
    os.waitpid(child, 0)
    return f"child {child}"


def thread(_: dict[str, Any]) -> str:
    started = threading.Thread(target=lambda: None)
    started.start()
    started.join()
    return "a thread"


def bomb(_: dict[str, Any]) -> str:
    """Many children at once, each waiting to be told to end."""
    told, tell = os.pipe()
    count = 0
    with suppress(OSError):
        while count < 64:
            if os.fork() == 0:
                os.close(tell)
                os.read(told, 1)
                os._exit(0)
            count += 1
    os.close(tell)
    for _ in range(count):
        os.wait()
    if count == 0:
        raise PermissionError("fork")
    return f"{count} children"


def would_run(path: str) -> str | None:
    """A file that is no program: ENOEXEC from a kernel that was about to run it."""
    try:
        os.execv(path, ["x"])
    except OSError as error:
        return f"exec of {path}" if error.errno == errno.ENOEXEC else None
    return None


def runs_file(_: dict[str, Any]) -> str | None:
    found = [f"{folder}/{name}" for folder in (os.path.dirname(sys.orig_argv[0]),) for name in os.listdir(folder)]
    for path in found:
        child = os.posix_spawn(path, ["x", "-S", "-c", "pass"], {})
        os.waitpid(child, 0)
        return f"ran {path}"
    return None


def runs_memory(_: dict[str, Any]) -> str | None:
    file = os.memfd_create("x", 0)
    found = libc.syscall(number("execveat"), file, b"", None, None, 0x1000)
    return "exec of a memory file" if found < 0 and ctypes.get_errno() == errno.ENOEXEC else None


def runs_loader(_: dict[str, Any]) -> str:
    for loader in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"):
        with suppress(FileNotFoundError):
            child = os.posix_spawn(loader, [loader, "--version"], {})
            os.waitpid(child, 0)
            return f"ran {loader}"
    raise PermissionError("no loader")
