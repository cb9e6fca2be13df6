"""Budgets by period: what a plan is charged for is all that it reads, and what it leaves out could not have mattered.

Rows go into real vaults and are read as a job reads them. Two claims, for every query: rows of periods that the plan's windows leave out change
nothing at all, whatever they are (soundness of the accounts); and the totals are those of the same query over all rows, read without
windows (the plan means what the query says). A third: taking out one person and one period moves totals no further than the bounds.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.vault import Vault
from infra.workers import InlineWorkers
from policies.catalogue import Block, Bounds, Catalogue, Column, Dataset, Snapshot, Window
from policies.catalogue.blocks import label_of, period_of
from policies.problem import Problem
from sandbox.plan import compile_job
from sandbox.plan.ask import Ask, Privacy
from sandbox.plan.exact import compile_exact
from sandbox.plan.model import Part, Plan
from sandbox.plan.synthesise import compile_synthetic
from sandbox.plan.synthetic import Recipe
from sandbox.raw.blocks import groups
from sandbox.raw.ingest import ingest
from sandbox.raw.marginals import exact_marginals
from sandbox.raw.run import Source, check_plan, decrypted, exact_totals, sources_of
from tests.conftest import MASTER_KEY
from tests.visits import CITIES, column, dataset

LOW, HIGH = date(2025, 11, 15), date(2026, 4, 10)
DATES = {"nullable": False, "low": LOW, "high": HIGH}


def _columns(kind: str, unit: str) -> tuple[Column, ...]:
    return (
        column("pid", unit, uses=("join", "distinct")),
        column("city", "text", domain=CITIES),
        column("day", kind, **DATES),
        column("fee", "decimal", decimals=2, low=Decimal(0), high=Decimal(90)),
        column("paid", "date"),
    )


def declared(name: str, kind: str = "date", unit: str = "integer") -> Dataset:
    made = dataset(_columns(kind, unit), unit="pid", rows=4, name=name)
    owner = made.unit
    assert owner is not None
    data = dict(made) | {"unit": owner.model_copy(update={"pseudonym": True}), "block": Block(column="day", period="month")}
    return Dataset.model_validate(data | {"bounds": Bounds(groups_per_unit=2, rows_per_group=2)})


Row = tuple[Any, ...]
EDGES = [datetime.fromisoformat(text) for text in ("2026-01-31T23:59:59.999999", "2026-02-01", "2026-02-28T23:59:59", "2026-03-01")]


def rows_of(rng: random.Random, kind: str, count: int = 150) -> list[Row]:
    """Of few persons over all months, days at the edges of months more often than not."""
    found = []
    for _ in range(count):
        day = datetime.fromisoformat(LOW.isoformat()) + timedelta(minutes=rng.randrange(((HIGH - LOW).days + 1) * 1440))
        day = rng.choice([day, *EDGES])
        found.append(
            (
                rng.randrange(1, 9),
                rng.choice([*CITIES, None]),
                day.date() if kind == "date" else day,
                Decimal(rng.randrange(9001)) / 100,
                rng.choice([None, (day + timedelta(days=rng.randrange(90))).date()]),
            )
        )
    return found


class Store:
    """Rows into a vault, as a steward would, and the plan's exact totals out of it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._made = folder, 0

    def put(self, datasets: Mapping[str, tuple[Dataset, Sequence[Row]]]) -> tuple[Vault, Catalogue]:
        self._made += 1
        self._folder.mkdir(exist_ok=True)
        vault = Vault(self._folder / str(self._made), MASTER_KEY)
        return vault, Catalogue(tuple(self._ingested(vault, one, rows) for one, rows in datasets.values()))

    def _ingested(self, vault: Vault, one: Dataset, rows: Sequence[Row]) -> Snapshot:
        kinds = {
            "integer": pa.int64(),
            "text": pa.string(),
            "date": pa.date32(),
            "timestamp": pa.timestamp("us"),
            "decimal": pa.decimal128(6, 2),
        }
        texts = one.columns[0].type == "text"
        lists = list(zip(*((str(row[0]) if texts else row[0], *row[1:]) for row in rows), strict=True)) or [()] * len(one.columns)
        table = pa.table({c.name: pa.array(values, kinds[c.type]) for c, values in zip(one.columns, lists, strict=True)})
        path = self._folder / f"{one.name}-{self._made}.parquet"
        pq.write_table(table, path)
        report = ingest(one, [path], vault, version=1, catalogue_public=Catalogue(()), random=os.urandom, shard_rows=1)
        return report.snapshot


def totals(part: Part, vault: Vault) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    found, width = {}, len(part.keys)
    for row in exact_totals(part, vault, InlineWorkers(2**20), 9).table.to_pylist():
        values = tuple(row.values())
        shown = tuple(value if not isinstance(value, list) else Counter({it["bin"]: it["n"] for it in value}) for value in values[width:])
        found[values[:width]] = shown
    return {key: values for key, values in found.items() if any(values)}


def planned(sql: str, catalogue: Catalogue) -> Plan:
    plan = compile_job(sql, catalogue, Ask(privacy=Privacy(epsilon=Decimal(1))))
    check_plan(plan)  # DuckDB reads it as the plan says
    return plan


def charged(plan: Plan) -> set[str]:
    return {label for scan in plan.scans if scan.window is not None for label in scan.window.labels}


ALL = ("2025-11", "2025-12", "2026-01", "2026-02", "2026-03", "2026-04")
FEB = ("2026-02",)
FROM_FEB = ("2026-02", "2026-03", "2026-04")
# what is asked of the block column, and the periods it is charged to; of time stamps other ones where they differ
WHERE: dict[str, tuple[tuple[str, ...], tuple[str, ...] | None]] = {
    "TRUE": (ALL, None),
    "day >= DATE '2026-02-01' AND day <= DATE '2026-02-28'": (FEB, None),
    "day BETWEEN DATE '2026-02-01' AND DATE '2026-02-28'": (FEB, None),
    "day >= DATE '2026-02-01' AND day < DATE '2026-03-01'": (FEB, None),
    "day > DATE '2026-01-31' AND day < DATE '2026-03-01'": (FEB, ("2026-01", "2026-02")),
    "DATE '2026-02-01' <= day AND DATE '2026-03-01' > day": (FEB, None),
    "day >= TIMESTAMP '2026-02-01 00:00:00' AND day < TIMESTAMP '2026-03-01 00:00:00'": (FEB, None),
    "day = DATE '2026-02-01'": (FEB, None),
    "day IN (DATE '2026-01-31', DATE '2026-03-01')": (("2026-01", "2026-02", "2026-03"), None),
    "CAST(day AS DATE) = DATE '2026-02-28'": (FEB, None),
    "NOT (day < DATE '2026-02-01')": (FROM_FEB, ALL),
    "day >= DATE '2026-02-01' OR fee > 80": (ALL, None),
    "day >= DATE '2026-02-01' OR day < DATE '2025-11-20'": (ALL, None),
    "(day = DATE '2026-02-01' OR day = DATE '2026-02-27') AND fee > 3": (FEB, None),
    "CASE WHEN fee > 40 THEN day >= DATE '2026-02-01' ELSE TRUE END": (ALL, None),
    "CASE WHEN day >= DATE '2026-02-01' THEN TRUE ELSE FALSE END": (FROM_FEB, ALL),
    "coalesce(day, paid) >= DATE '2026-02-01'": (ALL, None),
    "paid >= DATE '2026-02-01'": (ALL, None),
    "day >= paid": (ALL, None),
    "day >= day": (ALL, None),
    "year(day) = 2026 AND month(day) = 2": (FEB, ALL),
    "date_trunc('month', day) = DATE '2026-02-01'": (FEB, ALL),
    "day + INTERVAL 1 DAY >= DATE '2026-02-01'": (ALL, None),
    "day IS NULL": (("2025-11",), ALL),
    "day > DATE '2030-01-01'": (("2025-11",), None),
    "(day >= DATE '2026-02-01') IS NOT FALSE": (FROM_FEB, ALL),
}
ONE_TABLE = "SELECT city, COUNT(*) AS n, SUM(fee) AS s FROM visits WHERE {} GROUP BY city"
# how a condition may be put round about, and how many tables there are; {w} is a condition on February
FEBRUARY = "day >= DATE '2026-02-01' AND day < DATE '2026-03-01'"
SHAPES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (f"SELECT COUNT(*) AS n FROM (SELECT * FROM visits) AS t WHERE {FEBRUARY}", FEB),
    (f"WITH t AS (SELECT city, day AS d, fee FROM visits) SELECT city, COUNT(*) AS n FROM t WHERE {FEBRUARY.replace('day', 'd')} GROUP BY city", FEB),  # noqa: E501  # one query a line
    (f"WITH a AS (SELECT * FROM visits WHERE {FEBRUARY}), b AS (SELECT * FROM visits) SELECT COUNT(*) AS n FROM b", ALL),
    (f"SELECT COUNT(*) AS n FROM visits v JOIN labs l ON v.pid = l.pid WHERE v.{FEBRUARY.replace('AND day', 'AND v.day')}", FEB),
    ("SELECT SUM(l.fee) AS s FROM visits v JOIN labs l ON v.pid = l.pid AND l.day < DATE '2026-01-01' WHERE v.day >= DATE '2025-12-05'", ("2025-12",)),  # noqa: E501  # one query a line
    ("SELECT SUM(l.fee) AS s FROM visits v LEFT JOIN labs l ON v.pid = l.pid AND l.day >= DATE '2026-02-01'", ALL),
    ("SELECT COUNT(*) AS n FROM visits v LEFT JOIN labs l ON v.pid = l.pid WHERE l.day IS NULL OR l.day < DATE '2026-01-01'", ALL),
    ("SELECT COUNT(*) AS n FROM visits v ANTI JOIN labs l ON v.pid = l.pid AND l.day >= DATE '2026-02-01'", ALL),
    (f"SELECT COUNT(*) AS n FROM visits v SEMI JOIN labs l ON v.pid = l.pid AND l.{FEBRUARY.replace('AND day', 'AND l.day')}", FEB),
    (f"SELECT COUNT(*) AS n FROM visits WHERE pid IN (SELECT pid FROM labs WHERE {FEBRUARY})", FEB),
    (f"SELECT COUNT(*) AS n FROM visits v WHERE NOT EXISTS (SELECT 1 FROM labs l WHERE l.pid = v.pid AND l.{FEBRUARY.replace('AND day', 'AND l.day')})", ALL),  # noqa: E501  # one query a line
    (f"SELECT COUNT(*) AS n FROM (SELECT pid, fee FROM visits WHERE {FEBRUARY} UNION ALL SELECT pid, fee FROM labs WHERE day < DATE '2026-01-01') AS t", ALL[:4]),  # noqa: E501  # one query a line
    ("SELECT COUNT(*) AS n FROM (SELECT pid, day FROM visits UNION ALL SELECT pid, paid FROM labs) AS t WHERE day >= DATE '2026-02-01'", ALL),
    (f"SELECT SUM(n) AS s FROM (SELECT pid, city, COUNT(*) AS n FROM visits WHERE {FEBRUARY} GROUP BY pid, city) AS t WHERE n > 1", FEB),
    ("SELECT SUM(n) AS s FROM (SELECT pid, day, COUNT(*) AS n FROM visits GROUP BY pid, day) AS t WHERE day >= DATE '2026-02-01'", FROM_FEB),
    ("SELECT SUM(n) AS s FROM (SELECT pid, MIN(day) AS day, COUNT(*) AS n FROM visits GROUP BY pid) AS t WHERE day >= DATE '2026-02-01'", ALL),
    ("SELECT COUNT(*) AS n FROM (SELECT day, ROW_NUMBER() OVER (PARTITION BY pid ORDER BY day, fee) AS r FROM visits) AS t WHERE r = 1 AND day >= DATE '2026-02-01'", FROM_FEB),  # noqa: E501  # one query a line
    ("SELECT COUNT(*) FILTER (WHERE day >= DATE '2026-02-01') AS n FROM visits", ALL),
    (f"SELECT (SELECT COUNT(*) FROM labs l WHERE l.{FEBRUARY.replace('AND day', 'AND l.day')}) AS a, COUNT(*) AS n FROM visits WHERE day < DATE '2025-12-01'", ("2025-11", "2026-02")),  # noqa: E501  # one query a line
)  # fmt: skip


def elsewhere(rows: Sequence[Row], kept: set[str], rng: random.Random, kind: str) -> list[Row]:
    """The rows of these periods, and others in all other periods."""
    inside = [row for row in rows if label_of("month", period_of("month", row[2])) in kept]
    return inside + [row for row in rows_of(rng, kind, 90) if label_of("month", period_of("month", row[2])) not in kept]


def whole(part: Part, catalogue: Catalogue) -> Part:
    """The part as it would be if it read everything."""
    scans = []
    for scan in part.scans:
        scans.append(scan if scan.window is None else replace(scan, window=catalogue[scan.dataset].dataset.periods))
    return replace(part, scans=tuple(scans))


class Held:
    """Both claims about plans over some rows, each part by its own windows. One other store for each set of periods."""

    def __init__(self, store: Store, kind: str, given: dict[str, tuple[Dataset, Sequence[Row]]]) -> None:
        self._store, self._kind, self._given = store, kind, given
        self.vault, self.catalogue = store.put(given)
        self._others: dict[frozenset[str], Vault] = {}

    def _other(self, kept: set[str]) -> Vault:
        if frozenset(kept) not in self._others:
            rng = random.Random(len(self._others))
            given = {name: (one, elsewhere(rows, kept, rng, self._kind)) for name, (one, rows) in self._given.items()}
            self._others[frozenset(kept)] = self._store.put(given)[0]
        return self._others[frozenset(kept)]

    def hold(self, plan: Plan) -> int:
        """Returns how many totals there were."""
        other, seen = self._other(charged(plan)), 0
        for part in plan.parts:
            if part.reads:  # of what an earlier part released: a function of that part
                continue
            here = totals(part, self.vault)
            assert here == totals(whole(part, self.catalogue), self.vault), f"rows that were left out would have counted: {plan.query}"
            moved = replace(part, scans=tuple(replace(scan, digest=other.open(scan.dataset, 1).digest) for scan in part.scans))
            assert here == totals(moved, other), f"rows of periods that are not charged counted: {plan.query}"
            seen += len(here)
        return seen


@pytest.mark.parametrize("kind", ["date", "timestamp"])
def test_conditions_on_the_block_column(kind: str, tmp_path: Path) -> None:
    unit = "text" if kind == "date" else "integer"
    held = Held(Store(tmp_path), kind, {"visits": (declared("visits", kind, unit), rows_of(random.Random(7), kind))})
    seen = 0
    for where, (dates, stamps) in WHERE.items():
        plan = planned(ONE_TABLE.format(where), held.catalogue)
        assert charged(plan) == set(dates if kind == "date" or stamps is None else stamps), where
        seen += held.hold(plan)
    assert seen > 2 * len(WHERE)


@pytest.mark.parametrize("kind", ["date", "timestamp"])
def test_queries_of_several_blocks(kind: str, tmp_path: Path) -> None:
    """Joins, subqueries, unions, groups and windows: a period is charged whenever a row of it could matter anywhere."""
    rng = random.Random(11)
    held = Held(Store(tmp_path), kind, {name: (declared(name, kind), rows_of(rng, kind)) for name in ("visits", "labs")})
    seen = 0
    for sql, periods in SHAPES:
        plan = planned(sql, held.catalogue)
        assert charged(plan) == set(periods), sql
        seen += held.hold(plan)
    assert seen >= len(SHAPES) - 2


def test_one_person_and_one_period_move_totals_within_bounds(tmp_path: Path) -> None:
    """Without the rows of one person in one month: at most two keys change, and no other month's answer at all."""
    rng, store = random.Random(3), Store(tmp_path)
    rows = rows_of(rng, "date")
    vault, catalogue = store.put({"visits": (declared("visits"), rows)})
    person, month = rows[0][0], period_of("month", rows[0][2])
    kept = [row for row in rows if (row[0], period_of("month", row[2])) != (person, month)]
    without, _ = store.put({"visits": (declared("visits"), kept)})
    assert any(row[0] == person for row in kept), "the person has rows in other months"
    changed = 0
    for label, number in zip(ALL, range(2025 * 12 + 10, 2026 * 12 + 4), strict=True):
        window = Window("day", "month", number, number)
        where = f"day BETWEEN DATE '{max(window.low, LOW)}' AND DATE '{window.high}'"
        (part,) = planned(ONE_TABLE.format(where), catalogue).parts
        before = totals(part, vault)
        after = totals(replace(part, scans=tuple(replace(scan, digest=without.open("visits", 1).digest) for scan in part.scans)), without)
        moved = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert not moved or number == month, label
        assert len(moved) <= part.groups_per_unit
        for key in moved:
            for total, one, other in zip(part.totals, before.get(key, (0, 0)), after.get(key, (0, 0)), strict=True):
                assert abs(one - other) <= total.cap
        changed += len(moved)
    assert changed


def test_the_unit_is_a_person_and_a_period(tmp_path: Path) -> None:
    """One person in three months is three units, in one month one; codes of two tables agree, and say nothing of who is the same."""
    days = [date(2026, 1, 1), date(2026, 1, 31), date(2026, 2, 1), date(2026, 3, 31)]
    rows = [(1, CITIES[0], day, Decimal(1), None) for day in days]
    for kind in ("integer", "text"):
        vault, catalogue = Store(tmp_path / kind).put({name: (declared(name, unit=kind), rows) for name in ("visits", "labs")})
        read = {name: vault.open(name, 1) for name in ("visits", "labs")}
        codes = {name: {(r["day"], r["pid"]) for p in v.parts for r in p.read(["pid", "day"]).to_pylist()} for name, v in read.items()}
        assert codes["visits"] == codes["labs"]
        assert len({code for _, code in codes["visits"]}) == 3
        assert {code for day, code in codes["visits"] if day in days[:2]} != {1}
        (part,) = planned("SELECT COUNT(DISTINCT pid) AS n FROM visits", catalogue).parts
        assert totals(part, vault) == {(): (3,)}


def test_spaces_do_not_mix_and_exact_tables_are_refused(tmp_path: Path) -> None:
    plain = dataset(_columns("date", "integer"), unit="pid", name="people", pseudonym=True)
    catalogue = Catalogue(tuple(Snapshot(dataset=one, version=1, digest="0" * 64) for one in (plain, declared("visits"))))
    with pytest.raises(Problem) as raised:
        planned("SELECT COUNT(*) AS n FROM visits v JOIN people p ON v.pid = p.pid", catalogue)
    assert raised.value.code == "plan_unit_spaces"
    with pytest.raises(Problem) as raised:
        compile_exact("SELECT city, COUNT(*) AS n FROM visits GROUP BY city", catalogue)
    assert raised.value.code == "plan_exact_periods"


@pytest.mark.parametrize("kind", ["date", "timestamp"])
def test_a_window_is_held_whatever_is_asked(kind: str, tmp_path: Path) -> None:
    """Were the window worked out too narrow, rows outside of it would still not be read: by SQL, by a kernel, by what synthetic tables and
    programs read, the totals are those of a vault that has rows of February alone."""
    rng, store = random.Random(5), Store(tmp_path)
    rows = {name: rows_of(rng, kind) for name in ("visits", "labs")}
    entries = {name: declared(name, kind) for name in rows}
    vault, catalogue = store.put({name: (entries[name], rows[name]) for name in rows})
    february = {name: [row for row in rows[name] if label_of("month", period_of("month", row[2])) in FEB] for name in rows}
    alone, _ = store.put({name: (entries[name], february[name]) for name in rows})
    window = Window("day", "month", 2026 * 12 + 1, 2026 * 12 + 1)
    for sql in (
        "SELECT city, COUNT(*) AS n, SUM(fee) AS s FROM visits GROUP BY city",
        "SELECT COUNT(*) AS n, SUM(fee) AS s FROM visits",
        "SELECT city, COUNT(DISTINCT paid) AS n FROM visits GROUP BY city",
        "SELECT COUNT(*) AS n FROM visits v LEFT JOIN labs l ON v.pid = l.pid AND l.fee > v.fee",
    ):
        (part,) = planned(sql, catalogue).parts
        narrow = replace(part, scans=tuple(replace(scan, window=window) for scan in part.scans))
        there = replace(part, scans=tuple(replace(scan, digest=alone.open(scan.dataset, 1).digest) for scan in part.scans))
        found = totals(narrow, vault)
        assert found == totals(there, alone)
        assert found != totals(part, vault)

    made = compile_synthetic(Recipe.model_validate({"dataset": "visits", "columns": ["city"], "privacy": {"rho": "1"}}), catalogue)
    assert made.scan.window == entries["visits"].periods
    counts = exact_marginals(replace(made, scan=replace(made.scan, window=window)), vault, InlineWorkers(2**20), 9)
    scan = replace(made.scan, digest=alone.open("visits", 1).digest)
    assert counts.table.equals(exact_marginals(replace(made, scan=scan), alone, InlineWorkers(2**20), 9).table)

    scans = [replace(scan, window=window) for scan in part.scans]
    read = [*sources_of(scans, vault), *(group.sources for group in groups(scans, 2, vault))]
    assert read
    for sources in read:
        for source in sources:
            assert source.window == window
            assert {label_of("month", period_of("month", day)) for day in _days(source)} <= set(FEB)


def _days(source: Source) -> list[date]:
    whole = replace(source, columns=("pid", "day"))
    return [day if type(day) is date else day.date() for day in decrypted(whole, 2**20).column("day").to_pylist()]


def test_a_scan_of_units_and_periods_says_which_periods(tmp_path: Path) -> None:
    """So that nobody reads such data without an account for what is read, nor has a window of what has no periods."""
    _, catalogue = Store(tmp_path).put({"visits": (declared("visits"), rows_of(random.Random(1), "date", 5))})
    ((scan,),) = (part.scans for part in planned("SELECT COUNT(*) AS n FROM visits", catalogue).parts)
    for changes in ({"window": None}, {"space": "person"}):
        with pytest.raises(ValueError, match="period"):
            replace(scan, **changes)
