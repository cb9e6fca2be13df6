"""Reports: which there are, previews, issuing, and the files of those issued. An operator sees its own; builders see none."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import JSONResponse, Response

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, Speaking, found, problems, roles
from api.schemas.reports import (
    IssuedReport,
    IssuedReports,
    PairView,
    ReportAsked,
    ReportDocument,
    ReportFileView,
    ReportForm,
    ReportKindName,
    ReportKinds,
)
from api.services import Services
from jobs.reports import KINDS, Asked, make
from jobs.reports.articles import BASIS
from jobs.reports.files import TYPES, File, written
from jobs.reports.html import CSP
from jobs.reports.issue import Issued, fetched, issue, issued, listed, names, statement
from policies.catalogue import Identifier
from policies.period import PATTERN
from policies.problem import Language

router = APIRouter(prefix="/v1/reports", tags=["reports"], route_class=Guarded)

_PERIOD = "按年 2026、按季 2026-Q4 或按月 2026-11；备案不写 · a year, quarter or month: 2026, 2026-Q4, 2026-11; none for a filing"
_MEDIA = [form.media.partition(";")[0] for form in TYPES.values()]
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "文件 · the file",
        "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in _MEDIA}
        | {"application/json": {"schema": {"$ref": "#/components/schemas/ReportDocument"}}},
    }
}
Spoken = Annotated[Language | None, Query(description="文件的语言；默认随请求 · the file's language; the request's if not given")]
Within = Annotated[str | None, Query(pattern=PATTERN, description=_PERIOD)]
About = Annotated[Identifier | None, Query(description="运营单位；备案为协议编号 · the operator; of a filing, the licence")]
Id = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]


def _view(each: Issued) -> IssuedReport:
    called = names(each)
    files = [
        ReportFileView.model_validate({"form": form, "language": language or None, "name": called[form, language], "sha256": sha256})
        for form, language, sha256 in each.files
    ]
    title = KINDS[each.kind].title
    return IssuedReport(
        id=each.id,
        kind=each.kind,
        title=PairView(zh=title.zh, en=title.en),
        period=each.period,
        subject=each.subject,
        owner=each.owner,
        size=each.size,
        root=each.root,
        document=each.document,
        issued_by=each.issued_by,
        issued_at=each.issued_at,
        log_index=each.entry,
        files=files,
    )


def _own(services: Services, id: str, visit: Visit) -> Issued:
    each = issued(services.register, id)
    return found(each if each is not None and visit.only in (None, each.owner) else None, "report")


def _sent(file: File) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{file.name}"',
        "Content-Security-Policy": CSP,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
        "ETag": f'"{file.sha256}"',
    }
    return Response(file.body, media_type=TYPES[file.form].media, headers=headers)


@router.get(
    "/kinds",
    summary="报告种类、周期与依据 · Kinds of report, their periods, and the articles they serve",
    responses=problems(401, 403),
    openapi_extra=roles("report_list"),
)
def kinds(visit: Annotated[Visit, door("report_list")]) -> ReportKinds:
    return ReportKinds.model_validate(
        {
            "kinds": [
                {
                    "kind": kind.name, "title": kind.title.model_dump(), "about": kind.about.model_dump(),
                    "basis": [each.model_dump() for each in BASIS[kind.name]], "periods": kind.periods, "early": kind.early,
                }
                for kind in KINDS.values()
            ]
        }
    )  # fmt: skip


@router.get(
    "/preview",
    response_class=Response,
    summary="预览，不签发 · A preview: made now, entered nowhere",
    description="只依据登记册编制；`size` 指定较早的登记册规模，则得到当时的报告，逐字节相同。 · "
    "Made from the register alone; with `size`, as of that many entries: the same bytes whenever it is asked.",
    responses={**_BYTES, **problems(401, 403, 404, 422)},
    openapi_extra=roles("report_preview"),
)
def preview(
    services: Serving,
    speaking: Speaking,
    visit: Annotated[Visit, door("report_preview")],
    kind: ReportKindName,
    period: Within = None,
    subject: About = None,
    size: Annotated[int | None, Query(ge=1, le=2**53, description="登记册规模 · size of the register")] = None,
    format: ReportForm = "json",
    language: Spoken = None,
) -> Response:
    report = make(services.register, Asked.of(kind, period, subject), size)
    return _sent(written(report, format, language or speaking))


@router.get(
    "",
    summary="已签发的报告，新的在前 · Reports issued, newest first",
    responses=problems(401, 403, 422),
    openapi_extra=roles("report_list"),
)
def reports(
    services: Serving,
    visit: Annotated[Visit, door("report_list")],
    kind: ReportKindName | None = None,
    period: Within = None,
    limit: Annotated[int, Query(ge=1, le=200, description="最多几条 · at most this many")] = 50,
    before: Annotated[int | None, Query(ge=0, le=2**53, description="上一页的 `next` · `next` of the page before")] = None,
) -> IssuedReports:
    seen = listed(services.register, owner=visit.only, kind=kind, period=period, before=before, limit=limit + 1)
    more = len(seen) > limit
    return IssuedReports(reports=[_view(each) for each in seen[:limit]], next=seen[limit - 1].entry if more else None)


@router.post(
    "",
    status_code=201,
    summary="签发：编制各文件，摘要入册并签名 · Issue one: its files are made, their digests entered in the register and signed",
    description="周期结束之后签发；备案与事件报告可随时签发。 · After the period's end; filings and incident reports at any time.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("report_issue"),
)
def issue_report(body: ReportAsked, services: Serving, visit: Annotated[Visit, door("report_issue")]) -> IssuedReport:
    return _view(issue(services.register, Asked.of(body.kind, body.period, body.subject), by=visit.principal.id))


@router.get(
    "/{id}",
    summary="一份已签发的报告及其文件 · One report issued, with its files",
    responses=problems(401, 403, 404, 422),
    openapi_extra=roles("report_list"),
)
def report(id: Id, services: Serving, visit: Annotated[Visit, door("report_list")]) -> IssuedReport:
    return _view(_own(services, id, visit))


@router.get(
    "/{id}/document",
    summary="报告的内容，作为数据 · The report as data",
    responses=problems(401, 403, 404, 422),
    openapi_extra=roles("report_list"),
    response_model=ReportDocument,
)
def document(id: Id, services: Serving, visit: Annotated[Visit, door("report_list")]) -> Response:
    return JSONResponse(_json(services, _own(services, id, visit)))


def _json(services: Services, each: Issued) -> Any:
    return json.loads(fetched(services.register, each, "json", "zh").body)


@router.get(
    "/{id}/files/{form}",
    response_class=Response,
    summary="下载一个文件，与签发时逐字节相同 · Fetch a file, byte for byte as it was issued",
    responses={**_BYTES, **problems(401, 403, 404, 409, 422)},
    openapi_extra=roles("report_list"),
)
def file(
    id: Id,
    form: ReportForm,
    services: Serving,
    speaking: Speaking,
    visit: Annotated[Visit, door("report_list")],
    language: Spoken = None,
) -> Response:
    return _sent(fetched(services.register, _own(services, id, visit), form, language or speaking))


@router.get(
    "/{id}/statement",
    summary="签名声明：各文件的摘要与存证回执，可离线核验 · The signed statement about its files, which verifies offline",
    description="DSSE 封装的 in-toto 声明。 · An in-toto statement in a DSSE envelope.",
    responses=problems(401, 403, 404, 422),
    openapi_extra=roles("report_list"),
)
def signed(id: Id, services: Serving, visit: Annotated[Visit, door("report_list")]) -> dict[str, Any]:
    return statement(services.register, _own(services, id, visit))
