"""Nodes of the tree against sums over sets of periods, for every plan of up to 64 periods."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from policies.product.running import MOST_PERIODS, Costs, holding, node, nodes, released, summed


def periods_of(end: int) -> set[int]:
    first, last = node(end)
    return set(range(first, last + 1))


def smallest_tree(length: int) -> dict[int, set[int]]:
    """The nodes by their definition in the binary tree over 1 … length: of the blocks (k·2^i, (k+1)·2^i], those that are left children or
    begin the whole; by the period they end with."""
    found: dict[int, set[int]] = {}
    for size in (2**i for i in range(length.bit_length())):
        for start in range(0, length, size):
            if (start // size) % 2 == 0 and start + size <= length:
                found[start + size] = set(range(start + 1, start + size + 1))
    return found


@pytest.mark.parametrize("length", [*range(1, 65)])
def test_nodes_are_those_of_the_binary_tree(length: int) -> None:
    assert {end: periods_of(end) for end in range(1, length + 1)} == smallest_tree(length)
    for total in range(1, length + 1):
        parts = nodes(total)
        assert sorted(period for end in parts for period in periods_of(end)) == list(range(1, total + 1))  # each once
        assert len(parts) == total.bit_count() <= Costs(length, 1).most_summed
        assert list(parts) == sorted(parts)
        assert parts[-1] == total
    held = {period: [end for end in range(1, length + 1) if period in periods_of(end)] for period in range(1, length + 1)}
    assert held == {period: list(holding(period, length)) for period in held}
    costs = Costs(length, 7)
    assert max(map(len, held.values())) == len(held[1]) == costs.charges == math.floor(math.log2(length)) + 1
    assert max(total.bit_count() for total in held) == costs.most_summed == math.floor(math.log2(length + 1))


def test_a_period_changes_the_nodes_that_hold_it_and_no_other() -> None:
    length = 64
    counts = [(period * 7919) % 101 for period in range(1, length + 1)]

    def released_from(values: list[int]) -> dict[int, int]:
        return {end: sum(values[period - 1] for period in periods_of(end)) for end in range(1, length + 1)}

    before = released_from(counts)
    for period in range(1, length + 1):
        changed = counts.copy()
        changed[period - 1] += 1
        after = released_from(changed)
        assert [end for end in after if after[end] != before[end]] == list(holding(period, length))
        for total in range(1, length + 1):
            assert sum(after[end] for end in nodes(total)) == sum(changed[:total])


def test_what_a_plan_costs_against_counting_one_by_one() -> None:
    for length in range(1, 65):
        costs = Costs(length, 1_000_003)
        assert costs.tree == 1_000_003 * max(len(holding(period, length)) for period in range(1, length + 1))
        assert costs.anew == 1_000_003 * length  # the first period is in every total
        assert costs.equal_price == math.ceil(Fraction(1_000_003, costs.most_summed))
        assert costs.equal == costs.equal_price * length
        assert costs.largest_error == max(math.sqrt(len(nodes(total))) for total in range(1, length + 1))
        assert costs.mean_error == pytest.approx(sum(math.sqrt(len(nodes(total))) for total in range(1, length + 1)) / length)
        dearer = Fraction(costs.charges) > Fraction(length, costs.most_summed)
        assert costs.cheaper == ("anew" if dearer else "tree")
    assert {length for length in range(1, 65) if Costs(length, 1).cheaper == "anew"} == {3, 4, 5, *range(7, 12), *range(15, 20)}


def test_paying_anew_reads_everything_each_time() -> None:
    assert [released(total, "anew") for total in (1, 2, 6)] == [(1, 1), (1, 2), (1, 6)]
    assert [released(total, "tree") for total in (1, 2, 6)] == [(1, 1), (1, 2), (5, 6)]
    assert (summed(6, "anew"), summed(6, "tree")) == ((6,), (4, 6))


def test_what_cannot_be_a_plan() -> None:
    for length, price in ((0, 1), (MOST_PERIODS + 1, 1), (3, 0)):
        with pytest.raises(ValueError, match="plan"):
            Costs(length, price)
    for period in (0, -4):
        with pytest.raises(ValueError, match="period"):
            node(period)
        with pytest.raises(ValueError, match="period"):
            holding(period, 3)
