"""From SQL to a plan: a pure function of the query, the catalogue and what the job asks for.

parse → names and types → ownership → frontiers with keys, totals and bounds → noise and one price → emitted SQL. Everything that can be
refused is refused here, before any row could be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from policies.catalogue import Catalogue
from sandbox.plan import problems as refusals
from sandbox.plan.answer import DERIVED, HALF_WIDTH, check_labels, number, shown_sql
from sandbox.plan.ask import Ask
from sandbox.plan.block import Item, built, derive, owned, rows_of, with_ctes, with_order
from sandbox.plan.branch import Branch, scans
from sandbox.plan.emit import cut
from sandbox.plan.ir import Block, Select, Union, items_of
from sandbox.plan.lattice import ROUNDED, lattices_of, variance_after
from sandbox.plan.model import Bound, Output, Plan, Scan
from sandbox.plan.naming import aliases_of
from sandbox.plan.noised import Noised
from sandbox.plan.pricing import draw_all
from sandbox.plan.prune import read_of
from sandbox.plan.ranges import all_taken, stored_ranges
from sandbox.plan.relation import read_from
from sandbox.plan.released import Releases
from sandbox.plan.scope import Scope, Shared
from sandbox.plan.source_sql import block_sql
from sandbox.plan.subquery import condition, resolve
from sandbox.plan.view import Lattice, View
from sandbox.plan.wrap import around, outermost, wrapped
from sandbox.sql import problems
from sandbox.sql.expr import Column, quoted
from sandbox.sql.fragment import fragment
from sandbox.sql.parse import canonical, parse, table_names

MOST_PARTS = 64


def tables_in(sql: str) -> tuple[str, ...]:
    """The datasets a query names. Raises `sql_*` problems."""
    return table_names(parse(sql))


def compile_job(sql: str, catalogue: Catalogue, ask: Ask) -> Plan:
    """The plan of a job. Raises `sql_*` and `plan_*` problems; equal arguments give equal plans."""
    tree = parse(sql)
    if isinstance(tree, exp.Select) and not tree.expressions:
        raise problems.EMPTY()
    shared = Shared(catalogue, *stored_ranges(ask.ranges, tree, catalogue), derive, resolve, condition)
    releases = shared.releases = Releases(shared, ask)
    scope = Scope(sql, shared)
    scope.ctes = with_ctes(tree, scope)
    answer = _select(tree, scope, releases) if isinstance(tree, exp.Select) else _union(tree, scope, releases)
    all_taken(shared)
    branches, views = _needed(answer, releases)
    if not branches:
        raise refusals.NO_PRIVATE_TABLE()
    if len(branches) > MOST_PARTS:
        raise problems.TOO_LARGE(limit=MOST_PARTS)
    if len({branch.scope.owner.space for branch in branches if branch.scope.owner is not None}) > 1:
        raise refusals.UNIT_SPACES(fragment=fragment(tree, sql))
    for place, branch in enumerate(branches):
        branch.place = place
    draw_all(branches, ask)
    lattices = _fitted(answer, branches, releases)
    parts, made = tuple(branch.part() for branch in branches), _views(views, branches, releases)
    return Plan(
        query=canonical(tree),
        parts=parts,
        outputs=answer.outputs(),
        finish_sql=answer.answer_sql(),
        uses=tuple(scope.uses),
        delta=format(ask.privacy.delta.normalize(), "f"),
        bounds=_bounds(branches),
        accuracy=ask.privacy.accuracy or "",
        views=made,
        tables=_public(answer, views, scope, releases),
        lattices=lattices,
    )


def _select(tree: exp.Select, scope: Scope, releases: Releases, inside: exp.Select | None = None) -> Noised | Released:
    """`inside`: the query as it was asked, when this one is put around its aggregation."""
    aliases = aliases_of(tree)
    source = read_from(tree, scope, aliases)
    if scope.owner is not None:
        if around(tree):
            if inside is not None:  # rows of single units
                raise outermost(inside, scope.text)
            outer = Scope(scope.text, scope.shared, ctes=scope.ctes, uses=scope.uses)
            return _select(wrapped(tree, scope), outer, releases, inside=tree)
        if inside is not None:
            raise outermost(inside, scope.text)
        noised = releases.frontiers(tree, source, aliases, inner=False)
        check_labels(noised.branches[0].select)
        return noised
    if not releases.views and not any(item.find(exp.Query) for item in tree.expressions):
        raise refusals.NO_PRIVATE_TABLE()
    wider, hidden = with_order(tree, scope)
    block, items = rows_of(wider, source, aliases)
    return Released.of(tree, block, items, hidden, scope, releases)


def _union(tree: exp.Expr, scope: Scope, releases: Releases) -> Released:
    bare = tree.copy()
    for name in ("order", "limit", "offset"):
        bare.set(name, None)
    block, items = built(bare, scope)
    if owned(block, tree, scope):
        raise refusals.UNIT_ROWS(fragment=fragment(tree, scope.text))
    return Released.of(tree, block, items, 0, scope, releases)


@dataclass(eq=False)
class Released:
    """An answer computed from released and public tables alone."""

    releases: Releases
    block: Block
    items: list[Item]
    tail: str

    @classmethod
    def of(cls, tree: exp.Expr, block: Block, items: Sequence[Item], hidden: int, scope: Scope, releases: Releases) -> Released:
        shown = list(items[: len(items) - hidden])
        ends = cut(number(tree, "limit", scope), number(tree, "offset", scope))
        seen: set[str] = set()
        for item in shown:
            for label in (item.name, item.name + HALF_WIDTH):
                if label.casefold() in seen or not label:
                    raise problems.DUPLICATE_COLUMN(label=label)
                seen.add(label.casefold())
        return cls(releases, block, shown, releases.in_order(tree, shown, hidden, scope) + ends)

    @property
    def sets(self) -> list[Branch]:
        return []

    def widths(self) -> list[Column | None]:
        if not isinstance(self.block, Select):
            return [None] * len(self.items)
        return [self.releases.width(expr) for _, expr in self.block.items[: len(self.items)]]

    def outputs(self) -> tuple[Output, ...]:
        return tuple(
            Output(item.name, "value" if value else "key", DERIVED if value else "", None, *_ends(item))
            for item, value in zip(self.items, self._values(), strict=True)
        )

    def answer_sql(self) -> str:
        block, widths = self.block, self.widths()
        beside = [(f"w{place}", width) for place, width in enumerate(widths) if width is not None]
        if isinstance(block, Select):
            block = Select(block.of, (*block.items, *beside), block.qualify)
        shown = [f"{shown_sql(Column('b', f'c{place}', item.expr.type))} AS {quoted(item.name)}" for place, item in enumerate(self.items)]
        for place, (item, value) in enumerate(zip(self.items, self._values(), strict=True)):
            if value:
                shown.append(f"{'NULL::DOUBLE' if widths[place] is None else f'b.w{place}'} AS {quoted(item.name + HALF_WIDTH)}")
        return f"SELECT {', '.join(shown)} FROM ({block_sql(block)}) AS b{self.tail}"

    def _values(self) -> list[bool]:
        """Which columns are computed with noisy values, rather than keys or constants."""
        sides = [self.block]
        while any(isinstance(side, Union) for side in sides):
            sides = [one for side in sides for one in ((side.left, side.right) if isinstance(side, Union) else (side,))]
        made = [[expr for _, expr in items_of(side)][: len(self.items)] for side in sides]
        return [any(self.releases.noisy(expr) for expr in column) for column in zip(*made, strict=True)]


def _ends(item: Item) -> tuple[float | None, float | None]:
    kind = item.expr.type
    if not kind.numeric or kind.low is None or kind.high is None:
        return None, None
    return float(kind.low), float(kind.high)


def _needed(answer: Noised | Released, releases: Releases) -> tuple[list[Branch], list[str]]:
    """The frontiers and views that the answer is computed from, in an order in which they can be."""
    branches: set[Branch] = set()
    views: set[str] = set()
    waiting: list[Branch | str] = list(answer.sets)
    waiting += list(releases.reads(answer.block)) if isinstance(answer, Released) else []
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if one not in views:
                views.add(one)
                table = releases.views[one]
                waiting += [*table.frontiers, *table.reads]
        elif one not in branches:
            branches.add(one)
            waiting += [*one.reads(), *one.looks_at(), *(whose for whose, _ in one.foreign.values())]
    return [branch for branch in releases.branches if branch in branches], [name for name in releases.views if name in views]


def _views(names: Sequence[str], branches: Sequence[Branch], releases: Releases) -> tuple[View, ...]:
    """The views, each with how many parts have to be drawn before it: all those that it, and the views it reads, are computed from."""
    after: dict[str, int] = {}
    made = []
    for name in names:
        table = releases.views[name]
        looked = [view for branch in table.frontiers for view in branch.looks_at()]
        own = [1 + whose.place for branch in table.frontiers for whose in (branch, *(of for of, _ in branch.foreign.values()))]
        after[name] = max([0, *own, *(after[view] for view in (*table.reads, *looked))])
        made.append(table.view(after[name]))
    return tuple(made)


def _public(answer: Noised | Released, names: Iterable[str], scope: Scope, releases: Releases) -> tuple[Scan, ...]:
    """The public tables that views and the answer read."""
    blocks = [block for name in names if (block := releases.views[name].block) is not None]
    blocks += [answer.block] if isinstance(answer, Released) else []
    read: dict[str, set[str]] = {}
    for block in blocks:
        for alias, columns_read in read_of(block).items():
            read.setdefault(alias, set()).update(columns_read)
    return scans(scope, read)


def _fitted(answer: Noised | Released, branches: Sequence[Branch], releases: Releases) -> tuple[Lattice, ...]:
    """The lattices among the grouping sets of each query; their branches learn how exactly they are known after it."""
    queries = [answer.sets, *(list(table.frontiers) for table in releases.views.values())]
    found = [one for sets in queries if len(sets) > 1 and sets[0] in branches for one in lattices_of(sets)]
    for lattice, sets in found:
        pure = sets[0].noise.pure
        for total, names in enumerate(lattice.totals):
            for one, branch in enumerate(sets):
                variance = variance_after(lattice, total, one) + ROUNDED
                branch.fitted[names[one]] = math.sqrt(variance / 2 if pure else variance)
    return tuple(lattice for lattice, _ in found)


def _bounds(branches: Sequence[Branch]) -> tuple[Bound, ...]:
    return tuple(dict.fromkeys(bound for branch in branches for bound in (*branch.notes, *branch.totals.bounds)))
