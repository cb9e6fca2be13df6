"""A register with a licence that charges, and releases and deliveries under it, as the walk makes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from jobs import acts, fees, ledger, statements
from jobs.audit import audit
from jobs.events import Cost, FeePosted, JobAdmitted, JobStaged, JobSubmitted, ProductDelivered, ReleasePublished, question_digest, rfc3339
from jobs.register import Register
from jobs.statements import FeeSeen, Statement
from policies.licence import Licence
from policies.loss import Loss
from policies.period import Period
from policies.tariff import Tariff
from tests.small_register import ACCOUNTS, Ticking, a_licence, a_register, a_snapshot, title
from yunei.auditing import audit_folder
from yunei.replay import Book
from yunei.transparency import Key

HEALTH = title("health")  # the source body of both datasets
SCENARIOS = ("city-health", "industry", "public-good")
START = datetime(2026, 11, 22, 8, tzinfo=UTC)


def priced(name: str, measure: str, price: str | None = None, **more: Any) -> dict[str, Any]:
    """An item with a ceiling high enough for anything."""
    item: dict[str, Any] = {"name": name, "measure": measure, "title": {"zh": name, "en": name}, "ceiling": "1000000", **more}
    return item if price is None else {**item, "price": price}


TARIFF: dict[str, Any] = {
    "document": "晋发改价格〔2026〕1号",
    "period": "month",
    "allowed_revenue": "300.00",
    "items": [
        priced("release", "release", "120.00", guided={"base": "100", "up_percent": 20, "down_percent": 50}, ceiling=None),
        priced("call", "call", "0.50", scenarios=["city-health", "public-good"]),
        priced("call-industry", "call", "2.00", scenarios=["industry"]),
        priced(
            "rows", "row", per=1000, tiers=[{"above": "0", "up_to": "1000", "price": "2.5"}, {"above": "1000", "up_to": None, "price": "1"}]
        ),
        priced("compute", "compute_second", "0.333"),
        priced("loss", "rho", "1000"),
        priced("held", "month", "30"),
    ],
    "free": [{"scenario": "public-good", "condition": {"zh": "用于公益", "en": "for public welfare"}, "document": "晋数〔2026〕9号"}],
    "bodies": [
        {"id": "health", "title": HEALTH.model_dump()},
        {"id": "platform", "title": {"zh": "平台", "en": "platform"}, "role": "platform"},
        {"id": "treasury", "title": {"zh": "省财政", "en": "treasury"}, "role": "treasury"},
    ],
    "contributions": [
        {"dataset": "visits", "weight": 3, "shares": {"health": "70", "treasury": "30"}},
        {"dataset": "hospitals", "weight": 1, "shares": {"platform": "100"}},
    ],
}


def tariff(**changes: Any) -> Tariff:
    return Tariff.model_validate({**TARIFF, **changes})


def charging(given: Tariff | None, **changes: Any) -> Licence:
    plain = a_licence(datasets=("visits", "hospitals"))
    return Licence.model_validate(dict(plain) | {"scenarios": SCENARIOS, "tariff": given, **changes})


@contextmanager
def licensed(home: Path, given: Tariff | None, settings: Mapping[str, object] | None = None, **changes: Any) -> Iterator[Register]:
    """One operator, one builder, one licence, from `START` on; a supervisor who closes periods."""
    with a_register(home, **(settings or {})) as register:
        acts.register_dataset(register, a_snapshot())
        acts.register_dataset(register, a_snapshot("hospitals", space=None))
        for name, role in (("op-1", "operator"), ("builder-1", "builder"), ("li", "supervisor")):
            acts.issue_key(register, name, cast(Any, role), title=title(name))
        acts.grant_licence(register, charging(given, **changes))
        yield register


def travel(register: Register, moment: datetime) -> None:
    """Set the clock; it ticks on from there."""
    cast(Ticking, register.clock).now = moment


def publish(
    register: Register,
    job: str,
    *,
    scenario: str = "city-health",
    rows: int = 3,
    loss: Loss | None = None,
    slot_ms: int = 250,
    datasets: tuple[str, ...] = ("visits",),
    charged: bool = True,
    bend: Bend | None = None,
) -> str:
    """One release, from submission to publication; its fee too, unless it is left out, or bent. Returns its id."""
    cost, charge, question = loss or Loss(10**9, 0), f"c-{job}", question_digest(job.encode().hex().ljust(64, "0")[:64], ())
    with register.transaction() as act:
        request = act.seal(b"select " + job.encode())
        act.append(JobSubmitted(by="op-1", job=job, operator="op-1", licence="L-1", scenario=scenario, request=request))
        act.append(JobAdmitted(by="system", job=job, plan_digest="a" * 64, question=question, cost=Cost.of(cost), slot_ms=slot_ms))
        ledger.reserve(act, charge=charge, job=job, accounts=ACCOUNTS, loss=cost, by="system")
        ledger.reading(act, charge, by="system")
        ledger.spend(act, charge, by="system")
        act.append(JobStaged(by="system", job=job, table_sha256="b" * 64))
        record = act.seal(json.dumps({"sources": [{"dataset": name} for name in datasets]}).encode())
        act.append(
            ReleasePublished(
                by="system",
                release=f"r-{job}",
                job=job,
                charge=charge,
                operator="op-1",
                licence="L-1",
                question=question,
                plan_digest="a" * 64,
                record=record,
                table_sha256="b" * 64,
                rows=rows,
                bytes=100 * rows,
                cost=Cost.of(cost),
                visible_at=rfc3339(register.clock() + timedelta(milliseconds=slot_ms)),
            )
        )
        if charged:
            event = fees.due(act, f"r-{job}")
            if event is not None:
                act.append(event if bend is None else bent(event, bend))
    return f"r-{job}"


Bend = Callable[[dict[str, Any]], object]


def bent(event: FeePosted, bend: Bend) -> FeePosted:
    """The event with its JSON changed."""
    data = event.model_dump(mode="json")
    bend(data)
    return FeePosted.model_validate(data)


def deliver(register: Register, release: str, *, charged: bool = True) -> int:
    """A builder takes the table. Returns the index of the delivery."""
    with register.transaction() as act:
        entry = act.append(ProductDelivered(by="builder-1", release=release, recipient="builder-1", format="csv", sha256="c" * 64))
        if charged:
            fees.post(act, release, delivery=entry)
    return entry


def amended(register: Register, **changes: Any) -> None:
    """The licence with another tariff, from now on."""
    acts.amend_licence(register, charging(tariff(**changes)), reason="价格调整", by="li")


NOVEMBER, DECEMBER = Period.parse("2026-11"), Period.parse("2026-12")


def posted(register: Register) -> list[FeeSeen]:
    """Oldest first, all of them."""
    return statements.fees_of(register, START + timedelta(days=400), limit=1000)[::-1]


def statement(register: Register, period: Period = NOVEMBER) -> Statement:
    return statements.statements_of(register, period, register.clock())[0]


def replayed(register: Register) -> Book:
    """The carried audit of what is in the log."""
    register.publish()
    return audit_folder(register.settings.log_dir, Key.parse(register.vkey)).book


def clean(register: Register) -> bool:
    report = audit(register.settings.log_dir, [register.vkey], register.engine)
    assert report.clean, report.findings
    return replayed(register).bill.unpriced == 0
