"""Which marginals to measure, and how finely: one after another, each chosen for what the model so far gets most wrong (AIM: McKenna, Mullins,
Sheldon & Miklau 2022, algorithms 1 to 4).

Every decision here is a function of noisy numbers and public facts; whatever looks at exact counts is asked of `Instrument`, which spends
from one reserved loss and refuses to go over it. So how many rounds there are may depend on what was drawn, and what is charged does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from policies.loss import PICO
from sandbox.plan.synthetic import MODEL_CELLS, SyntheticPlan
from sandbox.synthetic.graph import Clique, cells, size_of
from sandbox.synthetic.infer import Floats, Measured, Model, fitted, total_of

ROUNDS_PER_COLUMN = 16  # of the finest sort: what a round may cost at first is the whole over that many (AIM, section 4)
MOST_ROUNDS = 256  # of the finest sort; OpenDP's odometer adds up all earlier losses for each new one
TO_CHOOSE = 0.1  # of a round's loss: for the choice, the rest for the measurement
STEPS, LAST_STEPS = 60, 600  # of mirror descent
_MEAN_ABSOLUTE = math.sqrt(2 / math.pi)  # of a standard normal


class Instrument(Protocol):
    """What may look at exact marginals, for a price. Raises when the loss reserved would not cover it."""

    @property
    def left(self) -> int:
        """Of the loss reserved, in pico-rho."""
        ...

    def measure(self, columns: Clique, pico_rho: int) -> tuple[list[int], float]:
        """A marginal with discrete Gaussian noise for that price, and the noise's standard deviation."""
        ...

    def choose(
        self, candidates: Sequence[Clique], weights: Sequence[int], guesses: Sequence[Floats], levels: Sequence[float], pico_rho: int
    ) -> int:
        """The place of a candidate whose weight times (distance in L1 between its exact marginal and the guess, less the level) is nearly the
        largest."""
        ...


@dataclass(frozen=True, slots=True)
class Fit:
    """What came of it: the model and every measurement, in the order drawn."""

    model: Model
    measured: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class _Pace:
    """What a round costs, in pico-rho."""

    choosing: int
    measuring: int

    @property
    def whole(self) -> int:
        return self.choosing + self.measuring

    def finer(self) -> _Pace:
        """Noise halved."""
        return _Pace(4 * self.choosing, 4 * self.measuring)


def adapted(plan: SyntheticPlan, instrument: Instrument) -> Fit:
    """Measure every column by itself, then what the model gets most wrong, until the loss reserved is used up."""
    sizes = plan.sizes
    whole = plan.loss.pico_rho
    share = whole // min(ROUNDS_PER_COLUMN * len(sizes), MOST_ROUNDS)
    pace = _Pace(int(share * TO_CHOOSE), share - int(share * TO_CHOOSE))
    measured = [_measured(instrument, (column,), pace.measuring) for column in range(len(sizes))]
    total = total_of(measured)
    model = fitted(sizes, measured, total=total, steps=STEPS)
    candidates = plan.candidates
    while candidates and instrument.left > 0:
        if instrument.left < 2 * pace.whole:  # the last round takes what is left
            left = instrument.left
            pace = _Pace(int(left * TO_CHOOSE), left - int(left * TO_CHOOSE))
        if pace.choosing < 1:
            break
        scale = scale_at(plan, pace.measuring)
        open_to = _within(plan, candidates, measured, 1 - (instrument.left - pace.whole) / whole)
        if not open_to:
            break
        guesses = [model.marginal(columns).reshape(-1) for columns in open_to]
        noises = [_MEAN_ABSOLUTE * scale * cells(columns, sizes) for columns in open_to]
        chosen = instrument.choose(open_to, [candidates[columns] for columns in open_to], guesses, noises, pace.choosing)
        measured.append(_measured(instrument, open_to[chosen], pace.measuring))
        total = total_of(measured)
        model = fitted(sizes, measured, total=total, before=model.potentials, steps=STEPS)
        moved = float(np.abs(model.marginal(open_to[chosen]).reshape(-1) - guesses[chosen]).sum())
        if moved <= noises[chosen]:  # no more to be learnt at this noise (algorithm 4)
            pace = pace.finer()
    return Fit(fitted(sizes, measured, total=total, before=model.potentials, steps=LAST_STEPS), tuple(measured))


def scale_at(plan: SyntheticPlan, pico_rho: int) -> float:
    """The standard deviation of a measurement's noise at that price."""
    return plan.rows_per_unit * math.sqrt(PICO / (2 * pico_rho))


def _measured(instrument: Instrument, columns: Clique, pico_rho: int) -> Measured:
    counts, scale = instrument.measure(columns, pico_rho)
    return Measured(columns, np.array(counts, dtype=np.float64), scale)


def _within(plan: SyntheticPlan, candidates: dict[Clique, int], measured: Sequence[Measured], used: float) -> list[Clique]:
    """Candidates that leave the model as small as it may be by now: so much of the largest size as of the loss is used (algorithm 3)."""
    room = max(used * MODEL_CELLS, sum(plan.sizes))
    sets = list(dict.fromkeys(one.columns for one in measured))
    return [columns for columns in candidates if columns in sets or size_of([*sets, columns], plan.sizes) <= room]
