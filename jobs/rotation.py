"""Changing the log's key: two acts, with as much time between them as witnesses and auditors need to take note of the new key."""

from __future__ import annotations

from infra.database import reading
from infra.journal.note import Signer
from jobs.events import LogKeyAnnounced, LogKeyRetired
from jobs.log_keys import active, successions
from jobs.register import Register
from policies.problem import declare

KEY_PENDING = declare(
    "log_key_pending",
    zh=("日志公钥正在更换", "新公钥已公布，旧公钥尚未停用。", "请先用 yunei log rotate --finish 完成本次更换。"),
    en=(
        "The log's key is being changed",
        "A new key has been announced, and the old one is not retired yet.",
        "First finish this change with yunei log rotate --finish.",
    ),
)
KEY_NOT_PENDING = declare(
    "log_key_not_pending",
    zh=("没有正在进行的公钥更换", "日志只有一个公钥在用。", "请先用 yunei log rotate 公布新公钥。"),
    en=("No change of key is in progress", "The log has only one key in use.", "First announce a new key with yunei log rotate."),
)


def announce_log_key(register: Register, *, by: str = "system") -> str:
    """Make the log's next key and announce it; returns it. From now on both sign. KEY_PENDING while an earlier change is unfinished."""
    register.publish()
    keys, ring = register.vkeys, register.key_ring
    if len(keys) > 1:
        raise KEY_PENDING()
    if str(Signer(register.settings.log_origin, ring.log_keys()[0]).key) != keys[0]:
        ring.adopt_next_log_key()  # an earlier change broke off after its last entry
    new = str(Signer(register.settings.log_origin, ring.make_next_log_key(register.random)).key)
    with register.transaction() as act:
        if len(active(successions(act.connection, act.size), keys[0])) > 1:
            raise KEY_PENDING()
        act.append(LogKeyAnnounced(by=by, vkey=new, under=keys[0]))
    return new


def retire_log_key(register: Register, *, by: str = "system") -> str:
    """The older key signs no more and is destroyed; returns the one that goes on alone. KEY_NOT_PENDING when there is only one."""
    register.publish()
    with reading(register.engine) as connection:
        chain = successions(connection, register.size)
    receipt = register.files.succession(len(chain) - 1) if chain else None
    if len(register.vkeys) != 2 or receipt is None:
        raise KEY_NOT_PENDING()
    old, new = register.vkeys
    with register.transaction() as act:
        act.append(LogKeyRetired(by=by, vkey=old, document=act.attach(receipt.encode())))
    register.publish()
    register.key_ring.adopt_next_log_key()
    return new
