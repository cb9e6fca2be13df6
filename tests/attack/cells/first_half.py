"""Families 1 to 30: reaching out, reading, writing, other processes, resources, outputs."""

from __future__ import annotations

from tests.attack.cells.table import Family, Probe

FAMILIES: tuple[Family, ...] = (
    Family(
        1,
        "Sockets of IPv4 and IPv6, streams and datagrams, to loopback",
        (Probe("network:tcp_loopback"), Probe("network:udp_loopback"), Probe("network:tcp6_loopback")),
    ),
)
