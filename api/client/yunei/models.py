"""What the server says, as frozen values: exact amounts are `Decimal`, times are aware `datetime`. `data` is the JSON it was read from.

Fields the server may add later are kept in `data` and otherwise ignored; a missing one means that something else than yunei answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Self

from yunei.billing import FeeQuote
from yunei.problem import YuneiProblem, from_response
from yunei.said import Said as Said
from yunei.words import Language, pick

JobState = Literal["running", "held", "returned", "published", "refused", "cancelled", "failed", "rejected"]
Format = Literal["arrow", "parquet", "csv", "json"]
FORMATS: tuple[Format, ...] = ("arrow", "parquet", "csv", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss(Said):
    """A privacy loss: rho and delta are exact; epsilon is the same loss read at `at_delta`, None when delta leaves no room for it."""

    rho: Decimal
    delta: Decimal
    epsilon: Decimal | None
    at_delta: Decimal

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        epsilon = data["epsilon"]
        return cls(
            data=data,
            rho=Decimal(data["rho"]),
            delta=Decimal(data["delta"]),
            epsilon=None if epsilon is None else Decimal(epsilon),
            at_delta=Decimal(data["at_delta"]),
        )

    def __str__(self) -> str:
        if self.epsilon is None:
            return f"ρ = {short(self.rho)}, δ = {short(self.delta)}"
        return f"ε = {short(self.epsilon)} (δ = {short(self.at_delta)})"


def short(number: Decimal) -> str:
    """At most four significant digits; no long tails of zeros.

    >>> short(Decimal("0.000001")), short(Decimal("0.621693")), short(Decimal("3")), short(Decimal("12345"))
    ('1e-6', '0.6217', '3', '12345')
    """
    if number == number.to_integral_value() and abs(number) < 10**6:
        return str(int(number))
    if -5 < number.adjusted() < 6:
        text, exponent = f"{number:.{max(0, 3 - number.adjusted())}f}", ""
    else:
        text, _, power = f"{number:.3e}".partition("e")
        exponent = f"e{int(power)}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + exponent


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(Said):
    """An account of the ledger: lifetime cap, what is used, what is left."""

    id: str
    kind: str
    subject: str
    cap: Loss
    used: Loss
    left: Loss

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        cap, used, left = (Loss.read(data[name]) for name in ("cap", "used", "left"))
        return cls(data=data, id=str(data["id"]), kind=str(data["kind"]), subject=str(data["subject"]), cap=cap, used=used, left=left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote(Said):
    """What a job would cost and how exact it would be; nothing was read or spent. `answered`: the real run is free and known already."""

    price: Loss
    answered: bool
    slot_ms: int
    accounts: tuple[Account, ...]
    explanation: Mapping[str, Any]
    fee: FeeQuote | None

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        return cls(
            data=data,
            price=Loss.read(data["price"]),
            answered=bool(data["answered"]),
            slot_ms=int(data["slot_ms"]),
            accounts=tuple(Account.read(account) for account in data["accounts"]),
            explanation=dict(data["explanation"]),
            fee=_fee_quote(data.get("fee")),
        )


def _fee_quote(data: object) -> FeeQuote | None:
    return None if data is None else FeeQuote.read(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Said):
    """A column of an answer. `half_width_column` names the column that holds the 95 % half-width of this one's values."""

    label: str
    kind: str
    mechanism: str | None
    scale: float | None
    half_width_column: str | None

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        return cls(
            data=data,
            label=str(data["label"]),
            kind=str(data["kind"]),
            mechanism=data.get("mechanism"),
            scale=data.get("scale"),
            half_width_column=data.get("half_width_column"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dummy(Said):
    """The job on invented rows: right columns and types, meaningless values."""

    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Any], ...]

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        columns = tuple(Column.read(column) for column in data["columns"])
        return cls(data=data, columns=columns, rows=tuple(dict(row) for row in data["rows"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Said):
    """A job as its operator sees it. `release` names the release once it is published; `problem` says why there is none."""

    id: str
    state: JobState
    licence: str
    scenario: str
    sql: str
    submitted_at: datetime
    price: Loss | None
    reused: bool
    release: str | None
    problem: YuneiProblem | None = field(compare=False)

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        trouble = data.get("problem")
        price = data.get("price")
        return cls(
            data=data,
            id=str(data["id"]),
            state=data["state"],
            licence=str(data["licence"]),
            scenario=str(data["scenario"]),
            sql=str(data["sql"]),
            submitted_at=datetime.fromisoformat(data["submitted_at"]),
            price=None if price is None else Loss.read(price),
            reused=bool(data.get("reused", False)),
            release=data.get("release"),
            problem=None if trouble is None else from_response(int(trouble.get("status", 0)), trouble, language),
        )

    @property
    def done(self) -> bool:
        return self.state != "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class File(Said):
    """One format of a release's table: its size in bytes and the SHA-256 of those bytes, in hex."""

    format: str
    bytes: int
    sha256: str

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        return cls(data=data, format=str(data["format"]), bytes=int(data["bytes"]), sha256=str(data["sha256"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Said):
    """A table that left the sandbox, and what is known about it. `left` are the accounts of the licence as they are now; `fee` is what was
    charged for it in yuan, None where there is no tariff or it is not yours to see."""

    id: str
    job: str
    licence: str
    scenario: str
    query: str
    columns: tuple[Column, ...]
    rows: int
    thresholded: bool
    price: Loss
    left: tuple[Account, ...]
    files: tuple[File, ...]
    published_at: datetime
    log_index: int
    fee: Decimal | None

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        return cls(
            data=data,
            id=str(data["id"]),
            job=str(data["job"]),
            licence=str(data["licence"]),
            scenario=str(data["scenario"]),
            query=str(data["query"]),
            columns=tuple(Column.read(column) for column in data["columns"]),
            rows=int(data["rows"]),
            thresholded=bool(data["thresholded"]),
            price=Loss.read(data["price"]),
            left=tuple(Account.read(account) for account in data["left"]),
            files=tuple(File.read(file) for file in data["files"]),
            published_at=datetime.fromisoformat(data["published_at"]),
            log_index=int(data["log_index"]),
            fee=None if data.get("fee") is None else Decimal(data["fee"]),
        )

    def file(self, format: Format) -> File | None:
        return next((file for file in self.files if file.format == format), None)


def by_period(accounts: Iterable[Account]) -> list[tuple[Account, int]]:
    """Accounts in their order, of those that differ in their period alone only the fullest, and among how many. Budgets are by period where an
    account of a population or a dataset is called `population:person/month@2026-01`; the fullest is the one with the least left."""
    series: dict[str, list[Account]] = {}
    for account in accounts:
        named, at, _ = account.id.rpartition("@")
        parted = bool(at) and account.id.startswith(("population:", "dataset:"))
        series.setdefault(f"{named}@" if parted else account.id, []).append(account)
    return [(min(held, key=lambda account: account.left.rho), len(held)) for held in series.values()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset(Said):
    """A registered dataset, at its current version. `data["dataset"]` has its whole entry in the catalogue."""

    name: str
    title: str
    version: int
    digest: str
    grade: str
    unit: str | None
    columns: tuple[Mapping[str, Any], ...]

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        entry = data["dataset"]
        unit = entry.get("unit")
        return cls(
            data=data,
            name=str(entry["name"]),
            title=str(entry["title"][language]),
            version=int(data["version"]),
            digest=str(data["digest"]),
            grade=str(entry["grade"]),
            unit=None if unit is None else str(unit["column"]),
            columns=tuple(dict(column) for column in entry["columns"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence(Said):
    """A licence, its state, and its accounts. `data["licence"]` has the whole agreement."""

    id: str
    title: str
    operator: str
    state: str
    datasets: tuple[str, ...]
    scenarios: tuple[str, ...]
    valid_from: datetime
    valid_until: datetime
    accounts: tuple[Account, ...]

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        entry = data["licence"]
        return cls(
            data=data,
            id=str(entry["id"]),
            title=str(entry["title"][language]),
            operator=str(entry["operator"]),
            state=str(data["state"]),
            datasets=tuple(str(grant["dataset"]) for grant in entry["datasets"]),
            scenarios=tuple(str(scenario) for scenario in entry["scenarios"]),
            valid_from=datetime.fromisoformat(entry["valid_from"]),
            valid_until=datetime.fromisoformat(entry["valid_until"]),
            accounts=tuple(Account.read(account) for account in data.get("accounts", ())),
        )


def account_words(account: Account, language: Language) -> str:
    """One line: what an account has left."""
    kind = {
        "population": pick(language, "人群", "population"),
        "dataset": pick(language, "数据集", "dataset"),
        "licence": pick(language, "协议", "licence"),
        "operator": pick(language, "运营单位", "operator"),
    }.get(account.kind, account.kind)
    return pick(language, f"{kind} {account.subject}：剩余 {account.left}", f"{kind} {account.subject}: {account.left} left")
