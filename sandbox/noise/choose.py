"""Quantiles: per key, the candidate whose score plus Gumbel noise is the largest.

A candidate's score says by how many rows its rank misses the one asked, and one unit moves it by at most `Total.sensitivity`, in at most
`groups_per_unit` keys. Each key is one invocation of OpenDP's noisy max; that the losses of the keys one unit touches add up is ours to prove
(docs/proofs/noisy-max.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sandbox.noise import dp
from sandbox.noise.keys import Index
from sandbox.noise.rounding import product_above
from sandbox.noise.space import Bounded, Place, bounded_space, quiet, units
from sandbox.plan.model import Draw, Part, Total

MOST_ROWS = 2**40  # of one bin: keeps scores within 64 bits; cutting moves no two counts apart
_SCORES = dp.vector_domain(dp.atom_domain(T="i64")), dp.linf_distance(T="i64")


def scores(total: Total, rank: int | None, bins: Index, counts: Index) -> Index:
    """Minus the miss of every candidate; 0 is the best there is.

    Of n rows, `below` lie under a candidate and `within` at or under it. A share a/b asks for below ≤ n·a/b ≤ within; MIN asks for
    below < rank ≤ within, MAX the same from the other end.
    """
    here = counted(total, bins, counts)
    within = np.cumsum(here)
    below, rows = within - here, within[-1]
    part, whole = total.quantile
    if rank is None:
        miss = np.maximum(whole * below - part * rows, part * rows - whole * within)
    elif part == 0:
        miss = np.maximum(below - (rank - 1), rank - within)
    else:
        miss = np.maximum(rows - within - (rank - 1), rank - (rows - below))
    scored: Index = -np.maximum(miss, 0)
    return scored


def counted(total: Total, bins: Index, counts: Index) -> Index:
    """Rows by candidate."""
    here = np.zeros(total.candidates, dtype=np.int64)
    here[bins] = np.minimum(counts, MOST_ROWS)
    return here


def candidate(total: Total, place: int) -> int:
    """A candidate's value, in the total's fixed point."""
    return min(total.low + place * total.step, total.high)


def best(total: Total, bins: Index, counts: Index) -> int:
    """The candidate of the best score, without noise."""
    return candidate(total, int(np.argmax(scores(total, 1 if total.extreme else None, bins, counts))))


def one_key(draw: Draw) -> Any:
    """OpenDP's noisy max over one key's scores: with Gumbel noise in zCDP; pure, with exponential noise, which is permute-and-flip (McKenna &
    Sheldon 2020; Ding et al. 2021), in pure DP."""
    if draw.pure:
        return dp.m.make_noisy_max(*_SCORES, dp.max_divergence(), scale=draw.scale)
    return dp.m.make_noisy_max(*_SCORES, dp.zero_concentrated_divergence(), scale=draw.scale)


def selection_map(groups: int, sensitivity: int, one: Any) -> Callable[[int], float]:
    """d units move the scores of at most `groups` keys each, by `sensitivity` each: at worst all the same keys."""
    return lambda d_in: product_above(groups, one.map(units(d_in) * sensitivity))


def selection(part: Part, draw: Draw, size: int, place: Place) -> Any:
    """One quantile over known keys, one candidate's value per answered key: a measurement on BOUNDED in zCDP or, pure, in pure DP."""
    total, one = part.total(draw.total), one_key(draw)

    def choose(bounded: Bounded) -> list[int]:
        rows, at = place(bounded)
        if len(np.unique(at)) != len(at):
            raise ValueError("a key occurs twice")  # see Bounded.row_of
        row_at = dict(zip(at.tolist(), rows.tolist(), strict=True))
        nothing = np.zeros(0, dtype=np.int64)
        answers = []
        for position in range(size):
            row = row_at.get(position)
            bins, counts = (nothing, nothing) if row is None else bounded.bins[draw.total].row(row)
            answers.append(candidate(total, int(one(scores(total, draw.rank, bins, counts)))))
        return answers

    stability = selection_map(part.groups_per_unit, total.sensitivity, one)
    measure = dp.max_divergence() if draw.pure else dp.zero_concentrated_divergence()
    return dp.m.make_user_measurement(*bounded_space(part), measure, quiet(choose), stability, TO="Vec<i64>")
