"""Reviews in a report are the decisions of its period up to its size, whatever became of them afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import events as ev
from jobs.acts.reviews import cancel_held
from jobs.reports import Asked, make
from jobs.reports.words import VERDICTS
from tests import lane
from tests.bureau import Bureau, Home, opened
from tests.reports import rows
from tests.unit.jobs.test_release import wait


@pytest.fixture
def bureau(bureau_home: Home, tmp_path: Path) -> Iterator[Bureau]:
    keys = dict(bureau_home.copy_to(tmp_path / "home"))
    services = opened(tmp_path / "home", review_sweep_s=3600, slots_ms=(50, 250, 1_000))
    made = Bureau(services, keys)
    lane.prepare(made)
    yield made
    services.close()


def voted(bureau: Bureau, days: int, verdict: str) -> str:
    """A table whose review was decided so."""
    order = lane.exact_order(f"SELECT urgent, COUNT(*) AS n FROM visits WHERE days > {days} GROUP BY urgent")
    job = bureau.services.submit(order).result(60)
    assert wait(bureau, job).state == "held"
    review = lane.requested(bureau, job)
    for reviewer in lane.REVIEWERS[:2]:
        lane.vote(bureau, review, reviewer, verdict)
    return job


def told(bureau: Bureau, size: int, operator: str | None) -> dict[str, int]:
    zh = {words[0]: name for name, words in VERDICTS.items()}
    register = bureau.services.register
    period = str(bureau.services.clock().year)
    found = rows(make(register, Asked.of("disclosure", period, operator), size), "reviews")
    return {zh[row["outcome"].zh]: int(row["times"]) for row in found}


def test_a_decision_counts_from_its_entry_on_and_for_good(bureau: Bureau) -> None:
    register = bureau.services.register
    for days, verdict in ((50, "return"), (51, "release"), (52, "release"), (53, "return")):
        job = voted(bureau, days, verdict)
        if days in (50, 52):
            cancel_held(register, job, by="operator-1")  # a request that was approved is withdrawn with it
    withdrawn = [entry.event.review for entry in register.events(limit=10_000) if isinstance(entry.event, ev.ReviewWithdrawn)]
    decided = [entry for entry in register.events(limit=10_000) if isinstance(entry.event, ev.ReviewDecided)]
    assert len(decided) == 4
    assert set(withdrawn) & {entry.event.review for entry in decided if isinstance(entry.event, ev.ReviewDecided)}
    for size in (*(entry.index for entry in decided), *(entry.index + 1 for entry in decided), register.size):
        known = Counter(entry.event.outcome for entry in decided if entry.index < size and isinstance(entry.event, ev.ReviewDecided))
        assert told(bureau, size, None) == told(bureau, size, "operator-1") == known, size
        assert told(bureau, size, "operator-2") == {}, size
