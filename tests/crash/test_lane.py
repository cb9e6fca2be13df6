"""The human lane, its server killed at every point: one sealed table, votes that stay cast, one publication, of what the rules let out."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import pytest
from sqlalchemy import select

from api.services import Services
from infra.database import reading
from infra.tables import jobs
from jobs import hops, lookup, reviews
from jobs.audit import audit
from jobs.lane import publish, sealed
from policies.problem import Problem
from tests import lane
from tests.bureau import Bureau, Home, opened, set_up, settings_in
from tests.crash.lane_worker import FAST, POINTS
from tests.crash.test_walk import Killed, over
from yunei.replay import Book

ROOT = Path(__file__).resolve().parents[2]
MOMENTS = [
    ("seal", "before"), ("seal", "after"), ("held", "after"), ("request", "after"), ("vote", "after"), ("vote", "after second"),
    ("stage", "before"), ("stage", "after"), ("inside publish", "before"), ("inside publish", "after"), ("let out", "after"),
]  # fmt: skip


@pytest.fixture(scope="module")
def killed() -> Iterator[Killed]:
    """Run a server on a home until it dies at a point of the lane."""
    with subprocess.Popen([sys.executable, "-m", "tests.crash.lane_worker"], cwd=ROOT, text=True, stdin=PIPE, stdout=PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        to, answers = process.stdin, process.stdout

        def kill(home: Path, point: str, when: str) -> None:
            to.write(f"{home}\t{point}\t{when}\t\n")
            to.flush()
            while not re.fullmatch(r"-?\d+\n", line := answers.readline()):
                assert line, "the forking process is gone"
            assert int(line) == 9

        yield kill
        to.close()


def prepared(home: Path, **changes: str) -> None:
    services = Services.open(settings_in(home, **changes))
    lane.prepare(Bureau(services, {}))
    services.close()


def only_job(services: Services) -> str:
    with reading(services.register.engine) as connection:
        return str(connection.execute(select(jobs.c.id)).scalar_one())


def go_on(bureau: Bureau, job: str) -> None:
    """What people do who find it where it lies: ask for a review, cast the votes that are not cast."""
    services = bureau.services
    if over(services, job).state == "held":
        with reading(services.register.engine) as connection:
            row = reviews.held(connection, job)
        assert row is not None
        review = row.review or lane.requested(bureau, job)
        for reviewer in lane.REVIEWERS[:2]:
            with contextlib.suppress(Problem):  # cast before the crash
                lane.vote(bureau, review, reviewer)
    services.keeper.once()


def holds_together(services: Services, job: str) -> None:
    register = services.register
    assert lookup.job(register, job, services.clock()).state == "published"  # type: ignore[union-attr]  # it is there
    kinds = [each.kind for each in register.events(limit=10_000) if getattr(each.event, "job", None) == job]
    assert [kinds.count(kind) for kind in ("release_held", "release_approved", "release_published")] == [1, 1, 1]
    register.publish()
    assert audit(services.settings.log_dir, [register.vkey], register.engine).findings == []
    book = Book()
    for index in range(register.size):
        book.apply(index, register.entry(index))
    book.finish()
    staged = services.staging.load(job)
    assert staged is not None
    found = lookup.release(register, f"rel-{job.removeprefix('job-')}", services.clock())
    assert found is not None
    assert found.record["digests"] == dict(staged.digests)


@pytest.mark.parametrize(("point", "when"), MOMENTS)
def test_killed_in_the_lane_the_table_leaves_once_and_by_two_votes(
    bureau_home: Home, tmp_path: Path, killed: Killed, point: str, when: str
) -> None:
    home = tmp_path / "home"
    bureau_home.copy_to(home)
    prepared(home)
    killed(home, point, when)
    services = opened(home, **FAST)
    try:
        job, bureau = only_job(services), Bureau(services, {})
        before = sealed.find(services.office, job)
        assert (before is None) == ((point, when) == ("seal", "before"))
        go_on(bureau, job)
        after = sealed.find(services.office, job)
        assert after is not None
        assert before is None or before.digests == after.digests, "counted and sealed once"
        holds_together(services, job)
    finally:
        services.close()


def test_every_point_of_the_lane_is_met() -> None:
    assert {point for point, _ in MOMENTS} == set(POINTS)


def test_of_two_servers_that_let_the_same_table_out_one_does(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have examined and staged it before either asks for the transaction: one release, its bytes those that lie there."""
    home = tmp_path / "home"
    set_up(home, database_url=database_url)
    prepared(home, database_url=database_url)
    services = opened(home, database_url=database_url, **FAST)
    other = Services.open(settings_in(home, database_url=database_url, **FAST))
    try:
        bureau = Bureau(services, {})
        job = services.submit(lane.exact_order()).result(60)
        assert over(services, job).state == "held"
        review = lane.requested(bureau, job)
        for reviewer in lane.REVIEWERS[:2]:
            lane.vote(bureau, review, reviewer)
        both, staged = threading.Barrier(2, timeout=60), hops.stage

        def stage(*arguments: object) -> object:
            done = staged(*arguments)  # type: ignore[arg-type]  # handed on
            both.wait()
            return done

        monkeypatch.setattr(hops, "stage", stage)
        done: list[list[str]] = []
        looks = [threading.Thread(target=lambda one=one: done.append(publish.carry_out(one.office))) for one in (services, other)]
        for look in looks:
            look.start()
        for look in looks:
            look.join()
        assert sorted(done) == [[], [job]]
        over(services, job)
        holds_together(services, job)
    finally:
        other.close()
        services.close()
