"""From a model request to its plan: a pure function of the request and the catalogue.

The planner of SQL does most of it: the source is a relation each of whose rows belongs to one unit, features are expressions over it with
bounds from interval analysis, clamped and turned to fixed point row by row, as an aggregate's argument is. Everything that can be refused is
refused here, before any row could be read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

from sqlglot import exp

from policies.catalogue import Catalogue
from policies.problem import Problem
from sandbox.plan import problems as refusals
from sandbox.plan.ask import Ask
from sandbox.plan.bind import Rows
from sandbox.plan.block import derive
from sandbox.plan.branch import scans
from sandbox.plan.domains import domain_of
from sandbox.plan.emit import constant, fixed_point
from sandbox.plan.fanout import TooMany, limits, rows_of
from sandbox.plan.fit import problems
from sandbox.plan.fit.ask import MOST_FEATURES, Errors, Feature, FitAsk, Value
from sandbox.plan.fit.plan import MAGNIFIED, ONE, PARAMETER_BITS, FitPlan, Variable
from sandbox.plan.fit.price import cut_of, gradient_cap, steps_of
from sandbox.plan.fit.spread import packed
from sandbox.plan.ir import Project
from sandbox.plan.model import Bound, Total
from sandbox.plan.prune import pruned, read_columns
from sandbox.plan.ranges import stored_ranges
from sandbox.plan.relation import Source, read_from
from sandbox.plan.released import Releases
from sandbox.plan.scope import Scope, Shared
from sandbox.plan.source_sql import from_where
from sandbox.plan.subquery import condition, resolve
from sandbox.plan.totals import Totals, shown
from sandbox.sql.expr import Call, Expr, columns, emit
from sandbox.sql.parse import canonical, parse
from sandbox.sql.types import NAMES, exact

SOURCE = "source"
_TRUTH = "CASE WHEN {0} THEN 1::BIGINT WHEN NOT {0} THEN 0::BIGINT END"


@dataclass(frozen=True, slots=True)
class _Column:
    """A number per row, bound: what it is, how it becomes fixed point, and where its range is from."""

    variable: Variable
    value: Expr
    total: Total
    bound: Bound


def compile_fit(ask: FitAsk, catalogue: Catalogue) -> FitPlan:
    """The plan of a model job. Raises `plan_model_*` and what the planner of SQL does; equal arguments give equal plans."""
    tree, text = _query(ask)
    scope, source = _source(tree, text, ask, catalogue)
    found: list[_Column] = []
    for value, node in zip(ask.values, tree.expressions, strict=True):
        found += _columns(value, node.unalias().unnest(), source, ask)
    features = len(found) - (ask.target is not None)
    if features > MOST_FEATURES:
        raise problems.TOO_MANY(count=features, limit=MOST_FEATURES)
    if ask.target is not None:
        _check_target(ask, found[-1].variable)
    if scope.shared.releases.branches or scope.shared.views:
        raise problems.SOURCE_RELEASED()
    assert scope.owner is not None
    project = pruned(Project(source.relation(), scope.owner, (), tuple(column.value for column in found)))
    rows, bound, single = _rows_bound(ask, scope, project)
    errors: Errors = ask.errors or ("classical" if rows == 1 else "robust")
    if errors == "classical" and rows > 1:
        raise problems.ROWS_NEED_ROBUST(rows=rows)
    parameters = features + (1 if ask.intercept else 0)
    supposed = max(dataset.approximate_rows for dataset in scope.shared.private)
    cap, shift = gradient_cap(ask, features, parameters, rows, cut_of(ask, features, parameters, rows))
    return FitPlan(
        model=ask.model,
        query=_shown(ask, tree),
        space=project.owner.space,
        scans=scans(scope, read_columns(project), project.of),
        uses=tuple(scope.uses),
        rows_sql=_rows_sql(project, found),
        features=tuple(column.variable for column in found[:features]),
        target=None if ask.target is None else found[-1].variable,
        intercept=ask.intercept and ask.regression,
        clusters=ask.clusters or 0,
        rows_per_unit=rows,
        single=single,
        regularisation=format(ask.regularisation.normalize(), "f"),
        errors=errors,
        gradient_cap=cap,
        gradient_shift=shift,
        steps=steps_of(ask, features, parameters, rows, errors, supposed),
        start=_start(ask, found, features, parameters),
        delta=format(ask.privacy.delta.normalize(), "f"),
        bounds=(bound, *(column.bound for column in found)),
        accuracy=ask.privacy.accuracy or "",
        expected_rows=supposed,
    )


def _query(ask: FitAsk) -> tuple[exp.Select, str]:
    """The request as one SELECT, the values over the source, and its text. Raises `sql_*` problems, `plan_model_expression`."""
    named = f'"{ask.source}"'
    if not ask.source.isidentifier():
        parse(ask.source)  # by itself: it must not reach out of its parentheses
        named = f"(\n{ask.source.rstrip().rstrip(';')}\n)"
    text = f"SELECT {', '.join(_expression(value) for value in ask.values)} FROM {named} AS {SOURCE}"
    whole = parse(text)
    if not isinstance(whole, exp.Select) or len(whole.expressions) != len(ask.values):
        raise problems.NOT_ONE_VALUE(name=ask.values[0].name)
    return whole, text


def _expression(value: Value) -> str:
    """The value's own text, once it has been seen to be one expression by itself."""
    alone = parse(f"SELECT (\n{value.sql}\n) FROM {SOURCE}")
    clauses = {name for name, part in alone.args.items() if part} - {"expressions", "from_", "kind"}
    if not isinstance(alone, exp.Select) or clauses or len(alone.expressions) != 1 or not isinstance(alone.expressions[0], exp.Paren):
        raise problems.NOT_ONE_VALUE(name=value.name)
    return f"(\n{value.sql}\n)"


def _source(tree: exp.Select, text: str, ask: FitAsk, catalogue: Catalogue) -> tuple[Scope, Source]:
    """The relation, owned. Raises what the planner of SQL does, `plan_no_private_table`, `plan_model_released`."""
    asked = Ask(privacy=ask.privacy)
    shared = Shared(catalogue, *stored_ranges({}, tree, catalogue), derive, resolve, condition)
    shared.releases = Releases(shared, asked)
    scope = Scope(text, shared)
    source = read_from(tree, scope, {})
    if shared.releases.branches:
        raise problems.SOURCE_RELEASED()
    if scope.owner is None:
        raise refusals.NO_PRIVATE_TABLE()
    return scope, source


def _columns(value: Value, node: exp.Expr, source: Source, ask: FitAsk) -> list[_Column]:
    expr = Rows(source.scope, "aggregate", narrowed=True).bind(node)
    for column in columns(expr):
        if source.scope.is_unit(column):
            raise refusals.UNIT_AGGREGATE(fragment=value.name, column=column.shown)
    if isinstance(value, Feature) and value.categories is not None:
        return _categories(value, expr, source, ask)
    return [_number(value, expr, ask, value.name)]


def _categories(feature: Feature, expr: Expr, source: Source, ask: FitAsk) -> list[_Column]:
    """One 0/1 value per category; NULL, which leaves the row out, in none. The first of a regression with intercept is the reference."""
    named = feature.categories
    if named == "declared":
        found = domain_of(expr, lambda column: source.scope.field(column).domain, source.where)
        named = None if found is None else tuple(key for key in found if key is not None and not isinstance(key, date))
    if not isinstance(named, tuple) or not 2 <= len(named) <= MOST_FEATURES:
        raise problems.NO_CATEGORIES(name=feature.name, limit=MOST_FEATURES)
    kind = {bool: "boolean", int: "exact", str: "text"}[type(named[0])]
    if expr.type.kind != kind:
        raise problems.VALUE_TYPE(name=feature.name, kind_zh=NAMES[expr.type.kind][0], kind_en=NAMES[expr.type.kind][1])
    every = ", ".join(map(constant, named))
    made = []
    for category in named[1:] if ask.regression and ask.intercept else named:
        form = f"CASE WHEN {{0}} = {_escaped(constant(category))} THEN 1::BIGINT WHEN {{0}} IN ({_escaped(every)}) THEN 0::BIGINT END"
        value = Value(name=feature.name)
        made.append(_number(value, Call("category", (expr,), exact(0, 1), form), ask, f"{feature.name}={category}"))
    return made


def _escaped(sql: str) -> str:
    """A constant as part of a form, whose braces are places."""
    return sql.replace("{", "{{").replace("}", "}}")


def _number(value: Value, expr: Expr, ask: FitAsk, name: str) -> _Column:
    if expr.type.kind == "boolean":
        expr = Call("truth", (expr,), exact(0, 1), _TRUTH)
    if not expr.type.numeric:
        raise problems.VALUE_TYPE(name=name, kind_zh=NAMES[expr.type.kind][0], kind_en=NAMES[expr.type.kind][1])
    narrowed = value.low is not None and value.high is not None
    if value.low is not None and value.high is not None:
        low, high = Fraction(value.low), Fraction(value.high)
        kind = expr.type
        if (kind.low is not None and low < kind.low) or (kind.high is not None and high > kind.high):
            limit = " – ".join("…" if end is None else shown(end) for end in (kind.low, kind.high))
            raise refusals.RANGE_WIDENED(column=name, asked=f"{value.low} – {value.high}", limit=limit)
        expr = replace(expr, type=replace(kind, low=low, high=high))
    if not expr.type.bounded:
        raise problems.NO_RANGE(name=name)
    if expr.type.low == expr.type.high:
        raise problems.CONSTANT(name=name)
    total, worth = _fixed(expr, name)
    fill = None
    if value.missing != "drop":
        fill = round(Fraction(value.missing) * 10**total.decimals)
        if not total.low <= fill <= total.high:
            ends = [shown(Fraction(end, 10**total.decimals)) for end in (total.low, total.high)]
            raise problems.FILL_RANGE(name=name, fill=value.missing, low=ends[0], high=ends[1])
    centred = ask.standardise and (ask.intercept or not ask.regression)
    if value is ask.target and ask.model in ("logistic", "poisson"):
        centred = False
    variable = Variable(name, total.low, total.high, total.decimals, fill, centred, value.name)
    bottom, top = variable.ends
    bound = Bound("range", name, shown(bottom), shown(top), "job" if narrowed else "derived")
    return _Column(variable, worth, total, bound)


def _fixed(expr: Expr, name: str) -> tuple[Total, Expr]:
    """How a row's value becomes an integer inside its range: as an argument of SUM does."""
    totals = Totals(1)
    try:
        made = totals.named(totals.sum(expr, None, name, "derived"))
    except Problem as problem:
        if problem.code == refusals.CONSTANT_AGGREGATE.code:
            raise problems.CONSTANT(name=name) from None
        raise
    (value,) = totals.values
    assert value is not None
    if made.low == made.high:
        raise problems.CONSTANT(name=name)
    if max(abs(made.low), abs(made.high)) > 2**50:
        raise refusals.BOUNDS_TOO_WIDE(fragment=name)
    return made, value


def _check_target(ask: FitAsk, target: Variable) -> None:
    low, high = target.ends
    fits = {"logistic": low == 0 and high == 1, "poisson": low >= 0}.get(ask.model, True)
    if not fits:
        wanted = "[0, 1]" if ask.model == "logistic" else "[0, ∞)"
        raise problems.TARGET_RANGE(model=ask.model, wanted=wanted, name=target.name, low=shown(low), high=shown(high))


def _rows_bound(ask: FitAsk, scope: Scope, project: Project) -> tuple[int, Bound, bool]:
    """How many rows a unit counts with at most, where that is from, and whether public facts say that no unit has two."""
    limit = max(dataset.bounds.rows_per_group for dataset in scope.shared.private if dataset.bounds is not None)
    try:
        most = rows_of(project.of, limits(scope.shared.scanned)).most
    except TooMany as many:
        raise refusals.FAN_OUT(fragment=SOURCE, rows=f"{many.rows:,}", limit=f"{limit:,}") from None
    if ask.rows_per_unit is not None and ask.rows_per_unit > limit:
        raise refusals.BOUND_WIDENED(name="rows_per_unit", asked=ask.rows_per_unit, limit=limit)
    rows = ask.rows_per_unit or limit
    if most is not None:
        rows = min(rows, most)
    return rows, Bound("rows_per_group", "", "0", str(rows), "catalogue" if ask.rows_per_unit is None else "job"), most == 1


def _rows_sql(project: Project, made: Sequence[_Column]) -> str:
    inner = [f"{emit(project.owner.unit)} AS u", *(f"{emit(column.value)} AS f{place}" for place, column in enumerate(made))]
    fixed = [f"{fixed_point(f'f{place}', column.value.type, column.total)} AS f{place}" for place, column in enumerate(made)]
    return f"SELECT u, {', '.join(fixed)} FROM (SELECT {', '.join(inner)} {from_where(project.of)}) AS rows WHERE u IS NOT NULL"


def _start(ask: FitAsk, made: Sequence[_Column], features: int, parameters: int) -> tuple[int, ...]:
    """Parameters of the first step: 0; of Poisson an intercept at a quarter of the target's largest value; of k-means, centres far apart."""
    if ask.model == "kmeans":
        ranges = [column.variable for column in made]
        return tuple(round(place * ONE) for centre in packed(ask.clusters or 0, _boxes(ranges)) for place in centre)
    start = [0] * parameters
    if ask.model == "poisson" and ask.intercept:
        _, most = made[-1].variable.ends
        start[0] = round(math.log(most / 4) * 2**PARAMETER_BITS)
    return (*start, MAGNIFIED) if ask.model == "linear" else tuple(start)


def _boxes(variables: Sequence[Variable]) -> list[tuple[float, float]]:
    """Each feature's range, standardised."""
    return [tuple(float((end - variable.middle) / variable.half) for end in variable.ends) for variable in variables]  # type: ignore[misc]  # pairs


def _shown(ask: FitAsk, tree: exp.Select) -> str:
    """The question in one text: the model, its target and features, and the source."""
    listed = [canonical(node) for node in (item.unalias().unnest() for item in tree.expressions)]
    features, target = (listed[:-1], f"{listed[-1]} ~ ") if ask.target is not None else (listed, "")
    return f"{ask.model.upper()} {target}{' + '.join(features)} FROM {canonical(tree.args['from_'].this)}"
