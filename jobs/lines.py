"""The statements that move losses: a charge, its lines (one for each account it names), and what they take from the accounts."""

from __future__ import annotations

from functools import cache

from sqlalchemy import BigInteger, String, bindparam, func, insert, or_, select, update

from infra.prepared import Prepared, Writer
from infra.tables import accounts, charge_accounts, charges, jobs
from jobs.rows import DoesNotFit

RHO, DELTA = bindparam("rho", type_=BigInteger), bindparam("delta", type_=BigInteger)
_name = bindparam("name", type_=String)
RAISE = Prepared(
    update(accounts)
    .where(accounts.c.id == _name, accounts.c.cap_pico_rho <= RHO, accounts.c.cap_atto_delta <= DELTA)
    .values(cap_pico_rho=RHO, cap_atto_delta=DELTA)
)
_charge = bindparam("charge_", type_=String)
_charged = accounts.c.id.in_(select(charge_accounts.c.account).where(charge_accounts.c.charge == _charge))
RESERVE = Prepared(
    update(accounts)
    .where(
        _charged,
        accounts.c.spent_pico_rho + accounts.c.reserved_pico_rho + RHO <= accounts.c.cap_pico_rho,
        accounts.c.spent_atto_delta + accounts.c.reserved_atto_delta + DELTA <= accounts.c.cap_atto_delta,
    )
    .values(reserved_pico_rho=accounts.c.reserved_pico_rho + RHO, reserved_atto_delta=accounts.c.reserved_atto_delta + DELTA)
)
_less = (
    update(accounts)
    .where(_charged, accounts.c.reserved_pico_rho >= RHO, accounts.c.reserved_atto_delta >= DELTA)
    .values(reserved_pico_rho=accounts.c.reserved_pico_rho - RHO, reserved_atto_delta=accounts.c.reserved_atto_delta - DELTA)
)
GIVE_BACK = Prepared(_less)
SPEND = Prepared(_less.values(spent_pico_rho=accounts.c.spent_pico_rho + RHO, spent_atto_delta=accounts.c.spent_atto_delta + DELTA))
JOINED = Prepared(update(jobs).where(jobs.c.id == bindparam("key_")).values(charge=bindparam("charge_")))
STATE = Prepared(select(charges.c.state).where(charges.c.id == bindparam("key_")))
COST = Prepared(
    select(charges.c.pico_rho, charges.c.atto_delta, func.count(charge_accounts.c.account))
    .outerjoin(charge_accounts, charge_accounts.c.charge == charges.c.id)
    .where(charges.c.id == _charge)
    .group_by(charges.c.pico_rho, charges.c.atto_delta)
)


@cache
def naming(count: int) -> Prepared:
    """The lines of a charge: one for each of `count` accounts, as far as they were opened."""
    names = [accounts.c.id == bindparam(f"name_{at}", type_=String) for at in range(count)]
    return Prepared(insert(charge_accounts).from_select(["charge", "account"], select(_charge, accounts.c.id).where(or_(*names))))


def take(writer: Writer, statement: Prepared, charge: str, pico_rho: int, atto_delta: int, count: int) -> None:
    """One conditional update over all accounts of a charge: every row, or the work is undone. Nobody waits for anybody's rows here, whatever
    the order: writers already took turns."""
    if count and writer.run(statement, {"rho": pico_rho, "delta": atto_delta, "charge_": charge}) != count:
        raise DoesNotFit("accounts", charge)
