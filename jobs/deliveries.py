"""A table taken by its operator, or looked at by those who supervise: nothing frozen is served. What builders take are products."""

from __future__ import annotations

from infra.database import reading
from jobs import freezes
from jobs.lookup import ReleaseSeen
from jobs.register import Register


def may_take(register: Register, release: ReleaseSeen, reader: str, role: str) -> None:
    """FREEZE_HOLDS while a freeze keeps the table from this reader."""
    with reading(register.engine) as connection:
        freezes.require_open(connection, release, reader, role)
