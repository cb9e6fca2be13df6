"""Products renewed by schedule, over HTTP."""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from api.schemas.base import LOSS, Closed, LossView, example
from api.schemas.jobs import JOB, AnyJob
from api.schemas.register import AccountView
from jobs.states import Shown
from policies.catalogue import BlockPeriod
from policies.product.running import MOST_PERIODS, Way
from policies.reasons import wrong

_RUNNING = {"first": "2026-01-01", "periods": 24, "way": "auto"}
_COSTS = {
    "price": LOSS, "charges": 24, "charged": LOSS, "in_all": LOSS, "half_widths": [{"column": "n", "largest": 40.0, "mean": 29.5}],
}  # fmt: skip
_PLAN = {"dataset": "visits", "step": "month", "first": "2026-01-01", "before": "2028-01-01", "periods": 24}


class RunningAsked(Closed):
    """Running totals: of all periods of the dataset from the day `first` on, one more each time a period is over. `way` "tree": each period is
    asked about with few others, and totals are added up; "anew": all periods so far are asked about each time; "auto": the cheaper one."""

    model_config = ConfigDict(json_schema_extra=example(**_RUNNING))

    first: date = Field(description="第一期的第一天 · the day on which the first period begins")
    periods: int = Field(ge=1, le=MOST_PERIODS, description="期数，即发布次数 · how many periods, and releases")
    way: Literal["auto", "tree", "anew"] = "auto"


class ScheduleAsked(Closed):
    """`job` as it will be submitted, with its own price each time: on each new state of the data it reads, at most `releases_at_most` times; or
    with `running`, of each period of that data when it is over."""

    model_config = ConfigDict(json_schema_extra=example(job=JOB, releases_at_most=12))

    job: AnyJob
    releases_at_most: int | None = Field(default=None, ge=1, le=10_000)
    running: RunningAsked | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.releases_at_most is None) == (self.running is None):
            raise wrong("releases_at_most 与 running 须给出其一", "give one of releases_at_most and running")
        return self


class RunningCheck(Closed):
    """What a running total would cost."""

    model_config = ConfigDict(json_schema_extra=example(job=JOB, running=_RUNNING))

    job: AnyJob
    running: RunningAsked


class Continued(Closed):
    """`periods`: of all, those that are done included."""

    model_config = ConfigDict(json_schema_extra=example(periods=36))

    periods: int = Field(ge=1, le=MOST_PERIODS)


class ErrorView(Closed):
    """95 % half-widths of a column over the plan's totals, in its own unit."""

    column: str
    largest: float
    mean: float


class WayView(Closed):
    """One way to the totals: `price` of each release; `charges` how often the most charged period is charged, `charged` what that comes to.
    `in_all`: what all releases cost, which the accounts of licence and operator are charged."""

    way: Way
    price: LossView
    charges: int
    charged: LossView
    in_all: LossView
    half_widths: list[ErrorView]


class RunningPlanView(Closed):
    """`before`: the day after the last period."""

    dataset: str
    step: BlockPeriod
    first: date
    before: date
    periods: int


class RunningQuote(Closed):
    """What running totals would cost and how exact they would be: by the tree, anew at the same price, and anew at the price that allows the
    tree's largest error. `cheaper` compares the first and the last by `charged`; `chosen` is what would be set. Nothing was read, spent or
    logged. `accounts`: those of the first release."""

    model_config = ConfigDict(
        json_schema_extra=example(
            running=_PLAN, chosen="tree", cheaper="tree",
            tree={"way": "tree", **_COSTS, "charges": 5}, anew={"way": "anew", **_COSTS}, anew_at_equal_error={"way": "anew", **_COSTS},
            accounts=[],
        )
    )  # fmt: skip

    running: RunningPlanView
    chosen: Way
    cheaper: Way
    tree: WayView
    anew: WayView
    anew_at_equal_error: WayView
    accounts: list[AccountView]


class RunView(Closed):
    """`period`: of a running total, the one at whose end it was made, from 1."""

    job: str
    state: Shown
    release: str | None
    added: bool
    period: int | None = None


class RunningView(RunningPlanView):
    """`after`: the schedule whose first `done` releases serve this one too."""

    way: Way
    after: str | None
    done: int


class ScheduleView(Closed):
    """`reason` why it was stopped: used_up, stopped, or a problem code. `runs` of a running total: those of all periods, the earlier ones of
    another schedule too."""

    id: str
    product: str
    operator: str
    licence: str
    state: Literal["active", "stopped"]
    reason: str | None
    releases_at_most: int
    set_at: str
    changed_at: str
    running: RunningView | None = None
    runs: list[RunView]


class ScheduleList(Closed):
    schedules: list[ScheduleView]
