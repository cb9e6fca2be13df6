"""Reaching a listener outside."""

from __future__ import annotations

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
