"""The spellings of quantiles: MEDIAN, QUANTILE_CONT and its like, PERCENTILE_CONT … WITHIN GROUP, MIN and MAX.

All mean one thing here: the candidate value at a share of the rows (docs/proofs/noisy-max.md). Continuous and discrete quantiles differ by less
than what noise and the distance of candidates leave.
"""

from __future__ import annotations

from fractions import Fraction

from sqlglot import exp

from sandbox.plan import problems as refusals

FINEST_SHARE = 10_000
QUANTILES = (exp.Median, exp.PercentileCont, exp.PercentileDisc, exp.Quantile, exp.ApproxQuantile, exp.WithinGroup, exp.Min, exp.Max)


def asked_share(node: exp.Expr, piece: str) -> tuple[exp.Expr, Fraction]:
    """What a quantile is taken of, and its share. Raises `plan_quantile_share`."""
    if isinstance(node, exp.Min):
        return node.this, Fraction(0)
    if isinstance(node, exp.Max):
        return node.this, Fraction(1)
    if isinstance(node, exp.Median):
        return node.this, Fraction(1, 2)
    if isinstance(node, exp.WithinGroup):
        inner, ordered = node.this, node.args["expression"].expressions
        if not isinstance(inner, (exp.PercentileCont, exp.PercentileDisc)) or inner.args.get("expression") is not None or len(ordered) != 1:
            raise refusals.QUANTILE_SHARE(fragment=piece)
        share = _share(inner.this, piece)
        return ordered[0].this, 1 - share if ordered[0].args.get("desc") else share
    return node.this, _share(node.args.get("expression") or node.args.get("quantile"), piece)


def _share(node: exp.Expr | None, piece: str) -> Fraction:
    """A number from 0 to 1 with at most four decimals: scores count in its denominator."""
    if not isinstance(node, exp.Literal) or node.is_string:
        raise refusals.QUANTILE_SHARE(fragment=piece)
    share = Fraction(str(node.this))
    if not 0 <= share <= 1 or FINEST_SHARE % share.denominator:
        raise refusals.QUANTILE_SHARE(fragment=piece)
    return share
