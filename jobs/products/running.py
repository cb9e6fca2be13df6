"""Running totals: what a schedule of them asks, period by period, and what has to hold for its releases to be added up.

A question that adds up (`sandbox.plan.additive`) is asked of the periods of one node of a tree each time a period is over; the total is the sum
of the nodes that hold all periods so far. A node that was released is never asked again, so what it was computed from must not change: the
steward declares a day through which rows are complete, and an append is held to it (docs/proofs/running.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import Connection

from jobs import directory
from jobs.kinds.sql import SqlRequest
from jobs.lookup import ReleaseSeen
from jobs.order import Order
from jobs.products.seen import Product
from jobs.products.totals import Node, Total
from policies.catalogue import BlockPeriod, Catalogue, Dataset, Snapshot
from policies.loss import PICO
from policies.problem import declare
from policies.product.running import Costs, Running
from sandbox.plan.additive import Additive, additive, within
from sandbox.plan.ask import Privacy
from sandbox.plan.compile import tables_in
from sandbox.plan.model import Scan
from sandbox.raw.append import keeps
from sandbox.raw.open import Vault

Sources = Sequence[Mapping[str, Any]]  # of a release's record: dataset, version, digest

RUNNING_DATASET = declare(
    "product_running_dataset",
    zh=(
        "此问题不能逐期累计",
        "逐期累计的问题须只读取一个按时段计预算、并声明数据截至何日完整（complete_through）的数据集。",
        "请数据提供方在目录中为该数据集声明 [block] 及 complete_through。",
    ),
    en=(
        "This query cannot be a running total",
        "A running total must read exactly one dataset, with budgets by period and a declared day through which its data is complete "
        "(complete_through).",
        "Ask the steward to declare [block] and complete_through for the dataset in the catalogue.",
    ),
)
RUNNING_PERIODS = declare(
    "product_running_periods",
    zh=(
        "累计的起始日期或期数不合",
        "数据集 {dataset} 按 {step} 分期；{first} 起的 {periods} 期不成立。",
        "请改正：起始日期须为一期的第一天，期数为 1 至 10000。",
    ),
    en=(
        "The first day or the number of periods is not valid",
        "Dataset {dataset} has periods of one {step}; {periods} periods from {first} are not possible.",
        "Choose the first day of a period, and 1 to 10000 periods.",
    ),
)
RUNNING_PRICE = declare(
    "product_running_price",
    zh=("须给出每次发布的预算", "逐期累计不按精度定价。", "请给出每次发布的 epsilon 或 rho；预览给出由此得到的精度。"),
    en=(
        "The price of each release is needed",
        "Running totals are not priced by accuracy.",
        "Give the epsilon or rho of each release; the preview shows the resulting accuracy.",
    ),
)
RUNNING_CHANGED = declare(
    "product_running_data_changed",
    zh=(
        "已累计的时段数据可能有变",
        "组成累计的各期结果出自数据集 {dataset} 的不同版本，其间未能确认已计入时段的行没有变化。",
        "补录、更正或重新入库之后，已发布的各期结果与新数据不再相符；请另设一项累计，并为其另列预算。",
    ),
    en=(
        "Data of periods already counted may have changed",
        "The releases that make up the total come from different versions of dataset {dataset}; it is not certain that rows of the "
        "periods already counted did not change between them.",
        "After late rows, corrections or a full ingest, the releases no longer match the data: set up another running total with its own "
        "budget.",
    ),
)
RUNNING_RECALLED = declare(
    "product_running_recalled",
    zh=("累计的一部分已召回", "组成此期累计的发布结果 {release} 属于已召回的版本。", "请另设一项累计，并为其另列预算。"),
    en=(
        "Part of the total was recalled",
        "Release {release}, part of this total, belongs to a version that was recalled.",
        "Set up another running total with its own budget.",
    ),
)
RUNNING_BROKEN = declare(
    "product_running_incomplete",
    zh=(
        "有一期没有结果",
        "第 {period} 期的作业 {job} 没有发布结果，此后各期无法累计。",
        "请用 yunei product continue 从该期继续；失败作业的预算不退还。",
    ),
    en=(
        "A period has no result",
        "Job {job} of period {period} released nothing, so later totals cannot be computed.",
        "Run yunei product continue to go on from that period; the budget spent by a failed job is not given back.",
    ),
)


@dataclass(frozen=True, slots=True)
class Given:
    """What is asked of a running total. `way` "auto": the cheaper one at the largest error that the tree has at the price given."""

    first: date
    periods: int
    way: Literal["auto", "tree", "anew"] = "auto"


@dataclass(frozen=True, slots=True)
class Settled:
    """A running total as it will be kept: `order` with the price of each release, and what that comes to."""

    order: Order
    running: Running
    question: Additive
    costs: Costs
    half_widths: Mapping[str, float]  # of one release at the price given


def settled(order: Order, given: Given, catalogue: Catalogue) -> Settled:
    """Raises product_running_*, plan_not_additive, and what compiling the question raises."""
    request = order.request
    if not isinstance(request, SqlRequest):
        raise RUNNING_DATASET()
    if request.privacy.accuracy is not None:
        raise RUNNING_PRICE()
    dataset = _dataset(request.sql, catalogue)
    question = additive(request.sql, dataset.name, catalogue, request.ask)
    step, _, _ = periods_of(dataset)
    try:
        costs = Costs(given.periods, question.plan.loss.pico_rho)
        way = costs.cheaper if given.way == "auto" else given.way
        running = Running(dataset.name, step, given.first, given.periods, way)
        if dataset.periods is None or given.first < dataset.periods.low:
            raise ValueError("no such period")
    except ValueError:
        raise RUNNING_PERIODS(dataset=dataset.name, step=step, first=given.first.isoformat(), periods=given.periods) from None
    if given.way == "auto" and way == "anew":
        price = Privacy(rho=Decimal(costs.equal_price) / PICO, delta=request.privacy.delta)
        order = replace(order, request=SqlRequest(request.sql, request.ask.model_copy(update={"privacy": price})))
    widths = {output.label: output.half_width or 0.0 for output in question.plan.outputs if output.kind == "value"}
    return Settled(order, running, question, costs, widths)


def asked(order: Order, running: Running, period: int, catalogue: Catalogue) -> tuple[Order, Additive]:
    """What is submitted at the end of `period`: the question, of what its release reads alone. Raises as `settled`."""
    request = order.request
    assert isinstance(request, SqlRequest)  # as it was settled
    dataset = _dataset(request.sql, catalogue)
    step, column, _ = periods_of(dataset)
    if (dataset.name.casefold(), step) != (running.dataset.casefold(), running.step):
        raise RUNNING_CHANGED(dataset=running.dataset)
    question = additive(request.sql, dataset.name, catalogue, request.ask)
    kind: Any = getattr(dataset.get(column), "type", "date")
    first, before = running.reads(period)
    return replace(order, request=SqlRequest(within(question.sql, dataset.name, column, kind, first, before), request.ask)), question


def require_window(running: Running, period: int, scans: Sequence[Scan]) -> None:
    """Raises product_running_periods unless what is planned reads, and is charged to, the periods of the release and no other."""
    first, before = running.reads(period)
    for scan in scans:
        if scan.private and (scan.window is None or (scan.window.low, scan.window.high + timedelta(days=1)) != (first, before)):
            raise RUNNING_PERIODS(dataset=running.dataset, step=running.step, first=first.isoformat(), periods=period)


def over(running: Running, period: int, catalogue: Catalogue) -> bool:
    """Whether the data is complete through the period's last day, as its steward declares."""
    snapshot = catalogue.get(running.dataset)
    return snapshot is not None and complete(snapshot, running.begins(period + 1))


def complete(snapshot: Snapshot, before: date) -> bool:
    """Whether its steward declares periods up to this day, and that no rows of the days before it will come."""
    through, window = periods_of(snapshot.dataset)[2], snapshot.dataset.periods
    return window is not None and min(through, window.high) + timedelta(days=1) >= before


def total_of(running: Running, period: int, parts: Sequence[tuple[int, ReleaseSeen]], question: Additive, product: Product) -> Total:
    """What the releases `parts`, each with the period it was made at, add up to at the end of `period`. Raises what keeps them from it."""
    recalled = {release for version in product.versions if version.state == "recalled" for release in version.releases}
    for _, release in parts:
        if release.id in recalled:
            raise RUNNING_RECALLED(release=release.id)
    nodes = []
    for at, release in parts:
        first, before = running.reads(at)
        scales = {column["label"]: float(column["scale"]) for column in release.record["columns"] if column.get("scale") is not None}
        nodes.append(Node(release.id, at, first, before, scales))
    return Total.of(running, period, nodes, question.keys, question.added, pure=question.pure)


def require_same_rows(connection: Connection, vault: Vault, running: Running, parts: Sequence[tuple[int, Sources]]) -> None:
    """Raises product_running_data_changed unless all releases, each with the period it was made at and what it read, speak of one and the same
    rows: the newest version has every file of the others, whose rows were complete, and other tables are the same."""
    held = running.dataset.casefold()
    versions = [next(int(source["version"]) for source in sources if source["dataset"].casefold() == held) for _, sources in parts]
    others = {
        tuple(sorted((source["dataset"], source["digest"]) for source in read if source["dataset"].casefold() != held)) for _, read in parts
    }
    standing = {record.version for record in directory.versions_of(connection, running.dataset) if record.state == "current"}
    newest = max(versions)
    for (period, _), version in zip(parts, versions, strict=True):
        snapshot = directory.snapshot(connection, running.dataset, version)
        same = version in standing and snapshot is not None and complete(snapshot, running.begins(period + 1))
        if len(others) != 1 or not same or not keeps(vault, running.dataset, version, newest):
            raise RUNNING_CHANGED(dataset=running.dataset)


def periods_of(dataset: Dataset) -> tuple[BlockPeriod, str, date]:
    """Step and column of the dataset's periods, and the last day through which its rows are complete. Raises product_running_dataset."""
    if dataset.block is None or dataset.complete_through is None:
        raise RUNNING_DATASET()
    return dataset.block.period, dataset.block.column, dataset.complete_through


def _dataset(sql: str, catalogue: Catalogue) -> Dataset:
    """The one protected dataset that the question names."""
    named = [snapshot.dataset for name in tables_in(sql) if (snapshot := catalogue.get(name)) is not None]
    private = [dataset for dataset in named if dataset.private]
    if len(private) != 1:
        raise RUNNING_DATASET()
    return private[0]
