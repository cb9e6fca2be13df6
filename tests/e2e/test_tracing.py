"""Spans reach a collector on loopback, say only what is on the closed list, and behind the wall last until the public instant."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast, get_args

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from api.services import ClosablePool
from infra.tracing import Stretch, Tracing
from infra.workers import InlineWorkers
from jobs.queue import Stopping
from sandbox import steps
from tests.bureau import Home, opened, order

SLOTS_MS = (2_000, 5_000)  # a release is published when nine tenths of its slot are over


@dataclass
class Collector:
    """What an OTLP/HTTP collector was sent."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def named(self, name: str) -> Span:
        return next(span for span in self.spans if span.name == name)


@contextmanager
def collecting() -> Iterator[Collector]:
    heard = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") is None:
                heard.raw.append(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        heard.spans += scope.spans
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    heard.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
    yield heard
    server.shutdown()
    thread.join()
    server.server_close()


class Slow(InlineWorkers):
    """Workers that take their time, as some rows make them."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def stream(self, *arguments: Any, **named: Any) -> Any:
        time.sleep(self._seconds)
        return super().stream(*arguments, **named)


def traced(home: Path, keys: Home, workers: InlineWorkers) -> Collector:
    keys.copy_to(home)
    with collecting() as heard:
        services = opened(home, workers=cast(ClosablePool, workers), otlp_endpoint=heard.url, slots_ms=SLOTS_MS)
        job = services.submit(order()).result(60)
        until = time.monotonic() + 60
        while services.register.event(services.register.size - 1).kind != "release_published" and time.monotonic() < until:
            time.sleep(0.01)
        assert job
        services.close()
    return heard


def test_a_job_is_seen_in_its_public_stretches_and_in_nothing_else(bureau_home: Home, tmp_path: Path) -> None:
    heard = traced(tmp_path / "home", bureau_home, InlineWorkers())
    assert {span.name for span in heard.spans} == set(get_args(Stretch))
    root = heard.named("job")
    assert all(span.trace_id == root.trace_id for span in heard.spans)
    assert {attribute.key for span in heard.spans for attribute in span.attributes} <= {"yunei.job"}
    assert not any(span.events for span in heard.spans)
    sent = b"".join(heard.raw)
    for word in (b"SELECT", b"visits", b"city", b"operator-1"):
        assert word not in sent


def test_how_long_rows_took_is_not_in_a_span(bureau_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither how long reading took nor how long noise did: the span ends at the public instant either way."""
    quick = traced(tmp_path / "quick", bureau_home, InlineWorkers()).named("behind_the_wall")
    draw = steps.draw
    monkeypatch.setattr(steps, "draw", lambda *arguments: time.sleep(0.4) or draw(*arguments))
    slow = traced(tmp_path / "slow", bureau_home, Slow(0.4)).named("behind_the_wall")
    for span in (quick, slow):
        took = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
        assert min(abs(took - 0.9 * slot_ms / 1000) for slot_ms in SLOTS_MS) < 0.4, took  # by themselves they would take 0.1 s and 0.9 s


def test_what_went_wrong_is_not_in_a_span() -> None:
    with collecting() as heard:
        tracing = Tracing.to(heard.url)
        with pytest.raises(ValueError, match="杭州"), tracing.span("admit", {"job": "job-1"}):
            raise ValueError("杭州 has 3 rows")
        with pytest.raises(Stopping), tracing.span("admit"):
            raise Stopping
        tracing.close()
    assert len(heard.spans) == 2
    assert all(span.status.message == "failed" for span in heard.spans)
    assert "杭州".encode() not in b"".join(heard.raw)


def test_a_collector_that_is_away_stops_nothing() -> None:
    tracing = Tracing.to("http://127.0.0.1:9/v1/traces")
    with tracing.span("job"):
        pass
    tracing.close()
