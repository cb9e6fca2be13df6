"""Partial totals added up: in Python where they are few, by DuckDB where they are many, to the same table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, cast

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from sandbox.plan.model import INT64_MAX, Part
from sandbox.raw import totals
from sandbox.raw.kernel import WIDE
from sandbox.raw.totals import INT64_MIN, added_here, added_there, combine

KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "integer": (pa.int64(), st.integers(INT64_MIN, INT64_MAX)),
    "text": (pa.string(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3)),
    "date": (pa.date32(), st.dates(date(1, 1, 1), date(9999, 12, 31))),
    "boolean": (pa.bool_(), st.booleans()),
}


@dataclass(frozen=True)
class _Total:
    name: str


@dataclass(frozen=True)
class _Part:
    """What adding up asks of a part."""

    shard_columns: tuple[str, ...]
    totals: tuple[_Total, ...]


@st.composite
def partials(draw: st.DrawFn) -> tuple[Part, list[pa.Table]]:
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=3))
    count = draw(st.integers(1, 2))
    keys = [(f"k{place}", KINDS[kind][0], st.none() | KINDS[kind][1]) for place, kind in enumerate(kinds)]
    pools = [draw(st.lists(values, min_size=1, max_size=3)) for _, _, values in keys]  # so that keys meet in several partials
    amounts = st.none() | st.integers(-(2**100), 2**100) | st.sampled_from([INT64_MAX, INT64_MIN, 1, -1])
    made = []
    for _ in range(draw(st.integers(1, 3))):
        rows = draw(st.lists(st.tuples(*(st.sampled_from(pool) for pool in pools)), unique=True, max_size=6 if keys else 1))
        columns = {name: pa.array([row[place] for row in rows], kind) for place, (name, kind, _) in enumerate(keys)}
        for total in range(count):
            given_ = [draw(amounts) for _ in rows]
            columns[f"t{total}"] = pa.array([None if one is None else Decimal(one) for one in given_], WIDE)
        made.append(pa.table(columns))
    names = tuple(f"t{total}" for total in range(count))
    part = _Part((*(name for name, _, _ in keys), *names), tuple(map(_Total, names)))
    return cast(Part, part), made


@given(partials())
def test_few_are_added_up_as_many_are(drawn: tuple[Part, list[pa.Table]]) -> None:
    part, tables = drawn
    here, there = added_here(part, tables), added_there(part, tables)
    assert here.schema == there.schema
    assert here.to_pylist() == there.to_pylist()


def test_how_many_there_are_decides(monkeypatch: Any) -> None:
    part = cast(Part, _Part(("k0", "t0"), (_Total("t0"),)))
    tables = [pa.table({"k0": pa.array([1, 2]), "t0": pa.array([Decimal(3), Decimal(4)], WIDE)})]
    monkeypatch.setattr(totals, "added_there", lambda _part, _tables: "there")
    assert combine(part, tables).table.to_pydict() == {"k0": [1, 2], "t0": [3, 4]}
    monkeypatch.setattr(totals, "FEW_ROWS", 1)
    assert combine(part, tables).table == "there"
