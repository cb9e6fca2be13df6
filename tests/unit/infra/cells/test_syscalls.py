"""The table of system calls, and the two forms it takes: what a filter in BPF answers, what Docker's profile says, agree on every call."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest

from infra.cells import bpf
from infra.cells.syscalls import MACHINES, STAGES, TABLE, Machine, Stage, numbers

FORMS = [(stage, machine) for stage in STAGES for machine in MACHINES]
ARGUMENTS = (0, 1, 2, 3, 4, 5, 8, 9, 14, 15, 16, 0o100, 128, 129, 393, 0o1000, 1024, 1025, 1030, 0x5401, 0x5412, 0x5450, 0x5451, 0o20000000)


def answer(program: bytes, arch: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """Interpret a filter as the kernel does (net/core/filter.c), for the five instructions that we use."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *(*arguments, *(0,) * (6 - len(arguments))))
    steps = list(struct.iter_unpack("=HBBI", program))
    at, register = 0, 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        if code == 0x20:
            (register,) = struct.unpack_from("=I", data, value)
        elif code == 0x54:
            register &= value
        elif code == 0x15:
            at += if_true if register == value else if_false
        elif code == 0x35:
            at += if_true if register >= value else if_false
        else:
            assert code == 0x06, hex(code)
            return value


def docker_answer(profile: dict[str, Any], name: str, arguments: tuple[int, ...]) -> int:
    for entry in profile["syscalls"]:
        if name not in entry["names"]:
            continue
        if all((arguments[each["index"]] & each["value"]) == each["valueTwo"] for each in entry.get("args", [])):
            return bpf.ALLOW if entry["action"] == "SCMP_ACT_ALLOW" else bpf.ERRNO | entry["errnoRet"]
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    return bpf.ERRNO | profile["defaultErrnoRet"]


def calls() -> Iterator[tuple[int, ...]]:
    for value in ARGUMENTS:
        yield (value,) * 6
    for index in range(3):
        for value in ARGUMENTS:
            yield tuple(value if at == index else 0 for at in range(6))


@pytest.mark.parametrize(("stage", "machine"), FORMS)
def test_bpf_and_docker_answer_every_call_alike(stage: Stage, machine: Machine) -> None:
    program, profile, known = bpf.filter_for(stage, machine), bpf.docker_profile(stage, machine), numbers(machine)
    by_number = {number: name for name, number in known.items()}
    samples = list(calls())
    for number in range(600):
        name = by_number.get(number, "")
        for arguments in samples if name and TABLE[name].only else samples[:1]:
            assert answer(program, bpf.AUDIT_ARCH[machine], number, arguments) == docker_answer(profile, name, arguments), (name, arguments)


@pytest.mark.parametrize("machine", MACHINES)
def test_stages_only_narrow(machine: Machine) -> None:
    programs = {stage: bpf.filter_for(stage, machine) for stage in STAGES}
    ruled = {number for name, number in numbers(machine).items() if TABLE[name].only}
    samples = list(calls())
    open_to = {
        stage: {
            number
            for number in range(600)
            if any(answer(program, bpf.AUDIT_ARCH[machine], number, each) != bpf.REFUSE for each in samples[: None if number in ruled else 1])
        }
        for stage, program in programs.items()
    }
    assert open_to["block"] < open_to["zygote"] < open_to["outer"]
    assert {number for name, number in numbers(machine).items()} == open_to["outer"]


@pytest.mark.parametrize(("stage", "machine"), FORMS)
def test_other_ways_to_number_calls_kill(stage: Stage, machine: Machine) -> None:
    program = bpf.filter_for(stage, machine)
    assert answer(program, 0x40000003, 1) == bpf.KILL  # i386, by int 0x80
    assert answer(program, bpf.AUDIT_ARCH[MACHINES[1 - MACHINES.index(machine)]], 1) == bpf.KILL
    assert answer(program, 0, 1) == bpf.KILL
    if machine == "x86_64":
        assert answer(program, bpf.AUDIT_ARCH[machine], bpf.X32 | 0) == bpf.KILL


@pytest.mark.parametrize(
    ("name", "arguments", "allowed"),
    [
        ("openat", (0, 0, 0), True),
        ("openat", (0, 0, 0o2000000), True),  # O_CLOEXEC
        ("openat", (0, 0, 1), False),
        ("openat", (0, 0, 2), False),
        ("openat", (0, 0, 0o100), False),
        ("openat", (0, 0, 0o1000), False),
        ("openat", (0, 0, 0o20200000), False),  # O_TMPFILE
        ("futex", (0, 129), True),
        ("futex", (0, 1), False),
        ("futex", (0, 3), False),  # requeue to another word, shared
        ("futex", (0, 128), False),  # to wait, for a time that one may choose
        ("mmap", (0, 4096, 3), True),
        ("mmap", (0, 4096, 5), True),  # the text of a library
        ("mmap", (0, 4096, 7), False),  # code of one's own
        ("mmap", (0, 4096, 6), False),
        ("mprotect", (0, 4096, 1), True),
        ("mprotect", (0, 4096, 5), False),  # what was written becomes code
        *((call, (file,), file > 3) for call in ("fstat", "newfstatat") for file in (0, 1, 2, 3, 4, 7, 8, 31, 0xFFFFFF9C)),
        ("fcntl", (0, 1030), False),  # F_DUPFD_CLOEXEC: a copy would have another number
        ("fcntl", (0, 1), True),
        ("fcntl", (0, 6), False),  # F_SETLK
        ("fcntl", (0, 1024), False),  # F_SETLEASE
        ("fcntl", (0, 1026), False),  # F_NOTIFY
        ("ioctl", (0, 0x5401), True),
        ("ioctl", (0, 0x5412), False),  # TIOCSTI
        ("madvise", (0, 0, 4), True),
        ("madvise", (0, 0, 21), False),  # PAGEOUT
    ],
)
def test_rules_of_the_block(name: str, arguments: tuple[int, ...], allowed: bool) -> None:
    for machine in MACHINES:
        found = answer(bpf.filter_for("block", machine), bpf.AUDIT_ARCH[machine], numbers(machine)[name], arguments)
        assert found == (bpf.ALLOW if allowed else bpf.REFUSE)


def test_a_block_has_no_number() -> None:
    for machine in MACHINES:
        for name in ("getpid", "gettid"):
            assert answer(bpf.filter_for("block", machine), bpf.AUDIT_ARCH[machine], numbers(machine)[name]) == bpf.ZERO


def test_what_a_block_never_has() -> None:
    """By name, so that a slip of the table shows: what would leave a process, look at a clock, start another, or meet a neighbour."""
    text = """socket connect bind sendto recvfrom sendmsg recvmsg clone clone3 fork vfork execve execveat ptrace process_vm_readv kill tgkill
    clock_gettime clock_nanosleep gettimeofday time times nanosleep poll ppoll select timer_create timerfd_create setitimer alarm getrusage
    unshare setns mount umount2 pivot_root chroot keyctl add_key request_key shmget semget msgget mq_open flock inotify_init1
    fanotify_init mincore cachestat io_uring_setup bpf perf_event_open userfaultfd prctl seccomp capset setrlimit prlimit64 sysinfo uname
    memfd_create mkdirat unlinkat symlinkat renameat2 linkat ftruncate fallocate pidfd_open pidfd_getfd kcmp open_by_handle_at"""
    inner = {name for name, call in TABLE.items() if call.until == "block"}
    assert not inner & set(text.split())
    assert not set(TABLE) & {"io_uring_setup", "bpf", "perf_event_open", "userfaultfd", "keyctl", "process_vm_readv", "kexec_load"}


def test_numbers_are_the_kernels() -> None:
    """Well-known ones; the whole was made from the kernel's headers."""
    x86, arm = numbers("x86_64"), numbers("aarch64")
    assert [x86[name] for name in ("read", "mmap", "futex", "openat", "seccomp", "landlock_restrict_self")] == [0, 9, 202, 257, 317, 446]
    assert [arm[name] for name in ("read", "mmap", "futex", "openat", "seccomp", "landlock_restrict_self")] == [63, 222, 98, 56, 277, 446]
    assert len(set(x86.values())) == len(x86)
    assert len(set(arm.values())) == len(arm)
    assert set(x86) | set(arm) == set(TABLE)
    assert set(x86) == set(TABLE)
