"""What a job would cost and how exact it would be, and the job on invented rows: both free, both read nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from infra.database import reading
from jobs import admission, hops, ledger, verdicts
from jobs.directory import licence as licence_held
from jobs.events import rfc3339
from jobs.fees import FeeQuote, quoted
from jobs.kinds import Work, kind_of
from jobs.ledger import Balance
from jobs.office import Office
from jobs.order import Order, accounts_named
from jobs.slots import Slots
from jobs.units import with_unit
from policies.catalogue import Bounds, Catalogue, Column, Dataset, Share, Snapshot, Title, Unit
from policies.problem import Problem
from sandbox.dummy import dummy_answer
from sandbox.finish.finish import Released
from sandbox.finish.finish import check as check_finish
from sandbox.finish.formats import encode
from sandbox.noise.chain import check as check_price
from sandbox.plan.ask import Ask, Privacy
from sandbox.plan.compile import compile_job
from sandbox.raw.verify import check_plan


@dataclass(frozen=True, slots=True)
class Quoted:
    """`accounts` are all that the price would be charged to, as they are now; nothing is charged when `answered`. `fee` None: nothing is due,
    for want of a tariff or because it is `answered`."""

    plan: Work
    answered: bool
    slot_ms: int
    accounts: tuple[Balance, ...]
    explanation: dict[str, Any]
    fee: FeeQuote | None


def check(office: Office, order: Order) -> Quoted:
    """Price and expected error, or every refusal the real run would meet. Nothing is read, spent or logged."""
    plan, catalogue = _planned(office, order)
    answered = hops.released_before(office, admission.question_of(plan)) is not None
    names = accounts_named(plan, order)
    refusals: list[Problem] = []
    asks: tuple[Callable[[], object], ...] = (
        lambda: verdicts.may_compute(office, order, plan, catalogue),
        lambda: _quota(office, order, answered),
        lambda: _room(office, names, plan, answered),
    )
    for ask in asks:
        try:
            ask()
        except Problem as problem:
            refusals.append(problem)
    if refusals:
        parts = tuple(part for problem in refusals for part in (problem.parts or (problem,)))
        raise refusals[0].with_parts(parts) if len(refusals) > 1 else refusals[0]
    kind = kind_of(order)
    kind.check(plan)
    if not answered and (refusal := admission.unreadable(office, order, plan)) is not None:
        raise refusal
    slots = Slots(office.clock(), admission.slot_of(office.settings, order, plan, catalogue), office.settings.slots_ms)
    accounts = tuple(ledger.balances(office.register, names))
    slot_ms = 0 if answered else slots.rung_ms(slots.chosen)
    fee = None if answered else _fee(office, order, plan, slot_ms)
    return Quoted(plan, answered, slot_ms, accounts, with_unit(kind.explain(plan), plan, catalogue), fee)


def _fee(office: Office, order: Order, plan: Work, slot_ms: int) -> FeeQuote | None:
    with reading(office.register.engine) as connection:
        held = licence_held(connection, order.licence)
        if held is None:
            return None
        datasets = {scan.dataset for scan in plan.scans}
        at = rfc3339(office.clock())
        return quoted(connection, held.licence, scenario=order.scenario, slot_ms=slot_ms, loss=plan.loss, datasets=datasets, at=at)


def _quota(office: Office, order: Order, answered: bool) -> None:
    if not answered:
        with reading(office.register.engine) as connection:
            admission.require_quota(connection, order.licence, office.clock(), office.settings)


def _room(office: Office, names: tuple[str, ...], plan: Work, answered: bool) -> None:
    if not answered:
        with reading(office.register.engine) as connection:
            ledger.require_room(connection, names, plan.loss, office.clock())


def dummy(office: Office, order: Order) -> Released:
    """The same job on rows invented from the catalogue: right columns and types, values that mean nothing."""
    plan, catalogue = _planned(office, order)
    verdicts.may_compute(office, order, plan, catalogue)
    return kind_of(order).dummy(office, plan, catalogue)


def rehearse() -> None:
    """Everything a first job needs that takes long the first time – parser, policies, OpenDP, the finish's database – tried on nothing."""
    title = Title(zh="预热", en="rehearsal")
    columns = (Column(name="u", type="integer", title=title, uses=("filter",)), Column(name="k", type="integer", title=title, domain=(0, 1)))
    day = date(2026, 1, 1)
    dataset = Dataset(
        name="rehearsal",
        title=title,
        registration_no="-",
        source_body=title,
        acquired_on=day,
        updated_on=day,
        grade="general-1",
        share=Share(attribute="unconditional", reason=title, basis="-"),
        unit=Unit(column="u", space="rehearsal", title=title),
        bounds=Bounds(groups_per_unit=1, rows_per_group=1),
        approximate_rows=10,
        columns=columns,
    )
    catalogue = Catalogue((Snapshot(dataset=dataset, version=1, digest="0" * 64),))
    plan = compile_job("SELECT k, COUNT(*) AS n FROM rehearsal GROUP BY k", catalogue, Ask(privacy=Privacy(epsilon=Decimal(1))))
    check_price(plan)
    check_finish(plan)
    check_plan(plan)
    encode(dummy_answer(plan, catalogue).table, "parquet")


def _planned(office: Office, order: Order) -> tuple[Work, Catalogue]:
    verdicts.may_ask(office, order)
    catalogue = office.register.catalogue()
    return kind_of(order).compile(office, order.request, catalogue), catalogue
