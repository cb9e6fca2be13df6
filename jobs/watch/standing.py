"""Rules over how things stand: budgets, witnesses, the audit, reviews, freezes, cells. What they find stands until it is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from jobs.watch.facts import Audit, Budget, Cells, Cosigning, Due, Finding, newest, numbers, things
from jobs.watch.rules import Audited, Burn, Cosigned, Degraded, Exhaustion, Forecast, Frozen, Overdue
from policies.quota import period


def forecast(rule: Forecast, budget: Budget, now: datetime) -> list[Finding]:
    if budget.ends is None or budget.used * 100 < rule.percent or budget.used >= 1:
        return []
    left = (budget.ends - _day(now)).days
    if left > rule.days:
        return []
    return [_account(rule, budget, used_percent=int(budget.used * 100), ends=budget.ends.isoformat(), days=left)]


def exhaustion(rule: Exhaustion, budget: Budget) -> list[Finding]:
    return [] if budget.used * 100 < rule.percent else [_account(rule, budget, used_percent=int(budget.used * 100))]


def burn(rule: Burn, budget: Budget, now: datetime) -> list[Finding]:
    """An account that is younger than a week has no average day."""
    if budget.days < 7 or budget.today * 100 < rule.percent or budget.today < rule.factor * budget.daily:
        return []
    facts = {"today_percent": int(budget.today * 100), "usual_permille": int(budget.daily * 1000)}
    return [_account(rule, budget, subject=f"{budget.account}/{_day(now)}", least=1, **facts)]


def cosigned(rule: Cosigned, state: Cosigning, now: datetime) -> list[Finding]:
    if not state.witnesses or state.first is None or now - state.first < timedelta(hours=rule.lag_h):
        return []
    hours = int((now - state.first).total_seconds()) // 3600
    facts = numbers(entries=state.size, cosigned=state.cosigned, lag_h=hours, witnesses=state.witnesses)
    return [Finding(rule.id, rule.severity, "log", (), (state.cosigned,), facts)]


def audited(rule: Audited, audit: Audit | None) -> list[Finding]:
    if audit is None or not audit.codes:
        return []
    facts = numbers(findings=len(audit.codes), entries=audit.size, first=audit.codes[0])
    return [Finding(rule.id, rule.severity, "log", (), (), facts)]


def overdue(rule: Overdue, reviews: Sequence[Due], now: datetime) -> list[Finding]:
    late = [each for each in reviews if now - each.since > timedelta(hours=rule.late_h)]
    return [
        Finding(
            rule.id,
            rule.severity,
            each.id,
            things("review", [each.id]),
            newest([each.entry]),
            numbers(due=each.since.isoformat(timespec="seconds")),
        )
        for each in late
    ]


def frozen(rule: Frozen, freezes: Sequence[Due], now: datetime) -> list[Finding]:
    long = [each for each in freezes if now - each.since >= timedelta(days=rule.days)]
    facts = [numbers(since=each.since.isoformat(timespec="seconds"), days=(now - each.since).days) for each in long]
    return [
        Finding(rule.id, rule.severity, each.id, things("freeze", [each.id]), newest([each.entry]), told)
        for each, told in zip(long, facts, strict=True)
    ]


def degraded(rule: Degraded, cells: Cells | None) -> list[Finding]:
    if cells is None or not cells.missing:
        return []
    return [Finding(rule.id, rule.severity, "cells", (), (cells.entry,), numbers(missing=len(cells.missing), first=cells.missing[0]))]


def _account(rule: Forecast | Exhaustion | Burn, budget: Budget, *, subject: str = "", least: int = 0, **facts: object) -> Finding:
    kind, _, name = budget.account.partition(":")
    about = things("account", [budget.account])
    if kind == "licence":
        about += things("licence", [name])
    elif kind == "operator":
        about += things("principal", [name.partition("@")[0]])
    return Finding(rule.id, rule.severity, subject or budget.account, about, newest([budget.entry]), numbers(**facts), least)


def _day(now: datetime) -> date:
    return date.fromisoformat(period("day", now))
