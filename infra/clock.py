"""The clock, passed in wherever time matters, so that tests can turn it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Now, aware, in UTC. Who can set this machine's clock can stretch a licence's term; it cannot reorder the log."""
    return datetime.now(UTC)
