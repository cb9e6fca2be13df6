"""Licences: proposed, granted, suspended, resumed, revoked."""

from __future__ import annotations

from jobs import directory, ledger
from jobs.acts.data import keep_pace, open_account
from jobs.acts.people import PRINCIPAL_ROLE, known
from jobs.acts.two import second_person
from jobs.documents import licence_document
from jobs.events import (
    LicenceGranted,
    LicenceProposed,
    LicenceResumed,
    LicenceRevoked,
    LicenceSuspended,
)
from jobs.register import Act, Register
from policies.catalogue import Dataset
from policies.licence import Licence
from policies.loss import Loss
from policies.problem import declare

LICENCE_EXISTS = declare(
    "licence_exists",
    zh=("协议已授予", "授权运营协议 {licence} 已存在。", "请换一个编号；协议内容授予后不再更改。"),
    en=("The licence exists", "Licence {licence} was granted already.", "Choose another id: a granted licence never changes."),
)

LICENCE_STATE_CONFLICT = declare(
    "licence_state_conflict",
    zh=("协议状态不允许此操作", "授权运营协议 {licence} 的状态为 {state}，此操作需要 {needed}。", "请核对编号和状态；已撤销的协议不能恢复。"),
    en=(
        "The licence is not in a state for this",
        "Licence {licence} is {state}; this needs {needed}.",
        "Check id and state; a revoked licence stays revoked.",
    ),
)

LICENCE_DATA = declare(
    "licence_data_missing",
    zh=("协议所列数据集未登记", "数据集 {dataset} 未登记。", "请先登记并导入该数据集。"),
    en=("The licence names an unknown dataset", "Dataset {dataset} is not registered.", "Register and ingest it first."),
)

LICENCE_FORBIDDEN_DATA = declare(
    "licence_data_forbidden",
    zh=("该数据不得授权运营", "数据集 {dataset} 为核心数据或属于不予共享。", "请从协议中移除该数据集。"),
    en=("This data cannot be licensed", "Dataset {dataset} is graded core, or its share attribute is none.", "Take it out of the licence."),
)


def propose_licence(register: Register, licence: Licence, *, by: str) -> int:
    """The first of two people, for data graded important. Returns the index the second one names."""
    with register.transaction() as act:
        return act.append(LicenceProposed(by=by, licence=licence.id, document=act.attach(licence_document(licence))))


def grant_licence(
    register: Register, licence: Licence, *, by: str = "system", proposal: int | None = None, operator_cap: Loss | None = None
) -> None:
    """Bring a licence into force and open its account (cap: the licence's total) and the operator's account on each private dataset not yet
    open (cap: `operator_cap`, else the settings'). Data graded important needs the `proposal` of another person."""
    settings = register.settings
    with register.transaction() as act:
        if directory.licence(act.connection, licence.id) is not None:
            raise LICENCE_EXISTS(licence=licence.id)
        operator = known(act, licence.operator, "active")
        if operator.role != "operator":
            raise PRINCIPAL_ROLE(principal=operator.id, role=operator.role, needed="operator")
        catalogue, private, important = directory.catalogue(act.connection), [], False
        for grant in licence.datasets:
            if grant.dataset not in catalogue:
                raise LICENCE_DATA(dataset=grant.dataset)
            dataset = catalogue[grant.dataset].dataset
            grades = _grades(dataset)
            if dataset.grade == "core" or dataset.share.attribute == "none":
                raise LICENCE_FORBIDDEN_DATA(dataset=dataset.name)
            important = important or "important" in grades
            if dataset.private:
                private.append(dataset.name)
        document = act.attach(licence_document(licence))
        if important or proposal is not None:
            second_person(register, act, LicenceProposed(by=by, licence=licence.id, document=document), proposal)
        act.append(LicenceGranted(by=by, licence=licence.id, operator=licence.operator, document=document, proposal=proposal))
        open_account(act, ledger.licence_account(licence.id), "licence", licence.id, licence.total.loss, by)
        keep_pace(act, ledger.licence_account(licence.id), licence.quota.pace, by)
        cap = operator_cap or Loss(settings.operator_cap_pico_rho, settings.operator_cap_atto_delta)
        for name in private:
            open_account(act, ledger.operator_account(licence.operator, name), "operator", f"{licence.operator}@{name}", cap, by)


def _grades(dataset: Dataset) -> frozenset[str]:
    return frozenset({dataset.grade, *(dataset.grade_of(column) for column in dataset.columns)})


def suspend_licence(register: Register, licence: str, *, reason: str, by: str = "system") -> None:
    """Nothing is admitted or published under it from this transaction on."""
    with register.transaction() as act:
        _licence_in(act, licence, "active")
        act.append(LicenceSuspended(by=by, licence=licence, reason=reason))


def resume_licence(register: Register, licence: str, *, reason: str, by: str = "system") -> None:
    with register.transaction() as act:
        _licence_in(act, licence, "suspended")
        act.append(LicenceResumed(by=by, licence=licence, reason=reason))


def revoke_licence(register: Register, licence: str, *, reason: str, by: str = "system") -> None:
    """For good."""
    with register.transaction() as act:
        _licence_in(act, licence, "active", "suspended")
        act.append(LicenceRevoked(by=by, licence=licence, reason=reason))


def _licence_in(act: Act, licence: str, *states: str) -> None:
    record = directory.licence(act.connection, licence)
    if record is None or record.state not in states:
        raise LICENCE_STATE_CONFLICT(licence=licence, state="absent" if record is None else record.state, needed="/".join(states))
