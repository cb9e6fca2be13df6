"""How events change the tables: accounts and charges."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache, partial

from infra.prepared import Writer
from infra.tables import (
    accounts,
    charges,
)
from jobs import events as ev
from jobs.lines import COST, GIVE_BACK, JOINED, RAISE, RESERVE, naming, on_day, set_pace, spend, take
from jobs.projections.table import nothing, projects
from jobs.rows import DoesNotFit, add, move
from policies.quota import Window, period


def period_at(window: Window, at: str) -> str:
    """The day or month of an event."""
    return _period(window, at[:13])


@lru_cache(maxsize=64)
def _period(window: Window, hour: str) -> str:
    return period(window, datetime.fromisoformat(f"{hour}:00:00+00:00"))  # China's midnight is a full hour of UTC


@projects(ev.AccountOpened)
def _account_opened(writer: Writer, recorded: ev.Recorded, event: ev.AccountOpened) -> None:
    zero = {f"{part}_{unit}": 0 for part in ("reserved", "spent") for unit in ("pico_rho", "atto_delta")}
    add(
        writer,
        accounts,
        id=event.account,
        kind=event.account_kind,
        subject=event.subject,
        cap_pico_rho=event.cap.pico_rho,
        cap_atto_delta=event.cap.atto_delta,
        opened_at=recorded.at,
        **zero,
    )


@projects(ev.CapRaised)
def _cap_raised(writer: Writer, _recorded: ev.Recorded, event: ev.CapRaised) -> None:
    if writer.run(RAISE, {"name": event.account, "rho": event.cap.pico_rho, "delta": event.cap.atto_delta}) != 1:
        raise DoesNotFit("accounts", event.account)


@projects(ev.PaceSet)
def _pace_set(writer: Writer, recorded: ev.Recorded, event: ev.PaceSet) -> None:
    cap = None if event.cap is None else (event.cap.pico_rho, event.cap.atto_delta)
    set_pace(writer, event.account, event.window, cap, period_at(event.window, recorded.at))


@projects(ev.ChargeReserved)
def _charge_reserved(writer: Writer, recorded: ev.Recorded, event: ev.ChargeReserved) -> None:
    rho, delta = event.cost.pico_rho, event.cost.atto_delta
    names = sorted(set(event.accounts))
    day = period_at("day", recorded.at)
    row = {"id": event.charge, "job": event.job, "state": "reserved", "pico_rho": rho, "atto_delta": delta, "day": day}
    add(writer, charges, **row, changed_at=recorded.at)
    named = {"charge_": event.charge, **{f"name_{at}": name for at, name in enumerate(names)}}
    if names:
        writer.later(naming(len(names)), named, len(names), partial(DoesNotFit, "accounts", ",".join(names)))
    take(writer, RESERVE, event.charge, rho, delta, day, len(names))
    on_day(writer, event.charge, rho, delta, day)
    writer.later(JOINED, {"key_": event.job, "charge_": event.charge}, None, partial(DoesNotFit, "jobs", event.job))


def give_back(writer: Writer, charge: str, at: str) -> None:
    """No row was read: a charge ends as if it had not been, on every account it names."""
    move(writer, charges, charge, ["reserved"], "released", at)
    pico_rho, atto_delta, day, count = writer.rows(COST, {"charge_": charge})[0]
    take(writer, GIVE_BACK, charge, pico_rho, atto_delta, day, count)
    if day is not None:
        on_day(writer, charge, -pico_rho, -atto_delta, day)


def settle(writer: Writer, charge: str, to: str, at: str) -> None:
    """Rows were read: a charge ends spent, or forfeited, which counts the same."""
    move(writer, charges, charge, ["reading"], to, at)
    spend(writer, charge)


@projects(ev.ChargeReleased)
def _charge_released(writer: Writer, recorded: ev.Recorded, event: ev.ChargeReleased) -> None:
    give_back(writer, event.charge, recorded.at)


projects(ev.CapRaiseProposed)(nothing)
