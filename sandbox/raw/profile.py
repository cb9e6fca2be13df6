"""What a steward should know of files before declaring them: types, nulls, ranges, candidate keys, rows per unit, and a draft of the entry.

All of it is raw: exact, unnoised, about persons. It is for whoever may see the rows, on the machine where they lie. What of it goes into the
catalogue becomes public, so a draft widens what it found to round numbers, and says which numbers are to be set from knowledge of the
matter instead: a bound that is exactly the data's own tells something of one person.

Memory: a batch, up to MOST_VALUES different values of each column, and one line for each unit and each pair of unit and candidate key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from policies.catalogue import KEYABLE, NUMERIC, ColumnType
from policies.problem import declare
from sandbox.raw.engine import query
from sandbox.raw.rules import CONVERSIONS
from sandbox.raw.sources import Kind, raw_batches

MOST_VALUES = 1000
MOST_KEYS = 100  # different values of a column that a draft lists as public keys
_PAIRS = 2_000_000  # lines of units that wait to be added up
NULL_WORDS = ("", "NA", "N/A", "NAN", "NULL")  # in a CSV field, as the rules have it
# In which order declared types are tried, by how the column came: the first that every value can be read as.
TRIED: dict[Kind, tuple[ColumnType, ...]] = {
    "csv": ("integer", "decimal", "number", "date", "timestamp", "boolean", "text"),
    "integer": ("integer",),
    "float": ("number",),
    "decimal": ("decimal",),
    "text": ("text",),
    "boolean": ("boolean",),
    "date": ("date",),
    "timestamp": ("timestamp",),
}
_CAST = {"integer": "BIGINT", "decimal": "DECIMAL(18, 9)", "number": "DOUBLE", "date": "DATE", "timestamp": "TIMESTAMP"}

PROFILE_UNIT = declare(
    "data_profile_unit",
    zh=("没有这一列", "文件 {file} 中没有单元列 {column}。", "请核对 --unit 所给的列名。"),
    en=("No such column", "File {file} has no unit column {column}.", "Check the column named by --unit."),
)


@dataclass(slots=True)
class ColumnProfile:
    """One column over all files. `types`: what every value could be declared as, in the order tried; `low`, `high`: of the first of them."""

    name: str
    types: list[ColumnType] = field(default_factory=list)
    rows: int = 0
    nulls: int = 0
    ends: dict[ColumnType, tuple[str, str]] = field(default_factory=dict)
    longest: int = 0
    decimals: int = 0
    values: set[str] | None = field(default_factory=set)  # None: more than MOST_VALUES

    @property
    def type(self) -> ColumnType:
        return self.types[0]

    @property
    def key(self) -> bool:
        """Whether its values may be listed as public keys."""
        return self.type in KEYABLE and self.values is not None and 0 < len(self.values) <= MOST_KEYS

    def __repr__(self) -> str:
        return f"ColumnProfile({self.name!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Spread:
    """How many of something units have: median, and the numbers that 90, 99 and 100 of 100 units have at most."""

    median: int
    p90: int
    p99: int
    most: int


@dataclass(slots=True, repr=False)
class Profile:
    """`keys_per_unit` by candidate key."""

    rows: int
    columns: list[ColumnProfile]
    unit: str | None = None
    units: int = 0
    rows_per_unit: Spread | None = None
    keys_per_unit: dict[str, Spread] = field(default_factory=dict)
    rows_per_group: Spread | None = None


def profile(paths: Sequence[Path], unit: str | None, encoding: str = "utf-8") -> Profile:
    """Read every row of the files, which need no declaration. Raises data_source_*, data_profile_unit."""
    columns: dict[str, ColumnProfile] = {}
    owned: list[pa.Table] = []
    rows = 0
    for path in paths:
        for batch, kinds in raw_batches(path, encoding):
            rows += batch.num_rows
            for name, kind in kinds.items():
                if name not in columns:
                    columns[name] = ColumnProfile(name, list(TRIED[kind]))
                _look(columns[name], batch.column(name), kind)
            if unit is not None:
                if unit not in kinds:
                    raise PROFILE_UNIT(file=path.name, column=unit)
                kept = [name for name, found in columns.items() if name == unit or found.values is not None]
                owned.append(_counted(pa.Table.from_batches([batch]).select([name for name in kept if name in kinds]), unit))
                if sum(table.num_rows for table in owned) > _PAIRS:
                    owned = [_summed(owned, unit)]
    for found in columns.values():
        found.types = found.types or ["text"]
    made = Profile(rows, list(columns.values()), unit)
    if unit is not None and owned:
        _spread(made, _summed(owned, unit), unit)
    return made


def _look(found: ColumnProfile, column: pa.Array, kind: Kind) -> None:
    found.rows += len(column)
    if kind == "csv":
        empty = query(f"SELECT count(*) AS n FROM t WHERE x IS NULL OR upper(trim(x)) IN {NULL_WORDS!r}", {"t": pa.table({"x": column})})
        found.nulls += empty.column("n")[0].as_py()
    else:
        found.nulls += column.null_count
    source = f"(SELECT CASE WHEN upper(trim(x)) IN {NULL_WORDS!r} THEN NULL ELSE trim(x) END AS x FROM t)" if kind == "csv" else "t"
    table = {"t": pa.table({"x": column})}
    for declared in list(found.types):
        if declared in ("text", "boolean") and kind != "csv":
            continue
        made = CONVERSIONS[declared, kind].format(x="x", d=9)
        ends = (
            f"min({made})::{_CAST[declared]}::VARCHAR AS low, max({made})::{_CAST[declared]}::VARCHAR AS high"
            if declared in _CAST
            else "'' AS low, '' AS high"
        )
        (seen,) = query(
            f"SELECT count(*) FILTER (WHERE x IS NOT NULL AND ({made}) IS NULL) AS bad, {ends} FROM {source} AS s", table
        ).to_pylist()
        if seen["bad"]:
            found.types.remove(declared)
            found.ends.pop(declared, None)
        elif declared in _CAST and seen["low"] is not None:
            before = found.ends.get(declared)
            low, high = (
                (seen["low"], seen["high"])
                if before is None
                else (_less(declared, before[0], seen["low"]), _more(declared, before[1], seen["high"]))
            )
            found.ends[declared] = (low, high)
    text = column.cast(pa.string())
    found.longest = max(found.longest, pc.max(pc.utf8_length(text)).as_py() or 0)
    if "decimal" in found.types:
        digits = pc.max(pc.utf8_length(pc.struct_field(pc.extract_regex(text, r"\.(?P<d>[0-9]*?)0*\s*$"), [0]))).as_py()
        found.decimals = max(found.decimals, digits or 0)
    if found.values is not None:
        found.values |= {value for value in pc.unique(text).drop_null().to_pylist() if kind != "csv" or value.strip().upper() not in NULL_WORDS}
        if len(found.values) > MOST_VALUES:
            found.values = None


def _value(declared: ColumnType, text: str) -> object:
    return Decimal(text) if declared in NUMERIC else text  # ISO dates are in the order of their text


def _less(declared: ColumnType, a: str, b: str) -> str:
    return min(a, b, key=lambda text: _value(declared, text))  # type: ignore[arg-type,return-value]  # all of one type


def _more(declared: ColumnType, a: str, b: str) -> str:
    return max(a, b, key=lambda text: _value(declared, text))  # type: ignore[arg-type,return-value]  # all of one type


def _counted(table: pa.Table, unit: str) -> pa.Table:
    """Rows by unit and, column by column, by unit and value: lines of (unit, which, value, n)."""
    units = table.column(unit).cast(pa.string())
    pieces = [pa.table({"u": units, "c": pa.nulls(len(units), pa.string()), "v": pa.nulls(len(units), pa.string())})]
    for name in table.column_names:
        if name != unit:
            pieces.append(pa.table({"u": units, "c": pa.array([name] * len(units)), "v": table.column(name).cast(pa.string())}))
    whole = pa.concat_tables(pieces)
    return query("SELECT u, c, v, count(*)::BIGINT AS n FROM t WHERE u IS NOT NULL GROUP BY ALL", {"t": whole})


def _summed(tables: Sequence[pa.Table], unit: str) -> pa.Table:
    return query("SELECT u, c, v, sum(n)::BIGINT AS n FROM t GROUP BY ALL", {"t": pa.concat_tables(tables)})


def _spread(made: Profile, counted: pa.Table, unit: str) -> None:
    def of(numbers: str) -> Spread | None:
        sql = f"SELECT count(*) AS units, quantile_disc(n, [0.5, 0.9, 0.99, 1.0])::BIGINT[] AS q FROM ({numbers}) AS s"
        (row,) = query(sql, {"t": counted}).to_pylist()
        return Spread(*row["q"]) if row["q"] else None

    made.rows_per_unit = of("SELECT n FROM t WHERE c IS NULL")
    made.units = query("SELECT count(*) AS n FROM t WHERE c IS NULL", {"t": counted}).column("n")[0].as_py()
    keys = [column.name for column in made.columns if column.key and column.name != unit]
    for name in keys:
        quoted = "'" + name.replace("'", "''") + "'"
        if (spread := of(f"SELECT count(*)::BIGINT AS n FROM t WHERE c = {quoted} GROUP BY u")) is not None:
            made.keys_per_unit[name] = spread
    if keys:
        listed = ", ".join("'" + name.replace("'", "''") + "'" for name in keys)
        made.rows_per_group = of(f"SELECT max(n) AS n FROM t WHERE c IN ({listed}) GROUP BY u")


# ── the draft ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def round_up(number: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50 …

    >>> [round_up(n) for n in (0, 1, 3, 7, 11, 51, 200)]
    [1, 1, 5, 10, 20, 100, 200]
    """
    steps = (step * int("1" + "0" * power) for power in range(40) for step in (1, 2, 5))
    return next(step for step in steps if step >= number)


def outwards(low: str, high: str, decimals: int) -> tuple[str, str]:
    """A range of round numbers around another.

    >>> outwards("3", "87", 0), outwards("-12.5", "0.3", 1), outwards("0", "0", 0)
    (('0', '100'), ('-20', '1'), ('0', '0'))
    """

    def wide(value: Decimal) -> int:
        whole = int(abs(value).to_integral_value(rounding="ROUND_CEILING"))
        return round_up(whole) if whole else 0

    least, most = Decimal(low), Decimal(high)
    return str(-wide(least) if least < 0 else 0), str(wide(most) if most > 0 else 0)


def draft(found: Profile, name: str, today: date) -> str:
    """A catalogue file to edit, in TOML; what only a person knows is left to be filled in."""
    lines = list(_head(found, name, today))
    for column in found.columns:
        lines += [
            "",
            "[[columns]]",
            f"name = {_quoted(column.name)}",
            f'type = "{column.type}"',
            'title = { zh = "", en = "" }  # 待填 · to be filled in',
        ]
        if column.name == found.unit:
            lines.append('uses = ["join", "distinct"]')
        lines += _limits(column, unit=column.name == found.unit)
    return "\n".join(lines) + "\n"


def _head(found: Profile, name: str, today: date) -> Iterator[str]:
    yield "# 由数据概况起草，含原始数据的精确信息：在域内修改，凡写入目录者即公开。"
    yield "# Drafted from a profile: it holds exact facts of raw data. Edit it inside; whatever stays in the catalogue becomes public."
    yield f"name = {_quoted(name)}"
    yield 'title = { zh = "", en = "" }  # 待填 · to be filled in'
    yield 'registration_no = ""  # 待填 · to be filled in'
    yield 'source_body = { zh = "", en = "" }  # 待填 · to be filled in'
    yield f"acquired_on = {today.isoformat()}"
    yield f"updated_on = {today.isoformat()}"
    yield 'grade = "important"  # 待定 · to be decided'
    yield f"approximate_rows = {round_up(found.rows)}"
    yield 'share = { attribute = "none", reason = { zh = "待定", en = "to be decided" }, basis = "待定" }'
    if found.unit is not None and found.rows_per_unit is not None:
        groups = max((spread.p99 for spread in found.keys_per_unit.values()), default=1)
        within = found.rows_per_group or found.rows_per_unit
        yield f'unit = {{ column = {_quoted(found.unit)}, space = "person", title = {{ zh = "自然人", en = "person" }}, pseudonym = true }}'
        yield "# 取整后的建议；请依业务常识确定，而非照数据：越小噪声越小，超出者截去。"
        yield "# Suggestions, rounded up; set them from knowledge of the matter, not from the data: smaller is less noise; the rest is cut."
        yield "[bounds]"
        yield f"groups_per_unit = {min(10_000, round_up(groups))}"
        yield f"rows_per_group = {min(1_000_000, round_up(within.p99))}"
        yield f'rows_per_unit = {round_up(found.rows_per_unit.most)}\nover_rows = "cut"'


def _limits(column: ColumnProfile, *, unit: bool) -> Iterator[str]:
    if not column.nulls and not unit:
        yield "nullable = false"
    if column.type == "decimal":
        yield f"decimals = {min(9, column.decimals)}"
    if unit:
        return
    ends = column.ends.get(column.type)
    if column.key and column.values is not None:
        texts = sorted(column.values, key=lambda text: (len(text), text)) if column.type == "integer" else sorted(column.values)
        yield "# 公开键：确认其本身不敏感 · public keys: see that they tell nothing"
        yield f"domain = [{', '.join(_literal(column.type, text) for text in texts)}]"
    elif ends is not None and column.type in NUMERIC:
        low, high = outwards(*ends, column.decimals)
        yield f"low = {low}\nhigh = {high}  # 依业务常识放宽 · widen by what is known of the matter"
    elif column.type == "text":
        yield f"max_length = {min(4096, round_up(column.longest))}"


def _literal(declared: ColumnType, text: str) -> str:
    if declared == "integer":
        return str(int(Decimal(text)))
    if declared == "boolean":
        return "true" if text.strip().lower() in ("true", "t", "1", "yes", "y", "是") else "false"
    return text[:10].replace("/", "-") if declared == "date" else _quoted(text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return f'"{escaped}"'
