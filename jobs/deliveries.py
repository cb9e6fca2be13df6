"""A table taken away: nothing frozen is served, and what a builder takes is in the log, with its fee, before the first byte leaves."""

from __future__ import annotations

from infra.database import reading
from jobs import events as ev
from jobs import fees, freezes
from jobs.lookup import ReleaseSeen
from jobs.register import Register
from sandbox.finish.formats import Format


def may_take(register: Register, release: ReleaseSeen, reader: str, role: str) -> None:
    """FREEZE_HOLDS while a freeze keeps the table from this reader."""
    with reading(register.engine) as connection:
        freezes.require_open(connection, release, reader, role)


def deliver(register: Register, release: ReleaseSeen, recipient: str, form: Format) -> None:
    """Asked again in the transaction that writes the delivery down: a freeze comes before it or after it."""
    with register.transaction() as act:
        freezes.require_open(act.connection, release, recipient, "builder")
        digest = release.record["digests"][f"table.{form}"]
        entry = act.append(ev.ProductDelivered(by=recipient, release=release.id, recipient=recipient, format=form, sha256=digest))
        fees.post(act, release.id, delivery=entry)
