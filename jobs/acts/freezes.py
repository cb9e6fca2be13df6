"""Emergency stops: one supervisor freezes at once, two thaw."""

from __future__ import annotations

import base64

from jobs import directory, freezes
from jobs.acts.people import PRINCIPAL_ROLE, known
from jobs.acts.two import second_person
from jobs.events import FreezeSet, FreezeThawed, ThawProposed
from jobs.freezes import Freeze
from jobs.register import Act, Register
from policies.freeze import EVERYTHING, Scope
from policies.problem import declare

FREEZE_SUBJECT = declare(
    "freeze_subject_unknown",
    zh=("没有可暂停的对象", "没有登记这一对象：{scope} {subject}。", "请核对名称：运营单位、协议写编号，数据集写名称；暂停全部时不写对象。"),
    en=(
        "Nothing of that name can be frozen",
        "Nothing is registered as {scope} {subject}.",
        "Check the name: an operator or licence by its id, a dataset by its name; give none when freezing everything.",
    ),
)
FREEZE_UNKNOWN = declare(
    "freeze_unknown",
    zh=("没有这一应急处置", "没有编号为 {freeze} 的应急处置。", "请用 yunei freeze list 查看编号。"),
    en=("No such freeze", "There is no freeze {freeze}.", "Run yunei freeze list to see the ids."),
)
FREEZE_THAWED = declare(
    "freeze_thawed_already",
    zh=("应急处置已解除", "应急处置 {freeze} 已解除。", "无需再次办理；如有需要可重新暂停。"),
    en=(
        "The freeze has already been lifted",
        "Freeze {freeze} has already been lifted.",
        "No further action is needed; freeze again if necessary.",
    ),
)


def set_freeze(register: Register, scope: Scope, subject: str = "", *, reason: str, by: str = "system") -> str:
    """Stop it, from this transaction on. Returns the id by which it is thawed. A subject may be frozen more than once: each freeze stands until
    it is thawed itself."""
    freeze = "frz-" + base64.b32encode(register.random(10)).decode().lower()
    with register.transaction() as act:
        supervisor(act, by)
        act.append(FreezeSet(by=by, freeze=freeze, scope=scope, subject=_known_subject(act, scope, subject), reason=reason))
    return freeze


def propose_thaw(register: Register, freeze: str, *, reason: str, by: str) -> int:
    """The first of two supervisors. Returns the index the second one names; a later proposal takes its place."""
    with register.transaction() as act:
        supervisor(act, by)
        _standing(act, freeze)
        return act.append(ThawProposed(by=by, freeze=freeze, reason=reason))


def thaw(register: Register, freeze: str, *, proposal: int, by: str) -> None:
    """The second supervisor lifts it, naming the newest proposal of the first."""
    with register.transaction() as act:
        supervisor(act, by)
        standing = _standing(act, freeze)
        second_person(register, act, ThawProposed(by=by, freeze=freeze, reason="-"), proposal if proposal == standing.proposal else None)
        act.append(FreezeThawed(by=by, freeze=freeze, proposal=proposal))


def supervisor(act: Act, by: str) -> None:
    """An active supervisor acts, or the one who runs the server's own command line."""
    if by != "system" and (who := known(act, by, "active")).role != "supervisor":
        raise PRINCIPAL_ROLE(principal=by, role=who.role, needed="supervisor")


def _standing(act: Act, freeze: str) -> Freeze:
    found = freezes.one(act.connection, freeze)
    if found is None:
        raise FREEZE_UNKNOWN(freeze=freeze)
    if found.state != "set":
        raise FREEZE_THAWED(freeze=freeze)
    return found


def _known_subject(act: Act, scope: Scope, subject: str) -> str:
    """The subject as the tables spell it."""
    if scope == EVERYTHING and not subject:
        return ""
    if scope == "operator" and (who := directory.principal(act.connection, subject)) is not None and who.role in ("operator", "builder"):
        return subject
    if scope == "licence" and directory.licence(act.connection, subject) is not None:
        return subject
    if scope == "dataset" and any(row.name.casefold() == subject.casefold() for row in directory.registered(act.connection)):
        return subject.casefold()
    raise FREEZE_SUBJECT(scope=scope, subject=subject or "—")
