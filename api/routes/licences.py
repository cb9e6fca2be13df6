"""Licences: what there is, the acts in their life, and their paper."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from api import papers
from api.auth import Guarded, Visit, door
from api.docs_page import CSP
from api.problems import REQUEST_FORMAT
from api.routes.common import Serving, found, problems, roles
from api.routes.register import accounts_of_each, accounts_under
from api.schemas import LicenceList, LicenceView
from api.schemas.licences import (
    AGREEMENT,
    AmendRequest,
    Because,
    BureauKeys,
    ConsentRequest,
    ConsentView,
    GrantRequest,
    LicenceHistory,
    PaperFormat,
    Proposed,
    VersionView,
)
from api.services import Services
from api.views import event_view, licence_view
from jobs import acts
from jobs.directory import LicenceRecord
from jobs.papers import bureau_keys, history, paper
from policies.agreement import as_toml, licence_odrl
from policies.licence import Licence

router = APIRouter(prefix="/v1", tags=["licences"], route_class=Guarded)

_MEDIA: dict[PaperFormat, str] = {
    "note": "text/plain; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "odrl": "application/ld+json",
    "toml": "application/toml",
    "json": "application/json",
}
_CONTENT = {media.partition(";")[0]: {"schema": {"type": "object" if media.endswith("json") else "string"}} for media in _MEDIA.values()}
_ACCOUNTS = "是否列出各协议的账户，不列出时答复更快 · whether to list each licence’s accounts; without them the answer is quicker"
Agreed = Annotated[Licence, Body(examples=[AGREEMENT])]


def _view(services: Services, id: str) -> LicenceView:
    record = found(services.register.licence(id), "licence")
    return licence_view(record, accounts_under(services, [record]), services.clock())


def _own(services: Services, id: str, visit: Visit) -> LicenceRecord:
    record = services.register.licence(id)
    return found(record if record is not None and visit.only in (None, record.licence.operator) else None, "licence")


@router.get(
    "/licences",
    summary="授权运营协议与申请 · Licences, and applications for them",
    responses=problems(401, 403, 422),
    openapi_extra=roles("licence_list"),
)
def licences(
    services: Serving, visit: Annotated[Visit, door("licence_list")], accounts: Annotated[bool, Query(description=_ACCOUNTS)] = True
) -> LicenceList:
    records, now = services.register.licences(visit.only), services.clock()
    under = accounts_of_each(services, records) if accounts else {}
    return LicenceList(licences=[licence_view(record, under.get(record.licence.id, ()), now) for record in records])


@router.get(
    "/licence-keys",
    summary="协议签名公钥 · Public keys that licences are signed with",
    description="核验协议签名所用；每次授权的日志条目也载明公钥。 · For verifying a licence's signature; each grant names them in the log too.",
    responses=problems(401, 403),
    openapi_extra=roles("dataset_list"),
)
def keys(services: Serving, visit: Annotated[Visit, door("dataset_list")]) -> BureauKeys:
    return BureauKeys(vkeys=list(bureau_keys(services.register)))


@router.get(
    "/licences/{id}",
    summary="一份协议及其账户 · One licence and its accounts",
    responses=problems(401, 403, 404),
    openapi_extra=roles("licence_list"),
)
def licence(id: str, services: Serving, visit: Annotated[Visit, door("licence_list")]) -> LicenceView:
    _own(services, id, visit)
    return _view(services, id)


@router.get(
    "/licences/{id}/history",
    summary="协议的历次版本、同意与全部办理记录 · Versions, consents and all acts on a licence",
    responses=problems(401, 403, 404),
    openapi_extra=roles("licence_list"),
)
def licence_history(id: str, services: Serving, visit: Annotated[Visit, door("licence_list")]) -> LicenceHistory:
    record = _own(services, id, visit)
    told = history(services.register, id)
    return LicenceHistory(
        id=id,
        state=record.state_at(services.clock()),
        versions=[VersionView(version=v.version, document=v.document, signed=v.signed, by=v.by, at=v.at) for v in told.versions],
        consents=[ConsentView(dataset=c.dataset, reference=c.reference, by=c.by, at=c.at) for c in told.consents],
        events=[event_view(recorded) for recorded in told.events],
    )


@router.get(
    "/licences/{id}/document",
    response_class=Response,
    summary="协议文本：签名文本、网页、Markdown、ODRL、TOML、JSON · Licence text: signed note, web page, Markdown, ODRL, TOML, JSON",
    description="note 为数据主管部门签名的正本，可离线核验；其余由正本得出。 · "
    "`note` is the original under the bureau's signature and verifies offline; the others follow from it.",
    responses={
        200: {
            "description": "协议文本 · the licence text",
            "content": _CONTENT,
        },
        **problems(401, 403, 404, 406, 422),
    },
    openapi_extra=roles("licence_list"),
)
def document(
    id: str,
    services: Serving,
    visit: Annotated[Visit, door("licence_list")],
    format: Annotated[PaperFormat, Query(description="文本格式 · format")] = "html",
    version: Annotated[
        int | None, Query(ge=0, le=2**31 - 1, description="版本，0 为申请稿；默认为现行版本 · 0: the application; else the present one")
    ] = None,
) -> Response:
    _own(services, id, visit)
    wanted = found(paper(services.register, id, services.clock(), version), "licence")
    catalogue, standing = services.register.catalogue(), wanted.standing
    if format == "note" and standing.note is None:
        raise REQUEST_FORMAT(asked="note")
    text = {
        "note": lambda: standing.note or "",
        "html": lambda: papers.html(wanted, catalogue),
        "md": lambda: papers.markdown(wanted, catalogue),
        "odrl": lambda: json.dumps(licence_odrl(wanted.licence, catalogue, standing), ensure_ascii=False, indent=2),
        "toml": lambda: as_toml(wanted.licence),
        "json": lambda: wanted.licence.model_dump_json(indent=2),
    }[format]()
    headers = {"ETag": f'"{standing.digest}-{format}-{standing.state}"', "Cache-Control": "private, no-cache"}
    if format == "html":
        headers["Content-Security-Policy"] = CSP
    return Response(text, headers=headers, media_type=_MEDIA[format])


# ── acts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.post(
    "/licences",
    status_code=201,
    summary="授予协议，不经申请 · Grant a licence without an application",
    description="含重要数据的须载明另一人提出的日志序号（proposal）。 · "
    "With data graded important, `proposal` names another person's proposal of the same.",
    responses=problems(400, 401, 403, 409, 413, 422),
    openapi_extra=roles("licence_grant"),
)
def grant(
    body: Agreed,
    services: Serving,
    visit: Annotated[Visit, door("licence_grant")],
    proposal: Annotated[int | None, Query(ge=0, le=2**53, description="提出的日志序号 · entry of the proposal")] = None,
) -> LicenceView:
    acts.grant_licence(services.register, body, by=visit.principal.id, proposal=proposal)
    return _view(services, body.id)


@router.post(
    "/licences/apply",
    status_code=201,
    summary="申请协议 · Apply for a licence",
    description="运营单位以自己的名义申请；决策文件、同意文件号等由数据局填写。 · "
    "An operator applies in its own name; what is the bureau's to say is left out.",
    responses=problems(400, 401, 403, 409, 413, 422),
    openapi_extra=roles("licence_apply"),
)
def apply(body: Agreed, services: Serving, visit: Annotated[Visit, door("licence_apply")]) -> LicenceView:
    found(body if body.operator == visit.principal.id else None, "licence")  # in another's name: as if it were not there
    acts.apply_licence(services.register, body, by=visit.principal.id)
    return _view(services, body.id)


@router.post(
    "/licences/propose",
    summary="提出授予或变更，由另一人办理 · Propose a grant or an amendment for another person to make",
    responses=problems(400, 401, 403, 409, 413, 422),
    openapi_extra=roles("licence_grant"),
)
def propose(body: Agreed, services: Serving, visit: Annotated[Visit, door("licence_grant")]) -> Proposed:
    return Proposed(proposal=acts.propose_licence(services.register, body, by=visit.principal.id))


@router.post(
    "/licences/{id}/consent",
    summary="来源部门同意 · The source body consents",
    description="有条件共享的数据，经提供数据的机构审核同意。 · For data shared on condition.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("licence_consent"),
)
def consent(id: str, body: ConsentRequest, services: Serving, visit: Annotated[Visit, door("licence_consent")]) -> LicenceView:
    _own(services, id, visit)
    acts.consent_licence(services.register, id, body.dataset, reference=body.reference, by=visit.principal.id)
    return _view(services, id)


@router.post(
    "/licences/{id}/decline",
    summary="不予授权 · Decline an application",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("licence_decline"),
)
def decline(id: str, body: Because, services: Serving, visit: Annotated[Visit, door("licence_decline")]) -> LicenceView:
    _own(services, id, visit)
    acts.decline_licence(services.register, id, reason=body.reason, by=visit.principal.id)
    return _view(services, id)


@router.post(
    "/licences/{id}/propose",
    summary="提出授予某申请，由另一人办理 · Propose to grant an application, for another person to do",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("licence_grant"),
)
def propose_application(id: str, body: GrantRequest, services: Serving, visit: Annotated[Visit, door("licence_grant")]) -> Proposed:
    _own(services, id, visit)
    whole = acts.application(services.register, id, decision=body.decision_document, approvals=body.second_approvals)
    return Proposed(proposal=acts.propose_licence(services.register, whole, by=visit.principal.id))


@router.post(
    "/licences/{id}/grant",
    summary="授予所申请的协议 · Grant what was applied for",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("licence_grant"),
)
def grant_application(id: str, body: GrantRequest, services: Serving, visit: Annotated[Visit, door("licence_grant")]) -> LicenceView:
    _own(services, id, visit)
    whole = acts.application(services.register, id, decision=body.decision_document, approvals=body.second_approvals)
    acts.grant_licence(services.register, whole, by=visit.principal.id, proposal=body.proposal)
    return _view(services, id)


@router.post(
    "/licences/{id}/amend",
    summary="变更或续期，账户不变 · Amend or renew; accounts are kept",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("licence_amend"),
)
def amend(id: str, body: AmendRequest, services: Serving, visit: Annotated[Visit, door("licence_amend")]) -> LicenceView:
    found(body.licence if body.licence.id == id else None, "licence")
    acts.amend_licence(services.register, body.licence, reason=body.reason, by=visit.principal.id, proposal=body.proposal)
    return _view(services, id)


@router.post(
    "/licences/{id}/suspend",
    summary="暂停：不再受理，也不再发布 · Suspend: nothing is admitted or published",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("licence_suspend"),
)
def suspend(id: str, body: Because, services: Serving, visit: Annotated[Visit, door("licence_suspend")]) -> LicenceView:
    _own(services, id, visit)
    acts.suspend_licence(services.register, id, reason=body.reason, by=visit.principal.id)
    return _view(services, id)


@router.post(
    "/licences/{id}/resume",
    summary="恢复 · Resume",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("licence_resume"),
)
def resume(id: str, body: Because, services: Serving, visit: Annotated[Visit, door("licence_resume")]) -> LicenceView:
    _own(services, id, visit)
    acts.resume_licence(services.register, id, reason=body.reason, by=visit.principal.id)
    return _view(services, id)


@router.post(
    "/licences/{id}/revoke",
    summary="撤销，不可恢复；按约定处置 · Revoke for good, and dispose as agreed",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("licence_revoke"),
)
def revoke(id: str, body: Because, services: Serving, visit: Annotated[Visit, door("licence_revoke")]) -> LicenceView:
    _own(services, id, visit)
    services.ended(acts.revoke_licence(services.register, id, reason=body.reason, by=visit.principal.id))
    return _view(services, id)
