"""Reading what is not the program's, writing at all."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from typing import Any

PLACES = ("", "/out")  # `/out` shows the machine's files in a cell without the safeguard `files`
FOLDERS = (".", "/tmp", "/dev/shm", "/var/tmp", "/in", "/job", "/opt/py", "/out/tmp")


def first_read(*paths: str) -> str | None:
    for place in PLACES:
        for path in paths:
            with suppress(OSError), open(place + path, "rb") as file:
                if text := file.read(40):
                    return f"{path}: {text!r}"
    return None


def canary(world: dict[str, Any]) -> str | None:
    return first_read(world["canary"])


def users(_: dict[str, Any]) -> str | None:
    for place in PLACES:
        for name in ("passwd", "shadow"):
            with suppress(OSError), open(f"{place}/etc/{name}", encoding="utf-8") as file:
                if "root:" in file.read():
                    return f"{place}/etc/{name}"
    return None


def homes(_: dict[str, Any]) -> str | None:
    for place in PLACES:
        for folder in ("/root", "/home", "/var/lib", "/etc/ssl", "/run"):
            with suppress(OSError):
                if found := os.listdir(place + folder):
                    return f"{folder}: {found[0]}"
    return None


def harness_source(_: dict[str, Any]) -> str | None:
    return first_read(sys.modules["__main__"].__file__ or "")


def listing(_: dict[str, Any]) -> str:
    return ",".join(os.listdir("/"))


def inputs(_: dict[str, Any]) -> str:
    """Where other blocks' rows might lie."""
    return f"{os.listdir('/in')} {os.listdir('/job')}"


def upwards(_: dict[str, Any]) -> str | None:
    return first_read("/opt/py/../../etc/passwd", "/opt/py/lib/../../cell/zygote.py", "../etc/passwd")


def by_symlink(_: dict[str, Any]) -> str | None:
    for folder in FOLDERS:
        link = f"{folder}/yunei-link-{os.urandom(4).hex()}"
        with suppress(OSError):
            os.symlink("/etc", link)
            try:
                return f"{link} leads to {len(os.listdir(link))} files"
            finally:
                os.unlink(link)
    return None


def devices(_: dict[str, Any]) -> str | None:
    for path in ("/dev/urandom", "/dev/null", "/dev/kvm", "/dev/mem", "/dev/fuse", "/sys/kernel/uevent_seqnum"):
        with suppress(OSError):
            os.close(os.open(path, os.O_RDONLY))
            return path
    return None


def written(how: Any) -> str | None:
    for folder in FOLDERS:
        path = f"{folder}/yunei-attack-{os.urandom(4).hex()}"
        with suppress(OSError):
            how(path, folder)
            return path
    return None


def write(_: dict[str, Any]) -> str | None:
    def how(path: str, _folder: str) -> None:
        with open(path, "wb"):
            pass
        os.unlink(path)

    return written(how)


def make_folder(_: dict[str, Any]) -> str | None:
    def how(path: str, _folder: str) -> None:
        os.mkdir(path)
        os.rmdir(path)

    return written(how)


def rename(_: dict[str, Any]) -> str | None:
    def how(path: str, _folder: str) -> None:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        os.rename(path, path + "x")
        os.unlink(path + "x")

    return written(how)


def nameless_file(_: dict[str, Any]) -> str | None:
    return written(lambda _path, folder: os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY)))


def append_to_library(_: dict[str, Any]) -> str:
    """Of what all blocks import: opened, not written to."""
    os.close(os.open(os.__file__, os.O_WRONLY | os.O_APPEND))
    return os.__file__


def memory_file(_: dict[str, Any]) -> str:
    return f"memfd {os.memfd_create('x')}"


def leave(world: dict[str, Any]) -> str | None:
    """Marks of every kind for a later block to find: in a file, a socket's name, a module, a variable, the environment."""
    sys.yunei_mark = world["mark"]  # type: ignore[attr-defined]
    os.environ["YUNEI_MARK"] = world["mark"]
    os.__doc__ = world["mark"]
    for folder in FOLDERS:
        with suppress(OSError), open(f"{folder}/yunei-mark", "w", encoding="ascii") as file:
            file.write(world["mark"])
    with suppress(OSError):
        socket.socket(socket.AF_UNIX).bind("\0yunei-mark")
    return None


def look(world: dict[str, Any]) -> str | None:
    """What `leave` has left, here or in another block."""
    if world["mark"] in (getattr(sys, "yunei_mark", ""), os.environ.get("YUNEI_MARK"), os.__doc__):
        return "in memory"
    for folder in FOLDERS:
        with suppress(OSError), open(f"{folder}/yunei-mark", encoding="ascii") as file:
            if file.read() == world["mark"]:
                os.unlink(f"{folder}/yunei-mark")
                return f"in {folder}"
    return None
