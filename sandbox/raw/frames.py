"""What calls gave, as whole numbers behind the wall, and the exact totals that noise is added to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from sandbox.plan.model import Part, Total
from sandbox.program.answers import UNIT
from sandbox.program.run import Ints, Run
from sandbox.raw.failure import JOB_FAILED
from sandbox.raw.kernel import WIDE
from sandbox.raw.totals import ExactTotals
from sandbox.redacted import Redacted

BINS = pa.list_(pa.struct([("bin", pa.int64()), ("n", pa.int64())]))


class ExactFrames(Redacted):
    """One row of whole numbers per block, in no order that means anything. Neither repr, str nor format says anything about them, and they
    cannot be pickled: they live in the process that draws the noise."""

    __slots__ = ("_table",)

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @property
    def table(self) -> pa.Table:
        """For `sandbox.raw` alone."""
        return self._table


def frame_totals(part: Part, run: Run, frames: ExactFrames, read: Mapping[str, pa.Table]) -> ExactTotals:
    """The totals of one part of a plan over blocks: sums, histograms of blocks, or, with the ranges that an earlier part released in
    `read`, sums of where each block lies in them. Raises `job_failed`."""
    try:
        columns = [frames.table.column(place).to_numpy() for place in range(frames.table.num_columns)]
        if any(len(column) != run.blocks for column in columns):
            raise ValueError("as many calls as blocks")
        made = ExactTotals(pa.table(_columns(part, run, columns, read)))
    except Exception:
        made = None
    if made is None:
        raise JOB_FAILED()
    return made


def _columns(part: Part, run: Run, columns: list[Ints], read: Mapping[str, pa.Table]) -> dict[str, pa.Array]:
    if part.reads:
        (view,) = (read[name] for name in part.reads)
        ends = view.to_pylist()[0]
        shares = [_share(column, ends[f"low{place}"], ends[f"high{place}"]) for place, column in enumerate(columns)]
        return {total.name: pa.array([sum(share.tolist())], pa.int64()) for total, share in zip(part.totals, shares, strict=True)}
    each = len(part.totals) // len(columns)  # of a quantile's two ends, both from one output
    made: dict[str, pa.Array] = {}
    for place, total in enumerate(part.totals):
        column = columns[place // each]
        made[total.name] = _bins(total, column) if total.kind == "quantile" else pa.array([sum(column.tolist())], pa.int64())
    return made


def _share(column: Ints, low: int, high: int) -> Ints:
    """Where each value lies in a released range, from -UNIT/2 to UNIT/2, values outside it at its ends."""
    wide = max(1, high - low)
    share = np.rint((np.clip(column, low, high) - low) / wide * UNIT) - UNIT // 2
    inside: Ints = np.clip(share, -UNIT // 2, UNIT // 2).astype(np.int64)
    return inside


def _bins(total: Total, column: Ints) -> pa.Array:
    """How many blocks are nearest to each candidate."""
    place = np.minimum((np.clip(column, total.low, total.high) - total.low + total.step // 2) // total.step, total.candidates - 1)
    found, counts = np.unique(place, return_counts=True)
    rows = [{"bin": int(bin), "n": int(count)} for bin, count in zip(found, counts, strict=True)]
    return pa.array([rows], BINS)


def unit_totals(run: Run, part: Part, fixed: Ints) -> pa.Table:
    """Partial totals of some units, one row per key that one of them has. A unit without a key counts nowhere."""
    place = fixed[:, 0] if run.keys else np.zeros(len(fixed), dtype=np.int64)
    values = fixed[:, 1:] if run.keys else fixed
    kept = place >= 0
    place, values = place[kept], values[kept]
    found, group = np.unique(place, return_inverse=True)
    made: dict[str, pa.Array] = {}
    for key in part.keys:
        assert key.domain is not None
        kind = pa.int64() if key.type == "integer" else pa.string()
        made[key.name] = pa.array([key.domain[at] for at in found.tolist()], kind)
    column = 0
    for total in part.totals:
        if total.kind == "units":
            sums = np.bincount(group, minlength=len(found)).astype(np.int64)
        else:
            sums = np.zeros(len(found), dtype=np.int64)
            np.add.at(sums, group, values[:, column])  # whole numbers within 2**32 each: exact up to 2**31 units
            column += 1
        made[total.name] = pa.array(sums.tolist(), pa.int64()).cast(WIDE)
    return pa.table(made)
