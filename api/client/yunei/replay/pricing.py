"""What a tariff says a usage costs: an auditor's own arithmetic, in fractions, from the JSON of the licence's document.

Written apart from the server, as all of the replay is. A line is the difference of two running totals, each rounded half to even at the fen;
shares are by largest remainder, ties to the first name; a period's revenue beyond what is allowed is carried into the next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import isqrt
from typing import Any

Tariff = Mapping[str, Any]
Lines = dict[str, tuple[str, int, int]]  # by item: measure, quantity, fen
COUNTS = {"release": 1, "call": 1, "row": 1, "byte": 1, "compute_second": 10**3, "rho": 10**12, "epsilon": 10**6, "month": 1}
MONTHS = {"month": 1, "quarter": 3, "year": 12}
CHINA = timedelta(hours=8)


def digest_of(tariff: Tariff) -> str:
    body = json.dumps(tariff, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(body.encode()).hexdigest()


def usage_of_release(rows: int, size: int, slot_ms: int, pico_rho: int) -> dict[str, int]:
    private = {"rho": pico_rho, "epsilon": isqrt(2 * pico_rho)}
    return {"release": 1, "call": 1, "row": rows, "byte": size, "compute_second": slot_ms, **private}


def lines_of(tariff: Tariff, usage: Mapping[str, int], scenario: str | None, before: Mapping[str, int]) -> Lines:
    free = is_free(tariff, scenario)
    lines: Lines = {}
    for measure, quantity in usage.items():
        item = next((item for item in tariff["items"] if _applies(item, measure, scenario)), None)
        if item is not None:
            used = before.get(item["name"], 0)
            fen = 0 if free else _cost(item, used + quantity) - _cost(item, used)
            lines[item["name"]] = (measure, quantity, fen)
    return lines


def is_free(tariff: Tariff, scenario: str | None) -> bool:
    return scenario in [each["scenario"] for each in tariff["free"]]


def _applies(item: Mapping[str, Any], measure: str, scenario: str | None) -> bool:
    return item["measure"] == measure and (item["scenarios"] is None or scenario in item["scenarios"])


def _cost(item: Mapping[str, Any], quantity: int) -> int:
    """Fen of a whole period's quantity. `round` of a fraction rounds half to even."""
    units = Fraction(quantity, COUNTS[item["measure"]])
    tiers = item["tiers"] or [{"above": "0", "up_to": None, "price": item["price"]}]
    yuan = Fraction(0)
    for tier in tiers:
        low, high = Fraction(tier["above"]), units if tier["up_to"] is None else min(units, Fraction(tier["up_to"]))
        yuan += max(Fraction(0), high - low) * Fraction(tier["price"]) / item["per"]
    return round(yuan * 100)


def shares_of(tariff: Tariff, fen: int, datasets: Iterable[str]) -> dict[str, int]:
    named = {name.casefold() for name in datasets}
    weights: dict[str, Fraction] = {}
    for each in [each for each in tariff["contributions"] if each["dataset"].casefold() in named] or tariff["contributions"]:
        for body, percent in each["shares"].items():
            weights[body] = weights.get(body, Fraction(0)) + each["weight"] * Fraction(percent)
    return {body: part for body, part in divided(fen, weights).items() if part}


def divided(amount: int, weights: Mapping[str, Fraction | int]) -> dict[str, int]:
    whole = sum(weights.values())
    if not whole:
        return {}
    exact = {name: Fraction(amount * weights[name]) / whole for name in sorted(weights)}
    parts = {name: value.numerator // value.denominator for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: (parts[name] - exact[name], name))[: amount - sum(parts.values())]:
        parts[name] += 1
    return parts


def settled(posted: Mapping[str, int], brought: Mapping[str, int], allowed: int | None) -> dict[str, tuple[int, int]]:
    """By body: payable now, carried on."""
    pool = {name: posted.get(name, 0) + brought.get(name, 0) for name in sorted({*posted, *brought})}
    whole = sum(pool.values())
    payable = divided(whole if allowed is None else min(whole, allowed), pool)
    return {name: (payable.get(name, 0), value - payable.get(name, 0)) for name, value in pool.items()}


def allowed_fen(tariff: Tariff | None) -> int | None:
    return None if tariff is None or tariff["allowed_revenue"] is None else int(Decimal(tariff["allowed_revenue"]) * 100)


# ── periods: months, quarters and years of China ─────────────────────────────────────────────────────────────────────────────────────


def kind_of(period: str) -> str:
    return "year" if len(period) == 4 else "quarter" if "Q" in period else "month"


def period_at(kind: str, at: str) -> str:
    """The period a time of the log lies in."""
    local = datetime.fromisoformat(at) + CHINA
    return _named(kind, (local.year * 12 + local.month - 1) // MONTHS[kind])


def _named(kind: str, number: int) -> str:
    year, month = divmod(number * MONTHS[kind], 12)
    return {"year": f"{year}", "quarter": f"{year}-Q{month // 3 + 1}", "month": f"{year}-{month + 1:02d}"}[kind]


def _number(period: str) -> int:
    year, _, part = period.partition("-")
    if not part:
        return int(year)
    return int(year) * 4 + int(part[1:]) - 1 if part.startswith("Q") else int(year) * 12 + int(part) - 1


def stepped(period: str, by: int) -> str:
    return _named(kind_of(period), _number(period) + by)


def bounds(period: str) -> tuple[str, str]:
    """First instant and first instant after, as times of the log."""
    return _instant(period), _instant(stepped(period, 1))


def _instant(period: str) -> str:
    year, month = divmod(_number(period) * MONTHS[kind_of(period)], 12)
    return text_of(datetime(year, month + 1, 1, tzinfo=UTC) - CHINA)


def text_of(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def months_of(period: str) -> list[str]:
    length = MONTHS[kind_of(period)]
    return [_named("month", _number(period) * length + each) for each in range(length)]
