"""Webhooks over HTTP."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from api.schemas.base import Closed, example

Type = Literal[
    "product.version_added",
    "product.published",
    "product.deprecated",
    "product.recalled",
    "product.delivered",
    "alert.raised",
    "report.issued",
]
_TIME = "2026-11-22T08:00:00.000000Z"
_HOOK = {
    "id": "wh-abc", "owner": "builder-1", "url": "https://builder.example/yunei", "topics": ["product.recalled"], "subject": "visits-by-city",
    "state": "open", "generation": 1, "overlap_until": None, "opened_at": _TIME, "changed_at": _TIME,
}  # fmt: skip


class WebhookAsked(Closed):
    """`subject`: one product; null: all you may know of."""

    model_config = ConfigDict(
        json_schema_extra=example(url="https://builder.example/yunei", topics=["product.version_added", "product.recalled"], subject=None)
    )

    url: str = Field(min_length=1, max_length=2000)
    topics: list[Type] = Field(min_length=1, max_length=32)
    subject: str | None = Field(default=None, max_length=64, pattern=r"^[^\s\x00]+$")


class WebhookView(Closed):
    model_config = ConfigDict(json_schema_extra=example(**_HOOK))

    id: str
    owner: str
    url: str
    topics: list[str]
    subject: str | None
    state: Literal["open", "closed", "gone"]
    generation: int
    overlap_until: str | None
    opened_at: str
    changed_at: str


class WebhookOpened(Closed):
    """`secret` checks signatures (Standard Webhooks, `v1`). It is shown here alone."""

    model_config = ConfigDict(json_schema_extra=example(webhook=_HOOK, secret="whsec_AAAA"))  # noqa: S106  # an example

    webhook: WebhookView
    secret: str


class WebhookList(Closed):
    webhooks: list[WebhookView]


class WebhookAttempt(Closed):
    number: int
    at: str
    status: int | None
    error: str | None


class WebhookMessage(Closed):
    id: str
    webhook: str
    entry: int | None
    type: str
    state: Literal["waiting", "delivered", "given_up"]
    attempts: list[WebhookAttempt]
    due_at: str
    made_at: str


class WebhookMessages(Closed):
    """Newest first."""

    messages: list[WebhookMessage]


class WebhookTried(Closed):
    model_config = ConfigDict(json_schema_extra=example(message="msg_abc"))

    message: str
