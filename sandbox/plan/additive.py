"""Questions whose answers add up: what they say of the rows of two disjoint times is, key by key, the sum of what they say of each.

Such a question can be asked of one time after another and the answers be added, which is post-processing (docs/proofs/running.md). Taken are
selections of keys, counts and sums, grouped by public keys, with nothing after the aggregation: the answer to every time then has the same
rows. That is decided twice, on the syntax and on the plan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlglot import exp

from policies.catalogue import Catalogue
from policies.problem import Problem, declare
from sandbox.plan.ask import Ask
from sandbox.plan.compile import compile_job
from sandbox.plan.model import Draw, Plan, Total
from sandbox.plan.spread import Noise
from sandbox.sql.fragment import fragment
from sandbox.sql.parse import canonical, parse

NOT_ADDITIVE = declare(
    "plan_not_additive",
    zh=(
        "此问题的答案不能逐期相加",
        "{reason_zh}：{fragment}。",
        "请改写：累计只接受按公开取值分组的 COUNT、COUNT_IF、SUM（可带 FILTER），不带 HAVING、ORDER BY、LIMIT、DISTINCT、子查询或对聚合的运算；"
        "平均值与比率请由同一产品的两列相除得出。",
    ),
    en=(
        "Answers to this question do not add up",
        "{reason_en}: {fragment}.",
        "A running total takes COUNT, COUNT_IF and SUM (FILTER included) by public keys, without HAVING, ORDER BY, LIMIT, DISTINCT, subqueries "
        "or arithmetic over aggregates; divide two of the product's columns for an average or a rate.",
    ),
)
_CLAUSES = ("with_", "having", "order", "limit", "offset", "distinct", "qualify", "windows")
_ADDED = (exp.Count, exp.CountIf, exp.Sum)
_KINDS = ("count", "sum")


@dataclass(frozen=True, slots=True)
class Added:
    """A column that is added up: `unit`, the least difference between two of its values; `scale`, of its noise, in its own unit."""

    label: str
    unit: float
    scale: float


@dataclass(frozen=True, slots=True)
class Additive:
    """A question that adds up, with its columns of keys by label and those that are added."""

    sql: str  # in a spelling that a condition can be put into
    keys: tuple[str, ...]
    added: tuple[Added, ...]
    pure: bool
    plan: Plan


def additive(sql: str, dataset: str, catalogue: Catalogue, ask: Ask) -> Additive:
    """The question, when it adds up over times of `dataset`, which it reads once and as its only protected table; it says nothing of the
    column of periods itself. Raises plan_not_additive, and what compiling it raises."""
    plan = compile_job(sql, catalogue, ask)
    tree = parse(sql)
    select = _read_once(tree, dataset, sql)
    block = catalogue[dataset].dataset.block
    named = next((item for item in tree.find_all(exp.Column) if block is not None and item.name.casefold() == block.column.casefold()), None)
    if named is not None:  # times are put in by whoever adds up
        raise _refused(named, sql, "累计的问题不用分期列", "a running total does not name the column of periods")
    for name in _CLAUSES:
        if select.args.get(name):
            raise _refused(select.args[name], sql, "累计的问题不带此子句", "a running total takes no such clause")
    part = plan.parts[0]
    plain = len(plan.parts) == 1 and not (plan.views or plan.lattices)
    if not plain or not part.public_keys:
        raise _refused(select, sql, "须为公开取值的一组分组键", "it is grouped once, by public keys")
    if sum(scan.private for scan in plan.scans) != 1:
        raise _refused(select, sql, "只能有一张受保护的表", "there is one protected table")
    keys = _keys(select, plan, sql)
    added = [place for place in range(len(plan.outputs)) if place not in keys]
    for place in added:
        _aggregate(select.expressions[place], sql)
    if any(total.kind not in _KINDS for total in part.totals):
        raise _refused(select, sql, "聚合须为计数或求和", "aggregates count or add up")
    spelt = canonical(_named(select, plan))
    if compile_job(spelt, catalogue, ask).digest != plan.digest:
        raise _refused(select, sql, "无法改写为带时间条件的问题", "no condition on time can be put into it")
    columns = tuple(_column(plan, place) for place in added)
    return Additive(spelt, tuple(plan.outputs[place].label for place in keys), columns, plan.pure, plan)


def within(sql: str, dataset: str, column: str, kind: Literal["date", "timestamp"], first: date, after: date) -> str:
    """The question of an `Additive`, of rows from the beginning of the day `first` to before that of `after` alone."""
    tree = parse(sql)
    select = _read_once(tree, dataset, sql)
    (table,) = (item for item in select.find_all(exp.Table) if item.name.casefold() == dataset.casefold())
    when = exp.column(exp.to_identifier(column, quoted=True), table=exp.to_identifier(table.alias_or_name, quoted=True))
    ends = (exp.GTE(this=when.copy(), expression=_moment(kind, first)), exp.LT(this=when.copy(), expression=_moment(kind, after)))
    asked = select.args.get("where")
    terms: list[exp.Expr] = [*([exp.Paren(this=asked.this)] if asked is not None else []), *ends]
    whole = terms[0]
    for term in terms[1:]:
        whole = exp.And(this=whole, expression=term)
    select.set("where", exp.Where(this=whole))
    return canonical(tree)


def half_width(scales: Sequence[float], unit: float, *, pure: bool) -> float:
    """The 95 % half-width of the sum of so many independent draws of these scales: variances add up. `unit` as of `Added`; the error is a whole
    number of units, so the width is too."""
    noise = Noise({str(place): scale / unit for place, scale in enumerate(scales)}, pure)
    return math.ceil(noise.z * math.sqrt(math.fsum(noise.variance(name) for name in noise.scales))) * unit


def _moment(kind: str, day: date) -> exp.Expr:
    text = day.isoformat() if kind == "date" else f"{day.isoformat()} 00:00:00"
    return exp.Cast(this=exp.Literal.string(text), to=exp.DataType.build("date" if kind == "date" else "timestamp", dialect="duckdb"))


def _read_once(tree: exp.Expr, dataset: str, sql: str) -> exp.Select:
    """The one SELECT, when it reads the dataset itself, once."""
    if not isinstance(tree, exp.Select):
        raise _refused(tree, sql, "须为一个 SELECT", "it is one SELECT")
    inner = next((item for item in tree.find_all(exp.Query) if item is not tree), None)
    if inner is not None:
        raise _refused(inner, sql, "不能有子查询", "there are no subqueries")
    tables = [item for item in tree.find_all(exp.Table) if item.name.casefold() == dataset.casefold()]
    if len(tables) != 1:
        raise _refused(tree, sql, f"须读取数据集 {dataset} 一次", f"dataset {dataset} is read once")
    return tree


def _keys(select: exp.Select, plan: Plan, sql: str) -> list[int]:
    """The places of the outputs that are the plan's keys: each of them, once."""
    group = select.args.get("group")
    items = select.expressions
    keys = [place for place, output in enumerate(plan.outputs) if output.kind == "key"]
    asked = (
        list(keys) if group is not None and group.args.get("all") else [_meant(item, items) for item in (group.expressions if group else ())]
    )
    if sorted(place for place in asked if place is not None) != keys or len(asked) != len(keys) or len(keys) != len(plan.parts[0].keys):
        raise _refused(
            group or select, sql, "每个分组键须显示一次，不能另有常量列", "every key is shown once, and nothing else beside aggregates"
        )
    return keys


def _meant(key: exp.Expr, items: Sequence[exp.Expr]) -> int | None:
    """Which item a term of GROUP BY means: by its number, its alias or by being the same."""
    if isinstance(key, exp.Literal) and not key.is_string and str(key.this).isdigit():
        return int(str(key.this)) - 1
    name = key.name.casefold() if isinstance(key, exp.Column) else None
    for place, item in enumerate(items):
        node = item.unalias()
        if node == key or (name is not None and isinstance(node, exp.Column) and node.name.casefold() == name):
            return place
    return next((place for place, item in enumerate(items) if isinstance(item, exp.Alias) and item.alias.casefold() == name), None)


def _aggregate(item: exp.Expr, sql: str) -> None:
    node = item.unalias()
    node = node.this if isinstance(node, exp.Filter) else node
    if not isinstance(node, _ADDED) or isinstance(node.this, exp.Distinct) or any(node.this is one for one in node.find_all(exp.Distinct)):
        raise _refused(item.unalias(), sql, "此列不能逐期相加", "this column does not add up over time")


def _named(select: exp.Select, plan: Plan) -> exp.Select:
    """The same with every column named as it is answered, so that another spelling of it has the same name."""
    named = select.copy()
    for item, output in zip(list(named.expressions), plan.outputs, strict=True):
        if not isinstance(item, (exp.Alias, exp.Column)):
            item.replace(exp.alias_(item.copy(), output.label, quoted=True))
    return named


def _column(plan: Plan, place: int) -> Added:
    """The output with the unit of its total: of those whose noise is as large in its own unit, the coarsest."""
    output = plan.outputs[place]
    pairs: list[tuple[Total, Draw]] = [(plan.only.total(draw.total), draw) for draw in plan.draws]
    scale = output.scale or 0.0
    units = [1 / 10**total.decimals for total, draw in pairs if math.isclose(draw.scale / 10**total.decimals, scale, rel_tol=1e-9)]
    if not units:
        raise AssertionError("an output that adds up shows one total")
    return Added(output.label, max(units), scale)


def _refused(node: exp.Expr, sql: str, zh: str, en: str) -> Problem:
    return NOT_ADDITIVE(fragment=fragment(node, sql), reason_zh=zh, reason_en=en)
