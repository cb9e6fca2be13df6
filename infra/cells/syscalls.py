"""The one table of system calls, and from which stage on each is forbidden. Everything that is not in it is refused at every stage.

A cell narrows itself three times, and never widens:

    outer    from the first instruction: start Python, load the libraries, shut the doors behind
    zygote   before the first block: wait for blocks, fork one process for each, watch it
    block    before the program's first line: compute, read the libraries' files, write one frame

Where a stage has `only` rules, the low 32 bits of one argument are compared under a mask (the kernel takes these arguments as 32 bits wide);
one of the rules must hold. Numbers: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux 6.1, in
`numbers.json` as [x86_64, aarch64], null where an architecture does not have the call.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Literal

from infra.cells.base import CellsError

Stage = Literal["outer", "zygote", "block"]
STAGES: tuple[Stage, ...] = ("outer", "zygote", "block")
Machine = Literal["x86_64", "aarch64"]
MACHINES: tuple[Machine, ...] = ("x86_64", "aarch64")
WHOLE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Rule:
    """Holds when `(argument[index] & mask) == value`, of the low 32 bits."""

    index: int
    mask: int
    value: int


@dataclass(frozen=True, slots=True)
class Call:
    """A system call, allowed up to the stage `until`. `only`: in stage block, one of these must hold. `zero`: in stage block, it is not
    carried out and answers 0, so that it says the same to everyone."""

    name: str
    until: Stage
    only: tuple[Rule, ...] = field(default=())
    zero: bool = False

    def in_stage(self, stage: Stage) -> bool:
        return STAGES.index(stage) <= STAGES.index(self.until)


def _calls(until: Stage, names: str) -> Iterator[Call]:
    return (Call(name, until) for name in names.split())


def _one_of(index: int, *values: int) -> tuple[Rule, ...]:
    return tuple(Rule(index, WHOLE, value) for value in values)


_O_WRITING = 0o3 | 0o100 | 0o1000 | 0o20000000  # O_ACCMODE, O_CREAT, O_TRUNC, __O_TMPFILE: the same on both machines
_FUTEX_WAKE_PRIVATE = 1 | 128
_PROT_WRITE, _PROT_EXEC = 2, 4
_FCNTL = (1, 2, 3)  # F_GETFD, F_SETFD, F_GETFL: no locks, leases, seals or notifications, and no copies of files
_OPENED = (4, 8, 16)  # bits of the numbers that files of one's own have, and of AT_FDCWD, but not 0 to 3: RLIMIT_NOFILE is 32
_IOCTL = (0x5401, 0x5451, 0x5450)  # TCGETS (isatty, refused by what is not a terminal), FIOCLEX, FIONCLEX
_MADVISE = (0, 4, 8, 14, 15)  # NORMAL, DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE: nothing that moves pages of shared files

_TABLE = (
    # computing: memory, own signals, leaving
    *_calls("block", "brk exit exit_group getrandom mremap munmap restart_syscall rt_sigaction rt_sigprocmask"),
    *_calls("block", "rt_sigreturn sched_yield set_robust_list sigaltstack"),
    Call("madvise", "block", _one_of(2, *_MADVISE)),
    Call("futex", "block", _one_of(1, _FUTEX_WAKE_PRIVATE)),  # a shared one tells a neighbour through any common file; to wait is a clock
    # No machine code but the libraries': there is a way to count the machine's interrupts that no call and no setting closes (docs/cells.md)
    Call("mmap", "block", (Rule(2, _PROT_EXEC, 0), Rule(2, _PROT_EXEC | _PROT_WRITE, _PROT_EXEC))),
    Call("mprotect", "block", (Rule(2, _PROT_EXEC, 0),)),
    Call("getpid", "block", zero=True),  # where processes are not numbered anew for each block, it would tell which one this is
    Call("gettid", "block", zero=True),
    # reading the libraries' files and the block, writing the frame
    *_calls("block", "close getcwd getdents64 lseek pread64 read readlink readlinkat readv write writev"),
    # of a pipe they tell when it was last written to: whoever writes the frame in parts has a clock
    *(Call(name, "block", tuple(Rule(0, bit, bit) for bit in _OPENED)) for name in ("fstat", "newfstatat")),
    Call("openat", "block", (Rule(2, _O_WRITING, 0),)),
    Call("fcntl", "block", _one_of(1, *_FCNTL)),
    Call("ioctl", "block", _one_of(1, *_IOCTL)),
    # the loop: blocks in, a process for each, its end
    *_calls("zygote", "capget capset clock_gettime clock_nanosleep clone close_range dup2 dup3 getppid kill landlock_add_rule"),
    *_calls("zygote", "landlock_create_ruleset landlock_restrict_self pidfd_open pidfd_send_signal pipe2 poll ppoll prctl prlimit64"),
    *_calls("zygote", "recvmsg rt_sigsuspend rt_sigtimedwait seccomp sendmsg sendto setns setrlimit setsid unshare wait4 waitid"),
    # starting: the loader, Python, the libraries; then a new root for what must not be seen, and the clocks' page
    *_calls("outer", "access arch_prctl chdir clock_getres clone3 connect dup epoll_create1 epoll_ctl epoll_pwait eventfd2 execve"),
    *_calls("outer", "faccessat faccessat2 fadvise64 fchdir fstatfs getegid geteuid getgid getgroups getpgid getpgrp getpriority"),
    *_calls("outer", "getresgid getresuid getrlimit getrusage getsid getsockname getsockopt gettimeofday getuid lstat membarrier memfd_create"),
    *_calls("outer", "mount nanosleep open pipe ptrace pselect6 readahead recvfrom rseq sched_getaffinity sched_getparam sched_getscheduler"),
    *_calls("outer", "sched_setaffinity select set_tid_address setgid setgroups setpgid setresgid setresuid setuid shutdown socket"),
    *_calls("outer", "stat statfs statx sysinfo tgkill time times umask umount2 uname vfork"),
)
TABLE: dict[str, Call] = {call.name: call for call in _TABLE}
if len(TABLE) != len(_TABLE):
    raise ValueError("a system call stands in the table twice")


@cache
def numbers(machine: Machine) -> dict[str, int]:
    """Name to number, of every call in the table that the machine has."""
    listed = json.loads(files("infra.cells").joinpath("numbers.json").read_text(encoding="ascii"))
    return {name: pair[MACHINES.index(machine)] for name, pair in listed.items() if pair[MACHINES.index(machine)] is not None}


def this_machine() -> Machine:
    """CellsError(cells_unavailable) on a machine whose calls are not in the table."""
    for machine in MACHINES:
        if platform.machine() == machine:
            return machine
    raise CellsError("cells_unavailable", f"system calls of {platform.machine()}")
