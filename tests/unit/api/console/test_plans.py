"""Lists of what grows are read by index, in their own order: no page goes through a whole table, or sorts one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from infra.clock import system_clock
from jobs import lookup, outlook, reviews, statements
from jobs.lookup import Wanted
from jobs.register import Register
from jobs.reports import Asked, make
from policies.period import Period
from tests.small_register import Ticking, furnish, settings_in

GROWING = (
    "releases", "jobs", "entries", "charges", "charge_accounts", "openings", "metering", "deliveries", "fees", "fee_lines", "fee_shares",
    "reviews", "answered",
)  # fmt: skip
NOW = system_clock()
LISTS: dict[str, Callable[[Register], Any]] = {
    "jobs": lambda register: lookup.jobs_of(register, None, NOW),
    "jobs of an operator": lambda register: lookup.jobs_of(register, "op-1", NOW),
    "releases": lambda register: lookup.releases_of(register, NOW, Wanted(), before=10**6),
    "releases of an operator": lambda register: lookup.releases_of(register, NOW, Wanted(answered="op-1")),
    "releases of a licence": lambda register: lookup.releases_of(register, NOW, Wanted(licence="L-1")),
    "releases for a scenario": lambda register: lookup.releases_of(register, NOW, Wanted(scenario="city-health")),
    "events of a kind": lambda register: register.events(before=10**6, kinds=("release_published",)),
    "fees of an operator": lambda register: statements.fees_of(register, NOW, operator="op-1"),
    "statements": lambda register: statements.statements_of(register, Period.parse("2026-Q4"), NOW),
    "reviews": lambda register: reviews.reviews_of(register),
    "exact tables that left": lambda register: reviews.exact_counts(register, ["population:person"]),
    "an outlook": lambda register: _read(register, lambda connection: outlook.outlook(connection, "licence:L-1", NOW, 90)),
    "the house at a glance": lambda register: _read(register, lambda connection: outlook.glance(connection, NOW)),
}


def _read(register: Register, what: Callable[[Any], Any]) -> Any:
    with register.engine.connect() as connection:
        return what(connection)


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = Register.open(settings_in(tmp_path_factory.mktemp("plans") / "home"), clock=Ticking())
    furnish(made)
    yield made
    made.close()


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_walked_and_not_sorted(register: Register, name: str) -> None:
    assert whole(register, LISTS[name]) == []


@pytest.mark.parametrize("kind", ["disclosure", "usage", "revenue", "incident"])
def test_a_report_goes_through_no_whole_table(register: Register, kind: str) -> None:
    """What it sorts are entries of rare kinds."""
    found = whole(register, lambda given: make(given, Asked.of(kind, "2026", None)))
    assert [step for step in found if step.startswith("SCAN ")] == []


def whole(register: Register, ask: Callable[[Register], Any]) -> list[str]:
    """What the plans of a question's statements say of going through a table that grows, or sorting it."""
    ran: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        ran.append((statement, parameters))

    event.listen(register.engine, "before_cursor_execute", note)
    try:
        ask(register)
    finally:
        event.remove(register.engine, "before_cursor_execute", note)
    found = []
    with register.engine.connect() as connection:
        for statement, parameters in [each for each in ran if each[0].lstrip().upper().startswith("SELECT")]:
            steps = [str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            through = [step for step in steps if step.startswith("SCAN ") and step.split()[1] in GROWING and "USING" not in step]
            grows = any(word in GROWING for step in steps for word in step.split())
            found += through + [step for step in steps if "ORDER BY" in step and grows]
    return found


def test_a_table_that_is_read_whole_is_noticed(register: Register) -> None:
    from sqlalchemy import select

    from infra.tables import releases

    assert whole(register, lambda given: _read(given, lambda connection: connection.execute(select(releases)).all()))
    assert whole(
        register, lambda given: _read(given, lambda connection: connection.execute(select(releases).order_by(releases.c.question)).all())
    )
