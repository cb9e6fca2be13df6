"""Webhooks: subscribe to what happens to products, see what was sent, close again. Each principal its own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, found, problems, roles
from api.schemas.webhooks import WebhookAsked, WebhookList, WebhookMessages, WebhookOpened, WebhookTried, WebhookView
from api.services import Services
from infra.webhooks import secret_text
from jobs.webhooks import Hook, hooks

router = APIRouter(prefix="/v1/webhooks", tags=["products"], route_class=Guarded)


def _own(services: Services, id: str, visit: Visit) -> Hook:
    mine = hooks.hooks_of(services.register, visit.principal.id)
    return found(next((hook for hook in mine if hook.id == id), None), "webhook")


def _view(hook: Hook) -> WebhookView:
    return WebhookView.model_validate({**asdict(hook), "topics": list(hook.topics)})


def _opened(services: Services, hook: Hook) -> WebhookOpened:
    return WebhookOpened(webhook=_view(hook), secret=secret_text(hooks.secret(services.register.key_ring, hook.id, hook.generation)))


@router.get("", summary="自己的订阅 · Your webhooks", responses=problems(401, 403), openapi_extra=roles("webhook_manage"))
def list_webhooks(services: Serving, visit: Annotated[Visit, door("webhook_manage")]) -> WebhookList:
    return WebhookList(webhooks=[_view(hook) for hook in hooks.hooks_of(services.register, visit.principal.id)])


@router.post(
    "",
    status_code=201,
    summary="订阅产品的新版本、召回等；得到签名密钥 · Subscribe to new versions, recalls and the like; the secret is in the answer",
    description="按 Standard Webhooks 1.0.0 签名；只向公网 https 地址发送，不跟随跳转；未被接受的按间隔重试。 · "
    "Signed by Standard Webhooks 1.0.0. Sent to public https addresses alone, no redirect followed; tried again at growing intervals.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("webhook_manage"),
)
def open_webhook(body: WebhookAsked, services: Serving, visit: Annotated[Visit, door("webhook_manage")]) -> WebhookOpened:
    return _opened(services, hooks.open_hook(services.register, body.url, body.topics, body.subject, by=visit.principal.id))


@router.post(
    "/{id}/rotate",
    summary="更换签名密钥；旧密钥再用一天 · Another secret; the one before signs too, for a day",
    responses=problems(401, 403, 404),
    openapi_extra=roles("webhook_manage"),
)
def rotate(id: str, services: Serving, visit: Annotated[Visit, door("webhook_manage")]) -> WebhookOpened:
    hooks.rotate_hook(services.register, _own(services, id, visit).id)
    return _opened(services, _own(services, id, visit))


@router.post(
    "/{id}/test",
    status_code=202,
    summary="发送一条测试消息 · Send a trial",
    responses=problems(401, 403, 404),
    openapi_extra=roles("webhook_manage"),
)
def trial(id: str, services: Serving, visit: Annotated[Visit, door("webhook_manage")]) -> WebhookTried:
    message = hooks.try_hook(services.register, _own(services, id, visit).id)
    services.webhooks.wake()
    return WebhookTried(message=message)


@router.post(
    "/{id}/close",
    summary="关闭订阅；尚未送达的不再发送 · Close it; what waits is not sent",
    responses=problems(401, 403, 404),
    openapi_extra=roles("webhook_manage"),
)
def close(id: str, services: Serving, visit: Annotated[Visit, door("webhook_manage")]) -> WebhookView:
    hooks.close_hook(services.register, _own(services, id, visit).id)
    return _view(_own(services, id, visit))


@router.get(
    "/{id}/messages",
    summary="发送记录：每条消息的每次尝试 · What was sent: every message with every attempt",
    responses=problems(401, 403, 404),
    openapi_extra=roles("webhook_manage"),
)
def messages(id: str, services: Serving, visit: Annotated[Visit, door("webhook_manage")]) -> WebhookMessages:
    sent = hooks.messages_of(services.register, _own(services, id, visit).id)
    return WebhookMessages.model_validate({"messages": [asdict(message) for message in sent]})
