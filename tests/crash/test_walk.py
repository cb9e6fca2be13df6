"""The crash column of the walk: the server is killed on every hop, another starts on the same home, and everything adds up."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE
from typing import IO

import pytest
from sqlalchemy import select

from api.services import Services
from infra.database import reading
from infra.tables import jobs
from jobs import acts, hops, ledger, lookup
from jobs import release as walk
from jobs.audit import audit
from jobs.staging import Staging
from sandbox import fit_steps, steps
from sandbox.noise.fit import Drawn
from sandbox.noisy import NoisyTable
from sandbox.plan.fit.plan import FitPlan
from sandbox.plan.model import Part
from sandbox.raw.ingest import ingest
from sandbox.raw.totals import ExactTotals
from tests import visits
from tests.bureau import LICENCE, Home, licence, opened, order, settings_in
from tests.crash.walk_worker import MODEL_LICENCE, POINTS, STEP

ROOT = Path(__file__).resolve().parents[2]
ACCOUNTS = ("population:person", "dataset:visits", f"licence:{LICENCE}", "operator:operator-1@visits")


Killed = Callable[[Path, str, str], None]


@pytest.fixture(scope="module")
def killed() -> Iterator[Killed]:
    """Run a server on a home until it dies at a point."""
    with subprocess.Popen([sys.executable, "-m", "tests.crash.walk_worker"], cwd=ROOT, text=True, stdin=PIPE, stdout=PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        to, answers = process.stdin, process.stdout

        def kill(home: Path, point: str, when: str) -> None:
            to.write(f"{home}\t{point}\t{when}\n")
            to.flush()
            assert _code(answers) == 9

        yield kill
        to.close()


def _code(answers: IO[str]) -> int:
    """The exit code, past whatever the server logged."""
    while not re.fullmatch(r"-?\d+\n", line := answers.readline()):
        assert line, "the forking process is gone"
    return int(line)


def only_job(services: Services) -> str | None:
    with reading(services.register.engine) as connection:
        return connection.execute(select(jobs.c.id)).scalar_one_or_none()


def over(services: Services, job: str, timeout_s: float = 30) -> lookup.JobSeen:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        seen = lookup.job(services.register, job, services.clock())
        assert seen is not None
        if seen.state != "running":
            return seen
        time.sleep(0.02)
    raise AssertionError("it was not taken up")


def adds_up(services: Services, spent: int) -> None:
    for balance in ledger.balances(services.register, ACCOUNTS):
        assert (balance.reserved.pico_rho, balance.spent.pico_rho) == (0, spent), balance.account
    report = audit(services.settings.log_dir, [services.register.vkey], services.register.engine)
    assert report.findings == []


AFTERMATH = [(point, when) for point in POINTS for when in ("before", "after") if (point, when) != ("admit", "before")]
FAST = {"slots_ms": (50, 250, 500)}  # a resumed job waits for the next multiple of the last


def counted_draws(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each part that is drawn from now on, the rehearsal of a server that starts aside."""
    draws: list[int] = []
    real = steps.draw

    def draw(part: Part, totals: ExactTotals) -> NoisyTable:
        draws.extend([1] if part.scans[0].dataset == "visits" else [])
        return real(part, totals)

    monkeypatch.setattr(steps, "draw", draw)
    return draws


@pytest.mark.parametrize(("point", "when"), AFTERMATH)
def test_killed_on_a_hop_the_job_is_carried_through_by_the_next_server(
    bureau_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: Killed, point: str, when: str
) -> None:
    home = tmp_path / "home"
    bureau_home.copy_to(home)
    killed(home, point, when)
    draws = counted_draws(monkeypatch)
    staging = Staging(home / "staging")
    services = opened(home, **FAST)
    try:
        job = only_job(services)
        assert job is not None
        before = staging.load(job)
        seen = over(services, job)
        assert seen.state == "published"
        assert seen.price is not None
        after = staging.load(job)
        assert after is not None
        released = lookup.release(services.register, str(seen.release), services.clock())
        assert released is not None
        assert released.record["digests"] == dict(after.digests)
        staged_before_it_died = POINTS_IN_ORDER.index((point, when)) >= POINTS_IN_ORDER.index(("stage", "after"))
        assert (before is not None) == staged_before_it_died
        assert len(draws) == (0 if staged_before_it_died else 1)
        if before is not None:
            assert dict(before.digests) == dict(after.digests)
        adds_up(services, seen.price.pico_rho)
    finally:
        services.close()


@pytest.mark.parametrize("when", ["before second", "after second"])
def test_killed_between_draws_nothing_was_released_and_all_parts_are_drawn_again(
    bureau_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: Killed, when: str
) -> None:
    """The first part's noise died with the server: nothing was staged, and the next server draws both parts, under the one charge."""
    home = tmp_path / "home"
    bureau_home.copy_to(home)
    killed(home, "draw", when)
    draws = counted_draws(monkeypatch)
    staging = Staging(home / "staging")
    services = opened(home, **FAST)
    try:
        job = only_job(services)
        assert job is not None
        assert staging.load(job) is None
        seen = over(services, job)
        assert seen.state == "published"
        assert seen.price is not None
        assert draws == [1, 1]
        assert staging.load(job) is not None
        adds_up(services, seen.price.pico_rho)
    finally:
        services.close()


def test_killed_between_the_steps_of_a_model_all_are_drawn_again(
    bureau_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: Killed
) -> None:
    home = tmp_path / "home"
    bureau_home.copy_to(home)
    before = Services.open(settings_in(home))
    acts.grant_licence(before.register, licence(MODEL_LICENCE, job_kinds=("model",)))
    before.close()
    killed(home, STEP, "after second")
    drawn: list[int] = []
    real = fit_steps.draw_step

    def draw(plan: FitPlan, place: int, totals: ExactTotals) -> Drawn:
        drawn.append(place)
        return real(plan, place, totals)

    monkeypatch.setattr(fit_steps, "draw_step", draw)
    staging = Staging(home / "staging")
    services = opened(home, **FAST)
    try:
        job = only_job(services)
        assert job is not None
        assert staging.load(job) is None
        seen = over(services, job)
        assert (seen.state, seen.kind) == ("published", "model")
        assert drawn == [0, 1, 2]
        assert seen.price is not None
        for balance in ledger.balances(services.register, ACCOUNTS[:2]):
            assert (balance.reserved.pico_rho, balance.spent.pico_rho) == (0, seen.price.pico_rho)
        report = audit(services.settings.log_dir, [services.register.vkey], services.register.engine)
        assert report.findings == []
    finally:
        services.close()


POINTS_IN_ORDER = [
    ("admit", "before"), ("admit", "after"), ("begin_reading", "before"), ("begin_reading", "after"), ("totals", "before"),
    ("totals", "after"), ("spend", "before"), ("spend", "after"), ("draw", "before"), ("draw", "after"), ("stage", "before"),
    ("stage", "after"), ("publish", "before"), ("inside publish", "before"), ("inside publish", "after"), ("publish", "after"),
]  # fmt: skip


def test_every_point_is_in_the_order() -> None:
    assert {(point, when) for point in POINTS for when in ("before", "after")} == set(POINTS_IN_ORDER)


@pytest.mark.parametrize(("point", "when"), [pair for pair in AFTERMATH if pair[1] == "before" or pair[0] in ("admit", "publish")])
def test_killed_on_a_hop_and_frozen_meanwhile_the_job_publishes_nothing(
    bureau_home: Home, tmp_path: Path, killed: Killed, point: str, when: str
) -> None:
    """A freeze between any two hops: a job reads since it was admitted, and pays; only what was out before it is out."""
    home = tmp_path / "home"
    bureau_home.copy_to(home)
    killed(home, point, when)
    between = Services.open(settings_in(home))
    acts.set_freeze(between.register, "dataset", "visits", reason="drill")
    between.close()
    services = opened(home, **FAST)
    try:
        job = only_job(services)
        assert job is not None
        seen = over(services, job)
        assert seen.price is not None
        out = POINTS_IN_ORDER.index((point, when)) >= POINTS_IN_ORDER.index(("publish", "after"))
        assert seen.state == ("published" if out else "failed")
        adds_up(services, seen.price.pico_rho)
        assert seen.price.pico_rho > 0
        assert (services.staging.load(job) is not None) == out
    finally:
        services.close()


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("when", ["before second", "after second"])
def test_killed_where_a_job_that_waited_begins_to_read(bureau_home: Home, tmp_path: Path, killed: Killed, when: str, frozen: bool) -> None:
    """Another job was getting its answer and was cancelled. Killed before it reads, it has its reservation, which a freeze gives back."""
    home = tmp_path / "home"
    bureau_home.copy_to(home)
    killed(home, "begin_reading", when)
    between = Services.open(settings_in(home))
    with reading(between.register.engine) as connection:
        found = {row.state: row.id for row in connection.execute(select(jobs.c.id, jobs.c.state))}
    second = "admitted" if when == "before second" else "reading"
    assert set(found) == {"cancelled", second}
    cancelled = lookup.job(between.register, found["cancelled"], between.clock())
    if frozen:
        acts.set_freeze(between.register, "dataset", "visits", reason="drill")
    between.close()
    services = opened(home, **FAST)
    try:
        seen = over(services, found[second])
        read = when == "after second"
        assert seen.state == ("published" if not frozen else "failed" if read else "refused")
        assert seen.price is not None
        assert (seen.price.pico_rho > 0) == (read or not frozen)
        assert cancelled is not None
        assert cancelled.price is not None
        assert cancelled.price.pico_rho > 0
        adds_up(services, cancelled.price.pico_rho + seen.price.pico_rho)
    finally:
        services.close()


def test_killed_before_the_reservation_nothing_happened(bureau_home: Home, tmp_path: Path, killed: Killed) -> None:
    home = tmp_path / "home"
    bureau_home.copy_to(home)
    killed(home, "admit", "before")
    services = opened(home)
    try:
        assert only_job(services) is None
        adds_up(services, 0)
    finally:
        services.close()


def test_a_server_told_to_stop_leaves_its_jobs_to_the_next(bureau_home: Home, tmp_path: Path) -> None:
    home = tmp_path / "home"
    bureau_home.copy_to(home)
    first = opened(home, slots_ms=(3_000,))
    job = first.submit(order()).result(60)
    time.sleep(0.3)
    began = time.monotonic()
    first.close()
    assert time.monotonic() - began < 2.4  # before the slot is over
    second = opened(home, slots_ms=(3_000,))
    try:
        seen = over(second, job)
        assert seen.state == "published"
        assert seen.price is not None
        adds_up(second, seen.price.pico_rho)
    finally:
        second.close()


def test_a_resumed_job_reads_the_version_it_was_admitted_on(bureau_home: Home, tmp_path: Path, killed: Killed) -> None:
    """The dataset moved on while the job lay: its plan and its answer are still of the first version."""
    home = tmp_path / "home"
    bureau_home.copy_to(home)
    killed(home, "begin_reading", "before")
    between = Services.open(settings_in(home))
    source = visits.parquet(home / "second.parquet", visits.rows(500))
    declared = visits.dataset(rows=2_000)
    report = ingest(declared, [source], between.vault, version=2, catalogue_public=between.register.catalogue(), random=between.random)
    acts.register_dataset(between.register, report.snapshot)
    between.close()
    services = opened(home, **FAST)
    try:
        job = only_job(services)
        assert job is not None
        seen = over(services, job)
        assert seen.state == "published"
        released = lookup.release(services.register, str(seen.release), services.clock())
        assert released is not None
        assert [source["version"] for source in released.record["sources"]] == [1]
    finally:
        services.close()


def test_a_stale_server_cannot_write_a_step(bureau_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fell silent for longer than its lease while totals were computed; another took the job over. One release, one charge."""
    home = tmp_path / "home"
    bureau_home.copy_to(home)
    services = opened(home, **FAST)
    real = hops.totals
    steals = iter([True])

    def silent(office: hops.Office, job: hops.Admitted) -> object:
        result = real(office, job)
        if next(steals, False):
            office.leases.give_back(job.id)
            walk.resume(office, job.id)  # as the other server would
        return result

    monkeypatch.setattr(hops, "totals", silent)
    try:
        job = services.submit(order()).result(60)
        seen = over(services, job)
        assert seen.state == "published"
        assert seen.price is not None
        time.sleep(0.5)
        adds_up(services, seen.price.pico_rho)
        assert [event.kind for event in services.register.events(limit=1000)].count("release_published") == 1
    finally:
        services.close()
