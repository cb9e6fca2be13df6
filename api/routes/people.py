"""Principals, the subjects they sign in as, and appointments by two."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, found, problems, roles
from api.schemas.people import (
    AppointmentDone,
    AppointmentList,
    AppointmentRequest,
    AppointmentView,
    PrincipalList,
    PrincipalRequest,
    PrincipalView,
    Reason,
    SubjectRequest,
)
from api.services import Services
from infra.database import reading
from jobs import acts, credentials
from jobs.acts.sessions import subject_digest
from jobs.events import AppointmentProposed, Recorded, rfc3339

router = APIRouter(prefix="/v1", tags=["people"], route_class=Guarded)

_BY_TWO = (
    "对监管、审核、数据提供方管理员、审计、管理员等角色，须经两人任命（/v1/appointments）。 · "
    "For roles that decide about others it takes an appointment by two (/v1/appointments)."
)
_WRITE = (400, 401, 403, 404, 409, 413, 422)


@router.get(
    "/principals",
    summary="主体 · Principals",
    responses=problems(401, 403),
    openapi_extra=roles("principal_list"),
)
def principals(services: Serving, visit: Annotated[Visit, door("principal_list")]) -> PrincipalList:
    with reading(services.register.engine) as connection:
        subjects = credentials.subjects_by_principal(connection)
    return PrincipalList(principals=[PrincipalView.of(each, subjects.get(each.id, [])) for each in services.register.principals()])


@router.get(
    "/principals/{id}",
    summary="一个主体 · One principal",
    responses=problems(401, 403, 404),
    openapi_extra=roles("principal_list"),
)
def principal(id: str, services: Serving, visit: Annotated[Visit, door("principal_list")]) -> PrincipalView:
    return _view(services, id)


@router.post(
    "/principals",
    status_code=201,
    summary="登记主体 · Register a principal",
    description=_BY_TWO,
    responses=problems(400, 401, 403, 409, 413, 422),
    openapi_extra=roles("principal_register"),
)
def register(body: PrincipalRequest, services: Serving, visit: Annotated[Visit, door("principal_register")]) -> PrincipalView:
    acts.register_principal(services.register, body.id, role=body.role, title=body.title, by=visit.principal.id)
    return _view(services, body.id)


@router.post(
    "/principals/{id}/suspend",
    summary="停用主体：立即生效 · Suspend a principal, at once",
    responses=problems(*_WRITE),
    openapi_extra=roles("principal_suspend"),
)
def suspend(id: str, body: Reason, services: Serving, visit: Annotated[Visit, door("principal_suspend")]) -> PrincipalView:
    acts.suspend_principal(services.register, id, reason=body.reason, by=visit.principal.id)
    return _view(services, id)


@router.post(
    "/principals/{id}/resume",
    summary="恢复主体 · Resume a suspended principal",
    responses=problems(*_WRITE),
    openapi_extra=roles("principal_resume"),
)
def resume(id: str, body: Reason, services: Serving, visit: Annotated[Visit, door("principal_resume")]) -> PrincipalView:
    acts.resume_principal(services.register, id, reason=body.reason, by=visit.principal.id)
    return _view(services, id)


@router.post(
    "/principals/{id}/close",
    summary="注销主体，不可恢复 · Close a principal for good",
    responses=problems(*_WRITE),
    openapi_extra=roles("principal_close"),
)
def close(id: str, body: Reason, services: Serving, visit: Annotated[Visit, door("principal_close")]) -> PrincipalView:
    acts.close_principal(services.register, id, reason=body.reason, by=visit.principal.id)
    return _view(services, id)


@router.post(
    "/principals/{id}/subjects",
    status_code=201,
    summary="关联统一登录身份 · Link a subject of the identity provider",
    description=_BY_TWO,
    responses=problems(*_WRITE),
    openapi_extra=roles("subject_link"),
)
def link(id: str, body: SubjectRequest, services: Serving, visit: Annotated[Visit, door("subject_link")]) -> PrincipalView:
    issuer, digest = _subject(services, body.issuer, body.subject, body.subject_digest)
    acts.link_subject(services.register, id, issuer, digest, by=visit.principal.id)
    return _view(services, id)


@router.post(
    "/principals/{id}/subjects/{digest}/unlink",
    summary="解除关联 · Unlink a subject",
    responses=problems(*_WRITE),
    openapi_extra=roles("subject_unlink"),
)
def unlink(id: str, digest: str, body: Reason, services: Serving, visit: Annotated[Visit, door("subject_unlink")]) -> PrincipalView:
    acts.unlink_subject(services.register, id, digest, reason=body.reason, by=visit.principal.id)
    return _view(services, id)


# ── appointments ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.get(
    "/appointments",
    summary="提出过的任命，由旧到新 · Appointments proposed, oldest first",
    responses=problems(401, 403, 422),
    openapi_extra=roles("principal_list"),
)
def appointments(
    services: Serving,
    visit: Annotated[Visit, door("principal_list")],
    after: Annotated[int, Query(ge=-1, le=2**53, description="只要此序号之后的 · only those with a greater index")] = -1,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> AppointmentList:
    return AppointmentList(appointments=[_proposed(event) for event in services.register.events(after, limit, (AppointmentProposed.kind,))])


@router.post(
    "/appointments",
    status_code=201,
    summary="提出任命（第一人） · Propose an appointment: the first of two",
    responses=problems(*_WRITE),
    openapi_extra=roles("appointment_propose"),
)
def propose(body: AppointmentRequest, services: Serving, visit: Annotated[Visit, door("appointment_propose")]) -> AppointmentView:
    issuer, digest = None, None
    if body.act == "subject_link":
        issuer, digest = _subject(services, body.issuer, body.subject, body.subject_digest)
    appointment = AppointmentProposed(
        by=visit.principal.id,
        act=body.act,
        principal=body.principal,
        role=body.role,
        title=body.title,
        scopes=None if body.scopes is None else tuple(body.scopes),
        expires_at=None if body.expires_at is None else rfc3339(body.expires_at),
        certificate=body.certificate_sha256,
        issuer=issuer,
        subject=digest,
    )
    return _proposed(services.register.event(acts.propose_appointment(services.register, appointment)))


@router.post(
    "/appointments/{proposal}/confirm",
    summary="确认任命（第二人） · Confirm an appointment: the second of two",
    responses=problems(*_WRITE),
    openapi_extra=roles("appointment_confirm"),
)
def confirm(
    proposal: Annotated[int, Path(ge=0, le=2**53)], services: Serving, visit: Annotated[Visit, door("appointment_confirm")]
) -> AppointmentDone:
    done, secret = acts.confirm_appointment(services.register, proposal, by=visit.principal.id)
    return AppointmentDone(act=done.act, principal=done.principal, secret=secret)


def _proposed(recorded: Recorded) -> AppointmentView:
    event = recorded.event
    assert isinstance(event, AppointmentProposed)
    return AppointmentView(
        proposal=recorded.index,
        at=recorded.at,
        by=event.by,
        act=event.act,
        principal=event.principal,
        role=event.role,
        scopes=None if event.scopes is None else list(event.scopes),
        expires_at=event.expires_at,
    )


def _subject(services: Services, issuer: str | None, subject: str | None, digest: str | None) -> tuple[str, str]:
    """Issuer and digest, whichever way they were given."""
    issuer = issuer or services.settings.oidc_issuer or "-"
    return issuer, digest or subject_digest(services.register.key_ring, issuer, subject or "")


def _view(services: Services, id: str) -> PrincipalView:
    principal = found(services.register.principal(id), "principal")
    with reading(services.register.engine) as connection:
        return PrincipalView.of(principal, credentials.subjects_of(connection, id))
