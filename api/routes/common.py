"""What the endpoints' declarations share: answers that are problems, the caller's language, look-ups that end in 404."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from api.problems import MEDIA_TYPE, not_found
from api.services import Services, services_of
from policies.problem import Language
from policies.roles import MAY, Act

Found = TypeVar("Found")

# By reference, which the application's document resolves: given a model, FastAPI would make a validator of it for each status of each
# endpoint, twelve hundred that nobody asks, and a fifth of the time that a server takes to be imported.
PROBLEM = {"$ref": "#/components/schemas/ProblemView"}

_MEANING: dict[int, str] = {
    400: "不是 JSON · not JSON",
    401: "没有密钥或密钥无效 · no key, or an invalid key",
    403: "策略或角色不允许 · not allowed by policy or role",
    404: "没有，或不归您查看 · not found, or not visible to you",
    406: "没有这种格式 · no such format",
    409: "状态冲突 · state conflict",
    410: "已召回 · recalled",
    412: "内容已变 · the content has changed",
    413: "请求体过大 · body too large",
    416: "范围超出内容 · range outside the content",
    422: "请求不符合格式或不受支持 · does not fit the schema, or is not supported",
    429: "尝试过多，稍后再试 · too many attempts, try again later",
    502: "身份提供方不可用 · the identity provider is not available",
    500: "内部错误 · internal error",
    503: "尚未就绪或正在停止 · starting or stopping",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problem answers of an endpoint, for its OpenAPI entry. Every endpoint may fail with 500, and each that asks for a key with 429."""
    every = dict.fromkeys((*statuses, *((429,) if 401 in statuses else ()), 500))
    return {status: {"description": _MEANING[status], "content": {MEDIA_TYPE: {"schema": PROBLEM}}} for status in every}


def roles(act: Act) -> dict[str, Any]:
    """Which act an endpoint is, and which roles may do it, for the documentation: from the table that decides."""
    return {"x-act": act, "x-roles": sorted(MAY[act])}


def language_of(request: Request) -> Language:
    language: Language = request.state.language
    return language


def found(value: Found | None, what: str) -> Found:
    if value is None:
        raise not_found(what)
    return value


# Coroutines, though they wait for nothing: FastAPI asks everything else in a thread of its own, and each change of threads costs more than
# these do, most of all while jobs compute.
async def _services(request: Request) -> Services:
    return services_of(request)


async def _language(request: Request) -> Language:
    return language_of(request)


Serving = Annotated[Services, Depends(_services)]
Speaking = Annotated[Language, Depends(_language)]
