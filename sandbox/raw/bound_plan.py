"""The second opinion on every shard query: DuckDB binds the emitted SQL, and its own plan is followed from the tables to the totals.

Nothing of the planner is used here. What has to come out: only the declared tables and columns are read, by operators and functions on a list;
each row belongs to one unit up to the point where units meet; there, one unit has at most so many keys, one row in each (or as many as a
quantile may count), and every sum is of values within the total's cap. So an error of the planner would have to be made twice to matter.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from sandbox.raw.bound_rows import Declared, Rows
from sandbox.raw.bound_values import AGGREGATES, NOTHING, REALS, Doubt, Fact, Node, compared, fact_of, name_of, shape, type_of

_PLACES = ("ROW_NUMBER", "RANK", "RANK_DENSE", "PERCENT_RANK", "CUME_DIST", "NTILE")
_WINDOWS = frozenset(f"WINDOW_{name}" for name in (*_PLACES, "LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE", "NTH_VALUE", "AGGREGATE"))


def rows_of(serialised: str, tables: Mapping[str, Declared]) -> Rows:
    """What the plan's rows are. Raises Doubt."""
    document = json.loads(serialised)
    if document["error"]:
        raise Doubt("not bound")
    (plan,) = document["plans"]
    return _Reading(tables).rows(plan, {})


@dataclass(frozen=True, slots=True)
class _Reading:
    tables: Mapping[str, Declared]

    def rows(self, node: Node, ctes: Mapping[int, Rows]) -> Rows:
        kind = node["type"]
        if kind == "LOGICAL_MATERIALIZED_CTE":
            body, rest = node["children"]
            return self.rows(rest, {**ctes, node["table_index"]: self.rows(body, ctes)})
        if kind == "LOGICAL_CTE_REF":
            if node["is_recurring"]:
                raise Doubt("recursion")
            return replace(ctes[node["cte_index"]], table=node["cte_index"], crowd=ctes[node["cte_index"]].crowd)
        if kind == "LOGICAL_GET":
            return self._scan(node)
        inputs = [self.rows(child, ctes) for child in node["children"]]
        if kind not in _OPERATORS:
            raise Doubt(f"operator {kind}")
        if kind not in ("LOGICAL_PROJECTION", "LOGICAL_UNION") and any(rows.released for rows in inputs):
            raise Doubt(f"{kind} over totals")
        return _OPERATORS[kind](node, inputs)

    def _scan(self, node: Node) -> Rows:
        where = node["function_data"]
        name = where.get("table")
        filters = node["table_filters"]
        plain = node["qname"]["path"] == ["seq_scan"] and where.get("catalog") == "temp" and not where["is_index_scan"]
        if not plain or name not in self.tables or any(filters.values()) or node["extra_info"].get("sample_options") or node["projection_ids"]:
            raise Doubt("a scan of something else")
        declared = self.tables[name]
        if any(column not in declared.columns for column in node["names"]):
            raise Doubt(f"columns of {name}")
        read = [_read_column(node["names"], index["index"]) for index in node["column_indexes"]]
        facts = tuple(Fact(unit=bool(declared.unit) and column == declared.unit, hidden=not column) for column in read)
        return Rows(facts, declared.space if declared.unit else "")


def _read_column(names: Sequence[str], index: int) -> str:
    if 0 <= index < len(names):
        return names[index]
    if index == 2**64 - 1:  # the row's number, which DuckDB reads where no column is wanted
        return ""
    raise Doubt("a column that is not declared")


def _filter(node: Node, inputs: Sequence[Rows]) -> Rows:
    (rows,) = inputs
    if node["projection_map"]:
        raise Doubt("a filter that projects")
    made = replace(rows, table=None)
    for term in _terms(node["expressions"]):
        fact_of(term, rows.columns)
        made = _kept(term, made)
    return made


def _terms(expressions: Sequence[Node]) -> list[Node]:
    found: list[Node] = []
    for term in expressions:
        both = term["expression_class"] == "BOUND_CONJUNCTION" and term["type"] == "CONJUNCTION_AND"
        found += _terms(term["children"]) if both else [term]
    return found


def _kept(term: Node, rows: Rows) -> Rows:
    """What a condition adds to what is known: a column has one of n values; each unit keeps its first n rows; only crowded units are left."""
    chosen = _choices(term)
    if chosen is not None:
        columns = list(rows.columns)
        columns[chosen[0]] = replace(columns[chosen[0]], choices=chosen[1])
        return replace(rows, columns=tuple(columns))
    sides = compared(term)
    if sides is None or sides[0]["expression_class"] != "BOUND_REF" or _reads(sides[2]):
        return rows
    fact, edge = rows.columns[sides[0]["index"]], fact_of(sides[2], ())
    if edge.low is None or edge.low != edge.high:
        return rows
    if sides[1] == "<=" and fact.ranked is not None and rows.per is not None and fact.ranked >= rows.per and rows.fan == 1:
        # within a unit rows differ in these columns, so the ranks are 1, 2, 3 …: a function of the unit's rows
        return replace(rows, combos=int(edge.low) if rows.combos is None else min(rows.combos, int(edge.low)))
    if (
        sides[1] == ">"
        and fact.count_of is not None
        and fact.count_of.startswith("rows of ")
        and len(rows.units()) > 0
        and rows.per == frozenset()
    ):
        return replace(rows, crowd=(int(fact.count_of.removeprefix("rows of ")), int(edge.low)))
    return rows


def _choices(term: Node) -> tuple[int, int] | None:
    """The column that has one of so many values where the condition holds: one that is in a list of constants, or in it or NULL."""
    if term["expression_class"] == "BOUND_CONJUNCTION" and term["type"] == "CONJUNCTION_OR" and len(term["children"]) == 2:
        among, empty = _choices(term["children"][0]), term["children"][1]
        null = empty["expression_class"] == "BOUND_OPERATOR" and empty["type"] == "OPERATOR_IS_NULL"
        same = (
            null and among is not None and empty["children"][0]["expression_class"] == "BOUND_REF" and empty["children"][0]["index"] == among[0]
        )
        return (among[0], among[1] + 1) if same and among is not None else None
    if term["expression_class"] != "BOUND_OPERATOR" or term["type"] != "COMPARE_IN" or term["children"][0]["expression_class"] != "BOUND_REF":
        return None
    if any(_reads(child) for child in term["children"][1:]):
        return None
    return term["children"][0]["index"], len({shape(child) for child in term["children"][1:]})


def _reads(node: Any) -> bool:
    """Whether a column is looked at, wherever it stands: CASE keeps what it is made of elsewhere than other expressions do."""
    if isinstance(node, dict):
        return node.get("expression_class") == "BOUND_REF" or any(_reads(part) for part in node.values())
    return isinstance(node, list) and any(_reads(part) for part in node)


def _project(node: Node, inputs: Sequence[Rows]) -> Rows:
    (rows,) = inputs
    if rows.released:
        return replace(rows, columns=tuple(_total(item, rows.columns) for item in node["expressions"]), table=None)
    facts = tuple(fact_of(item, rows.columns) for item in node["expressions"])
    whole = [item["index"] if item["expression_class"] == "BOUND_REF" else None for item in node["expressions"]]
    same = rows.table if whole == list(range(len(rows.columns))) else None
    per = _moved(rows.per, whole)
    if per is None:
        return Rows(facts, rows.space, rough=rows.rough, crowd=rows.crowd, side=rows.side, table=same)
    renumbered = tuple(
        replace(fact, ranked=None if fact.ranked is None or place is None else _moved(fact.ranked, whole))
        for fact, place in zip(facts, whole, strict=True)
    )
    return replace(rows, columns=renumbered, per=per, table=same)


def _moved(places: frozenset[int] | None, whole: Sequence[int | None]) -> frozenset[int] | None:
    """The places under their new numbers; None when one of them is gone."""
    return None if places is None or not places <= set(whole) else frozenset(whole.index(place) for place in places)


def _total(node: Node, columns: Sequence[Fact]) -> Fact:
    """Over totals: themselves, casts, a zero for none, and constants."""
    kind = node["expression_class"]
    if kind == "BOUND_REF":
        return columns[node["index"]]
    if kind == "BOUND_FUNCTION" and name_of(node) == "__cast":
        return _total(node["children"][0], columns)
    if kind == "BOUND_OPERATOR" and node["type"] == "OPERATOR_COALESCE" and len(node["children"]) == 2:
        first, other = (_total(child, columns) for child in node["children"])
        if other.low == other.high == 0:
            return first
    if kind == "BOUND_CONSTANT":
        return replace(fact_of(node, ()), moves=0)
    raise Doubt("an expression over totals")


def _group(node: Node, inputs: Sequence[Rows]) -> Rows:
    (rows,) = inputs
    several = len(node["grouping_sets"]) > 1 or node["grouping_functions"]
    if several or (rows.space and any(group["expression_class"] != "BOUND_REF" for group in node["groups"])):
        raise Doubt("grouping by something else than columns, or several times")
    groups = [group["index"] if group["expression_class"] == "BOUND_REF" else -1 for group in node["groups"]]
    for group in node["groups"]:
        fact_of(group, rows.columns)
    made = [_aggregate(item, rows) for item in node["expressions"]]
    if not rows.space:
        return Rows(tuple([NOTHING] * (len(groups) + len(made))))
    units = {place for place, old in enumerate(groups) if rows.columns[old].unit}
    if not units:
        return _frontier(node, rows, groups)
    keys = [rows.columns[old] for old in groups]
    per = frozenset(place for place in range(len(groups)) if place not in units)
    choices = [keys[place].choices for place in per]
    combos = None if any(found is None for found in choices) else math.prod(found for found in choices if found is not None)
    rough = any(
        item["qname"]["path"][-1] == "sum" and fact.sum_of is not None and None in fact.sum_of[1]
        for item, fact in zip(node["expressions"], made, strict=True)
    )
    return Rows(tuple([*keys, *made]), rows.space, per=per, combos=combos, rough=rough)


def _aggregate(node: Node, rows: Rows) -> Fact:
    """An aggregate over the rows of one unit, or public ones."""
    name = name_of(node)
    if node["expression_class"] != "BOUND_AGGREGATE" or name not in AGGREGATES:
        raise Doubt(f"aggregate {name}")
    if (node["order_bys"] or {}).get("orders"):
        raise Doubt("an order inside an aggregate")
    held = [fact_of(child, rows.columns) for child in node["children"]]
    if node["filter"] is not None:
        fact_of(node["filter"], rows.columns)
    if any(fact.loose for fact in held):
        raise Doubt("a list in no order")
    if name in ("arg_max", "arg_min") and (len(node["children"]) != 2 or shape(node["children"][0]) not in shape(node["children"][1])):
        raise Doubt("a choice among ties")
    named = f"{[shape(child) for child in node['children']]} {shape(node['filter'])} {node['aggregate_type']}"
    if name == "sum":
        if rows.space and any(type_of(child) in (*REALS, "DECIMAL", "HUGEINT") for child in node["children"]):
            raise Doubt("a sum that is not of 64-bit integers")
        return Fact(sum_of=(named, (held[0].low, held[0].high)))
    if name == "count_star":
        return Fact(low=0, count_of=f"rows of {rows.table}" if rows.table is not None and node["filter"] is None else None)
    if name == "count":
        return Fact(low=0, count_of=named)
    if name in ("min", "max"):
        return Fact(held[0].low, held[0].high)
    return Fact(loose=name == "list" and bool(rows.space))


def _frontier(node: Node, rows: Rows, groups: Sequence[int]) -> Rows:
    """Where units meet."""
    if rows.per is None or rows.combos is None or not rows.per <= set(groups) or rows.rough:
        raise Doubt("units meet without a bound on each")
    keys = [Fact(key=place in rows.per, moves=None) for place in groups]
    made = []
    for item in node["expressions"]:
        name = name_of(item)
        if item["filter"] is not None or item["aggregate_type"] != "NON_DISTINCT" or (item["order_bys"] or {}).get("orders"):
            raise Doubt("an aggregate over units with a filter or an order")
        if name == "count_star":
            made.append(Fact(moves=rows.fan))
            continue
        if name != "sum" or type_of(item["children"][0]) not in ("BIGINT", "INTEGER"):
            raise Doubt(f"{name} over units")
        fact = fact_of(item["children"][0], rows.columns)
        if fact.low is None or fact.high is None:
            raise Doubt("a sum over units of values without ends")
        made.append(Fact(moves=rows.fan * int(max(abs(fact.low), abs(fact.high)))))
    return Rows(tuple([*keys, *made]), rows.space, released=True, keys=rows.combos)


def _window(node: Node, inputs: Sequence[Rows]) -> Rows:
    (rows,) = inputs
    made = []
    for item in node["expressions"]:
        if (
            item["expression_class"] != "BOUND_WINDOW"
            or item["type"] not in _WINDOWS
            or (item["type"] == "WINDOW_AGGREGATE" and (name_of(item) not in AGGREGATES or name_of(item) == "list"))
        ):
            raise Doubt(f"window {item['type']}")
        orders = [order["expression"] for order in item["orders"]]
        for child in (*item["children"], *item["partitions"], *orders):
            fact_of(child, rows.columns)
        if rows.space and item["type"] == "WINDOW_AGGREGATE" and name_of(item) == "sum" and type_of(item["children"][0]) in REALS:
            raise Doubt("a sum of DOUBLE")
        plain = [part["index"] for part in item["partitions"] if part["expression_class"] == "BOUND_REF"]
        owned = any(rows.columns[place].unit for place in plain)
        if rows.space and not owned:
            raise Doubt("a window over several units")
        alone = owned and all(rows.columns[place].unit for place in plain) and len(plain) == len(item["partitions"])
        ordered = frozenset(order["index"] for order in orders if order["expression_class"] == "BOUND_REF")
        made.append(Fact(low=1, ranked=ordered) if item["type"] == "WINDOW_ROW_NUMBER" and alone else NOTHING)
    return replace(rows, columns=(*rows.columns, *made), table=None)


def _join(node: Node, inputs: Sequence[Rows]) -> Rows:
    left, right = inputs
    kind = node["join_type"]
    if kind not in ("INNER", "LEFT", "SEMI", "ANTI") or node["left_projection_map"] or node["right_projection_map"]:
        raise Doubt(f"join {kind}")
    if node.get("duplicate_eliminated_columns") or node.get("mark_types"):
        raise Doubt("a join of another sort")
    tied = False
    for condition in node.get("conditions", ()):
        if "left" not in condition:
            fact_of(condition.get("expression") or condition, (*left.columns, *right.columns))
            continue
        a, b = fact_of(condition["left"], left.columns), fact_of(condition["right"], right.columns)
        tied = tied or (condition["comparison"] == "COMPARE_EQUAL" and a.unit and b.unit)
    if "condition" in node:
        fact_of(node["condition"], (*left.columns, *right.columns))
    if left.space and right.space and (not tied or left.space != right.space):
        raise Doubt("a join of two units")
    if right.space and not left.space and kind != "INNER":
        raise Doubt("a join that makes rows nobody owns")
    if kind in ("SEMI", "ANTI"):
        crowd = right.crowd if tied and right.crowd is not None and left.table == right.crowd[0] else None
        made = replace(left, table=None, side=None if crowd is None else (kind == "SEMI", crowd))
        if crowd is not None and kind == "ANTI" and left.per is not None and left.fan == 1:  # none of these has more rows
            made = replace(made, combos=crowd[1])
        return made
    if kind == "LEFT":
        right = replace(right, columns=tuple(replace(fact, unit=False, choices=None) for fact in right.columns))  # or NULL
    return Rows((*left.columns, *right.columns), left.space or right.space)


def _cross(node: Node, inputs: Sequence[Rows]) -> Rows:
    left, right = inputs
    if left.space and right.space:
        raise Doubt("every pair of two protected tables' rows")
    return Rows((*left.columns, *right.columns), left.space or right.space)


def _union(node: Node, inputs: Sequence[Rows]) -> Rows:
    if not node["setop_all"]:
        raise Doubt("a union of another sort")
    return reduce(_united, inputs)


def _united(left: Rows, right: Rows) -> Rows:
    left, right = (_public_totals(side) if other.released and not side.space else side for side, other in ((left, right), (right, left)))
    if left.released != right.released or (left.space != right.space and not left.released) or len(left.columns) != len(right.columns):
        raise Doubt("a union of unlike rows")
    if left.released and right.released:
        facts = tuple(_both_totals(a, b) for a, b in zip(left.columns, right.columns, strict=True))
        return Rows(facts, left.space or right.space, released=True, keys=max(left.keys, right.keys))
    facts = tuple(Fact(*_hull(a, b), unit=a.unit and b.unit) for a, b in zip(left.columns, right.columns, strict=True))
    apart = left.side is not None and right.side is not None and left.side[1] == right.side[1] and left.side[0] != right.side[0]
    if apart and left.per == right.per and left.combos is not None and right.combos is not None and left.fan == right.fan == 1:
        return Rows(facts, left.space, per=left.per, combos=max(left.combos, right.combos), rough=left.rough or right.rough)
    if left.space and not any(fact.unit for fact in facts):
        raise Doubt("a union that loses the unit")
    return Rows(facts, left.space, rough=left.rough or right.rough)


def _public_totals(rows: Rows) -> Rows:
    """Rows that depend on no protected row, beside totals."""
    return Rows(tuple(Fact(moves=0) for _ in rows.columns), released=True)


def _hull(a: Fact, b: Fact) -> tuple[int | float | None, int | float | None]:
    low = None if a.low is None or b.low is None else min(a.low, b.low)
    high = None if a.high is None or b.high is None else max(a.high, b.high)
    return low, high


def _both_totals(a: Fact, b: Fact) -> Fact:
    if a.key and b.key:
        return a
    if a.moves is not None and b.moves is not None:
        return Fact(moves=a.moves + b.moves)
    return Fact()


def _unnest(node: Node, inputs: Sequence[Rows]) -> Rows:
    (rows,) = inputs
    made, most = [], 1
    for item in node["expressions"]:
        if item["expression_class"] != "BOUND_UNNEST":
            raise Doubt("an unnest of another sort")
        length = fact_of(item["child"], rows.columns).length
        if length is None:
            raise Doubt("a list without a largest length")
        most *= length
        made.append(Fact())
    return replace(rows, columns=(*rows.columns, *made), fan=rows.fan * most, table=None)


def _nothing(node: Node, inputs: Sequence[Rows]) -> Rows:
    return Rows((NOTHING,))


_OPERATORS: Mapping[str, Callable[[Node, Sequence[Rows]], Rows]] = {
    "LOGICAL_FILTER": _filter,
    "LOGICAL_PROJECTION": _project,
    "LOGICAL_AGGREGATE_AND_GROUP_BY": _group,
    "LOGICAL_WINDOW": _window,
    "LOGICAL_COMPARISON_JOIN": _join,
    "LOGICAL_ANY_JOIN": _join,
    "LOGICAL_CROSS_PRODUCT": _cross,
    "LOGICAL_UNION": _union,
    "LOGICAL_UNNEST": _unnest,
    "LOGICAL_DUMMY_SCAN": _nothing,
}
