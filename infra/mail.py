"""Sending one mail by SMTP (RFC 5321): plain text, over TLS unless the relay is this machine's own, certificates checked."""

from __future__ import annotations

import re
import smtplib
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

from infra.settings import Settings

ADDRESS_LIMIT = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9-]{1,63}", re.ASCII)


def is_address(text: str) -> bool:
    """One plain address, as HTML's input of type email takes it: no names, no comments, no lists.

    >>> is_address("zhang@sx.gov.cn"), is_address("a@b, c@d"), is_address("zhang"), is_address("a@b\\nBcc: c@d")
    (True, False, False, False)
    """
    return len(text) <= ADDRESS_LIMIT and _ADDRESS.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Relay:
    """Where mail is handed over. `user` empty: without signing in."""

    host: str
    port: int
    tls: str  # starttls, tls, none
    user: str
    password_file: Path | None
    ca_file: Path | None
    sender: str
    timeout_s: float

    @classmethod
    def of(cls, settings: Settings) -> Relay | None:
        """None: no relay is set, and no mail is sent."""
        if not settings.smtp_host:
            return None
        return cls(
            settings.smtp_host, settings.smtp_port, settings.smtp_tls, settings.smtp_user, settings.smtp_password_file, settings.smtp_ca_file,
            settings.mail_from, settings.webhook_timeout_s,
        )  # fmt: skip


def letter(relay: Relay, to: str, subject: str, text: str, *, id: str, at: datetime) -> EmailMessage:
    """ValueError for a header with a line break in it."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Subject"] = relay.sender, to, subject
    made["Date"] = format_datetime(at)
    made["Message-ID"] = f"<{id}@{relay.sender.partition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers it
    made.set_content(text, charset="utf-8", cte="base64")
    return made


def send(relay: Relay, made: EmailMessage) -> int:
    """One attempt; the reply code it ended with, 250 when the relay took it. OSError when there is none that speaks SMTP, or no TLS."""
    context = ssl.create_default_context(cafile=None if relay.ca_file is None else str(relay.ca_file))
    try:
        if relay.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(relay.host, relay.port, timeout=relay.timeout_s, context=context)
        else:
            server = smtplib.SMTP(relay.host, relay.port, timeout=relay.timeout_s)
        with server:
            if relay.tls == "starttls":
                server.starttls(context=context)
            if relay.user:
                secret = "" if relay.password_file is None else relay.password_file.read_text(encoding="utf-8").strip()
                server.login(relay.user, secret)
            server.send_message(made)
        return 250
    except smtplib.SMTPRecipientsRefused as refused:
        return next((code for code, _ in refused.recipients.values()), 550)
    except smtplib.SMTPResponseException as refused:
        return refused.smtp_code
    except smtplib.SMTPException as trouble:  # an OSError already, but of a name that says more
        raise OSError(type(trouble).__name__) from trouble
