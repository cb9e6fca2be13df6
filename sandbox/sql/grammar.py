"""Which syntax is read at all: every sqlglot node class and every argument of it, or the query is refused.

Checking arguments matters as much as checking classes: a sample clause, an outer join or a NOT can be one argument of an admitted node.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from sandbox.sql.functions import SHAPES

_STRUCTURE: Mapping[type[exp.Expr], frozenset[str]] = {
    node: frozenset(arguments.split())
    for node, arguments in {
        exp.Select: "expressions from_ joins where group having order limit offset with_ distinct qualify windows",
        exp.With: "expressions",
        exp.CTE: "this alias",
        exp.Subquery: "this alias with_",
        exp.Union: "this expression distinct with_ limit offset order",
        exp.Exists: "this",
        exp.Window: "this partition_by order over spec alias",
        exp.RowNumber: "",
        exp.Rank: "",
        exp.DenseRank: "",
        exp.Lag: "this offset default",
        exp.Lead: "this offset default",
        exp.Min: "this",
        exp.Max: "this",
        exp.Qualify: "this",
        exp.From: "this",
        exp.Join: "this side kind method on using",
        exp.Table: "this alias",
        exp.TableAlias: "this columns",
        exp.Values: "expressions alias",
        exp.Tuple: "expressions",
        exp.WindowSpec: "kind start start_side end end_side",
        exp.FirstValue: "this",
        exp.LastValue: "this",
        exp.NthValue: "this offset",
        exp.Ntile: "this",
        exp.PercentRank: "",
        exp.CumeDist: "",
        exp.LogicalOr: "this",
        exp.LogicalAnd: "this",
        exp.ArgMax: "this expression",
        exp.ArgMin: "this expression",
        exp.Where: "this",
        exp.Group: "expressions all",
        exp.Rollup: "expressions",
        exp.Cube: "expressions",
        exp.GroupingSets: "expressions",
        exp.Tuple: "expressions",
        exp.Grouping: "expressions",
        exp.GroupingId: "expressions",
        exp.Having: "this",
        exp.Order: "expressions",
        exp.Ordered: "this desc nulls_first",
        exp.Limit: "expression",
        exp.Offset: "expression",
        exp.Alias: "this alias",
        exp.Column: "this table",
        exp.Identifier: "this quoted",
        exp.Star: "",
        exp.Literal: "this is_string",
        exp.Boolean: "this",
        exp.Null: "",
        exp.Paren: "this",
        exp.And: "this expression",
        exp.Or: "this expression",
        exp.Is: "this expression",
        exp.Case: "this ifs default",
        exp.If: "this true false",
        exp.Add: "this expression",
        exp.Sub: "this expression",
        exp.Interval: "this unit",
        exp.Var: "this",
        exp.Extract: "this expression",
        exp.TimestampTrunc: "this unit",
        exp.DateTrunc: "this unit",
        exp.DateDiff: "this expression unit date_part_boundary",
        exp.Trim: "this position expression",
        exp.Pad: "this expression fill_pattern is_left",
        exp.Bracket: "this expressions",
        exp.Slice: "this expression",
        exp.DateAdd: "this expression",
        exp.DateSub: "this expression",
        exp.Date: "this",
        exp.Cast: "this to safe",
        exp.TryCast: "this to safe",
        exp.DataType: "this expressions nested",
        exp.DataTypeParam: "this",
        exp.Count: "this big_int",
        exp.CountIf: "this",
        exp.Sum: "this",
        exp.Avg: "this",
        exp.Median: "this",
        exp.PercentileCont: "this expression",
        exp.PercentileDisc: "this expression",
        exp.Quantile: "this quantile",
        exp.ApproxQuantile: "this quantile",
        exp.WithinGroup: "this expression",
        exp.Min: "this",
        exp.Max: "this",
        exp.VariancePop: "this",
        exp.Variance: "this",
        exp.StddevPop: "this",
        exp.Stddev: "this",
        exp.StddevSamp: "this",
        exp.Distinct: "expressions on",
        exp.Filter: "this expression",
        exp.Anonymous: "this expressions",
    }.items()
}
# Marks that sqlglot sets by itself in the DuckDB dialect and that change nothing we do; any other value of them is refused.
_MARKS: Mapping[tuple[type[exp.Expr], str], object] = {
    (exp.Div, "typed"): False,
    (exp.Div, "safe"): False,
    (exp.DPipe, "safe"): True,
    (exp.Concat, "safe"): True,
    (exp.Concat, "coalesce"): True,
    (exp.ConcatWs, "safe"): True,
    (exp.ConcatWs, "coalesce"): True,
    (exp.RegexpExtract, "null_if_pos_overflow"): True,
    (exp.RegexpReplace, "single_replace"): True,
    (exp.SimilarTo, "negate"): True,
    (exp.Greatest, "ignore_nulls"): True,
    (exp.Least, "ignore_nulls"): True,
    (exp.Like, "negate"): True,  # read by the binder
    (exp.ILike, "negate"): True,
}


_BESIDES: Mapping[type[exp.Expr], frozenset[str]] = {exp.In: frozenset({"query"})}  # read by the binder


def stray(node: exp.Expr) -> str | None:
    """The name under which to look for a refusal when `node` or one of its arguments is outside the grammar; None when it is inside."""
    kind = type(node)
    name = kind.__name__
    shape = SHAPES.get(kind)
    allowed = _STRUCTURE.get(kind) if shape is None else frozenset(shape[1]) | _BESIDES.get(kind, frozenset())
    if allowed is None:
        return name
    for argument, value in node.args.items():
        if value is None or value is False or value == []:
            continue
        if argument not in allowed and ((kind, argument) not in _MARKS or _MARKS[kind, argument] is not value):
            return f"{name}.{argument}"
    if kind is exp.Table and not isinstance(node.this, exp.Identifier):
        return "Table.this"
    return None
