"""From noisy steps to the parameters of the next one: regressions and k-means, on released numbers alone.

Everything here is a function of vectors that have been paid for and of the plan, so it costs nothing. It never fails for what noise did: a
matrix that noise left without an inverse is lifted to where noise ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sandbox.plan.fit.plan import FEATURE_BITS, MAGNIFIED, MOST_MAGNIFIED, ONE, PARAMETER_BITS, DrawName, FitPlan
from sandbox.plan.fit.price import count_weight, standard_unit

Drawn = dict[DrawName, list[int]]
Floats = npt.NDArray[np.float64]
LONGEST_STEP = 2.0  # of a Newton step, in standardised parameters
LARGEST = 60.0  # of a parameter: exactness behind the wall rests on less than 64
WIDEST = 6.0  # standard deviations of residuals that the spread of gradients looks at; farther ones count as that far
FEWEST = 3.0  # a cluster whose noisy count is within so many standard deviations of 0 keeps its centre


@dataclass(frozen=True, slots=True)
class Moments:
    """Noisy moments of (1, features, target), standardised: `matrix` over (1, features), `cross` with the target, `square` of the target, each
    entry with noise of standard deviation `noise`."""

    matrix: Floats
    cross: Floats
    square: float
    noise: float


def values_of(plan: FitPlan, place: int, name: DrawName, drawn: Drawn) -> tuple[Floats, float]:
    """A noisy vector in standardised values, and the standard deviation of its noise."""
    draw = plan.steps[place].draw(name)
    unit = standard_unit(draw, plan.gradient_shift)
    return np.array(drawn[name], dtype=np.float64) * unit, draw.scale * unit


def symmetric(entries: Floats, size: int) -> Floats:
    """The matrix whose upper triangle is given row by row."""
    made = np.zeros((size, size))
    made[np.triu_indices(size)] = entries
    return made + np.triu(made, 1).T


def lifted(matrix: Floats, noise: float) -> Floats:
    """The matrix with its eigenvalues no lower than about the largest that noise alone has (Wigner: 2·noise·√size, half of it here)."""
    values, vectors = np.linalg.eigh(matrix)
    raised: Floats = (vectors * np.maximum(values, noise * np.sqrt(len(matrix)))) @ vectors.T
    return raised


def hidden(matrix: Floats, noise: float) -> Floats:
    """The projection onto directions whose eigenvalue is less than twice what noise alone has: about them the released numbers say nothing."""
    values, vectors = np.linalg.eigh(matrix)
    lost = vectors[:, values < 2 * noise * np.sqrt(len(matrix))]
    onto: Floats = lost @ lost.T
    return onto


def penalty(plan: FitPlan) -> Floats:
    """The ridge, on all but the intercept, in the units of the second derivatives: of Poisson, parts of the target's largest value."""
    most = plan.target.ends[1] if plan.model == "poisson" and plan.target is not None else 1
    ridge = np.full(len(plan.terms), float(plan.regularisation) / float(most))
    ridge[: int(plan.intercept)] = 0.0
    return np.diag(ridge)


def moments_of(plan: FitPlan, drawn: Drawn) -> Moments:
    entries, noise = values_of(plan, 0, "moments", drawn)
    whole = symmetric(entries, len(plan.features) + 2)
    return Moments(whole[:-1, :-1], whole[:-1, -1], float(whole[-1, -1]), noise)


def solved(plan: FitPlan, moments: Moments) -> tuple[Floats, Floats]:
    """Coefficients over standardised features by (ridge) least squares, and the matrix that was inverted."""
    used = slice(0 if plan.intercept else 1, None)
    matrix = lifted(moments.matrix[used, used], moments.noise) + penalty(plan)
    theta = np.linalg.solve(matrix, moments.cross[used]).astype(np.float64)
    return theta, matrix


def residual_variance(plan: FitPlan, moments: Moments, theta: Floats) -> float:
    """Of a linear regression, standardised; what noise left below 0 is taken for as much as noise could be."""
    used = slice(0 if plan.intercept else 1, None)
    squares = float(moments.square - 2 * theta @ moments.cross[used] + theta @ moments.matrix[used, used] @ theta)
    count = max(float(moments.matrix[0, 0]), len(theta) + 1.0)
    return max(squares, moments.noise) / (count - len(theta))


def stepped(plan: FitPlan, place: int, at: Floats, drawn: Drawn) -> Floats:
    """A Newton step from `at`, no longer than `LONGEST_STEP`."""
    gradient, _ = values_of(plan, place, "gradient", drawn)
    move = -np.linalg.solve(curvature(plan, place, drawn), gradient + penalty(plan) @ at)
    moved: Floats = np.clip(at + move * min(1.0, LONGEST_STEP / max(float(np.linalg.norm(move)), 1e-12)), -LARGEST, LARGEST)
    return moved


def curvature(plan: FitPlan, place: int, drawn: Drawn) -> Floats:
    """The noisy Hessian with the ridge, fit to be inverted."""
    return lifted(*hessian(plan, place, drawn)) + penalty(plan)


def hessian(plan: FitPlan, place: int, drawn: Drawn) -> tuple[Floats, float]:
    """As drawn, and the standard deviation of its noise."""
    entries, noise = values_of(plan, place, "hessian", drawn)
    return symmetric(entries, len(plan.terms)), noise


def moved_centres(plan: FitPlan, place: int, at: Floats, drawn: Drawn) -> Floats:
    """Centres at the noisy means of their clusters, inside the features' ranges; those of clusters that noise may have made up stay."""
    values, noise = values_of(plan, place, "clusters", drawn)
    table = values.reshape(plan.clusters, -1)
    weight = count_weight(len(plan.features)) / ONE
    counts = table[:, 0] / weight
    low, high = ranges(plan)
    seen = counts > FEWEST * noise / weight
    means = np.clip(table[:, 1:] / np.maximum(counts, 1.0)[:, None], low, high)
    made: Floats = np.where(seen[:, None], means, at)
    return made


def ranges(plan: FitPlan) -> tuple[Floats, Floats]:
    """The ends of the features' ranges, standardised."""
    ends = [[float((end - one.middle) / one.half) for end in one.ends] for one in plan.features]
    low, high = np.array(ends).T
    return low, high


def after(plan: FitPlan, place: int, parameters: Sequence[int], drawn: Drawn) -> tuple[int, ...]:
    """The public parameters of the step after `place`, whose own were `parameters`."""
    if plan.model == "kmeans":
        if "clusters" not in drawn:
            return tuple(parameters)
        at = np.array(parameters, dtype=np.float64).reshape(plan.clusters, -1) / ONE
        return whole(moved_centres(plan, place, at, drawn).reshape(-1), FEATURE_BITS)
    if "moments" in drawn:
        moments = moments_of(plan, drawn)
        theta, _ = solved(plan, moments)
        spread = max(np.sqrt(residual_variance(plan, moments, theta)), 1e-9)
        magnified = int(np.clip(MAGNIFIED * 2 / (WIDEST * spread), MAGNIFIED, MOST_MAGNIFIED))
        return (*whole(np.clip(theta, -LARGEST, LARGEST), PARAMETER_BITS), magnified)
    if "gradient" in drawn:
        return whole(stepped(plan, place, standardised(parameters), drawn), PARAMETER_BITS)
    return tuple(parameters)


def standardised(parameters: Sequence[int]) -> Floats:
    """Parameters of a regression as numbers."""
    return np.array(parameters, dtype=np.float64) / 2.0**PARAMETER_BITS


def whole(values: Floats, bits: int) -> tuple[int, ...]:
    return tuple(round(value * 2.0**bits) for value in values.tolist())
