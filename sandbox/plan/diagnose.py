"""What bounds may take away: what is known of it for nothing, and the question whose noisy answer says how much it is.

Known from public facts: whether a bound can bind at all. How many rows it costs depends on the data, so asking is a job like any other, with a
price of its own: `diagnosis` writes its query. Per unit it counts keys, rows and values past the bounds, and over units their number and
the mean share lost, each unit counting once; it is bounded, priced, noised and tested as every query is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp, parse_one

from sandbox.plan.model import Bound, Part, Plan, Scan
from sandbox.sql.parse import canonical

ASK = {"groups_per_unit": 1, "rows_per_group": 1}  # bounds of the job that asks: a unit is one row


def binds(bound: Bound, part: Part) -> bool:
    """Whether a bound can take anything away, as far as public facts say.

    A declared range is held at ingest, and what is computed from columns within theirs is within its own; a job's narrower range is not. No
    unit has more keys than there are public ones. Rows in a key do not matter where only units are counted.
    """
    if bound.what == "range":
        return bound.source == "job"
    if bound.what == "groups_per_unit":
        return bound.source != "keys" and not (part.public_keys and _keys(part) <= int(bound.high))
    return any(total.kind != "units" for total in part.totals)


def at_most(bound: Bound, part: Part) -> str | None:
    """The largest share of a unit's groups that the bound can leave out; None where no public fact says."""
    if bound.what != "groups_per_unit" or not part.public_keys or not binds(bound, part):
        return None
    return f"{1 - int(bound.high) / _keys(part):.4g}"


def _keys(part: Part) -> int:
    made = 1
    for key in part.keys:
        made *= len(key.domain or ())
    return made


def diagnosis(plan: Plan) -> str | None:
    """The query that asks, in the operator's SQL; None where the plan has several parts, or reads protected rows from a subquery alone."""
    tree = parse_one(plan.query, dialect="duckdb") if len(plan.parts) == 1 else None
    if not isinstance(tree, exp.Select):
        return None
    unit = next(_units(tree, plan.only.scans), None)
    group = tree.args.get("group")
    if unit is None or (group is not None and group.find(exp.GroupingSets, exp.Rollup, exp.Cube) is not None):
        return None
    narrowed = [(of, bound) for bound in plan.bounds if bound.what == "range" and binds(bound, plan.only) and (of := _value(bound.of))]
    part, keys = plan.only, list(_grouped(tree))
    past = [f"COUNT(CASE WHEN {of} < {bound.low} OR {of} > {bound.high} THEN 1 END) AS c{n}" for n, (of, bound) in enumerate(narrowed)]
    inner = tree.copy()
    for clause in ("having", "order", "limit", "offset", "distinct", "qualify", "with_"):
        inner.set(clause, None)
    if inner.args.get("where") is not None:
        inner.set("where", inner.args["where"].transform(lambda node: _spelled(node, _named(tree))))
    inner.set("expressions", [exp.maybe_parse(text, dialect="duckdb") for text in (f"{unit} AS u", "COUNT(*) AS n", *past)])
    inner.set("group", exp.Group(expressions=[exp.maybe_parse(unit, dialect="duckdb"), *keys]))
    rows, groups = part.rows_per_group, part.groups_per_unit
    sums = [f"SUM(greatest(n - {rows}, 0)) AS lost", *(f"SUM(c{n}) AS c{n}" for n in range(len(narrowed)))]
    middle = f"SELECT u, COUNT(*) AS g, SUM(n) AS r, {', '.join(sums)} FROM ({canonical(inner)}) AS a GROUP BY u"
    asked = [
        "COUNT(DISTINCT u) AS units",
        f"COUNT(DISTINCT u) FILTER (WHERE g > {groups}) AS units_with_more_groups",
        f"AVG(least(greatest(1 - {groups} / g, 0), 1)) AS share_of_groups_lost",
        "COUNT(DISTINCT u) FILTER (WHERE lost > 0) AS units_with_more_rows",
        "AVG(least(greatest(lost / r, 0), 1)) AS share_of_rows_lost",
    ]
    for n, _ in enumerate(narrowed):
        asked += [
            f"COUNT(DISTINCT u) FILTER (WHERE c{n} > 0) AS units_clamped_{n + 1}",
            f"AVG(least(greatest(c{n} / r, 0), 1)) AS share_of_rows_clamped_{n + 1}",
        ]
    ctes = tree.args.get("with_")
    return f"{canonical(ctes) + ' ' if ctes is not None else ''}SELECT {', '.join(asked)} FROM ({middle}) AS b"


def _units(tree: exp.Select, scans: tuple[Scan, ...]) -> Iterator[str]:
    """The unit column of every protected table in FROM, as the query would name it."""
    units = {scan.dataset.casefold(): scan.unit for scan in scans if scan.private and scan.unit and not scan.hidden}
    clause, joins = tree.args.get("from_"), [join for join in tree.args.get("joins") or () if join.kind not in ("SEMI", "ANTI")]
    nodes = [*([clause.this] if clause is not None else []), *(join.this for join in joins)]
    if joins and joins[0].side == "RIGHT":
        nodes[:2] = nodes[1::-1]  # the kept side has its unit on every row
    for node in nodes:
        if isinstance(node, exp.Table) and node.name.casefold() in units:
            column = exp.column(units[node.name.casefold()], table=node.alias_or_name, quoted=True)
            yield column.sql(dialect="duckdb")


def _grouped(tree: exp.Select) -> Iterator[exp.Expr]:
    """The keys as expressions: what positions and aliases stand for, and what ALL does."""
    group = tree.args.get("group")
    if group is None:
        return
    if group.args.get("all"):
        yield from (item.unalias().copy() for item in tree.expressions if item.find(exp.AggFunc) is None)
        return
    for node in group.expressions:
        if isinstance(node, exp.Literal) and not node.is_string:
            yield tree.expressions[int(node.this) - 1].unalias().copy()
        else:
            yield _spelled(node, _named(tree)).copy()


def _named(tree: exp.Select) -> dict[str, exp.Expr]:
    return {item.alias.casefold(): item.this for item in tree.expressions if isinstance(item, exp.Alias)}


def _spelled(node: exp.Expr, named: Mapping[str, exp.Expr]) -> exp.Expr:
    """What an alias stands for; anything else, itself."""
    if not isinstance(node, exp.Column) or node.table or node.name.casefold() not in named:
        return node
    stands_for = named[node.name.casefold()]
    same = isinstance(stands_for, exp.Column) and stands_for.name.casefold() == node.name.casefold()
    return node if same else exp.paren(stands_for.copy())


def _value(aggregate: str) -> str | None:
    """What an aggregate is of; None where that has no plain spelling."""
    node = parse_one(aggregate, dialect="duckdb")
    node = node.this if isinstance(node, exp.Filter) else node
    return f"({node.this.sql(dialect='duckdb')})" if isinstance(node, exp.AggFunc) and isinstance(node.this, exp.Expr) else None
