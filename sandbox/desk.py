"""The desk: the engine without a server, for stewards and auditors, over files they already hold.

One line in, one line out: from plan to noise the same code as a release. No ledger, no caps, no vault; so nothing here may be pointed at
registered data, which the caller sees to. `exact` shows the totals before noise with what one unit can move: that is for neighbour tests on
one's own files, and exists nowhere else.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ConfigDict, Field, ValidationError

from policies.catalogue import Catalogue, Dataset, Model, Snapshot
from policies.problem import Problem, declare
from policies.reasons import explained, reasons_of
from sandbox.finish.finish import Released, view_tables
from sandbox.finish.finish import check as check_finish
from sandbox.noise.chain import check as check_price
from sandbox.noise.draw import unnoised
from sandbox.noisy import NoisyTable
from sandbox.plan.ask import Ask
from sandbox.plan.compile import compile_job
from sandbox.plan.model import Part, Plan, Scan
from sandbox.raw.checks import Crowds, Unique
from sandbox.raw.domains import publish_keys, resolve_domains
from sandbox.raw.faults import Faults
from sandbox.raw.owners import Owners, as_read, with_unit_type
from sandbox.raw.rules import Rules, Tally, schema_of
from sandbox.raw.run import check_plan, totals_of_tables
from sandbox.raw.sources import SUFFIXES, open_sources
from sandbox.raw.totals import ExactTotals
from sandbox.steps import Compute, at_once, released

LINE_INVALID = declare(
    "request_line_invalid",
    zh=("这一行有误", "共 {count} 处；第一处在 {path}：{reason_zh}。", "请按所列各处修改这一行；其他行不受影响。"),
    en=(
        "This line has errors",
        "Faults: {count}; the first at {path}: {reason_en}.",
        "Correct the places listed; other lines are not affected.",
    ),
)
FILE_MISSING = declare(
    "data_file_missing",
    zh=("没有数据文件", "文件夹 {folder} 中没有数据集 {dataset} 的文件。", "请放入 {dataset}.parquet 或 {dataset}.csv。"),
    en=("No data file", "Folder {folder} has no file for dataset {dataset}.", "Put {dataset}.parquet or {dataset}.csv in that folder."),
)


NOT_A_KEY = declare(
    "plan_key_undeclared",
    zh=("该列不得作分组键", "目录未允许将 {dataset}.{column} 用作分组键。", "请改用目录允许作分组键的列；标识类列从不作分组键。"),
    en=(
        "This column cannot be a grouping key",
        "The catalogue does not let {dataset}.{column} be grouped by.",
        "Group by a column that the catalogue allows as key; identifying columns never are.",
    ),
)


class Line(Model):
    """One question. Bounds and ranges as in a job; `privacy` is spelled flat."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str | int | None = None
    sql: str = Field(min_length=1)
    epsilon: Any = None
    rho: Any = None
    delta: Any = None
    accuracy: Any = None
    groups_per_unit: Any = None
    rows_per_group: Any = None
    ranges: Any = None
    edges: Any = None
    weights: Any = None

    def ask(self) -> Ask:
        """Raises ValidationError, located as in a job."""
        given = {name: getattr(self, name) for name in ("epsilon", "rho", "delta", "accuracy")}
        privacy = {name: value for name, value in given.items() if value is not None}
        bounds = ("groups_per_unit", "rows_per_group", "ranges", "edges", "weights")
        more = {name: getattr(self, name) for name in bounds if getattr(self, name) is not None}
        return Ask.model_validate({"privacy": privacy, **more})


@dataclass(frozen=True, slots=True)
class Desk:
    """Tables in memory by dataset name, in their stored types, and the catalogue they were checked against."""

    catalogue: Catalogue
    tables: Mapping[str, pa.Table]

    @classmethod
    def open(cls, datasets: Sequence[Dataset], folder: Path, encoding: str = "utf-8") -> Desk:
        """Read `<name>.parquet` or `<name>.csv` of every dataset and hold it to its declaration, public ones first, then in the order in which
        they refer to each other. Raises `data_*`."""
        snapshots: list[Snapshot] = []
        tables: dict[str, pa.Table] = {}
        for dataset in _in_order(datasets):
            path, known = _file_of(dataset, folder), Catalogue(tuple(snapshots))

            def read(snapshot: Snapshot, name: str) -> pa.ChunkedArray:
                return tables[snapshot.dataset.name].column(name)

            declared = with_unit_type(resolve_domains(dataset, known, read), known)
            table = read_table(declared, path, encoding, Owners.of(declared, known, read))
            tables[dataset.name] = table
            if not dataset.private:
                declared = publish_keys(declared, table.column)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            snapshots.append(Snapshot(dataset=declared, version=1, digest=digest))
        return cls(Catalogue(tuple(snapshots)), tables)

    def answer(self, asked: object, *, exact: bool = False, seed: int = 0) -> dict[str, Any]:
        """What becomes of one line: `status` answer or refused, never an exception for what a line may say."""
        started = time.perf_counter()
        name = asked.get("id") if isinstance(asked, dict) else None
        try:
            line, ask = _read_line(asked)
            plan = compile_job(line.sql, self.catalogue, ask)
            self._keys_declared(plan)
            check_price(plan)
            check_finish(plan)
            check_plan(plan)
            said = self._exact(plan, seed) if exact else self._noised(plan, seed)
            said = {"status": "answer", **said, "price": _price(plan), "keys": "public" if plan.public_keys else "private"}
        except Problem as problem:
            said = {"status": "refused", "code": problem.code, "message": str(problem), "problem": problem.as_data()}
        return {"id": name, **said, "seconds": round(time.perf_counter() - started, 6)}

    def _keys_declared(self, plan: Plan) -> None:
        """What the policy asks of a release, and the desk, which has no licence, of the catalogue alone. Raises `plan_key_undeclared`."""
        for used in plan.uses:
            dataset = self.catalogue[used.dataset].dataset
            column = dataset.get(used.column)
            if used.use == "key" and (column is None or "key" not in column.uses):
                raise NOT_A_KEY(dataset=dataset.name, column=used.column)

    def _scanned(self, scans: Sequence[Scan]) -> dict[str, pa.Table]:
        return {scan.alias: self.tables[self.catalogue[scan.dataset].dataset.name].select(list(scan.columns)) for scan in scans}

    def _computed(self, seed: int) -> Compute:
        return lambda part, read: totals_of_tables(part, {**self._scanned(part.scans), **read}, seed)

    def _noised(self, plan: Plan, seed: int) -> dict[str, Any]:
        compute = self._computed(seed)
        return shown(released(plan, at_once(plan, compute), compute, self._scanned(plan.tables)))

    def _exact(self, plan: Plan, seed: int) -> dict[str, Any]:
        """Of a plan with one part, its totals; of several, those of each in turn."""
        parts = [_exactly(part, totals.table) for part, totals in zip(plan.parts, self._in_turn(plan, seed), strict=True)]
        return parts[0] if len(parts) == 1 else {"parts": parts}

    def _in_turn(self, plan: Plan, seed: int) -> Iterator[ExactTotals]:
        """Each part's exact totals; a part that reads what earlier ones release reads it finished from their exact totals."""
        compute, public, so_far = self._computed(seed), self._scanned(plan.tables), list[NoisyTable]()
        for part in plan.parts:
            views = view_tables(plan, so_far, public) if part.reads else {}
            totals = compute(part, {name: views[name] for name in part.reads})
            so_far.append(unnoised(part, totals))
            yield totals


def _exactly(part: Part, table: pa.Table) -> dict[str, Any]:
    sensitivities = [
        {
            "name": total.name,
            "kind": total.kind,
            "cap": total.cap,
            "decimals": total.decimals,
            "centre": total.centre,
            "low": total.low,
            "step": total.step,
        }
        for total in part.totals
    ]
    return {
        "columns": table.column_names,
        "rows": [[plain(value) for value in row.values()] for row in table.to_pylist()],
        "groups_per_unit": part.groups_per_unit,
        "totals": sensitivities,
        "reads": list(part.reads),  # what earlier parts release: with such, two files compare only where they would release the same
    }


def _in_order(datasets: Sequence[Dataset]) -> list[Dataset]:
    """Public ones, then private ones, those that others find their unit in before those."""
    waiting = sorted(datasets, key=lambda one: one.private)
    made: list[Dataset] = []
    while waiting:
        named = {one.name.casefold() for one in waiting}
        ready = [one for one in waiting if one.unit is None or one.unit.via is None or one.unit.via.table.casefold() not in named]
        made += ready or waiting  # a circle is refused when its first dataset is read
        waiting = [one for one in waiting if one not in made]
    return made


def read_table(dataset: Dataset, path: Path, encoding: str, owners: Owners | None = None) -> pa.Table:
    """A file's rows as ingest would store them, in memory, sorted by unit. Raises `data_*`."""
    asked = as_read(dataset)
    (source,) = open_sources(asked, [path], encoding)
    rules, faults, tally, unique = Rules(asked), Faults(), Tally(), Unique(dataset)
    made = []
    for batch in source.batches(asked, lambda file, row: faults.add("", "fields", 1, file, row)):
        rows = rules.apply(batch, faults, tally)
        made.append(rows if owners is None else owners.attach(rows, batch, faults, tally))
        unique.add(made[-1])
    unique.check(faults)
    table = pa.concat_tables(made) if made else schema_of(dataset.stored).empty_table()
    unit = dataset.unit_column
    if unit is not None:
        ordered = table.take(pc.sort_indices(table, sort_keys=[(unit.name, "ascending")]))  # stable, as ingest is
        table = Crowds(dataset).held(ordered, faults, tally)
    if faults:
        raise faults.problem(dataset.name)
    return table


def shown(released: Released) -> dict[str, Any]:
    """The answer as JSON-ready columns, rows, and half-widths beside them (null for keys)."""
    records = released.table.to_pylist()
    return {
        "columns": [column.label for column in released.columns],
        "rows": [[plain(record[column.label]) for column in released.columns] for record in records],
        "half_widths": [
            [None if column.half_width_column is None else plain(record[column.half_width_column]) for column in released.columns]
            for record in records
        ],
    }


def plain(value: Any) -> Any:
    """As JSON has it: exact numbers that are whole as integers, dates and the rest as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):  # of a quantile: how many rows lie nearest to each candidate that has any
        return [{name: plain(part) for name, part in item.items()} for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat()


def _price(plan: Plan) -> dict[str, float | None]:
    """As plain numbers: rho; delta, at which epsilon is stated; the part of delta that thresholds spend."""
    epsilon = plan.epsilon
    return {
        "rho": float(plan.loss.rho),
        "delta": float(plan.delta),
        "epsilon": None if epsilon is None else float(epsilon),
        "threshold_delta": float(plan.loss.delta),
    }


def _read_line(asked: object) -> tuple[Line, Ask]:
    try:
        line = Line.model_validate(asked)
        return line, line.ask()
    except ValidationError as error:
        raise explained(LINE_INVALID, reasons_of(error, asked if isinstance(asked, dict) else {})) from None


def _file_of(dataset: Dataset, folder: Path) -> Path:
    wanted = {f"{dataset.name}{suffix}".casefold() for suffix in SUFFIXES}
    found = sorted(path for path in folder.iterdir() if path.name.casefold() in wanted)
    if not found:
        raise FILE_MISSING(folder=folder.name, dataset=dataset.name)
    return found[0]
