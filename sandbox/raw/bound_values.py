"""What can be said about values from a bound plan of DuckDB: which functions may be called, and between which ends a value lies.

Written from DuckDB's own plan and knowing nothing of the code that wrote the SQL: the two have to agree before rows are read. Ends hold for
every value that is not NULL; DuckDB orders NaN above everything, so a value with a finite upper end is no NaN.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Node = Mapping[str, Any]  # a node of the serialised plan
End = int | float | None
Ends = tuple[End, End]

INTEGERS: Mapping[str, int] = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63, "HUGEINT": 127}
REALS = ("DOUBLE", "FLOAT")
OPEN: Ends = (None, None)

# Scalar functions that may be called, as DuckDB binds them. None raises on a value the emitted forms can give it, none is volatile.
FUNCTIONS = frozenset(
    {
        *("=", "!=", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM", "__cast", "greatest", "least"),
        *("+", "-", "*", "/", "//", "%", ">>", "abs", "sign", "floor", "ceil", "trunc", "round", "sqrt", "ln", "log10", "log2", "exp", "pow"),
        *("isnan", "lower", "upper", "trim", "ltrim", "rtrim", "length", "substring", "left", "right", "starts_with", "prefix", "ends_with"),
        *("suffix", "contains", "~~", "~~*", "replace", "string_split", "list_extract", "||", "concat"),
        *(
            "date_part",
            "date_trunc",
            "date_diff",
            "strftime",
            "year",
            "quarter",
            "month",
            "week",
            "weekofyear",
            "day",
            "dayofmonth",
            "dayofweek",
        ),
        *("isodow", "dayofyear", "hour", "minute", "second", "last_day", "epoch", "date_sub", "try_strptime"),
        *("cbrt", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "degrees", "radians", "&", "|", "xor", "isfinite", "isinf"),
        *("reverse", "ascii", "strpos", "lpad", "rpad", "repeat", "translate", "concat_ws"),
        *("regexp_matches", "regexp_full_match", "regexp_extract", "regexp_replace"),
        *("hash", "len", "list_sort", "range", "array_extract", "row"),  # of the bounding step
    }
)
# Aggregates that are functions of a multiset of rows. `list` is one only when sorted at once, which is asked for where it is used.
AGGREGATES = frozenset({"count", "count_star", "sum", "min", "max", "list", "bool_and", "bool_or", "median", "arg_max", "arg_min"})
_OPERATORS = frozenset({"COMPARE_IN", "COMPARE_NOT_IN", "OPERATOR_COALESCE", "OPERATOR_IS_NOT_NULL", "OPERATOR_IS_NULL", "OPERATOR_NOT"})
_MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}
_CONTRARY = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


class Doubt(Exception):
    """The plan holds something that is not expected, or lacks something that is. For the bureau's log; an operator is told a constant."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of a column.

    `unit`: the id of the unit its row belongs to. `choices`: how many different values a filter leaves it. `sum_of`/`count_of`: it is the sum,
    of values within ends, or the number of the values, named by the same thing. `length`: the most elements of a list. `loose`: a list in
    no order yet, fit for sorting only. `ranked`: a row number within each unit, counted in an order that those columns take part in.
    `hidden`: not to be looked at.
    `moves`: a total over units, and by how much one unit can move it, all keys of it taken together where it has several per key.
    """

    low: End = None
    high: End = None
    unit: bool = False
    choices: int | None = None
    sum_of: tuple[str, Ends] | None = None
    count_of: str | None = None
    length: int | None = None
    loose: bool = False
    ranked: frozenset[int] | None = None
    key: bool = False
    moves: int | None = None
    hidden: bool = False


NOTHING = Fact()


def name_of(node: Node) -> str:
    """The function's name. One from anywhere but DuckDB's own schema is named in full and so is on no list."""
    path = [str(part) for part in node["qname"]["path"]]
    return path[-1] if len(path) == 1 or path[:-1] == ["system", "main"] else ".".join(path)


def shape(node: Any) -> str:
    """The expression without its names and places: equal shapes over the same rows have equal values."""
    return json.dumps(_bare(node), sort_keys=True)


def _bare(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _bare(value) for name, value in node.items() if name not in ("alias", "query_location", "query_location_length")}
    return [_bare(item) for item in node] if isinstance(node, list) else node


def fact_of(node: Node, columns: Sequence[Fact], within: Mapping[str, Ends] | None = None) -> Fact:
    """The fact of an expression over rows with these columns, when the shapes named lie `within` those ends. Raises Doubt."""
    made = _fact(node, columns, within or {})
    if within and (known := within.get(shape(node))) is not None:
        low, high = _tighter(known, (made.low, made.high))
        made = replace(made, low=low, high=high)
    return made


def _fact(node: Node, columns: Sequence[Fact], within: Mapping[str, Ends]) -> Fact:
    kind = node["expression_class"]
    if kind == "BOUND_REF":
        if columns[node["index"]].hidden:
            raise Doubt("a column that is not declared")
        return columns[node["index"]]
    if kind == "BOUND_CONSTANT":
        return _constant(node["value"])
    if kind == "BOUND_CASE":
        return _case(node, columns, within)
    if kind not in ("BOUND_FUNCTION", "BOUND_OPERATOR", "BOUND_CONJUNCTION"):
        raise Doubt(f"expression {kind}")
    args = [fact_of(child, columns, within) for child in node["children"]]
    if kind == "BOUND_CONJUNCTION":
        _none_loose(args)
        return NOTHING
    if kind == "BOUND_OPERATOR":
        if node["type"] not in _OPERATORS:
            raise Doubt(f"operator {node['type']}")
        _none_loose(args)
        return _coalesced(args) if node["type"] == "OPERATOR_COALESCE" else NOTHING
    name = name_of(node)
    if name not in FUNCTIONS:
        raise Doubt(f"function {name}")
    if name == "list_sort":
        return replace(args[0], loose=False)
    _none_loose(args)
    return cast_of(node, args[0]) if name == "__cast" else _computed(node, name, args)


def _none_loose(args: Sequence[Fact]) -> None:
    if any(arg.loose for arg in args):
        raise Doubt("a list in no order")


def _constant(value: Node) -> Fact:
    kind, held = value["type"]["id"], value.get("value")
    if value["is_null"]:
        return NOTHING
    if kind in INTEGERS and isinstance(held, (int, str)):
        return Fact(int(held), int(held))
    if kind == "HUGEINT" and isinstance(held, dict):
        whole = (int(held["upper"]) << 64) + int(held["lower"])
        return Fact(whole, whole)
    if kind == "DOUBLE" and isinstance(held, (int, float)):
        return Fact(float(held), float(held))
    return NOTHING


def type_of(node: Node) -> str:
    return str((node["value"]["type"] if node["expression_class"] == "BOUND_CONSTANT" else _typed(node))["id"])


def _typed(node: Node) -> Node:
    if "return_type" in node:
        return node["return_type"]  # type: ignore[no-any-return]  # JSON
    return {"id": "BOOLEAN"}  # a conjunction


_NEVER_RAISE = frozenset(  # casts that cannot fail, besides those to wider integers and from any integer to DOUBLE
    {
        *(("BOOLEAN", name) for name in INTEGERS),
        *((kind, "VARCHAR") for kind in (*INTEGERS, "BOOLEAN", "DATE", "TIMESTAMP", "VARCHAR")),
        *(("FLOAT", "DOUBLE"), ("DECIMAL", "DOUBLE"), ("UBIGINT", "HUGEINT"), ("INTEGER", "DATE"), ("DATE", "DATE")),
    }
)


def cast_of(node: Node, arg: Fact) -> Fact:
    """A cast: one that may fail is tried, or its argument is known to fit. Ends carry over between numbers. Raises Doubt."""
    (child,) = node["children"]
    source, target = type_of(child), str(node["return_type"]["id"])
    fits = _fitting(arg, source, target)
    if not (
        node["function_data"]["try_cast"] or _constant_like(child) or fits or source in ("NULL", target) or (source, target) in _NEVER_RAISE
    ):
        raise Doubt(f"cast from {source} to {target}")
    if source in INTEGERS and target in INTEGERS:
        wider = INTEGERS[source] <= INTEGERS[target]  # else two units could both become NULL
        return replace(arg, low=_clipped(arg.low, target), high=_clipped(arg.high, target), unit=arg.unit and wider)
    if source in INTEGERS and target == "UBIGINT":  # a constant: no other cast there passes
        return arg
    if source in INTEGERS and target == "DOUBLE":
        return _mapped(arg, float)
    if source in REALS and target in INTEGERS and fits:
        return _mapped(arg, lambda end: int(end + math.copysign(0.5, end)))
    if source == "DOUBLE" and target == "DOUBLE":
        return arg
    if isinstance(text := child.get("value", {}).get("value") if child["expression_class"] == "BOUND_CONSTANT" else None, str):
        return Fact(math.inf, math.inf) if target == "DOUBLE" and text == "infinity" else NOTHING
    return NOTHING


def _mapped(arg: Fact, of: Callable[[int | float], End]) -> Fact:
    """The ends under a function that never decreases."""
    return Fact(None if arg.low is None else of(arg.low), None if arg.high is None else of(arg.high))


def _clipped(end: End, target: str) -> End:
    return end if end is not None and abs(end) < 2 ** INTEGERS[target] else None


def _constant_like(node: Node) -> bool:
    """A constant, or a call on constants alone: DuckDB computes it before it reads a row."""
    return node["expression_class"] == "BOUND_CONSTANT" or (
        node["expression_class"] == "BOUND_FUNCTION" and all(map(_constant_like, node["children"]))
    )


def _fitting(arg: Fact, source: str, target: str) -> bool:
    if target in INTEGERS:
        if source in INTEGERS and INTEGERS[source] <= INTEGERS[target]:
            return True
        top = 2 ** INTEGERS[target]
        return arg.low is not None and arg.high is not None and -top < arg.low <= arg.high < top
    return target == "DOUBLE" and source in INTEGERS


def _coalesced(args: Sequence[Fact]) -> Fact:
    return _hull(args)


def _hull(facts: Sequence[Fact]) -> Fact:
    if any(fact.low is None or fact.high is None for fact in facts):
        return NOTHING
    return Fact(min(f.low for f in facts if f.low is not None), max(f.high for f in facts if f.high is not None))


def _computed(node: Node, name: str, args: Sequence[Fact]) -> Fact:
    ends = [(arg.low, arg.high) for arg in args]
    if name in ("least", "greatest"):  # NULLs are skipped
        pick = min if name == "least" else max
        low, high = (_picked([pair[side] for pair in ends], name, side, pick) for side in (0, 1))
        return Fact(low, high)
    if name in ("len", "length"):
        return Fact(0, args[0].length)
    if name == "hash":
        return Fact(0, 2**64 - 1)
    if name == "range":
        stop, start = (args[1].high, args[0].low) if len(args) > 1 else (args[0].high, 0)
        return Fact(length=None if stop is None or start is None else max(0, int(stop) - int(start)))
    if name == "round" and type_of(node) == "DOUBLE" and len(args) == 1:
        return _mapped(args[0], lambda end: None if math.isinf(end) else math.copysign(math.floor(abs(end) + 0.5), end))
    if name in ("+", "-", "*", "//", "%", ">>") and _known(ends) and type_of(node) in (*INTEGERS, "UBIGINT", "DOUBLE"):
        return _arithmetic(name, ends)
    if name == "//" and type_of(node) in INTEGERS and ends[0][0] is not None and ends[0][1] is not None:
        most = max(abs(ends[0][0]), abs(ends[0][1]))  # a whole divisor makes nothing larger
        return Fact(-most, most)
    if name == "sign":
        return Fact(-1, 1)
    return NOTHING


def _picked(ends: Sequence[End], name: str, side: int, pick: Callable[[Sequence[int | float]], int | float]) -> End:
    """least: at most every known upper end; at least the least lower one, if all are known. greatest the other way round."""
    known = [end for end in ends if end is not None]
    decisive = (name == "least") == (side == 1)
    return pick(known) if known and (decisive or len(known) == len(ends)) else None


def _known(ends: Sequence[Ends]) -> bool:
    return all(end is not None and not math.isinf(end) for pair in ends for end in pair)


def _arithmetic(name: str, ends: Sequence[Ends]) -> Fact:
    pairs: list[tuple[Any, Any]] = list(ends)
    if len(pairs) == 1:
        (low, high) = pairs[0]
        return Fact(-high, -low) if name == "-" else Fact(low, high)
    (a, b), (c, d) = pairs
    if name == "+":
        return Fact(a + c, b + d)
    if name == "-":
        return Fact(a - d, b - c)
    if name == "*":
        found = [x * y for x in (a, b) for y in (c, d)]
        return Fact(min(found), max(found))
    if name == ">>" and isinstance(a, int) and a >= 0 and c == d:
        return Fact(a >> c, b >> c)
    if name == "//" and c == d and c and isinstance(c, int) and isinstance(a, int) and isinstance(b, int):
        found = sorted((abs(x) // abs(c)) * (1 if (x < 0) == (c < 0) else -1) for x in (a, b))
        return Fact(found[0], found[1])
    if name == "%" and isinstance(c, int) and isinstance(d, int):
        most = max(abs(c), abs(d))
        return Fact(0 if a >= 0 else -most, most)
    return NOTHING


def compared(node: Node) -> tuple[Node, str, Node] | None:
    """(side, sign, side) of a comparison."""
    if node["expression_class"] == "BOUND_FUNCTION" and len(node["children"]) == 2 and (name := name_of(node)) in _MIRROR:
        return node["children"][0], name, node["children"][1]
    return None


def _limits(node: Node, columns: Sequence[Fact], *, holds: bool) -> list[tuple[str, Ends]]:
    """What a condition says about shapes compared with constants when it holds, or when it does not (then NULL aside)."""
    if holds and node["expression_class"] == "BOUND_CONJUNCTION" and node["type"] == "CONJUNCTION_AND":
        return [found for child in node["children"] for found in _limits(child, columns, holds=True)]
    sides = compared(node)
    if sides is None:
        return []
    left, sign, right = sides
    if _constant_like(left):
        left, sign, right = right, _MIRROR[sign], left
    edge = fact_of(right, columns)
    if edge.low is None or edge.low != edge.high or not _constant_like(right):
        return []
    if not holds:
        if sign == "=":
            return []
        sign = _CONTRARY[sign]
    step = 1 if isinstance(edge.low, int) else 0  # among whole numbers, below means at most one less
    low = edge.low + (step if sign == ">" and type_of(left) in INTEGERS else 0) if sign in (">", ">=", "=") else None
    high = edge.low - (step if sign == "<" and type_of(left) in INTEGERS else 0) if sign in ("<", "<=", "=") else None
    return [(shape(left), (low, high))]


def _tighter(a: Ends, b: Ends) -> Ends:
    lows, highs = [end for end in (a[0], b[0]) if end is not None], [end for end in (a[1], b[1]) if end is not None]
    return max(lows, default=None), min(highs, default=None)


def _narrowed(within: Mapping[str, Ends], more: Sequence[tuple[str, Ends]]) -> dict[str, Ends]:
    made = dict(within)
    for name, ends in more:
        made[name] = _tighter(ends, made.get(name, OPEN))
    return made


def _case(node: Node, columns: Sequence[Fact], within: Mapping[str, Ends]) -> Fact:
    weighed = _weighed(node, columns)
    if weighed is not None:
        return weighed
    branches: list[Fact] = []
    held = dict(within)
    for check in node["case_checks"]:
        _none_loose([fact_of(check["when_expr"], columns, held)])
        if not _is_null(check["then_expr"]):
            branches.append(fact_of(check["then_expr"], columns, _narrowed(held, _limits(check["when_expr"], columns, holds=True))))
        held = _narrowed(held, _limits(check["when_expr"], columns, holds=False))
    if not _is_null(node["else_expr"]):
        branches.append(fact_of(node["else_expr"], columns, held))
    _none_loose(branches)
    return _hull(branches) if branches else NOTHING


def _is_null(node: Node) -> bool:
    while node["expression_class"] == "BOUND_FUNCTION" and name_of(node) == "__cast":
        (node,) = node["children"]
    return node["expression_class"] == "BOUND_CONSTANT" and bool(node["value"]["is_null"])


def _weighed(node: Node, columns: Sequence[Fact]) -> Fact | None:
    """CASE WHEN count(v) <= n THEN sum(v) ELSE sum(v) * n // count(v) END: within n times the ends of v."""
    if len(node["case_checks"]) != 1:
        return None
    (check,) = node["case_checks"]
    sides = compared(check["when_expr"])
    if sides is None or sides[1] != "<=":
        return None
    count, most, total = fact_of(sides[0], columns), fact_of(sides[2], columns), fact_of(check["then_expr"], columns)
    if count.count_of is None or total.sum_of is None or total.sum_of[0] != count.count_of or most.low is None or most.low != most.high:
        return None
    quotient = _stripped(node["else_expr"])
    if quotient["expression_class"] != "BOUND_FUNCTION" or name_of(quotient) != "//":
        return None
    product, divisor = (_stripped(child) for child in quotient["children"])
    if product["expression_class"] != "BOUND_FUNCTION" or name_of(product) != "*" or fact_of(divisor, columns).count_of != count.count_of:
        return None
    factors = [fact_of(child, columns) for child in product["children"]]
    if not any(factor.sum_of == total.sum_of for factor in factors) or not any(factor.low == factor.high == most.low for factor in factors):
        return None
    low, high = total.sum_of[1]
    if low is None or high is None:
        return None
    return Fact(min(0, int(most.low) * int(low)), max(0, int(most.low) * int(high)))


def _stripped(node: Node) -> Node:
    while node["expression_class"] == "BOUND_FUNCTION" and name_of(node) == "__cast":
        (node,) = node["children"]
    return node
