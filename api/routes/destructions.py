"""Data destroyed for good: proposed by one, confirmed by another, keys gone at once."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, found, problems, roles
from api.schemas.destructions import DestructionEffect, DestructionList, DestructionRequest, DestructionView
from api.services import Services
from jobs.acts import destructions
from sandbox.raw.custody import Reach

router = APIRouter(prefix="/v1/destructions", tags=["register"], route_class=Guarded)


@router.get(
    "",
    summary="数据销毁：提议与执行 · Data destruction: proposed and carried out",
    responses=problems(401, 403),
    openapi_extra=roles("destruction_list"),
)
def listed(services: Serving, visit: Annotated[Visit, door("destruction_list")]) -> DestructionList:
    return DestructionList(destructions=[DestructionView(**asdict(each)) for each in destructions.all_destructions(services.register)])


@router.get(
    "/effect",
    summary="销毁的影响：哪些版本不可再读、哪些版本仍保留其分片 · Effects of destruction: which versions end, and which keep its shards",
    responses=problems(401, 403, 404, 409, 422, 503),
    openapi_extra=roles("destruction_list"),
)
def effect(
    services: Serving,
    visit: Annotated[Visit, door("destruction_list")],
    dataset: Annotated[str, Query(min_length=1, max_length=63, description="数据集 · the dataset")],
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="版本；默认为整个数据集 · the version; else the dataset")] = None,
) -> DestructionEffect:
    seen = found(destructions.effect_of(services.register, services.vault, dataset, version), "dataset")
    return DestructionEffect(dataset=seen.dataset, version=seen.version, withdrawn=seen.withdrawn, **_lists(seen.reach))


def _lists(reach: Reach) -> dict[str, list[int]]:
    return {"ends": list(reach.ends), "kept_by": list(reach.kept_by), "keeps": list(reach.keeps)}


@router.post(
    "/proposals",
    status_code=201,
    summary="提议销毁已撤回的数据 · Propose to destroy withdrawn data",
    responses=problems(400, 401, 403, 409, 413, 422),
    openapi_extra=roles("destruction_propose"),
)
def propose(body: DestructionRequest, services: Serving, visit: Annotated[Visit, door("destruction_propose")]) -> DestructionView:
    entry = destructions.propose_destruction(services.register, body.dataset, version=body.version, reason=body.reason, by=visit.principal.id)
    return _one(services, entry)


@router.post(
    "/proposals/{id}/confirm",
    summary="另一人确认：密钥立即销毁，不可恢复 · Another person confirms: its keys are destroyed at once, for good",
    description="其他版本保留的分片仍可由该版本读取。备份若含密钥，须另行处置，见 docs/how-to/keys.md。 · "
    "Files that another version keeps can be read through that version. A backup that has keys is to be dealt with apart: docs/how-to/keys.md.",
    responses=problems(400, 401, 403, 404, 409, 413, 422, 503),
    openapi_extra=roles("destruction_confirm"),
)
def confirm(id: int, services: Serving, visit: Annotated[Visit, door("destruction_confirm")]) -> DestructionView:
    done = destructions.confirm_destruction(services.register, services.vault, id, by=visit.principal.id)
    services.forgetting.wake()
    return DestructionView(**asdict(done))


def _one(services: Services, entry: int) -> DestructionView:
    every = destructions.all_destructions(services.register)
    return DestructionView(**asdict(found(next((each for each in every if each.entry == entry), None), "dataset")))
