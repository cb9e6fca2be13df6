"""Lists of quantiles: QUANTILE_CONT(x, [0.25, 0.5]) in a select list is as many columns, one for each share.

An answer's columns are plain values, so a list becomes columns named after it, with the share: `q` becomes `q_0.25`, `q_0.5`. Positions in
ORDER BY and GROUP BY count columns of the answer. A list anywhere else stays what it is, and the grammar refuses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

MOST_NODES = 4_000  # of the columns that one list becomes; more stay a list, which is refused
_SHARE: Mapping[type[exp.Expr], str] = {
    exp.PercentileCont: "expression",
    exp.PercentileDisc: "expression",
    exp.Quantile: "quantile",
    exp.ApproxQuantile: "quantile",
}


def spread_lists(tree: exp.Expr) -> None:
    """Replace such columns in every select list of the tree, in place."""
    for select in list(tree.find_all(exp.Select)):
        items = [one for item in select.expressions for one in _apart(item)]
        if any(new is not old for new, old in zip(items, select.expressions, strict=False)):
            select.set("expressions", items)


def _apart(item: exp.Expr) -> Iterator[exp.Expr]:
    """The columns that an item stands for: itself, unless it is a quantile with a list of shares."""
    shares = [] if (found := _shares(item.unalias())) is None else found.expressions
    plain = all(isinstance(share, exp.Literal) and not share.is_string for share in shares)
    if not shares or not plain or len(shares) * sum(1 for _ in item.walk()) > MOST_NODES:
        yield item
        return
    for share in shares:
        one = item.unalias().copy()
        listed = _shares(one)
        assert listed is not None
        listed.replace(share.copy())
        name = item.alias if isinstance(item, exp.Alias) else one.sql(dialect="duckdb", comments=False)
        named = f"{name}_{share.this}" if isinstance(item, exp.Alias) else name
        yield exp.alias_(one, exp.to_identifier(named, quoted=True), copy=False)


def _shares(node: exp.Expr) -> exp.Array | None:
    """The list of shares of a quantile, if that is what the node is; FILTER and WITHIN GROUP looked through."""
    node = node.this if isinstance(node, exp.Filter) else node
    within = isinstance(node, exp.WithinGroup)
    node = node.this if within else node
    where = _SHARE.get(type(node))
    of = None if where is None else node.this if within and node.args.get(where) is None else node.args.get(where)
    return of if isinstance(of, exp.Array) else None
