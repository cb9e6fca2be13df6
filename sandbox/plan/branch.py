"""One frontier, bound and not yet priced: rows, keys, totals with bounds, and the columns computed from their noisy values.

A query without grouping sets has one; with them, one for each set. Once priced it becomes a part of the plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from sqlglot import exp

from policies.catalogue import Bounds, Dataset, KeyValue
from sandbox.plan import problems as refusals
from sandbox.plan.accuracy import Supposed
from sandbox.plan.answer import Selected, mentions, ordering
from sandbox.plan.ask import Ask
from sandbox.plan.bind import Rows
from sandbox.plan.dense import rows_for
from sandbox.plan.domains import Implied, domain_of, may_be_null, settled_domains
from sandbox.plan.emit import shard_sql
from sandbox.plan.ir import Frontier, Project, Relation, as_stored
from sandbox.plan.ir import Scan as StoredRows
from sandbox.plan.model import MOST_EDGES, Bound, Draw, Key, Part, Scan
from sandbox.plan.naming import position
from sandbox.plan.outer import GroupKey, Outer, has_aggregate
from sandbox.plan.prune import pruned, read_columns, scans_of
from sandbox.plan.relation import Source
from sandbox.plan.scope import Scope, stored_as
from sandbox.plan.sets import grouping_sets, keys_in, several
from sandbox.plan.spread import Noise
from sandbox.plan.totals import Totals
from sandbox.plan.view import noisy_name
from sandbox.plan.windows import live, narrowed
from sandbox.sql.expr import Column, Expr, columns, emit
from sandbox.sql.fragment import fragment
from sandbox.sql.types import NAMES

MAX_PUBLIC_KEYS = 250_000
MOST_CHOICES = 5_000_000  # public groups × candidates: some ten seconds of choosing
MOST_NODES = 400_000  # public groups × nodes of a noisy tree: some ten seconds of drawing


@dataclass(eq=False)
class Branch:
    """`order`: ORDER BY as values and directions. `foreign`: totals of other frontiers that columns are computed with, by the name they have
    here. `place` is the part's, known once all frontiers are; `noise` once all are priced."""

    scope: Scope
    source: Source
    keys: list[GroupKey]
    made: list[Key]
    absent: list[GroupKey]
    bounds: Bounds
    notes: list[Bound]
    totals: Totals
    private: list[Dataset]
    select: list[Selected] = field(default_factory=list)
    having: str | None = None
    order: list[tuple[str, str]] = field(default_factory=list)
    foreign: dict[str, tuple[Branch, str]] = field(default_factory=dict)
    views: list[str] = field(default_factory=list)
    inner: bool = False
    every: list[GroupKey] = field(default_factory=list)  # of all sets of the query
    place: int = 0
    draws: tuple[Draw, ...] = ()
    fitted: dict[str, float] = field(default_factory=dict)  # scales of totals that are made to add up with other sets'

    @property
    def public(self) -> bool:
        return all(key.domain is not None for key in self.made)

    @property
    def groups(self) -> int:
        return self.bounds.groups_per_unit

    @property
    def expected_rows(self) -> int:
        if not self.public:
            return 1000
        return max(1, max(dataset.approximate_rows for dataset in self.private) // max(1, product(self.made)))

    @property
    def supposed(self) -> Supposed:
        return Supposed({total.name: total for total in self.totals.totals}, self.expected_rows, self.bounds.rows_per_group)

    @property
    def pieces(self) -> list[str]:
        """What each total is for, in the operator's words."""
        return [next((item.label for item in self.select if mentions(item.expr, *total.shares)), total.name) for total in self.totals.totals]

    @property
    def noise(self) -> Noise:
        own = Noise.of(self.draws, self.totals.totals)
        own = Noise({**own.scales, **self.fitted}, own.pure)
        others = {name: whose.noise.scales[theirs] for name, (whose, theirs) in self.foreign.items()}
        return Noise({**own.scales, **others}, own.pure)

    @property
    def noisy_sql(self) -> str:
        """The noisy table in FROM, always called `noisy`; totals of other frontiers, each one row, stand beside."""
        table = noisy_name(self.place)
        if not self.foreign:
            return table if table == "noisy" else f"{table} AS noisy"
        beside = ", ".join(f"(SELECT {theirs} FROM {noisy_name(whose.place)}) AS {name}" for name, (whose, theirs) in self.foreign.items())
        return f"(SELECT *, {beside} FROM {table}) AS noisy"

    def project(self) -> Project:
        assert self.scope.owner is not None
        return pruned(Project(self.source.relation(), self.scope.owner, tuple(key.expr for key in self.keys), tuple(self.totals.values)))

    def part(self) -> Part:
        size = product(self.made)
        project = self.project()
        frontier = Frontier(
            project,
            tuple(self.totals.totals),
            tuple(key.domain for key in self.made),
            self.bounds.rows_per_group,
            None if self.public and size <= self.groups else self.groups,
            seldom=self.public and self.groups >= 2 and size <= 4 * self.groups,
            single=isinstance(self.source.base, StoredRows)
            and all(one.bounds is not None and one.bounds.rows_per_unit == 1 for one in self.private),
        )
        return Part(
            space=project.owner.space,
            scans=scans(self.scope, read_columns(project), project.of),
            keys=tuple(self.made),
            totals=tuple(self.totals.totals),
            draws=self.draws,
            groups_per_unit=self.groups,
            rows_per_group=self.bounds.rows_per_group,
            shard_sql=shard_sql(frontier),
            rows=rows_for(frontier),
            expected_rows=self.expected_rows,
            reads=self.reads(),
        )

    def looks_at(self) -> tuple[str, ...]:
        """The views that columns, HAVING and ORDER BY are computed with."""
        return tuple(dict.fromkeys(self.views))

    def reads(self) -> tuple[str, ...]:
        """The views that the shard query reads."""
        shared = self.scope.shared
        return tuple(alias for alias in read_columns(self.project()) if alias in shared.views)


def product(keys: Sequence[Key]) -> int:
    return math.prod(len(key.domain or ()) for key in keys)


def branches_of(
    tree: exp.Select, source: Source, ask: Ask, aliases: Mapping[str, exp.Expr], scalar: Callable[[Outer, exp.Expr], Expr], *, inner: bool
) -> list[Branch]:
    """The frontiers of a query over owned rows, one for each grouping set, in order; a set that is asked twice stands there twice.

    Raises `plan_*`, `sql_*`."""
    scope = source.scope
    group = tree.args.get("group")
    nodes = [] if group is None else list(group.expressions)
    if group is not None and group.args.get("all"):
        nodes = [item.unalias() for item in tree.expressions if not has_aggregate(item)]
    if not several(group):
        keys = _keys(nodes, tree, scope, aliases)
        return [_branch(tree, source, ask, aliases, keys, [], scalar, inner=inner)]
    piece = fragment(group, scope.text)
    every = _keys(list(keys_in(nodes)), tree, scope, aliases)
    made: dict[tuple[int, ...], Branch] = {}
    found = []
    for nodes_of_set in grouping_sets(nodes, piece):
        mine = _keys(nodes_of_set, tree, scope, aliases)
        places = tuple(place for place, key in enumerate(every) if any(key.expr == one.expr for one in mine))
        if places not in made:
            within, without = [every[p] for p in places], [key for p, key in enumerate(every) if p not in places]
            made[places] = _branch(tree, source, ask, aliases, within, without, scalar, inner=inner)
            made[places].every = every
        found.append(made[places])
    return found


def _branch(
    tree: exp.Select,
    source: Source,
    ask: Ask,
    aliases: Mapping[str, exp.Expr],
    keys: list[GroupKey],
    absent: list[GroupKey],
    scalar: Callable[[Outer, exp.Expr], Expr],
    *,
    inner: bool,
) -> Branch:
    scope = source.scope
    domains = settled_domains([_domain(key, scope, source) for key in keys])
    made = [_key(place, key, domain) for place, (key, domain) in enumerate(zip(keys, domains, strict=True))]
    private = _private(scope, source.relation())
    bounds, notes = _bounds(private, ask, made)
    public = all(key.domain is not None for key in made)
    totals = Totals(bounds.rows_per_group, ask.edges or MOST_EDGES, never_null=_never_null(scope, source.base))
    if not public:
        totals.units()
    branch = Branch(scope, source, keys, made, absent, bounds, notes, totals, private, inner=inner)
    outer = Outer(scope, keys, totals, aliases, _unit_name(scope, private), absent, scalar)
    outer.foreign, outer.views = branch.foreign, branch.views
    branch.select = [Selected.of(item, outer, inner=inner) for item in tree.expressions]
    having = tree.args.get("having")
    branch.having = None if having is None else emit(outer.condition(having.this))
    branch.order = ordering(tree, outer, branch.select)
    if not totals.totals:
        shown = tree.expressions[0] if tree.expressions else tree
        raise (refusals.NOTHING_PRIVATE() if keys or absent else refusals.UNIT_ROWS(fragment=fragment(shown, scope.text)))
    if not ask.privacy.pure:
        totals.share(MOST_NODES // product(made) if public else MOST_NODES)
    most = max((total.candidates for total in totals.totals if total.kind == "quantile"), default=0)
    if public and product(made) * most > MOST_CHOICES:
        raise refusals.TOO_MANY_CANDIDATES(groups=product(made), candidates=most, limit=MOST_CHOICES)
    return branch


def _never_null(scope: Scope, relation: Relation) -> Callable[[Column], bool]:
    """Whether every row has a value in a column: declared so, which ingest holds, and no join undoes it. A float may still be NaN."""
    whole = as_stored(relation)

    def told(column: Column) -> bool:
        snapshot = scope.shared.scanned.get(column.table) if column.table in whole else None
        stored = None if snapshot is None else snapshot.dataset.get(column.name)
        return stored is not None and not stored.nullable and column.type.kind != "float"

    return told


def _keys(nodes: Sequence[exp.Expr], tree: exp.Select, scope: Scope, aliases: Mapping[str, exp.Expr]) -> list[GroupKey]:
    """The grouping keys, each once: columns, expressions, aliases, positions. Raises `plan_unit_key`, `plan_key_type` and others."""
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


def _key(place: int, key: GroupKey, domain: tuple[KeyValue | None, ...] | None) -> Key:
    kind = {"exact": "integer"}.get(key.expr.type.kind, key.expr.type.kind)
    return Key(f"k{place}", cast(Literal["integer", "text", "date", "boolean"], kind), None if domain is None else tuple(domain))


def _domain(key: GroupKey, scope: Scope, source: Source) -> tuple[KeyValue | None, ...] | None:
    """A column with a domain is a public key, and so is an expression whose values follow from public facts; what WHERE says about the column
    narrows both. Everything else is private. An expression's NULL is a public key of its own. Raises `plan_no_keys_left`."""
    if any(scope.field(column).identifying for column in columns(key.expr)):
        return None
    domain = domain_of(key.expr, lambda column: scope.field(column).domain, source.where)
    if domain is not None and not domain:
        raise refusals.NO_KEYS_LEFT(fragment=fragment(key.node, scope.text))
    if isinstance(domain, Implied) and None not in domain and may_be_null(key.expr, _never_null(scope, source.base), source.where):
        return Implied((*domain, None))
    return domain


def _private(scope: Scope, relation: Relation) -> list[Dataset]:
    """The protected datasets whose rows the frontier is over."""
    scanned = scope.shared.scanned
    return [scanned[alias].dataset for alias in dict.fromkeys(scans_of(relation)) if alias in scanned and scanned[alias].dataset.private]


def _bounds(private: Sequence[Dataset], ask: Ask, keys: Sequence[Key]) -> tuple[Bounds, list[Bound]]:
    """The job's bounds where it narrows the catalogue's, of several datasets the widest; no more groups than there are public keys."""
    limits = [dataset.bounds for dataset in private if dataset.bounds is not None]
    chosen: dict[str, int] = {}
    notes: list[Bound] = []
    for name in ("groups_per_unit", "rows_per_group"):
        limit, asked = max(getattr(item, name) for item in limits), getattr(ask, name)
        if asked is not None and asked > limit:
            raise refusals.BOUND_WIDENED(name=name, asked=asked, limit=limit)
        chosen[name] = limit if asked is None else asked
        origin: Literal["catalogue", "job", "keys"] = "catalogue" if asked is None else "job"
        if name == "groups_per_unit" and all(key.domain is not None for key in keys):
            count = product(keys)
            if count > MAX_PUBLIC_KEYS:
                raise refusals.TOO_MANY_KEYS(count=count, limit=MAX_PUBLIC_KEYS)
            if count < chosen[name]:
                chosen[name], origin = count, "keys"
        notes.append(Bound(name, "", "0", str(chosen[name]), origin))
    return Bounds(**chosen), notes


def scans(scope: Scope, read: Mapping[str, set[str]], of: Relation | None = None) -> tuple[Scan, ...]:
    """Each stored table with the only columns that are read; where budgets are by period, of the only periods that units with rows in `of` are
    of."""
    found = []
    windows = {alias: window for alias in read if (snapshot := scope.shared.scanned.get(alias)) and (window := snapshot.dataset.periods)}
    periods = None if of is None else live(of, windows)
    for alias, names in sorted(read.items(), key=lambda item: int(item[0][1:])):
        snapshot = scope.shared.scanned.get(alias)
        if snapshot is None:  # a view over what earlier parts released
            continue
        dataset = snapshot.dataset
        kept = [column for column in dataset.stored if column.name in names] or [dataset.columns[0]]
        unit = dataset.unit_column
        owned = ("", "") if unit is None else (unit.name, dataset.space or "")
        window = narrowed(windows[alias], periods) if alias in windows else None
        named, types = tuple(column.name for column in kept), tuple(map(stored_as, kept))
        hidden = unit is not None and unit not in dataset.columns
        coded = dataset.unit is not None and dataset.unit.pseudonym
        about = (dataset.name, snapshot.version, snapshot.digest, dataset.private)
        found.append(Scan(*about, alias, named, types, *owned, hidden=hidden, pseudonym=coded, window=window))
    if len({scan.pseudonym for scan in found if scan.private}) > 1:  # one person would be two units
        raise refusals.UNIT_NAMES(tables=", ".join(sorted({scan.dataset for scan in found if scan.private and not scan.pseudonym})))
    return tuple(found)


def _unit_name(scope: Scope, private: Sequence[Dataset]) -> str:
    """What the query calls the unit, or else the catalogue."""
    named = (item.name for table in scope.tables for item in table.fields if scope.is_unit(item.column))
    return next(named, next(dataset.unit.column for dataset in private if dataset.unit is not None))
