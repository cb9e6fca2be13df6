"""The distribution of greatest entropy that fits noisy marginals: Private-PGM (McKenna, Sheldon & Miklau 2019).

A model is a potential, in logarithms, for each measured set of columns. Its marginals come from passing messages over a junction tree; mirror
descent moves each potential against the gradient of the squared misfit, each measurement weighed by the inverse of its variance. Everything
here is a function of noisy numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_letters

import numpy as np
import numpy.typing as npt

from sandbox.synthetic.graph import Clique, Tree, junction_tree

Floats = npt.NDArray[np.float64]
_LEAST = -300.0  # of a logarithm below the largest of its table: no product of messages becomes all zeros


@dataclass(frozen=True, slots=True)
class Measured:
    """A noisy marginal: counts over the product of its columns' levels, last column fastest, each with noise of standard deviation `scale`."""

    columns: Clique
    counts: Floats
    scale: float


@dataclass(frozen=True)
class Model:
    """`total` rows, distributed as the potentials say. `tables` are the cliques' own marginals, in counts."""

    sizes: tuple[int, ...]
    total: float
    tree: Tree
    potentials: Mapping[Clique, Floats] = field(repr=False)
    tables: tuple[Floats, ...] = field(repr=False)

    @classmethod
    def of(cls, sizes: Sequence[int], total: float, potentials: Mapping[Clique, Floats], tree: Tree | None = None) -> Model:
        tree = tree or junction_tree(potentials, sizes)
        return cls(tuple(sizes), total, tree, potentials, tuple(_beliefs(tree, sizes, potentials, total)))

    def marginal(self, columns: Clique) -> Floats:
        """Counts over the product of the columns' levels, in the order given; exact whether or not one clique holds them all."""
        place = self.tree.holding(columns)
        if place is not None:
            return _summed(self.tables[place], self.tree.cliques[place], columns)
        return self._across(columns)

    def _across(self, columns: Clique) -> Floats:
        """Sum products of cliques given what they share, from the root outwards, keeping wanted columns."""
        wanted, tree = set(columns), self.tree
        children: dict[int, list[int]] = {place: [] for place in range(len(tree.cliques))}
        for place, above in enumerate(tree.parent):
            if above is not None:
                children[above].append(place)
        found: dict[int, tuple[Clique, Floats | None]] = {}
        for place in reversed(range(len(tree.cliques))):  # leaves first: each gives its parent P(wanted below | shared)
            clique, shared = tree.cliques[place], tree.shared[place]
            below: list[tuple[Clique, Floats]] = []
            for child in children[place]:
                labels, table = found.pop(child)
                if table is not None:
                    below.append((labels, table))
            kept = {column for labels, _ in below for column in labels if column in wanted} | (wanted & set(clique))
            if not kept - set(shared) and place:
                found[place] = ((), None)
                continue
            needed = tuple(sorted(set(clique) & (wanted | set(shared) | {column for labels, _ in below for column in labels})))
            table = _summed(self.tables[place], clique, needed)
            if place:
                given = _summed(table, needed, shared)
                table = table / np.where(given > 0, given, 1.0).reshape(_spread(shared, needed, self.sizes))
            labels = needed
            for more, other in below:
                out = tuple(sorted(set(labels) | {column for column in more if column in wanted}))
                table = _joined(table, labels, other, more, out)
                labels = out
            last = tuple(sorted(set(labels) & (wanted | set(shared if place else ()))))
            found[place] = (last, _summed(table, labels, last))
        labels, whole = found[0]
        assert whole is not None
        return _summed(whole, labels, columns)


def fitted(
    sizes: Sequence[int],
    measured: Sequence[Measured],
    *,
    total: float,
    before: Mapping[Clique, Floats] | None = None,
    steps: int = 100,
) -> Model:
    """The model that fits best after `steps` of mirror descent, beginning with the potentials of an earlier one."""
    sets = dict.fromkeys(one.columns for one in measured)
    tree = junction_tree(sets, sizes)
    shapes = {columns: tuple(sizes[column] for column in columns) for columns in sets}
    potentials: dict[Clique, Floats] = {columns: np.zeros(shapes[columns]) for columns in sets}
    for columns, potential in (before or {}).items():
        potentials[columns] = potential
    targets = _targets(measured, shapes)
    model = Model.of(sizes, total, potentials, tree)
    loss, gradient = _misfit(model, targets)
    step = 1.0 / (total * max(weight for _, weight in targets.values()))
    for _ in range(steps):
        for _ in range(30):
            moved = {
                columns: model.potentials[columns] - step * gradient[columns] if columns in gradient else model.potentials[columns]
                for columns in model.potentials
            }
            tried = Model.of(sizes, total, moved, tree)
            reached, slope = _misfit(tried, targets)
            if reached <= loss:
                break
            step /= 2
        else:
            break
        done = loss - reached <= 1e-9 * loss
        model, loss, gradient, step = tried, reached, slope, step * 1.5
        if done:
            break
    return model


def total_of(measured: Iterable[Measured]) -> float:
    """The number of rows: each marginal's own sum, weighed by the inverse of its variance; at least 1."""
    weights, sums = 0.0, 0.0
    for one in measured:
        weight = 1.0 / (one.counts.size * one.scale**2)
        weights += weight
        sums += weight * float(one.counts.sum())
    return max(1.0, sums / weights)


def _targets(measured: Sequence[Measured], shapes: Mapping[Clique, tuple[int, ...]]) -> dict[Clique, tuple[Floats, float]]:
    """Measurements of one set of columns as one: the mean by inverse variance, and the sum of inverse variances."""
    sums: dict[Clique, tuple[Floats, float]] = {}
    for one in measured:
        weight = 1.0 / one.scale**2
        before, weights = sums.get(one.columns, (np.zeros(shapes[one.columns]), 0.0))
        sums[one.columns] = (before + weight * one.counts.reshape(shapes[one.columns]), weights + weight)
    return {columns: (summed / weight, weight) for columns, (summed, weight) in sums.items()}


def _misfit(model: Model, targets: Mapping[Clique, tuple[Floats, float]]) -> tuple[float, dict[Clique, Floats]]:
    loss, gradient = 0.0, {}
    for columns, (target, weight) in targets.items():
        away = model.marginal(columns) - target
        loss += 0.5 * weight * float(np.vdot(away, away))
        gradient[columns] = weight * away
    return loss, gradient


def _beliefs(tree: Tree, sizes: Sequence[int], potentials: Mapping[Clique, Floats], total: float) -> list[Floats]:
    """Every clique's marginal: potentials multiplied into the tables, messages to the root and back (Lauritzen & Spiegelhalter 1988)."""
    logs = [np.zeros([sizes[column] for column in clique]) for clique in tree.cliques]
    for columns, potential in potentials.items():
        place = tree.holding(columns)
        assert place is not None  # the tree was made for them
        logs[place] += potential.reshape(_spread(columns, tree.cliques[place], sizes))
    tables = [np.exp(np.maximum(table - table.max(), _LEAST)) for table in logs]
    for place in range(len(tables) - 1, 0, -1):
        above, shared = tree.parent[place], tree.shared[place]
        assert above is not None
        message = _summed(tables[place], tree.cliques[place], shared)
        message = message / message.max()
        tables[above] *= message.reshape(_spread(shared, tree.cliques[above], sizes))
        tables[above] /= tables[above].max()
    tables[0] *= total / tables[0].sum()
    for place in range(1, len(tables)):
        above, shared = tree.parent[place], tree.shared[place]
        assert above is not None
        own = _summed(tables[place], tree.cliques[place], shared)
        given = _summed(tables[above], tree.cliques[above], shared)
        ratio = np.divide(given, own, out=np.zeros_like(own), where=own > 0)
        tables[place] *= ratio.reshape(_spread(shared, tree.cliques[place], sizes))
    return tables


def _joined(one: Floats, labels: Clique, other: Floats, more: Clique, out: Clique) -> Floats:
    """The product of two tables, summed over every label that is not in `out`."""
    names = {label: ascii_letters[place] for place, label in enumerate(sorted({*labels, *more}))}
    terms = ("".join(names[label] for label in part) for part in (labels, more, out))
    left, right, kept = terms
    joined: Floats = np.einsum(f"{left},{right}->{kept}", one, other)
    return joined


def _summed(table: Floats, labels: Clique, columns: Sequence[int]) -> Floats:
    """The table summed over all labels but `columns`, in their order."""
    gone = tuple(place for place, label in enumerate(labels) if label not in columns)
    summed = table.sum(axis=gone) if gone else table
    left = [label for label in labels if label in columns]
    return summed if left == list(columns) else np.transpose(summed, [left.index(column) for column in columns])


def _spread(columns: Sequence[int], labels: Clique, sizes: Sequence[int]) -> tuple[int, ...]:
    """The shape that lets a table over `columns` (ascending) meet one over `labels`."""
    return tuple(sizes[label] if label in columns else 1 for label in labels)
