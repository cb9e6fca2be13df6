"""Recurring releases: the same question on new data leaves without a review only while two people agreed to it and nothing new is found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from jobs import acts, reviews
from jobs.acts import standings
from jobs.audit import audit
from jobs.lane.case import case
from jobs.lane.examine import mends_digest
from jobs.lane.publish import approval_evidence
from jobs.lane.workbench import workbench
from policies.catalogue import Catalogue
from policies.problem import Problem
from sandbox.raw.ingest import ingest
from tests import lane, visits
from tests.bureau import Bureau, Home, opened
from tests.unit.jobs.lane.test_lane import held
from yunei.replay import Book

SQL = "SELECT city, COUNT(*) AS n FROM visits WHERE urgent GROUP BY city"


class Later:
    """A clock that tests set ahead; it goes on by itself."""

    def __init__(self) -> None:
        from infra.clock import system_clock

        self._clock, self.ahead = system_clock, timedelta(0)

    def __call__(self):  # type: ignore[no-untyped-def]  # an aware datetime
        return self._clock() + self.ahead


@pytest.fixture
def clock() -> Later:
    return Later()


@pytest.fixture
def bureau(bureau_home: Home, tmp_path: Path, clock: Later) -> Iterator[Bureau]:
    keys = dict(bureau_home.copy_to(tmp_path / "home"))
    services = opened(tmp_path / "home", clock=clock, review_sweep_s=3600, slots_ms=(50, 250, 1_000))
    made = Bureau(services, keys)
    lane.prepare(made)
    yield made
    assert audit(services.settings.log_dir, [services.register.vkey], services.register.engine).findings == []
    book = Book()
    for index in range(services.register.size):
        book.apply(index, services.register.entry(index))
    book.finish()
    services.close()


def new_version(bureau: Bureau, tmp_path: Path, version: int, rows: pa.Table) -> None:
    source = visits.parquet(tmp_path / f"v{version}.parquet", rows)
    declared = visits.dataset(rows=2_000)
    report = ingest(declared, [source], bureau.services.vault, version=version, catalogue_public=Catalogue(()), random=os.urandom)
    acts.register_dataset(bureau.services.register, report.snapshot)


def let_out(bureau: Bureau, sql: str = SQL) -> str:
    job = held(bureau, sql)
    review = lane.requested(bureau, job)
    for reviewer in ("reviewer", "reviewer-2"):
        lane.vote(bureau, review, reviewer)
    assert bureau.services.keeper.once() == [job]
    assert lane.seen(bureau, job).state == "published"
    return job


def propose(bureau: Bureau, job: str, by: str = "reviewer", days: int = 30) -> str:
    found = case(bureau.services.office, job)
    assert found is not None
    seen = approval_evidence(bureau.services.office, job) or b""
    return standings.propose_standing(bureau.services.register, job, lane.day(bureau, days), mends=mends_digest(found), seen=seen, by=by)


def test_the_same_question_on_new_data_leaves_under_a_standing_approval_of_two(bureau: Bureau, tmp_path: Path) -> None:
    standing = propose(bureau, let_out(bureau))
    with pytest.raises(Problem, match="review_standing_second"):
        standings.confirm_standing(bureau.services.register, standing, by="reviewer")
    new_version(bureau, tmp_path, 2, visits.rows(3_000, 900))
    waiting = held(bureau, SQL)
    assert bureau.services.keeper.once() == []  # proposed by one only
    standings.confirm_standing(bureau.services.register, standing, by="reviewer-2")
    assert bureau.services.keeper.once() == [waiting]
    assert lane.seen(bureau, waiting).state == "published"
    (release,) = [event.event for event in bureau.services.register.events(limit=10_000, kinds=("release_approved",))][1:]
    assert (release.standing, release.review) == (standing, None)  # type: ignore[attr-defined]  # of release_approved


def test_what_is_new_is_for_people_and_only_that_is_told_them(bureau: Bureau, tmp_path: Path) -> None:
    """On the new data a cell has too few: the table waits, and the workbench says which finding is new."""
    standing = propose(bureau, let_out(bureau))
    standings.confirm_standing(bureau.services.register, standing, by="reviewer-3")
    rows = visits.rows(2_000, 600)
    few = rows.filter(pa.array([city != "大同" or at < 40 for at, city in enumerate(rows["city"].to_pylist())]))
    new_version(bureau, tmp_path, 2, few)
    job = held(bureau, SQL)
    assert bureau.services.keeper.once() == []
    assert lane.seen(bureau, job).state == "held"
    found = workbench(bureau.services.office, job, by="reviewer")
    assert found is not None
    assert found["since"]["standing"] == standing
    assert {new[0] for new in found["since"]["new"]} >= {"minimum_units"}
    assert [new[3] for new in found["since"]["new"] if new[0] == "minimum_units"] == [["大同"]]


@pytest.mark.parametrize("how", ["ended", "over", "another question"])
def test_an_approval_that_does_not_hold_lets_nothing_out(bureau: Bureau, tmp_path: Path, clock: Later, how: str) -> None:
    standing = propose(bureau, let_out(bureau), days=2)
    standings.confirm_standing(bureau.services.register, standing, by="reviewer-2")
    if how == "ended":
        standings.end_standing(bureau.services.register, standing, reason="口径将变", by="supervisor")
    if how == "over":
        clock.ahead = timedelta(days=3)
    new_version(bureau, tmp_path, 2, visits.rows(3_000, 900))
    job = held(bureau, SQL if how != "another question" else SQL.replace("urgent", "NOT urgent"))
    assert bureau.services.keeper.once() == []
    assert lane.seen(bureau, job).state == "held"


def test_a_standing_approval_rests_on_a_reviewed_release_and_ends(bureau: Bureau) -> None:
    job = held(bureau, SQL)
    with pytest.raises(Problem, match="review_standing_unfit"):
        propose(bureau, job)
    out = let_out(bureau, SQL.replace("urgent", "NOT urgent"))
    for days in (0, 400):
        with pytest.raises(Problem, match="review_standing_until"):
            propose(bureau, out, days=days)
    with pytest.raises(Problem, match="auth_principal_role"):
        propose(bureau, out, by="operator-1")
    assert reviews.standings_of(bureau.services.register) == []
