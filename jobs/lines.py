"""The statements that move losses: a charge, its lines (one for each account it names), and what they take from the accounts."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, String, bindparam, case, cast, func, insert, literal_column, or_, select, update

from infra.prepared import Prepared, Writer, adding
from infra.tables import account_days, accounts, charge_accounts, charges, jobs
from jobs.rows import DoesNotFit
from policies.quota import Window

RHO, DELTA = bindparam("rho", type_=BigInteger), bindparam("delta", type_=BigInteger)
_name = bindparam("name", type_=String)
RAISE = Prepared(
    update(accounts)
    .where(accounts.c.id == _name, accounts.c.cap_pico_rho <= RHO, accounts.c.cap_atto_delta <= DELTA)
    .values(cap_pico_rho=RHO, cap_atto_delta=DELTA)
)
_charge = bindparam("charge_", type_=String)
_charged = accounts.c.id.in_(select(charge_accounts.c.account).where(charge_accounts.c.charge == _charge))
_day, _month = bindparam("day", type_=String), bindparam("month", type_=String)
_PERIODS = {"day": _day, "month": _month}
_UNITS = {"pico_rho": RHO, "atto_delta": DELTA}


def _used(window: str, unit: str) -> ColumnElement[int]:
    """What the account took in the period at hand; of an earlier one nothing counts."""
    return case((accounts.c[f"{window}_period"] == _PERIODS[window], accounts.c[f"{window}_used_{unit}"]), else_=literal_column("0"))


def _keeping_pace() -> dict[Any, Any]:
    """The windows of an account after a charge; NULL stays NULL where there is none."""
    values: dict[Any, Any] = {}
    for window, now in _PERIODS.items():
        values[accounts.c[f"{window}_period"]] = case((accounts.c[f"{window}_cap_pico_rho"].is_(None), None), else_=now)
        for unit, taken in _UNITS.items():
            values[accounts.c[f"{window}_used_{unit}"]] = case(
                (accounts.c[f"{window}_cap_{unit}"].is_(None), None), else_=_used(window, unit) + taken
            )
    return values


RESERVE = Prepared(
    update(accounts)
    .where(
        _charged,
        accounts.c.spent_pico_rho + accounts.c.reserved_pico_rho + RHO <= accounts.c.cap_pico_rho,
        accounts.c.spent_atto_delta + accounts.c.reserved_atto_delta + DELTA <= accounts.c.cap_atto_delta,
        *(
            or_(accounts.c[f"{window}_cap_{unit}"].is_(None), _used(window, unit) + taken <= accounts.c[f"{window}_cap_{unit}"])
            for window in _PERIODS
            for unit, taken in _UNITS.items()
        ),
    )
    .values(
        {
            accounts.c.reserved_pico_rho: accounts.c.reserved_pico_rho + RHO,
            accounts.c.reserved_atto_delta: accounts.c.reserved_atto_delta + DELTA,
            **_keeping_pace(),
        }
    )
)
_less = (
    update(accounts)
    .where(_charged, accounts.c.reserved_pico_rho >= RHO, accounts.c.reserved_atto_delta >= DELTA)
    .values(reserved_pico_rho=accounts.c.reserved_pico_rho - RHO, reserved_atto_delta=accounts.c.reserved_atto_delta - DELTA)
)
GIVE_BACK = Prepared(  # to its window too, unless that is over
    _less.values(
        {
            accounts.c[f"{window}_used_{unit}"]: case(
                (accounts.c[f"{window}_period"] == now, accounts.c[f"{window}_used_{unit}"] - taken), else_=accounts.c[f"{window}_used_{unit}"]
            )
            for window, now in _PERIODS.items()
            for unit, taken in _UNITS.items()
        }
    )
)
_SPEND = Prepared(  # what would leave an account with less than nothing reserved breaks the table's own constraint
    update(accounts)
    .where(charges.c.id == _charge, charge_accounts.c.charge == charges.c.id, accounts.c.id == charge_accounts.c.account)
    .values(
        {
            **{accounts.c[f"reserved_{unit}"]: accounts.c[f"reserved_{unit}"] - charges.c[unit] for unit in _UNITS},
            **{accounts.c[f"spent_{unit}"]: accounts.c[f"spent_{unit}"] + charges.c[unit] for unit in _UNITS},
        }
    )
)
JOINED = Prepared(update(jobs).where(jobs.c.id == bindparam("key_")).values(charge=bindparam("charge_")))
STATE = Prepared(select(charges.c.state).where(charges.c.id == bindparam("key_")))
COST = Prepared(
    select(charges.c.pico_rho, charges.c.atto_delta, charges.c.day, func.count(charge_accounts.c.account))
    .outerjoin(charge_accounts, charge_accounts.c.charge == charges.c.id)
    .where(charges.c.id == _charge)
    .group_by(charges.c.pico_rho, charges.c.atto_delta, charges.c.day)
)


@cache
def naming(count: int) -> Prepared:
    """The lines of a charge: one for each of `count` accounts, as far as they were opened."""
    names = [bindparam(f"name_{at}", type_=String) for at in range(count)]
    return Prepared(insert(charge_accounts).from_select(["charge", "account"], select(_charge, accounts.c.id).where(accounts.c.id.in_(names))))


def take(writer: Writer, statement: Prepared, charge: str, pico_rho: int, atto_delta: int, day: str | None, count: int) -> None:
    """One conditional update over all accounts of a charge: every row, or the work is undone. `day` is the one it was reserved on. Nobody
    waits for anybody's rows here, whatever the order: writers already took turns."""
    values = {"rho": pico_rho, "delta": atto_delta, "charge_": charge, "day": day, "month": day and day[:7]}
    if count:
        writer.later(statement, values, count, partial(DoesNotFit, "accounts", charge))


def spend(writer: Writer, charge: str) -> None:
    """What the charge reserved is spent, on every account it names."""
    writer.later(_SPEND, {"charge_": charge}, None, partial(DoesNotFit, "accounts", charge))


_ON_DAY = adding(
    account_days,
    select(charge_accounts.c.account, _day, RHO, DELTA).where(charge_accounts.c.charge == _charge),
    ["pico_rho", "atto_delta"],
)


def on_day(writer: Writer, charge: str, pico_rho: int, atto_delta: int, day: str) -> None:
    """Add to what each account of the charge took on a day; less than nothing where it is given back."""
    values = {"charge_": charge, "day": day, "rho": pico_rho, "delta": atto_delta}
    writer.later(_ON_DAY, values, None, partial(DoesNotFit, "account_days", charge))


@cache
def pace_of(window: Window) -> tuple[Prepared, Prepared]:
    """What an account took in the present period, by its charges; and the statement that sets its window."""
    day = charges.c.day if window == "day" else func.substr(charges.c.day, literal_column("1"), literal_column("7"))
    rho, delta = (cast(func.coalesce(func.sum(charges.c[unit]), literal_column("0")), BigInteger) for unit in _UNITS)
    taken = (
        select(rho, delta)
        .join(charge_accounts, charge_accounts.c.charge == charges.c.id)
        .where(charge_accounts.c.account == _name, day == bindparam("period", type_=String), charges.c.state != literal_column("'released'"))
    )
    names = (f"{window}_cap_pico_rho", f"{window}_cap_atto_delta", f"{window}_period", f"{window}_used_pico_rho", f"{window}_used_atto_delta")
    new = {accounts.c[name]: bindparam(f"new_{name}", type_=accounts.c[name].type) for name in names}
    return Prepared(taken), Prepared(update(accounts).where(accounts.c.id == _name).values(new))


def set_pace(writer: Writer, account: str, window: Window, cap: tuple[int, int] | None, period: str) -> None:
    """Bound the account's loss in a window from now on, or no longer. DoesNotFit for an account that was never opened."""
    taken, statement = pace_of(window)
    used = writer.rows(taken, {"name": account, "period": period})[0] if cap else (None, None)
    values = {
        **dict(zip((f"new_{window}_cap_{unit}" for unit in _UNITS), cap or (None, None), strict=True)),
        f"new_{window}_period": period if cap else None,
        **dict(zip((f"new_{window}_used_{unit}" for unit in _UNITS), used, strict=True)),
    }
    if writer.run(statement, {"name": account, **values}) != 1:
        raise DoesNotFit("accounts", account)
