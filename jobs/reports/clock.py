"""The thread that issues what standing orders ask for."""

from __future__ import annotations

import threading

import structlog

from jobs.register import Register
from jobs.reports.issue import Issued
from jobs.reports.orders import keep, orders_of
from policies.problem import Problem

log = structlog.get_logger("yunei.reports")


class Issuer:
    """Every `interval_s` seconds, and at once at the start. What fails is tried again at the next look, and keeps no other order waiting."""

    def __init__(self, register: Register, *, interval_s: float) -> None:
        self._register = register
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def once(self) -> list[Issued]:
        """One look, now, in the caller's thread: one period of each order that is due, again and again until none is. What was issued."""
        done: list[Issued] = []
        try:
            failed: set[str] = set()
            while True:
                before = len(done)
                for order in orders_of(self._register, open=True):
                    if self._stop.is_set():
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
        except Exception as error:  # the database may be gone for a while
            log.warning("report_orders_failed", error=_code(error))
            return done

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="report-issuer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.once()
        while not self._stop.wait(self._interval_s):
            self.once()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None


def _code(error: Exception) -> str:
    return error.code if isinstance(error, Problem) else type(error).__name__
