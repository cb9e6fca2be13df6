"""From a run of a program to a plan: a pure function of the request, the approved package and the catalogue.

The plan has the form that a query's has, so that price, noise, ledger and finish are the ones that queries go through: one total for each
output over the blocks (or units), with the same draws, and the run itself as canonical JSON where a query has its SQL. What one unit moves:

- blocks: a unit is in exactly one block, whose outputs lie in their ranges whatever the program does, so a sum over blocks moves by at most
  the width of the range, and a histogram of blocks by one block that goes and one that comes (docs/proofs/sample-and-aggregate.md);
- units: a unit adds one bounded vector to one key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from policies.catalogue import Catalogue
from policies.loss import MAX_PICO_RHO, Loss
from policies.problem import Problem
from policies.reasons import Reason, explained
from sandbox.plan import problems as refusals
from sandbox.plan.accuracy import least
from sandbox.plan.ask import Privacy
from sandbox.plan.model import ColumnUse, Draw, Part, Plan, Scan
from sandbox.plan.price import MAX_PICO_EPSILON, Pure, asked_loss, price
from sandbox.plan.spread import Noise
from sandbox.program import answers
from sandbox.program.advice import Advice, advised, at, noise_of
from sandbox.program.answers import Shape
from sandbox.program.ask import BLOCKS, UNITS, RunAsk, RunTable, outputs_of, parameters_of, weights_of
from sandbox.program.manifest import Manifest
from sandbox.program.problems import REQUEST_INVALID, TABLES_REFUSED
from sandbox.program.run import Clamp, Run

TYPES = {"integer": "BIGINT", "decimal": "DOUBLE", "number": "DOUBLE", "text": "VARCHAR", "date": "DATE", "timestamp": "TIMESTAMP"}


@dataclass(frozen=True, slots=True)
class ProgramPlan:
    """A run, compiled: `plan` as of a query, `run` what the calls are, `advice` on the number of blocks (None: there are none)."""

    plan: Plan
    run: Run
    manifest: Manifest
    rows: int  # that the catalogue lets one suppose
    advice: Advice | None

    @property
    def query(self) -> str:
        return self.plan.query

    @property
    def delta(self) -> str:
        return self.plan.delta

    @property
    def space(self) -> str:
        return self.plan.space

    @property
    def scans(self) -> tuple[Scan, ...]:
        return self.plan.scans

    @property
    def uses(self) -> tuple[ColumnUse, ...]:
        return self.plan.uses

    @property
    def loss(self) -> Loss:
        return self.plan.loss

    @property
    def epsilon(self) -> Decimal | None:
        return self.plan.epsilon

    @property
    def digest(self) -> str:
        return self.plan.digest

    @property
    def calls(self) -> int:
        """How many calls the public schedule has room for: the blocks, or as many as the data is declared to have rows."""
        return self.run.blocks or self.rows


def compile_run(ask: RunAsk, manifest: Manifest, catalogue: Catalogue, *, libraries: str) -> ProgramPlan:
    """The plan of a run. `libraries`: the digest of the library set that calls find. Raises `program_*` and `plan_*` problems, all before any
    row could be read; equal arguments give equal plans."""
    parameters = parameters_of(manifest, ask.parameters)
    outputs, weights = outputs_of(manifest, ask.ranges), weights_of(manifest, ask.weights)
    _fitting(ask, manifest)
    scans, uses, rows = _tables(ask.tables, catalogue)
    clamps = tuple(Clamp.of(output, centred=ask.combine != "sum") for output in outputs)
    keys = len(manifest.key.domain) if manifest.key else 0
    run = Run(
        program=ask.program,
        libraries=libraries,
        mode=manifest.mode,
        rows=manifest.rows,
        combine=ask.combine,
        parameters=answers.written(parameters),
        clamps=clamps,
        blocks=0,
        keys=keys,
        seconds=ask.seconds,
    )
    shape = Shape.of(run, manifest.key, weights, ask.edges)
    draws, blocks, advice = _priced(ask, shape, rows)
    run = shape.at(blocks).run
    text = run.canonical([{"dataset": scan.dataset, "columns": list(scan.columns)} for scan in scans])
    parts = tuple(
        Part(scans[0].space, scans, keys, totals, drawn, groups_per_unit=1, rows_per_group=1, shard_sql=text, expected_rows=blocks or rows,
             reads=reads)
        for (keys, totals, reads), drawn in zip(shape.parts, draws, strict=True)
    )  # fmt: skip
    shown = shape.at(blocks).answer(draws, blocks or rows)
    plan = Plan(
        query=text,
        parts=parts,
        outputs=shown.outputs,
        finish_sql=shown.sql,
        uses=uses,
        delta=format(ask.privacy.delta.normalize(), "f"),
        accuracy=ask.privacy.accuracy or "",
        views=shown.views,
    )
    return ProgramPlan(plan, run, manifest, rows, advice)


def _fitting(ask: RunAsk, manifest: Manifest) -> None:
    """What does not depend on the data. Raises `program_request_invalid`."""
    faults = []
    allowed = BLOCKS if manifest.mode == "blocks" else UNITS
    if ask.combine not in allowed:
        names = ", ".join(sorted(allowed))
        faults.append(Reason("combine", f"该程序只能用 {names}", f"this program is combined by {names}"))
    if manifest.mode == "units" and ask.blocks is not None:
        faults.append(Reason("blocks", "逐单元的程序不分块", "a program of mode units has no blocks"))
    if ask.edges is not None and ask.combine not in ("median", "winsorised"):
        faults.append(Reason("edges", "只有 median 与 winsorised 使用 edges", "edges are for median and winsorised"))
    if faults:
        raise explained(REQUEST_INVALID, faults)


def _tables(asked: Sequence[RunTable], catalogue: Catalogue) -> tuple[tuple[Scan, ...], tuple[ColumnUse, ...], int]:
    """What is read, what is done with it, and the largest number of rows declared. The unit's column is read to sort rows by, and never handed
    over, so it is no use of it. Raises `program_tables_refused`."""
    faults: list[Reason] = []
    scans: list[Scan] = []
    uses: list[ColumnUse] = []
    rows = []
    for place, table in enumerate(asked):
        path, snapshot = f"tables[{place}]({table.dataset})", catalogue.get(table.dataset)
        unit = snapshot.dataset.unit_column if snapshot else None
        if snapshot is None or snapshot.dataset.unit is None or unit is None:
            faults.append(Reason(path, "没有登记这个受保护的数据集", "no such protected dataset is registered"))
            continue
        dataset, space = snapshot.dataset, snapshot.dataset.space or ""
        if scans and scans[0].space != space:
            faults.append(Reason(path, "隐私单元空间与第一张表不同", "its unit space is not the first table's"))
        coded = dataset.unit is not None and dataset.unit.pseudonym
        if scans and scans[0].pseudonym != coded:
            faults.append(
                Reason(path, "隐私单元的存储方式（编码或标识符）与第一张表不同", "it stores units in another way than the first table")
            )
        columns = [(name, dataset.get(name)) for name in table.columns]
        faults += [Reason(f"{path}.columns", f"没有列 {name}", f"there is no column {name}") for name, column in columns if column is None]
        named = [column for _, column in columns if column is not None and column.name != unit.name]
        read = [*named, unit]
        types = tuple(TYPES.get(column.type, "BOOLEAN") for column in read)
        names = tuple(column.name for column in read)
        hidden = dataset.get(unit.name) is None
        about = (dataset.name, snapshot.version, snapshot.digest, True)
        scans.append(Scan(*about, f"s{place}", names, types, unit.name, space, hidden, coded, dataset.periods))
        uses += [ColumnUse(dataset.name, column.name, "program") for column in named]
        rows.append(dataset.approximate_rows)
    if faults:
        raise explained(TABLES_REFUSED, faults)
    return tuple(scans), tuple(uses), max(rows)


def _priced(ask: RunAsk, shape: Shape, rows: int) -> tuple[list[tuple[Draw, ...]], int, Advice | None]:
    """The draws of every part, and the number of blocks: as asked, or as advised for the noise that the price buys."""
    privacy = ask.privacy

    def blocks_at(draws: Sequence[tuple[Draw, ...]]) -> tuple[int, Advice | None]:
        if shape.run.mode == "units":
            return 0, None
        noise = max(_relative_noise(shape, draws))
        advice = advised(rows=rows, noise=noise) if ask.blocks is None else at(ask.blocks, rows=rows, noise=noise)
        return advice.blocks, advice

    def enough(pico: int) -> bool:
        try:
            draws = _split(Pure(pico) if privacy.pure else Loss(pico), privacy, shape)
        except Problem:  # too little to be split, or noise past every scale
            return False
        blocks, _ = blocks_at(draws)
        wanted, relative = privacy.wanted
        widths = shape.at(blocks).widths(draws, blocks or rows)
        return all(
            width is not None and width <= float(wanted) * (shape.supposed(place) if relative else 1) for place, width in enumerate(widths)
        )

    def for_accuracy() -> int:
        most = MAX_PICO_EPSILON if privacy.pure else MAX_PICO_RHO
        if not shape.has_widths:
            raise refusals.ACCURACY_UNKNOWN(asked=privacy.asked, label=shape.run.clamps[0].name)
        if not enough(most):
            raise refusals.ACCURACY_UNREACHABLE(asked=privacy.asked, label=shape.run.clamps[0].name)
        return least(enough, most)

    whole = asked_loss(privacy, private_keys=False, groups=1, weights=shape.weights, for_accuracy=for_accuracy)
    draws = _split(whole, privacy, shape)
    blocks, advice = blocks_at(draws)
    return draws, blocks, advice


def _split(whole: Loss | Pure, privacy: Privacy, shape: Shape) -> list[tuple[Draw, ...]]:
    """The loss over all totals of all parts, by weight. Raises `plan_price_too_small`, `plan_noise_too_large`."""
    totals = [total for _, of_part, _ in shape.parts for total in of_part]
    draws = iter(price(whole, privacy.asked, totals, shape.weights, 1, shape.pieces))
    return [tuple(next(draws) for _ in of_part) for _, of_part, _ in shape.parts]


def _relative_noise(shape: Shape, draws: Sequence[tuple[Draw, ...]]) -> list[float]:
    """Per total of the last part, the half-width of its noise in shares of what the terms span; of a chosen block, of ranks."""
    _, totals, _ = shape.parts[-1]
    found = []
    for total, draw in zip(totals, draws[-1], strict=True):
        if total.kind == "quantile":
            found.append(draw.scale * 10 / total.quantile[1])  # how many blocks the rank is off, up to a logarithm
        else:
            found.append(noise_of(draw.scale, total.cap, z=Noise({}, draw.pure).z))
    return found
