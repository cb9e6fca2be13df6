"""The ledger: lifetime caps on privacy loss that never reset, windows that bound its pace, charges that fit every account or touch none.

A charge goes reserved → reading → spent; reserved → released while no row has been read; reading → forfeited, which counts as spent.
Losses are zCDP in whole pico-rho and atto-delta, so sums are exact in any order. Checks happen three times: here with words for people,
in the projection's conditional update, and in a CHECK constraint of the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Select, String, bindparam, select

from infra.database import reading as open_reading
from infra.prepared import Prepared
from infra.tables import CAP_LIMIT, accounts, charges
from jobs.events import ChargeReleased, ChargeReserved, Cost, JobForfeited, JobReading, JobSpent
from jobs.register import Act, Register
from policies.catalogue import Window
from policies.loss import Loss
from policies.problem import Problem, declare, vocabulary
from policies.quota import WINDOWS, period, renewal
from policies.quota import Window as PaceWindow

SHOWN_AT_DELTA = Decimal("1e-6")  # the other delta: what is left is shown as an epsilon here, whatever an account's own

MOST_ACCOUNTS = 1024  # of one charge
MOST_BYTES = 60_000  # of their names: an entry has 65,535

LEDGER_EXHAUSTED = declare(
    "ledger_exhausted",
    zh=(
        "隐私预算不足",
        "账户 {account} 还剩 ρ={rho_left}、δ={delta_left}（按 δ={shown_at} 折合 ε≈{epsilon_left}），本次需要 "
        "ρ={rho_needed}、δ={delta_needed}。",
        "请减小本次的 ε（或 ρ），或合并查询；预算是终身总量，不会自动恢复，确需增加由数据主管部门两人办理。",
    ),
    en=(
        "Not enough privacy budget",
        "Account {account} has rho {rho_left}, delta {delta_left} left (epsilon about {epsilon_left} at delta {shown_at}); this needs rho "
        "{rho_needed}, delta {delta_needed}.",
        "Ask for a smaller epsilon (or rho), or combine questions. The budget is a lifetime total and is not renewed; raising it "
        "takes two people of the bureau.",
    ),
)
LEDGER_PACE = declare(
    "ledger_pace",
    zh=(
        "超出{window_zh}隐私预算支出上限",
        "账户 {account} {window_zh}还可支出 ρ={rho_left}、δ={delta_left}，本次需要 ρ={rho_needed}、δ={delta_needed}。",
        "请于 {retry_at} 之后再提交，或减小本次的 ε（或 ρ）；每日、每月的支出上限见协议与数据目录。",
    ),
    en=(
        "Over the privacy budget for this {window_en}",
        "Account {account} may spend rho {rho_left}, delta {delta_left} more this {window_en}; this needs rho {rho_needed}, delta "
        "{delta_needed}.",
        "Submit it after {retry_at}, or ask for a smaller epsilon (or rho). The licence and the catalogue state the daily and monthly limits.",
    ),
)
WINDOW_WORDS: dict[PaceWindow, tuple[str, str]] = {"day": ("本日", "day"), "month": ("本月", "month")}
LEDGER_PERIODS = declare(
    "ledger_periods",
    zh=(
        "涉及的期过多",
        "作业读取 {periods} 期，须记 {accounts} 个账户，一笔扣减记不下。",
        "请以分期列的条件缩小范围（如 WHERE day >= DATE '2026-01-01'），或少连接几个数据集。",
    ),
    en=(
        "Too many periods",
        "The job reads {periods} periods and would charge {accounts} accounts, more than one charge can hold.",
        "Restrict the block column (such as WHERE day >= DATE '2026-01-01'), or join fewer datasets.",
    ),
)
LEDGER_ACCOUNT_UNKNOWN = declare(
    "ledger_account_unknown",
    zh=("没有这个预算账户", "账户 {account} 未开立。", "数据集登记、协议授予时自动开户；请核对数据集和协议。"),
    en=(
        "No such account",
        "Account {account} was never opened.",
        "Accounts are opened when a dataset is registered or a licence granted: check the dataset and the licence.",
    ),
)
LEDGER_CHARGE_EXISTS = declare(
    "ledger_charge_exists",
    zh=("该笔扣减已登记", "扣减 {charge} 已存在，每笔只登记一次。", "无需重复提交；请查询原作业的状态。"),
    en=(
        "This charge is already recorded",
        "Charge {charge} exists; each charge is recorded once.",
        "There is no need to repeat it: check the state of the original job.",
    ),
)
vocabulary(
    "charge_state",
    {
        "absent": ("不存在", "absent"),
        "reserved": ("已预留", "reserved"),
        "reading": ("正在读取", "reading"),
        "spent": ("已支出", "spent"),
        "released": ("已退还", "given back"),
        "forfeited": ("已作废", "forfeited"),
    },
)
LEDGER_CHARGE_STATE = declare(
    "ledger_charge_state",
    zh=(
        "该笔扣减的状态不允许此操作",
        "扣减 {charge} 的状态为{state:charge_state}，此操作需要{needed:charge_state}。",
        "请刷新作业状态后再试；读取数据之后预算不退。",
    ),
    en=(
        "The state of the charge does not allow this",
        "Charge {charge} is {state:charge_state}; this needs {needed:charge_state}.",
        "Check the job's state again; once rows have been read, the budget is not given back.",
    ),
)


_CHARGE = Prepared(select(charges.c.job, charges.c.state).where(charges.c.id == bindparam("charge_")))


def population_account(space: str, period: str = "") -> str:
    """One per unit space: everything ever learnt about its people. Case-folded, so that spelling cannot double a person's budget. With budgets
    by period, one for each: everything ever learnt about its units of that period (docs/proofs/blocks.md)."""
    return f"population:{space.casefold()}{_at(period)}"


def dataset_account(dataset: str, period: str = "") -> str:
    return f"dataset:{dataset.casefold()}{_at(period)}"


def _at(period: str) -> str:
    return f"@{period}" if period else ""


def licence_account(licence: str) -> str:
    return f"licence:{licence}"


def operator_account(operator: str, dataset: str) -> str:
    return f"operator:{operator}@{dataset.casefold()}"


def accounts_of(
    *, space: str, datasets: Iterable[str], licence: str, operator: str, windows: Mapping[str, Iterable[Window | None]] | None = None
) -> tuple[str, ...]:
    """Every account a job is charged to. `datasets` are the private ones it reads; public tables cost nothing. `windows`: of which periods it
    reads each, where budgets are by period: each of them pays the whole loss, whichever part of the job reads it."""
    names = sorted({dataset.casefold() for dataset in datasets})
    found = {licence_account(licence), *(operator_account(operator, name) for name in names)}
    for name in names:
        for window in (windows or {}).get(name, (None,)):
            for label in ("",) if window is None else window.labels:
                found |= {population_account(space, label), dataset_account(name, label)}
    if len(found) > MOST_ACCOUNTS or sum(len(name.encode()) + 3 for name in found) > MOST_BYTES:
        periods = {label for each in (windows or {}).values() for window in each if window is not None for label in window.labels}
        raise LEDGER_PERIODS(periods=len(periods), accounts=len(found))
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class Windowed:
    """The pace of an account: at most `cap` in one day or month; `used` is of `period`, and nothing of it counts in another."""

    window: PaceWindow
    cap: Loss
    period: str
    used: Loss

    def left(self, now: datetime) -> Loss:
        """What may still be charged in the day or month of `now`; never below nothing, should the pace have been lowered since."""
        if self.period != period(self.window, now):
            return self.cap
        return Loss(max(0, self.cap.pico_rho - self.used.pico_rho), max(0, self.cap.atto_delta - self.used.atto_delta))


@dataclass(frozen=True, slots=True)
class Balance:
    """One account. cap = spent + reserved + left, exactly."""

    account: str
    kind: str
    subject: str
    cap: Loss
    reserved: Loss
    spent: Loss
    windows: tuple[Windowed, ...] = ()

    @property
    def left(self) -> Loss:
        used = self.reserved + self.spent
        return Loss(self.cap.pico_rho - used.pico_rho, self.cap.atto_delta - used.atto_delta)


def _balance(row: Any) -> Balance:
    cap, reserved, spent = (Loss(getattr(row, f"{part}_pico_rho"), getattr(row, f"{part}_atto_delta")) for part in ("cap", "reserved", "spent"))
    return Balance(row.id, row.kind, row.subject, cap, reserved, spent, tuple(_windows(row)))


def _windows(row: Any) -> Iterator[Windowed]:
    for window in WINDOWS:
        values = [getattr(row, f"{window}_{part}") for part in ("cap_pico_rho", "cap_atto_delta", "used_pico_rho", "used_atto_delta")]
        if values[0] is not None:
            yield Windowed(window, Loss(*values[:2]), getattr(row, f"{window}_period"), Loss(*values[2:]))


def balances(source: Register | Connection, names: Iterable[str] | None = None) -> list[Balance]:
    """Accounts by id, in bytewise order, or all; unknown ids are left out."""
    query: Select[tuple[object, ...]] = select(accounts)
    if names is not None:
        query = query.where(accounts.c.id.in_(sorted(set(names))))
    if isinstance(source, Connection):
        return sorted((_balance(row) for row in source.execute(query)), key=lambda balance: balance.account)
    with open_reading(source.engine) as connection:
        return balances(connection, names)


def require_room(source: Register | Connection, names: Iterable[str], loss: Loss, now: datetime) -> None:
    """Raise what `reserve` would raise at `now`, touching nothing: what a free check shows."""
    wanted = sorted(set(names))
    _require({balance.account: balance for balance in balances(source, wanted)}, wanted, loss, now)


@cache
def _room(count: int) -> Prepared:
    """The rows of `count` accounts."""
    return Prepared(select(accounts).where(accounts.c.id.in_([bindparam(f"name_{at}", type_=String) for at in range(count)])))


def _of_row(values: tuple[object, ...]) -> Balance:
    return _balance(SimpleNamespace(**dict(zip(accounts.c.keys(), values, strict=True))))


def _require(found: Mapping[str, Balance], wanted: Iterable[str], loss: Loss, now: datetime) -> None:
    for name in wanted:
        if name not in found:
            raise LEDGER_ACCOUNT_UNKNOWN(account=name)
    refusals = tuple(
        LEDGER_EXHAUSTED(
            account=name,
            rho_left=plain(found[name].left.rho),
            delta_left=plain(found[name].left.delta),
            epsilon_left=_epsilon(found[name].left),
            shown_at=SHOWN_AT_DELTA,
            rho_needed=plain(loss.rho),
            delta_needed=plain(loss.delta),
        )
        for name in wanted
        if not found[name].left.covers(loss)
    )
    refusals += tuple(_too_fast(found[name], windowed, loss, now) for name in wanted for windowed in _exceeded(found[name], loss, now))
    if refusals:
        raise refusals[0].with_parts(refusals if len(refusals) > 1 else ())


def _exceeded(balance: Balance, loss: Loss, now: datetime) -> list[Windowed]:
    return [windowed for windowed in balance.windows if balance.left.covers(loss) and not windowed.left(now).covers(loss)]


def _too_fast(balance: Balance, windowed: Windowed, loss: Loss, now: datetime) -> Problem:
    window_zh, window_en = WINDOW_WORDS[windowed.window]
    left = windowed.left(now)
    return LEDGER_PACE(
        account=balance.account,
        window_zh=window_zh,
        window_en=window_en,
        rho_left=plain(left.rho),
        delta_left=plain(left.delta),
        rho_needed=plain(loss.rho),
        delta_needed=plain(loss.delta),
        retry_at=renewal(windowed.window, now).isoformat(),
    )


def reserve(act: Act, *, charge: str, job: str, accounts: Iterable[str], loss: Loss, by: str, reads: str | None = None) -> int:
    """Take `loss` from every account, or raise LEDGER_EXHAUSTED or, where only a window is full, LEDGER_PACE (a part per account
    without room) and touch none; returns the entry's index. `charge` is the idempotency key: a second reservation under it raises
    LEDGER_CHARGE_EXISTS. After a refusal the transaction may go on, for instance to append the refusal.

    `reads`: who reads the first row right after this transaction; the charge is `reading` by its end, as `reading` would have it."""
    names = tuple(sorted(set(accounts)))
    room = _room(len(names)), {f"name_{at}": name for at, name in enumerate(names)}
    made, held = act.writer.several((_CHARGE, {"charge_": charge}), room)
    if made:
        raise LEDGER_CHARGE_EXISTS(charge=charge)
    _require({row[0]: _of_row(row) for row in held}, names, loss, datetime.fromisoformat(act.at))
    if loss.pico_rho > CAP_LIMIT:  # not reachable past the check above: no cap is higher
        raise ValueError("a loss beyond every cap")
    reserved = act.append(ChargeReserved(by=by, charge=charge, job=job, accounts=names, cost=Cost.of(loss)))
    if reads is not None:
        act.append(JobReading(by=reads, job=job, charge=charge))
    return reserved


def reading(act: Act, charge: str, *, by: str) -> int:
    """The first row is about to be read: from now on the loss is not given back. Moves charge and job to reading."""
    return act.append(JobReading(by=by, job=_job(act, charge, "reserved"), charge=charge))


def spend(act: Act, charge: str, *, by: str) -> int:
    """All partials are in. Moves charge and job to spent."""
    return act.append(JobSpent(by=by, job=_job(act, charge, "reading"), charge=charge))


def release(act: Act, charge: str, *, by: str) -> int:
    """Give a reservation back: no row was read."""
    _job(act, charge, "reserved")
    return act.append(ChargeReleased(by=by, charge=charge))


def forfeit(act: Act, charge: str, *, by: str) -> int:
    """The job was given up after reading began: its loss counts as spent. Moves charge and job to forfeited."""
    return act.append(JobForfeited(by=by, job=_job(act, charge, "reading", "spent"), charge=charge))


def _job(act: Act, charge: str, *states: str) -> str:
    row = act.writer.row(_CHARGE, {"charge_": charge})
    if row is None or row[1] not in states:
        raise LEDGER_CHARGE_STATE(charge=charge, state="absent" if row is None else row[1], needed="/".join(states))
    return str(row[0])


def _epsilon(left: Loss) -> str:
    value = Loss(left.pico_rho).epsilon(SHOWN_AT_DELTA)
    return "0" if value is None or not left.pico_rho else plain(value)


def plain(value: Decimal) -> str:
    """Digits only, no exponent, no trailing zeros.

    >>> plain(Decimal("1.50E-7"))
    '0.00000015'
    """
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
