"""Kaplan and Meier's estimate of how many are alive after one, five and ten years. Those followed for less count while they are seen."""

import numpy as np

YEARS = {"after_1_year": 1, "after_5_years": 5, "after_10_years": 10}


def run(rows, parameters):
    seen = rows[(rows["age"] >= parameters["from_age"]) & rows["futime"].notna()]
    if len(seen) < 10:
        return {}
    days = seen["futime"].to_numpy(float)
    died = seen["status"].fillna(0).to_numpy(float) == 1
    order = np.argsort(days, kind="stable")
    days, died = days[order], died[order]
    at_risk = len(days) - np.searchsorted(days, days, side="left")
    alive = np.cumprod(np.where(died, 1 - 1 / at_risk, 1.0))
    answer = {}
    for name, years in YEARS.items():
        before = np.searchsorted(days, 365.25 * years, side="right")
        answer[name] = alive[before - 1] if before else 1.0
    return answer
