"""Notifications by mail: an address, its confirmation, what was sent."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from api.schemas.base import Closed, example
from api.schemas.webhooks import Type

_TIME = "2026-11-22T08:00:00.000000Z"


class MailboxAsked(Closed):
    """The address, and what it is to be told of. A code is sent to it; nothing else is, until the code is handed in."""

    model_config = ConfigDict(json_schema_extra=example(address="zhang@example.gov.cn", topics=["report.issued", "alert.raised"]))

    address: str = Field(min_length=3, max_length=254)
    topics: list[Type] = Field(min_length=1, max_length=32)


class MailboxView(Closed):
    model_config = ConfigDict(
        json_schema_extra=example(
            address="zhang@example.gov.cn", topics=["report.issued"], state="unconfirmed", opened_at=_TIME, changed_at=_TIME
        )
    )

    address: str
    topics: list[str]
    state: Literal["unconfirmed", "open"]
    opened_at: str
    changed_at: str


class MailboxCode(Closed):
    model_config = ConfigDict(json_schema_extra=example(code="ABCDEFGHIJKLMNOP"))

    code: str = Field(min_length=1, max_length=64)


class MailSent(Closed):
    model_config = ConfigDict(json_schema_extra=example(message="msg_abc"))

    message: str


class MailAttempt(Closed):
    """`status` is the relay's reply code, 250 when it took the mail; `error` why there was none."""

    number: int
    at: str
    status: int | None
    error: str | None


class MailMessage(Closed):
    """`given_up`: a dead letter, refused for good or tried too often."""

    id: str
    entry: int | None
    type: str
    state: Literal["waiting", "delivered", "given_up"]
    attempts: list[MailAttempt]
    due_at: str
    made_at: str


class MailMessages(Closed):
    """Newest first."""

    messages: list[MailMessage]
