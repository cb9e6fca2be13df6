"""Aggregates across units inside a query: noised first, public from there on.

A subquery that aggregates over many units becomes frontiers of its own, and a view over their noisy tables. To the query around it the view
is a public table: it may be joined, filtered, grouped, compared with, and put beside protected rows, whose own frontier is then a later part of
the plan (docs/proofs/released.md). What is computed from public and released tables alone is a view as well, so that it runs in the
finishing room; workers only ever read finished tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from sqlglot import exp

from policies.catalogue import KeyValue
from sandbox.plan import problems as refusals
from sandbox.plan.answer import Selected, direction, number, ordinal
from sandbox.plan.ask import Ask
from sandbox.plan.block import Item, ordered_by, selected, shown_place, with_ctes
from sandbox.plan.branch import Branch, branches_of
from sandbox.plan.emit import cut, ordered
from sandbox.plan.ir import Block, Group, Relation, Scan, Select, block_owner, items_of
from sandbox.plan.naming import aggregates, aliases_of
from sandbox.plan.noised import Noised, kept
from sandbox.plan.outer import STORED_AS, Outer
from sandbox.plan.prune import scans_of
from sandbox.plan.relation import Source, read_from
from sandbox.plan.scope import Scope, Shared
from sandbox.plan.source_sql import block_sql
from sandbox.plan.view import View
from sandbox.plan.width import Unsaid
from sandbox.sql import problems
from sandbox.sql.expr import Call, Column, Expr, columns, walk
from sandbox.sql.fragment import fragment
from sandbox.sql.types import FLOAT, Type, floating


@dataclass(eq=False)
class Table:
    """A view in the making. `sql` is asked for when every frontier is priced. `frontiers` and `tables` are what it is computed from."""

    alias: str
    columns: tuple[tuple[str, str], ...]
    sql: Callable[[], str]
    frontiers: tuple[Branch, ...]
    reads: tuple[str, ...]
    block: Block | None = None  # of a view over views and public tables
    items: list[Item] = field(default_factory=list)
    single: bool = False  # at most one row

    def view(self, after: int) -> View:
        return View(self.alias, self.sql(), after, self.columns)


@dataclass(eq=False)
class Releases:
    """What one job releases on the way to its answer: frontiers and views in the order in which they can be computed."""

    shared: Shared
    ask: Ask
    branches: list[Branch] = field(default_factory=list)
    views: dict[str, Table] = field(default_factory=dict)
    widths: dict[tuple[str, str], str] = field(default_factory=dict)  # (table, column) → the column beside it with its half-width
    values: set[tuple[str, str]] = field(default_factory=set)  # (table, column) of noisy values and what is computed from them
    _known: dict[tuple[object, ...], Table] = field(default_factory=dict)

    # ── over owned rows ──

    def frontiers(self, tree: exp.Select, source: Source, aliases: Mapping[str, exp.Expr], *, inner: bool) -> Noised:
        made = branches_of(tree, source, self.ask, aliases, self.scalar, inner=inner)
        self.branches += dict.fromkeys(made)
        return Noised(made, number(tree, "limit", source.scope), number(tree, "offset", source.scope))

    def release(self, tree: exp.Select, source: Source, aliases: Mapping[str, exp.Expr]) -> tuple[Block, list[Item]]:
        """The rows of a query over owned rows, noised. The same query in the same place is noised once."""
        return self._read(self._released(tree, source, aliases))

    def _released(self, tree: exp.Select, source: Source, aliases: Mapping[str, exp.Expr]) -> Table:
        known = (tree, *sorted((name, id(cte.query)) for name, cte in source.scope.ctes.items()))
        if known not in self._known:
            noised = self.frontiers(tree, source, aliases, inner=True)
            first = noised.branches[0]
            values = [place for place, item in enumerate(first.select) if item.form is not None]
            columns = tuple((f"c{place}", STORED_AS[item.expr.type.kind]) for place, item in enumerate(first.select))
            alias = self.shared.alias()
            made = [_column(alias, f"c{place}", _type(first, item), item.label) for place, item in enumerate(first.select)]
            items = [
                Item(item.label, column, column.type, (), _domain(noised, item.expr), False)
                for item, column in zip(first.select, made, strict=True)
            ]
            single = (len(noised.branches) == 1 and not first.made) or noised.limit in (0, 1)
            widths = tuple((f"w{place}", "DOUBLE") for place in values)
            self._add(Table(alias, columns + widths, noised.table_sql, tuple(noised.sets), (), None, items, single))
            self.widths |= {(alias, f"c{place}"): f"w{place}" for place in values if not isinstance(first.select[place].form, Unsaid)}
            self.values |= {(alias, f"c{place}") for place in values}
            self._known[known] = self.views[alias]
        return self._known[known]

    def scalar(self, outer: Outer, node: exp.Expr) -> Expr:
        """A subquery in the select list, HAVING or ORDER BY of a frontier: one value, released or public."""
        tree = node
        while isinstance(tree, exp.Subquery) and tree.args.get("with_") is None:
            tree = tree.this
        if not isinstance(tree, exp.Select) or isinstance(node, (exp.In, exp.Exists)) or len(tree.expressions) != 1:
            raise problems.SUBQUERY(fragment=outer.piece(node))
        scope = Scope(outer.scope.text, self.shared, ctes=outer.scope.ctes, uses=outer.scope.uses)
        scope.ctes = with_ctes(tree, scope)
        aliases = aliases_of(tree)
        source = read_from(tree, scope, aliases)
        if scope.owner is None:
            block, items = selected(tree, source, aliases)
            table = self._viewed(block, items, single=_one_row(tree))
        else:
            for name in ("distinct", "qualify"):
                if tree.args.get(name) is not None:
                    raise problems.NOT_SUPPORTED(fragment=outer.piece(node), element=name.upper())
            table = self._released(tree, source, aliases)
        if not table.single:
            raise problems.SUBQUERY(fragment=outer.piece(node))
        (item,) = table.items
        plain = self._plain_total(table, outer)
        if plain is not None:
            return plain
        outer.views.append(table.alias)
        return self._value(table, item)

    def _plain_total(self, table: Table, outer: Outer) -> Expr | None:
        """A value computed from the totals of one frontier without keys: with those totals, so that its error is known."""
        if len(table.frontiers) != 1 or table.block is not None:
            return None
        (branch,) = table.frontiers
        (item,) = branch.select
        if item.form is None or isinstance(item.form, Unsaid) or branch.made or branch.having is not None or branch.foreign:
            return None
        names = {total.name: f"{total.name}_{table.alias}" for total in branch.totals.totals}
        for total in branch.totals.totals:
            outer.foreign[names[total.name]] = (branch, total.name)
            outer.totals.foreign[names[total.name]] = replace(total, name=names[total.name])
        return _renamed(item.expr, names)

    def _value(self, table: Table, item: Item) -> Expr:
        column = item.expr
        assert isinstance(column, Column)
        op = "released" if table.frontiers or self._deep(table) else "known"
        read = column.form.format(f'(SELECT "{column.name}" FROM "{table.alias}")')
        return Call(op, (Column(table.alias, column.name, column.type, f"({read})"),), column.type, "{0}")

    def _deep(self, table: Table) -> bool:
        return any(self.views[name].frontiers or self._deep(self.views[name]) for name in table.reads)

    # ── over public and released rows ──

    def single(self, alias: str) -> bool:
        """Whether it is a view with at most one row."""
        return alias in self.views and self.views[alias].single

    def reads(self, relation: Relation | Block) -> tuple[str, ...]:
        """The views that the relation reads."""
        return tuple(alias for alias in dict.fromkeys(scans_of(relation)) if alias in self.views)

    def viewed(self, block: Block, items: Sequence[Item]) -> tuple[Block, list[Item]]:
        """The block as it is, or, when it is computed from released tables alone, as a view of its own."""
        if block_owner(block) is not None or not self.reads(block) or _plain(block):
            return block, list(items)
        return self._read(self._viewed(block, items))

    def limited(self, tree: exp.Select, block: Block, items: Sequence[Item], hidden: int, scope: Scope) -> tuple[Block, list[Item]]:
        """The first rows of released ones. The last `hidden` items are what they are put in order by. Raises `plan_inner_limit`."""
        if not self.reads(block):
            raise refusals.INNER_LIMIT(fragment=fragment(tree, scope.text))
        shown = len(items) - hidden
        by = self.in_order(tree, items[:shown], hidden, scope)
        ends = cut(number(tree, "limit", scope), number(tree, "offset", scope))
        table = self._viewed(block, items[:shown], whole=block, tail=f"{by}{ends}", single=number(tree, "limit", scope) in (0, 1))
        return self._read(table)

    def in_order(self, tree: exp.Expr, items: Sequence[Item], hidden: int, scope: Scope) -> str:
        """ORDER BY over a block's columns: the asked values, then every column, so that the order is a function of the rows."""
        terms, extra = [], iter(range(len(items), len(items) + hidden))
        for item in ordered_by(tree):
            place = _shown_place(item.this, tree, items, scope)
            if isinstance(item.this, exp.Var):
                terms += [f"c{one} {direction(item)}" for one in range(len(items))]
                continue
            terms.append(f"c{next(extra) if place is None else place} {direction(item)}")
        return ordered([*terms, *(f"c{place} ASC NULLS LAST" for place in range(len(items)))])

    def _viewed(self, block: Block, items: Sequence[Item], *, whole: Block | None = None, tail: str = "", single: bool = False) -> Table:
        alias = self.shared.alias()
        widths = [(place, self.width(expr)) for place, (_, expr) in enumerate(items_of(block)[: len(items)])]
        beside = [(place, width) for place, width in widths if width is not None and isinstance(block, Select)]
        if isinstance(block, Select):
            block = replace(block, items=(*block.items, *((f"w{place}", width) for place, width in beside)))
        columns = tuple((f"c{place}", STORED_AS[item.expr.type.kind]) for place, item in enumerate(items))
        columns += tuple((f"w{place}", "DOUBLE") for place, _ in beside)
        made = [_column(alias, f"c{place}", item.expr.type, item.name) for place, item in enumerate(items)]
        read = [replace(item, expr=column, bases=()) for item, column in zip(items, made, strict=True)]
        inside = [Column("b", f"c{place}", item.expr.type) for place, item in enumerate(items)]
        shown = ", ".join([f"{kept(column)} AS {column.name}" for column in inside] + [f"b.w{place}" for place, _ in beside])
        last = block

        def sql() -> str:
            return f"SELECT {shown} FROM ({block_sql(last)}) AS b{tail}"

        single = single or (isinstance(last, Group) and not last.keys)
        self._add(Table(alias, columns, sql, (), self.reads(block), block, read, single))
        self.widths |= {(alias, f"c{place}"): f"w{place}" for place, _ in beside}
        self.values |= {(alias, f"c{place}") for place, (_, expr) in enumerate(items_of(last)[: len(items)]) if self.noisy(expr)}
        return self.views[alias]

    def noisy(self, expr: Expr) -> bool:
        """Whether the value is computed with noisy ones, or from how many rows were released; keys of a released table are not."""
        if any(isinstance(item, Call) and (item.op == "over" or item.op.startswith("agg ")) for item in walk(expr)):
            return True
        return any((column.table, column.name) in self.values for column in columns(expr))

    def beside(self, block: Block, alias: str) -> Block:
        """The block as a derived table of that alias keeps it: half-widths beside the released columns that are shown as they are."""
        if block_owner(block) is not None or not self.reads(block):
            return block
        shown = items_of(block)
        self.values |= {(alias, name) for name, expr in shown if self.noisy(expr)}
        if not isinstance(block, Select):
            return block
        widths = [(name, width) for name, expr in shown if (width := self.width(expr)) is not None]
        self.widths |= {(alias, name): f"w{name[1:]}" for name, _ in widths}
        return replace(block, items=(*shown, *((f"w{name[1:]}", width) for name, width in widths)))

    def width(self, expr: Expr) -> Column | None:
        """The column with the half-width of a released column that is shown as it is."""
        if isinstance(expr, Column) and (expr.table, expr.name) in self.widths:
            return Column(expr.table, self.widths[expr.table, expr.name], FLOAT, "TRY_CAST({0} AS DOUBLE)")
        return None

    def _add(self, table: Table) -> None:
        self.views[table.alias] = table
        self.shared.views.add(table.alias)

    def _read(self, table: Table) -> tuple[Block, list[Item]]:
        items = [(f"c{place}", item.expr) for place, item in enumerate(table.items)]
        return Select(Scan(table.alias, "", None), tuple(items)), list(table.items)


def _shown_place(node: exp.Expr, tree: exp.Expr, items: Sequence[Item], scope: Scope) -> int | None:
    """The place of the column that a position or a name given in the select list means."""
    if isinstance(node, exp.Literal):
        return ordinal(node, len(items), scope.text) - 1
    if isinstance(tree, exp.Select):
        return shown_place(node, tree)
    if not isinstance(node, exp.Column) or node.table:
        return None
    return next((place for place, item in enumerate(items) if item.name.casefold() == node.name.casefold()), None)


def _one_row(tree: exp.Select) -> bool:
    limit = tree.args.get("limit")
    aggregated = any(aggregates(item) for item in tree.expressions) and tree.args.get("group") is None
    return aggregated or (limit is not None and str(limit.args["expression"].this) in ("0", "1"))


def _plain(block: Block) -> bool:
    """A view read as it is."""
    if not isinstance(block, Select) or not isinstance(block.of, Scan) or block.qualify is not None:
        return False
    return all(isinstance(expr, Column) for _, expr in block.items)


def _column(alias: str, name: str, kind: Type, label: str) -> Column:
    """A view's column, read as its type whatever it is kept as."""
    return Column(alias, name, kind, f"TRY_CAST({{0}} AS {STORED_AS[kind.kind]})", label)


def _type(branch: Branch, item: Selected) -> Type:
    """An average and a quantile are kept inside the range of the values; nothing bounds other noisy values."""
    if item.single is None:
        return item.expr.type
    total = branch.totals.named(item.single)
    if isinstance(item.expr, Call) and item.expr.op == "average":
        low, high = (Fraction(end + total.centre, 10**total.decimals) for end in (total.low, total.high))
        return floating(low, high)
    if total.kind == "quantile" and isinstance(item.expr, Column):
        return replace(item.expr.type, low=Fraction(total.low, 10**total.decimals), high=Fraction(total.high, 10**total.decimals))
    return item.expr.type


def _domain(noised: Noised, expr: Expr) -> tuple[KeyValue | None, ...] | None:
    """The public values of a column that is a public key in every set."""
    if not isinstance(expr, Column) or len(noised.branches) > 1:
        return None
    return next((key.domain for key in noised.branches[0].made if key.name == expr.name), None)


def _renamed(expr: Expr, names: Mapping[str, str]) -> Expr:
    if isinstance(expr, Column):
        return replace(expr, name=names.get(expr.name, expr.name)) if not expr.table else expr
    if isinstance(expr, Call):
        form = expr.form
        for old, new in names.items():
            form = form.replace(f"noisy.{old}:", f"noisy.{new}:")
        return replace(expr, args=tuple(_renamed(arg, names) for arg in expr.args), form=form)
    return expr
