"""Servers that die at a given point of the human lane. `python -m tests.crash.lane_worker` reads lines `HOME<TAB>POINT<TAB>WHEN<TAB>URL`, and
answers as `tests.crash.walk_worker` does. The operator asks, two reviewers vote, and the look that carries it out follows in the same process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs import acts, hops
from jobs.acts import reviews
from jobs.lane import hold, publish, sealed
from tests import lane
from tests.bureau import Bureau, opened
from tests.crash.walk_worker import loop
from tests.unit.jobs.test_release import wait

POINTS: dict[str, tuple[Any, str]] = {
    "seal": (sealed, "seal"),
    "held": (hold, "_held"),
    "request": (reviews, "request_review"),
    "vote": (reviews, "cast_vote"),
    "stage": (hops, "stage"),
    "inside publish": (hops, "released"),
    "let out": (publish, "_let_out"),
}
FAST: dict[str, Any] = {"slots_ms": (50, 250, 500), "review_sweep_s": 3600}


def die_at(point: str, when: str) -> None:
    """`when`: "before" or "after"; "after second": the second time."""
    place, name = POINTS[point]
    original: Callable[..., Any] = getattr(place, name)
    moment, _, second = when.partition(" ")
    left = [2 if second else 1]

    def hop(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and moment == "before":
            os._exit(9)
        done = original(*arguments, **options)
        if left[0] == 0:
            os._exit(9)
        return done

    setattr(place, name, hop)


def main(home: str, point: str, when: str, url: str = "") -> None:
    bureau = Bureau(opened(Path(home), database_url=url, **FAST), {})
    die_at(point, when)
    job = bureau.services.submit(lane.exact_order()).result(60)
    wait(bureau, job)
    review = lane.requested(bureau, job)
    for reviewer in lane.REVIEWERS[:2]:
        lane.vote(bureau, review, reviewer)
    bureau.services.keeper.once()


if __name__ == "__main__":
    assert acts  # the bureau's acts are imported before the first fork
    loop(main)
