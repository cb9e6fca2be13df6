"""The declaration as one query: a batch as it came goes in, rows as the engine expects them come out, with a flag per broken rule.

Stored types, by declared type: integer BIGINT, decimal DECIMAL(18, decimals) rounded half away from zero, number DOUBLE without NaN and
infinities, text VARCHAR, date DATE, timestamp TIMESTAMP (UTC where the source had a zone), boolean BOOLEAN. Every expression is total:
what cannot be converted becomes NULL and raises a flag.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from policies.catalogue import NUMERIC, Column, ColumnType, Dataset
from sandbox.raw.engine import query
from sandbox.raw.faults import Faults
from sandbox.raw.sources import Batch, Kind

_INT64 = 2**63
_NULL_WORDS = "('', 'NA', 'N/A', 'NAN', 'NULL')"  # in a CSV field that is not text, ignoring case
_SPACE = r"[\s\p{Z}]*"
_ROW = "#row"  # no declared name has a '#'


def _matched(pattern: str, then: str) -> str:
    return f"CASE WHEN regexp_full_match({{x}}, '{pattern}') THEN {then} END"


# (declared type, how it came) → conversion of {x}; NULL when it cannot be converted. {d}: decimals.
CONVERSIONS: dict[tuple[ColumnType, Kind], str] = {
    ("integer", "integer"): "TRY_CAST({x} AS BIGINT)",
    ("integer", "float"): f"CASE WHEN {{x}} = trunc({{x}}) AND abs({{x}}) <= {2**53} THEN TRY_CAST({{x}} AS BIGINT) END",
    ("integer", "decimal"): "CASE WHEN {x} = trunc({x}) THEN TRY_CAST({x} AS BIGINT) END",
    ("integer", "csv"): _matched(r"[+-]?[0-9]+(\.0*)?", "TRY_CAST({x} AS BIGINT)"),
    ("decimal", "integer"): "TRY_CAST({x} AS DECIMAL(18, {d}))",
    ("decimal", "float"): "TRY_CAST({x} AS DECIMAL(18, {d}))",
    ("decimal", "decimal"): "TRY_CAST({x} AS DECIMAL(18, {d}))",
    ("decimal", "csv"): _matched(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)", "TRY_CAST({x} AS DECIMAL(18, {d}))"),
    ("number", "integer"): "TRY_CAST({x} AS DOUBLE)",
    ("number", "float"): "TRY_CAST({x} AS DOUBLE)",
    ("number", "decimal"): "TRY_CAST({x} AS DOUBLE)",
    ("number", "csv"): _matched(r"(?i)[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?inf(inity)?", "TRY_CAST({x} AS DOUBLE)"),
    ("text", "text"): "{x}",
    ("text", "csv"): "{x}",
    ("date", "date"): "CASE WHEN isfinite({x}) THEN {x} END",
    ("date", "timestamp"): "CASE WHEN isfinite({x}) AND {x} = date_trunc('day', {x}) THEN TRY_CAST({x} AS DATE) END",
    ("date", "csv"): "COALESCE("
    + _matched(r"[0-9]{{4}}([-/])[0-9]{{1,2}}[-/][0-9]{{1,2}}", "TRY_CAST(replace({x}, '/', '-') AS DATE)")
    + ", "
    + _matched(r"[0-9]{{8}}", "TRY_CAST(try_strptime({x}, '%Y%m%d') AS DATE)")
    + ")",
    ("timestamp", "timestamp"): "CASE WHEN isfinite({x}) THEN {x} END",
    ("timestamp", "date"): "CASE WHEN isfinite({x}) THEN TRY_CAST({x} AS TIMESTAMP) END",
    ("timestamp", "csv"): _matched(
        r"[0-9]{{4}}[-/][0-9]{{1,2}}[-/][0-9]{{1,2}}([ T][0-9]{{1,2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,9}})?)?)?",
        "TRY_CAST(replace({x}, '/', '-') AS TIMESTAMP)",
    ),
    ("boolean", "boolean"): "{x}",
    ("boolean", "csv"): "CASE WHEN lower({x}) IN ('true', 't', '1', 'yes', 'y', '是') THEN true "
    "WHEN lower({x}) IN ('false', 'f', '0', 'no', 'n', '否') THEN false END",
}


@dataclass(slots=True)
class Tally:
    """What was mended on the way, per column, and rows left out because they belong to no unit."""

    clamped: Counter[str] = field(default_factory=Counter)
    nan_to_null: Counter[str] = field(default_factory=Counter)
    dropped_null_units: int = 0
    dropped_missing_units: int = 0  # they referred to no row of the table that says whose they are
    cut_rows: int = 0  # of units that had more rows than declared

    def merge(self, more: Tally) -> None:
        self.clamped += more.clamped
        self.nan_to_null += more.nan_to_null
        self.dropped_null_units += more.dropped_null_units
        self.dropped_missing_units += more.dropped_missing_units
        self.cut_rows += more.cut_rows

    def as_data(self) -> dict[str, Any]:
        return {place.name: dict(value) if isinstance(value := getattr(self, place.name), Counter) else value for place in fields(self)}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Tally:
        return cls(**{**data, "clamped": Counter(data["clamped"]), "nan_to_null": Counter(data["nan_to_null"])})


class Rules:
    """The rules of one dataset whose domains are resolved."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.schema = schema_of(dataset.columns)
        self._columns = [_ColumnRules(column, f"c{index}", dataset) for index, column in enumerate(dataset.columns)]
        self._domains = {rules.domain_table: rules.domain for rules in self._columns if rules.domain is not None}
        self._sql: dict[tuple[Kind, ...], str] = {}

    def apply(self, batch: Batch, faults: Faults, tally: Tally) -> pa.Table:
        """The batch as stored, clamped and converted. Broken rules go to `faults`: then the rows are only good for going on checking."""
        kinds = tuple(batch.kinds[column.name] for column in self.dataset.columns)
        if kinds not in self._sql:
            self._sql[kinds] = self._emit(kinds)
        numbers = pa.array(range(batch.first_row, batch.first_row + batch.rows.num_rows), pa.int64())
        names = [f"c{index}" for index in range(len(kinds))]
        raw = pa.table([*batch.rows.columns, numbers], names=[*names, _ROW])
        result = query(self._sql[kinds], {"batch": raw, **self._domains})
        tally.dropped_null_units += raw.num_rows - result.num_rows
        for rules in self._columns:
            for rule, _ in rules.mendings:
                count = _count(result, f"{rules.id}#{rule}")
                (tally.nan_to_null if rule == "nan" else tally.clamped)[rules.column.name] += count
            for rule, _ in rules.refusals:
                if count := _count(result, f"{rules.id}#{rule}"):
                    first = pc.index(result.column(f"{rules.id}#{rule}"), True).as_py()
                    faults.add(rules.column.name, rule, count, batch.file, result.column(_ROW)[first].as_py(), rules.expected(rule))
        return result.select([rules.id for rules in self._columns]).rename_columns(self.schema.names).cast(self.schema)

    def _emit(self, kinds: tuple[Kind, ...]) -> str:
        # One layer per step, so that no expression is computed twice.
        row = f'"{_ROW}"'
        trimmed, cleaned, converted, outer, keep = [row], [row], [row], [row], ""
        for rules, kind in zip(self._columns, kinds, strict=True):
            trimmed += [f"{rules.trimmed(kind)} AS {rules.id}"]
            cleaned += [f"{rules.cleaned(kind)} AS {rules.x}", f"{rules.nan(kind)} AS {rules.id}_nan"]
            converted += [rules.x, f"{rules.converted(kind)} AS {rules.v}", f"{rules.id}_nan"]
            outer += [f"{rules.stored()} AS {rules.id}"]
            outer += [f'COALESCE({test}, false) AS "{rules.id}#{rule}"' for rule, test in (*rules.refusals, *rules.mendings)]
            if rules.drops_null:
                keep = f" WHERE {rules.x} IS NOT NULL"
        source = "batch"
        for layer in (trimmed, cleaned, converted):
            source = f"(SELECT {', '.join(layer)} FROM {source}) AS rows"
        return f"SELECT {', '.join(outer)} FROM {source}{keep}"


class _ColumnRules:
    """One column: x is the field as it came with the ways of saying NULL folded into NULL, v its conversion."""

    def __init__(self, column: Column, id: str, dataset: Dataset) -> None:
        self.column, self.id, self.x, self.v = column, id, f"{id}_x", f"{id}_v"
        self.is_unit = dataset.unit is not None and dataset.unit.column.casefold() == column.name.casefold()
        self.drops_null = self.is_unit and dataset.unit is not None and dataset.unit.on_null == "drop"
        self.domain_table = f"domain_{id}"
        self.domain = None if column.domain is None else pa.table({"v": pa.array(column.domain, stored_type(column))})
        # Mending a unit would make two persons one.
        self._mend = column.out_of_range == "clamp" and not self.is_unit
        tests = self._out_of_declaration()
        mendable = {rule for rule, _ in tests} if self._mend else set()
        if not column.nullable:
            mendable -= {"domain"}
        if self._mend and column.low is not None:
            tests = [(rule, test) for rule, test in tests if rule != "finite"]  # an infinity is clamped like any other value
        else:
            mendable -= {"finite"}
        self.mendings = [pair for pair in tests if pair[0] in mendable]
        self.refusals = [pair for pair in tests if pair[0] not in mendable]
        self.refusals.append(("type", f"{self.x} IS NOT NULL AND {self.v} IS NULL"))
        if self.is_unit and not self.drops_null:
            self.refusals.append(("unit", f"{self.x} IS NULL"))
        elif not column.nullable and not self.is_unit:
            self.refusals.append(("null", f"{self.x} IS NULL"))
        if column.type in NUMERIC:
            self.mendings.append(("nan", f"{id}_nan"))

    def expected(self, rule: str) -> str:
        """What was declared, as public text."""
        column = self.column
        if rule == "type":
            return f"{column.type}({18 - column.decimals}+{column.decimals})" if column.type == "decimal" else column.type
        declared = {"range": f"{column.low} – {column.high}", "length": column.max_length, "domain": len(column.domain or ())}
        return str(declared.get(rule, ""))

    def trimmed(self, kind: Kind) -> str:
        return f"trim({self.id})" if kind == "csv" and self.column.type != "text" else self.id

    def cleaned(self, kind: Kind) -> str:
        raw = self.id
        if kind == "float":
            return f"CASE WHEN isnan({raw}) THEN NULL ELSE {raw} END"
        if kind == "csv" and self.column.type != "text":
            return f"CASE WHEN upper({raw}) IN {_NULL_WORDS} THEN NULL ELSE {raw} END"
        if self.is_unit and self.column.type == "text":  # a blank id names nobody
            return f"CASE WHEN regexp_full_match({raw}, '{_SPACE}') THEN NULL ELSE {raw} END"
        return raw

    def converted(self, kind: Kind) -> str:
        return CONVERSIONS[self.column.type, kind].format(x=self.x, d=self.column.decimals)

    def nan(self, kind: Kind) -> str:
        return f"isnan({self.id})" if kind == "float" else "false"

    def stored(self) -> str:
        v, sql = self.v, self.v
        if self._mend and self.column.low is not None:
            low, high = self._limits()
            sql = f"CASE WHEN {v} < {low} THEN {low} WHEN {v} > {high} THEN {high} ELSE {v} END"
        if self._mend and self.column.type == "text":
            sql = f"left({v}, {self.column.max_length})"
        if self._mend and self.domain is not None:
            sql = f"CASE WHEN {v} IN (SELECT v FROM {self.domain_table}) THEN {v} END"
        return sql

    def _out_of_declaration(self) -> list[tuple[str, str]]:
        column, v, tests = self.column, self.v, []
        if column.type == "number":
            tests.append(("finite", f"NOT isfinite({v})"))
        if column.low is not None:
            low, high = self._limits()
            tests.append(("range", f"{v} < {low} OR {v} > {high}"))
        if column.type == "text" and self.domain is None:
            tests.append(("length", f"length({v}) > {column.max_length}"))
        if self.domain is not None:
            tests.append(("domain", f"{v} IS NOT NULL AND {v} NOT IN (SELECT v FROM {self.domain_table})"))
        return tests

    def _limits(self) -> tuple[str, str]:
        """The declared range as literals of the stored type; decimals are rounded inwards."""
        column = self.column
        low, high = column.low, column.high
        if isinstance(low, Decimal) and isinstance(high, Decimal):
            if column.type == "number":
                return f"{float(low)!r}::DOUBLE", f"{float(high)!r}::DOUBLE"  # nearest: a declared 0.1 admits the double 0.1
            scale = 10**column.decimals
            units = (
                max(int((low * scale).to_integral_value(ROUND_CEILING)), -_INT64),
                min(int((high * scale).to_integral_value(ROUND_FLOOR)), _INT64 - 1),
            )
            if column.type == "integer":
                return f"({units[0]})::BIGINT", f"({units[1]})::BIGINT"
            top = 10**18 - 1
            return _decimal(max(units[0], -top), column.decimals), _decimal(min(units[1], top), column.decimals)
        if column.type == "date":
            return f"DATE '{low}'", f"DATE '{high}'"
        return f"TIMESTAMP '{low} 00:00:00'", f"TIMESTAMP '{high} 23:59:59.999999'"


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    return pa.schema([(column.name, stored_type(column)) for column in columns])


def stored_type(column: Column) -> pa.DataType:
    """The Arrow type of a column in the vault and in the engine's tables. Decimals are 64 bits wide: half the bytes to scan."""
    return arrow_type(column.type, column.decimals)


def arrow_type(kind: ColumnType, decimals: int) -> pa.DataType:
    """The same of a type and its digits after the point."""
    types = {
        "integer": pa.int64(),
        "decimal": pa.decimal64(18, decimals),
        "number": pa.float64(),
        "text": pa.string(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
        "boolean": pa.bool_(),
    }
    return types[kind]


def _count(result: pa.Table, flags: str) -> int:
    return pc.sum(result.column(flags)).as_py() or 0  # the sum of no rows is null


def _decimal(units: int, decimals: int) -> str:
    return f"'{Decimal(units).scaleb(-decimals):f}'::DECIMAL(18, {decimals})"
