"""A bureau with a long past: many releases of several operators, with products, deliveries, fees and reviews, for measuring what reads them.

Nothing is written into tables by hand. A few jobs run for real, and their sealed orders, records and documents are what the others are made
of, each with a question of its own; the others' events go through the register as the walk appends them, hundreds to a transaction, under a
clock that moves over a year and a half. Every projection, check and constraint applies. What the others have not is bytes of their tables,
which only downloads read. While the past is written no commit waits for the disk, and one checkpoint covers it all in the end.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Table, event, select

from api.services import Services
from infra.clock import system_clock
from infra.database import reading
from infra.tables import jobs, openings, releases
from jobs import acts, fees, ledger
from jobs import events as ev
from jobs.acts import duty
from jobs.kinds.exact import ExactRequest
from jobs.lane.packs import digest_in_force
from jobs.order import Order
from jobs.register import Act, Register
from policies.catalogue import Catalogue
from policies.licence import Degree
from policies.product import Description
from policies.roles import ROLES
from sandbox.raw.ingest import ingest
from tests import lane, products, visits
from tests.bureau import SQL, Bureau, licence, opened, order, settings_in
from tests.money import priced, tariff
from tests.unit.jobs.test_release import ended

END = datetime(2026, 11, 22, 8, tzinfo=UTC)
SPAN = timedelta(days=540)
OPERATORS = tuple(f"operator-{number}" for number in range(1, 9))
BUILDERS = tuple(f"builder-{number}" for number in range(1, 7))
BATCH = 400  # releases to a transaction, and one product
PATIENCE_S = 240.0  # for one job
HIGH: dict[str, Any] = {f"{kind}_cap_pico_rho": 10**18 for kind in ("population", "dataset", "operator")}
# nobody looks on while the past is written: each look would read what is new, and what is measured is the pages
HIGH |= {"webhook_interval_s": 3600.0, "audit_interval_h": 0.0}
HIGH |= dict.fromkeys(("alert_interval_s", "renewal_interval_s", "report_interval_s"), 86_400.0)
NOTE, NOTED = "filled.json", ("job", "release", "old", "product", "review", "held", "licence")
EACH_REVIEW, EACH_DELIVERY = 50, 10  # one of so many releases


class Travelling:
    """A clock that goes on from wherever it is set."""

    def __init__(self, moment: datetime) -> None:
        self.set(moment)

    def set(self, moment: datetime) -> None:
        self._ahead = moment - system_clock()

    def __call__(self) -> datetime:
        return system_clock() + self._ahead


@dataclass(frozen=True)
class Filled:
    """`release`, `product`, `review`, `held`, `job`: newest ones, of operator-1, that ran for real; `old`: a release from the middle."""

    bureau: Bureau
    job: str
    release: str
    old: str
    product: str
    review: str
    held: str
    close: Callable[[], None]
    licence: str = "L-1"

    @property
    def events(self) -> int:
        return self.bureau.services.register.size


def kept(filled: Filled, home: Path) -> None:
    """Note what was filled beside it, so that `again` finds its way."""
    said = {name: getattr(filled, name) for name in NOTED} | {"keys": dict(filled.bureau.keys)}
    (home / NOTE).write_text(json.dumps(said, indent=1))


def again(home: Path, **changes: Any) -> Filled:
    """A home that was filled before and noted (`kept`), with the migrations that came since, at the end of its days. The caller closes it."""
    said = json.loads((home / NOTE).read_text())
    services = opened(home, clock=Travelling(END), **HIGH | changes)
    return Filled(Bureau(services, said.pop("keys")), close=services.close, **said)


def licences_of(operator: str) -> tuple[str, ...]:
    number = operator.rpartition("-")[2]
    return (f"L-{number}", f"L-{number}-fee", f"L-{number}-exact")


def begun(home: Path, clock: Travelling) -> Bureau:
    """People, data and licences, at the beginning."""
    services = Services.open(settings_in(home, **HIGH), clock=clock)
    register = services.register
    declared, source = visits.dataset(rows=2_000), visits.parquet(home / "source.parquet", visits.rows(2_000, 600))
    report = ingest(declared, [source], services.vault, version=1, catalogue_public=Catalogue(()), random=os.urandom)
    acts.register_dataset(register, report.snapshot)
    keys = {name: acts.issue_key(register, name, "operator") for name in OPERATORS}
    keys |= {name: acts.issue_key(register, name, "builder") for name in BUILDERS}
    keys |= {role: acts.issue_key(register, role, role) for role in ROLES if role != "operator"}
    keys |= {name: acts.issue_key(register, name, "reviewer") for name in lane.REVIEWERS[1:]}
    total = Degree(pico_rho=10**17, atto_delta=10**12)
    money = tariff(
        items=[priced("release", "release", "120.00"), priced("call", "call", "0.50"), priced("rows", "row", "1")],
        bodies=[{"id": "health", "title": {"zh": "示例", "en": "example"}}],
        contributions=[{"dataset": "visits", "weight": 1, "shares": {"health": "100"}}],
        free=[],
    )
    for operator in OPERATORS:
        plain, paid, exact = licences_of(operator)
        acts.grant_licence(register, licence(plain, operator, total=total))
        acts.grant_licence(register, licence(paid, operator, total=total, tariff=money))
        acts.grant_licence(register, licence(exact, operator, total=total, job_kinds=("sql", "exact")))
    start = lane.day(Bureau(services, keys), 0)
    for reviewer in lane.REVIEWERS:
        for begins in (start, start + timedelta(days=300)):  # a duty lasts a year at most
            duty.set_duty(register, reviewer, begins, begins + timedelta(days=360), by="system")
    services.close()
    return Bureau(opened(home, clock=clock, **HIGH), keys)


def fill(home: Path, count: int) -> Filled:
    """A bureau with `count` releases and what comes with them. The caller closes it."""
    past = Past(home)
    past.grow(count)
    return past.today()


class Past:
    """A bureau whose past may be lengthened."""

    def __init__(self, home: Path) -> None:
        self._clock = Travelling(END - SPAN)
        self.bureau = begun(home, self._clock)
        products.on_the_shelf(self.bureau, released(self.bureau))
        held = ended(self.bureau, _exact(1), PATIENCE_S)
        review = lane.requested(self.bureau, held.id)
        for reviewer in lane.REVIEWERS[:2]:
            lane.vote(self.bureau, review, reviewer)
        self.bureau.services.keeper.once()
        self._made = Made(self.bureau)
        self.count = 0

    def grow(self, to: int, of: int = 0) -> None:
        """To so many releases, spread over the days as if there were to be `of`."""
        register, whole = self.bureau.services.register, max(of, to) + 2 * BATCH
        with hurried(register):
            for start in range(self.count, to, BATCH):
                self._clock.set(END - SPAN + SPAN * (start + BATCH) / whole)
                self._made.product(start // BATCH)
                with register.transaction() as act:
                    for number in range(start, min(start + BATCH, to)):
                        self._made.life(act, number)
        self.count = to
        register.publish()

    def today(self) -> Filled:
        """At the end of its days, with a newest release and a review that waits."""
        self._clock.set(END)
        bureau = self.bureau
        release = released(bureau, "SELECT city, COUNT(*) AS n FROM visits WHERE fee > 3 GROUP BY city")
        waiting = ended(bureau, _exact(2), PATIENCE_S)
        job = next(each.event for each in bureau.services.register.events(before=2**53, limit=50, kinds=("release_published",)))
        assert isinstance(job, ev.ReleasePublished)
        review, close = lane.requested(bureau, waiting.id), bureau.services.close
        return Filled(bureau, job.job, release, f"rel-{self.count // 2}", products.ID, review, waiting.id, close)


@contextmanager
def hurried(register: Register) -> Iterator[None]:
    """Within, nothing is published and no commit waits for the disk: what a power cut would lose can be filled again."""
    engine = register.engine
    say = "PRAGMA synchronous=OFF" if engine.dialect.name == "sqlite" else "SET synchronous_commit=off"

    def hurry(connection: Any, _record: object) -> None:
        connection.execute(say).close()
        if engine.dialect.name == "sqlite":
            connection.execute("PRAGMA cache_size=-200000").close()  # KiB: keys are digests, which fall everywhere
        else:
            connection.commit()

    slow = register.transaction
    event.listen(engine, "connect", hurry)
    engine.dispose()
    setattr(register, "transaction", partial(slow, publish=False))  # noqa: B010  # for the acts too, which publish as they are called
    try:
        yield
    finally:
        delattr(register, "transaction")
        event.remove(engine, "connect", hurry)
        engine.dispose()


def released(bureau: Bureau, sql: str = SQL, **changes: Any) -> str:
    """A release that ran for real, however busy the machine is."""
    seen = ended(bureau, order(sql, **changes), PATIENCE_S)
    assert seen.release is not None, seen
    return seen.release


def _exact(fee: int) -> Order:
    asked = lane.exact_order(lane.SQL.replace(" GROUP", f" WHERE fee > {fee} GROUP"))
    return Order(asked.by, "L-1-exact", asked.scenario, ExactRequest(asked.request.text, "L-1-exact", lane.FACTS, ()))


class Made:
    """Makes the lives of jobs after those that ran. `shelf`: product, newest version, the release in it."""

    def __init__(self, bureau: Bureau) -> None:
        self.bureau = bureau
        self.shelf: list[tuple[str, int, str]] = []
        register = bureau.services.register
        asked = "SELECT city, COUNT(*) AS n FROM visits WHERE days > {} GROUP BY city"
        self.own = {name: released(bureau, asked.format(place), by=name, licence=licences_of(name)[1]) for place, name in enumerate(OPERATORS)}
        with reading(register.engine) as connection:

            def first(table: Table, name: str, *conditions: ColumnElement[bool]) -> dict[str, Any]:
                query = select(openings.c.content).join(table, table.c[name] == openings.c.commitment).where(*conditions)
                found: dict[str, Any] = json.loads(bytes(connection.execute(query.limit(1)).scalar_one()))
                return found

            sql = releases.c.job.in_(select(jobs.c.id).where(jobs.c.kind == "sql"))
            self.order, self.record = first(jobs, "request", jobs.c.kind == "sql"), first(releases, "record", sql)
            self.exact = first(jobs, "request", jobs.c.kind == "exact")
        self.pack = digest_in_force_of(bureau)

    def product(self, number: int) -> None:
        """One more, of a real release of its operator's."""
        operator = OPERATORS[number % len(OPERATORS)]
        register, services, id = self.bureau.services.register, self.bureau.services, f"visits-{number}"
        title = {"zh": f"各市就诊人次 {number}", "en": f"Visits by city {number}"}
        acts.draft_product(register, Description.model_validate(products.DESCRIPTION.model_dump() | {"id": id, "title": title}), by=operator)
        version = acts.add_version(register, services.staging, services.copies, id, (self.own[operator],), by=operator)
        if number % 8 == 7:
            return  # a draft
        acts.register_product(register, id, by="supervisor")
        acts.publish_product(register, id, by=operator)
        for builder in BUILDERS:
            acts.entitle_builder(register, id, builder, by=operator)
        self.shelf.append((id, version, self.own[operator]))

    def life(self, act: Act, number: int) -> None:
        operator = OPERATORS[(number * number) % 11 % len(OPERATORS)]  # some ask far more than others
        names = licences_of(operator)
        licence = names[number % 2]
        job, release, charge = f"job-{number}", f"rel-{number}", f"charge-job-{number}"
        sql = f"SELECT city, COUNT(*) AS n, AVG(fee) AS fee FROM visits WHERE fee > {number} GROUP BY city"
        digest, who = hashlib.sha256(sql.encode()).hexdigest(), {"operator": operator, "licence": licence}
        cost = ev.Cost(pico_rho=10**9 + number % 7 * 10**8, atto_delta=0)
        scenario = str(self.order["scenario"])
        table = digest
        request = act.seal(_bytes({**self.order, "by": operator, "licence": licence, "sql": sql}))
        act.append(ev.JobSubmitted(by=operator, job=job, scenario=scenario, request=request, **who))
        act.append(ev.JobAdmitted(by="system", job=job, plan_digest=digest, question=digest, cost=cost, slot_ms=250))
        accounts = ledger.accounts_of(space="person", datasets=["visits"], licence=licence, operator=operator)
        act.append(ev.ChargeReserved(by=operator, charge=charge, job=job, accounts=accounts, cost=cost))
        act.append(ev.JobReading(by="system", job=job, charge=charge))
        act.append(ev.JobSpent(by="system", job=job, charge=charge))
        act.append(ev.JobStaged(by="system", job=job, table_sha256=table))
        told = {"job": job, "release": release, "query": sql, "accounts": list(accounts), "pico_rho": str(cost.pico_rho), **who}
        record = act.seal(_bytes({**self.record, **told}))
        act.append(
            ev.ReleasePublished(
                by="system", release=release, job=job, charge=charge, question=digest, plan_digest=digest, record=record,
                table_sha256=table, rows=3, bytes=816, cost=cost, visible_at=act.at, **who,
            )
        )  # fmt: skip
        fees.post(act, release)
        if number % 17 == 3:  # the same question again, by somebody else
            self._again(act, number, release)
        if number % EACH_REVIEW == 7:
            self._reviewed(act, number, operator, names[2])
        if number % EACH_DELIVERY == 5 and self.shelf:
            product, version, newest = self.shelf[number % len(self.shelf)]
            what = {"release": newest, "product": product, "version": version, "format": "parquet", "sha256": digest}
            entry = act.append(ev.ProductDelivered(by=BUILDERS[number % len(BUILDERS)], recipient=BUILDERS[number % len(BUILDERS)], **what))
            fees.post(act, newest, delivery=entry)

    def _again(self, act: Act, number: int, release: str) -> None:
        operator = OPERATORS[number % len(OPERATORS)]
        licence, job = licences_of(operator)[0], f"again-{number}"
        request = act.seal(_bytes({**self.order, "by": operator, "licence": licence}))
        scenario = str(self.order["scenario"])
        act.append(ev.JobSubmitted(by=operator, job=job, scenario=scenario, request=request, operator=operator, licence=licence))
        act.append(ev.ReleaseReused(by="system", job=job, release=release))

    def _reviewed(self, act: Act, number: int, operator: str, licence: str) -> None:
        """An exact table, held; voted on and sent back, but for one in ten, which waits."""
        job, review, digest, cost = f"exact-{number}", f"rev-{number}", f"{number:064x}", ev.Cost(pico_rho=0, atto_delta=0)
        who = {"operator": operator, "licence": licence}
        order = {**self.exact, "by": operator, "licence": licence}
        scenario, charge = str(order["scenario"]), f"charge-{job}"
        accounts = ledger.accounts_of(space="person", datasets=["visits"], licence=licence, operator=operator)
        asked = {"job": job, "scenario": scenario, "job_kind": "exact"}
        act.append(ev.JobSubmitted.model_validate({"by": operator, "request": act.seal(_bytes(order)), **asked, **who}))
        act.append(ev.JobAdmitted(by="system", job=job, plan_digest=digest, question=digest, cost=cost, slot_ms=250))
        act.append(ev.ChargeReserved(by=operator, charge=charge, job=job, accounts=accounts, cost=cost))
        act.append(ev.JobReading(by="system", job=job, charge=charge))
        act.append(ev.JobSpent(by="system", job=job, charge=charge))
        act.append(ev.JobStaged(by="system", job=job, table_sha256=digest))
        act.append(ev.ReleaseHeld(by="system", job=job, shape=digest, pack=self.pack, sealed_sha256=digest))
        manifest = act.seal(_bytes({"title": f"年报附表 {number}", "purpose": "公开发布", "jobs": [job]}))
        act.append(ev.ReviewRequested(by=operator, review=review, licence=licence, jobs=(job,), manifest=manifest, due_at=act.at))
        if number % 500 == 7:
            return
        votes = []
        for reviewer in lane.REVIEWERS[:2]:
            salt = act.size.to_bytes(32, "big")
            vote = ev.OpenedVote(entry=act.size, reviewer=reviewer, verdict="return", codes=("small_counts",), salt=salt.hex())
            content = ev.vote_content(review, vote)
            act.append(ev.VoteCast(by=reviewer, review=review, verdict=ev.commitment(salt, content), reasons=act.seal(content)))
            votes.append(vote)
        act.append(ev.ReviewDecided(by="system", review=review, outcome="return", votes=tuple(votes)))


def digest_in_force_of(bureau: Bureau) -> str:
    with reading(bureau.services.register.engine) as connection:
        return digest_in_force(connection, bureau.services.settings)


def _bytes(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
