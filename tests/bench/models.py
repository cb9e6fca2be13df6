"""Models: error against that without noise on a million rows, coverage of intervals, and what a step costs.

Data is generated and seeded, noise is fresh. For a linear regression the answer by moments is set against one by noisy gradients of the same
price, which is why the planner takes moments.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from sandbox.noise.fit import draw_step, unnoised_step
from tests.models import TARGETS, TRUE, people, plan_of, run

Floats = npt.NDArray[np.float64]
SIZES = ((1_000, "0.1"), (10_000, "0.1"), (10_000, "0.01"), (100_000, "0.01"))


def accuracy(rows: int, runs: int = 6, rho: str = "0.1") -> dict[str, Any]:
    """Per model: root mean square error over that without noise, worst coefficient by the announced errors, and seconds a run took."""
    found = {}
    for model in TRUE:
        plan = plan_of(model, privacy={"rho": rho})
        noisy, plain, ratios, took = [], [], [], 0.0
        for seed in range(runs):
            table = people(rows, seed)
            began = time.perf_counter()
            answer = run(plan, table).table
            took += time.perf_counter() - began
            error, noise = np.array(answer["standard_error"]), np.array(answer["noise_error"])
            ratios.append((error / np.sqrt(np.maximum(error**2 - noise**2, 1e-30))).max())
            noisy.append(np.array(answer["estimate"]) - TRUE[model])
            plain.append(np.array(run(plan, table, unnoised_step).table["estimate"]) - TRUE[model])
        squared = np.mean(np.square(noisy), axis=0) / np.mean(np.square(plain), axis=0)
        found[model] = {
            "rows": rows,
            "rho": rho,
            "rmse_over_without_noise": round(float(np.sqrt(squared).max()), 3),
            "announced_over_sampling": round(float(np.mean(ratios)), 3),
            "at_most": 2.0,
            "seconds": round(took / runs, 2),
        }
    return found


def coverage(runs: int = 200) -> list[dict[str, Any]]:
    """How many 95 % intervals hold the truth, by model, size, price and kind of errors."""
    found = []
    for model in TRUE:
        for rows, rho in SIZES:
            for errors in ("classical", "robust"):
                plan = plan_of(model, privacy={"rho": rho}, errors=errors)
                held = 0
                for seed in range(runs):
                    answer = run(plan, people(rows, seed)).table
                    low, high = np.array(answer["low"]), np.array(answer["high"])
                    held += int(((low <= TRUE[model]) & (TRUE[model] <= high)).sum())
                found.append({"model": model, "rows": rows, "rho": rho, "errors": errors, "coverage": round(held / (3 * runs), 3)})
    return found


def moments_against_gradients(rows: int = 20_000, runs: int = 20, rho: float = 0.1, steps: int = 8) -> dict[str, Any]:
    """Mean square error that noise adds to a linear regression: by moments, and by `steps` of gradient descent with noise of the same price in
    all, preconditioned with what is best known beforehand (features evenly spread)."""
    plan = plan_of("linear", privacy={"rho": str(rho)})
    half = np.array([float(feature.half) for feature in plan.features])
    by_moments, by_gradients = [], []
    for seed in range(runs):
        table = people(rows, seed)
        exact = np.array(run(plan, table, unnoised_step).table["estimate"])[1:]
        by_moments.append((np.array(run(plan, table, draw_step).table["estimate"])[1:] - exact) * half / 10)
        x = np.stack(
            [np.ones(rows), *((table[f.name].to_numpy() - float(f.middle)) / float(f.half) for f in plan.features)], axis=1
        )  # standardised, as the plan does
        by_gradients.append(_descended(x, table[TARGETS["linear"]].to_numpy() / 10, rho / steps, steps, seed)[1:] - exact * half / 10)
    means = {name: float(np.mean(np.square(errors))) for name, errors in (("moments", by_moments), ("gradients", by_gradients))}
    return {"rows": rows, "rho": rho, "steps": steps, **means, "ratio": round(means["gradients"] / means["moments"], 1)}


def _descended(x: Floats, y: Floats, rho: float, steps: int, seed: int) -> Floats:
    noise = np.random.default_rng(1000 + seed)
    scale = 2 * np.sqrt(x.shape[1]) / np.sqrt(2 * rho)  # residuals within 2, features within 1
    theta = np.zeros(x.shape[1])
    shape = np.diag([1.0, *[1 / 3] * (x.shape[1] - 1)]) * len(y)
    for _ in range(steps):
        gradient = x.T @ np.clip(x @ theta - y, -2, 2) + noise.normal(0, scale, len(theta))
        theta = theta - np.linalg.solve(shape, gradient)
    return theta


def bench(rows: int = 1_000_000, runs: int = 100) -> dict[str, Any]:
    return {
        "accuracy": accuracy(rows),
        "coverage": coverage(runs),
        "linear": moments_against_gradients(),
    }
