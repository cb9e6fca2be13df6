"""Products renewed on each new state of their data: one job for each, until the plan is used up; whatever stops it is in the log."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.database import reading
from jobs import acts, events
from jobs.acts.schedules import note_run
from jobs.order import Order
from jobs.products import schedules, seen
from jobs.products.renewal import Renewal
from jobs.products.schedules import Schedule
from jobs.projections import DoesNotFit
from policies.catalogue import Catalogue
from policies.problem import Problem
from sandbox.raw.ingest import ingest
from tests import visits
from tests.bureau import LICENCE, Bureau, order
from tests.products import ID, drafted, released
from tests.unit.jobs.test_freezes import sound


def renewed(bureau: Bureau, number: int, tmp_path: Path) -> None:
    """Another state of the data: other rows, as the next version."""
    services = bureau.services
    source = visits.parquet(tmp_path / f"{number}.parquet", visits.rows(1_000 + number, 300))
    declared = visits.dataset(rows=2_000)
    report = ingest(declared, [source], services.vault, version=number, catalogue_public=Catalogue(()), random=os.urandom)
    acts.register_dataset(services.register, report.snapshot)


def keeper(bureau: Bureau) -> Renewal:
    services = bureau.services
    return Renewal(lambda: services.office, services.copies, services.submit, interval_s=3600)


def one(bureau: Bureau) -> Schedule:
    with reading(bureau.services.register.engine) as connection:
        (found,) = schedules.schedules_of(connection)
    return found


def versions(bureau: Bureau) -> list[int]:
    """The version of the data behind each version of the product."""
    with reading(bureau.services.register.engine) as connection:
        product = seen.product(connection, ID)
    assert product is not None
    return [source["version"] for version in product.versions for source in version.document["sources"]]


def settle(bureau: Bureau, renewal: Renewal) -> None:
    """Rounds until nothing is under way."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        renewal.once()
        schedule = one(bureau)
        if schedule.state != "active" or all(run.added for run in schedule.runs):
            return
        time.sleep(0.02)
    raise AssertionError(one(bureau))


def test_one_release_for_each_state_until_the_plan_is_used_up(bureau: Bureau, tmp_path: Path) -> None:
    register = bureau.services.register
    drafted(bureau, released(bureau))
    schedule = acts.set_schedule(register, order(), ID, releases_at_most=2)
    renewal = keeper(bureau)
    renewal.once()
    assert (one(bureau).runs, versions(bureau)) == ((), [1])  # the product is of this very data already
    renewed(bureau, 2, tmp_path)
    settle(bureau, renewal)
    for _ in range(3):
        renewal.once()
        keeper(bureau).once()  # another process
    assert versions(bureau) == [1, 2]
    assert len(one(bureau).runs) == 1
    renewed(bureau, 3, tmp_path)
    settle(bureau, renewal)
    renewal.once()
    assert versions(bureau) == [1, 2, 3]
    assert (one(bureau).state, one(bureau).reason) == ("stopped", "used_up")
    renewed(bureau, 4, tmp_path)
    renewal.once()
    assert versions(bureau) == [1, 2, 3]
    ran = [each.event for each in register.events(limit=10_000) if isinstance(each.event, events.ScheduleRan)]
    assert [(event.schedule, event.by) for event in ran] == [(schedule, "system")] * 2
    assert sound(bureau).schedules[schedule].active is False


def test_what_keeps_it_from_going_on_stops_it(bureau: Bureau, tmp_path: Path) -> None:
    register = bureau.services.register
    drafted(bureau, released(bureau))
    acts.set_schedule(register, order(), ID, releases_at_most=5)
    acts.suspend_licence(register, LICENCE, reason="x")
    renewed(bureau, 2, tmp_path)
    settle(bureau, keeper(bureau))
    assert (one(bureau).state, one(bureau).reason, versions(bureau)) == ("stopped", "licence_refused", [1])
    sound(bureau)


def test_a_product_that_is_recalled_is_not_renewed(bureau: Bureau, tmp_path: Path) -> None:
    register = bureau.services.register
    drafted(bureau, released(bureau))
    acts.register_product(register, ID, by="supervisor")
    acts.set_schedule(register, order(), ID, releases_at_most=5)
    acts.recall_product(register, ID, reason="x", by="supervisor")
    renewed(bureau, 2, tmp_path)
    settle(bureau, keeper(bureau))
    assert (one(bureau).reason, one(bureau).runs) == ("product_state_conflict", ())


def test_who_may_set_and_stop(bureau: Bureau) -> None:
    register = bureau.services.register
    drafted(bureau)

    def code(act: Any) -> str:
        with pytest.raises(Problem) as caught:
            act()
        return caught.value.code

    assert code(lambda: acts.set_schedule(register, order(by="operator-2"), ID, releases_at_most=1)) == "product_unknown"
    assert code(lambda: acts.set_schedule(register, order(licence="L-9"), ID, releases_at_most=1)) == "licence_state_conflict"
    schedule = acts.set_schedule(register, order(), ID, releases_at_most=1)
    assert code(lambda: acts.stop_schedule(register, schedule, by="operator-2")) == "product_schedule_unknown"
    acts.stop_schedule(register, schedule, by="operator-1")
    assert code(lambda: acts.stop_schedule(register, schedule, by="supervisor")) == "product_schedule_unknown"
    with pytest.raises((DoesNotFit, RuntimeError)):
        note_run(register, schedule, "a" * 64, "job-none")
    sound(bureau)


def test_the_order_is_kept_as_it_was_given(bureau: Bureau) -> None:
    drafted(bureau)
    given = order()
    acts.set_schedule(bureau.services.register, given, ID, releases_at_most=1)
    kept = keeper(bureau)._order(one(bureau))
    assert isinstance(kept, Order)
    assert kept.content() == given.content()


def test_a_schedule_that_fails_keeps_no_other_waiting(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []

    def step(_: Renewal, schedule: Schedule) -> None:
        looked.append(schedule.id)
        if schedule.id == "sch-1":
            raise ConnectionError("away")

    monkeypatch.setattr(
        "jobs.products.renewal.schedules.schedules_of", lambda *_, **__: [SimpleNamespace(id="sch-1"), SimpleNamespace(id="sch-2")]
    )
    monkeypatch.setattr(Renewal, "_step", step)
    keeper(bureau).once()
    assert looked == ["sch-1", "sch-2"]
