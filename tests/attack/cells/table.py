"""The table of attacks on cells: sixty families, what is tried, what must happen, and where it is tried.

A family's probes are carried out in cells of every backend, with a zygote and strict: none may get hold of anything. Each is also carried
out in a weaker cell, `weaker` says without which safeguards, and has to get hold of something there: an attack that never succeeds proves
nothing. What is not a program in a cell (a package, a frame on the launcher's socket, a killed worker) is a test of its own, named in `tests`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Must = Literal["contained", "default"]


@dataclass(frozen=True)
class Probe:
    """One attack in a cell.

    name    `module:function` below `probes`
    must    `contained`: it gets nothing (refused, or no frame); `default`: it gives no frame at all
    alone   a block of its own: it may end its process, or spoil it for others
    weaker  safeguards without which it succeeds, blank-separated; `unsafe` for the cell that is none, `plain` for an interpreter with nothing
            around it; "" where nowhere here, which `why` then explains
    """

    name: str
    must: Must = "contained"
    alone: bool = False
    weaker: str = "unsafe"
    why: str = ""

    def __post_init__(self) -> None:
        if self.must == "default" and not self.alone:
            raise ValueError(f"{self.name}: what gives no frame takes its neighbours in the block along")
        if bool(self.weaker) == bool(self.why):
            raise ValueError(f"{self.name}: either a weaker cell or the reason why there is none")


@dataclass(frozen=True)
class Family:
    """`tests`: names of tests that try what a program in a cell cannot, as `file.py::test`, below tests/."""

    number: int
    attack: str
    probes: tuple[Probe, ...] = ()
    tests: tuple[str, ...] = ()


def families() -> tuple[Family, ...]:
    """All of them, by number."""
    from tests.attack.cells import first_half, second_half

    return tuple(sorted((*first_half.FAMILIES, *second_half.FAMILIES), key=lambda family: family.number))
