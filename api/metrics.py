"""Numbers for whoever runs the service, in the Prometheus text format: requests as they pass, and gauges read from the register when asked.

Names and labels are a closed list. None of them holds a query, a value, a duration of work on rows or a count of rows: only what the register
shows the bureau anyway, and how HTTP is doing. Routes are labelled by their template, so no id gets in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from api.services import Services
from infra.database import UNAVAILABLE
from infra.memory import plaintext_swap
from jobs.gauges import Gauge, Gauges

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60)
Labelled = TypeVar("Labelled", GaugeMetricFamily, CounterMetricFamily)
NO_ROUTE = "-"  # an address that is not served: the path itself is the caller's text


class Metrics:
    """One server's numbers. `saw` is called for each answered request; `expose` writes everything."""

    def __init__(self, services: Services) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "yunei_http_requests", "Requests answered, by route template and status.", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "yunei_http_request_seconds",
            "Time to answer, by route template. Waiting for an answer ends at its public slot, so nothing here depends on rows.",
            ["route"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._registry.register(_FromRegister(services))

    def saw(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """`route` None: not served."""
        known = method if route is not None else NO_ROUTE
        self._requests.labels(known, route or NO_ROUTE, str(status)).inc()
        self._seconds.labels(route or NO_ROUTE).observe(seconds)

    def expose(self) -> bytes:
        return generate_latest(self._registry)


class _FromRegister(Collector):
    """Read when scraped. With the database away the service is still described: `yunei_register_up` is 0."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._gauge = Gauge(services.register)

    def describe(self) -> Iterable[Metric]:
        return ()  # asked at registration: nothing is read then

    def collect(self) -> Iterator[Metric]:
        ready = self._services.ready.is_set() and not self._services.watch.stopping
        swap = "Swap areas that would take decrypted rows to a disk as they are; should be 0."
        yield GaugeMetricFamily("yunei_swap_plaintext_areas", swap, value=len(plaintext_swap()))
        swappable = "Processes, of the server and its workers, whose pages may be swapped in plaintext, when they started; should be 0."
        yield GaugeMetricFamily("yunei_swappable_processes", swappable, value=self._services.swappable)
        yield GaugeMetricFamily("yunei_ready", "1 when jobs are taken.", value=float(ready))
        try:
            seen = self._gauge.read()
        except (OSError, *UNAVAILABLE):
            yield GaugeMetricFamily("yunei_register_up", "1 when the register's database and log folder answer.", value=0)
            return
        yield GaugeMetricFamily("yunei_register_up", "1 when the register's database and log folder answer.", value=1)
        yield from _families(seen)


def _families(seen: Gauges) -> Iterator[Metric]:
    yield _labelled(GaugeMetricFamily("yunei_jobs", "Jobs by state.", labels=["state"]), seen.jobs.items())
    yield _labelled(CounterMetricFamily("yunei_events", "Entries of the log by kind.", labels=["kind"]), seen.events.items())
    for part in ("cap", "reserved", "spent"):
        family = GaugeMetricFamily(f"yunei_account_{part}_pico_rho", f"Privacy loss of an account, {part}, in 1e-12 rho.", labels=["account"])
        yield _labelled(family, ((account.account, getattr(account, part)) for account in seen.accounts))
    waiting = GaugeMetricFamily("yunei_alerts_open", "Alerts nobody has acknowledged, by severity.", labels=["severity"])
    yield _labelled(waiting, seen.alerts.items())
    yield GaugeMetricFamily("yunei_log_entries", "Entries of the log.", value=seen.log_size)
    yield GaugeMetricFamily("yunei_log_published_entries", "Entries the newest signed checkpoint covers.", value=seen.published)
    if seen.cosigned is not None:
        yield GaugeMetricFamily("yunei_log_cosigned_entries", "Entries the newest cosigned checkpoint covers.", value=seen.cosigned)
    yield GaugeMetricFamily(
        "yunei_log_sound", "0 once the log was found to contradict what it published or a witness saw.", value=float(seen.sound)
    )


def _labelled(family: Labelled, rows: Iterable[tuple[str, float]]) -> Labelled:
    for label, value in rows:
        family.add_metric([label], value)
    return family
