"""Reaching Ray, which would run whatever it is sent beside the data."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any


def ports(world: dict[str, Any]) -> str | None:
    for port in world["ports"]:
        with suppress(ConnectionError, TimeoutError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return f"port {port}"
    return None


def sockets(world: dict[str, Any]) -> str | None:
    for path in world["sockets"]:
        with suppress(FileNotFoundError, ConnectionError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            return str(path)
    return None


def tokens(world: dict[str, Any]) -> str | None:
    for path in world["tokens"]:
        with suppress(OSError), open(path, encoding="ascii") as file:
            return f"{path}: {file.read(8)}"
    return None
