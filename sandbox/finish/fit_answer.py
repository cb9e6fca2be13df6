"""The answer of a model: coefficients with errors of sampling and of noise, or centres with sizes, in the data's own units.

Errors come from released numbers alone. A coefficient's covariance is the sandwich H⁻¹ (M + N) H⁻¹: H the noisy matrix of second derivatives,
M the spread of units' gradients, N that of the last noise, whose scale is public (Avella-Medina, Bradshaw & Loh 2021, section 4.2).
"classical" takes M from the model: H itself, or the residual variance times H of a linear regression.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pyarrow as pa

from sandbox.finish.finish import HALF_WIDTH, Released, ReleasedColumn
from sandbox.finish.fit import (
    Drawn,
    Floats,
    curvature,
    hessian,
    hidden,
    lifted,
    moments_of,
    penalty,
    ranges,
    residual_variance,
    solved,
    standardised,
    symmetric,
    values_of,
)
from sandbox.plan.fit.explain import card
from sandbox.plan.fit.plan import MAGNIFIED, ONE, FitPlan
from sandbox.plan.fit.price import count_weight
from sandbox.raw.failure import JOB_FAILED

Z95 = 1.959964
UNKNOWN = 2.0  # standard error, standardised, in a direction that noise has hidden: an interval of four half ranges either way
Columns = dict[str, tuple[pa.Array, str]]
MECHANISM = "discrete Gaussian"
CARD = "model.json"


def answered(plan: FitPlan, parameters: Sequence[Sequence[int]], drawn: Sequence[Drawn]) -> Released:
    """The answer from all steps, with the model card beside it: `parameters` of each and after the last, `drawn` of each. Raises `job_failed`,
    constant."""
    with suppress(Exception):
        made = clusters(plan, parameters, drawn) if plan.model == "kmeans" else coefficients(plan, parameters, drawn)
        return replace(made, papers={CARD: json.dumps(card(plan), ensure_ascii=False, sort_keys=True, indent=1).encode()})
    raise JOB_FAILED()


def coefficients(plan: FitPlan, parameters: Sequence[Sequence[int]], drawn: Sequence[Drawn]) -> Released:
    theta, sampling, noise = (_linear if plan.model == "linear" else _curved)(plan, parameters, drawn)
    move, onto = in_own_units(plan)
    estimate = move + onto @ theta
    sampled, noised = (np.sqrt(np.maximum(np.diag(onto @ covariance @ onto.T), 0.0)) for covariance in (sampling, noise))
    error = np.hypot(sampled, noised)
    columns = {
        "term": (pa.array(list(plan.terms)), "key"),
        "estimate": (pa.array(estimate), "value"),
        "estimate" + HALF_WIDTH: (pa.array(Z95 * error), "half_width"),
        "standard_error": (pa.array(error), "value"),
        "noise_error": (pa.array(noised), "value"),
        "low": (pa.array(estimate - Z95 * error), "value"),
        "high": (pa.array(estimate + Z95 * error), "value"),
    }
    return _released(columns)


def _linear(plan: FitPlan, parameters: Sequence[Sequence[int]], drawn: Sequence[Drawn]) -> tuple[Floats, Floats, Floats]:
    """Coefficients, their covariance by sampling and that by noise, standardised."""
    moments = moments_of(plan, drawn[0])
    theta, matrix = solved(plan, moments)
    inverse = np.linalg.inv(matrix)
    used = slice(0 if plan.intercept else 1, None)
    if plan.errors == "robust":
        meat = _meat(plan, drawn) * (MAGNIFIED / parameters[1][-1]) ** 2
    else:
        meat = residual_variance(plan, moments, theta) * lifted(moments.matrix[used, used], moments.noise)
    # the equation solved is off by e - E·theta, E symmetric with independent entries (Vu & Slavkovic 2009 have the case of one feature)
    noise = moments.noise**2 * (np.eye(len(theta)) * (1 + theta @ theta - theta**2) + np.outer(theta, theta))
    return theta, inverse @ meat @ inverse, inverse @ noise @ inverse + UNKNOWN**2 * hidden(moments.matrix[used, used], moments.noise)


def _curved(plan: FitPlan, parameters: Sequence[Sequence[int]], drawn: Sequence[Drawn]) -> tuple[Floats, Floats, Floats]:
    last = max(place for place, step in enumerate(plan.steps) if "gradient" in step.names)
    bent = curvature(plan, last, drawn[last])
    inverse = np.linalg.inv(bent)
    _, scale = values_of(plan, last, "gradient", drawn[last])
    meat = _meat(plan, drawn) if plan.errors == "robust" else (bent - penalty(plan)) * _dispersion(plan)
    noise = inverse @ inverse * scale**2 + UNKNOWN**2 * hidden(*hessian(plan, last, drawn[last]))
    return standardised(parameters[last + 1]), inverse @ meat @ inverse, noise


def _dispersion(plan: FitPlan) -> float:
    """A residual's variance over its weight in H: outcomes counted in parts of the target's largest value vary by as much less."""
    assert plan.target is not None
    return 1.0 if plan.model == "logistic" else 1 / float(plan.target.ends[1])


def _meat(plan: FitPlan, drawn: Sequence[Drawn]) -> Floats:
    entries, noise = values_of(plan, len(plan.steps) - 1, "meat", drawn[-1])
    return lifted(symmetric(entries, len(plan.terms)), noise)


def in_own_units(plan: FitPlan) -> tuple[Floats, Floats]:
    """Coefficients in the data's own units as `move + onto @ theta`."""
    target = plan.target
    assert target is not None
    scaled = plan.model == "linear"
    outer = float(target.half) if scaled else 1.0
    move = np.zeros(len(plan.terms))
    onto = np.zeros((len(plan.terms), len(plan.terms)))
    first = int(plan.intercept)
    for place, feature in enumerate(plan.features, first):
        onto[place, place] = outer / float(feature.half)
        if plan.intercept:
            onto[0, place] = -outer * float(feature.middle / feature.half)
    if plan.intercept:
        onto[0, 0] = outer
        move[0] = float(target.middle) if scaled else 0.0
    return move, onto


def clusters(plan: FitPlan, parameters: Sequence[Sequence[int]], drawn: Sequence[Drawn]) -> Released:
    """Centres largest first; of those with no more rows than noise, the range's ends are all that is known."""
    last = len(plan.steps) - 2
    centres = np.array(parameters[-1], dtype=np.float64).reshape(plan.clusters, -1) / ONE
    sums, sum_noise = values_of(plan, last, "clusters", drawn[last])
    sizes, size_noise = values_of(plan, last + 1, "sizes", drawn[last + 1])
    counts, squares = sizes.reshape(plan.clusters, 2).T
    weight = count_weight(len(plan.features)) / ONE
    held = np.maximum(sums.reshape(plan.clusters, -1)[:, 0] / weight, 1.0)
    spread = np.clip(squares / np.maximum(counts, 1.0), 0.0, 1.0) * 4  # mean squared distance, per feature
    low, high = ranges(plan)
    variance = (spread[:, None] + sum_noise**2 * (1 + centres**2 / weight**2) / held[:, None]) / held[:, None]
    widths = np.minimum(Z95 * np.sqrt(variance), high - low)
    order = np.argsort(-counts, kind="stable")
    columns = {
        "cluster": (pa.array(range(1, plan.clusters + 1), pa.int64()), "key"),
        "size": (pa.array(np.maximum(counts, 0.0)[order]), "value"),
        "size" + HALF_WIDTH: (pa.array(np.full(plan.clusters, Z95 * size_noise)), "half_width"),
        "spread": (pa.array(np.sqrt(spread)[order]), "value"),
    }
    for place, feature in enumerate(plan.features):
        own = float(feature.middle) + float(feature.half) * centres[order, place]
        columns[feature.name] = (pa.array(own), "value")
        columns[feature.name + HALF_WIDTH] = (pa.array(float(feature.half) * widths[order, place]), "half_width")
    return _released(columns)


def _released(columns: Columns) -> Released:
    described = []
    for name, (_, kind) in columns.items():
        beside = name + HALF_WIDTH if name + HALF_WIDTH in columns else None
        if kind == "key":
            described.append(ReleasedColumn(name, "key", "", None, None, None, None))
        elif kind == "value":
            described.append(ReleasedColumn(name, "value", MECHANISM, None, None, None, beside))
    return Released(pa.table({name: array for name, (array, _) in columns.items()}), tuple(described))
