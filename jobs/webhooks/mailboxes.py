"""Notifications by mail: each principal's one address, told of nothing before whoever reads it has handed in a code that was sent there.

A mailbox is a subscription like any other, whose address begins with `mailto:`; outbox, retries and dead letters are those of webhooks.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, func, insert, select, update

from infra.database import reading, writing
from infra.mail import Relay, is_address
from infra.tables import webhook_messages, webhooks
from jobs.events import rfc3339
from jobs.register import Register
from jobs.webhooks.hooks import MAILTO, Hook, close_in, hook_of
from jobs.webhooks.letters import CODE, TRIAL, code_of
from policies.problem import declare

LETTERS_A_DAY = 10  # codes and trials that one principal may have sent: an address that is not theirs is not to be flooded
UNCONFIRMED = "unconfirmed"

MAIL_OFF = declare(
    "mail_off",
    zh=("未开通邮件通知", "系统没有设置发信服务器。", "请由系统管理员设置 YUNEI_SMTP_HOST，或改用网络回调订阅。"),
    en=("Mail is not enabled", "No mail server is configured.", "Ask the administrator to set YUNEI_SMTP_HOST, or subscribe by webhook."),
)
MAIL_ADDRESS = declare(
    "mail_address",
    zh=("邮箱地址不正确", "须为一个邮箱地址，不带姓名。", "请写作 zhang@example.gov.cn。"),
    en=("Not a valid mail address", "One mail address is needed, without a name.", "Write it as zhang@example.gov.cn."),
)
MAIL_CODE = declare(
    "mail_code",
    zh=("确认码不符", "这不是发往该邮箱的确认码。", "请核对最近一封确认邮件；可重新发送。"),
    en=(
        "Wrong confirmation code",
        "This is not the code sent to that address.",
        "Check the latest confirmation mail; the code can be sent again.",
    ),
)
MAIL_NONE = declare(
    "mail_none",
    zh=("没有邮箱", "没有可供此操作的邮箱。", "请先设置邮箱，并以确认码确认。"),
    en=("No mailbox", "There is no mailbox that this can be done with.", "Set an address first, then confirm it with the code."),
)
MAIL_LIMIT = declare(
    "mail_limit",
    zh=("发送过多", "每日至多发送 {limit} 封确认与试验邮件。", "请明日再试。"),
    en=("Too many mails", "At most {limit} confirmation and test mails are sent a day.", "Try again tomorrow."),
)


def mailbox_of(register: Register, owner: str) -> Hook | None:
    """The one that is open or waits for its code."""
    with reading(register.engine) as connection:
        return _mine(connection, owner)


def _mine(connection: Connection, owner: str, *states: str) -> Hook | None:
    query = (
        select(webhooks)
        .where(webhooks.c.owner == owner, webhooks.c.url.startswith(MAILTO), webhooks.c.state.in_(states or ("open", UNCONFIRMED)))
        .order_by(webhooks.c.opened_at.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else hook_of(row)


def set_mailbox(register: Register, address: str, topics: Sequence[str], *, by: str) -> Hook:
    """An address and what it is told of, in place of the one before. The same address stays confirmed; to another a code is sent.
    MAIL_OFF, MAIL_ADDRESS, MAIL_LIMIT."""
    _relay(register)
    if not is_address(address):
        raise MAIL_ADDRESS()
    now, told = rfc3339(register.clock()), ",".join(sorted(set(topics)))
    with writing(register.engine) as connection:
        mine = _mine(connection, by)
        if mine is not None and mine.url == MAILTO + address:
            connection.execute(update(webhooks).where(webhooks.c.id == mine.id).values(topics=told, changed_at=now))
            id = mine.id
        else:
            _room(register, connection, by)
            if mine is not None:
                close_in(connection, mine.id, "closed", now)
            id = "mb-" + base64.b32encode(register.random(10)).decode().lower()
            row = {"id": id, "owner": by, "url": MAILTO + address, "topics": told, "subject": None, "state": UNCONFIRMED, "generation": 1}
            connection.execute(insert(webhooks).values(**row, opened_at=now, changed_at=now))
            _post(register, connection, id, CODE, now)
        return hook_of(connection.execute(select(webhooks).where(webhooks.c.id == id)).one())


def confirm_mailbox(register: Register, code: str, *, by: str) -> Hook:
    """Open from here on: what happens later is told. MAIL_NONE, MAIL_CODE."""
    with writing(register.engine) as connection:
        mine = _mine(connection, by, UNCONFIRMED)
        if mine is None:
            raise MAIL_NONE()
        if not hmac.compare_digest(code_of(register.key_ring, mine.id, mine.url.removeprefix(MAILTO)).encode(), code.strip().upper().encode()):
            raise MAIL_CODE()
        now = rfc3339(register.clock())
        connection.execute(update(webhooks).where(webhooks.c.id == mine.id).values(state="open", opened_at=now, changed_at=now))
        return hook_of(connection.execute(select(webhooks).where(webhooks.c.id == mine.id)).one())


def send_code(register: Register, *, by: str) -> str:
    """Once more. Returns the message's id. MAIL_OFF, MAIL_NONE, MAIL_LIMIT."""
    return _another(register, by, UNCONFIRMED, CODE)


def try_mailbox(register: Register, *, by: str) -> str:
    """A mail of no consequence. Returns the message's id. MAIL_OFF, MAIL_NONE, MAIL_LIMIT."""
    return _another(register, by, "open", TRIAL)


def close_mailbox(register: Register, *, by: str) -> None:
    """Nothing is sent any more. MAIL_NONE."""
    with writing(register.engine) as connection:
        mine = _mine(connection, by)
        if mine is None:
            raise MAIL_NONE()
        close_in(connection, mine.id, "closed", rfc3339(register.clock()))


def _another(register: Register, by: str, state: str, type: str) -> str:
    _relay(register)
    with writing(register.engine) as connection:
        mine = _mine(connection, by, state)
        if mine is None:
            raise MAIL_NONE()
        _room(register, connection, by)
        return _post(register, connection, mine.id, type, rfc3339(register.clock()))


def _post(register: Register, connection: Connection, hook: str, type: str, now: str) -> str:
    message = "msg_" + register.random(16).hex()
    row = {"id": message, "webhook": hook, "entry": None, "type": type, "body": b"{}", "state": "waiting", "attempts": 0}
    connection.execute(insert(webhook_messages).values(**row, due_at=now, made_at=now))
    return message


def _room(register: Register, connection: Connection, by: str) -> None:
    since = rfc3339(register.clock() - timedelta(days=1))
    query = (
        select(func.count())
        .select_from(webhook_messages.join(webhooks, webhooks.c.id == webhook_messages.c.webhook))
        .where(webhooks.c.owner == by, webhook_messages.c.type.in_((CODE, TRIAL)), webhook_messages.c.made_at >= since)
    )
    if connection.execute(query).scalar_one() >= LETTERS_A_DAY:
        raise MAIL_LIMIT(limit=LETTERS_A_DAY)


def _relay(register: Register) -> Relay:
    relay = Relay.of(register.settings)
    if relay is None:
        raise MAIL_OFF()
    return relay
