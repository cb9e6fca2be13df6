"""What a running total would cost and how exact it would be, before anything is set: from public facts alone, free."""

from __future__ import annotations

from dataclasses import dataclass

from jobs import quote
from jobs.office import Office
from jobs.order import Order
from jobs.products.running import Given, Settled, asked, require_window, settled
from jobs.quote import Quoted


@dataclass(frozen=True, slots=True)
class RunningQuoted:
    """`plan` as it would be set; `first`: the quote of its first release."""

    plan: Settled
    first: Quoted


def quoted(office: Office, order: Order, given: Given) -> RunningQuoted:
    """Raises what setting it would, and every refusal that its first release would meet."""
    catalogue = office.register.catalogue()
    plan = settled(order, given, catalogue)
    first, _ = asked(plan.order, plan.running, 1, catalogue)
    found = quote.check(office, first)
    require_window(plan.running, 1, found.plan.scans)
    return RunningQuoted(plan, found)
