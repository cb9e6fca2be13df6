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

from api.services import Services
from jobs import admission, hops
from jobs.kinds.model import ModelRequest
from jobs.order import Order
from sandbox import fit_steps, steps
from sandbox.plan.fit.ask import FitAsk
from tests.bureau import SCENARIO, opened, order

MODEL_LICENCE = "L-models"
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


STEP = "step"  # of a model, which has several
SEVERAL = "SELECT city, COUNT(*) AS n FROM visits WHERE fee > (SELECT AVG(fee) FROM visits) GROUP BY city"  # two parts


def die_at(point: str, when: str) -> None:
    """`when`: "before" or "after" the hop; "before second" and "after second": the second time it is taken, by a job of several parts."""
    place, name = (fit_steps, "draw_step") if point == STEP else POINTS[point]
    original: Callable[..., Any] = getattr(place, name)
    moment, _, second = when.partition(" ")
    taken: list[int] = []

    def hop(*arguments: Any, **options: Any) -> Any:
        if point == "draw" and arguments[0].scans[0].dataset != "visits":  # the rehearsal of a server that starts
            return original(*arguments, **options)
        taken.append(1)
        if second and len(taken) == 1:
            return original(*arguments, **options)
        if moment == "before":
            os._exit(9)
        original(*arguments, **options)
        os._exit(9)

    setattr(place, name, hop)


def model() -> Order:
    """A logistic regression in three steps, under a licence of its own."""
    asked = {
        "model": "logistic",
        "source": "visits",
        "target": {"name": "urgent"},
        "features": [{"name": "days"}],
        "iterations": 3,
        "errors": "classical",
        "rows_per_unit": 1,
        "privacy": {"rho": "0.05"},
    }
    return Order(order().by, MODEL_LICENCE, SCENARIO, ModelRequest(FitAsk.model_validate(asked)))


def one_waits(services: Services) -> None:
    """The same question twice: the second job waits for the first, which is cancelled before it is answered."""
    hops.totals = lambda *_: services.crew.wait_until(services.clock().replace(year=2098))  # however slow the machine
    first = services.submit(order()).result(60)
    services.submit(order()).result(60)
    hops.cancel(services.office, first, order().by.id)
    services.crew.wait_until(services.clock().replace(year=2098))


def main(home: str, point: str, when: str) -> None:
    services = opened(Path(home))
    die_at(point, when)
    if point == "begin_reading" and "second" in when:
        one_waits(services)
    services.submit(model() if point == STEP else order(sql=SEVERAL) if "second" in when else order()).result(60)
    services.crew.wait_until(services.clock().replace(year=2098))


def loop(main: Callable[..., None]) -> None:
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
    loop(main)
