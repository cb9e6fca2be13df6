"""Lifetime totals, raised by two people."""

from __future__ import annotations

from infra.tables import CAP_LIMIT
from jobs import ledger
from jobs.acts.two import SECOND_PERSON, second_person
from jobs.events import (
    CapRaised,
    CapRaiseProposed,
    Cost,
)
from jobs.register import Act, Register
from policies.loss import Loss
from policies.problem import declare

CAP_NOT_RAISED = declare(
    "ledger_cap_not_raised",
    zh=("上限只能提高", "账户 {account} 的新上限必须不低于现上限，且至少一项更高、不超过系统上限。", "请核对数值；总量不得降低。"),
    en=(
        "A cap can only be raised",
        "The new cap of {account} must be no lower in either rho or delta, higher in at least one, and within the system's limit.",
        "Check the numbers; a lifetime total cannot be lowered.",
    ),
)


def propose_cap(register: Register, account: str, cap: Loss, *, reason: str, by: str) -> int:
    """The first of two people. Returns the index the second one names."""
    with register.transaction() as act:
        _raises(act, account, cap)
        return act.append(CapRaiseProposed(by=by, account=account, cap=Cost.of(cap), reason=reason))


def raise_cap(register: Register, account: str, cap: Loss, *, proposal: int, by: str) -> None:
    """The second person raises a lifetime cap, naming the proposal of the first."""
    with register.transaction() as act:
        _raises(act, account, cap)
        second_person(register, act, CapRaiseProposed(by=by, account=account, cap=Cost.of(cap), reason="-"), proposal)
        act.append(CapRaised(by=by, account=account, cap=Cost.of(cap), proposal=proposal))


def confirm_cap(register: Register, account: str, *, proposal: int, by: str) -> None:
    """The same, by the proposal alone: its cap is the one meant."""
    first = register.event(proposal).event
    if not isinstance(first, CapRaiseProposed) or first.account != account:
        raise SECOND_PERSON(act=CapRaiseProposed.kind, proposal=proposal)
    raise_cap(register, account, first.cap.loss, proposal=proposal, by=by)


def _raises(act: Act, account: str, cap: Loss) -> None:
    found = ledger.balances(act.connection, [account])
    if not found:
        raise ledger.LEDGER_ACCOUNT_UNKNOWN(account=account)
    if cap == found[0].cap or not cap.covers(found[0].cap) or max(cap.pico_rho, cap.atto_delta) > CAP_LIMIT:
        raise CAP_NOT_RAISED(account=account)
