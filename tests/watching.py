"""A register with a clock one sets, operators who ask real questions, and a month of honest work: what the watcher is tried on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, select

from infra.database import reading
from infra.settings import Settings
from infra.tables import products, schedule_runs, schedules
from jobs import acts, ledger
from jobs import events as ev
from jobs.acts.data import register_dataset
from jobs.register import Register
from jobs.watch import alerts
from jobs.watch.inforce import rules_in_force
from jobs.watch.watcher import Watcher
from policies.catalogue import Bounds, Column, Dataset, Share, Snapshot, Title, Unit
from policies.licence import DatasetGrant, Degree, Licence
from policies.loss import Loss
from tests.registers import prepare

BEGIN = datetime(2026, 9, 1, 0, 0, tzinfo=UTC)  # a Tuesday, eight in the morning in China
CITIES = tuple(f"city-{number}" for number in range(11))
CODES = ("sql_unknown_column", "plan_key_domain", "licence_column", "ledger_account_full")


@dataclass
class Hands:
    """A clock that stands still until it is moved."""

    now: datetime = BEGIN

    def __call__(self) -> datetime:
        return self.now


def title(text: str) -> Title:
    return Title(zh=text, en=text)


def visits(version: int = 1) -> Snapshot:
    columns = (
        Column(name="person_id", type="integer", title=title("person"), uses=("join", "distinct")),
        Column(name="city", type="text", title=title("city"), domain=CITIES),
        Column(name="fee", type="decimal", title=title("fee"), low=Decimal(0), high=Decimal(5000), decimals=2),
        Column(name="age", type="integer", title=title("age"), low=Decimal(0), high=Decimal(109)),
        Column(name="day", type="date", title=title("day"), low=date(2025, 1, 1), high=date(2026, 12, 31)),
        Column(name="urgent", type="boolean", title=title("urgent"), domain=(True, False)),
    )
    dataset = Dataset(
        name="visits",
        title=title("visits"),
        registration_no="SX-1",
        source_body=title("health"),
        acquired_on=date(2026, 1, 1),
        updated_on=date(2026, 2, 1),
        grade="general-2",
        share=Share(attribute="unconditional", reason=title("open"), basis="art. 12"),
        unit=Unit(column="person_id", space="person", title=title("person")),
        bounds=Bounds(groups_per_unit=4, rows_per_group=3),
        approximate_rows=1_000_000,
        columns=columns,
    )
    return Snapshot(dataset=dataset, version=version, digest=f"{version:064x}")


@dataclass
class Town:
    """`said`: every alert by its rule, as it was raised."""

    register: Register
    clock: Hands
    watcher: Watcher
    version: int = 1
    jobs: int = 0
    said: Counter[str] = field(default_factory=Counter)

    def wait(self, **span: float) -> None:
        self.clock.now += timedelta(**span)

    def look(self) -> list[str]:
        """One look; the rules of what was raised."""
        found = [alerts.alert(self.register, each) for each in self.watcher.once()]
        rules = [each.rule for each in found if each is not None]
        self.said.update(rules)
        return rules

    def ask(self, who: str, sql: str, *, rho: str = "0.000001", publish: bool = False, scheduled: bool = False) -> str:
        """A job of an operator, admitted and charged; with `publish`, to its end."""
        self.jobs += 1
        job, charge = f"job-{self.jobs}", f"c-{self.jobs}"
        loss = Loss.of(Decimal(rho), Decimal(0))
        sealed = {"by": who, "versions": {"visits": self.version}, "licence": f"L-{who}", "scenario": "health", "sql": sql, "ask": {"rho": rho}}
        accounts = ledger.accounts_of(space="person", datasets=["visits"], licence=f"L-{who}", operator=who)
        plan = sha256(json.dumps([sql, rho, job]).encode()).hexdigest()
        with self.register.transaction(publish=False) as act:
            request = act.seal(json.dumps(sealed, sort_keys=True).encode())
            act.append(ev.JobSubmitted(by=who, job=job, operator=who, licence=f"L-{who}", scenario="health", request=request))
            ledger.reserve(act, charge=charge, job=job, accounts=accounts, loss=loss, by="system")
            act.append(ev.JobAdmitted(by="system", job=job, plan_digest=plan, question=plan, cost=ev.Cost.of(loss), slot_ms=50))
            if publish:
                ledger.reading(act, charge, by="system")
                ledger.spend(act, charge, by="system")
                act.append(ev.JobStaged(by="system", job=job, table_sha256="b" * 64))
                published = {"release": f"r-{job}", "job": job, "charge": charge, "operator": who, "licence": f"L-{who}", "question": plan}
                published |= {"plan_digest": plan, "record": act.seal(b"record"), "table_sha256": "b" * 64}
                act.append(ev.ReleasePublished(by="system", **published, rows=11, bytes=2_000, cost=ev.Cost.of(loss), visible_at=act.at))
            if scheduled:
                self._by_schedule(act.connection, who, job, act.at)
        return job

    def _by_schedule(self, connection: Connection, who: str, job: str, at: str) -> None:
        """The server submitted it for a schedule of the operator's; how such a one comes to be is another test's."""
        name, then = f"of-{who}", {"changed_at": at}
        if connection.execute(select(schedules.c.id).where(schedules.c.id == name)).one_or_none() is None:
            product = {"operator": who, "state": "registered", "document": "d" * 64, "version": 0, "drafted_at": at}
            connection.execute(products.insert().values(id=name, **product, **then))
            order = {"licence": f"L-{who}", "request": "d" * 64, "releases_at_most": 100, "runs": 0, "set_at": at}
            connection.execute(schedules.insert().values(id=name, product=name, operator=who, state="active", **order, **then))
        connection.execute(schedule_runs.insert().values(schedule=name, snapshots=sha256(job.encode()).hexdigest(), job=job, entry=0))

    def refuse(self, who: str, code: str = CODES[0]) -> None:
        with self.register.transaction(publish=False) as act:
            act.append(ev.JobRefused(by=who, operator=who, codes=(code,)))

    def fail(self, who: str, sql: str = "SELECT COUNT(*) AS n FROM visits") -> None:
        """A job that failed after rows were read."""
        job = self.ask(who, sql)
        with self.register.transaction(publish=False) as act:
            ledger.reading(act, f"c-{self.jobs}", by="system")
            act.append(ev.JobForfeited(by="system", job=job, charge=f"c-{self.jobs}"))

    def shut_out(self, count: int, **who: str) -> None:
        """Attempts refused at the door."""
        refusals = (ev.Refusals(code="auth_key_unknown", count=count, **who),)
        at = ev.rfc3339(self.clock.now)
        with self.register.transaction(publish=False) as act:
            act.append(ev.AccessRefused(by="system", since=at, until=at, refusals=refusals))

    def deliver(self, builder: str, release: str, times: int = 1) -> None:
        with self.register.transaction(publish=False) as act:
            for _ in range(times):
                act.append(ev.ProductDelivered(by=builder, release=release, recipient=builder, format="csv", sha256="c" * 64))

    def standing(self) -> dict[str, int]:
        with reading(self.register.engine) as connection:
            return alerts.standing(connection)

    def newest(self) -> alerts.Alert:
        return alerts.alerts_of(self.register, limit=1)[0]


def raised_by_hand(register: Register, who: str = "operator-1", severity: ev.AlertSeverity = "serious") -> str:
    """An alert nobody else raises, for whoever looks at alerts and does not mind how they come to be."""
    with register.transaction() as act:
        alert = f"alt-{act.size}"
        things = (ev.Thing(kind="principal", id=who), ev.Thing(kind="space", id="person"))
        told = {"rule": "averaging", "severity": severity, "key": f"averaging/{alert}", "things": things, "entries": (0, 1)}
        facts = (ev.AlertFact(name="questions", value="6"),)
        act.append(ev.AlertRaised(by="system", alert=alert, rules=rules_in_force(act.connection)[0], facts=facts, **told))
    return alert


@contextmanager
def a_town(home: Path, operators: tuple[str, ...] = ("op-1", "op-2", "op-3"), **settings: object) -> Iterator[Town]:
    caps = {f"{kind}_cap_pico_rho": 10**14 for kind in ("population", "dataset", "operator")}
    caps |= {f"{kind}_cap_atto_delta": 10**15 for kind in ("population", "dataset", "operator")}
    values = {"home": home, "log_origin": "log.example/watch", **caps, **settings}
    clock = Hands()
    if not settings.get("database_url"):
        prepare(home / "register.db")
    register = Register.open(Settings.model_validate(values), clock=clock)
    try:
        register_dataset(register, visits())
        for who in operators:
            acts.issue_key(register, who, "operator", title=title(who))
            degree = Degree(pico_rho=10**13, atto_delta=10**14)
            licence = Licence(
                id=f"L-{who}", operator=who, title=title("licence"), datasets=(DatasetGrant(dataset="visits"),), scenarios=("health",),
                per_job=degree, total=degree, valid_from=BEGIN - timedelta(days=1), valid_until=BEGIN + timedelta(days=400),
                decision_document="〔2026〕1 号",
            )  # fmt: skip
            acts.grant_licence(register, licence)
        for who in ("li", "zhao"):
            acts.issue_key(register, who, "supervisor", title=title(who))
        acts.issue_key(register, "builder-1", "builder", title=title("builder"))
        yield Town(register, clock, Watcher(register, interval_s=1))
    finally:
        register.close()
