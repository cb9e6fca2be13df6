"""What a model job may say: a closed request, checked for shape before the catalogue is looked at."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from policies.catalogue import Model, Name
from policies.reasons import wrong
from sandbox.plan.ask import Privacy

ModelName = Literal["linear", "logistic", "poisson", "kmeans"]
Errors = Literal["classical", "robust"]
MOST_FEATURES = 50
MOST_ITERATIONS = 50
MOST_CLUSTERS = 50
MOST_ROWS = 10_000

Text = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Bound = Annotated[Decimal, Field(max_digits=30, decimal_places=12)]
Fill = Literal["drop"] | Bound


class Value(Model):
    """A number per row: `expression` over the source's columns (left out: the column `name`), clamped to `low` … `high`, which narrow what the
    catalogue declares or state a range where none follows. `missing`: a row without it is left out, or gets this number."""

    name: Name
    expression: Text | None = None
    low: Bound | None = None
    high: Bound | None = None
    missing: Fill = "drop"

    @property
    def sql(self) -> str:
        return f'"{self.name}"' if self.expression is None else self.expression

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise wrong("low 与 high 须同时给出", "low and high are given together")
        if self.low is not None and self.high is not None:
            if self.low >= self.high:
                raise wrong(f"low {self.low} 须小于 high {self.high}", f"low {self.low} must be below high {self.high}")
            if self.missing != "drop" and not self.low <= self.missing <= self.high:
                raise wrong("missing 的替代值须在 low 与 high 之间", "what stands for a missing value lies between low and high")
        return self


class Feature(Value):
    """`categories`: the column is a key, and becomes one 0/1 feature per category; "declared" takes the catalogue's domain. In a regression
    with an intercept the first category is the one others are compared with. A row in no category is left out."""

    categories: Literal["declared"] | Annotated[tuple[bool | int | str, ...], Field(min_length=2, max_length=MOST_FEATURES)] | None = None

    @field_validator("categories")
    @classmethod
    def _once(cls, given: object) -> object:
        if isinstance(given, tuple):
            if len({type(one) for one in given}) != 1:
                raise wrong("各类别须为同一类型", "categories are of one type")
            if len(set(given)) != len(given):
                raise wrong("类别不能重复", "a category is named once")
        return given

    @model_validator(mode="after")
    def _kind(self) -> Self:
        if self.categories is not None and (self.low is not None or self.missing != "drop"):
            raise wrong("有 categories 的特征没有 low、high 与 missing", "a feature with categories has no low, high or missing")
        return self


class FitAsk(Model):
    """A model to be fitted. `source` is a dataset's name, or one SELECT whose rows each belong to one privacy unit.

    `rows_per_unit`: a unit with more rows counts with the weight of so many. `clip`: the longest that one unit's contribution to a step may
    be, in standardised features; by default as long as ranges allow, so that nothing is cut. `regularisation`: a ridge penalty, as a precision
    in standardised features. `errors`: "classical" takes the model at its word, "robust" estimates the spread of units' gradients for a share
    of the price, and is what several rows of a unit need.
    """

    model: ModelName
    source: Annotated[str, StringConstraints(min_length=1, max_length=12_000)]
    target: Value | None = None
    features: Annotated[tuple[Feature, ...], Field(min_length=1, max_length=MOST_FEATURES)]
    intercept: bool = True
    standardise: bool = True
    iterations: Annotated[int, Field(ge=1, le=MOST_ITERATIONS)] | None = None
    clusters: Annotated[int, Field(ge=2, le=MOST_CLUSTERS)] | None = None
    clip: Annotated[Decimal, Field(gt=0, le=10**6, max_digits=20)] | None = None
    regularisation: Annotated[Decimal, Field(ge=0, le=10**9, max_digits=20)] = Decimal(0)
    errors: Errors | None = None
    rows_per_unit: Annotated[int, Field(ge=1, le=MOST_ROWS)] | None = None
    privacy: Privacy

    @property
    def regression(self) -> bool:
        return self.model != "kmeans"

    @property
    def steps(self) -> int:
        """Passes over the data that move the parameters."""
        return 1 if self.model == "linear" else self.iterations or {"logistic": 8, "poisson": 10, "kmeans": 6}[self.model]

    @property
    def values(self) -> tuple[Value, ...]:
        return (*self.features, *(() if self.target is None else (self.target,)))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [value.name.casefold() for value in self.values]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise wrong(f"名称 {repeated} 出现多次，特征与目标不得重名", f"{repeated} is named twice: features and target differ in name")
        if self.regression != (self.target is not None):
            raise wrong("回归须给出 target，聚类不得给出", "a regression has a target, k-means has none")
        if self.regression == (self.clusters is not None):
            raise wrong("clusters 只用于 kmeans，且必须给出", "clusters are for kmeans, which needs them")
        if self.model == "linear" and self.iterations is not None:
            raise wrong("线性回归一步求解，没有 iterations", "a linear regression is solved in one step: it has no iterations")
        if not self.regression and (self.regularisation or self.errors is not None or not self.intercept):
            raise wrong("regularisation、errors、intercept 不用于 kmeans", "regularisation, errors and intercept are not for kmeans")
        if self.privacy.pure:
            raise wrong("模型只有高斯噪声，delta 须大于 0", "models have Gaussian noise alone: delta must be above 0")
        return self
