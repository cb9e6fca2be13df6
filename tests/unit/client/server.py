"""A small server with yunei's addresses and shapes, on a real socket, that can be told to misbehave.

What it answers is scripted; that the real server answers in the same shapes is held by the contract tests of the API.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from tests.unit.client import logs

KEY = "yk_operator_0123456789abcdef"
LOSS = {"rho": "0.00702", "delta": "0", "epsilon": "0.5", "at_delta": "0.00000001"}
LEFT = {"rho": "0.1", "delta": "0", "epsilon": "2.5", "at_delta": "0.00000001"}
ACCOUNT = {"id": "licence:lic-1", "kind": "licence", "subject": "lic-1", "cap": LEFT, "used": LOSS, "left": LEFT}
REFUSED = {
    "type": "/v1/docs#problem-licence_refused",
    "title": "Refused",
    "status": 403,
    "detail": "Two rules are broken.",
    "remedy": "See the parts.",
    "instance": "urn:yunei:request:1",
    "code": "licence_refused",
    "fields": {"licence": "lic-1"},
    "zh": {"title": "不予受理", "detail": "违反两条规则。", "remedy": "见各条。"},
    "en": {"title": "Refused", "detail": "Two rules are broken.", "remedy": "See the parts."},
    "parts": [
        {
            "code": "licence_scenario",
            "fields": {},
            "zh": {"title": "场景不符", "detail": "协议不含该场景。", "remedy": "换用协议内的场景。"},
            "en": {"title": "Scenario", "detail": "Not in the licence.", "remedy": "Use a scenario of the licence."},
        }
    ],
}


def answer_table() -> pa.Table:
    return pa.table(
        {
            "city": pa.array(["太原", "<b>大同</b>", "a\x1b[31mb"], pa.string()),
            "n": pa.array([12345, 678, -3], pa.int64()),
            "n__half_width": pa.array([16.4, 16.4, 16.4], pa.float64()),
            "fee": pa.array([3.14159, None, 2.0], pa.float64()),
            "fee__half_width": pa.array([0.0234, None, 0.5], pa.float64()),
        }
    )


def encoded(table: pa.Table) -> dict[str, bytes]:
    arrow, parquet, csv = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with pa.ipc.new_file(arrow, table.schema) as writer:
        writer.write_table(table)
    pa.parquet.write_table(table, parquet)
    pa.csv.write_csv(table, csv)
    return {
        "arrow": arrow.getvalue(),
        "parquet": parquet.getvalue(),
        "csv": csv.getvalue(),
        "json": json.dumps(table.to_pylist(), ensure_ascii=False).encode(),
    }


class Bureau:
    """The state behind the fake server. `mishaps` are taken one per request: a status, "drop", or ("cut", bytes sent before the end)."""

    def __init__(self, folder: Path) -> None:
        self.url = ""
        self.folder = folder
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []  # but for those for tokens
        self.tokens: list[str] = []  # handed out, the last one being good; any key or session is taken for them
        self.has_tokens = True
        self.mishaps: list[Any] = []
        self.retry_after = "0"
        self.polls = 2  # how often a job is still running
        self.job_ends_as = "published"
        self.job_problem: dict[str, Any] | None = None
        self.reused = False
        self.ranges = True
        self.files = encoded(answer_table())
        self.jobs: dict[str, str] = {}
        self.entries = [b'{"kind":"dataset_registered"}' for _ in range(300)]
        self.extra = False
        self.vkey = logs.VKEY
        self.entries_closed = False
        self.publish()

    def publish(self) -> None:
        event = {"kind": "release_published", "release": "rel-1", "table_sha256": hashlib.sha256(self.files["arrow"]).hexdigest()}
        self.index = len(self.entries)
        self.entries.append(json.dumps(event).encode())
        self.write()

    def grow(self, count: int) -> None:
        self.entries += [b'{"kind":"job_submitted","by":"op-1","at":"2026-11-22T08:30:00.000000Z"}'] * count
        self.write()

    def write(self) -> None:
        logs.write(self.folder, self.entries)

    @property
    def leaves(self) -> list[bytes]:
        return [logs.hash_leaf(entry) for entry in self.entries]

    def paths(self) -> list[str]:
        return [f"{method} {path}" for method, path, _, _ in self.requests]

    def job(self, id_: str, state: str) -> dict[str, Any]:
        done = state == "published"
        return {
            "id": id_,
            "state": state,
            "licence": "lic-1",
            "scenario": "health",
            "sql": "SELECT city, COUNT(*) AS n FROM visits GROUP BY city",
            "submitted_at": "2026-11-22T08:30:00.000000Z",
            "slot_ms": 250,
            "price": LOSS,
            "reused": self.reused,
            "release": "rel-1" if done else None,
            "problem": None if done or state == "running" else self.job_problem,
        }

    def release(self) -> dict[str, Any]:
        columns = [
            {"label": "city", "kind": "key", "mechanism": None},
            {"label": "n", "kind": "value", "mechanism": "discrete Gaussian", "scale": 8.4, "half_width_column": "n__half_width"},
            {"label": "n__half_width", "kind": "half_width"},
            {"label": "fee", "kind": "value", "mechanism": "ratio", "half_width_column": "fee__half_width"},
            {"label": "fee__half_width", "kind": "half_width"},
        ]
        return {
            "id": "rel-1",
            "job": "job-1",
            "licence": "lic-1",
            "operator": "op-1",
            "scenario": "health",
            "query": "SELECT city, COUNT(*) AS n FROM visits GROUP BY city",
            "sources": [
                {
                    "dataset": "visits",
                    "version": 1,
                    "digest": "ab" * 32,
                    "registration_no": "140000-1",
                    "source_body": {"zh": "卫健委", "en": "health commission"},
                    "acquired_on": "2026-01-01",
                }
            ],
            "columns": columns,
            "rows": 3,
            "thresholded": True,
            "bounds": {"groups_per_unit": 1, "rows_per_group": 1},
            "price": LOSS,
            "left": [ACCOUNT],
            "files": [{"format": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in self.files.items()],
            "published_at": "2026-11-22T08:30:00.240000Z",
            "visible_at": "2026-11-22T08:30:00.250000Z",
            "log_index": self.index,
            "table": "/v1/releases/rel-1/table",
            "receipt": "/v1/releases/rel-1/receipt",
        }


DATASET = {
    "dataset": {
        "name": "visits",
        "title": {"zh": "就诊记录", "en": "visits to hospital"},
        "registration_no": "SX-2026-001",
        "source_body": {"zh": "卫健委", "en": "health commission"},
        "acquired_on": "2026-01-01",
        "updated_on": "2026-01-02",
        "grade": "general-3",
        "share": {"attribute": "conditional"},
        "unit": {"column": "person_id", "space": "person", "title": {"zh": "人", "en": "person"}},
        "bounds": {"groups_per_unit": 4, "rows_per_group": 3},
        "columns": [
            {"name": "person_id", "type": "integer", "title": {"zh": "人", "en": "person"}, "uses": ["join"]},
            {"name": "fee", "type": "decimal", "title": {"zh": "费用", "en": "fee"}, "low": "0", "high": "50000", "uses": ["aggregate"]},
            {"name": "city", "type": "integer", "title": {"zh": "市", "en": "city"}, "domain": list(range(11)), "uses": ["key"]},
        ],
    },
    "version": 1,
    "digest": "cd" * 32,
}
LICENCE = {
    "licence": {
        "id": "lic-1",
        "operator": "op-1",
        "title": {"zh": "健康分析", "en": "health analysis"},
        "datasets": [{"dataset": "visits", "columns": None}],
        "scenarios": ["health"],
        "valid_from": "2026-01-01T00:00:00Z",
        "valid_until": "2027-01-01T00:00:00Z",
        "decision_document": "2026-7",
    },
    "state": "active",
    "accounts": [ACCOUNT],
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._do()

    do_POST = do_HEAD = do_GET

    def _do(self) -> None:
        bureau: Bureau = self.server.bureau
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        if url.path == "/v1/token" and self.headers.get("Authorization") == f"Bearer {KEY}":
            if not bureau.has_tokens:
                self._send(404, b"{}", "application/problem+json")
                return
            bureau.tokens.append(f"a.token.{len(bureau.tokens)}")
            self._send(200, json.dumps({"access_token": bureau.tokens[-1], "expires_in": 600}).encode(), "application/json")
            return
        bureau.requests.append((self.command, url.path, dict(self.headers.items()), body if body is not None else query))
        mishap = bureau.mishaps.pop(0) if bureau.mishaps else None
        if mishap == "drop":
            self.close_connection = True
            self.connection.close()
            return
        if mishap == "html":
            self._send(200, b"<html>a proxy</html>", "text/html")
            return
        if isinstance(mishap, int):
            self._send(mishap, b"{}", "application/problem+json", {"Retry-After": bureau.retry_after})
            return
        cut = mishap[1] if isinstance(mishap, tuple) else None
        good = bureau.tokens[-1] if bureau.tokens else KEY if not bureau.has_tokens else None
        if self.headers.get("Authorization") != f"Bearer {good}":
            self._problem({**REFUSED, "code": "auth_unknown", "status": 401, "parts": []})
            return
        parts = url.path.strip("/").split("/")
        match (self.command, *parts):
            case ("POST", "v1", "jobs", "check" | "dummy") if body is not None and body["scenario"] == "bad":
                self._problem(REFUSED)
            case ("POST", "v1", "jobs", "check"):
                words = {"zh": ["每个单元最多计入 4 组。"], "en": ["Each unit counts in at most 4 groups."]}
                self._json({"price": LOSS, "answered": bureau.reused, "slot_ms": 250, "accounts": [ACCOUNT], "explanation": words})
            case ("POST", "v1", "jobs", "check-batch") if body is not None:
                quote = {"price": LOSS, "answered": False, "slot_ms": 250, "accounts": [], "explanation": {}}
                share = {"rho": "0.00702", "epsilon": None, "accuracy": None, "delta": "0.00000001"}
                refused = {"privacy": None, "quote": None, "problem": {**REFUSED, "code": "sql_syntax", "parts": []}}
                good = {"privacy": share, "quote": quote, "problem": None}
                self._json({"price": LOSS, "queries": [refused if "bad" in item["sql"] else good for item in body["queries"]]})
            case ("POST", "v1", "jobs", "dummy"):
                columns = [{"label": "city", "kind": "key"}, {"label": "n", "kind": "value", "half_width_column": "n__half_width"}]
                rows = [{"city": "x", "n": 7, "n__half_width": 2.5}]
                self._json({"dummy": True, "columns": [*columns, {"label": "n__half_width", "kind": "half_width"}], "rows": rows})
            case ("POST", "v1", "jobs"):
                id_ = bureau.jobs.setdefault(self.headers["Idempotency-Key"], f"job-{len(bureau.jobs) + 1}")
                self._json(bureau.job(id_, "running"), 202)
            case ("POST", "v1", "jobs", id_, "cancel"):
                self._json(bureau.job(id_, "cancelled"), 202)
            case ("GET", "v1", "jobs"):
                ids = [f"job-{number}" for number in range(250, 0, -1)]
                start = ids.index(query["before"]) + 1 if "before" in query else 0
                page = ids[start : start + int(query["limit"])]
                self._json({"jobs": [bureau.job(id_, "published") for id_ in page], "next": page[-1] if page and page[-1] != "job-1" else None})
            case ("GET", "v1", "jobs", id_):
                bureau.polls -= 1
                self._json(bureau.job(id_, "running" if bureau.polls >= 0 else bureau.job_ends_as))
            case ("GET", "v1", "releases"):
                self._json({"releases": [bureau.release()], "next": None})
            case ("GET", "v1", "releases", "rel-1"):
                self._json(bureau.release())
            case (_, "v1", "releases", "rel-1", "table") if query.get("format") in bureau.files:
                self._file(bureau, bureau.files[query["format"]], cut)
            case ("GET", "v1", "releases", "rel-1", "receipt"):
                extra = bureau.entries[bureau.index] if bureau.extra else b""
                self._send(200, logs.receipt(bureau.index, bureau.leaves, extra).encode(), "text/plain; charset=utf-8")
            case ("GET", "v1", "datasets"):
                self._json({"datasets": [DATASET]})
            case ("GET", "v1", "datasets", "visits"):
                self._json(DATASET)
            case ("GET", "v1", "licences"):
                self._json({"licences": [LICENCE]})
            case ("GET", "v1", "licences", "lic-1"):
                self._json(LICENCE)
            case ("GET", "v1", "accounts"):
                self._json({"accounts": [ACCOUNT]})
            case ("GET", "v1", "me"):
                self._json({"principal": "op-1", "role": "operator", "acts": ["job_submit"], "licences": ["lic-1"]})
            case ("GET", "v1", "log", "key"):
                self._json({"origin": logs.ORIGIN, "vkey": bureau.vkey})
            case ("GET", "v1", "log", "tile", "entries", *_) if bureau.entries_closed:
                self._problem({**REFUSED, "code": "auth_forbidden", "parts": []})
            case ("GET", "v1", "log", *rest) if (bureau.folder / "/".join(rest)).is_file():
                self._send(200, (bureau.folder / "/".join(rest)).read_bytes(), "application/octet-stream")
            case _:
                self._problem({**REFUSED, "code": "request_not_found", "status": 404, "parts": []})

    def _file(self, bureau: Bureau, data: bytes, cut: int | None) -> None:
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        wanted = self.headers.get("Range")
        status, extra, start = 200, {"ETag": etag}, 0
        if wanted and bureau.ranges and self.headers.get("If-Range") == etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            status, extra = 206, {"ETag": etag, "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        self._send(status, data[start:], "application/octet-stream", extra, cut)

    def _json(self, data: Any, status: int = 200) -> None:
        self._send(status, json.dumps(data, ensure_ascii=False).encode(), "application/json")

    def _problem(self, data: dict[str, Any]) -> None:
        self._send(data["status"], json.dumps(data, ensure_ascii=False).encode(), "application/problem+json")

    def _send(self, status: int, data: bytes, kind: str, extra: dict[str, str] | None = None, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(extra or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:cut])
            if cut is not None:
                self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, bureau: Bureau) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bureau = bureau


@contextmanager
def serving(folder: Path) -> Iterator[Bureau]:
    bureau = Bureau(folder)
    server = _Server(bureau)
    bureau.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield bureau
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
