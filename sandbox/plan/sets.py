"""Grouping sets: GROUP BY with ROLLUP, CUBE and GROUPING SETS as the list of sets of keys that it stands for (SQL:2016, 7.13)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TypeGuard

from sqlglot import exp

from sandbox.sql import problems

MOST_SETS = 64
Set = tuple[exp.Expr, ...]
_SEVERAL = (exp.Rollup, exp.Cube, exp.GroupingSets)


def several(group: exp.Expr | None) -> TypeGuard[exp.Group]:
    """Whether GROUP BY asks for grouping sets."""
    return group is not None and any(isinstance(item, _SEVERAL) for item in group.expressions)


def grouping_sets(nodes: Sequence[exp.Expr], piece: str) -> list[Set]:
    """The sets in order, each as keys in syntax: what stands side by side in GROUP BY is multiplied. Raises `sql_grouping_sets`."""
    made: list[Set] = [()]
    for choices in (_choices(node, piece) for node in nodes):
        if len(made) * len(choices) > MOST_SETS:
            raise problems.GROUPING_SETS(fragment=piece, limit=MOST_SETS)
        made = [(*one, *more) for one in made for more in choices]
    return made


def _choices(node: exp.Expr, piece: str) -> list[Set]:
    """The sets that one element of GROUP BY, or of GROUPING SETS, stands for."""
    if isinstance(node, exp.Rollup):
        parts = [_keys(item) for item in node.expressions]
        return [tuple(itertools.chain(*parts[:length])) for length in range(len(parts), -1, -1)]
    if isinstance(node, exp.Cube):
        parts = [_keys(item) for item in node.expressions]
        if len(parts) > MOST_SETS.bit_length():
            raise problems.GROUPING_SETS(fragment=piece, limit=MOST_SETS)
        return [tuple(itertools.chain(*chosen)) for length in range(len(parts), -1, -1) for chosen in itertools.combinations(parts, length)]
    if isinstance(node, exp.GroupingSets):
        return [one for item in node.expressions for one in _choices(item, piece)]
    return [_keys(node)]


def _keys(node: exp.Expr) -> Set:
    """One key, or several in parentheses."""
    if isinstance(node, exp.Tuple):
        return tuple(node.expressions)
    return (node.unnest(),)


def keys_in(nodes: Sequence[exp.Expr]) -> Iterator[exp.Expr]:
    """Every key that any of the sets has, in order of appearance."""
    for node in nodes:
        if isinstance(node, (*_SEVERAL, exp.Tuple)):
            yield from keys_in(node.expressions)
        else:
            yield node.unnest()
