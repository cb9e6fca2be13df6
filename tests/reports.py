"""Reports of a small house, and how tests read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jobs import acts
from jobs.acts.periods import close_period
from jobs.register import Register
from jobs.reports import Asked, Report, make
from jobs.reports.model import Table
from policies.period import Period
from tests.money import charging, deliver, publish, tariff, travel
from tests.small_register import title

NASTY = '<script>alert("冻结")</script>'
NEW_YEAR = datetime(2026, 12, 31, 16, tzinfo=UTC)  # midnight in China


def furnish(register: Register) -> None:
    """Two months of work under two licences, a period closed, a freeze, a revoked key."""
    acts.issue_key(register, "op-2", "operator", title=title("op-2"))
    acts.grant_licence(register, charging(tariff(), id="L-2", operator="op-2"))
    for number in range(4):
        publish(register, f"a{number}", rows=500)
    publish(register, "free", scenario="public-good", rows=5000)
    publish(register, "both", scenario="industry", datasets=("visits", "hospitals"))
    deliver(register, "r-both")
    travel(register, datetime(2026, 12, 3, tzinfo=UTC))
    publish(register, "later", rows=1500)
    acts.set_freeze(register, "operator", "op-1", reason=NASTY, by="li")
    close_period(register, Period.parse("2026-11"), by="li")
    travel(register, NEW_YEAR)
    acts.set_freeze(register, "licence", "L-2", reason="=1+1 明年", by="li")


def made(register: Register, kind: str, period: str | None = None, subject: str | None = None) -> Report:
    return make(register, Asked.of(kind, period, subject))


def table(report: Report, name: str) -> Table:
    return next(each for section in report.sections for each in section.tables if each.name == name)


def rows(report: Report, name: str) -> list[dict[str, Any]]:
    found = table(report, name)
    return [dict(zip([column.name for column in found.columns], row, strict=True)) for row in found.rows]


def facts(report: Report, section: str) -> dict[str, Any]:
    return {fact.title.en: fact.value for each in report.sections if each.name == section for fact in each.facts}
