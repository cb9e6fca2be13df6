"""A small bureau for tests of the register: a clock that ticks, a catalogue of two datasets, an operator with a licence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from infra.settings import Settings
from jobs import acts, ledger
from jobs.events import Cost, JobAdmitted, JobStaged, JobSubmitted, ReleasePublished, question_digest
from jobs.register import Register
from policies.catalogue import Bounds, Column, Dataset, Grade, Share, Snapshot, Title, Unit
from policies.licence import DatasetGrant, Degree, Licence
from policies.loss import Loss
from tests.registers import prepare


class Ticking:
    """A clock that moves one second each time it is read."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def settings_in(home: Path, **values: object) -> Settings:
    return Settings.model_validate({"home": home, "log_origin": "log.example/register", **values})


@contextmanager
def a_register(home: Path, **values: object) -> Iterator[Register]:
    """A register in its home; a new one when there is none."""
    if not values.get("database_url"):
        prepare(home / "register.db")
    register = Register.open(settings_in(home, **values), clock=Ticking())
    try:
        yield register
    finally:
        register.close()


def title(text: str) -> Title:
    return Title(zh=f"{text}（中）", en=text)


def a_snapshot(name: str = "visits", *, version: int = 1, space: str | None = "person", grade: Grade = "general-2") -> Snapshot:
    columns = [
        Column(name="person_id", type="integer", title=title("person"), uses=("join", "distinct")),
        Column(name="city", type="text", title=title("city"), domain=("太原", "大同", "a\u0001b")),
        Column(
            name="day",
            type="date",
            title=title("day"),
            domain=(date(2026, 1, 1), date(2026, 1, 2)),
            low=date(2020, 1, 1),
            high=date(2026, 12, 31),
        ),
        Column(name="big", type="integer", title=title("big"), domain=(-(2**62), 0, 2**60 + 1)),
        Column(name="urgent", type="boolean", title=title("urgent"), domain=(True, False)),
        Column(name="fee", type="decimal", title=title("fee"), low=Decimal("0"), high=Decimal("50000.50"), decimals=2),
    ]
    return Snapshot(
        dataset=Dataset(
            name=name,
            title=title(name),
            registration_no=f"SX-{name}",
            source_body=title("health"),
            acquired_on=date(2026, 1, 1),
            updated_on=date(2026, 2, 1),
            grade=grade,
            share=Share(attribute="unconditional", reason=title("open"), basis="art. 12"),
            unit=Unit(column="person_id", space=space, title=title("person")) if space else None,
            bounds=Bounds(groups_per_unit=4, rows_per_group=3) if space else None,
            approximate_rows=10_000,
            columns=tuple(columns),
        ),
        version=version,
        digest=f"{version:064x}",
    )


def a_licence(
    licence_id: str = "L-1", *, operator: str = "op-1", datasets: tuple[str, ...] = ("visits",), rho: Decimal = Decimal(1)
) -> Licence:
    total = Loss.of(rho, Decimal("1e-6"))
    degree = Degree(pico_rho=total.pico_rho, atto_delta=total.atto_delta)
    return Licence(
        id=licence_id,
        operator=operator,
        title=title("licence"),
        datasets=tuple(DatasetGrant(dataset=name) for name in datasets),
        scenarios=("city-health",),
        per_job=degree,
        total=degree,
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        valid_until=datetime(2027, 1, 1, tzinfo=UTC),
        decision_document="晋数〔2026〕1号",
    )


def furnish(register: Register) -> str:
    """Datasets, an operator with a key, a licence. Returns the key's secret."""
    acts.register_dataset(register, a_snapshot())
    acts.register_dataset(register, a_snapshot("hospitals", space=None))
    secret = acts.issue_key(register, "op-1", "operator", title=title("operator one"))
    acts.grant_licence(register, a_licence(datasets=("visits", "hospitals")))
    return secret


ACCOUNTS = ledger.accounts_of(space="person", datasets=["visits"], licence="L-1", operator="op-1")


def submit(register: Register, job: str, loss: Loss, *, question: str | None = None) -> None:
    """A job, admitted with its charge reserved on every account."""
    question = question or question_digest(f"{len(job):064x}", (job.encode().hex().ljust(64, "0")[:64],))
    with register.transaction() as act:
        act.append(
            JobSubmitted(
                by="op-1", job=job, operator="op-1", licence="L-1", scenario="city-health", request=act.seal(b"select " + job.encode())
            )
        )
        ledger.reserve(act, charge=f"c-{job}", job=job, accounts=ACCOUNTS, loss=loss, by="system")
        act.append(JobAdmitted(by="system", job=job, plan_digest="a" * 64, question=question, cost=Cost.of(loss), slot_ms=50))


def stage(register: Register, job: str, loss: Loss, *, question: str | None = None) -> None:
    """A job whose answer is fixed and paid for, not yet published."""
    submit(register, job, loss, question=question)
    with register.transaction() as act:
        ledger.reading(act, f"c-{job}", by="system")
    with register.transaction() as act:
        ledger.spend(act, f"c-{job}", by="system")
        act.append(JobStaged(by="system", job=job, table_sha256="b" * 64))


def run(register: Register, job: str, loss: Loss, *, question: str | None = None) -> int:
    """The whole life of one release. Returns the index of its publication."""
    stage(register, job, loss, question=question)
    charge = f"c-{job}"
    with register.transaction() as act:
        return act.append(
            ReleasePublished(
                by="system",
                release=f"r-{job}",
                job=job,
                charge=charge,
                operator="op-1",
                licence="L-1",
                question=question or question_digest(f"{len(job):064x}", (job.encode().hex().ljust(64, "0")[:64],)),
                plan_digest="a" * 64,
                record=act.seal(b"columns"),
                table_sha256="b" * 64,
                rows=3,
                bytes=300,
                cost=Cost.of(loss),
                visible_at="2026-11-22T09:00:00.000000Z",
            )
        )
