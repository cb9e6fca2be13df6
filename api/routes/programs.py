"""The algorithm registry: submit, read, review, withdraw, invalidate."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, found, problems, roles
from api.schemas import ProgramDetail, ProgramList, ProgramPackage, ProgramVerdict, ProgramView, ReasonGiven, ReportView
from api.schemas.programs import LibrariesView, LibraryView
from api.schemas.runs import CallView, ProgramTest, ProgramTested
from api.services import Services
from infra.database import reading
from jobs import acts, programs, trials
from jobs.cells import libraries, libraries_digest
from jobs.programs import Program
from sandbox.program.explain import explain

router = APIRouter(prefix="/v1/programs", tags=["programs"], route_class=Guarded)


@router.get("", summary="算法登记册 · Registered programs", responses=problems(401, 403), openapi_extra=roles("program_list"))
def list_programs(services: Serving, visit: Annotated[Visit, door("program_list")]) -> ProgramList:
    return ProgramList(programs=[_view(each) for each in programs.all_programs(services.register, visit.only)])


@router.post(
    "",
    status_code=201,
    summary="提交算法 · Submit a program",
    description="只解析、不运行；路径越界、符号链接、过大、可用模块以外的引用、颠倒的范围等，逐条指出位置并拒绝。 · "
    "Parsed, never run. Paths that leave the package, links, excess, imports outside the locked set, reversed ranges: refused, each located.",
    responses=problems(400, 401, 403, 409, 413, 422),
    openapi_extra=roles("program_submit"),
)
def submit(body: ProgramPackage, services: Serving, visit: Annotated[Visit, door("program_submit")]) -> ProgramView:
    return _one(services, acts.submit_program(services.register, body.package, by=visit.principal.id))


@router.post(
    "/test",
    summary="在虚构数据上试运行算法，附全部报错信息，免费 · Try a program on invented rows, with every traceback, free",
    description="数据只由目录虚构，因此程序的输出、警告与报错可全部告知提交者；不登记、不读数据、不扣预算。 · "
    "Rows are made from the catalogue alone, so all that the program says may be told. Nothing is registered, read or spent.",
    responses=problems(400, 401, 403, 413, 422, 503),
    openapi_extra=roles("program_test"),
)
def test(body: ProgramTest, services: Serving, visit: Annotated[Visit, door("program_test")]) -> ProgramTested:
    trial = trials.tried(services.office, body.package, body.run)
    outputs = [output.label for output in trial.plan.plan.outputs]
    calls = [CallView(rows=call.rows, values=None if call.values is None else list(call.values), text=call.text) for call in trial.calls]
    return ProgramTested(digest=trial.digest, outputs=outputs, calls=calls, explanation=explain(trial.plan))


@router.get(
    "/{id}",
    summary="一个算法：清单、源代码与静态报告 · One program: manifest, sources, static report",
    responses=problems(401, 403, 404),
    openapi_extra=roles("program_list"),
)
def show(id: str, services: Serving, visit: Annotated[Visit, door("program_list")]) -> ProgramDetail:
    with reading(services.register.engine) as connection:
        program = programs.program(connection, id)
        own = program is not None and visit.only in (None, program.author)
        program = found(program if own else None, "program")
        package = found(programs.package(connection, id), "program")
    report = ReportView.model_validate(asdict(programs.report_of(package)))
    return ProgramDetail(
        program=_view(program),
        parameters_schema=package.manifest.parameters_schema,
        libraries=LibrariesView(
            digest=libraries_digest(), libraries=[LibraryView(name=each.name, version=each.version) for each in libraries()]
        ),
        manifest=package.manifest,
        manifest_text=package.manifest_text,
        files=dict(package.files),
        report=report,
    )


@router.post(
    "/{id}/reviews",
    summary="审查：两名审核员各一次，均不得是提交者 · Review: two reviewers, once each, neither its author",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("program_review"),
)
def review(id: str, body: ProgramVerdict, services: Serving, visit: Annotated[Visit, door("program_review")]) -> ProgramView:
    acts.review_program(services.register, id, body.verdict, reason=body.reason, by=visit.principal.id)
    return _one(services, id)


@router.post(
    "/{id}/withdraw",
    summary="撤回自己的算法 · Withdraw a program of one's own",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("program_withdraw"),
)
def withdraw(id: str, body: ReasonGiven, services: Serving, visit: Annotated[Visit, door("program_withdraw")]) -> ProgramView:
    with reading(services.register.engine) as connection:
        program = programs.program(connection, id)
    found(program if program is not None and visit.only in (None, program.author) else None, "program")
    acts.withdraw_program(services.register, id, reason=body.reason, by=visit.principal.id)
    return _one(services, id)


@router.post(
    "/{id}/invalidate",
    summary="使已批准的算法失效，立即生效 · Make an approved program invalid, at once",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("program_invalidate"),
)
def invalidate(id: str, body: ReasonGiven, services: Serving, visit: Annotated[Visit, door("program_invalidate")]) -> ProgramView:
    acts.invalidate_program(services.register, id, reason=body.reason, by=visit.principal.id)
    return _one(services, id)


def _one(services: Services, digest: str) -> ProgramView:
    with reading(services.register.engine) as connection:
        return _view(found(programs.program(connection, digest), "program"))


def _view(program: Program) -> ProgramView:
    return ProgramView.model_validate(asdict(program))
