"""Spans for OpenTelemetry: how long each public stretch of a job takes, sent to a collector that the operator of the server names.

A span's length is told to whoever reads traces, so no span may end at an instant that depends on rows: work behind the wall is inside
`behind_the_wall`, which is ended by its caller at the job's public instant, however soon the work was done. Names and labels are a closed
list; exceptions are recorded as "failed" and nothing else, since their words might quote data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Self

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

Stretch = Literal["job", "admit", "behind_the_wall"]
Label = Literal["job"]
QUIET_S = 10  # a collector that is away costs no more than this when the server stops


class Tracing:
    """`span` around a public stretch. Without an exporter it costs a function call and goes nowhere. Thread-safe."""

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        self._provider: TracerProvider | None = None
        tracer: trace.Tracer = trace.NoOpTracer()
        if exporter is not None:  # what sends is imported where there is something to send to
            from opentelemetry.sdk.resources import SERVICE_NAME, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "yunei"}), shutdown_on_exit=False)
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
            tracer = self._provider.get_tracer("yunei")
        self._tracer = tracer

    @classmethod
    def to(cls, endpoint: str | None) -> Self:
        """Send to an OTLP/HTTP collector's traces address; None: nowhere."""
        if endpoint is None:
            return cls()
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return cls(OTLPSpanExporter(endpoint=endpoint, timeout=QUIET_S))

    @contextmanager
    def span(self, stretch: Stretch, labels: dict[Label, str] | None = None) -> Iterator[None]:
        """A child of the span this thread is in."""
        attributes = {f"yunei.{name}": value for name, value in (labels or {}).items()}
        with self._tracer.start_as_current_span(stretch, attributes=attributes, record_exception=False, set_status_on_exception=False) as span:
            try:
                yield
            except BaseException:
                span.set_status(Status(StatusCode.ERROR, "failed"))
                raise

    def close(self) -> None:
        """Send what is waiting, for `QUIET_S` at most."""
        if self._provider is not None:
            self._provider.force_flush(QUIET_S * 1000)
            self._provider.shutdown()
