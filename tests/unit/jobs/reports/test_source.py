"""Entries of some kinds come by position, from the index, without sorting and without looking through the log."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, func, insert, select, text

from infra.database import open_engine
from infra.prepared import Prepared
from infra.tables import entries
from jobs.events import rfc3339
from jobs.reports import source
from jobs.reports.source import Source, of_kinds

ROWS = 20_000
RARE = ("freeze_set", "alert_closed", "cap_raised")


def kind_of(position: int) -> str:
    return RARE[position // 1_999 % 3] if position % 1_999 == 7 else ("job_spent", "job_staged")[position % 2]


def time_of(position: int) -> str:
    """Three entries to a second."""
    return rfc3339(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=position // 3))


def of_no_tree(connection: Connection) -> Source:
    some = object.__new__(Source)
    some.connection, some.size, some._times, some._there = connection, ROWS - 100, {}, None
    return some


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = open_engine(database_url)
    with engine.begin() as filling:
        said = [json.dumps({"at": time_of(at)}).encode() for at in range(ROWS)]
        rows = [{"position": at, "kind": kind_of(at), "body": said[at], "leaf": b"\0" * 32} for at in range(ROWS)]
        filling.execute(insert(entries), rows)
        filling.execute(text("ANALYZE"))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.mark.parametrize("page", [3, 2_000])
def test_entries_of_several_kinds_come_in_order(connection: Connection, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PAGE", page)
    some = of_no_tree(connection)
    for kinds in (RARE, (*RARE, "job_spent"), ("cap_raised",), ("cap_raised", "cap_raised")):
        wanted = select(entries.c.position, entries.c.kind).where(entries.c.kind.in_(kinds), entries.c.position >= ROWS - 4_100)
        there = [(row.position, row.kind) for row in connection.execute(wanted.order_by(entries.c.position))]
        assert there
        assert [(entry.index, entry.kind) for entry in some.since(ROWS - 4_100, *kinds)] == there
        found = [(entry.index, entry.kind) for entry in some.entries(kinds, ROWS - 4_100, ROWS - 200)]
        assert found == [(position, kind) for position, kind in there if position < ROWS - 200]
        assert list(some.entries(kinds, ROWS - 4_100))[-1].index < some.size


def test_kinds_are_asked_for_where_they_are_and_nowhere_else(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(count: int) -> Prepared:
        asked.append(count)
        return of_kinds(count)

    monkeypatch.setattr(source, "of_kinds", counted)
    every = connection.execute(select(entries.c.position, entries.c.kind).order_by(entries.c.position)).all()
    spans = {kind: [row.position for row in every if row.kind == kind] for kind in RARE}
    assert all(spans.values())
    some = of_no_tree(connection)
    for kind, places in spans.items():
        first, last = places[0], places[-1]
        for start, end in ((0, first), (0, first + 1), (first, first + 1), (first + 1, ROWS), (last, ROWS), (last + 1, ROWS), (first, last)):
            asked.clear()
            wanted = [place for place in places if start <= place < min(end, some.size)]
            assert [entry.index for entry in some.entries((kind, "never_happened"), start, end)] == wanted
            assert len(asked) <= 1, "one page"
            assert asked or not wanted
            assert not asked or (first < min(end, some.size) and start <= last)


def test_the_index_says_which_kinds_there_are(connection: Connection) -> None:
    sql, given = source._KINDS_THERE.on(connection.dialect)
    found = {kind: (first, last) for kind, first, last in connection.exec_driver_sql(sql, given({}))}
    every = select(entries.c.kind, func.min(entries.c.position), func.max(entries.c.position)).group_by(entries.c.kind)
    assert found == {kind: (first, last) for kind, first, last in connection.execute(every)}
    plan = "\n".join(
        str(row[-1]) for row in connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' * (connection.dialect.name == 'sqlite')}{sql}", given({}))
    )
    assert not [word for word in ("SCAN entries", "Seq Scan on entries") if word in plan], plan


@pytest.mark.parametrize("kinds", [RARE[:1], RARE])
def test_the_index_has_kinds_in_order(connection: Connection, kinds: tuple[str, ...]) -> None:
    sql, given = of_kinds(len(kinds)).on(connection.dialect)
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    values = given({**{f"kind_{number}": kind for number, kind in enumerate(kinds)}, "start": 100, "end": ROWS, "most": 50})
    plan = "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {sql}", values))
    assert plan.count("ix_entries_kind_position") == len(kinds), plan
    assert not [word for word in ("TEMP B-TREE", "SCAN entries", "Sort  (", "Seq Scan", "Filter") if word in plan], plan


def test_a_moment_is_found_wherever_it_lies(connection: Connection) -> None:
    some = of_no_tree(connection)
    every = [time_of(position) for position in range(ROWS)]
    some.at = every[some.size - 1]
    for moment in (*every[:3], *every[:: ROWS // 7], *every[-103:-98], "2025-12-31T00:00:00.000000Z", f"{every[500]}~", "2027"):
        assert some.first_at(moment) == bisect_left(every, moment, 0, some.size), moment
    assert some.at_of(5).isoformat() == "2026-01-01T00:00:01+00:00"
