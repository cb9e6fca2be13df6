"""A part as one OpenDP measurement, its privacy read off OpenDP's own map, and the refusal to go on when that is not the price.

Public keys:   bounding ▸ composition of (vector ▸ discrete Gaussian), all in zCDP.
Private keys:  bounding ▸ adaptive composition in approximate zCDP of a first draw (map ▸ discrete Gaussian ▸ threshold), which chooses the
               keys, and then (vector over those keys ▸ discrete Gaussian) for every other total. Each loss is fixed before the first draw;
               only the list of keys is adaptive, and no loss depends on it.

Pure DP (public keys only): (vector ▸ discrete Laplace) in L1, its epsilon held to the price first and then read as zCDP.

Several quantiles of one column may be read off one noisy tree (nodes ▸ discrete Gaussian ▸ reading).
A quantile by itself is chosen, per key, by OpenDP's noisy max in place of (vector ▸ discrete Gaussian): `sandbox.noise.choose`.

What is ours to prove: the stability maps below (docs/proofs/vector.md, docs/proofs/map.md), the choice per key (docs/proofs/noisy-max.md)
and the strict threshold (docs/proofs/threshold.md). Everything after them is OpenDP's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from policies.loss import ATTO, PICO, Loss
from policies.problem import declare
from sandbox.noise import dp
from sandbox.noise import keys as wire
from sandbox.noise.choose import candidate, counted, selection
from sandbox.noise.keys import Index
from sandbox.noise.rounding import float_above, root_above
from sandbox.noise.space import Bounded, Place, bounded_space, bounding, database_space, quiet, units
from sandbox.plan.model import Draw, Part, Plan, Total

PRICE_DISAGREES = declare(
    "plan_price_disagrees",
    zh=(
        "价格与隐私证明不一致",
        "计划的价格是 ρ = {price_rho}、δ = {price_delta}，而对整条计算链独立推得的隐私损失是 ρ = {map_rho}、δ = {map_delta}。",
        "没有读取任何数据，也没有扣减预算。这是系统缺陷，请把作业语句和本提示交给系统管理员。",
    ),
    en=(
        "The price and the privacy proof disagree",
        "The plan's price is rho = {price_rho}, delta = {price_delta}; the privacy map over the whole chain says rho = {map_rho}, "
        "delta = {map_delta}.",
        "No data was read and nothing was spent. This is a defect: give the query and this message to the platform's administrator.",
    ),
)

TOLERANCE = Fraction(1, 10**9)  # relative; plus one pico-rho a draw, the grain of a price
_VECTOR = dp.vector_domain(dp.atom_domain(T="i64"))
_MAP = dp.map_domain(dp.atom_domain(T=str), dp.atom_domain(T="i64"))
_L1, _L2 = dp.l1_distance(T=float), dp.l2_distance(T=float)
_L02INF = dp.l02inf_distance(dp.absolute_distance(T=float))
_APPROXIMATE_ZCDP = dp.approximate(dp.zero_concentrated_divergence())


def vector_map(groups_per_unit: int, cap: int) -> Callable[[int], float]:
    """d units move a vector of totals by at most d·cap·√groups_per_unit in L2, rounded up (docs/proofs/vector.md)."""
    return lambda d_in: root_above((units(d_in) * cap) ** 2 * groups_per_unit)


def absolute_map(groups_per_unit: int, cap: int) -> Callable[[int], float]:
    """The same in L1: at most d·cap·groups_per_unit (docs/proofs/pure.md)."""
    return lambda d_in: float_above(units(d_in) * cap * groups_per_unit)


def keyed_map(groups_per_unit: int, cap: int) -> Callable[[int], tuple[int, float, float]]:
    """d units change at most d·groups_per_unit keys, by the L2 above, each by at most d·cap (docs/proofs/map.md)."""
    in_l2 = vector_map(groups_per_unit, cap)
    return lambda d_in: (units(d_in) * groups_per_unit, in_l2(d_in), float_above(units(d_in) * cap))


def vector(part: Part, total: str, size: int, place: Place, *, absolute: bool = False) -> Any:
    """BOUNDED → (vector of int64, L2 or, `absolute`, L1): one element per answered key, 0 where the key has no rows."""

    def step(bounded: Bounded) -> Index:
        rows, at = place(bounded)
        if len(np.unique(at)) != len(at):
            raise ValueError("a key occurs twice")  # see Bounded.row_of
        dense = np.zeros(size, dtype=np.int64)
        dense[at] = bounded.totals[total][rows]
        return dense

    stability = (absolute_map if absolute else vector_map)(part.groups_per_unit, part.total(total).cap)
    return dp.t.make_user_transformation(*bounded_space(part), _VECTOR, _L1 if absolute else _L2, quiet(step), stability)


def keyed(part: Part, total: str) -> Any:
    """BOUNDED → (map from written key to int64, L02inf). A key whose total is 0 is left out: it must look like one that has no rows."""

    def step(bounded: Bounded) -> dict[str, int]:
        values = bounded.totals[total].tolist()
        return {text: values[row] for text, row in bounded.row_of.items() if values[row] != 0}

    stability = keyed_map(part.groups_per_unit, part.total(total).cap)
    return dp.t.make_user_transformation(*bounded_space(part), _MAP, _L02INF, quiet(step), stability)


def by_product(part: Part) -> tuple[int, Place]:
    """Where rows stand among public keys."""
    return wire.product_size(part.keys), lambda bounded: wire.places(part.keys, bounded.keys, bounded.rows)


def by_released(released: Sequence[str]) -> tuple[int, Place]:
    """Where rows stand among keys that an earlier draw released."""

    def place(bounded: Bounded) -> tuple[Index, Index]:
        found = [(bounded.row_of[text], at) for at, text in enumerate(released) if text in bounded.row_of]
        rows, at = zip(*found, strict=True) if found else ((), ())
        return np.array(rows, dtype=np.int64), np.array(at, dtype=np.int64)

    return len(released), place


def values(part: Part, draw: Draw, size: int, place: Place) -> Any:
    """One total over known keys with its noise: a zCDP measurement on BOUNDED. Raises ValueError for a pure draw whose epsilon OpenDP's map
    does not confirm."""
    if draw.pure:
        return dp.c.make_pureDP_to_zCDP(confirmed(draw, pure_values(part, draw, size, place)))
    if part.total(draw.total).branching:
        return read_off(part, draw, size, place)
    if part.total(draw.total).kind == "quantile":
        return selection(part, draw, size, place)
    return vector(part, draw.total, size, place) >> dp.m.then_gaussian(scale=draw.scale)


def nodes(part: Part, total: Total, size: int, place: Place) -> Any:
    """BOUNDED → (vector of int64, L2): every node of every answered key's tree. One row is at one node of each level (docs/proofs/tree.md)."""
    tree = total.tree
    assert tree is not None

    def step(bounded: Bounded) -> Index:
        rows, at = place(bounded)
        if len(np.unique(at)) != len(at):
            raise ValueError("a key occurs twice")  # see Bounded.row_of
        dense = np.zeros((size, tree.nodes), dtype=np.int64)
        for row, position in zip(rows.tolist(), at.tolist(), strict=True):
            dense[position] = tree.counted(counted(total, *bounded.bins[total.name].row(row)))
        return dense.reshape(-1)

    stability = vector_map(part.groups_per_unit * tree.levels, total.cap)
    return dp.t.make_user_transformation(*bounded_space(part), _VECTOR, _L2, quiet(step), stability)


def read_off(part: Part, draw: Draw, size: int, place: Place) -> Any:
    """Several quantiles over known keys, read off one noisy tree per key: a zCDP measurement on BOUNDED, a list of values per share."""
    total = part.total(draw.total)
    tree, shares = total.tree, [part / whole for part, whole in total.shares.values()]
    assert tree is not None

    def read(noisy: list[int]) -> list[list[int]]:
        places = tree.places(np.array(noisy, dtype=np.int64).reshape(size, tree.nodes), shares)
        return [[candidate(total, place) for place in found.tolist()] for found in places]

    return (nodes(part, total, size, place) >> dp.m.then_gaussian(scale=draw.scale)) >> dp.new_function(quiet(read), TO="ExtrinsicObject")


def pure_values(part: Part, draw: Draw, size: int, place: Place) -> Any:
    """One total over known keys with its noise: a pure-DP measurement on BOUNDED."""
    if part.total(draw.total).kind == "quantile":
        return selection(part, draw, size, place)
    return vector(part, draw.total, size, place, absolute=True) >> dp.m.then_laplace(scale=draw.scale)


def confirmed(draw: Draw, measurement: Any) -> Any:
    """The measurement, if its map for one unit is the draw's epsilon: never above it, and below by at most 1e-9."""
    assert draw.pico_epsilon is not None
    stated, proved = Fraction(draw.pico_epsilon, PICO), Fraction(measurement.map(1))
    if not proved <= stated <= proved * (1 + TOLERANCE) + Fraction(1, PICO):
        raise ValueError("the epsilon of a draw is not the one OpenDP proves")
    return measurement


def chosen_keys(part: Part, draw: Draw) -> Any:
    """The keys whose noisy total exceeds the threshold, with it: an approximate-zCDP measurement on BOUNDED.

    OpenDP 0.16 keeps values *equal* to the threshold too, yet its map charges only for those above it (opendp#2922). The strict comparison
    after it makes its map true; it does not weaken anything once that is mended.
    """
    threshold = draw.threshold
    assert threshold is not None
    strict = dp.new_function(quiet(lambda noisy: {text: value for text, value in noisy.items() if value > threshold}), TO="ExtrinsicObject")
    return (keyed(part, draw.total) >> dp.m.then_gaussian_threshold(scale=draw.scale, threshold=threshold)) >> strict


@dataclass(frozen=True, slots=True)
class Chain:
    """A measurement over DB, and the (rho, delta) that OpenDP's map gives for one unit. `first` is the draw that chooses the keys (None: keys
    are public and one invocation does all)."""

    part: Part
    measurement: Any
    first: Any | None
    loss: tuple[float, float]

    def rest(self, draw: Draw, released: Sequence[str]) -> Any:
        """The measurement of another total over the released keys; its map is the one that was fixed when the chain was built."""
        return dp.c.make_approximate(values(self.part, draw, *by_released(released)))


def build(part: Part) -> tuple[Chain, Mapping[str, tuple[float, float]]]:
    """The chain and, per drawn total, the (rho, delta) that OpenDP's map gives for one unit of its space BOUNDED."""
    if part.public_keys:
        size, place = by_product(part)
        made = [values(part, draw, size, place) for draw in part.draws]
        losses = {draw.total: (one.map(1), 0.0) for draw, one in zip(part.draws, made, strict=True)}
        whole = bounding(part) >> dp.c.make_composition(made)
        return Chain(part, whole, None, in_full(whole.map(1))), losses
    first = chosen_keys(part, part.draws[0])
    none_yet = by_released(())  # the map of a draw does not depend on which keys it covers
    losses = {part.draws[0].total: first.map(1)}
    losses |= {draw.total: dp.c.make_approximate(values(part, draw, *none_yet)).map(1) for draw in part.draws[1:]}
    together = dp.c.make_adaptive_composition(*bounded_space(part), _APPROXIMATE_ZCDP, d_in=1, d_mids=list(losses.values()))
    whole = bounding(part) >> together
    return Chain(part, whole, first, in_full(whole.map(1))), losses


def checked(part: Part) -> Chain:
    """The chain, after OpenDP's map for one unit has agreed with the price of every draw and of the part. Raises `plan_price_disagrees`."""
    try:
        chain, losses = build(part)
    except (dp.OpenDPException, ValueError, OverflowError, TypeError):
        chain, losses = None, {}
    if chain is None:  # OpenDP gives the part no finite loss at all, e.g. a threshold below the cap
        raise disagreement(part.loss, "—", "—")
    for draw in part.draws:
        agree(draw.loss, losses[draw.total], grains=1)
    agree(part.loss, chain.loss, grains=len(part.draws))
    return chain


class _Kept:
    """Chains that were checked and not yet drawn from, by the very part they were made of: the few newest."""

    MOST = 64

    def __init__(self) -> None:
        self._chains: dict[int, Chain] = {}
        self._lock = threading.Lock()

    def put(self, chain: Chain) -> None:
        with self._lock:
            self._chains[id(chain.part)] = chain  # the chain holds its part: no other object can have its id meanwhile
            while len(self._chains) > self.MOST:
                del self._chains[next(iter(self._chains))]

    def take(self, part: Part) -> Chain | None:
        with self._lock:
            return self._chains.pop(id(part), None)


_kept = _Kept()


def taken(part: Part) -> Chain:
    """The chain that `check` made of this very object and agreed with, once; `checked` for any other, equal or not."""
    return _kept.take(part) or checked(part)


def check(plan: Plan) -> None:
    """Raise `plan_price_disagrees` unless the price is what OpenDP proves, draw by draw, part by part and in total: never below, and rho
    above by at most 1e-9. Reads no row.

    Parts compose adaptively: which measurement a later one is may depend on what earlier ones released, its loss does not.
    """
    chains = [checked(part) for part in plan.parts]
    losses = [chain.loss for chain in chains]
    try:
        whole = losses[0] if len(losses) == 1 else composed(plan, losses)
    except (dp.OpenDPException, ValueError, OverflowError, TypeError):
        whole = (float("inf"), 1.0)
    agree(plan.loss, whole, grains=len(plan.draws))
    for chain in chains:
        _kept.put(chain)


def composed(plan: Plan, losses: list[tuple[float, float]]) -> tuple[float, float]:
    """What OpenDP's map gives for all parts of a plan, of these losses."""
    space = database_space(plan.space, plan.scans)
    return in_full(dp.c.make_adaptive_composition(*space, _APPROXIMATE_ZCDP, d_in=1, d_mids=losses).map(1))


def in_full(loss: Any) -> tuple[float, float]:
    """A loss with its delta, where the map gives rho alone."""
    return loss if isinstance(loss, tuple) else (loss, 0.0)


def agree(price: Loss, mapped: tuple[float, float], grains: int) -> None:
    """Raise `plan_price_disagrees` unless the price is (rho, delta) as mapped: never below, and rho above by at most 1e-9 and one pico-rho a
    grain."""
    rho, delta = mapped
    if 0 <= rho < float("inf") and 0 <= delta <= 1:
        asked, proved = Fraction(price.pico_rho, PICO), Fraction(rho)
        if proved <= asked <= proved * (1 + TOLERANCE) + Fraction(grains, PICO) and Fraction(delta) <= Fraction(price.atto_delta, ATTO):
            return
    raise disagreement(price, repr(rho), repr(delta))


def disagreement(price: Loss, rho: str, delta: str) -> Exception:
    """The price beside what the map says, in words."""
    return PRICE_DISAGREES(price_rho=price.rho, price_delta=price.delta, map_rho=rho, map_delta=delta)
