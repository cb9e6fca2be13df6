"""A small catalogue to ask questions of, rows that fit it, and plans run in plain DuckDB: what tests of the SQL engine share.

Nothing here goes through the raw, noise or finish rooms, so that a test of plans does not depend on them.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from policies.catalogue import Bounds, Catalogue, Column, Dataset, Share, Snapshot, Title, Unit, Via
from sandbox.finish.finish import finish, view_tables
from sandbox.noise.draw import unnoised
from sandbox.noisy import NoisyTable
from sandbox.plan import compile_job
from sandbox.plan.ask import Ask, Privacy
from sandbox.plan.model import BINNED, Part, Plan, Total
from sandbox.raw.run import totals_of_tables
from tests.spec.cases import cases

Totals = dict[tuple[Any, ...], tuple[Any, ...]]  # by key: a number per total, or a Counter of bins
IDENTIFYING = ("filter", "join", "distinct")


def _title(text: str) -> Title:
    return Title(zh=text, en=text)


def column(name: str, type: str, low: object = None, high: object = None, **more: Any) -> Column:
    if type in ("integer", "decimal", "number"):
        low, high = (None if end is None else Decimal(str(end)) for end in (low, high))
    return Column.model_validate({"name": name, "type": type, "title": _title(name), "low": low, "high": high, **more})


def snapshot(
    name: str,
    columns: Sequence[Column],
    *,
    unit: str | None = None,
    space: str = "person",
    groups: int = 3,
    rows: int = 4,
    about: int = 10_000,
    via: Via | None = None,
    rows_per_unit: int | None = None,
) -> Snapshot:
    dataset = Dataset(
        name=name,
        title=_title(name),
        registration_no="SX-1",
        source_body=_title("卫生健康委员会"),
        acquired_on=date(2024, 1, 1),
        updated_on=date(2025, 1, 1),
        grade="general-2",
        share=Share(attribute="conditional", reason=_title("含个人信息"), basis="《办法》第十二条"),
        unit=None if unit is None else Unit(column=unit, space=space, title=_title("自然人"), via=via, type="integer" if via else None),
        bounds=None if unit is None else Bounds(groups_per_unit=groups, rows_per_group=rows, rows_per_unit=rows_per_unit),
        approximate_rows=about,
        columns=tuple(columns),
    )
    return Snapshot(dataset=dataset, version=1, digest=f"{len(name):064d}")


CITIES = ("太原", "大同", "o'Brien")
LEVELS = ("一级", "二级", "三级")
YEARS = (2020, 2021, 2022, 2023)

VISITS = (
    column("pid", "integer", uses=IDENTIFYING),
    column("city", "text", domain=CITIES),
    column("year", "integer", 2020, 2025, domain=YEARS),
    column("hospital", "integer"),
    column("dept", "integer", 1, 40),
    column("fee", "decimal", 0, 50_000, decimals=2),
    column("days", "integer", 0, 365),
    column("score", "number", -50, 600, decimals=1),
    column("raw", "number"),
    column("big", "integer"),
    column("day", "date", date(2020, 1, 1), date(2025, 12, 31)),
    column("seen", "timestamp"),
    column("urgent", "boolean"),
    column("note", "text"),
    column("性别", "text", domain=("男", "女")),
)
HOSPITALS = (column("hospital", "integer"), column("level", "text", domain=LEVELS), column("beds", "integer", 1, 5000), column("area", "text"))
PERSONS = (column("pid", "integer", uses=IDENTIFYING), column("sex", "text"), column("born", "integer", 1900, 2025))
FIRMS = (column("firm", "integer", uses=IDENTIFYING), column("staff", "integer", 0, 1000))
BILLS = (
    column("bill", "integer", uses=(*IDENTIFYING, "key"), unique=True),
    column("pid", "integer", uses=IDENTIFYING),
    column("kind", "text", domain=("门诊", "住院")),
    column("amount", "decimal", 0, 1000, decimals=2),
)
ITEMS = (  # whose they are says the bill
    column("bill", "integer", uses=(*IDENTIFYING, "key")),
    column("drug", "text", domain=("甲", "乙", "丙")),
    column("packs", "integer", 0, 20),
)
CITY_FACTS = (column("city", "text", domain=CITIES), column("people", "integer", 1, 10_000_000))

CATALOGUE = Catalogue(
    (
        snapshot("visits", VISITS, unit="pid"),
        snapshot("hospitals", HOSPITALS),
        snapshot("persons", PERSONS, unit="pid"),
        snapshot("city_facts", CITY_FACTS),
        snapshot("bills", BILLS, unit="pid", rows_per_unit=2000),
        snapshot("items", ITEMS, unit="person", via=Via(column="bill", references="bills.bill"), rows_per_unit=2000),
        snapshot("firms", FIRMS, unit="firm", space="firm"),
    )
)
ARROW = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "text": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "boolean": pa.bool_(),
}


def ask(epsilon: str = "1", **more: Any) -> Ask:
    return Ask(privacy=Privacy(epsilon=Decimal(epsilon)), **more)


def plan_for(sql: str, catalogue: Catalogue = CATALOGUE, **more: Any) -> Plan:
    return compile_job(sql, catalogue, ask(**more))


@cache
def accepted_plans() -> Mapping[str, Plan]:
    """By id, the plan of every case of the spec that is not refused. Files choose their cases by it as they are collected, which every process
    does with all files."""
    return {case.id: compile_job(case.sql, CATALOGUE, case.ask) for case in cases() if case.refused is None}


def arrow(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> pa.Table:
    lists = list(zip(*rows, strict=True)) or [()] * len(columns)
    types = [pa.decimal128(18, column.decimals) if column.type == "decimal" else ARROW[column.type] for column in columns]
    arrays = {column.name: pa.array(list(values), kind) for column, values, kind in zip(columns, lists, types, strict=True)}
    return pa.table(arrays)


def visit(rng: random.Random, pid: int) -> list[Any]:
    """One row inside every declared range, some values missing."""

    def maybe(value: Any) -> Any:
        return None if rng.random() < 0.1 else value

    day = date(2020, 1, 1) + timedelta(days=rng.randrange(2190))
    return [
        pid,
        rng.choice(CITIES),
        rng.choice(YEARS),
        maybe(rng.randrange(1, 9)),
        rng.randrange(1, 6),
        maybe(Decimal(rng.randrange(5_000_000)) / 100),
        rng.randrange(1, 60),
        maybe(rng.randrange(-500, 6000) / 10),
        maybe(rng.gauss(0, 100)),
        rng.randrange(-(2**40), 2**40),
        maybe(day),
        maybe(datetime.combine(day, time(rng.randrange(24), rng.randrange(60)))),
        rng.random() < 0.3,
        maybe(rng.choice(["感冒", "flu", "Flu-B", "", "发 热"])),
        rng.choice(["男", "女"]),
    ]


def hospitals() -> pa.Table:
    rows = [[number, LEVELS[number % 3], 100 * number, "南" if number % 2 else "北"] for number in range(1, 8)]  # 8 has no row here
    return arrow(HOSPITALS, rows)


def city_facts() -> pa.Table:
    return arrow(CITY_FACTS, [[city, 1000 * (place + 1)] for place, city in enumerate(CITIES)])


def persons(pids: Iterable[int | None]) -> pa.Table:
    """Of every unit but some, one row or two: a function of the unit alone, so that deleting a unit deletes its rows here too."""
    rows = []
    for pid in dict.fromkeys(pids):
        for copy in range(0 if pid is not None and pid % 5 == 4 else 1 if pid is None or pid % 3 else 2):
            salt = 7 * (pid or 0) + 31 * copy
            rows.append([pid, (None, "男", "女")[salt % 3], None if salt % 11 == 0 else 1930 + salt * 13 % 90])
    return arrow(PERSONS, rows)


def bills(pids: Iterable[int | None]) -> tuple[pa.Table, pa.Table]:
    """Of every third unit none, else one bill or two with items, as they are stored: the unit beside each item."""
    made, parts = [], []
    for pid in dict.fromkeys(pids):
        for copy in range(0 if pid is None else pid % 3):
            salt = 7 * (pid or 0) + 31 * copy
            made.append([10 * (pid or 0) + copy, pid, ("门诊", "住院")[salt % 2], Decimal(salt * 37 % 100_000) / 100])
            parts += [[10 * (pid or 0) + copy, ("甲", "乙", "丙")[(salt + item) % 3], (salt + item) % 21, pid] for item in range(salt % 3)]
    return arrow(BILLS, made), arrow((*ITEMS, column("person", "integer")), parts)


def tables(visits: Iterable[Sequence[Any]]) -> dict[str, pa.Table]:
    rows = list(visits)
    pids = [row[0] for row in rows]
    billed, items = bills(pids)
    made = {"visits": arrow(VISITS, rows), "hospitals": hospitals(), "city_facts": city_facts(), "persons": persons(pids)}
    return {**made, "bills": billed, "items": items}


def scanned(plan: Plan | Part, tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """What the plan's scans see: tables by alias, with the only columns that are read."""
    return {scan.alias: tables[scan.dataset].select(list(scan.columns)) for scan in plan.scans}


def one(plan: Plan | Part) -> Part:
    return plan if isinstance(plan, Part) else plan.only


def by_key(plan: Plan | Part, table: pa.Table) -> Totals:
    if "bin" in one(plan).shard_columns:
        return folded(plan, table)
    width = len(one(plan).keys)
    rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    found = {row[:width]: tuple(int(value) for value in row[width:]) for row in rows}
    assert len(found) == len(rows)
    return found


def folded(plan: Plan | Part, table: pa.Table) -> Totals:
    """The same of totals with bins."""
    found: Totals = {}
    seen = set()
    binned = [total.kind in BINNED for total in one(plan).totals]
    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        width = len(one(plan).keys)
        key, place, values = row[:width], row[width], row[width + 1 :]
        assert row[: width + 1] not in seen or place is not None
        seen.add(row[: width + 1])
        sums = found.setdefault(key, tuple(Counter[int]() if it else 0 for it in binned))
        made = []
        for it, before, value in zip(binned, sums, values, strict=True):
            if it:
                before.update({place: int(value)} if place is not None and value else {})
                made.append(before)
            else:
                made.append(before + int(value))
        found[key] = tuple(made)
    return found


def moved(a: Any, b: Any) -> int:
    """By how much a total differs: of bins, all together."""
    if isinstance(a, Counter) or isinstance(b, Counter):
        a, b = a or Counter(), b or Counter()
        return sum(abs(a[place] - b[place]) for place in {*a, *b})
    return int(abs(a - b))


def without_noise(total: Total, value: Any) -> int:
    """What a total is drawn as when nothing is added to it: of a quantile, the candidate of the row at its share."""
    if total.kind == "distinct":
        return len(+value) if value else 0
    if total.kind != "quantile":
        return int(value)
    part, whole = total.quantile
    below, wanted = 0, max(1, -(-part * sum((value or Counter()).values()) // whole))
    for place in sorted(value or ()):
        below += value[place]
        if below >= wanted:
            return int(min(total.low + place * total.step, total.high))
    return total.low


def in_turn(plan: Plan, tables: Mapping[str, pa.Table], seed: int) -> Iterator[tuple[dict[str, pa.Table], NoisyTable]]:
    """Part by part: the released tables that it reads, and what it would release if nothing were added."""
    drawn: list[NoisyTable] = []
    public = {scan.alias: tables[scan.dataset] for scan in plan.tables}
    for part in plan.parts:
        views = view_tables(plan, drawn, public)
        read = {name: views[name] for name in part.reads}
        drawn.append(unnoised(part, totals_of_tables(part, {**scanned(part, tables), **read}, seed)))
        yield read, drawn[-1]


def with_part(plan: Plan, **changes: Any) -> Plan:
    """The plan of one part, that part changed."""
    return dataclasses.replace(plan, parts=(dataclasses.replace(plan.only, **changes),))


class Engine:
    """One DuckDB connection for many small queries."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(config={"threads": "1"})

    def query(self, sql: str, tables: Mapping[str, pa.Table], parameters: Mapping[str, object] | None = None) -> pa.Table:
        for name, table in tables.items():
            self.connection.register(name, table)
        try:
            return self.connection.sql(sql, params=dict(parameters) if parameters else None).to_arrow_table()
        finally:
            for name in tables:
                self.connection.unregister(name)

    def answer(self, plan: Plan, tables: Mapping[str, pa.Table], seed: int = 7) -> list[dict[str, Any]]:
        """The answer without noise: of one part, its totals put through the finish query; of several, each in turn as the desk does."""
        if len(plan.parts) == 1 and not plan.views:
            return self.finish(plan, self.totals(plan, tables, seed), empty=False)
        drawn = [table for _, table in in_turn(plan, tables, seed)]
        return finish(plan, drawn, {scan.alias: tables[scan.dataset] for scan in plan.tables}).table.to_pylist()

    def totals(self, plan: Plan | Part, tables: Mapping[str, pa.Table], seed: int = 7, read: Mapping[str, pa.Table] | None = None) -> Totals:
        """The exact totals by key of a part (of a plan that has one), by its shard query in plain DuckDB; `read`: released tables."""
        return by_key(plan, self.query(one(plan).shard_sql, {**scanned(plan, tables), **(read or {})}, {"seed": seed}))

    def finish(self, plan: Plan, totals: Mapping[tuple[Any, ...], tuple[Any, ...]], *, empty: bool = True) -> list[dict[str, Any]]:
        """The answer the plan's finish query makes of totals as they are. `empty`: public keys without rows too."""
        rows = {
            key: tuple(without_noise(one, value) for total, value in zip(plan.only.totals, values, strict=True) for one in total.apart)
            for key, values in totals.items()
        }
        shown = [name for total in plan.only.totals for name in total.shares]
        if plan.public_keys and empty:
            for key in itertools.product(*(key.domain or () for key in plan.only.keys)):
                rows.setdefault(key, (0,) * len(shown))
        types = [ARROW[key.type] for key in plan.only.keys] + [pa.int64()] * len(shown)
        names = [key.name for key in plan.only.keys] + shown
        columns = list(zip(*(key + values for key, values in rows.items()), strict=True)) or [()] * len(names)
        noisy = pa.table({name: pa.array(list(values), kind) for name, values, kind in zip(names, columns, types, strict=True)})
        return self.query(plan.finish_sql, {"noisy": noisy}).to_pylist()
