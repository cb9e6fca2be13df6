"""The rules that exact tables are checked by: the pack in force, and its change by two supervisors."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, found, problems, roles
from api.schemas.rule_packs import (
    PackChecked,
    PackList,
    PackProposal,
    PackRuleView,
    PackText,
    PackVersionView,
    PackView,
)
from api.services import Services
from infra.database import reading
from jobs import acts
from jobs.lane import packs
from policies.disclosure.pack import RulePack, shipped_pack, shipped_pack_text, shipped_packs, words

router = APIRouter(prefix="/v1/rule-packs", tags=["authority"], route_class=Guarded)


@router.get(
    "",
    summary="披露控制规则包：现行的、随程序发布的、历次提议 · Rule packs: in force, shipped, proposed",
    responses=problems(401, 403),
    openapi_extra=roles("pack_show"),
)
def show(services: Serving, visit: Annotated[Visit, door("pack_show")]) -> PackList:
    with reading(services.register.engine) as connection:
        pack = packs.pack_in_force(connection, services.settings)
        document = packs.document_in_force(connection)
    versions = packs.versions(services.register)
    text = next((each.text for each in versions if each.document == document), None) or shipped_pack_text(pack.name)
    return PackList(
        in_force=_pack(pack, document, text),
        shipped=[_pack(shipped_pack(name), None, shipped_pack_text(name)) for name in shipped_packs()],
        versions=[_version(each) for each in versions],
    )


@router.post(
    "/check",
    summary="检查一份规则包，不作变更 · Check a rule pack; nothing changes",
    responses=problems(400, 401, 403, 413, 422),
    openapi_extra=roles("pack_change"),
)
def check(body: PackText, visit: Annotated[Visit, door("pack_change")]) -> PackChecked:
    pack = acts.check_pack(body.text)
    return PackChecked(pack=pack.digest, name=pack.name, version=pack.version, rules=len(pack.rules))


@router.post(
    "/proposals",
    status_code=201,
    summary="提议变更规则包 · Propose a change of the rule pack",
    description="格式有误或低于底线的不记入日志：最少单元数、集中度与差分规则不可去除。 · "
    "A text that is no pack, or is below the floor, is not written down: rules on few units, dominance and differencing stay.",
    responses=problems(400, 401, 403, 409, 413, 422),
    openapi_extra=roles("pack_change"),
)
def propose(body: PackProposal, services: Serving, visit: Annotated[Visit, door("pack_change")]) -> PackVersionView:
    return _entry(services, acts.propose_pack(services.register, body.text, reason=body.reason, by=visit.principal.id))


@router.post(
    "/proposals/{id}/confirm",
    summary="另一名监管员确认，规则包立即生效 · Another supervisor confirms: in force at once",
    description="此后封存、放行的表都按新规则包；已封存的，放行前按新规则包重新检查。 · "
    "Tables are held and let out under it from now on; what is held already is checked again before it leaves.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("pack_change"),
)
def confirm(id: int, services: Serving, visit: Annotated[Visit, door("pack_change")]) -> PackVersionView:
    acts.change_pack(services.register, proposal=id, by=visit.principal.id)
    return _entry(services, id)


def _entry(services: Services, entry: int) -> PackVersionView:
    return _version(found(next((each for each in packs.versions(services.register) if each.entry == entry), None), "policy"))


def _version(version: packs.Version) -> PackVersionView:
    return PackVersionView.model_validate({**asdict(version), "before": version.before or None})


def _pack(pack: RulePack, document: str | None, text: str) -> PackView:
    told = words()
    rules = [
        PackRuleView(
            id=rule.id,
            kind=rule.kind,
            severity=rule.severity,
            title_zh=told[rule.kind].title.zh,
            title_en=told[rule.kind].title.en,
            source=rule.source,
        )
        for rule in pack.rules
    ]
    title = {"title_zh": pack.title.zh, "title_en": pack.title.en}
    return PackView(pack=pack.digest, name=pack.name, version=pack.version, **title, document=document, text=text, rules=rules)
