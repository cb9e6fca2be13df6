"""A person table of fourteen columns and 48,842 rows, made up: the columns, sizes and skews of a census extract, and who depends on whom.

No such table is bundled. Dependences are of the strength found in the American census extract that the literature uses (age with marital status
and hours, education with occupation and income, sex with both, relationship with marital status and sex), and are not copied from it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ROWS = 48_842
SIZES = {
    "workclass": 9, "education": 16, "marital": 7, "occupation": 15, "relationship": 6, "race": 5, "sex": 2, "country": 42, "income": 2,
}  # fmt: skip
RANGES = {"age": (17, 90), "weight": (10_000, 509_999), "gain": (0, 99_999), "loss": (0, 4_399), "hours": (1, 99)}
COLUMNS = (
    "age", "workclass", "weight", "education", "marital", "occupation", "relationship", "race", "sex", "gain", "loss", "hours", "country",
    "income",
)  # fmt: skip


def people(seed: int = 0, rows: int = ROWS) -> dict[str, Ints]:
    """Columns in order; those of SIZES as levels from 0, those of RANGES as values."""
    chance = np.random.default_rng(seed)

    def pick(shares: Floats) -> Ints:
        ends = (shares / shares.sum(axis=1, keepdims=True)).cumsum(axis=1)
        return np.asarray((ends > chance.random((rows, 1))).argmax(axis=1), dtype=np.int64)

    age = np.clip(17 + chance.gamma(2.4, 9.2, rows), 17, 90).astype(np.int64)
    sex = (chance.random(rows) < 0.668).astype(np.int64)
    race = chance.choice(5, rows, p=[0.854, 0.096, 0.031, 0.01, 0.009])
    abroad = np.exp(-np.arange(41) / 8)
    home = np.concatenate([[0.9], 0.1 * abroad / abroad.sum()])
    country = pick(np.where(race[:, None] == 2, np.concatenate([[0.3], np.full(41, 0.7 / 41)]), home))
    school = 10 + 2.3 * chance.standard_normal(rows) + 0.5 * (race == 2) - 1.5 * (country > 0) - 1.5 * (age < 22)
    education = np.where(chance.random(rows) < 0.35, 8, np.clip(np.rint(school), 1, 16) - 1).astype(np.int64)
    marital = pick(
        np.stack(
            [
                np.exp(-(age - 17) / 9.0),
                0.02 + np.clip((age - 20) / 40, 0, 0.75) * np.where(sex, 1.2, 0.7),
                np.clip((age - 22) / 150, 0, 0.25) * np.where(sex, 0.8, 1.6),
                np.full(rows, 0.03),
                np.full(rows, 0.0007),
                np.full(rows, 0.012),
                np.clip((age - 45) / 150, 0, 0.4) * np.where(sex, 0.3, 1.4),
            ],
            axis=1,
        )
    )
    kin = np.full((rows, 6), 0.01)
    married = marital == 1
    kin[married & (sex == 1), 0] = kin[married & (sex == 0), 1] = 3
    kin[~married, 2], kin[~married, 3], kin[~married, 4] = 0.6, np.where(age[~married] < 28, 1.2, 0.1), 0.3
    kin[:, 5] += 0.06
    own, state = 0.02 + 0.0015 * (age - 17) * (education > 8), 0.05 + 0.01 * (education > 11)
    rare = [np.full(rows, share) for share in (0.03, 0.04, 0.0005, 0.0003, 0.056)]
    workclass = pick(np.stack([np.full(rows, 0.7), 0.05 + 0.002 * (age - 17), own, rare[0], state, *rare[1:]], axis=1))
    taste = np.random.default_rng(7)
    by_sex, by_school, by_class = taste.normal(0, 0.9, 15), taste.normal(0, 0.35, 15), taste.normal(0, 0.8, (9, 15))
    leaning = by_sex * (sex[:, None] - 0.5) * 1.6 + by_school * (education[:, None] - 9) * 0.8 + by_class[workclass]
    occupation = np.where(workclass == 8, 14, pick(np.exp(leaning)))
    usual = np.rint(40 + 11 * chance.standard_normal(rows) + 4 * sex - 12 * (age < 22) - 8 * (age > 64))
    hours = np.where(chance.random(rows) < 0.47, 40, np.clip(usual, 1, 99)).astype(np.int64)
    odds = -7.9 + 0.33 * education + 0.035 * np.minimum(age, 55) + 2.2 * married + 0.02 * hours + 0.9 * by_school[occupation] + 0.2 * sex
    income = (chance.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    gained = chance.random(rows) < 0.04 + 0.16 * income
    gain = np.where(gained, np.clip(chance.lognormal(8.3 + 0.7 * income, 0.9), 100, 99_999), 0).astype(np.int64)
    lost = ~gained & (chance.random(rows) < 0.03 + 0.06 * income)
    loss = np.where(lost, np.clip(chance.normal(1870, 350, rows), 150, 4356), 0).astype(np.int64)
    weight = np.clip(chance.lognormal(12.0, 0.5, rows), 12_285, 509_999).astype(np.int64)
    given = {
        "age": age, "workclass": workclass, "weight": weight, "education": education, "marital": marital, "occupation": occupation,
        "relationship": pick(kin), "race": race, "sex": sex, "gain": gain, "loss": loss, "hours": hours, "country": country, "income": income,
    }  # fmt: skip
    return {name: np.asarray(given[name], dtype=np.int64) for name in COLUMNS}
