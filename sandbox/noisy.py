"""The noisy table: what leaves the noise room. It sits above the wall, so both the noise room and the finish may name it."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from sandbox.plan.model import Part


@dataclass(frozen=True, slots=True)
class NoisyTable:
    """Keys `k*` and noisy totals `t*` (int64) of one part, in its order; of a tree, a column for each quantile. Already paid for, so it may be
    printed, logged and sent.

    With public keys the rows are the product of the keys' domains in catalogue order, the last key fastest; with private keys they are
    the released keys in ascending order, NULL last. Neither order carries anything the keys themselves do not.
    """

    table: pa.Table

    @classmethod
    def of(cls, part: Part, keys: pa.Table, totals: dict[str, list[int]]) -> NoisyTable:
        columns = {key.name: keys.column(key.name) for key in part.keys}
        columns |= {name: pa.array(totals[name], pa.int64()) for total in part.totals for name in total.shares}
        return cls(pa.table(columns))
