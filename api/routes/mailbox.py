"""Notifications by mail: one address for each principal, confirmed by a code that is sent to it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, found, problems, roles
from api.schemas.mailbox import MailboxAsked, MailboxCode, MailboxView, MailMessages, MailSent
from jobs.webhooks import hooks, mailboxes
from jobs.webhooks.hooks import MAILTO, Hook

router = APIRouter(prefix="/v1/mailbox", tags=["notifications"], route_class=Guarded)
Coming = Annotated[Visit, door("mail_manage")]


def _view(box: Hook) -> MailboxView:
    return MailboxView.model_validate(
        {
            "address": box.url.removeprefix(MAILTO), "topics": list(box.topics), "state": box.state, "opened_at": box.opened_at,
            "changed_at": box.changed_at,
        }
    )  # fmt: skip


@router.get(
    "", summary="自己的通知邮箱 · Your address for notifications", responses=problems(401, 403, 404), openapi_extra=roles("mail_manage")
)
def mailbox(services: Serving, visit: Coming) -> MailboxView:
    return _view(found(mailboxes.mailbox_of(services.register, visit.principal.id), "mailbox"))


@router.post(
    "",
    status_code=201,
    summary="设置邮箱与事项；向新地址发送确认码 · Set the address and what it is told of; a new one is sent a code",
    description="双语纯文本，不含任何数据；未确认的地址只收到确认码。发送失败按网络回调的间隔重试。 · "
    "Plain text in both languages, nothing of the data. An address not confirmed is sent its code alone. Tried again as webhooks are.",
    responses=problems(400, 401, 403, 409, 413, 422),
    openapi_extra=roles("mail_manage"),
)
def set_mailbox(body: MailboxAsked, services: Serving, visit: Coming) -> MailboxView:
    box = mailboxes.set_mailbox(services.register, body.address, body.topics, by=visit.principal.id)
    services.webhooks.wake()
    return _view(box)


@router.post(
    "/confirm",
    summary="以确认码确认邮箱 · Confirm the address by its code",
    responses=problems(400, 401, 403, 404, 413, 422),
    openapi_extra=roles("mail_manage"),
)
def confirm(body: MailboxCode, services: Serving, visit: Coming) -> MailboxView:
    return _view(mailboxes.confirm_mailbox(services.register, body.code, by=visit.principal.id))


@router.post(
    "/code",
    status_code=202,
    summary="重新发送确认码 · Send the code again",
    responses=problems(401, 403, 404, 409),
    openapi_extra=roles("mail_manage"),
)
def code(services: Serving, visit: Coming) -> MailSent:
    message = mailboxes.send_code(services.register, by=visit.principal.id)
    services.webhooks.wake()
    return MailSent(message=message)


@router.post(
    "/test",
    status_code=202,
    summary="发送一封试验邮件 · Send a trial",
    responses=problems(401, 403, 404, 409),
    openapi_extra=roles("mail_manage"),
)
def trial(services: Serving, visit: Coming) -> MailSent:
    message = mailboxes.try_mailbox(services.register, by=visit.principal.id)
    services.webhooks.wake()
    return MailSent(message=message)


@router.post(
    "/close",
    status_code=204,
    summary="停止邮件通知；尚未送达的不再发送 · No more mail; what waits is not sent",
    responses=problems(401, 403, 404),
    openapi_extra=roles("mail_manage"),
)
def close(services: Serving, visit: Coming) -> None:
    mailboxes.close_mailbox(services.register, by=visit.principal.id)


@router.get(
    "/messages",
    summary="发送记录：每封邮件的每次尝试 · What was sent: every mail with every attempt",
    responses=problems(401, 403, 404),
    openapi_extra=roles("mail_manage"),
)
def messages(services: Serving, visit: Coming) -> MailMessages:
    box = found(mailboxes.mailbox_of(services.register, visit.principal.id), "mailbox")
    sent = [asdict(message) for message in hooks.messages_of(services.register, box.id)]
    return MailMessages.model_validate({"messages": [{name: value for name, value in each.items() if name != "webhook"} for each in sent]})
