"""A histogram counted at several levels, so that several quantiles of one column can be read off the same noise.

Leaves are the candidates of a quantile. Each level above counts groups of `branching` neighbours, until one level has no more nodes than that.
Every level sees every row once. With independent noise of one scale on all nodes, the weighted least squares estimate of the leaves agrees
with all levels at once; how far a rank read off it may be wrong follows from the shape alone (docs/proofs/tree.md; Hay, Rastogi, Miklau &
Suciu 2010; Qardaji, Yang & Li 2013).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
BRANCHING = 4  # others, between 10 and 512 leaves, leave ranks at most 2 % less uncertain, and most have more nodes to draw
MISSED = 0.05


@dataclass(frozen=True)
class Tree:
    leaves: int
    branching: int

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """How many leaves a node has under it, by level from the leaves up."""
        found = [1]
        while -(-self.leaves // found[-1]) > self.branching:
            found.append(found[-1] * self.branching)
        return tuple(found)

    @property
    def levels(self) -> int:
        return len(self.widths)

    @property
    def nodes(self) -> int:
        return sum(-(-self.leaves // width) for width in self.widths)

    def counted(self, counts: Ints) -> Ints:
        """Every node's count, level by level from the leaves up."""
        return np.concatenate([np.add.reduceat(counts, np.arange(0, self.leaves, width)) for width in self.widths])

    @cached_property
    def ranks(self) -> Floats:
        """How noisy nodes make estimated ranks: row j times all nodes estimates the rows at leaves up to j. Leaves × nodes."""
        leaf = np.arange(self.leaves)
        member = [leaf // width == np.arange(-(-self.leaves // width)).reshape(-1, 1) for width in self.widths]
        level = np.concatenate(member).astype(np.float64)
        estimate: Floats = np.cumsum(np.linalg.solve(level.T @ level, level.T), axis=0)
        return estimate

    def spread(self, share: float) -> Floats:
        """By leaf, the standard deviation of its estimated rank less `share` of the estimated whole, for noise of standard deviation 1."""
        off = self.ranks - share * self.ranks[-1]
        found: Floats = np.sqrt((off * off).sum(axis=1))
        return found

    def rank_error(self, share: float) -> float:
        """For noise of standard deviation 1: all ranks are off by at most this in 95 % of cases (a union bound over Gaussian tails)."""
        spread = [float(one) for one in self.spread(share) if one > 1e-9]
        low, high = 0.0, 10.0 * max(spread)
        for _ in range(60):
            middle = (low + high) / 2
            beyond = math.fsum(math.erfc(middle / (one * math.sqrt(2))) for one in spread)
            low, high = (low, middle) if beyond <= MISSED else (middle, high)
        return high

    def places(self, noisy: Ints, shares: Sequence[float]) -> list[Ints]:
        """Per share, the leaf to answer for each row of noisy nodes: halfway between where the estimated ranks first reach the share and where
        they last fall short of it. Of two shares the larger never gets the lower leaf."""
        ranks = noisy.astype(np.float64) @ self.ranks.T
        whole = np.maximum(ranks[:, -1:], 0)
        answers = []
        for share in shares:
            reached = ranks >= share * whole
            first = np.where(reached.any(axis=1), reached.argmax(axis=1), self.leaves - 1)
            last = np.where(reached.all(axis=1), 0, self.leaves - (~reached[:, ::-1]).argmax(axis=1))
            answers.append((first + np.minimum(last, self.leaves - 1)) // 2)
        return answers


@lru_cache(maxsize=64)
def shape(leaves: int, branching: int) -> Tree:
    return Tree(leaves, branching)


@lru_cache(maxsize=256)
def best(leaves: int, shares: tuple[tuple[int, int], ...], most_nodes: int) -> int:
    """The branching of a tree that answers all these shares with less rank error than a noisy max for each would leave of the same price; 0 if
    there is none.

    At the price of one row of noise: the tree's has standard deviation √levels; a noisy max of share a/b, one of several, has Gumbel noise of
    max(a, b - a)/b · √shares, and misses by ln(20 · leaves) times that.
    """
    separate = max(max(a, b - a) / b for a, b in shares) * math.sqrt(len(shares)) * math.log(20 * leaves)
    tree = shape(leaves, BRANCHING)
    if tree.nodes > most_nodes:
        return 0
    return BRANCHING if max(tree.rank_error(a / b) for a, b in shares) * math.sqrt(tree.levels) < separate else 0
