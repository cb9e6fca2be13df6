"""Rises of a lifetime total that were proposed, and what became of each. Reading only."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.events import CapRaised, CapRaiseProposed, Recorded
from jobs.register import Register
from policies.loss import Loss

PAGE = 1000


@dataclass(frozen=True, slots=True)
class CapProposal:
    """`entry` is what the second person names. `raised_by` None: nobody has confirmed it."""

    entry: int
    account: str
    cap: Loss
    reason: str
    by: str
    at: str
    raised_by: str | None = None
    raised_at: str | None = None


def cap_proposals(register: Register, account: str) -> list[CapProposal]:
    """Newest first."""
    found: dict[int, CapProposal] = {}
    for recorded in _events(register):
        event = recorded.event
        if isinstance(event, CapRaiseProposed) and event.account == account:
            found[recorded.index] = CapProposal(recorded.index, account, event.cap.loss, event.reason, event.by, recorded.at)
        elif isinstance(event, CapRaised) and event.proposal in found:
            first = found[event.proposal]
            found[event.proposal] = CapProposal(
                first.entry, account, first.cap, first.reason, first.by, first.at, raised_by=event.by, raised_at=recorded.at
            )
    return [found[entry] for entry in sorted(found, reverse=True)]


def _events(register: Register) -> list[Recorded]:
    found: list[Recorded] = []
    while True:
        page = register.events(found[-1].index if found else -1, PAGE, (CapRaiseProposed.kind, CapRaised.kind))
        found += page
        if len(page) < PAGE:
            return found
