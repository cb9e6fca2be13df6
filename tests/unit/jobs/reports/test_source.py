"""Entries of some kinds come by position, from the index, without sorting and without looking through the log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, insert, select, text

from infra.database import open_engine
from infra.tables import entries
from jobs.reports import source
from jobs.reports.source import OF_KIND, Source

ROWS = 20_000
RARE = ("freeze_set", "alert_closed", "cap_raised")


def kind_of(position: int) -> str:
    return RARE[position // 1_999 % 3] if position % 1_999 == 7 else ("job_spent", "job_staged")[position % 2]


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = open_engine(database_url)
    with engine.begin() as filling:
        rows = [{"position": at, "kind": kind_of(at), "body": b'{"at": "2026-01-01T00:00:00Z"}', "leaf": b"\0" * 32} for at in range(ROWS)]
        filling.execute(insert(entries), rows)
        filling.execute(text("ANALYZE"))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.mark.parametrize("page", [3, 2_000])
def test_entries_of_several_kinds_come_in_order(connection: Connection, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PAGE", page)
    some = object.__new__(Source)  # of a log that has no tree
    some.connection, some.size = connection, ROWS - 100
    for kinds in (RARE, (*RARE, "job_spent"), ("cap_raised",), ("cap_raised", "cap_raised")):
        wanted = select(entries.c.position, entries.c.kind).where(entries.c.kind.in_(kinds), entries.c.position >= ROWS - 4_100)
        there = [(row.position, row.kind) for row in connection.execute(wanted.order_by(entries.c.position))]
        assert there
        assert [(entry.index, entry.kind) for entry in some.since(ROWS - 4_100, *kinds)] == there
        found = [(entry.index, entry.kind) for entry in some.entries(kinds, ROWS - 4_100, ROWS - 200)]
        assert found == [(position, kind) for position, kind in there if position < ROWS - 200]
        assert list(some.entries(kinds, ROWS - 4_100))[-1].index < some.size


def test_the_index_has_a_rare_kind_in_order(connection: Connection) -> None:
    sql, given = OF_KIND.on(connection.dialect)
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    values = given({"kind_": "cap_raised", "start": 100, "end": ROWS, "most": 50})
    plan = "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {sql}", values))
    assert "ix_entries_kind_position" in plan, plan
    assert not [word for word in ("TEMP B-TREE", "SCAN entries", "Sort", "Seq Scan", "Filter") if word in plan], plan
