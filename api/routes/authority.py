"""The bureau's switch and the bureau's rules: freezes, and the policy that decides."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Guarded, Visit, door
from api.problems import REQUEST_INVALID
from api.routes.common import Serving, found, problems, roles
from api.schemas import (
    FreezeList,
    FreezeRequest,
    FreezeView,
    PolicyChecked,
    PolicyProposal,
    PolicyText,
    PolicyVersionList,
    PolicyVersionView,
    PolicyView,
    RuleView,
    ThawRequest,
)
from api.services import Services
from infra.database import reading
from jobs import acts, freezes, rulebook
from policies.authority import shipped
from policies.cases import cases_from_toml
from policies.change import checked, in_force
from policies.reasons import request_entry_invalid

router = APIRouter(prefix="/v1", tags=["authority"], route_class=Guarded)


@router.get(
    "/freezes",
    summary="应急处置 · Freezes",
    responses=problems(401, 403, 422),
    openapi_extra=roles("freeze_list"),
)
def list_freezes(
    services: Serving,
    visit: Annotated[Visit, door("freeze_list")],
    standing: Annotated[bool, Query(description="只列未解除的 · only those in force")] = False,
) -> FreezeList:
    return FreezeList(freezes=[_freeze(each) for each in freezes.all_freezes(services.register, standing=standing)])


@router.post(
    "/freezes",
    status_code=201,
    summary="应急暂停：一名监管员，立即生效 · Freeze: one supervisor, effective at once",
    description="不再受理、不再发布、不再提供；等待中的作业退回预留并拒绝，运行中的作业不发布（支出不退）。 · "
    "Nothing of it is admitted, published "
    "or served from now on; jobs that wait are refused and their reservation given back, jobs that run are not published (their charge stays).",
    responses=problems(400, 401, 403, 413, 422),
    openapi_extra=roles("freeze_set"),
)
def set_freeze(body: FreezeRequest, services: Serving, visit: Annotated[Visit, door("freeze_set")]) -> FreezeView:
    freeze = acts.set_freeze(services.register, body.scope, body.subject, reason=body.reason, by=visit.principal.id)
    return _one(services, freeze)


@router.post(
    "/freezes/{id}/thaw",
    summary="解除应急暂停：两名监管员，一人提议、一人确认 · Lift a freeze: one supervisor proposes, another confirms",
    description="不带 proposal 为提议，须写理由；带上他人提议的序号为确认。 · "
    "Without `proposal` it proposes and needs a reason; with the other's "
    "entry it confirms.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("freeze_thaw"),
)
def thaw(id: str, body: ThawRequest, services: Serving, visit: Annotated[Visit, door("freeze_thaw")]) -> FreezeView:
    if body.proposal is not None:
        acts.thaw(services.register, id, proposal=body.proposal, by=visit.principal.id)
    elif body.reason is not None:
        acts.propose_thaw(services.register, id, reason=body.reason, by=visit.principal.id)
    else:
        missing = request_entry_invalid(path="reason", reason_zh="提议须写理由", reason_en="a proposal needs a reason")
        raise REQUEST_INVALID().with_parts((missing,))
    return _one(services, id)


def _one(services: Services, id: str) -> FreezeView:
    with reading(services.register.engine) as connection:
        return _freeze(found(freezes.one(connection, id), "freeze"))


def _freeze(freeze: freezes.Freeze) -> FreezeView:
    return FreezeView.model_validate(asdict(freeze))


@router.get(
    "/policy",
    summary="现行策略：底线、规则、案例与模型 · The policy in force: floor, rules, cases and schema",
    responses=problems(401, 403),
    openapi_extra=roles("policy_show"),
)
def policy(services: Serving, visit: Annotated[Visit, door("policy_show")]) -> PolicyView:
    with reading(services.register.engine) as connection:
        document = rulebook.document_in_force(connection)
    return _policy(services, document)


@router.get(
    "/policy/versions",
    summary="策略的历次提议与变更 · All proposals and changes of the policy",
    responses=problems(401, 403),
    openapi_extra=roles("policy_show"),
)
def versions(services: Serving, visit: Annotated[Visit, door("policy_show")]) -> PolicyVersionList:
    return PolicyVersionList(versions=[_version(each) for each in rulebook.versions(services.register)])


@router.get(
    "/policy/versions/{id}",
    summary="某一版本的策略，以文件摘要指名 · A policy by the digest of its document",
    responses=problems(401, 403, 404),
    openapi_extra=roles("policy_show"),
)
def version(id: str, services: Serving, visit: Annotated[Visit, door("policy_show")]) -> PolicyView:
    return _policy(services, id)


@router.post(
    "/policy/check",
    summary="检查一份策略，不作变更 · Check a policy; nothing changes",
    responses=problems(400, 401, 403, 413, 422),
    openapi_extra=roles("policy_change"),
)
def check(body: PolicyText, visit: Annotated[Visit, door("policy_change")]) -> PolicyChecked:
    authority = checked(body.rules, body.cases)
    return PolicyChecked(policy=authority.digest, rules=len(authority.rules), cases=len(cases_from_toml(body.cases).cases))


@router.post(
    "/policy/proposals",
    status_code=201,
    summary="提议变更策略 · Propose a change of policy",
    description="先按模型校验，再跑完全部案例，全部通过才记入日志；底线不可删改。 · "
    "Validated against the schema and tried on all its cases before it is "
    "written down. The floor cannot be changed.",
    responses=problems(400, 401, 403, 409, 413, 422),
    openapi_extra=roles("policy_change"),
)
def propose(body: PolicyProposal, services: Serving, visit: Annotated[Visit, door("policy_change")]) -> PolicyVersionView:
    entry = acts.propose_policy(services.register, body.rules, body.cases, reason=body.reason, by=visit.principal.id)
    return _entry(services, entry)


@router.post(
    "/policy/proposals/{id}/confirm",
    summary="另一名监管员确认，策略立即生效 · Another supervisor confirms: in force at once",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("policy_change"),
)
def confirm(id: int, services: Serving, visit: Annotated[Visit, door("policy_change")]) -> PolicyVersionView:
    acts.change_policy(services.register, proposal=id, by=visit.principal.id)
    return _entry(services, id)


def _entry(services: Services, entry: int) -> PolicyVersionView:
    return _version(found(next((each for each in rulebook.versions(services.register) if each.entry == entry), None), "policy"))


def _version(version: rulebook.Version) -> PolicyVersionView:
    return PolicyVersionView.model_validate({**asdict(version), "before": version.before or None})


def _policy(services: Services, document: str | None) -> PolicyView:
    rules, cases = found(rulebook.texts(services.register, document), "policy")
    authority = in_force(rules)
    return PolicyView(
        policy=authority.digest,
        document=document,
        rules=rules,
        cases=cases,
        floor=shipped("floor.cedar"),
        floor_cases=shipped("floor.toml"),
        model=shipped("schema.cedarschema"),
        table=[
            RuleView(id=rule.id, floor=rule.floor, title_zh=rule.title_zh, title_en=rule.title_en, basis=rule.basis)
            for rule in authority.rules.values()
        ],
    )
