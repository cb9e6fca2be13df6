"""The table of system calls as what kernels take: classic BPF for seccomp, and the JSON profile that Docker makes BPF of.

A filter answers each call with one of: go ahead; EPERM; 0 without doing it; kill the process (calls by another architecture's numbers, which
the table says nothing about). Semantics: Linux Documentation/userspace-api/seccomp_filter.rst, struct seccomp_data in linux/seccomp.h.
"""

from __future__ import annotations

import struct
from typing import Any

from infra.cells.syscalls import TABLE, Call, Machine, Rule, Stage, numbers, this_machine

ALLOW = 0x7FFF0000
KILL = 0x80000000
ERRNO = 0x00050000
EPERM = 1
REFUSE = ERRNO | EPERM
ZERO = ERRNO | 0
AUDIT_ARCH: dict[Machine, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32 = 0x40000000  # set in the numbers of x86_64's third way to call

_LOAD, _AND, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def filter_for(stage: Stage, machine: Machine | None = None) -> bytes:
    """An array of struct sock_filter, little-endian, for `seccomp(SECCOMP_SET_MODE_FILTER)` or `bwrap --seccomp`."""
    machine = machine or this_machine()
    steps = [_step(_LOAD, _ARCH), _step(_IF_EQUAL, AUDIT_ARCH[machine], 1, 0), _step(_RETURN, KILL), _step(_LOAD, _NUMBER)]
    if machine == "x86_64":
        steps += [_step(_IF_AT_LEAST, X32, 0, 1), _step(_RETURN, KILL)]
    for name, number in numbers(machine).items():
        body = _body(TABLE[name], stage)
        if body:
            steps += [_step(_IF_EQUAL, number, 0, len(body)), *body]
    return b"".join([*steps, _step(_RETURN, REFUSE)])


def _body(call: Call, stage: Stage) -> list[bytes]:
    """What is done once the number is known to be this call's; nothing for one that the stage does not have."""
    if not call.in_stage(stage):
        return []
    if stage == "block" and call.zero:
        return [_step(_RETURN, ZERO)]
    if stage == "block" and call.only:
        return [step for rule in call.only for step in _if_holds(rule)] + [_step(_RETURN, REFUSE)]
    return [_step(_RETURN, ALLOW)]


def _if_holds(rule: Rule) -> list[bytes]:
    return [
        _step(_LOAD, _ARGUMENTS + 8 * rule.index),  # both machines are little-endian: the low half comes first
        _step(_AND, rule.mask),
        _step(_IF_EQUAL, rule.value, 0, 1),
        _step(_RETURN, ALLOW),
    ]


def docker_profile(stage: Stage, machine: Machine | None = None) -> dict[str, Any]:
    """The same as JSON for `--security-opt seccomp=`, in the form of moby's profiles/seccomp."""
    machine = machine or this_machine()
    known = numbers(machine)
    plain: list[str] = []
    rules: list[dict[str, Any]] = []
    for name in sorted(known):
        call = TABLE[name]
        if not call.in_stage(stage):
            continue
        if stage == "block" and call.zero:
            rules.append({"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": 0})
        elif stage == "block" and call.only:
            rules += [{"names": [name], "action": "SCMP_ACT_ALLOW", "args": [_argument(rule)]} for rule in call.only]
        else:
            plain.append(name)
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "architectures": [f"SCMP_ARCH_{machine.upper()}"],
        "syscalls": [{"names": plain, "action": "SCMP_ACT_ALLOW"}, *rules],
    }


def _argument(rule: Rule) -> dict[str, Any]:
    return {"index": rule.index, "value": rule.mask, "valueTwo": rule.value, "op": "SCMP_CMP_MASKED_EQ"}
