"""The catalogue: datasets found and shown, their versions, their metadata in other catalogues' words, and taking them back."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Response

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, found, problems, roles
from api.schemas import DatasetList, DatasetView
from api.schemas.catalogue import (
    Checked,
    DatasetVersions,
    DatasetVersionView,
    LineageView,
    RegistrationRequest,
    WithdrawRequest,
)
from api.services import Services
from api.views import dataset_view
from infra.database import reading
from jobs import acts, directory
from jobs.directory import Registered
from policies.agreement import as_toml
from policies.catalogue import datasets_of, from_json_ld, search, to_csvw, to_dcat

router = APIRouter(prefix="/v1", tags=["register"], route_class=Guarded)

Metadata = Literal["dcat", "csvw", "toml", "json"]
_MEDIA: dict[Metadata, str] = {
    "dcat": "application/ld+json",
    "csvw": "application/csvm+json",
    "toml": "application/toml",
    "json": "application/json",
}
_CONTENT = {media: {"schema": {"type": "object" if media.endswith("json") else "string"}} for media in _MEDIA.values()}
_SEES_LINEAGE = ("steward", "supervisor", "auditor")


@router.get(
    "/datasets",
    summary="数据目录，可检索 · The catalogue, searchable",
    description="按名称、标题、列、来源部门、登记号、分级检索，中文按相邻两字匹配；最相关的在前。 · "
    "By name, title, column, source body, registration number and grade; Chinese by pairs of characters. Best first.",
    responses=problems(401, 403, 422),
    openapi_extra=roles("dataset_list"),
)
def datasets(
    services: Serving,
    visit: Annotated[Visit, door("dataset_list")],
    q: Annotated[str, Query(max_length=200, description="检索词；默认为全部 · search words; all by default")] = "",
) -> DatasetList:
    return DatasetList(datasets=[dataset_view(snapshot) for snapshot in search(services.register.catalogue().values(), q)])


@router.get(
    "/catalogue",
    response_class=Response,
    summary="整个目录，DCAT（JSON-LD） · The whole catalogue as DCAT in JSON-LD",
    responses={200: {"description": "DCAT", "content": {"application/ld+json": {"schema": {"type": "object"}}}}, **problems(401, 403)},
    openapi_extra=roles("dataset_list"),
)
def catalogue(services: Serving, visit: Annotated[Visit, door("dataset_list")]) -> Response:
    return _answer(to_dcat(services.register.catalogue().values()), "dcat")


@router.post(
    "/catalogue/check",
    summary="核对目录文件：DCAT、CSVW 或目录条目；不登记 · Check a catalogue document (DCAT, CSVW or an entry); nothing is registered",
    responses=problems(400, 401, 403, 413, 422),
    openapi_extra=roles("dataset_register"),
)
def check(
    services: Serving,
    visit: Annotated[Visit, door("dataset_register")],
    body: Annotated[
        dict[str, Any],
        Body(
            description="DCAT 目录或数据集、CSVW 元数据、或目录条目 · DCAT, CSVW metadata, or an entry",
            examples=[{"@type": "Catalog", "dataset": []}],
        ),
    ],
) -> Checked:
    found = from_json_ld(body) if any(key.startswith("@") for key in body) else datasets_of(body)
    with reading(services.register.engine) as connection:
        for dataset in found:
            acts.may_part(dataset, connection)
    return Checked(datasets=found)


@router.get(
    "/datasets/{name}",
    summary="一个数据集 · One dataset",
    responses=problems(401, 403, 404),
    openapi_extra=roles("dataset_list"),
)
def dataset(name: str, services: Serving, visit: Annotated[Visit, door("dataset_list")]) -> DatasetView:
    return dataset_view(found(services.register.catalogue().get(name), "dataset"))


@router.get(
    "/datasets/{name}/metadata",
    response_class=Response,
    summary="一个数据集的元数据：DCAT、CSVW、TOML、JSON · A dataset's metadata: DCAT, CSVW, TOML, JSON",
    responses={200: {"description": "元数据 · the metadata", "content": _CONTENT}, **problems(401, 403, 404, 422)},
    openapi_extra=roles("dataset_list"),
)
def metadata(
    name: str,
    services: Serving,
    visit: Annotated[Visit, door("dataset_list")],
    format: Annotated[Metadata, Query(description="格式 · format")] = "dcat",
) -> Response:
    snapshot = found(services.register.catalogue().get(name), "dataset")
    if format == "toml":
        return Response(as_toml(snapshot.dataset), media_type=_MEDIA["toml"])
    made: dict[str, Any] = {
        "dcat": lambda: to_dcat([snapshot]),
        "csvw": lambda: to_csvw(snapshot),
        "json": lambda: snapshot.dataset.model_dump(mode="json"),
    }[format]()
    return _answer(made, format)


def _answer(document: dict[str, Any], form: Metadata) -> Response:
    return Response(json.dumps(document, ensure_ascii=False, indent=2), media_type=_MEDIA[form])


@router.get(
    "/datasets/{name}/versions",
    summary="数据集的各版本、来源与登记状态 · A dataset's versions, their sources, and its registration",
    responses=problems(401, 403, 404),
    openapi_extra=roles("dataset_list"),
)
def versions(name: str, services: Serving, visit: Annotated[Visit, door("dataset_list")]) -> DatasetVersions:
    return _versions(services, name, visit)


def _versions(services: Services, name: str, visit: Visit) -> DatasetVersions:
    row = _registered(services, name)
    with reading(services.register.engine) as connection:
        records = directory.versions_of(connection, name)

    def lineage(commitment: str | None) -> LineageView | None:
        sealed = services.register.opening(commitment) if commitment and visit.principal.role in _SEES_LINEAGE else None
        return None if sealed is None else LineageView.model_validate_json(sealed)

    return DatasetVersions.model_validate(
        {
            "name": row.name,
            "state": row.state,
            "registration": row.registration,
            "versions": [
                DatasetVersionView.model_validate(
                    {name: getattr(record, name) for name in ("version", "digest", "state", "ingested_at", "ingested_by")}
                    | {"lineage": lineage(record.lineage)}
                )
                for record in records
            ],
        }
    )


def _registered(services: Services, name: str) -> Registered:
    with reading(services.register.engine) as connection:
        rows = {row.name.casefold(): row for row in directory.registered(connection)}
    return found(rows.get(name.casefold()), "dataset")


@router.post(
    "/datasets/{name}/withdraw",
    summary="撤回数据集或一个版本 · Withdraw a dataset or one version",
    description="此后不再受理其上的作业，运行中的作业不发布。 · From then on jobs on it are refused, and running jobs are not published.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("dataset_withdraw"),
)
def withdraw(name: str, body: WithdrawRequest, services: Serving, visit: Annotated[Visit, door("dataset_withdraw")]) -> DatasetVersions:
    _registered(services, name)
    acts.withdraw_dataset(services.register, name, reason=body.reason, version=body.version, by=visit.principal.id)
    return _versions(services, name, visit)


@router.post(
    "/datasets/{name}/registration",
    summary="登记状态前进一级：受理、形式审核、公示、赋码 · Advance the registration by one state",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("registration_move"),
)
def registration(
    name: str, body: RegistrationRequest, services: Serving, visit: Annotated[Visit, door("registration_move")]
) -> DatasetVersions:
    _registered(services, name)
    acts.move_registration(services.register, name, body.to, by=visit.principal.id)
    return _versions(services, name, visit)
