"""Where budgets are heading, and the house at a glance."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Guarded, Visit, door
from api.problems import not_found
from api.routes.common import Serving, found, problems, roles
from api.routes.register import accounts_under
from api.schemas.base import decimal_text
from api.schemas.outlook import DayCount, DayUsed, FullAccount, Glance, Outlook
from infra.database import reading
from infra.journal.checkpoint import Checkpoint
from jobs import outlook as looking
from policies.loss import PICO, Loss
from policies.quota import period

router = APIRouter(prefix="/v1", tags=["register"], route_class=Guarded)


@router.get(
    "/accounts/{id}/outlook",
    summary="账户逐日支出、消耗速度与预计用尽日 · What an account used by day, how fast, and when it will be used up",
    description="可附带设想的上限，比较用尽日。 · With a cap that is only thought of, to compare.",
    responses=problems(401, 403, 404, 422),
    openapi_extra=roles("account_list"),
)
def outlook(
    id: str,
    services: Serving,
    visit: Annotated[Visit, door("account_list")],
    days: Annotated[int, Query(ge=1, le=3660)] = 90,
    cap_rho: Annotated[Decimal | None, Query(gt=0, le=10**6, max_digits=24, description="设想的上限 · a cap to try")] = None,
) -> Outlook:
    if visit.only is not None and id not in {held.account for held in accounts_under(services, services.register.licences(visit.only))}:
        raise not_found("account")
    now = services.clock()
    with reading(services.register.engine) as connection:
        seen = found(looking.outlook(connection, id, now, days), "account")
    asked = None if cap_rho is None else Loss(int(cap_rho * PICO))
    today = date.fromisoformat(period("day", now))
    used = seen.used.pico_rho - sum(loss.pico_rho for _, loss in seen.days)
    lines = []
    for day, loss in seen.days:
        used += loss.pico_rho
        lines.append(DayUsed(day=day.isoformat(), rho=decimal_text(loss.rho), used=decimal_text(Loss(used).rho)))
    return Outlook(
        account=id,
        cap_rho=decimal_text(seen.cap.rho),
        used_rho=decimal_text(seen.used.rho),
        days=lines,
        rate_rho_a_day=decimal_text(Loss(round(seen.rate)).rho),
        rate_days=min(looking.RATE_DAYS, len(seen.days)),
        exhausted_on=_day(seen.ends),
        asked_cap_rho=None if asked is None else decimal_text(asked.rho),
        asked_exhausted_on=None if asked is None else _day(seen.at_cap(asked, today)),
    )


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


@router.get(
    "/overview",
    summary="总览：协议、作业、发布、应急暂停、日志 · Overview: licences, jobs, releases, freezes, log",
    responses=problems(401, 403),
    openapi_extra=roles("events_read"),
)
def overview(services: Serving, visit: Annotated[Visit, door("events_read")]) -> Glance:
    with reading(services.register.engine) as connection:
        seen = looking.glance(connection, services.clock())
    witnessed = services.register.files.witnessed()
    return Glance(
        licences_in_force=seen.licences_in_force,
        jobs_running=seen.jobs_running,
        releases=seen.releases,
        frozen=seen.frozen,
        log_size=services.register.size,
        cosigned=None if witnessed is None else Checkpoint.peek(witnessed).size,
        fullest=[FullAccount(account=name, share=decimal_text(round(share, 6))) for name, share in seen.fullest],
        by_day=[DayCount(day=day.isoformat(), releases=count) for day, count in seen.by_day],
    )
