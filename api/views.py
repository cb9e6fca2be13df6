"""From what the register holds to what is shown over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast

from api.fee_views import fee_quote_view, yuan
from api.problems import document
from api.schemas import (
    AccountView,
    BatchEntry,
    BatchQuote,
    ColumnView,
    DatasetView,
    EventView,
    FileView,
    JobView,
    LicenceView,
    LossView,
    PaceView,
    PaperView,
    PeriodsView,
    ProblemView,
    Quote,
    ReleaseView,
    SourceView,
    SpendView,
    decimal_text,
)
from jobs.batch import Entry
from jobs.directory import LicenceRecord
from jobs.events import Recorded
from jobs.ledger import SHOWN_AT_DELTA, Balance
from jobs.lookup import JobSeen, ReleaseSeen
from jobs.office import JOB_CANCELLED, JOB_OUTDATED, JOB_STOPPED, JOB_WITHHELD
from jobs.quote import Quoted
from jobs.statements import FeeSeen
from policies.catalogue import Snapshot
from policies.loss import Loss
from policies.problem import Kind, Language
from sandbox.finish.finish import Released
from sandbox.raw.failure import JOB_FAILED

# how a job that published nothing ended; a refusal between admission and the first row is one kind, whichever rule it was
_ENDS: dict[str, Kind] = {kind.code: kind for kind in (JOB_FAILED, JOB_CANCELLED, JOB_WITHHELD, JOB_OUTDATED)}


def account_view(balance: Balance) -> AccountView:
    def shown(loss: Loss) -> LossView:
        epsilon = Loss(loss.pico_rho).epsilon(SHOWN_AT_DELTA)
        return LossView(
            rho=decimal_text(loss.rho),
            delta=decimal_text(loss.delta),
            epsilon=None if epsilon is None else decimal_text(epsilon),
            at_delta=decimal_text(SHOWN_AT_DELTA),
        )

    return AccountView(
        id=balance.account,
        kind=cast(Literal["population", "dataset", "licence", "operator"], balance.kind),
        subject=balance.subject,
        cap=shown(balance.cap),
        used=shown(balance.reserved + balance.spent),  # a reservation is as good as spent to whoever asks: the step between says nothing
        left=shown(balance.left),
        pace=[PaceView(window=each.window, period=each.period, cap=shown(each.cap), used=shown(each.used)) for each in balance.windows],
    )


def accounts_view(balances: Iterable[Balance]) -> list[AccountView]:
    return [account_view(balance) for balance in balances]


def quote_view(quoted: Quoted) -> Quote:
    return Quote(
        price=LossView.of(quoted.plan.loss, Decimal(quoted.plan.delta), quoted.plan.epsilon),
        answered=quoted.answered,
        slot_ms=quoted.slot_ms,
        accounts=accounts_view(quoted.accounts),
        explanation=quoted.explanation,
        fee=fee_quote_view(quoted.fee),
    )


def batch_view(entries: Sequence[Entry], whole: Loss, delta: Decimal, language: Language) -> BatchQuote:
    pure = [entry.quoted.plan.epsilon for entry in entries if entry.quoted is not None] if delta == 0 else []
    epsilon = sum((each for each in pure if each is not None), Decimal(0)) if pure else None
    return BatchQuote(
        price=LossView.of(whole, delta, epsilon),
        queries=[
            BatchEntry(
                privacy=None if entry.privacy is None else SpendView.of(entry.privacy),
                quote=None if entry.quoted is None else quote_view(entry.quoted),
                problem=None if entry.problem is None else ProblemView.model_validate(document(entry.problem, language, instance="batch")),
            )
            for entry in entries
        ],
    )


def columns_view(released: Released) -> list[ColumnView]:
    columns: list[ColumnView] = []
    for column in released.columns:
        columns.append(
            ColumnView(
                label=column.label,
                kind=column.kind,
                mechanism=column.mechanism or None,
                scale=column.scale,
                low=column.low,
                high=column.high,
                half_width_column=column.half_width_column,
            )
        )
        if column.half_width_column is not None:
            columns.append(ColumnView(label=column.half_width_column, kind="half_width"))
    return columns


def job_view(seen: JobSeen, language: Language) -> JobView:
    return JobView(
        id=seen.id,
        state=seen.state,
        licence=seen.licence,
        scenario=seen.scenario,
        kind=seen.kind,
        sql=seen.text,
        request=seen.request,
        submitted_at=seen.submitted_at,
        slot_ms=seen.slot_ms,
        price=None if seen.price is None else LossView.of(seen.price, seen.at_delta),
        reused=seen.reused,
        release=seen.release,
        problem=_job_problem(seen, language),
    )


def _job_problem(seen: JobSeen, language: Language) -> ProblemView | None:
    if not seen.problem:
        return None
    kind = _ENDS.get(seen.problem[0], JOB_STOPPED)
    return ProblemView.model_validate(document(kind(), language, instance=seen.id))


def release_view(seen: ReleaseSeen, left: Iterable[Balance], fee: FeeSeen | None = None) -> ReleaseView:
    record = seen.record
    return ReleaseView(
        id=seen.id,
        job=seen.job,
        licence=record["licence"],
        operator=record["operator"],
        scenario=record["scenario"],
        kind=record.get("kind", "sql"),
        query=record["query"],
        sources=[SourceView(**source) for source in record["sources"]],
        columns=[ColumnView(**{**column, "mechanism": column.get("mechanism") or None}) for column in record["columns"]],
        rows=record["rows"],
        thresholded=record.get("thresholded", False),
        bounds=record.get("bounds", {}),  # tables that people let out have neither
        price=LossView.of(seen.loss, Decimal(record["delta"])),
        left=accounts_view(left),
        files=[
            FileView(format=cast(Any, name.removeprefix("table.")), bytes=size, sha256=record["digests"][name])
            for name, size in record["files"].items()
        ],
        papers=[
            PaperView(name=name, bytes=size, sha256=record["digests"][name], path=f"/v1/releases/{seen.id}/papers/{name}")
            for name, size in record.get("papers", {}).items()
        ],
        published_at=seen.published_at,
        visible_at=seen.visible_at,
        log_index=seen.index,
        fee=None if fee is None else yuan(fee.fen),
        table=f"/v1/releases/{seen.id}/table",
        receipt=f"/v1/releases/{seen.id}/receipt",
    )


def dataset_view(snapshot: Snapshot) -> DatasetView:
    dataset, window = snapshot.dataset, snapshot.dataset.periods
    return DatasetView(
        dataset=dataset,
        version=snapshot.version,
        digest=snapshot.digest,
        unit_space=dataset.space,
        unit_title=dataset.unit_title,
        periods=None
        if window is None
        else PeriodsView(column=window.column, period=window.period, first=window.labels[0], last=window.labels[-1], count=len(window)),
    )


def licence_view(record: LicenceRecord, balances: Iterable[Balance], now: datetime) -> LicenceView:
    return LicenceView(
        licence=record.licence,
        state=record.state_at(now),
        version=record.version,
        document=record.document,
        granted_at=record.granted_at,
        changed_at=record.changed_at,
        access=cast(Literal["open", "withdrawn"], record.access),
        accounts=accounts_view(balances),
    )


def event_view(recorded: Recorded) -> EventView:
    return EventView(index=recorded.index, at=recorded.at, kind=recorded.kind, event=recorded.event.model_dump(mode="json"))
