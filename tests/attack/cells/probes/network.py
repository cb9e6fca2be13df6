"""Reaching a listener outside."""

from __future__ import annotations

import errno
import socket
from typing import Any


def tcp_loopback(world: dict[str, Any]) -> str:
    with socket.create_connection(("127.0.0.1", world["tcp"]), timeout=1):
        return "connected"


def udp_loopback(world: dict[str, Any]) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"x", ("127.0.0.1", world["udp"]))
        return "sent"


def tcp6_loopback(world: dict[str, Any]) -> str | None:
    if not world["tcp6"]:
        return "no IPv6 on this machine" if world.get("weaker") else None
    with socket.create_connection(("::1", world["tcp6"]), timeout=1):
        return "connected"


def metadata(_: dict[str, Any]) -> str:
    """Addresses at which clouds hand out credentials. Whether anybody answers depends on the machine: to get as far as asking is a hole."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as line:
        line.setblocking(False)
        found = line.connect_ex(("169.254.169.254", 80))
    if found in (errno.EPERM, errno.EACCES):
        raise PermissionError(found, "connect")
    return f"asked, errno {found}"


def metadata6(_: dict[str, Any]) -> str:
    try:
        line = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:  # a machine without IPv6 has nothing to refuse
            line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        else:
            raise
    with line:
        return f"a socket, {line.fileno()}"


def names(_: dict[str, Any]) -> str:
    return socket.gethostbyname("localhost")


def addresses(_: dict[str, Any]) -> str:
    return str(socket.getaddrinfo("127.0.0.1", 80, flags=socket.AI_ADDRCONFIG, type=socket.SOCK_STREAM)[0][4]) + " by " + interfaces()


def interfaces() -> str:
    return ",".join(name for _, name in socket.if_nameindex())


def resolver(_: dict[str, Any]) -> str:
    with open("/etc/resolv.conf", encoding="utf-8") as file:
        return f"resolv.conf: {len(file.read())} characters"


def unix_by_path(world: dict[str, Any]) -> str:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(world["unix"])
        return "connected"


def unix_by_abstract_name(world: dict[str, Any]) -> str:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect("\0" + world["abstract"])
        return "connected"


def socket_pair(_: dict[str, Any]) -> str:
    one, other = socket.socketpair()
    one.send(b"x")
    return f"{other.recv(1)!r}"


def other_families(_: dict[str, Any]) -> str | None:
    """Netlink (routes and interfaces of the host), packets, virtual machines, the kernel's own ciphers."""
    made = []
    for family, kind in ((16, socket.SOCK_RAW), (17, socket.SOCK_RAW), (40, socket.SOCK_STREAM), (38, socket.SOCK_SEQPACKET)):
        try:
            socket.socket(family, kind).close()
        except OSError:
            continue
        made.append(str(family))
    return "families " + ",".join(made) if made else None
