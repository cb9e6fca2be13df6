"""Which totals of grouping sets must add up, and how exactly they are known once they are made to.

A set's totals over public keys are sums of a finer set's, as long as every row has a key of the finer set's domain. Least squares, weighted
by variance, then gives one consistent table: with totals y_T of set T and the interaction of keys S (contrasts along every key of S, sums
along the rest), each T ⊇ S gives an independent estimate of it, of variance σ_T² · N(T∖S), N being a product of domain sizes; the best one
weighs them inversely, and every cell is put together again from its interactions. This is the exact solution for any sets over a product of
domains, trees and cubes alike (docs/proofs/consistency.md).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sandbox.plan.branch import Branch, product
from sandbox.plan.ir import as_stored
from sandbox.plan.model import VALUED, Total
from sandbox.plan.outer import GroupKey
from sandbox.plan.view import Lattice
from sandbox.sql.expr import Column

MOST_WORK = 50_000_000  # cells times interactions: about a second
ROUNDED = 0.25  # variance that rounding to whole numbers is given


def lattices_of(branches: Sequence[Branch]) -> list[tuple[Lattice, list[Branch]]]:
    """The lattices among the sets of one query; the branches are priced and placed."""
    every = branches[0].every
    sizes = {repr(key.expr): len(made.domain or ()) for branch in branches for key, made in zip(branch.keys, branch.made, strict=True)}
    open_ended = {repr(key.expr) for key in every if not _exhaustive(branches[0], key)}
    alike: dict[frozenset[str], list[Branch]] = {}
    for branch in branches:
        if branch.public:
            alike.setdefault(frozenset(repr(key.expr) for key in branch.keys) & open_ended, []).append(branch)
    found = []
    for group in alike.values():
        work = sum(product(branch.made) * 2 ** len(branch.keys) for branch in group)
        totals = _shared(group)
        if len(group) < 2 or not totals or work > MOST_WORK:
            continue
        keys = [key for key in every if any(repr(one.expr) == repr(key.expr) for branch in group for one in branch.keys)]
        names = [repr(key.expr) for key in keys]
        sets = tuple(tuple(names.index(repr(key.expr)) for key in branch.keys) for branch in group)
        noise = [branch.noise for branch in group]
        variances = tuple(
            tuple(_variance(of.scales[name], pure=of.pure) for of, name in zip(noise, columns, strict=True)) for columns in totals
        )
        lattice = Lattice(tuple(branch.place for branch in group), sets, tuple(sizes[name] for name in names), totals, variances)
        found.append((lattice, group))
    return found


def _variance(scale: float, *, pure: bool) -> float:
    return scale * scale * (2 if pure else 1)


def _shared(group: Sequence[Branch]) -> tuple[tuple[str, ...], ...]:
    """The totals that every set has and that add up: their names in each."""
    found = []
    for total, value in zip(group[0].totals.totals, group[0].totals.values, strict=True):
        if total.kind != "count" and total.kind not in VALUED:
            continue
        names = [next((n for n in _named(branch, total, value)), None) for branch in group]
        if all(name is not None for name in names):
            found.append(tuple(name for name in names if name is not None))
    return tuple(found)


def _named(branch: Branch, total: Total, value: object) -> Iterator[str]:
    for other, its in zip(branch.totals.totals, branch.totals.values, strict=True):
        if (other.kind, other.low, other.high, other.decimals, other.centre, its) == (
            *(total.kind, total.low, total.high, total.decimals, total.centre),
            value,
        ):
            yield other.name


def _exhaustive(branch: Branch, key: GroupKey) -> bool:
    """Whether every row has one of the key's public values: a stored column that is never NULL, of a table that no left join adds."""
    if not isinstance(key.expr, Column):
        return False
    snapshot = branch.scope.shared.scanned.get(key.expr.table)
    column = None if snapshot is None else snapshot.dataset.get(key.expr.name)
    return column is not None and not column.nullable and key.expr.table in as_stored(branch.source.base)


@dataclass(frozen=True)
class Interaction:
    """An interaction S: from which sets it is estimated, with what weights, and how exactly."""

    keys: tuple[int, ...]
    weights: dict[int, float]  # by the set's number
    variance: float


def interactions(lattice: Lattice, total: int) -> list[Interaction]:
    """Every interaction that some set can tell, smallest first."""
    wanted = sorted({sub for of in lattice.sets for sub in subsets(of)}, key=lambda keys: (len(keys), keys))
    made = []
    for keys in wanted:
        exact = {}
        for number, of in enumerate(lattice.sets):
            if set(keys) <= set(of):
                rest = math.prod(lattice.sizes[key] for key in of if key not in keys)
                exact[number] = 1 / (lattice.variances[total][number] * rest)
        whole = math.fsum(exact.values())
        made.append(Interaction(keys, {number: one / whole for number, one in exact.items()}, 1 / whole))
    return made


def variance_after(lattice: Lattice, total: int, number: int) -> float:
    """The variance of one cell of a set, after least squares and before rounding."""
    of, sum_of = set(lattice.sets[number]), []
    for one in interactions(lattice, total):
        if set(one.keys) <= of:
            rest = math.prod(lattice.sizes[key] for key in of if key not in one.keys)
            spread = math.prod(1 - 1 / lattice.sizes[key] for key in one.keys)
            sum_of.append(one.variance * spread / rest**2)
    return math.fsum(sum_of)


def subsets(keys: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for length in range(len(keys) + 1):
        yield from itertools.combinations(sorted(keys), length)
