"""The junction tree and what is worked out over it, against the whole joint distribution worked out by brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sandbox.synthetic.graph import Clique, cells, junction_tree, size_of
from sandbox.synthetic.infer import Floats, Measured, Model, fitted, total_of

SIZES = (3, 2, 4, 2, 3, 2)
CHAIN: tuple[Clique, ...] = ((0, 1), (1, 2), (2, 3), (3, 4))  # and 5 by itself
LOOP: tuple[Clique, ...] = ((0, 1), (1, 2), (2, 3), (0, 3), (3, 4, 5))


def potentials(sets: tuple[Clique, ...], seed: int = 1) -> dict[Clique, Floats]:
    chance = np.random.default_rng(seed)
    return {columns: chance.normal(0, 1, [SIZES[column] for column in columns]) for columns in sets}


def joint(given: dict[Clique, Floats]) -> Floats:
    whole = np.zeros(SIZES)
    for columns, potential in given.items():
        whole = whole + potential.reshape([SIZES[place] if place in columns else 1 for place in range(len(SIZES))])
    table: Floats = np.exp(whole)
    return table / table.sum()


def projected(whole: Floats, columns: Clique) -> Floats:
    summed = whole.sum(axis=tuple(place for place in range(len(SIZES)) if place not in columns))
    order = sorted(columns)
    return np.transpose(summed, [order.index(column) for column in columns])


@pytest.mark.parametrize("sets", [CHAIN, LOOP, ((0,), (3, 5))])
def test_every_marginal_is_that_of_the_joint_distribution(sets: tuple[Clique, ...]) -> None:
    given = potentials(sets)
    model, whole = Model.of(SIZES, 1000.0, given), joint(given)
    for size in (1, 2, 3):
        for columns in itertools.permutations(range(len(SIZES)), size):
            assert model.marginal(columns) == pytest.approx(1000 * projected(whole, columns), rel=1e-9)


@pytest.mark.parametrize("sets", [CHAIN, LOOP, (), tuple(itertools.combinations(range(6), 2))])
def test_the_tree_is_a_junction_tree(sets: tuple[Clique, ...]) -> None:
    tree = junction_tree(sets, SIZES)
    assert all(tree.holding(columns) is not None for columns in [*sets, *((place,) for place in range(6))])
    assert sum(cells(clique, SIZES) for clique in tree.cliques) == size_of(sets, SIZES)
    for column in range(6):  # the cliques that hold a column hang together: all but one share it with their parent
        holding = [place for place, clique in enumerate(tree.cliques) if column in clique]
        assert sum(column in tree.shared[place] for place in holding) == len(holding) - 1
    assert all(above is not None and above < place for place, above in enumerate(tree.parent) if place)


def test_without_noise_the_measured_marginals_are_met() -> None:
    whole = joint(potentials(LOOP, 3))
    measured = [Measured(columns, 5000 * projected(whole, columns).reshape(-1), 2.0) for columns in LOOP]
    model = fitted(SIZES, measured, total=5000.0, steps=3000)
    for columns in LOOP:
        assert model.marginal(columns) == pytest.approx(5000 * projected(whole, columns), abs=2.0)


def test_a_finer_measurement_weighs_more() -> None:
    """Two that disagree meet at their mean by inverse variance."""
    measured = [Measured((0,), np.array([60.0, 20, 20]), 1.0), Measured((0,), np.array([30.0, 50, 20]), 2.0)]
    model = fitted((3,), measured, total=100.0, steps=500)
    assert model.marginal((0,)) == pytest.approx([54.0, 26.0, 20.0], abs=0.05)
    assert total_of(measured) == pytest.approx(100.0)


def test_counts_below_nothing_become_almost_nothing() -> None:
    model = fitted((3,), [Measured((0,), np.array([90.0, -20, 30]), 5.0)], total=100.0, steps=2000)
    found = model.marginal((0,))
    assert found.min() >= 0
    assert found == pytest.approx([80.0, 0.0, 20.0], abs=0.5)  # the nearest point of the simplex


def test_the_total_is_the_best_of_several() -> None:
    fine, coarse = Measured((0,), np.full(4, 25.0), 1.0), Measured((1,), np.full(100, 3.0), 10.0)
    assert total_of([fine, coarse]) == pytest.approx((100 / 4 + 300 / 10_000) / (1 / 4 + 1 / 10_000))
    assert total_of([Measured((0,), np.array([-50.0]), 1.0)]) == 1.0


def test_extreme_potentials_stay_numbers() -> None:
    model = Model.of((2, 2, 2), 10.0, {(0, 1): np.array([[900.0, -900], [-900, 900]]), (1, 2): np.array([[-900.0, 900], [900, -900]])})
    assert np.isfinite(model.marginal((0, 2))).all()
    assert model.marginal((0, 2)).sum() == pytest.approx(10.0)
