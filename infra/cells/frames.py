"""What goes over the launcher's socket: messages of JSON, with contents in sealed memory files beside them. Both ends use this module.

A message is one datagram (SOCK_SEQPACKET, unix(7)) of at most 64 KiB: an object with `say`, the kind of message, and exactly the keys that
the kind has. Contents (a package, a block, a frame) come as memory files (memfd_create(2)) sealed against every change, so what was checked
is what is read. A file of any other kind, one too many, one too few, one too long: the connection is dropped, and every file closed.
Never in a message: a path, a flag, a command, the name of an image.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from infra.cells.wire import memory_file

MESSAGE_BYTES = 64 * 1024
MOST_FILES = 2
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL

PACKAGE_BYTES = 64 * 2**20
PARAMETERS_BYTES = 2**20
BLOCK_BYTES = 2**30
FRAME_BYTES = 2**20
TEXT_BYTES = 2**18

# kind → (keys and the type of each, most bytes of each file)
Kind = tuple[Mapping[str, type], tuple[int, ...]]
REQUESTS: Mapping[str, Kind] = {
    "open": ({"entry": str, "libraries": list, "shape": str, "limits": dict, "talkative": bool}, (PACKAGE_BYTES, PARAMETERS_BYTES)),
    "block": ({}, (BLOCK_BYTES,)),
    "probe": ({}, ()),
}
ANSWERS: Mapping[str, Kind] = {
    "hello": ({"version": int, "backend": str, "strict": bool, "most": dict}, ()),
    "opened": ({"features": dict}, ()),
    "done": ({"frame": bool}, (FRAME_BYTES, TEXT_BYTES)),
    "findings": ({"findings": list}, ()),
    "problem": ({"code": str, "about": str}, ()),
}


class Broken(Exception):
    """The other end does not keep to this, or is gone. There is nothing to say to it."""


def send(to: socket.socket, say: str, contents: Sequence[bytes] = (), **values: Any) -> None:
    """Broken when nobody reads any more, or not before the socket's time is over."""
    files: list[int] = []
    try:
        files += [memory_file(say, content) for content in contents]
        socket.send_fds(to, [json.dumps({"say": say, **values}).encode()], files, socket.MSG_NOSIGNAL)
    except OSError:
        raise Broken from None
    finally:
        for file in files:
            os.close(file)


def receive(of: socket.socket, kinds: Mapping[str, Kind]) -> tuple[str, dict[str, Any], list[bytes]]:
    """The next message: its kind, its values, the contents of its files. Broken for anything that is not in `kinds`, and at the end."""
    files: list[int] = []
    try:
        try:
            # one file more than any kind has, so that one too many is seen; past that the kernel drops them and says so
            data, files, flags, _ = socket.recv_fds(of, MESSAGE_BYTES + 1, MOST_FILES + 1, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            raise Broken from None
        if not data or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(data) > MESSAGE_BYTES:
            raise Broken
        say, values, most = _understood(data, kinds)
        if len(files) != len(most):
            raise Broken
        return say, values, [_content(file, bound) for file, bound in zip(files, most, strict=True)]
    finally:
        for file in files:
            with suppress(OSError):
                os.close(file)


def _understood(data: bytes, kinds: Mapping[str, Kind]) -> tuple[str, dict[str, Any], tuple[int, ...]]:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise Broken from None
    if not isinstance(values, dict) or not isinstance(say := values.pop("say", None), str) or say not in kinds:
        raise Broken
    keys, most = kinds[say]
    if values.keys() != keys.keys() or any(type(values[key]) is not kind for key, kind in keys.items()):
        raise Broken
    return say, values, most


def _content(file: int, most: int) -> bytes:
    """All of a sealed memory file. Seals are asked for first: only such a file has them, so nothing else is ever read from."""
    try:
        if fcntl.fcntl(file, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
            raise Broken
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode) or about.st_size > most:
            raise Broken
        content = os.pread(file, about.st_size, 0)
        while len(content) < about.st_size:  # one call reads 2 GiB at most
            content += os.pread(file, about.st_size - len(content), len(content))
        return content
    except OSError:
        raise Broken from None
