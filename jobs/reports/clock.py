"""What standing orders ask for is issued when its period is over."""

from __future__ import annotations

import structlog

from infra.rounds import Rounds
from jobs.register import Register
from jobs.reports.issue import Issued
from jobs.reports.orders import keep, orders_of
from policies.problem import Problem

log = structlog.get_logger("yunei.reports")


class Issuer(Rounds):
    """Every `interval_s` seconds, and at once at the start. What fails is tried again at the next look, and keeps no other order waiting."""

    def __init__(self, register: Register, *, interval_s: float) -> None:
        super().__init__("report-issuer", interval_s=interval_s)
        self._register = register

    def once(self) -> list[Issued]:
        """One look, now, in the caller's thread: one period of each order that is due, again and again until none is. What was issued."""
        done: list[Issued] = []
        failed: set[str] = set()
        while True:
            before = len(done)
            for order in orders_of(self._register, open=True):
                if self.stopping:
                    return done
                if order.id in failed:
                    continue
                try:
                    made = keep(self._register, order)
                except Exception as error:
                    failed.add(order.id)
                    log.warning("report_order_failed", order=order.id, period=order.next, error=_code(error))
                    continue
                if made is not None:
                    done.append(made)
            if len(done) == before:
                return done


def _code(error: Exception) -> str:
    return error.code if isinstance(error, Problem) else type(error).__name__
