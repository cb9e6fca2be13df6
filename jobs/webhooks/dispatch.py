"""A thread that reads the log on, makes messages for whoever wants to be told, sends them, and tries again when they were not taken.

At least once: a message is the receiver's when its address answered with 2xx; until then it is tried at the intervals of `RETRY_S`, with
jitter, under the same id. Several server processes may do this at once: a message is claimed before it is sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from infra.database import insert_ignoring, reading, writing
from infra.mail import Relay, letter, send
from infra.rounds import Rounds
from infra.tables import webhook_attempts, webhook_cursor, webhook_messages, webhooks
from infra.webhooks import BadTarget, Resolve, Target, post_webhook, resolved
from jobs import directory
from jobs.events import Recorded, rfc3339
from jobs.register import Register
from jobs.webhooks.hooks import MAILTO, Hook, allowed, close_in, hook_of, secret
from jobs.webhooks.letters import code_of, written
from jobs.webhooks.topics import TOPICS, Topic

RETRY_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)  # what the specification proposes; then it is given up
PAGE = 500
CLAIM_S = 120
GONE = 410
_BY_KIND = {topic.kind: topic for topic in TOPICS.values()}


class Dispatcher(Rounds):
    """`resolve` finds the addresses of a name; `jitter(seconds)` lengthens a pause by a little."""

    def __init__(self, register: Register, *, resolve: Resolve = resolved, jitter: Callable[[float], float] | None = None) -> None:
        super().__init__("webhooks", interval_s=register.settings.webhook_interval_s)
        self._register = register
        self._settings = register.settings
        self._resolve = resolve
        self._jitter = jitter or self._some

    def once(self) -> int:
        """One round, now: read on, send what is due. Returns how many attempts were made."""
        self._collect()
        made = 0
        while not self.stopping and (due := self._claim()) is not None:
            self._send(due)
            made += 1
        return made

    # ── from the log to messages ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _collect(self) -> None:
        """Messages for new entries, in one transaction with the place up to which the log was read."""
        while True:
            with reading(self._register.engine) as connection:
                position = connection.execute(select(webhook_cursor.c.position)).scalar_one()
            end = self._register.size - 1
            if position >= end:
                return
            page = self._register.events(position, PAGE, tuple(_BY_KIND))
            reached = page[-1].index if len(page) == PAGE else end
            with writing(self._register.engine) as connection:
                moved = connection.execute(
                    update(webhook_cursor).where(webhook_cursor.c.position == position).values(position=reached)
                ).rowcount
                if moved == 1:  # else another process did it
                    self._make(connection, page)

    def _make(self, connection: Connection, page: list[Recorded]) -> None:
        hooks = [hook_of(row) for row in connection.execute(select(webhooks).where(webhooks.c.state == "open"))]
        for recorded in page:
            topic = _BY_KIND[recorded.kind]
            if getattr(recorded.event, "product", "") is None:  # a release delivered by itself is not a product's
                continue
            for hook in hooks:
                if topic.type in hook.topics and hook.opened_at <= recorded.at and self._wants(connection, hook, topic, recorded):
                    self._keep(connection, hook, topic, recorded)

    def _wants(self, connection: Connection, hook: Hook, topic: Topic, recorded: Recorded) -> bool:
        subject = topic.subject(recorded)
        if hook.subject not in (None, subject):
            return False
        owner = directory.principal(connection, hook.owner)
        return owner is not None and owner.status == "active" and topic.known(connection, owner, subject)

    def _keep(self, connection: Connection, hook: Hook, topic: Topic, recorded: Recorded) -> None:
        data = {**topic.data(recorded), "log_index": recorded.index}
        body = json.dumps({"type": topic.type, "timestamp": recorded.at, "data": data}, ensure_ascii=False, separators=(",", ":")).encode()
        now = rfc3339(self._register.clock())
        row = {"id": f"msg_{self._register.random(16).hex()}", "webhook": hook.id, "entry": recorded.index, "type": topic.type, "body": body}
        insert_ignoring(connection, webhook_messages, {**row, "state": "waiting", "attempts": 0, "due_at": now, "made_at": now})

    # ── from messages to their receivers ─────────────────────────────────────────────────────────────────────────────────────────────

    def _claim(self) -> Row[Any] | None:
        """A message that is due, ours for a while."""
        now = self._register.clock()
        query = (
            select(webhook_messages)
            .where(webhook_messages.c.state == "waiting", webhook_messages.c.due_at <= rfc3339(now))
            .order_by(webhook_messages.c.due_at, webhook_messages.c.id)
            .limit(1)
        )
        with reading(self._register.engine) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        mine = (webhook_messages.c.id == row.id) & (webhook_messages.c.due_at == row.due_at) & (webhook_messages.c.state == "waiting")
        with writing(self._register.engine) as connection:
            taken = connection.execute(update(webhook_messages).where(mine).values(due_at=rfc3339(now + timedelta(seconds=CLAIM_S))))
        return row if taken.rowcount == 1 else self._claim()

    def _send(self, message: Row[Any]) -> None:
        with reading(self._register.engine) as connection:
            hook = hook_of(connection.execute(select(webhooks).where(webhooks.c.id == message.webhook)).one())
        now = self._register.clock()
        status, error = None, None
        try:
            if hook.url.startswith(MAILTO):
                status = self._mail(message, hook, now)
            else:
                target = Target.parse(hook.url, allowed(self._register))
                status = post_webhook(
                    target, message.id, int(now.timestamp()), bytes(message.body), self._secrets(hook),
                    timeout_s=self._settings.webhook_timeout_s, resolve=self._resolve,
                )  # fmt: skip
        except BadTarget as refused:
            error = refused.code
        except OSError as trouble:
            error = type(trouble).__name__
        self._note(message, hook, status, error)

    def _mail(self, message: Row[Any], hook: Hook, now: datetime) -> int:
        relay, address = Relay.of(self._settings), hook.url.removeprefix(MAILTO)
        if relay is None:  # it was taken away since
            raise OSError("no relay")
        code = code_of(self._register.key_ring, hook.id, address)
        subject, text = written(message.type, bytes(message.body), origin=self._settings.log_origin, code=code)
        return send(relay, letter(relay, address, subject, text, id=message.id, at=now))

    def _secrets(self, hook: Hook) -> list[bytes]:
        generations = [hook.generation]
        if hook.overlap_until is not None and rfc3339(self._register.clock()) < hook.overlap_until:
            generations.append(hook.generation - 1)
        return [secret(self._register.key_ring, hook.id, generation) for generation in generations]

    def _note(self, message: Row[Any], hook: Hook, status: int | None, error: str | None) -> None:
        now = self._register.clock()
        number = message.attempts + 1
        taken = status is not None and 200 <= status < 300
        over = status == GONE or (hook.url.startswith(MAILTO) and status is not None and status >= 500)  # RFC 5321, 4.2.1: for good
        state = "delivered" if taken else "given_up" if number > len(RETRY_S) or over else "waiting"
        due = now if state != "waiting" else now + timedelta(seconds=self._jitter(RETRY_S[number - 1]))
        with writing(self._register.engine) as connection:
            row = {"message": message.id, "number": number, "at": rfc3339(now), "status": status, "error": error}
            connection.execute(insert(webhook_attempts).values(**row))
            values = {"state": state, "attempts": number, "due_at": rfc3339(due)}
            connection.execute(update(webhook_messages).where(webhook_messages.c.id == message.id).values(**values))
            if status == GONE:  # its receiver does not want it any more
                close_in(connection, hook.id, "gone", rfc3339(now))

    def _some(self, seconds: float) -> float:
        """Up to a tenth more, so that many messages do not come back together."""
        return seconds * (1 + int.from_bytes(self._register.random(2), "big") / 65536 / 10)
