"""How many blocks: advice from public facts, and what error to expect of it.

With k blocks the noise on their mean shrinks as 1/k, while each block has fewer units to estimate from. What a program's estimate loses on a
block of m units is not known without its data; the advice supposes that its bias there is the range's width over m, as it is for smooth
estimates up to a constant (Smith, "Privacy-preserving statistical estimation with optimal convergence rates", STOC 2011, section 3), and
that the spread of blocks about their mean, which averaging removes, is what an estimate from all the data would have. So k is chosen
where noise and supposed bias are equal. Estimates that are sums or means of units have no such bias: more blocks are better for them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sandbox.plan.spread import Z

LEAST_UNITS = 10  # of a block, where the data has them
MOST = 4_000
FEWEST = 10


@dataclass(frozen=True, slots=True)
class Advice:
    """For the output with the largest relative noise, in shares of its range's width: `noise` the 95 % half-width of the noise at `blocks`,
    `bias` what is supposed of the estimate's own."""

    blocks: int
    rows_per_block: int
    noise: float
    bias: float

    def as_data(self) -> dict[str, object]:
        said = {"blocks": self.blocks, "rows_per_block": self.rows_per_block}
        return said | {"noise_share_of_range": self.noise, "supposed_bias_share_of_range": self.bias}


def advised(*, rows: int, noise: float) -> Advice:
    """The number of blocks for data of about `rows` rows, where one block's worth of noise has the half-width `noise` in widths of the range
    (so at k blocks it is noise / k)."""
    best = math.sqrt(max(noise, 1e-12) * max(rows, 1))
    return at(max(FEWEST, min(round(best), max(FEWEST, rows // LEAST_UNITS), MOST)), rows=rows, noise=noise)


def at(blocks: int, *, rows: int, noise: float) -> Advice:
    """What to expect at a given number of blocks."""
    each = max(1, rows // blocks)
    return Advice(blocks, each, noise / blocks, 1 / each)


def noise_of(scale: float, width: int, *, z: float = Z) -> float:
    """The half-width, in widths of the range, of noise of standard deviation `scale` on a sum whose terms span `width`."""
    return z * scale / width
