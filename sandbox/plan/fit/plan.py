"""What a compiled model job is: rows to read, features with public ranges, and the noisy steps that every parameter is computed from.

A `FitPlan` is made by `sandbox.plan.fit.compile` alone and is public. Numbers behind the wall are integers in these units:

    feature, target of a linear regression   standardised by its range to [-1, 1], in 2**-16
    parameter                                over standardised features, in 2**-20
    residual                                 of logistic and Poisson in parts of the target's largest value, in 2**-20

so that every product and sum is exact (docs/proofs/model-steps.md).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from policies.loss import Loss
from sandbox.plan.fit.ask import Errors, ModelName
from sandbox.plan.model import Bound, ColumnUse, Scan
from sandbox.plan.plain import plain

DrawName = Literal["moments", "gradient", "hessian", "meat", "clusters", "sizes"]
FEATURE_BITS, PARAMETER_BITS, RESIDUAL_BITS = 16, 20, 20
ONE = 2**FEATURE_BITS  # a standardised value of 1
CURVED_BITS = 11, 12  # of features and weights in a matrix of second derivatives: it only steers
SIZE_BITS = 16  # a row's weight in the sizes of clusters
MAGNIFIED = 16  # a linear regression's residuals are looked at so many times larger over 16 when their spread is known: 16 is as they are
MOST_MAGNIFIED = 1024


@dataclass(frozen=True, slots=True)
class Variable:
    """A feature or target. `low`, `high` in units of 10**-decimals; `fill` likewise (None: rows without a value are left out). With `centred`
    the middle of the range is 0 and its ends are ±1, else 0 stays 0 and the end farther from it has absolute value 1. `group` is the feature
    of the request that it is a category of, or its own name."""

    name: str
    low: int
    high: int
    decimals: int
    fill: int | None
    centred: bool
    group: str

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"{self.name}: {self.low} to {self.high}")

    @property
    def middle(self) -> Fraction:
        """Of the standardised scale, in the value's own unit."""
        return Fraction(self.low + self.high, 2 * 10**self.decimals) if self.centred else Fraction(0)

    @property
    def half(self) -> Fraction:
        """What a standardised 1 is, in the value's own unit."""
        ends = Fraction(self.high - self.low, 2) if self.centred else Fraction(max(abs(self.low), abs(self.high)))
        return ends / Fraction(10**self.decimals)

    def as_number(self, value: int) -> Fraction:
        return Fraction(value, 10**self.decimals)

    @property
    def ends(self) -> tuple[Fraction, Fraction]:
        return self.as_number(self.low), self.as_number(self.high)


@dataclass(frozen=True, slots=True)
class VectorDraw:
    """One noisy vector of `size` integers. A unit moves it by at most `cap` in L2; `shift`: units' contributions are cut by so many bits;
    `longest`: how long one row's contribution can be before that (of "meat": one unit's gradient). Discrete Gaussian of standard deviation
    `scale`; `loss` is what OpenDP's map must agree with."""

    name: DrawName
    size: int
    cap: int
    shift: int
    longest: int
    scale: float
    loss: Loss

    def __post_init__(self) -> None:
        if not 0 < self.cap <= 2**41 or not 0 < self.scale < float("inf") or self.loss.pico_rho <= 0 or self.size < 1 or self.loss.atto_delta:
            raise ValueError(f"draw {self.name}: size {self.size}, cap {self.cap}, scale {self.scale}, loss {self.loss}")


@dataclass(frozen=True, slots=True)
class Step:
    """One pass over the rows: what is drawn, at the parameters that earlier steps gave."""

    draws: tuple[VectorDraw, ...]

    @property
    def size(self) -> int:
        return sum(draw.size for draw in self.draws)

    @property
    def names(self) -> tuple[DrawName, ...]:
        return tuple(draw.name for draw in self.draws)

    def draw(self, name: DrawName) -> VectorDraw:
        return next(draw for draw in self.draws if draw.name == name)

    def split(self, values: list[int]) -> dict[DrawName, list[int]]:
        """A step's vector by draw, in order."""
        found: dict[DrawName, list[int]] = {}
        for draw in self.draws:
            found[draw.name], values = values[: draw.size], values[draw.size :]
        return found


@dataclass(frozen=True, slots=True)
class FitPlan:
    """A model job, compiled. `rows_sql` yields the unit `u` and f0, f1, … (target last), clamped, in units of 10**-decimals.

    `start`: the parameters of the first step; those of k-means are centres one after another, in features' units; those of a linear
    regression end with how much its residuals are magnified, in sixteenths. `single`: public facts
    say that no unit has two rows."""

    model: ModelName
    query: str
    space: str
    scans: tuple[Scan, ...]
    uses: tuple[ColumnUse, ...]
    rows_sql: str
    features: tuple[Variable, ...]
    target: Variable | None
    intercept: bool
    clusters: int
    rows_per_unit: int
    single: bool
    regularisation: str
    errors: Errors
    gradient_cap: int  # of one unit's gradient, in its units cut by so many bits
    gradient_shift: int
    steps: tuple[Step, ...]
    start: tuple[int, ...]
    delta: str
    bounds: tuple[Bound, ...] = ()
    accuracy: str = ""
    expected_rows: int = 1000

    def __post_init__(self) -> None:
        if not self.steps or not self.features or self.rows_per_unit < 1 or (self.target is None) != (self.model == "kmeans"):
            raise ValueError("a model has steps and features, and all but k-means a target")

    @property
    def variables(self) -> tuple[Variable, ...]:
        return (*self.features, *(() if self.target is None else (self.target,)))

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the parameters of a regression, in order."""
        return (*(("(intercept)",) if self.intercept else ()), *(feature.name for feature in self.features))

    @property
    def loss(self) -> Loss:
        total = Loss(0)
        for step in self.steps:
            for draw in step.draws:
                total = total + draw.loss
        return total

    @property
    def epsilon(self) -> Decimal | None:
        return self.loss.epsilon(Decimal(self.delta))

    @property
    def digest(self) -> str:
        """SHA-256 over all that the answer depends on; what only says where bounds come from is left out."""
        whole = plain(dataclasses.asdict(dataclasses.replace(self, query="", bounds=(), accuracy="", expected_rows=0)))
        assert isinstance(whole, dict)  # what a dataclass is
        whole["uses"] = sorted(whole["uses"], key=str)
        whole["scans"] = [
            {name: value for name, value in scan.items() if name != "pseudonym" and (name != "window" or value)} for scan in whole["scans"]
        ]
        text = json.dumps({"fit": whole}, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()
