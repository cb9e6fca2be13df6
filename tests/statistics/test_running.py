"""The noise of a total that is a sum of nodes: of the scale that is said of it, and of no other; its half-width holds what it promises."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from jobs.products.totals import Node, Total
from policies.product.running import Running, nodes
from sandbox.finish.finish import HALF_WIDTH
from sandbox.finish.summed import summed
from sandbox.noise.draw import draw
from sandbox.plan.additive import Added
from sandbox.plan.model import Draw
from tests.handmade import exact_for, part_of, price_of
from tests.statistics.test_noise import CELLS, PERSONS, SAMPLES, P

PLAN = Running("visits", "month", date(2026, 1, 1), 12, "tree")


def released(scale: float) -> pa.Table:
    """A node's table over groups that hold nobody: noise alone, through the whole chain."""
    part = part_of((CELLS,), (PERSONS,), (Draw("t0", scale, price_of(scale)),))
    noise = draw(part, exact_for(part, [])).table.column("t0")
    return pa.table({"k": pa.array(range(SAMPLES), pa.int64()), "n": noise, "n" + HALF_WIDTH: [1.0] * SAMPLES})


@pytest.mark.parametrize(("period", "scales"), [(3, (6.0, 6.0)), (7, (4.0, 9.0, 5.0))])
def test_the_sum_has_the_scale_that_is_said_and_no_other(period: int, scales: tuple[float, ...]) -> None:
    ends = nodes(period)
    made = [Node(f"rel-{at}", at, *PLAN.reads(at), {"n": scale}) for at, scale in zip(ends, scales, strict=True)]
    total = Total.of(PLAN, period, made, ("k",), [Added("n", 1.0, scales[-1])], pure=False)
    table = summed([released(scale) for scale in scales], total.keys, total.half_widths)
    errors = table.column("n").to_numpy().astype(float)
    said = total.columns["n"]["scale"]
    assert said == pytest.approx(math.sqrt(sum(scale**2 for scale in scales)))

    def fits(scale: float) -> bool:
        """That the mean square is that of this scale, at P; the sum's fourth moment is a Gaussian's to a part in a thousand."""
        return bool(abs(float((errors**2).mean()) - scale**2) < stats.norm.isf(P / 2) * scale**2 * math.sqrt(2 / SAMPLES))

    assert fits(said)
    assert not fits(said * 1.3)
    assert not fits(said / 1.3)
    assert not fits(scales[-1])  # of one node alone
    assert not fits(sum(scales))  # as if errors added up
    (width,) = set(table.column("n" + HALF_WIDTH).to_pylist())
    inside = int((np.abs(errors) <= width).sum())
    assert stats.binom.sf(inside - 1, SAMPLES, 0.95) < 1 - P  # at least 95 %
    assert inside / SAMPLES < 0.97
