"""A report of an earlier state of the register is the same after whatever came since, though it is made from sums that went on growing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs import events, ledger
from jobs.acts.periods import close_period
from jobs.register import Register
from jobs.reports import Asked, make
from jobs.reports.files import document
from policies.loss import Loss
from policies.period import Period
from tests.money import deliver, licensed, publish, tariff, travel
from tests.reports import NEW_YEAR, made, rows
from tests.small_register import submit

OF = [
    (kind, period, subject)
    for kind, periods in {"disclosure": ("2026",), "usage": ("2026-11", "2026-12", "2026"), "revenue": ("2026-11", "2026")}.items()
    for period in periods
    for subject in (None, "op-1")
]


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with licensed(tmp_path, tariff()) as register:
        yield register


def lived(register: Register) -> Iterator[int]:
    """Two months and a day of work; the register's size at several moments, some of them with charges that are given back only later."""
    publish(register, "first", rows=500)
    submit(register, "waits", Loss(3 * 10**9, 0))
    yield register.size
    publish(register, "free", scenario="public-good", rows=5000)
    deliver(register, "r-first")
    with register.transaction() as act:
        ledger.release(act, "c-waits", by="op-1")
    submit(register, "long", Loss(5 * 10**9, 0))
    submit(register, "read", Loss(7 * 10**9, 0))
    with register.transaction() as act:
        ledger.reading(act, "c-read", by="system")
    yield register.size
    travel(register, datetime(2026, 12, 3, tzinfo=UTC))
    with register.transaction() as act:
        ledger.release(act, "c-long", by="op-1")  # on another day, in another month
        ledger.forfeit(act, "c-read", by="system")  # which gives nothing back
    publish(register, "later", rows=1500)
    yield register.size
    close_period(register, Period.parse("2026-11"), by="li")
    submit(register, "over", Loss(11 * 10**9, 0))
    yield register.size
    travel(register, NEW_YEAR)
    with register.transaction() as act:
        ledger.release(act, "c-over", by="op-1")
    deliver(register, "r-later")
    publish(register, "next", rows=9)
    yield register.size


def replayed(register: Register, size: int, before: str) -> dict[str, int]:
    """What every account was charged by the entries below `size` that are older than `before`, one by one."""
    used: dict[str, int] = {}
    kept: dict[str, events.ChargeReserved] = {}
    reading: set[str] = set()
    for recorded in register.events(limit=10_000):
        event = recorded.event
        if recorded.index >= size or recorded.at >= before:
            break
        if isinstance(event, events.ChargeReserved):
            kept[event.charge] = event
        elif isinstance(event, events.JobReading):
            reading.add(event.charge)
        elif (
            (charge := getattr(event, "charge", None)) in kept and charge not in reading and event.kind in ("job_cancelled", "charge_released")
        ):
            kept.pop(charge)
    for reserved in kept.values():
        for account in reserved.accounts:
            used[account] = used.get(account, 0) + reserved.cost.pico_rho
    return used


def test_a_report_of_an_earlier_size_is_the_same_whatever_came_since(register: Register) -> None:
    told = {}
    for size in lived(register):
        for asked in OF:
            told[size, asked] = document(make(register, Asked.of(*asked)))
    assert len(told) == 5 * len(OF)
    assert len(set(told.values())) == len(told)
    for (size, asked), said in told.items():
        assert document(make(register, Asked.of(*asked), size)) == said, (size, asked)


def test_what_accounts_used_is_what_replaying_every_charge_has(register: Register) -> None:
    for size in lived(register):
        used = {row["subject"]: int(row["used"]) for row in rows(made(register, "disclosure", "2026"), "accounts")}
        wanted = {name.partition(":")[2]: amount for name, amount in replayed(register, size, "2026-12-31T16").items()}
        assert {name: amount for name, amount in used.items() if amount} == wanted, size
    assert wanted["person"] == 3 * 10**9 + 7 * 10**9 + 11 * 10**9  # the charge that was given back after the year was still made in it
