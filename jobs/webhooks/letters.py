"""What a mail says: that something happened and to what, in both languages. Nothing of the data, no reasons, no numbers out of a release:
whoever wants more signs in, or asks the API.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from infra.keys import KeyRing
from jobs.webhooks.topics import TOPICS

CODE = "mail.code"
TRIAL = "mail.test"
_TOLD = ("product", "version", "report", "alert", "severity")  # of what an entry says, all that a mail does


def code_of(key_ring: KeyRing, hook: str, address: str) -> str:
    """What proves that somebody reads this address: 16 characters of 80 bits, the same whenever it is asked for, and kept nowhere."""
    return base64.b32encode(key_ring.derive("mailboxes", f"{hook}\n{address}".encode())[:10]).decode()


def written(type: str, body: bytes, *, origin: str, code: str) -> tuple[str, str]:
    """Subject and text."""
    if type == CODE:
        return (
            f"[域内 yunei] 邮箱确认码 · Confirm this address: {code}",
            f"{origin}\n\n有人请求把登记册的通知发送到这个邮箱。如系本人操作，请提交确认码；如非本人操作，请忽略本邮件。\n"
            "Someone asked for notifications from the register to be sent to this address. If it was you, submit the code; "
            "otherwise ignore this mail.\n\n"
            f"    {code}\n\nyunei mail confirm {code}\n",
        )
    if type == TRIAL:
        return "[域内 yunei] 试验邮件 · Test mail", f"{origin}\n\n这是一封试验邮件。\nThis is a test mail.\n"
    said: Mapping[str, Any] = json.loads(body)
    topic, data = TOPICS[type], said["data"]
    about = " ".join(str(data[name]) for name in _TOLD if data.get(name) is not None)
    lines = [
        origin,
        "",
        f"{topic.zh}：{about}",
        f"{topic.en}: {about}",
        "",
        f"时间 · time: {said['timestamp']}",
        f"登记册条目 · register entry: {data['log_index']}",
        "",
        "邮件不含任何数据；详情请登录查看。",
        "This mail contains no data; sign in for details.",
    ]
    return f"[域内 yunei] {topic.zh} · {topic.en}: {about}"[:200], "\n".join(lines) + "\n"
