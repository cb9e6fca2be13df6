"""Median regression of income on education, by iterated weighted least squares. Medians are not moved by a few very high incomes."""

import numpy as np


def run(rows, parameters):
    income = np.asarray(rows["wages"].fill_null(np.nan), float)
    years = np.asarray(rows["education"].fill_null(np.nan), float)
    there = np.isfinite(income) & np.isfinite(years)
    income, years = income[there], years[there] - parameters["education"]
    if len(income) < 5:
        return {}  # nothing can be said: the public defaults stand in
    design = np.column_stack([np.ones(len(years)), years])
    fit = np.array([np.median(income), 0.0])
    for _ in range(30):
        weight = 1 / np.maximum(np.abs(income - design @ fit), 0.05)
        weighted = design * weight[:, None]
        fit = np.linalg.solve(weighted.T @ design + 1e-9 * np.eye(2), weighted.T @ income)
    return {"median": fit[0], "per_year": fit[1]}
