"""Who wants to be told of what, and where: opened, rotated, closed by their owner. Secrets follow from the key ring; none is stored."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Row, insert, select, update

from infra.database import reading, writing
from infra.keys import KeyRing
from infra.tables import webhook_attempts, webhook_messages, webhooks
from infra.webhooks import BadTarget, Network, Target, networks
from jobs import directory
from jobs.events import rfc3339
from jobs.register import Register
from jobs.webhooks.topics import TOPICS, TRIAL
from policies.problem import declare

HOOKS_AT_MOST = 20
MAILTO = "mailto:"  # an address that begins so is a mailbox (`mailboxes`)
OVERLAP = timedelta(hours=24)

WEBHOOK_TARGET = declare(
    "webhook_target_refused",
    zh=("不能向此地址发送", "地址不被接受（{why}）。", "请使用 https 的公网地址；内网地址须由系统管理员在 YUNEI_WEBHOOK_NETWORKS 中许可。"),
    en=(
        "This address cannot receive messages",
        "The address is not accepted ({why}).",
        "Use a public https address; private addresses must be allowed by the administrator in YUNEI_WEBHOOK_NETWORKS.",
    ),
)
WEBHOOK_SUBJECT = declare(
    "webhook_subject_unknown",
    zh=("没有可订阅的对象", "没有您可以订阅的 {subject}。", "请核对编号；数商须先取得产品的取用资格。"),
    en=(
        "Nothing to subscribe to",
        "There is no {subject} that you may subscribe to.",
        "Check the id; a builder must first be entitled to the product.",
    ),
)
WEBHOOK_LIMIT = declare(
    "webhook_limit",
    zh=("订阅过多", "每个主体至多 {limit} 个有效订阅。", "请先关闭不用的订阅。"),
    en=("Too many webhooks", "Each principal may have at most {limit} active webhooks.", "Close webhooks you no longer need first."),
)


@dataclass(frozen=True, slots=True)
class Hook:
    """`state`: open, closed by its owner, or gone: its address said so (410). `subject` None: all that its owner may know of."""

    id: str
    owner: str
    url: str
    topics: tuple[str, ...]
    subject: str | None
    state: str
    generation: int
    overlap_until: str | None
    opened_at: str
    changed_at: str


@dataclass(frozen=True, slots=True)
class Attempt:
    number: int
    at: str
    status: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Message:
    id: str
    webhook: str
    entry: int | None
    type: str
    state: str  # waiting, delivered, given_up
    attempts: tuple[Attempt, ...]
    due_at: str
    made_at: str


def allowed(register: Register) -> tuple[Network, ...]:
    return networks(register.settings.webhook_networks)


def secret(key_ring: KeyRing, hook: str, generation: int) -> bytes:
    """32 bytes, the same whenever they are asked for: for this hook and generation alone."""
    return key_ring.derive("webhooks", f"{hook}\n{generation}".encode())


def open_hook(register: Register, url: str, topics: Sequence[str], subject: str | None, *, by: str) -> Hook:
    """`topics` are types of TOPICS. WEBHOOK_TARGET, WEBHOOK_SUBJECT, WEBHOOK_LIMIT."""
    try:
        Target.parse(url, allowed(register))
    except BadTarget as error:
        raise WEBHOOK_TARGET(why=error.code) from None
    with reading(register.engine) as connection:
        owner = directory.principal(connection, by)
        known = subject is None or (owner is not None and all(TOPICS[topic].known(connection, owner, subject) for topic in topics))
        if owner is None or not known:
            raise WEBHOOK_SUBJECT(subject=subject)
        if sum(hook.state == "open" for hook in _hooks(connection, by)) >= HOOKS_AT_MOST:
            raise WEBHOOK_LIMIT(limit=HOOKS_AT_MOST)
    now = rfc3339(register.clock())
    id = "wh-" + base64.b32encode(register.random(10)).decode().lower()
    row = {"id": id, "owner": by, "url": url, "topics": ",".join(sorted(set(topics))), "subject": subject, "state": "open", "generation": 1}
    with writing(register.engine) as connection:
        connection.execute(insert(webhooks).values(**row, opened_at=now, changed_at=now))
    return Hook(id, by, url, tuple(sorted(set(topics))), subject, "open", 1, None, now, now)


def rotate_hook(register: Register, id: str) -> None:
    """Another secret from now on; for a day the one before signs too."""
    now = register.clock()
    with writing(register.engine) as connection:
        connection.execute(
            update(webhooks)
            .where(webhooks.c.id == id)
            .values(generation=webhooks.c.generation + 1, overlap_until=rfc3339(now + OVERLAP), changed_at=rfc3339(now))
        )


def close_hook(register: Register, id: str, state: str = "closed") -> None:
    """Nothing is sent any more, not even what waits."""
    with writing(register.engine) as connection:
        close_in(connection, id, state, rfc3339(register.clock()))


def close_in(connection: Connection, id: str, state: str, now: str) -> None:
    connection.execute(
        update(webhooks).where(webhooks.c.id == id, webhooks.c.state.in_(("open", "unconfirmed"))).values(state=state, changed_at=now)
    )
    waiting = (webhook_messages.c.webhook == id) & (webhook_messages.c.state == "waiting")
    connection.execute(update(webhook_messages).where(waiting).values(state="given_up"))


def try_hook(register: Register, id: str) -> str:
    """A message of no consequence, to see whether it arrives. Returns its id."""
    now = rfc3339(register.clock())
    message = "msg_" + register.random(16).hex()
    body = json.dumps({"type": TRIAL, "timestamp": now, "data": {"webhook": id}}, separators=(",", ":")).encode()
    row = {"id": message, "webhook": id, "entry": None, "type": TRIAL, "body": body, "state": "waiting", "attempts": 0}
    with writing(register.engine) as connection:
        connection.execute(insert(webhook_messages).values(**row, due_at=now, made_at=now))
    return message


def hooks_of(register: Register, owner: str | None = None) -> list[Hook]:
    """Newest first; `owner` None: everybody's."""
    with reading(register.engine) as connection:
        return _hooks(connection, owner)


def _hooks(connection: Connection, owner: str | None) -> list[Hook]:
    query = select(webhooks).where(webhooks.c.url.not_like(f"{MAILTO}%")).order_by(webhooks.c.opened_at.desc(), webhooks.c.id)
    if owner is not None:
        query = query.where(webhooks.c.owner == owner)
    return [hook_of(row) for row in connection.execute(query)]


def hook_of(row: Row[tuple[object, ...]]) -> Hook:
    return Hook(
        row.id, row.owner, row.url, tuple(row.topics.split(",")), row.subject, row.state, row.generation, row.overlap_until, row.opened_at,
        row.changed_at,
    )  # fmt: skip


def messages_of(register: Register, hook: str, limit: int = 100) -> list[Message]:
    """Newest first, with every attempt."""
    query = select(webhook_messages).where(webhook_messages.c.webhook == hook).order_by(webhook_messages.c.made_at.desc()).limit(limit)
    with reading(register.engine) as connection:
        rows = connection.execute(query).all()
        made = _attempts(connection, [row.id for row in rows])
    return [Message(row.id, row.webhook, row.entry, row.type, row.state, tuple(made.get(row.id, ())), row.due_at, row.made_at) for row in rows]


def _attempts(connection: Connection, messages: Iterable[str]) -> dict[str, list[Attempt]]:
    query = select(webhook_attempts).where(webhook_attempts.c.message.in_(list(messages))).order_by(webhook_attempts.c.number)
    found: dict[str, list[Attempt]] = {}
    for row in connection.execute(query):
        found.setdefault(row.message, []).append(Attempt(row.number, row.at, row.status, row.error))
    return found
