"""Leases: one holder at a time, and whoever lost a lease can write nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from infra.database import migrate, open_engine, writing
from infra.prepared import Writer
from jobs.queue import Crew, Lease, LeaseLost, Leases, Stopping


class Hands:
    """A clock one turns."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Hands:
    return Hands()


def leases(engine: Engine, clock: Hands, holder: str) -> Leases:
    return Leases(engine, clock, holder=holder, lease_s=30)


def hold(engine: Engine, holder: Leases, lease: Lease) -> None:
    with writing(engine) as connection:
        writer = Writer(connection)
        holder.hold(writer, lease)
        writer.flush()


def test_a_job_has_one_holder_until_its_lease_ends(engine: Engine, clock: Hands) -> None:
    one, two = leases(engine, clock, "here:1"), leases(engine, clock, "here:2")
    assert one.claim("job").token == 1
    with pytest.raises(LeaseLost):
        two.claim("job")
    clock.turn(31)
    assert two.claim("job").token == 2


def test_a_holder_from_the_dead_cannot_hold(engine: Engine, clock: Hands) -> None:
    one, two = leases(engine, clock, "here:1"), leases(engine, clock, "here:2")
    old = one.claim("job")
    clock.turn(31)
    new = two.claim("job")
    with pytest.raises(LeaseLost):
        hold(engine, one, old)
    hold(engine, two, new)


def test_the_same_holder_with_an_older_token_cannot_hold(engine: Engine, clock: Hands) -> None:
    one = leases(engine, clock, "here:1")
    old = one.claim("job")
    clock.turn(31)
    one.claim("job")
    with pytest.raises(LeaseLost):
        hold(engine, one, old)


def test_heartbeats_keep_jobs_in_hand_and_only_those(engine: Engine, clock: Hands) -> None:
    one, two = leases(engine, clock, "here:1"), leases(engine, clock, "here:2")
    one.claim("kept")
    one.claim("given back")
    one.give_back("given back")
    clock.turn(20)
    one.renew_all()
    clock.turn(20)
    with pytest.raises(LeaseLost):
        two.claim("kept")
    assert two.claim("given back").token == 2


def test_the_lock_of_a_place_ends_the_leases_of_its_dead_and_of_nobody_else(engine: Engine, clock: Hands) -> None:
    leases(engine, clock, "here:dead").claim("ours")
    leases(engine, clock, "there:alive").claim("theirs")
    leases(engine, clock, "here_:alive").claim("lookalike")
    newcomer = leases(engine, clock, "here:new")
    newcomer.void("here")
    assert newcomer.claim("ours").token == 2
    for job in ("theirs", "lookalike"):
        with pytest.raises(LeaseLost):
            newcomer.claim(job)


def test_waiting_ends_when_the_server_stops(engine: Engine, clock: Hands) -> None:
    crew = Crew(leases(engine, clock, "here:1"), clock, lease_s=30)
    crew.wait_until(clock())
    crew.stop()
    with pytest.raises(Stopping):
        crew.wait_until(clock() + timedelta(days=1))
    with pytest.raises(Stopping):
        crew.carry("op-1", lambda: None)
    crew.close()
