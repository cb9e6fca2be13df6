"""People: registered, appointed, suspended, resumed, closed."""

from __future__ import annotations

from jobs import directory
from jobs.acts.two import second_person
from jobs.directory import Principal
from jobs.events import AppointmentProposed, PrincipalClosed, PrincipalRegistered, PrincipalResumed, PrincipalSuspended
from jobs.register import Act, Register
from policies.catalogue import Title
from policies.problem import declare
from policies.roles import APPOINTED, APPOINTMENTS, Role
from policies.roles import Act as Doing

SYSTEM = "system"  # whoever runs the server's own command line: the owner of the machine

PRINCIPAL_EXISTS = declare(
    "auth_principal_exists",
    zh=("主体已登记", "主体 {principal} 已登记。", "请换一个标识，或直接为其签发密钥。"),
    en=(
        "The principal already exists",
        "Principal {principal} is already registered.",
        "Choose another id, or issue a key to the existing principal.",
    ),
)

PRINCIPAL_UNKNOWN = declare(
    "auth_principal_unknown",
    zh=("没有这个主体", "主体 {principal} 未登记，或不处于所需状态。", "请先登记该主体，或核对标识和状态。"),
    en=(
        "No such principal",
        "Principal {principal} is not registered, or not in the required state.",
        "Register it first, or check its id and state.",
    ),
)

PRINCIPAL_ROLE = declare(
    "auth_principal_role",
    zh=("主体角色不符", "主体 {principal} 的角色是{role:role}，此事需要{needed:role}。", "请选择相应角色的主体；一个主体只有一个角色。"),
    en=(
        "Wrong role",
        "Principal {principal} has the role {role:role}; this needs {needed:role}.",
        "Choose a principal in the required role; a principal has one role only.",
    ),
)

OWN_ACT = declare(
    "auth_own_act",
    zh=("不得办理涉及本人的事项", "{act} 不得由 {principal} 本人办理。", "请由另一位有此权限的人员办理。"),
    en=(
        "You may not act in your own case",
        "{principal} may not do {act} in a matter that concerns itself.",
        "Ask another person who holds this right to do it.",
    ),
)

APPOINTED_BY_TWO = declare(
    "auth_appointed_by_two",
    zh=(
        "任命须两人办理",
        "{principal} 的角色是{role:role}，{act} 须由管理员提出、监管员确认。",
        "请提出任命（POST /v1/appointments 或 yunei appointment propose），再由监管员确认。",
    ),
    en=(
        "An appointment takes two people",
        "{principal} has the role {role:role}: {act} is proposed by an administrator and confirmed by a supervisor.",
        "Propose it (POST /v1/appointments, or yunei appointment propose) and have a supervisor confirm it.",
    ),
)


def register_principal(register: Register, principal: str, *, role: Role, title: Title, by: str = SYSTEM) -> None:
    """APPOINTED_BY_TWO for a role that decides about others, unless the machine's owner does it."""
    with register.transaction() as act:
        alone(by, principal, role, "principal_register")
        enter(act, principal, role, title, by)


def enter(act: Act, principal: str, role: Role, title: Title, by: str, proposal: int | None = None) -> None:
    """Append the registration of somebody new."""
    if principal == SYSTEM or directory.principal(act.connection, principal) is not None:
        raise PRINCIPAL_EXISTS(principal=principal)
    act.append(PrincipalRegistered(by=by, principal=principal, role=role, title=title, proposal=proposal))


def suspend_principal(register: Register, principal: str, *, reason: str, by: str = SYSTEM) -> None:
    """From this transaction on the principal may do nothing, with whatever key, token or session."""
    with register.transaction() as act:
        other(by, principal, "principal_suspend")
        known(act, principal, "active")
        act.append(PrincipalSuspended(by=by, principal=principal, reason=reason))


def resume_principal(register: Register, principal: str, *, reason: str, by: str = SYSTEM) -> None:
    with register.transaction() as act:
        other(by, principal, "principal_resume")
        known(act, principal, "suspended")
        act.append(PrincipalResumed(by=by, principal=principal, reason=reason))


def close_principal(register: Register, principal: str, *, reason: str, by: str = SYSTEM) -> None:
    """For good: nothing of it opens anything, and its id is not given out again."""
    with register.transaction() as act:
        other(by, principal, "principal_close")
        known(act, principal, "active", "suspended")
        act.append(PrincipalClosed(by=by, principal=principal, reason=reason))


def known(act: Act, principal: str, *statuses: str) -> Principal:
    found = directory.principal(act.connection, principal)
    if found is None or found.status not in statuses:
        raise PRINCIPAL_UNKNOWN(principal=principal)
    return found


def other(by: str, principal: str, act: Doing) -> None:
    """Nobody decides in their own affairs."""
    if by == principal:
        raise OWN_ACT(principal=principal, act=act)


def alone(by: str, principal: str, role: Role, act: Doing) -> None:
    """What one person may do without a second: everything for operators and builders, nothing of APPOINTMENTS for other roles."""
    if by != SYSTEM and act in APPOINTMENTS and role in APPOINTED:
        raise APPOINTED_BY_TWO(principal=principal, role=role, act=act)


def propose(act: Act, appointment: AppointmentProposed) -> int:
    """The first of two people. What could never be done is refused now: PRINCIPAL_EXISTS, PRINCIPAL_UNKNOWN, OWN_ACT."""
    other(appointment.by, appointment.principal, appointment.act)
    if appointment.act == "principal_register":
        if appointment.principal == SYSTEM or directory.principal(act.connection, appointment.principal) is not None:
            raise PRINCIPAL_EXISTS(principal=appointment.principal)
    else:
        known(act, appointment.principal, "active")
    return act.append(appointment)


def proposed(register: Register, act: Act, proposal: int, by: str) -> AppointmentProposed:
    """What another registered, active person proposed; SECOND_PERSON when the entry is none of that kind, or one's own; OWN_ACT when it is
    about the one who confirms."""
    first = register.event(proposal).event if 0 <= proposal < act.size else None
    same = (
        first.model_copy(update={"by": by})
        if isinstance(first, AppointmentProposed)
        else AppointmentProposed(by=by, act="principal_register", principal=by)
    )
    second_person(register, act, same, proposal)
    other(by, same.principal, "appointment_confirm")
    return same
