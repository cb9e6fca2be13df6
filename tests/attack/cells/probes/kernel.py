"""The kernel's rarer doors."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Any

from probes.calls import call, carried_out, first, libc, machine_code

EINVAL, EFAULT, EBADF, ESRCH, ENOENT, ENOSYS = 22, 14, 9, 3, 2, 38


def namespaces(_: dict[str, Any]) -> str | None:
    return first([
        ("unshare", 0x10000000),  # CLONE_NEWUSER: a namespace to be root in
        ("unshare", 0x40000000),  # CLONE_NEWNET
        ("unshare", 0x00020000),  # CLONE_NEWNS
    ]) or carried_out("setns", -1, 0, allowed_errors=(EBADF,))  # fmt: skip


def mounts(_: dict[str, Any]) -> str | None:
    for name, arguments in (
        ("mount", (0, 0, 0, 0, 0)),
        ("pivot_root", (0, 0)),
        ("chroot", (0,)),
        ("fsopen", (0, 0)),
        ("open_tree", (-1, 0, 0)),
    ):
        if told := carried_out(name, *arguments, allowed_errors=(EFAULT, EINVAL, EBADF, ENOENT)):
            return told
    return None


def rings(_: dict[str, Any]) -> str | None:
    """Work that the kernel does later, past any filter."""
    room = ctypes.create_string_buffer(256)
    return first([("io_uring_setup", 1, room), ("io_setup", 1, ctypes.create_string_buffer(8))])


def programs_in_the_kernel(_: dict[str, Any]) -> str | None:
    room = ctypes.create_string_buffer(128)
    for name, arguments, errors in (
        ("bpf", (0, 0, 0), (EINVAL, EFAULT)),
        ("perf_event_open", (room, 0, -1, -1, 0), (EINVAL, ENOENT, 13, 7)),
        ("userfaultfd", (0,), ()),
    ):
        if told := carried_out(name, *arguments, allowed_errors=errors):
            return told
    return None


def administration(_: dict[str, Any]) -> str | None:
    """Calls of administrators: even to look at their arguments is more than a block needs."""
    room = ctypes.create_string_buffer(128)
    for name, arguments, errors in (
        ("syslog", (10, 0, 0), ()),
        ("quotactl", (0x80000700, 0, 0, 0), (EINVAL, ENOENT, ENOSYS, EFAULT)),
        ("name_to_handle_at", (-1, 0, 0, 0, 0), (EFAULT, EBADF)),
        ("open_by_handle_at", (-1, 0, 0), (EFAULT, EBADF)),
        ("personality", (0xFFFFFFFF,), ()),
        ("uname", (room,), ()),
        ("sched_setaffinity", (0, 8, room), (EINVAL,)),
        ("ioprio_get", (1, 0), ()),
        ("getpriority", (0, 0), ()),
        ("setpriority", (0, 0, 19), ()),
        ("membarrier", (0, 0), ()),
    ):
        if told := carried_out(name, *arguments, allowed_errors=errors):
            return told
    return None


def other_processes(_: dict[str, Any]) -> str | None:
    for name, arguments, errors in (
        ("process_vm_readv", (1, 0, 0, 0, 0, 0), ()),
        ("pidfd_open", (1, 0), ()),
        ("pidfd_getfd", (-1, 0, 0), (EBADF,)),
        ("kcmp", (1, 1, 0, 0, 0), ()),
    ):
        if told := carried_out(name, *arguments, allowed_errors=errors):
            return told
    return None


def other_abi_interrupt(_: dict[str, Any]) -> str:
    """32-bit calls have numbers of their own: getpid is 20 there."""
    return f"int 0x80 answered {machine_code(bytes.fromhex('b814000000cd80c3'))()}"


def other_abi_x32(_: dict[str, Any]) -> str:
    """The third way to call, with a bit set in the number: getpid."""
    return f"x32 answered {libc.syscall(ctypes.c_long(0x40000000 + 39))}"


def lifts_limits(_: dict[str, Any]) -> str | None:
    room = (ctypes.c_ulong * 2)(1 << 30, 1 << 30)
    return first([("prlimit64", 0, 9, room, 0), ("setrlimit", 9, room), ("prlimit64", 0, 0, 0, room)])


def gives_itself_clocks(_: dict[str, Any]) -> str | None:
    return first([("prctl", 26, 1, 0, 0, 0)])  # PR_SET_TSC, PR_TSC_ENABLE


def controls_itself(_: dict[str, Any]) -> str | None:
    """prctl(2) has hundreds of doors; a filter of one's own can lie about what calls answer."""
    return first([("prctl", 4, 1, 0, 0, 0), ("prctl", 38, 1, 0, 0, 0), ("prctl", 3, 0, 0, 0, 0)]) or carried_out(
        "seccomp", 1, 0, 0, allowed_errors=(EFAULT, EINVAL)
    )


def terminal(_: dict[str, Any]) -> str | None:
    """Pushing letters into a terminal that a person sits at (CVE-2017-5226), or pasting in a console."""
    for file in range(32):
        for request in (0x5412, 0x541C):  # TIOCSTI, TIOCLINUX
            letter = ctypes.create_string_buffer(b"x")
            if libc.ioctl(file, ctypes.c_ulong(request), letter) == 0:
                return f"terminal at {file}"
    with suppress(OSError):
        os.close(os.open("/dev/tty", os.O_RDWR))
        return "a controlling terminal"
    return None


def may_ioctl(_: dict[str, Any]) -> str | None:
    """Whether such a request gets as far as the file it is made of."""
    libc.ioctl(0, ctypes.c_ulong(0x5412), ctypes.create_string_buffer(b"x"))
    return "asked" if ctypes.get_errno() in (25, 5) else None  # ENOTTY: the block is no terminal


def other_rights(_: dict[str, Any]) -> str | None:
    """Programs that run with their owner's rights, or files with capabilities, anywhere in sight."""
    for top in ("/opt", "/lib", "/lib64", "/usr", "/bin", "/sbin"):
        for folder, _names, files in os.walk(top):
            for name in files:
                with suppress(OSError):
                    about = os.lstat(os.path.join(folder, name))
                    if about.st_mode & 0o6000:
                        return os.path.join(folder, name)
    return None


def new_rights(_: dict[str, Any]) -> str | None:
    """Whether exec could still give rights: no_new_privs, as prctl(2) tells it; where that is refused, nothing can be told or gained."""
    return "exec may give rights" if call("prctl", 39, 0, 0, 0, 0) == 0 else None


def capabilities(_: dict[str, Any]) -> str | None:
    for number in range(41):
        with suppress(OSError):
            if call("prctl", 23, number, 0, 0, 0) == 1 and os.geteuid() == 0:  # PR_CAPBSET_READ
                return f"capability {number} in the bounding set"
    return None
