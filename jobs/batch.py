"""Many SQL queries priced together: each one's share of one loss, and the quote of each at its share. Nothing is read, spent or logged.

Nothing is reserved for all at once: each is submitted as a job of its own at the privacy given here, and charged by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobs import quote, verdicts
from jobs.kinds.sql import SqlRequest
from jobs.office import Office
from jobs.order import Order
from jobs.quote import Quoted
from policies.loss import Loss
from policies.problem import Problem
from sandbox.plan.ask import Privacy
from sandbox.plan.batch import provisional, shares
from sandbox.plan.compile import compile_job


@dataclass(frozen=True, slots=True)
class Entry:
    """One query: what it may spend and its quote at that, or why it cannot be asked. Queries that cannot be asked get no share."""

    privacy: Privacy | None
    quoted: Quoted | None
    problem: Problem | None


def check(office: Office, orders: Sequence[Order], privacy: Privacy) -> tuple[list[Entry], Loss]:
    """Entries in order, and what all of them that can be asked cost together. The privacy that each order names itself is not looked at."""
    catalogue = office.register.catalogue()
    entries: list[Entry | None] = []
    plans = []
    for order in orders:
        try:
            verdicts.may_ask(office, order)
            asked = _sql(order)
            plans.append(compile_job(asked.sql, catalogue, provisional(asked.ask, privacy)))
            entries.append(None)
        except Problem as problem:
            entries.append(Entry(None, None, problem))
    given = iter(shares(plans, privacy))
    made = [entry if entry is not None else _quoted(office, order, next(given)) for order, entry in zip(orders, entries, strict=True)]
    whole = Loss(0, 0)
    for entry in made:
        whole = whole + (Loss(0, 0) if entry.quoted is None else entry.quoted.plan.loss)
    return made, whole


def _quoted(office: Office, order: Order, privacy: Privacy) -> Entry:
    try:
        request = _sql(order)
        asked = replace(order, request=replace(request, ask=request.ask.model_copy(update={"privacy": privacy})))
        return Entry(privacy, quote.check(office, asked), None)
    except Problem as problem:
        return Entry(privacy, None, problem)


def _sql(order: Order) -> SqlRequest:
    if not isinstance(order.request, SqlRequest):
        raise TypeError("queries are priced together")
    return order.request
