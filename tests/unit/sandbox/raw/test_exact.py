"""Exact tables: what a plain query over the same rows says, whatever the shards; a public shape; nothing printed."""

from __future__ import annotations

import pickle
from collections import Counter, defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest

from infra.vault import Vault
from infra.workers import InlineWorkers
from policies.catalogue import Catalogue, Snapshot
from policies.disclosure.table import Basis
from policies.problem import Problem
from sandbox.plan.exact import compile_exact
from sandbox.plan.exact_model import ExactPlan
from sandbox.raw.exact import Counted, check_exact, counts_of_tables, exact_counts
from tests import visits

BASIS = Basis("person", "visits", "s")
SQL = (
    "SELECT city, urgent, COUNT(*) AS n, COUNT(DISTINCT person_id) AS people, SUM(fee) AS fee, AVG(days) AS days "
    "FROM visits WHERE born >= DATE '1960-01-01' GROUP BY ROLLUP(city, urgent)"
)

CITIES_COUNTED = "SELECT city, COUNT(*) AS n FROM visits GROUP BY city"


def catalogue(report: Snapshot | None = None) -> Catalogue:
    return Catalogue((report or Snapshot(dataset=visits.dataset(), version=1, digest="0" * 64),))


def counted(sql: str, table: pa.Table) -> tuple[ExactPlan, Counted]:
    plan = compile_exact(sql, catalogue())
    (scan,) = plan.scans
    stored = table.set_column(table.column_names.index("fee"), "fee", table["fee"].cast(pa.decimal128(18, 2))).select(list(scan.columns))
    return plan, counts_of_tables(plan, {scan.alias: stored}, 7, BASIS)


def by_hand(table: pa.Table) -> dict[tuple[object, object], list[dict[str, object]]]:
    """Rows by (city, urgent), and by every total, of rows that the WHERE of SQL keeps."""
    found: dict[tuple[object, object], list[dict[str, object]]] = defaultdict(list)
    for row in table.to_pylist():
        if row["born"].year < 1960 or row["city"] not in visits.CITIES:
            continue
        urgent = {None: "NULL", True: "true", False: "false"}[row["urgent"]]
        for at in ((row["city"], urgent), (row["city"], "*"), ("*", "*")):
            found[at].append(row)
    return found


def test_a_table_says_what_the_rows_say() -> None:
    rows = visits.rows()
    _, made = counted(SQL, rows)
    table, expected = made.table, by_hand(rows)
    assert len(table.cells) == 3 * 3 + 3 + 1
    assert made.lost == 0
    for number, cell in enumerate(table.cells):
        mine = expected[table.codes(number)]  # type: ignore[index]  # two keys
        people = Counter(row["person_id"] for row in mine)
        fees: dict[object, Decimal] = defaultdict(Decimal)
        for row in mine:
            fees[row["person_id"]] += row["fee"] or 0  # type: ignore[operator]  # a decimal
        n, distinct, fee, days = cell.amounts
        assert (cell.units, n.total, distinct.total) == (len(people), len(mine), len(people))
        assert fee.total == sum((Fraction(value) for value in fees.values()), Fraction(0))
        assert fee.values == sum(row["fee"] is not None for row in mine)
        assert list(fee.largest) == sorted(map(Fraction, fees.values()), reverse=True)[:10]
        assert list(n.largest) == sorted(people.values(), reverse=True)[:10]
        assert (days.total, days.values) == (sum(row["days"] for row in mine), len(mine))  # type: ignore[misc]  # integers
    assert table.measures[1].additive is False
    assert [measure.kind for measure in table.measures] == ["count", "count", "sum", "mean"]


def test_parts_add_up_to_their_totals_although_some_rows_have_no_known_city() -> None:
    _, made = counted(SQL, visits.rows())
    table = made.table
    sums = list(table.sums())
    assert sums
    for whole, parts in sums:
        for place in (0, 2):
            assert table.cells[whole].amounts[place].total == sum(table.cells[part].amounts[place].total for part in parts)


def test_a_holder_is_the_same_unit_in_every_cell_and_nothing_else() -> None:
    """Ordinals agree between a part and its total, and are no ids."""
    table = counted(SQL, visits.rows())[1].table
    for whole, parts in table.sums():
        top = table.cells[whole].amounts[2]
        inside = {holder for part in parts for holder in table.cells[part].amounts[2].holders}
        assert top.holders[0] in inside
    assert max(holder for cell in table.cells for amount in cell.amounts for holder in amount.holders) < 60


def test_shape_is_public_and_rows_absent_are_zeros() -> None:
    full, empty = (counted(SQL, rows)[1].table for rows in (visits.rows(), visits.rows().slice(0, 0)))
    assert [cell.at for cell in full.cells] == [cell.at for cell in empty.cells]
    assert {amount.total for cell in empty.cells for amount in cell.amounts} == {0}


def test_shards_change_nothing(vault: Vault, tmp_path: Path) -> None:
    report = visits.ingested(vault, tmp_path, shard_rows=25)
    snapshot = Snapshot(dataset=visits.dataset(), version=1, digest=report.snapshot.digest)
    plan = compile_exact(SQL, catalogue(snapshot))
    check_exact(plan, vault)
    made = exact_counts(plan, vault, InlineWorkers(2**20), 7, BASIS).table
    whole = counted(SQL, visits.rows())[1].table
    assert [(cell.at, cell.units) for cell in made.cells] == [(cell.at, cell.units) for cell in whole.cells]
    for mine, theirs in zip(made.cells, whole.cells, strict=True):
        assert [(a.total, a.values, a.largest, a.absolute) for a in mine.amounts] == [
            (a.total, a.values, a.largest, a.absolute) for a in theirs.amounts
        ]


def test_units_in_two_cells_are_seen_not_to_be_apart() -> None:
    rows = visits.rows()
    apart = counted("SELECT city, COUNT(*) AS n FROM visits GROUP BY city", rows)[1].table
    moved = rows.set_column(1, "city", pa.array(["太原", "大同"] * (rows.num_rows // 2)))
    mixed = counted("SELECT city, COUNT(*) AS n FROM visits GROUP BY city", moved.set_column(0, "person_id", pa.array([1] * rows.num_rows)))[
        1
    ].table
    assert apart.disjoint
    assert not mixed.disjoint


def test_nothing_is_printed_or_written_down() -> None:
    made = counted(SQL, visits.rows())[1]
    assert {repr(made), str(made), f"{made}"} == {"Counted(redacted)"}
    for secret in (made, made.table, made.table.cells[0]):
        with pytest.raises(TypeError):
            pickle.dumps(secret)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT days, COUNT(*) AS n FROM visits GROUP BY days", "plan_exact_keys"),
        ("SELECT city, COUNT(*) * 2 AS n FROM visits GROUP BY city", "plan_exact_column"),
        ("SELECT city, MIN(fee) AS n FROM visits GROUP BY city", "plan_exact_column"),
        ("SELECT city, MEDIAN(fee) AS n FROM visits GROUP BY city", "plan_exact_column"),
        ("SELECT city, SUM(fee) / COUNT(*) AS n FROM visits GROUP BY city", "plan_exact_column"),
        ("SELECT city, COUNT(*) AS n FROM visits GROUP BY city HAVING COUNT(*) > 3", "plan_exact_clause"),
        ("SELECT city, COUNT(*) AS n FROM visits GROUP BY city ORDER BY n", "plan_exact_clause"),
        ("SELECT city, COUNT(*) AS n FROM visits GROUP BY city LIMIT 1", "plan_exact_clause"),
        ("SELECT COUNT(*) AS n FROM visits GROUP BY city", "plan_exact_unselected"),
        ("SELECT city, COUNT(*) AS n, (SELECT COUNT(*) FROM visits) AS m FROM visits GROUP BY city", "plan_exact_parts"),
        ("SELECT AVG(n) AS n FROM (SELECT city, COUNT(*) AS n FROM visits GROUP BY city) AS t", "plan_no_private_table"),
        (f"{CITIES_COUNTED} UNION ALL {CITIES_COUNTED}", "plan_exact_parts"),
    ],
)  # fmt: skip
def test_what_an_exact_table_cannot_be_is_refused_before_rows_are_read(sql: str, code: str) -> None:
    with pytest.raises(Problem) as refused:
        compile_exact(sql, catalogue())
    assert refused.value.code == code


def test_the_plan_without_versions_is_one_shape_and_costs_no_loss() -> None:
    first, second = (compile_exact(SQL, Catalogue((Snapshot(dataset=visits.dataset(), version=v, digest=str(v) * 64),))) for v in (1, 2))
    assert first.digest != second.digest
    assert first.shape == second.shape
    assert first.loss.pico_rho == first.loss.atto_delta == 0
    assert first.under("L-1").digest != first.under("L-2").digest
