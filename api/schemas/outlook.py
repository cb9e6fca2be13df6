"""Where budgets are heading, and the house at a glance."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from api.schemas.base import Closed, example


class DayUsed(Closed):
    day: str
    rho: str = Field(description="taken on this day of China")
    used: str = Field(description="taken in all by its end")


class Outlook(Closed):
    """What an account used by day, how fast, and when its cap is reached at that rate. From plans and charges alone: nothing here was learnt
    from rows."""

    model_config = ConfigDict(
        json_schema_extra=example(
            account="dataset:visits",
            cap_rho="1",
            used_rho="0.034",
            days=[{"day": "2026-11-22", "rho": "0.034", "used": "0.034"}],
            rate_rho_a_day="0.0012",
            rate_days=28,
            exhausted_on="2029-02-01",
            asked_cap_rho=None,
            asked_exhausted_on=None,
        )
    )

    account: str
    cap_rho: str
    used_rho: str
    days: list[DayUsed] = Field(description="oldest first, none left out")
    rate_rho_a_day: str = Field(description="over the last `rate_days`")
    rate_days: int
    exhausted_on: str | None = Field(description="null: not within a hundred years at this rate, or too young an account to say")
    asked_cap_rho: str | None
    asked_exhausted_on: str | None = Field(description="the same if the cap were `asked_cap_rho`")


class FullAccount(Closed):
    account: str
    share: str = Field(description="of its cap that is used, 0 to 1")


class DayCount(Closed):
    day: str
    releases: int


class Glance(Closed):
    """The house today, in counts that the register holds."""

    model_config = ConfigDict(
        json_schema_extra=example(
            licences_in_force=3,
            jobs_running=1,
            releases=812,
            frozen=0,
            log_size=9120,
            cosigned=9118,
            fullest=[{"account": "dataset:visits", "share": "0.42"}],
            by_day=[{"day": "2026-11-22", "releases": 31}],
        )
    )

    licences_in_force: int
    jobs_running: int
    releases: int
    frozen: int = Field(description="freezes that stand")
    log_size: int
    cosigned: int | None = Field(description="entries that a witness vouched for; null without one")
    fullest: list[FullAccount]
    by_day: list[DayCount]
