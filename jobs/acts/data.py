"""Datasets and their versions."""

from __future__ import annotations

from jobs import directory, ledger
from jobs.documents import snapshot_document
from jobs.events import (
    AccountKind,
    AccountOpened,
    Cost,
    DatasetRegistered,
    PaceSet,
    VersionIngested,
)
from jobs.register import Act, Register
from policies.catalogue import Snapshot
from policies.loss import Loss
from policies.problem import declare
from policies.quota import Pace

VERSION_CONFLICT = declare(
    "data_version_conflict",
    zh=("数据版本冲突", "数据集 {dataset} 现行版本为 {current}，不能登记版本 {version}。", "新版本号必须大于现行版本号；请重新导入。"),
    en=(
        "Version conflict",
        "Dataset {dataset} is at version {current}; version {version} cannot follow.",
        "A new version has a higher number: ingest again.",
    ),
)

UNIT_CHANGED = declare(
    "data_unit_changed",
    zh=(
        "隐私单元不得更改",
        "数据集 {dataset} 登记的隐私单元空间为 {before}，新版本为 {after}。",
        "请以新的数据集名称登记；预算账户随隐私单元。",
    ),
    en=(
        "The privacy unit cannot change",
        "Dataset {dataset} was registered with unit space {before}; this version has {after}.",
        "Register it under another name: budgets belong to the unit.",
    ),
)


def register_dataset(
    register: Register,
    snapshot: Snapshot,
    *,
    by: str = "system",
    population_cap: Loss | None = None,
    dataset_cap: Loss | None = None,
) -> None:
    """Put an ingested snapshot into the catalogue: the dataset's first, or a later version of it. A private dataset opens its account and,
    if it is the first of its unit space, the population's; caps not given are the settings'. Caps of accounts already open do not move;
    the pace of the dataset's is what this version states."""
    dataset, settings = snapshot.dataset, register.settings
    with register.transaction() as act:
        current = {row.name.casefold(): row for row in directory.registered(act.connection)}.get(dataset.name.casefold())
        space = dataset.unit.space if dataset.unit else None
        if current is not None and current.version >= snapshot.version:
            raise VERSION_CONFLICT(dataset=dataset.name, current=current.version, version=snapshot.version)
        if current is not None and current.space != space:
            raise UNIT_CHANGED(dataset=dataset.name, before=current.space or "—", after=space or "—")
        document = act.attach(snapshot_document(snapshot))
        if current is None:
            act.append(DatasetRegistered(by=by, dataset=dataset.name, space=space))
        act.append(VersionIngested(by=by, dataset=dataset.name, version=snapshot.version, digest=snapshot.digest, document=document))
        if space is not None:
            cap = population_cap or Loss(settings.population_cap_pico_rho, settings.population_cap_atto_delta)
            open_account(act, ledger.population_account(space), "population", space, cap, by)
            cap = dataset_cap or Loss(settings.dataset_cap_pico_rho, settings.dataset_cap_atto_delta)
            open_account(act, ledger.dataset_account(dataset.name), "dataset", dataset.name, cap, by)
            keep_pace(act, ledger.dataset_account(dataset.name), dataset.pace, by)


def open_account(act: Act, account: str, kind: AccountKind, subject: str, cap: Loss, by: str) -> None:
    if not ledger.balances(act.connection, [account]):
        act.append(AccountOpened(by=by, account=account, account_kind=kind, subject=subject, cap=Cost.of(cap)))


def keep_pace(act: Act, account: str, pace: Pace, by: str) -> None:
    """Bring the windows of an account to what its licence or dataset states now."""
    present = {windowed.window: windowed.cap for balance in ledger.balances(act.connection, [account]) for windowed in balance.windows}
    for window, degree in pace.caps().items():
        cap = None if degree is None else degree.loss
        if cap != present.get(window):
            act.append(PaceSet(by=by, account=account, window=window, cap=None if cap is None else Cost.of(cap)))
