"""From a recipe for a synthetic table to its plan: levels, workload, bounds and price, or what is wrong with the recipe."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import combinations, pairwise

from policies.catalogue import Catalogue, Column, Dataset
from policies.loss import MAX_PICO_RHO, PICO, Loss, pico_rho_for
from policies.problem import declare
from sandbox.plan import problems as refusals
from sandbox.plan.model import Bound, ColumnUse, Scan
from sandbox.plan.scope import stored_as
from sandbox.plan.synthetic import (
    MOST_CELLS,
    MOST_CELLS_IN_ALL,
    MOST_LEVELS,
    USUAL_BINS,
    Attribute,
    Clique,
    Recipe,
    SyntheticPlan,
)

UNKNOWN = declare(
    "plan_synthetic_unknown",
    zh=("没有这个数据集或列", "目录中没有 {name}，或它不是受保护的数据。", "请核对名称；公共表无需合成，可直接获取。"),
    en=(
        "No such dataset or column",
        "{name} is not in the catalogue, or not protected.",
        "Check the name; public tables need no synthesis and can be fetched directly.",
    ),
)
UNFIT = declare(
    "plan_synthetic_column",
    zh=(
        "该列不能合成",
        "列 {column} 没有公开的取值或范围，或是标识类列、单元列。",
        "请从 columns 中去掉该列；或请数据提供方声明其取值（domain）或范围。",
    ),
    en=(
        "This column cannot be synthesised",
        "Column {column} has neither public values nor a range, or it is an identifying column or the unit.",
        "Remove it from columns, or ask the steward to declare its domain or range.",
    ),
)
LEVELS = declare(
    "plan_synthetic_levels",
    zh=(
        "分档有误",
        "列 {column} 的分档不成立：{asked}。",
        "请改正：bins、edges 只用于有声明范围且没有 domain 的所选列，两者择一；edges 须递增并在范围 {limit} 之内。",
    ),
    en=(
        "The levels are not valid",
        "The levels of column {column} are not valid: {asked}.",
        "Use either bins or edges, only for chosen columns with a declared range and no domain; edges must increase and lie within {limit}.",
    ),
)
WORKLOAD = declare(
    "plan_synthetic_workload",
    zh=("边际的列有误", "workload 或 columns 中的 {columns} 重复，或不在所选的列中。", "请改正：每组边际只用 columns 中的列，每列一次。"),
    en=(
        "A marginal's columns are wrong",
        "{columns} in workload or columns are repeated, or are not among the chosen columns.",
        "In each marginal use only columns listed in columns, each once.",
    ),
)
TOO_LARGE = declare(
    "plan_synthetic_too_large",
    zh=("要测量的表过大", "{columns} 共 {cells} 格，上限为 {limit}。", "请减少分档（bins）、列或 workload。"),
    en=(
        "The tables to be measured are too large",
        "{columns} has {cells} cells; the limit is {limit}.",
        "Use fewer bins or columns, or a smaller workload.",
    ),
)
PRIVACY = declare(
    "plan_synthetic_privacy",
    zh=("合成数据须按 ε 或 ρ 定价", "合成数据用离散高斯噪声，不能按精度或以 δ = 0 定价。", "请给出 epsilon 与大于 0 的 delta，或 rho。"),
    en=(
        "Synthetic data is priced by epsilon or rho",
        "Synthetic data uses discrete Gaussian noise: it cannot be priced by accuracy or with delta = 0.",
        "Give epsilon with a delta above 0, or rho.",
    ),
)

_EPOCH = date(1970, 1, 1)
_LEAST_PICO = 10_000  # a round of the finest sort must still cost something


def compile_synthetic(recipe: Recipe, catalogue: Catalogue) -> SyntheticPlan:
    """The plan of a recipe. Raises `plan_*` problems; equal arguments give equal plans."""
    snapshot = catalogue.get(recipe.dataset)
    if snapshot is None or not snapshot.dataset.private:
        raise UNKNOWN(name=recipe.dataset)
    dataset = snapshot.dataset
    columns = [_column(dataset, name) for name in recipe.columns]
    at = {column.name.casefold(): place for place, column in enumerate(columns)}
    if len(at) != len(columns):
        raise WORKLOAD(columns=", ".join(recipe.columns))
    for name in (*recipe.bins, *recipe.edges):
        if name.casefold() not in at:
            raise LEVELS(column=name, asked="columns", limit="—")
    attributes = tuple(_attribute(column, recipe) for column in columns)
    workload = _workload(recipe, at)
    rows, bounds = _rows_per_unit(dataset, recipe)
    loss = _price(recipe, len(columns))
    unit, owner = dataset.unit_column, dataset.unit
    assert unit is not None  # private
    assert owner is not None
    kept = [*columns, unit]
    scan = Scan(
        dataset.name,
        snapshot.version,
        snapshot.digest,
        True,
        "t",
        tuple(column.name for column in kept),
        tuple(map(stored_as, kept)),
        unit.name,
        dataset.space or "",
        hidden=unit not in dataset.columns,
        pseudonym=owner.pseudonym,
        window=dataset.periods,
    )
    plan = SyntheticPlan(
        query=canonical(recipe),
        scan=scan,
        attributes=attributes,
        workload=workload,
        rows=recipe.rows,
        rows_per_unit=rows,
        single=dataset.bounds is not None and dataset.bounds.rows_per_unit == 1,
        loss=loss,
        delta=format(recipe.privacy.delta.normalize(), "f"),
        uses=tuple(
            ColumnUse(dataset.name, column.name, "key" if one.values else "aggregate") for column, one in zip(columns, attributes, strict=True)
        ),
        bounds=bounds,
    )
    _within_size(plan)
    return plan


def canonical(recipe: Recipe) -> str:
    """The recipe in one text, without its price."""
    said = recipe.model_dump(mode="json", exclude={"privacy"}, exclude_defaults=True)
    return json.dumps({"synthetic": said}, sort_keys=True, ensure_ascii=False)


def _column(dataset: Dataset, name: str) -> Column:
    column = dataset.get(name)
    if column is None:
        raise UNKNOWN(name=f"{dataset.name}.{name}")
    if column == dataset.unit_column or column.unique:
        raise UNFIT(column=f"{dataset.name}.{column.name}")
    return column


def _attribute(column: Column, recipe: Recipe) -> Attribute:
    bins = {name.casefold(): given for name, given in recipe.bins.items()}.get(column.name.casefold())
    edges = {name.casefold(): given for name, given in recipe.edges.items()}.get(column.name.casefold())
    domain = (False, True) if column.type == "boolean" else column.domain
    if domain is not None:
        if bins is not None or edges is not None:
            raise LEVELS(column=column.name, asked="domain", limit="—")
        if len(domain) + column.nullable > MOST_LEVELS:
            raise TOO_LARGE(columns=column.name, cells=len(domain), limit=MOST_LEVELS)
        return Attribute(column.name, column.type, column.nullable, values=tuple(domain))
    if column.low is None or column.high is None or column.type == "text":
        raise UNFIT(column=column.name)
    low, high = in_steps(column, column.low, ROUND_CEILING), in_steps(column, column.high, ROUND_FLOOR)
    limit = f"{column.low} … {column.high}"
    if low > high:
        raise UNFIT(column=column.name)
    if edges is not None:
        wrong = bins is not None or any(isinstance(edge, date) != isinstance(column.low, date) for edge in edges)
        starts = () if wrong else (low, *(in_steps(column, edge, ROUND_CEILING) for edge in edges), high + 1)
        if wrong or any(a >= b for a, b in pairwise(starts)):
            raise LEVELS(column=column.name, asked=", ".join(map(str, edges)), limit=limit)
    else:
        span = high - low + 1
        count = min(span, bins or USUAL_BINS)
        starts = tuple(low + -(-span * place // count) for place in range(count + 1))
    return Attribute(column.name, column.type, column.nullable, column.decimals, starts=starts)


def in_steps(column: Column, value: Decimal | date, rounding: str) -> int:
    """A value in whole steps of its column: days since 1970, or units of 10**-decimals."""
    if isinstance(value, date):
        return (value - _EPOCH).days
    return int((value * 10**column.decimals).to_integral_value(rounding))


def _workload(recipe: Recipe, at: dict[str, int]) -> tuple[Clique, ...]:
    if not recipe.workload:
        return tuple(combinations(range(len(at)), 2)) or ((0,),)
    found = []
    for names in recipe.workload:
        places = [at.get(name.casefold()) for name in names]
        known = sorted({place for place in places if place is not None})
        if len(known) != len(names):
            raise WORKLOAD(columns=", ".join(names))
        found.append(tuple(known))
    return tuple(sorted(set(found)))


def _rows_per_unit(dataset: Dataset, recipe: Recipe) -> tuple[int, tuple[Bound, ...]]:
    assert dataset.bounds is not None  # private
    limit = dataset.bounds.groups_per_unit * dataset.bounds.rows_per_group
    if dataset.bounds.rows_per_unit is not None:
        limit = min(limit, dataset.bounds.rows_per_unit)
    asked = recipe.rows_per_unit
    if asked is not None and asked > limit:
        raise refusals.BOUND_WIDENED(name="rows_per_unit", asked=asked, limit=limit)
    rows = limit if asked is None else asked
    source: Iterable[Bound] = (Bound("rows_per_group", "", "0", str(rows), "catalogue" if asked is None else "job"),)
    return rows, tuple(source)


def _price(recipe: Recipe, columns: int) -> Loss:
    privacy = recipe.privacy
    if privacy.pure or privacy.accuracy is not None:
        raise PRIVACY()
    if privacy.rho is not None:
        pico = min(int(privacy.rho * PICO), MAX_PICO_RHO)
    else:
        assert privacy.epsilon is not None
        pico = pico_rho_for(privacy.epsilon, privacy.delta)
    if pico < _LEAST_PICO * columns:
        raise refusals.PRICE_TOO_SMALL(asked=privacy.asked, parts=columns)
    return Loss(pico)


def _within_size(plan: SyntheticPlan) -> None:
    whole = 0
    for columns in plan.candidates:
        cells = plan.cells(columns)
        whole += cells
        named = ", ".join(plan.attributes[place].column for place in columns)
        if cells > MOST_CELLS:
            raise TOO_LARGE(columns=named, cells=cells, limit=MOST_CELLS)
    if whole > MOST_CELLS_IN_ALL:
        raise TOO_LARGE(columns="workload", cells=whole, limit=MOST_CELLS_IN_ALL)
