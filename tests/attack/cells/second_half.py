"""Families 31 to 60: formats, clocks, hidden channels, the kernel's rarer doors, what surrounds cells."""

from __future__ import annotations

from tests.attack.cells.table import Family, Probe

FAMILIES: tuple[Family, ...] = (
    Family(
        35,
        "Clocks: every call that tells time, the counter of cycles, the kernel's clock page",
        (
            Probe("clocks:time_calls", weaker="clocks seccomp"),
            Probe("clocks:every_clock_id", weaker="clocks seccomp"),
            Probe("clocks:cycle_counter", must="default", alone=True, weaker="clocks seccomp"),
        ),
    ),
)
