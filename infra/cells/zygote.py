"""The program inside a cell. It is shipped as a file into the cell's root, with `warm.py` and `inside.py` beside it.

    python3 -s -P -S -B zygote.py CONTROL        CONTROL: number of an open SOCK_SEQPACKET socket, or the path of one to connect to

1. Execute itself once more, watched by a child that hides the kernel's clock page (vDSO) from the C library; the page is unmapped later.
2. Take the cargo: a message of JSON with the files of package, parameters and two seccomp filters.
3. Load the libraries and call them once, so that what they load late is there; give up /proc, clocks and most system calls. Answer what
   could be done, in JSON.
4. For each message `B` with a block, an output pipe and a file for errors: fork, in a process-id namespace of its own. The child gives up
   everything but those three files and the library's folders, and runs the program. When it has ended or its time is over, answer `D`; or
   `F` when no process could be made that gives everything up: the program did not run.

This process never sees a row: blocks pass through as file descriptors that only the child reads. It never runs a line of the program:
that happens in children only, so no block can leave anything for the next. Nothing about how a child ended is said.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import mmap
import os
import platform
import random
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

NOTHING, TALK, ERRORS, FRAME = range(4)  # files of a child: none, what it prints (nowhere), what it says of errors, its frame
MESSAGE_BYTES = 64 * 1024
DESCRIPTORS = 32
UNCONFINED = 2  # exit status of a child that could not give everything up; one that was killed is none

_NEWNS, _NEWUSER, _NEWPID, _NEWIPC = 0x00020000, 0x10000000, 0x20000000, 0x08000000
_PR_SET_NO_NEW_PRIVS, _PR_SET_TSC, _PR_TSC_SIGSEGV, _PR_SET_PTRACER, _PR_SET_DUMPABLE = 38, 26, 2, 0x59616D61, 4
_DETACH_MOUNT = 2
_AT_SYSINFO_EHDR = 33
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT, _CLOSE_RANGE = 444, 445, 446, 436
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_SECCOMP, _CAPSET = {"x86_64": (317, 126), "aarch64": (277, 91)}.get(platform.machine(), (-1, -1))

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.getauxval.restype = ctypes.c_ulong
_libc.getauxval.argtypes = (ctypes.c_ulong,)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


def _did(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _can(action: Callable[[], object]) -> bool:
    try:
        action()
    except OSError:
        return False
    return True


# ---- 1. the clock page


def hide_clock_page() -> None:
    """Execute this program again with the vDSO's address blanked in its auxiliary vector (getauxval(3)): the C library then asks the kernel
    for the time, which a filter can refuse. Returns only in the second run, or where it cannot be done."""
    if len(sys.argv) > 2:
        with suppress(OSError):
            os.waitpid(int(sys.argv[2]), 0)
        return
    if platform.machine() != "x86_64":
        return  # registers are read by their x86_64 layout
    told, tell = os.pipe()
    me, watcher = os.getpid(), os.fork()
    if watcher == 0:
        with suppress(BaseException):
            _watch(me, tell)
        os._exit(0)
    os.close(tell)
    _libc.prctl(_PR_SET_PTRACER, watcher, 0, 0, 0)  # for Yama, where there is one
    said = os.read(told, 1)
    os.close(told)
    if said != b"y":
        os.waitpid(watcher, 0)
        return
    os.execv(sys.orig_argv[0], [*sys.orig_argv, str(watcher)])  # noqa: S606 - itself


def _watch(pid: int, tell: int) -> None:
    seize, get_registers, detach, peek, poke, trace_exec = 0x4206, 12, 17, 2, 5, 0x10
    if _libc.ptrace(seize, pid, None, trace_exec) != 0:
        return
    os.write(tell, b"y")
    os.waitpid(pid, 0x40000000)  # __WALL; the stop right after exec
    registers = (ctypes.c_ulong * 27)()
    _libc.ptrace(get_registers, pid, None, ctypes.addressof(registers))

    def word(address: int) -> int:
        return int(_libc.ptrace(peek, pid, address, None)) % 2**64

    at = registers[19]  # rsp: argc, argv, NULL, environment, NULL, auxiliary vector
    at += 8 * (word(at) + 2)
    while word(at):
        at += 8
    at += 8
    while key := word(at):
        if key == _AT_SYSINFO_EHDR:
            _libc.ptrace(poke, pid, at, 1)  # AT_IGNORE
            _libc.ptrace(poke, pid, at + 8, 0)
        at += 16
    _libc.ptrace(detach, pid, None, None)


def _clock_pages() -> list[tuple[int, int]]:
    """Start and length of the vDSO and of the pages it reads, from /proc/self/maps."""
    found = []
    with open("/proc/self/maps", encoding="ascii") as maps:
        for line in maps:
            if line.rstrip().endswith(("[vdso]", "[vvar]", "[vvar_vclock]")):
                low, high = (int(part, 16) for part in line.split(" ", 1)[0].split("-"))
                found.append((low, high - low))
    return found


def give_up_clocks() -> bool:
    """No clock page, no time stamp counter, in this process and all its children."""
    if platform.machine() != "x86_64" or _libc.getauxval(_AT_SYSINFO_EHDR) != 0:
        return False
    for start, length in _clock_pages():
        if _libc.munmap(start, length) != 0:
            return False
    return bool(_libc.prctl(_PR_SET_TSC, _PR_TSC_SIGSEGV, 0, 0, 0) == 0)


# ---- 2. the cargo


class Cargo:
    """What the first message holds."""

    def __init__(self, message: bytes, files: list[int]) -> None:
        said = json.loads(message)
        self.entry: str = said["entry"]
        self.shape: str = said["shape"]
        self.libraries: list[str] = said["libraries"]
        self.readable: list[str] = said["readable"]
        self.count: int = said["output_bytes"] // 8
        self.memory: int = said["memory_mb"] * 2**20
        self.cpu_s: int = said["cpu_s"]
        self.wall_s: float = said["wall_s"]
        self.talkative: bool = said["talkative"]
        self.without = frozenset(said["without"])
        """Safeguards left out: the tests' way to see an attack succeed. No setting fills it."""
        self.package, self.parameters, *filters = (_content(file) for file in files)
        self.zygote_filter, self.block_filter = (_Filter(each) for each in filters)

    def has(self, safeguard: str) -> bool:
        return safeguard not in self.without


def _content(file: int) -> bytes:
    with open(file, "rb") as stream:
        stream.seek(0)
        return stream.read()


class _Filter:
    """struct sock_fprog over an array of struct sock_filter."""

    def __init__(self, steps: bytes) -> None:
        self._steps = ctypes.create_string_buffer(steps, len(steps))
        self._program = ctypes.create_string_buffer(struct.pack("@HP", len(steps) // 8, ctypes.addressof(self._steps)))

    def install(self) -> None:
        _did(_libc.syscall(_SECCOMP, 1, 0, self._program))


# ---- 3. libraries, once; then the doors


def landlock(readable: Sequence[str]) -> int | None:
    """A ruleset that leaves reading below `readable` and nothing else, of files, network (ABI 4) and signals (ABI 6); None without it.
    Linux Documentation/userspace-api/landlock.rst."""
    version = _libc.syscall(_LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return None
    files = (1 << (13 + sum(version >= since for since in (2, 3, 5)))) - 1
    attributes = struct.pack("=QQQ", files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _libc.syscall(_LANDLOCK_CREATE, ctypes.create_string_buffer(attributes, 24), size, 0)
    if ruleset < 0:
        return None
    for path in readable:
        with suppress(FileNotFoundError):
            beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
            _did(_libc.syscall(_LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", _READ_FILE | _READ_DIR, beneath), 0))
            os.close(beneath)
    return int(ruleset)


def own_namespaces() -> None:
    """A container's namespaces belong to the machine: this process may neither number its children anew in them nor cover a folder. So it
    goes on as the first process of a set of its own, which ends with it. Where that is refused it stays, and the features say so."""
    user, group = os.getuid(), os.getgid()
    if _libc.unshare(_NEWUSER | _NEWPID | _NEWNS | _NEWIPC) != 0:
        return
    for name, text in (("setgroups", "deny"), ("uid_map", f"65534 {user} 1"), ("gid_map", f"65534 {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(0)


def hide_system_folders() -> bool:
    """No /proc any more. A container's cannot be taken away, only covered: with the others that hold something of it or of the machine."""
    if _libc.umount2(b"/proc", _DETACH_MOUNT) == 0:
        return True
    flags = 0xF  # read-only, no setuid bits, no devices, no programs
    return all(
        _libc.mount(b"none", path, b"tmpfs", flags, b"size=4k,nr_inodes=2") == 0 for path in (b"/dev", b"/etc", b"/job", b"/sys", b"/proc")
    )


class Nursery:
    """Where blocks are run: everything that can be done once, done."""

    def __init__(self, cargo: Cargo) -> None:
        self.cargo = cargo
        sys.path += [os.path.join(os.path.dirname(os.__file__), "site-packages"), os.path.dirname(__file__)]
        warm = importlib.import_module("warm")
        if cargo.has("clocks"):
            warm.stop_clocks()
        warm.load(cargo.libraries, cargo.shape)
        self._inside: Any = importlib.import_module("inside")
        sys.path.pop()
        with open("/proc/self/statm", encoding="ascii") as sizes:
            self._address_space = int(sizes.read().split()[0]) * mmap.PAGESIZE
        clocks = cargo.has("clocks") and give_up_clocks()
        self._ruleset = landlock(cargo.readable) if cargo.has("landlock") else None
        self._myself = os.pidfd_open(os.getpid())
        self._namespaces = cargo.has("namespaces") and _can(self._new_pids)
        hidden = cargo.has("proc") and hide_system_folders()
        self._no_capabilities = ctypes.create_string_buffer(24)
        self._header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
        if cargo.has("limits"):
            for which in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_MSGQUEUE, resource.RLIMIT_MEMLOCK):
                resource.setrlimit(which, (0, 0))
        seccomp = cargo.has("seccomp") and _can(self._narrow)
        self.features = {
            "clocks": clocks,
            "landlock": self._ruleset is not None,
            "namespaces": self._namespaces,
            "proc": hidden,
            "seccomp": seccomp,
            "capabilities": cargo.has("capabilities"),
            "descriptors": cargo.has("descriptors"),
            "limits": cargo.has("limits"),
        }
        gc.collect()
        gc.freeze()

    def _narrow(self) -> None:
        _did(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        self.cargo.zygote_filter.install()

    def _new_pids(self) -> None:
        """The next child is the first process of a new process-id namespace, below this process's own."""
        _did(_libc.setns(self._myself, _NEWPID))
        _did(_libc.unshare(_NEWPID))

    def run(self, control: socket.socket, block: int, frame: int, errors: int) -> bool:
        """One block, in a process of its own. Returns when that has ended, whether it had been confined; says nothing of how it ended. It is
        ended when its time is over or nobody waits for it any more."""
        told, tell = os.pipe()
        try:
            if self._namespaces:
                self._new_pids()
            child = os.fork()
        except OSError:
            child = -1
        if child == 0:
            self._child(block, frame, errors, tell)
        for file in (block, frame, errors, tell):
            os.close(file)
        if child < 0:
            os.close(told)
            return False
        watched = os.pidfd_open(child)
        waiting = select.poll()
        waiting.register(watched, select.POLLIN)
        waiting.register(control, select.POLLRDHUP)
        if watched not in dict(waiting.poll(self.cargo.wall_s * 1000)):
            signal.pidfd_send_signal(watched, signal.SIGKILL)
        _, ended = os.waitpid(child, 0)
        confined = os.read(told, 1) == b"y" or os.waitstatus_to_exitcode(ended) != UNCONFINED
        os.close(watched)
        os.close(told)
        return confined

    def _child(self, block: int, frame: int, errors: int, tell: int) -> None:
        cargo, status = self.cargo, 1
        try:
            for file, place in ((errors if cargo.talkative else TALK, TALK), (errors, ERRORS), (frame, FRAME)):
                os.dup2(file, place)
            rows = _content(block)  # here: the file would tell when it was made, which is how long earlier blocks took
            status = UNCONFINED
            self._confine(tell)
            status = 1
            result = self._inside.answer(rows, cargo.package, cargo.entry, cargo.parameters, cargo.shape)
            _write(FRAME, self._inside.frame(result, cargo.count))
            status = 0
        except BaseException as error:
            if cargo.talkative:
                self._inside.tell(error)
        finally:
            if cargo.talkative:
                with suppress(BaseException):
                    sys.stdout.flush()
            os._exit(status)

    def _confine(self, tell: int) -> None:
        cargo = self.cargo
        if self._namespaces:
            _did(_libc.unshare(_NEWUSER | _NEWIPC))
        if cargo.has("capabilities"):
            _did(_libc.syscall(_CAPSET, self._header, self._no_capabilities))
        if self._ruleset is not None:
            _did(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
            _did(_libc.syscall(_LANDLOCK_RESTRICT, self._ruleset, 0))
        if cargo.has("limits"):
            _did(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0))  # a core file that is piped to a program has no limit: core(5)
            for which, most in (
                (resource.RLIMIT_NOFILE, DESCRIPTORS),
                (resource.RLIMIT_AS, self._address_space + cargo.memory),
                (resource.RLIMIT_CPU, cargo.cpu_s),
            ):
                resource.setrlimit(which, (most, most))
        random.seed(0)
        sys.modules["numpy.random"].seed(0)
        os.write(tell, b"y")
        if cargo.has("descriptors"):
            _did(_libc.syscall(_CLOSE_RANGE, FRAME + 1, 0xFFFFFFFF, 0))
        if cargo.has("seccomp"):
            cargo.block_filter.install()


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


# ---- the loop


def main() -> None:
    hide_clock_page()
    if sys.argv[1].isdigit():
        control = socket.socket(fileno=int(sys.argv[1]))
    else:
        own_namespaces()
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.connect(sys.argv[1])
    if control.fileno() <= FRAME:
        control = socket.socket(fileno=os.dup2(control.detach(), 64))
    os.dup2(TALK, FRAME)  # so that what comes in lies above the places of a child's files
    message, files, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 4)
    if not message:
        return
    nursery = Nursery(Cargo(message, files))
    control.send(json.dumps(nursery.features).encode())
    while True:
        message, files, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 3)
        if message != b"B" or len(files) != 3:
            return
        control.send(b"D" if nursery.run(control, *files) else b"F")


if __name__ == "__main__":
    main()
    os._exit(0)  # at once: there is nothing to clean up
