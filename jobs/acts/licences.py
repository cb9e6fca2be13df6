"""Licences up to their being in force: applied for, consented to, declined, proposed, granted, amended. Their later life is in `terms.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from jobs import directory, ledger
from jobs.acts.data import keep_pace, open_account
from jobs.acts.people import PRINCIPAL_ROLE, known
from jobs.acts.two import second_person
from jobs.directory import LicenceRecord
from jobs.documents import licence_document
from jobs.events import (
    CapRaised,
    CapRaiseProposed,
    Cost,
    LicenceAmended,
    LicenceApplied,
    LicenceConsented,
    LicenceDeclined,
    LicenceGranted,
    LicenceProposed,
    rfc3339,
)
from jobs.register import Act, Register
from jobs.seals import bureau_signers, sealed_licence
from jobs.slots import parse_time
from policies.catalogue import Dataset
from policies.licence import Decision, Licence, check_scope, licence_invalid
from policies.life import IN_FORCE, before
from policies.loss import Loss
from policies.problem import declare
from policies.reasons import Reason, explained
from policies.tariff import succession_faults

LICENCE_EXISTS = declare(
    "licence_exists",
    zh=("协议编号已被使用", "编号 {licence} 已有申请或协议。", "请换一个编号；已授予的协议用变更办理。"),
    en=(
        "The id is taken",
        "There is an application or a licence with id {licence}.",
        "Choose another id; a licence already granted is amended, not granted again.",
    ),
)
LICENCE_STATE_CONFLICT = declare(
    "licence_state_conflict",
    zh=(
        "协议状态不允许此操作",
        "授权运营协议 {licence} 的状态为{state:licence_state}，此操作需要{needed:licence_state}。",
        "请核对编号和状态；已撤销或期满的协议不能恢复。",
    ),
    en=(
        "The state of the licence does not allow this",
        "Licence {licence} is {state:licence_state}; this needs {needed:licence_state}.",
        "Check the id and the state; a revoked or expired licence cannot be resumed.",
    ),
)
LICENCE_DATA = declare(
    "licence_data_missing",
    zh=("协议所列数据集未登记", "数据集 {dataset} 未登记。", "请先登记该数据集并将数据入库。"),
    en=("The licence names an unknown dataset", "Dataset {dataset} is not registered.", "Register and ingest the dataset first."),
)
LICENCE_FORBIDDEN_DATA = declare(
    "licence_data_forbidden",
    zh=("该数据不得授权运营", "数据集 {dataset} 为核心数据或属于不予共享。", "请从协议中移除该数据集。"),
    en=(
        "This data cannot be licensed",
        "Dataset {dataset} is graded core, or its share attribute is none.",
        "Remove the dataset from the licence.",
    ),
)
LICENCE_UNCODED = declare(
    "licence_data_uncoded",
    zh=("数据集尚未完成登记", "数据集 {dataset} 的公共数据资源登记尚未赋码。", "请待登记完成（赋码）后授权。"),
    en=(
        "Its registration is not complete",
        "The public data registration of dataset {dataset} has no code yet.",
        "Grant the licence once the registration is complete (coded).",
    ),
)
LICENCE_CONSENT_MISSING = declare(
    "licence_consent_missing",
    zh=(
        "缺少来源部门的同意",
        "数据集 {datasets} 为有条件共享，来源部门尚未同意协议 {licence}。",
        "请由来源部门的数据提供方管理员在系统中同意，或在协议中填写其审核同意文件号。",
    ),
    en=(
        "A source body has not consented",
        "{datasets}: shared on condition, and its source body has not consented to licence {licence}.",
        "Ask the steward of the source body to consent, or state the number of its consent document in the licence.",
    ),
)
LICENCE_CONSENT_NEEDLESS = declare(
    "licence_consent_needless",
    zh=(
        "不需要或不能由您同意",
        "协议 {licence} 的数据集 {dataset} 无需同意，或应由 {steward} 同意。",
        "请核对协议与数据集，或转由该管理员办理。",
    ),
    en=(
        "Not for you to consent to",
        "Dataset {dataset} of licence {licence} needs no consent, or {steward} has to give it.",
        "Check the licence and the dataset, or ask that steward to do it.",
    ),
)
LICENCE_DECISION_MISSING = declare(
    "licence_decision_missing",
    zh=("缺少集体决策文件", "协议 {licence} 未载明“三重一大”集体决策文件。", "请填写 decision_document：文号、日期及文件的 SHA-256。"),
    en=(
        "The decision document is missing",
        "Licence {licence} names no document of the collective decision.",
        "Fill in decision_document: number, date, and the SHA-256 of the file.",
    ),
)
LICENCE_TERM_OVER = declare(
    "licence_term_over",
    zh=("协议期限已过", "协议 {licence} 的期限止于 {until}，早于现在。", "请填写今后的期限。"),
    en=("The term has already ended", "The term of licence {licence} ended at {until}.", "Enter a term that ends in the future."),
)
LICENCE_AMENDMENT = declare(
    "licence_amendment_refused",
    zh=("变更内容不被接受", "协议 {licence}：{reason_zh}。", "请修改变更后的协议，或另行申请新协议。"),
    en=("The amendment is not accepted", "Licence {licence}: {reason_en}.", "Change the amended document, or apply for a new licence."),
)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a licence reaches, as the catalogue has it now."""

    private: tuple[str, ...]
    conditional: tuple[Dataset, ...]
    important: bool


def _scope(act: Act, licence: Licence) -> _Scope:
    """Raises for data that is not registered, may not be licensed, or lacks a column the licence names."""
    catalogue, found = directory.catalogue(act.connection), list[Dataset]()
    coded = {row.name for row in directory.registered(act.connection) if row.registration == "coded"}
    for grant in licence.datasets:
        if grant.dataset not in catalogue:
            raise LICENCE_DATA(dataset=grant.dataset)
        dataset = catalogue[grant.dataset].dataset
        if dataset.grade == "core" or dataset.share.attribute == "none":
            raise LICENCE_FORBIDDEN_DATA(dataset=dataset.name)
        if dataset.name not in coded:
            raise LICENCE_UNCODED(dataset=dataset.name)
        found.append(dataset)
    check_scope(licence, catalogue)
    if licence.renews is not None:
        earlier = directory.licence(act.connection, licence.renews)
        if earlier is None or earlier.licence.operator != licence.operator or earlier.licence.id == licence.id:
            raise explained(licence_invalid, [Reason("renews", "该运营单位没有这份协议", "the operator never held this licence")])
    return _Scope(
        private=tuple(dataset.name for dataset in found if dataset.private),
        conditional=tuple(dataset for dataset in found if dataset.share.attribute == "conditional"),
        important=any("important" in _grades(dataset) for dataset in found),
    )


def _grades(dataset: Dataset) -> frozenset[str]:
    return frozenset({dataset.grade, *(dataset.grade_of(column) for column in dataset.columns)})


def _holder(act: Act, licence: Licence) -> None:
    operator = known(act, licence.operator, "active")
    if operator.role != "operator":
        raise PRINCIPAL_ROLE(principal=operator.id, role=operator.role, needed="operator")


def in_state(act: Act, licence: str, kind: str) -> LicenceRecord:
    """The licence, when an act of this kind may happen to it at the time of the transaction."""
    record = directory.licence(act.connection, licence)
    state = "absent" if record is None else record.state_at(parse_time(act.at))
    if record is None or state not in before(kind):
        raise LICENCE_STATE_CONFLICT(licence=licence, state=state, needed="/".join(before(kind)))
    return record


def apply_licence(register: Register, licence: Licence, *, by: str) -> None:
    """The operator asks for a licence. What only the bureau says (decision, consents, second approvals) is left out of its document."""
    with register.transaction() as act:
        if directory.licence(act.connection, licence.id) is not None:
            raise LICENCE_EXISTS(licence=licence.id)
        _scope(act, licence)
        _holder(act, licence)
        _not_over(licence, parse_time(act.at))
        document = act.attach(licence_document(licence.as_applied()))
        act.append(LicenceApplied(by=by, licence=licence.id, operator=licence.operator, document=document))


def consent_licence(register: Register, licence: str, dataset: str, *, reference: str, by: str) -> None:
    """The steward of a conditionally shared dataset consents to an application; `reference` numbers the source body's document."""
    with register.transaction() as act:
        record = in_state(act, licence, "licence_consented")
        given = directory.consents(act.connection, licence)
        scope = _scope(act, record.licence)
        waiting = {each.name.casefold(): each for each in scope.conditional if each.name.casefold() not in given}
        wanted = waiting.get(dataset.casefold())
        if wanted is None or wanted.steward not in (None, by):
            raise LICENCE_CONSENT_NEEDLESS(licence=licence, dataset=dataset, steward=(wanted.steward if wanted else None) or "—")
        act.append(LicenceConsented(by=by, licence=licence, dataset=wanted.name, reference=reference, complete=len(waiting) == 1))


def decline_licence(register: Register, licence: str, *, reason: str, by: str) -> None:
    """An application comes to nothing."""
    with register.transaction() as act:
        in_state(act, licence, "licence_declined")
        act.append(LicenceDeclined(by=by, licence=licence, reason=reason))


def application(register: Register, licence: str, *, decision: Decision, approvals: Mapping[str, str] | None = None) -> Licence:
    """The document an application becomes when it is granted: with the decision and, by dataset, the numbers of second approvals."""
    record = register.licence(licence)
    if record is None or record.state not in before("licence_granted"):
        state = "absent" if record is None else record.state
        raise LICENCE_STATE_CONFLICT(licence=licence, state=state, needed="/".join(before("licence_granted")))
    folded = {name.casefold(): number for name, number in (approvals or {}).items()}
    return record.licence.with_references(consents={}, approvals=folded, decision=decision)


def propose_licence(register: Register, licence: Licence, *, by: str) -> int:
    """The first of two people: for data graded important, and for a higher total. Returns the index the second one names."""
    with register.transaction() as act:
        record = directory.licence(act.connection, licence.id)
        licence = _completed(act, licence)
        index = act.append(LicenceProposed(by=by, licence=licence.id, document=act.attach(licence_document(licence))))
        if record is not None and record.state in IN_FORCE and (cap := _raised(act, licence)) is not None:
            account = ledger.licence_account(licence.id)
            act.append(CapRaiseProposed(by=by, account=account, cap=Cost.of(cap), reason=f"amendment proposed in entry {index}"))
    return index


def _completed(act: Act, licence: Licence) -> Licence:
    """With the consents that were given in the register."""
    return licence.with_references(consents=directory.consents(act.connection, licence.id), approvals={}, decision=None)


def _not_over(licence: Licence, now: datetime) -> None:
    if licence.valid_until <= now:
        raise LICENCE_TERM_OVER(licence=licence.id, until=licence.valid_until.isoformat())


def _grantable(act: Act, licence: Licence) -> _Scope:
    """What must hold of any document that comes into force."""
    scope = _scope(act, licence)
    _holder(act, licence)
    if licence.decision_document is None:
        raise LICENCE_DECISION_MISSING(licence=licence.id)
    _not_over(licence, parse_time(act.at))
    lacking = [each.name for each in scope.conditional if (grant := licence.grant_on(each.name)) is None or grant.consent is None]
    if lacking:
        raise LICENCE_CONSENT_MISSING(licence=licence.id, datasets=", ".join(lacking))
    return scope


def grant_licence(
    register: Register, licence: Licence, *, by: str = "system", proposal: int | None = None, operator_cap: Loss | None = None
) -> None:
    """Bring a licence into force, applied for or not, signed by the bureau. Opens its account (cap: the licence's total) and the operator's
    account on each private dataset not yet open (cap: `operator_cap`, else the settings'). Data graded important needs the `proposal` of
    another person; data shared on condition the consent of its source body, given in the register or numbered in the document."""
    signers = bureau_signers(register.key_ring, register.settings)
    with register.transaction() as act:
        record = directory.licence(act.connection, licence.id)
        if record is not None and (record.state not in before("licence_granted") or record.licence.operator != licence.operator):
            raise LICENCE_EXISTS(licence=licence.id)
        licence = _completed(act, licence)
        scope = _grantable(act, licence)
        body = licence_document(licence)
        document = act.attach(body)
        if scope.important or proposal is not None:
            second_person(register, act, LicenceProposed(by=by, licence=licence.id, document=document), proposal)
        act.append(
            LicenceGranted(
                by=by,
                licence=licence.id,
                operator=licence.operator,
                document=document,
                proposal=proposal,
                signed=act.attach(sealed_licence(body, 1, signers)),
                vkeys=tuple(str(signer.key) for signer in signers),
                valid_from=rfc3339(licence.valid_from),
                valid_until=rfc3339(licence.valid_until),
            )
        )
        open_account(act, ledger.licence_account(licence.id), "licence", licence.id, licence.total.loss, by)
        _open_accounts(register, act, licence, scope, by, operator_cap)


def _open_accounts(register: Register, act: Act, licence: Licence, scope: _Scope, by: str, operator_cap: Loss | None = None) -> None:
    settings = register.settings
    cap = operator_cap or Loss(settings.operator_cap_pico_rho, settings.operator_cap_atto_delta)
    for name in scope.private:
        open_account(act, ledger.operator_account(licence.operator, name), "operator", f"{licence.operator}@{name}", cap, by)
    keep_pace(act, ledger.licence_account(licence.id), licence.quota.pace, by)


def amend_licence(register: Register, licence: Licence, *, reason: str, by: str = "system", proposal: int | None = None) -> int:
    """Put another document in place of a licence's present one; returns its version. Accounts are kept with all that was spent. A higher
    total raises the cap, and takes two people, as anything on data graded important does; a total is never lowered. Jobs that run are
    held against the new document when they are published."""
    signers = bureau_signers(register.key_ring, register.settings)
    with register.transaction() as act:
        record = in_state(act, licence.id, "licence_amended")
        licence = _completed(act, licence)
        if licence.operator != record.licence.operator:
            raise _refused(licence, "运营单位不得变更", "the operator cannot change")
        if licence == record.licence:
            raise _refused(licence, "内容没有变化", "nothing would change")
        if not licence.total.loss.covers(record.licence.total.loss):
            raise _refused(licence, "总额不得降低", "a total is never lowered")
        for fault in succession_faults(record.licence.tariff, licence.tariff):
            raise _refused(licence, fault.zh, fault.en)
        scope = _grantable(act, licence)
        body = licence_document(licence)
        document, cap, version = act.attach(body), _raised(act, licence), record.version + 1
        if scope.important or cap is not None or proposal is not None:
            second_person(register, act, LicenceProposed(by=by, licence=licence.id, document=document), proposal)
        act.append(
            LicenceAmended(
                by=by,
                licence=licence.id,
                version=version,
                document=document,
                proposal=proposal,
                signed=act.attach(sealed_licence(body, version, signers)),
                vkeys=tuple(str(signer.key) for signer in signers),
                valid_from=rfc3339(licence.valid_from),
                valid_until=rfc3339(licence.valid_until),
                reason=reason,
            )
        )
        if cap is not None and proposal is not None:
            account = ledger.licence_account(licence.id)
            second_person(register, act, CapRaiseProposed(by=by, account=account, cap=Cost.of(cap), reason="-"), proposal + 1)
            act.append(CapRaised(by=by, account=account, cap=Cost.of(cap), proposal=proposal + 1))
        _open_accounts(register, act, licence, scope, by)
    return version


def _raised(act: Act, licence: Licence) -> Loss | None:
    """The cap the licence's account needs for this document, when the present one does not cover it."""
    found = ledger.balances(act.connection, [ledger.licence_account(licence.id)])
    total = licence.total.loss
    if not found or found[0].cap.covers(total):
        return None
    return Loss(max(total.pico_rho, found[0].cap.pico_rho), max(total.atto_delta, found[0].cap.atto_delta))


def _refused(licence: Licence, zh: str, en: str) -> Exception:
    return LICENCE_AMENDMENT(licence=licence.id, reason_zh=zh, reason_en=en)
