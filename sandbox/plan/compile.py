"""From SQL to a plan: a pure function of the query, the catalogue and what the job asks for.

parse → names and types → ownership → keys → totals with bounds → noise and price → emitted SQL. Everything that can be refused is refused
here, before any row could be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from sqlglot import exp

from policies.catalogue import Bounds, Catalogue, KeyValue
from sandbox.plan import problems as refusals
from sandbox.plan.accuracy import Supposed, best_weights, rho_for
from sandbox.plan.ask import Ask
from sandbox.plan.bind import Rows
from sandbox.plan.block import derive, with_ctes
from sandbox.plan.dense import rows_for
from sandbox.plan.domains import allowed
from sandbox.plan.emit import finish_sql, shard_sql
from sandbox.plan.ir import Frontier, Project
from sandbox.plan.model import MOST_EDGES, Bound, Key, Output, Part, Plan, Scan
from sandbox.plan.naming import aliases_of, position
from sandbox.plan.outer import GroupKey, Outer, has_aggregate
from sandbox.plan.price import asked_loss, price, rank_error
from sandbox.plan.prune import pruned, read_columns
from sandbox.plan.ranges import all_taken, stored_ranges
from sandbox.plan.relation import Source, read_from
from sandbox.plan.scope import Scope, Shared, stored_as
from sandbox.plan.spread import Noise
from sandbox.plan.subquery import condition, resolve
from sandbox.plan.totals import Totals
from sandbox.plan.width import SPREADS, Form, Linear, NoWidth, Unsaid, constant_width, expected_width, form_of, noisy, width_sql
from sandbox.sql import problems
from sandbox.sql.expr import Call, Column, Expr, columns, emit
from sandbox.sql.fragment import fragment
from sandbox.sql.numbers import to_float
from sandbox.sql.parse import canonical, parse, table_names
from sandbox.sql.types import NAMES

MAX_PUBLIC_KEYS = 250_000
MOST_CHOICES = 5_000_000  # public groups × candidates: some ten seconds of choosing
MOST_NODES = 400_000  # public groups × nodes of a noisy tree: some ten seconds of drawing
MECHANISM = "discrete Gaussian"
CHOICE = "Gumbel noisy max"
TREE = "noisy tree, discrete Gaussian"
PURE_MECHANISM = "discrete Laplace"
PURE_CHOICE = "permute-and-flip"
HALF_WIDTH = "__half_width"


def tables_in(sql: str) -> tuple[str, ...]:
    """The datasets a query names. Raises `sql_*` problems."""
    return table_names(parse(sql))


def compile_job(sql: str, catalogue: Catalogue, ask: Ask) -> Plan:
    """The plan of a job. Raises `sql_*` and `plan_*` problems; equal arguments give equal plans."""
    tree = parse(sql)
    if not tree.expressions:
        raise problems.EMPTY()
    scope = Scope(sql, Shared(catalogue, *stored_ranges(ask.ranges, tree, catalogue), derive, resolve, condition))
    scope.ctes = with_ctes(tree, scope)
    _outermost(tree, sql)
    aliases = aliases_of(tree)
    source = read_from(tree, scope, aliases)
    if scope.owner is None:
        raise refusals.NO_PRIVATE_TABLE()
    keys = _keys(tree, scope, aliases)
    made = [_key(place, key, scope, source) for place, key in enumerate(keys)]
    bounds, notes = _bounds(source, ask, made)
    public = all(key.domain is not None for key in made)

    totals = Totals(bounds.rows_per_group, ask.edges or MOST_EDGES)
    if not public:
        totals.units()
    outer = Outer(scope, keys, totals, aliases, _unit_name(scope))
    select = [Selected.of(item, outer) for item in tree.expressions]
    _labels(select)
    having = tree.args.get("having")
    kept = None if having is None else emit(outer.condition(having.this))
    order = _order(tree, outer, select, made)
    if not totals.totals:
        raise (refusals.NOTHING_PRIVATE() if keys else refusals.UNIT_ROWS(fragment=fragment(tree.expressions[0], sql)))

    all_taken(scope.shared)
    if not ask.privacy.pure:
        totals.share(MOST_NODES // _product(made) if public else MOST_NODES)
    most = max((total.candidates for total in totals.totals if total.kind == "quantile"), default=0)
    if public and _product(made) * most > MOST_CHOICES:
        raise refusals.TOO_MANY_CANDIDATES(groups=_product(made), candidates=most, limit=MOST_CHOICES)
    pieces = [next((item.label for item in select if _mentions(item.expr, total.shares)), total.name) for total in totals.totals]
    expected = max(1, max(dataset.approximate_rows for dataset in scope.shared.private) // max(1, _product(made))) if public else 1000
    supposed = Supposed({total.name: total for total in totals.totals}, expected, bounds.rows_per_group)
    weights = _weights(ask.weights, select, totals) or best_weights(totals.totals, supposed, pure=ask.privacy.pure)
    privacy, groups = ask.privacy, bounds.groups_per_unit

    def rho() -> int:
        forms = [(item.label, item.form) for item in select if item.form is not None]
        return rho_for(*privacy.wanted, forms, totals.totals, weights, groups, supposed, privacy.asked, pure=privacy.pure)

    whole = asked_loss(privacy, private_keys=not public, groups=groups, weights=weights, for_accuracy=rho)
    draws = price(whole, privacy.asked, totals.totals, weights, groups, pieces)
    noise = Noise.of(draws, totals.totals)
    choose = None if public and _product(made) <= bounds.groups_per_unit else bounds.groups_per_unit
    frontier = Frontier(
        pruned(Project(source.relation(), scope.owner, tuple(key.expr for key in keys), tuple(totals.values))),
        tuple(totals.totals),
        tuple(key.domain for key in made),
        bounds.rows_per_group,
        choose,
        seldom=public and bounds.groups_per_unit >= 2 and _product(made) <= 4 * bounds.groups_per_unit,
    )
    part = Part(
        space=scope.owner.space,
        scans=_scans(scope, frontier.of),
        keys=tuple(made),
        totals=tuple(totals.totals),
        draws=draws,
        groups_per_unit=bounds.groups_per_unit,
        rows_per_group=bounds.rows_per_group,
        shard_sql=shard_sql(frontier),
        rows=rows_for(frontier),
        expected_rows=expected,
    )
    return Plan(
        query=canonical(tree),
        parts=(part,),
        outputs=tuple(item.output(totals, noise, expected) for item in select),
        finish_sql=finish_sql(_finished(select, noise), kept, order, _number(tree, "limit", scope), _number(tree, "offset", scope)),
        uses=tuple(scope.uses),
        delta=format(ask.privacy.delta.normalize(), "f"),
        bounds=(*notes, *totals.bounds),
        accuracy=ask.privacy.accuracy or "",
    )


def _keys(tree: exp.Select, scope: Scope, aliases: Mapping[str, exp.Expr]) -> list[GroupKey]:
    """The grouping keys, each once: columns, expressions, aliases, positions, or ALL. Raises `plan_unit_key`, `plan_key_type` and others."""
    group = tree.args.get("group")
    if group is None:
        return []
    nodes = [item.unalias() for item in tree.expressions if not has_aggregate(item)] if group.args.get("all") else list(group.expressions)
    keys: list[GroupKey] = []
    for node in nodes:
        node = position(node.unnest(), tree, scope)
        expr = Rows(scope, "key", aliases=aliases).bind(node)
        piece = fragment(node, scope.text)
        for column in columns(expr):
            if scope.is_unit(column):
                raise refusals.UNIT_KEY(fragment=piece, column=column.shown)
        if not any(columns(expr)):
            raise refusals.CONSTANT_KEY(fragment=piece)
        if expr.type.kind not in ("exact", "text", "date", "boolean") or expr.type.scale:
            zh, en = ("小数", "fraction") if expr.type.numeric else NAMES[expr.type.kind]
            raise refusals.KEY_TYPE(fragment=piece, kind_zh=zh, kind_en=en)
        if all(expr != key.expr for key in keys):
            keys.append(GroupKey(expr, node))
    return keys


def _key(place: int, key: GroupKey, scope: Scope, source: Source) -> Key:
    """A plain column with a domain is a public key; what WHERE says about it narrows the domain. Everything else is private."""
    kind = {"exact": "integer"}.get(key.expr.type.kind, key.expr.type.kind)
    domain: tuple[KeyValue, ...] | None = None
    if isinstance(key.expr, Column):
        declared = scope.field(key.expr).domain
        if declared is not None:
            domain = allowed(declared, key.expr, source.where)
            if not domain:
                raise refusals.NO_KEYS_LEFT(fragment=fragment(key.node, scope.text))
    return Key(f"k{place}", cast(Literal["integer", "text", "date", "boolean"], kind), domain)


def _product(keys: Sequence[Key]) -> int:
    return math.prod(len(key.domain or ()) for key in keys)


def _bounds(source: Source, ask: Ask, keys: Sequence[Key]) -> tuple[Bounds, list[Bound]]:
    """The job's bounds where it narrows the catalogue's, of several datasets the widest; no more groups than there are public keys."""
    limits = [dataset.bounds for dataset in source.scope.shared.private if dataset.bounds is not None]
    chosen: dict[str, int] = {}
    notes: list[Bound] = []
    for name in ("groups_per_unit", "rows_per_group"):
        limit, asked = max(getattr(item, name) for item in limits), getattr(ask, name)
        if asked is not None and asked > limit:
            raise refusals.BOUND_WIDENED(name=name, asked=asked, limit=limit)
        chosen[name] = limit if asked is None else asked
        origin: Literal["catalogue", "job", "keys"] = "catalogue" if asked is None else "job"
        if name == "groups_per_unit" and all(key.domain is not None for key in keys):
            count = _product(keys)
            if count > MAX_PUBLIC_KEYS:
                raise refusals.TOO_MANY_KEYS(count=count, limit=MAX_PUBLIC_KEYS)
            if count < chosen[name]:
                chosen[name], origin = count, "keys"
        notes.append(Bound(name, "", "0", str(chosen[name]), origin))
    return Bounds(**chosen), notes


@dataclass(frozen=True)
class Selected:
    """One column of the answer, bound. `form` None: known without noise."""

    label: str
    expr: Expr
    form: Form | None
    single: str | None  # the total it shows unchanged, or about whose centre it is

    @classmethod
    def of(cls, item: exp.Expr, outer: Outer) -> Selected:
        node = item.unalias()
        piece = fragment(node, outer.scope.text)
        label = item.alias if isinstance(item, exp.Alias) else node.name if isinstance(node, exp.Column) else piece
        if isinstance(node, exp.Star):
            raise refusals.UNIT_ROWS(fragment="*")
        expr = outer.bind(node)
        if not noisy(expr):
            return cls(label, expr, None, None)
        try:
            form = form_of(expr, outer.totals)
        except NoWidth:
            raise refusals.HALF_WIDTH(fragment=piece) from None
        single = expr.name if isinstance(expr, Column) else None
        if isinstance(expr, Call) and expr.op in ("average", *SPREADS):
            single = cast(Column, expr.args[0]).name
        return cls(label, expr, form, single)

    def sql(self) -> str:
        """The value: integers as BIGINT, other numbers as DOUBLE."""
        expr = self.expr
        if expr.type.kind == "exact" and (expr.type.scale or (expr.type.wide and not isinstance(expr, Column))):
            expr = to_float(expr)
        return emit(expr)

    def output(self, totals: Totals, noise: Noise, expected_rows: int) -> Output:
        if self.form is None:
            return Output(self.label, "key", "", None, None, None)
        if isinstance(self.form, Unsaid):
            return self._choice(totals, noise)
        scale = low = high = None
        if isinstance(self.form, Linear) and len(self.form.terms) == 1:
            ((name, coefficient),) = self.form.terms.items()
            scale = float(abs(coefficient) * noise.scales[name])
        if self.single is not None:
            total = totals.named(self.single)
            low, high = ((end + total.centre) / 10**total.decimals for end in (total.low, total.high))
        constant, expected = constant_width(self.form, noise), expected_width(self.form, noise, expected_rows)
        return Output(self.label, "value", PURE_MECHANISM if noise.pure else MECHANISM, scale, low, high, constant, expected)

    def _choice(self, totals: Totals, noise: Noise) -> Output:
        """A quantile, or something computed with one."""
        chosen = PURE_CHOICE if noise.pure else CHOICE
        if self.single is None:
            return Output(self.label, "value", chosen, None, None, None)
        total = totals.named(self.single)
        low, high, step = (end / 10**total.decimals for end in (total.low, total.high, total.step))
        whole = next(one for one in totals.totals if total.name in one.shares)
        mechanism, ranks = TREE if whole.branching else chosen, rank_error(whole, noise.scales[whole.name])
        return Output(self.label, "value", mechanism, None, low, high, spacing=step, rank_error=ranks)


def _weights(asked: Mapping[str, int], select: Sequence[Selected], totals: Totals) -> tuple[int, ...] | None:
    """A total's weight is the largest among the outputs it is for; 1 where none is named. None: the job gives none."""
    if not asked:
        return None
    given = {label.casefold(): weight for label, weight in asked.items()}
    labels = {item.label.casefold() for item in select if item.form is not None}
    for label in asked:
        if label.casefold() not in labels:
            raise refusals.WEIGHT_UNKNOWN(name=label)
    return tuple(
        sum(max((given.get(item.label.casefold(), 1) for item in select if _mentions(item.expr, [name])), default=1) for name in total.shares)
        for total in totals.totals
    )


def _labels(select: Sequence[Selected]) -> None:
    """Every column of the answer, half-widths included, has a name of its own, in more than case."""
    seen: set[str] = set()
    for item in select:
        for label in (item.label, item.label + HALF_WIDTH) if item.form is not None else (item.label,):
            if label.casefold() in seen or not label:
                raise problems.DUPLICATE_COLUMN(label=label)
            seen.add(label.casefold())


def _finished(select: Sequence[Selected], noise: Noise) -> list[tuple[str, str]]:
    values = [(item.sql(), item.label) for item in select]
    widths = []
    for item, (sql, label) in zip(select, values, strict=True):
        if item.form is not None:
            width = width_sql(item.form, noise)
            always = constant_width(item.form, noise) is not None
            widths.append((width if always else f"CASE WHEN {sql} IS NOT NULL THEN {width} END", label + HALF_WIDTH))
    return values + widths


def _order(tree: exp.Select, outer: Outer, select: Sequence[Selected], keys: Sequence[Key]) -> list[str]:
    """ORDER BY, then every key: the order of rows is a function of the noisy table."""
    terms: list[str] = []
    clause = tree.args.get("order")
    for item in clause.expressions if clause is not None else ():
        direction = f"{'DESC' if item.args.get('desc') else 'ASC'} NULLS {'FIRST' if item.args.get('nulls_first') else 'LAST'}"
        if isinstance(item.this, exp.Var) and str(item.this.this).upper() == "ALL":
            terms += [f"{chosen.sql()} {direction}" for chosen in select]
            continue
        node = item.this
        if isinstance(node, exp.Literal) and not node.is_string:
            place = int(node.this) if str(node.this).isdigit() else 0
            if not 1 <= place <= len(select):
                raise problems.ORDINAL(fragment=fragment(node, outer.scope.text), count=len(select))
            terms.append(f"{select[place - 1].sql()} {direction}")
            continue
        outer.alias_first = True
        try:
            terms.append(f"{emit(outer.bind(node))} {direction}")
        finally:
            outer.alias_first = False
    return terms + [f"noisy.{key.name} ASC NULLS LAST" for key in keys]


def _number(tree: exp.Select, clause: str, scope: Scope) -> int | None:
    node = tree.args.get(clause)
    if node is None:
        return None
    count = node.args["expression"]
    if not isinstance(count, exp.Literal) or count.is_string or not str(count.this).isdigit() or len(str(count.this)) > 12:
        raise problems.LITERAL(fragment=fragment(count, scope.text), kind_zh="行数", kind_en="number of rows", example=f" {clause.upper()} 10")
    return int(count.this)


def _scans(scope: Scope, project: Project) -> tuple[Scan, ...]:
    """Each table with the only columns the shard query reads."""
    scans = []
    for alias, read in sorted(read_columns(project).items(), key=lambda item: int(item[0][1:])):
        snapshot = scope.shared.scanned[alias]
        dataset = snapshot.dataset
        kept = [column for column in dataset.stored if column.name in read] or [dataset.columns[0]]
        unit = dataset.unit_column
        owned = ("", "") if unit is None or dataset.unit is None else (unit.name, dataset.unit.space)
        named, types = tuple(column.name for column in kept), tuple(map(stored_as, kept))
        scans.append(Scan(dataset.name, snapshot.version, snapshot.digest, dataset.private, alias, named, types, *owned))
    return tuple(scans)


def _outermost(tree: exp.Select, sql: str) -> None:
    """What only subqueries have. Raises `sql_select_distinct`, `sql_window`."""
    for name, kind in (("distinct", problems.DISTINCT_ROWS), ("qualify", problems.WINDOW)):
        if tree.args.get(name) is not None:
            raise kind(fragment=fragment(tree if name == "distinct" else tree.args[name], sql))


def _unit_name(scope: Scope) -> str:
    """What the query calls the unit, or else the catalogue."""
    named = (item.name for table in scope.tables for item in table.fields if scope.is_unit(item.column))
    return next(named, next(dataset.unit.column for dataset in scope.shared.private if dataset.unit is not None))


def _mentions(expr: Expr, names: Iterable[str]) -> bool:
    return any(column.name in names and not column.table for column in columns(expr))
