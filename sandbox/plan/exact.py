"""From SQL to an exact table: the same language, names, types and ownership as noised jobs, then counts and sums without a bound or a draw.

An exact table is for people to review. Its shape is public, and known before a row is read: every key has a public domain, every combination
of keys is a row, and every column is a key or one COUNT, SUM or AVG. So nothing about it can tell of the data but its numbers, which stay
sealed. Nothing is clamped beyond what ingest holds every value to, and every row of every unit counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from sqlglot import exp

from policies.catalogue import Catalogue
from policies.catalogue.blocks import period_in
from sandbox.plan import problems as refusals
from sandbox.plan.answer import check_labels
from sandbox.plan.ask import Ask, Privacy
from sandbox.plan.block import derive, with_ctes
from sandbox.plan.branch import Branch, scans
from sandbox.plan.exact_model import MOST_CONTRIBUTIONS, ExactColumn, ExactKey, ExactPlan, ExactTotal
from sandbox.plan.exact_problems import (
    EXACT_CLAUSE,
    EXACT_COLUMN,
    EXACT_KEYS,
    EXACT_PARTS,
    EXACT_PERIODS,
    EXACT_TOO_MANY,
    EXACT_UNSELECTED,
)
from sandbox.plan.exact_sql import distinct_sql, rows_sql, tables_sql
from sandbox.plan.ir import Project
from sandbox.plan.model import Key, Total
from sandbox.plan.naming import aliases_of
from sandbox.plan.outer import GroupKey
from sandbox.plan.population import relation_name, value_name, where_data
from sandbox.plan.prune import pruned, read_columns
from sandbox.plan.ranges import stored_ranges
from sandbox.plan.relation import Source, read_from
from sandbox.plan.released import Releases
from sandbox.plan.scope import Scope, Shared
from sandbox.plan.subquery import condition, resolve
from sandbox.plan.wrap import around
from sandbox.sql import problems
from sandbox.sql.expr import Call, Column
from sandbox.sql.fragment import fragment
from sandbox.sql.parse import canonical, parse

MOST_CELLS = 10_000
_CLAUSES = ("having", "qualify", "order", "limit", "offset", "distinct")
_NO_PRICE = Ask(privacy=Privacy(rho=Decimal(1)))  # frontiers are made for a price; this one is never asked


def compile_exact(sql: str, catalogue: Catalogue) -> ExactPlan:
    """The plan of an exact job. Raises `sql_*` and `plan_*` problems; equal arguments give equal plans."""
    tree = parse(sql)
    if not isinstance(tree, exp.Select) or not tree.expressions:
        raise EXACT_PARTS(fragment=fragment(tree, sql))
    for clause in _CLAUSES:
        if tree.args.get(clause) is not None:
            raise EXACT_CLAUSE(fragment=fragment(tree, sql), clause=clause.upper().replace("ORDER", "ORDER BY"))
    shared = Shared(catalogue, *stored_ranges({}, tree, catalogue), derive, resolve, condition)
    releases = shared.releases = Releases(shared, _NO_PRICE)
    scope = Scope(sql, shared)
    scope.ctes = with_ctes(tree, scope)
    aliases = aliases_of(tree)
    source = read_from(tree, scope, aliases)
    if scope.owner is None:
        raise refusals.NO_PRIVATE_TABLE()
    if period_in(scope.owner.space) is not None:
        raise EXACT_PERIODS(space=scope.owner.space)
    if around(tree):
        raise EXACT_PARTS(fragment=fragment(tree, sql))
    noised = releases.frontiers(tree, source, aliases, inner=False)
    if releases.views or len(releases.branches) != len(noised.sets):
        raise EXACT_PARTS(fragment=fragment(tree, sql))
    check_labels(noised.branches[0].select)
    return _plan(canonical(tree), noised.sets, source, scope)


def _plan(query: str, branches: Sequence[Branch], source: Source, scope: Scope) -> ExactPlan:
    first = branches[0]
    every = first.every or first.keys
    found: list[Key | None] = [None] * len(every)
    sets: list[tuple[int, ...]] = []
    for branch in branches:
        places = [next(place for place, key in enumerate(every) if key.expr == one.expr) for one in branch.keys]
        sets.append(tuple(places))
        for place, one in zip(places, branch.made, strict=True):
            if one.domain is None:
                raise EXACT_KEYS(fragment=fragment(every[place].node, scope.text))
            found[place] = one
    made = [key for key in found if key is not None]
    assert len(made) == len(every)  # every key is in one of the sets
    asked = [_column(at, branches, every) for at in range(len(first.select))]
    shown = sorted({column.place for column in asked if column.kind != "key"})  # an average's count of values comes with its sum
    if not shown:
        raise refusals.NOTHING_PRIVATE()
    columns = tuple(column if column.kind == "key" else replace(column, place=shown.index(column.place)) for column in asked)
    added = [(first.totals.totals[place], first.totals.values[place]) for place in shown]
    labels = {column.place: column.label for column in columns if column.kind == "key"}
    for place, key in enumerate(every):
        if place not in labels:
            raise EXACT_UNSELECTED(fragment=fragment(key.node, scope.text))
    owner = first.project().owner
    project = pruned(Project(source.relation(), owner, tuple(key.expr for key in every), tuple(value for _, value in added)))
    keys = tuple(
        ExactKey(
            f"k{place}",
            labels[place],
            key.type,
            key.domain or (),
            value_name(every[place].expr, scope),
            any(place not in one for one in sets),
        )
        for place, key in enumerate(made)
    )
    totals = tuple(
        ExactTotal(
            "units" if total.kind == "units" else "count" if total.kind == "count" else "sum",
            total.decimals,
            "" if value is None or total.kind == "units" else value_name(value, scope),
            total.low + total.centre < 0,
            value is not None and value.type.kind == "float",
            value is not None,
        )
        for total, value in added
    )
    rows = rows_sql(project, tuple(key.domain for key in keys), totals)
    plan = ExactPlan(
        query=query,
        space=project.owner.space,
        scans=scans(scope, read_columns(project)),
        keys=keys,
        sets=tuple(sets),
        totals=totals,
        columns=columns,
        rows_sql=rows,
        tables_sql=tables_sql([key.name for key in keys], sets, totals, MOST_CONTRIBUTIONS),
        distinct_sql=distinct_sql([key.name for key in keys], totals),
        uses=tuple(scope.uses),
        relation=relation_name(project.of, scope),
        population=where_data(project.of, scope),
    )
    if plan.cells > MOST_CELLS or not plan.cells:
        raise EXACT_TOO_MANY(count=plan.cells, limit=MOST_CELLS)
    return plan


def _column(at: int, branches: Sequence[Branch], every: Sequence[GroupKey]) -> ExactColumn:
    """A key as it stands, or one total: arithmetic over several could be undone, and would be reviewed as something else than it is."""
    for branch in branches:
        item = branch.select[at]
        expr, totals = item.expr, {total.name: (place, total) for place, total in enumerate(branch.totals.totals)}
        found: tuple[int, Total] | None
        if isinstance(expr, Column) and not expr.table:
            if expr.name == "absent":
                continue
            key = next((place for place, made in enumerate(branch.made) if made.name == expr.name), None)
            if key is not None:
                place = next(place for place, one in enumerate(every) if one.expr == branch.keys[key].expr)
                return ExactColumn(item.label, "key", place)
            found = totals.get(expr.name)
            if found is not None and found[1].kind in ("units", "count", "sum"):
                return ExactColumn(item.label, "sum" if found[1].kind == "sum" else "count", found[0], found[1].decimals)
        if isinstance(expr, Call) and expr.op == "average" and isinstance(expr.args[0], Column):
            place, total = totals[expr.args[0].name]
            return ExactColumn(item.label, "mean", place, min(total.decimals + 2, 9))
        raise EXACT_COLUMN(label=item.label)
    raise problems.EMPTY()  # not reached: every key is in one of the sets
