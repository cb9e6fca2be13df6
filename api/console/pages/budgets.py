"""Privacy budgets: every account, its burn-down and where it is heading, and raising a cap by two people."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from api.console.ask import Refused
from api.console.charts import burn
from api.console.frame import Looking, Page, form_of, go
from api.console.parts import Row, matches, part, sought
from api.later import pages

router = pages("/console/budgets")
DAYS = 90


@router.get("")
async def budgets(page: Looking) -> Response:
    text, every = sought(page.request), (await page.api.get("/v1/accounts"))["accounts"]
    kinds = []
    for kind in ("population", "dataset", "licence", "operator"):
        shown, series = _folded([account for account in every if account["kind"] == kind and matches(text, account["subject"])])
        if shown:
            held = part(page.request, kind, sorted(shown, key=_share, reverse=True))
            there = {account["id"] for account in held.rows}
            kinds.append((kind, held, [(name, periods) for name, periods in series if periods[0]["id"] in there]))
    return page.show("budgets.html.j2", kinds=kinds, text=page.request.query_params.get("text", ""))


def _share(account: Row) -> Decimal:
    """How much of its cap is used."""
    cap = Decimal(account["cap"]["rho"])
    return Decimal(account["used"]["rho"]) / cap if cap else Decimal(0)


def _folded(held: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[tuple[str, list[dict[str, Any]]]]]:
    """Accounts to show: those of no period, and of each series of accounts by period (`person/month@2026-01`) the fullest; and the series, each
    the fullest first."""
    series: dict[str, list[dict[str, Any]]] = {}
    shown: list[dict[str, Any]] = []
    for account in held:
        name, at, _ = account["subject"].rpartition("@")
        if at and account["kind"] in ("population", "dataset"):
            series.setdefault(name, []).append(account)
        else:
            shown.append(account)
    fullest = {name: sorted(each, key=lambda account: Decimal(account["left"]["rho"])) for name, each in series.items()}
    return [*shown, *(each[0] for each in fullest.values())], list(fullest.items())


def _picture(page: Page, seen: dict[str, Any]) -> Any:
    points = [(day["day"], float(day["used"])) for day in seen["days"]]
    rate, cap = float(seen["rate_rho_a_day"]), float(seen["asked_cap_rho"] or seen["cap_rho"])
    ahead: list[tuple[int, float]] = []
    ends = seen["asked_exhausted_on"] if seen["asked_cap_rho"] else seen["exhausted_on"]
    last = date.fromisoformat(points[-1][0])
    days = min((date.fromisoformat(ends) - last).days, 3 * DAYS) if ends else DAYS
    if rate > 0 and days > 0 and seen["rate_days"] >= 7:
        ahead = [(days, points[-1][1] + rate * days)]
    later = date.fromordinal(last.toordinal() + days).isoformat() if ahead else ""
    return burn(points, cap, page.words("预算消耗", "budget used"), ahead, later)


async def _one(page: Page, id: str, *, cap_rho: str = "", status: int = 200, problem: Any = None) -> Response:
    found = await page.api.get("/v1/accounts")
    account = next((each for each in found["accounts"] if each["id"] == id), None)
    try:
        seen = await page.api.get(f"/v1/accounts/{id}/outlook", days=DAYS, cap_rho=cap_rho)
    except Refused as refused:
        if refused.status != 422:
            raise
        problem, status = refused.document, 422
        seen = await page.api.get(f"/v1/accounts/{id}/outlook", days=DAYS)
    proposals = await page.api.maybe(f"/v1/accounts/{id}/proposals") if page.visitor.may("cap_raise") else None
    return page.show(
        "budget.html.j2",
        status=status,
        account=account,
        seen=seen,
        picture=_picture(page, seen),
        proposals=(proposals or {}).get("proposals", []),
        cap_rho=cap_rho,
        problem=problem,
    )


@router.get("/{id:path}")
async def budget(page: Looking, id: str, cap_rho: str = "") -> Response:
    return await _one(page, id, cap_rho=cap_rho)


@router.post("/{id:path}")
async def propose(page: Looking, id: str) -> Response:
    """Propose a higher cap, or confirm somebody else's proposal."""
    form = await form_of(page.request)
    try:
        if form.get("confirm"):
            await page.api.post(f"/v1/accounts/{id}/proposals/{form['confirm']}/confirm")
        else:
            cap = {"rho": form.get("rho", ""), "delta": form.get("delta", "") or "0"}
            await page.api.post(f"/v1/accounts/{id}/proposals", {"cap": cap, "reason": form.get("reason", "")})
    except Refused as refused:
        return await _one(page, id, status=refused.status, problem=refused.of_the_form())
    return go(f"/console/budgets/{id}")
