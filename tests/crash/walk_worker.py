"""Servers that die at a given point of the walk, as if their power were cut.

`python -m tests.crash.walk_worker` reads lines `HOME<TAB>POINT<TAB>WHEN` and answers each with the exit code of a server of its own. Each is
forked from a process that has imported everything and started nothing, which saves the imports.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs import admission, hops
from sandbox import steps
from tests.bureau import opened, order

POINTS: dict[str, tuple[Any, str]] = {
    "admit": (admission, "admit"),
    "begin_reading": (hops, "begin_reading"),
    "totals": (hops, "totals"),
    "spend": (hops, "spend"),
    "draw": (steps, "draw"),
    "stage": (hops, "stage"),
    "publish": (hops, "publish"),
    "inside publish": (hops, "_publish"),
}


def die_at(point: str, when: str) -> None:
    place, name = POINTS[point]
    original: Callable[..., Any] = getattr(place, name)

    def hop(*arguments: Any, **options: Any) -> Any:
        if when == "before":
            os._exit(9)
        original(*arguments, **options)
        os._exit(9)

    setattr(place, name, hop)


def main(home: str, point: str, when: str) -> None:
    services = opened(Path(home))
    die_at(point, when)
    services.submit(order()).result(20)
    services.crew.wait_until(services.clock().replace(year=2098))


def loop() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                main(*line.rstrip("\n").split("\t"))
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    loop()
