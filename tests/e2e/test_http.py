"""The main job and every bad input, over real HTTP, with real workers and real files."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.journal.checkpoint import Checkpoint
from infra.journal.leaf import leaf_hash
from infra.journal.note import VerifierKey
from jobs import acts, ledger, lookup
from tests.bureau import LICENCE, OTHER_SQL, SQL, body, licence
from tests.e2e.conftest import Live

JSON = {"Content-Type": "application/json"}
PROBLEM = "application/problem+json"


def post(live: Live, path: str, content: Any, principal: str = "operator-1", **headers: str) -> httpx2.Response:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return live.http.post(path, content=data, headers=live.headers(principal, **JSON, **headers))


def get(live: Live, path: str, principal: str = "operator-1", **headers: str) -> httpx2.Response:
    return live.http.get(path, headers=live.headers(principal, **headers))


def published(live: Live, sql: str = SQL, **changes: Any) -> dict[str, Any]:
    answer = post(live, "/v1/jobs", body(sql, **changes))
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = get(live, f"/v1/jobs/{answer.json()['id']}?wait_s=30").json()
    assert job["state"] == "published", job
    return job


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is a whole problem document: both languages, a remedy, an opaque instance."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    data: dict[str, Any] = answer.json()
    assert data["code"] == code
    assert data["status"] == status
    assert data["type"].endswith(f"#problem-{code}")
    for language in ("zh", "en"):
        assert set(data[language]) == {"title", "detail", "remedy"}
        assert all(data[language].values())
    assert data["zh"] != data["en"]
    assert data["instance"].startswith("urn:yunei:request:")
    return data


# ── the main job ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_check_dummy_and_real_run_take_one_body(live: Live) -> None:
    size = live.services.register.size
    asked = body("SELECT city, COUNT(*) AS n FROM visits WHERE days < 300 GROUP BY city")
    quote = post(live, "/v1/jobs/check", asked).json()
    dummy = post(live, "/v1/jobs/dummy", asked).json()
    assert live.services.register.size == size
    assert quote["price"]["epsilon"] == "0.5"
    job = published(live, asked["sql"])
    release = get(live, f"/v1/releases/{job['release']}").json()
    assert release["price"] == quote["price"] == job["price"]
    assert (
        [column["label"] for column in dummy["columns"]] == [column["label"] for column in release["columns"]] == ["city", "n", "n__half_width"]
    )
    assert release["left"]
    assert all(isinstance(account["left"]["rho"], str) for account in release["left"])


def test_one_table_in_four_formats(live: Live) -> None:
    release = get(live, f"/v1/releases/{published(live)['release']}").json()
    files = {file["format"]: file for file in release["files"]}
    tables = {}
    for form in ("arrow", "parquet", "csv", "json"):
        answer = get(live, f"{release['table']}?format={form}")
        digest = hashlib.sha256(answer.content).hexdigest()
        assert answer.headers["etag"] == f'"{digest}"' == f'"{files[form]["sha256"]}"'
        assert len(answer.content) == files[form]["bytes"]
        tables[form] = answer.content
    arrow = pa.ipc.open_stream(tables["arrow"]).read_all()
    assert pq.read_table(io.BytesIO(tables["parquet"])).equals(arrow)
    assert json.loads(tables["json"])["rows"] == arrow.to_pylist()
    assert arrow.column_names == ["city", "n", "n__half_width"]
    assert arrow.num_rows == release["rows"] == 3


def test_conditional_partial_and_negotiated_requests(live: Live) -> None:
    url = f"/v1/releases/{published(live)['release']}/table"
    whole = get(live, url, Accept="text/csv")
    etag = whole.headers["etag"]
    assert get(live, url, **{"If-None-Match": f'"other", W/{etag}'}).status_code == 304
    assert get(live, url, **{"If-None-Match": '"other"'}).status_code == 200
    part = get(live, url, Range="bytes=2-5")
    assert (part.status_code, part.content) == (206, whole.content[2:6])
    assert part.headers["content-range"] == f"bytes 2-5/{len(whole.content)}"
    assert get(live, url, Range="bytes=-4").content == whole.content[-4:]
    assert get(live, url, Range="bytes=3-", **{"If-Range": etag}).status_code == 206
    assert get(live, url, Range="bytes=3-", **{"If-Range": '"other"'}).status_code == 200
    assert get(live, url, Range="bytes=0-1,3-4").status_code == 200
    problem(get(live, url, Range=f"bytes={len(whole.content)}-"), 416, "request_range")
    head = live.http.head(url, headers=live.headers(Accept="text/csv"))
    assert (head.status_code, head.content) == (200, b"")
    assert (head.headers["etag"], head.headers["content-length"]) == (etag, str(len(whole.content)))
    parquet = get(live, url, Accept="text/html;q=0.9, application/vnd.apache.parquet;q=0.8, text/csv;q=0.1")
    assert parquet.headers["content-type"] == "application/vnd.apache.parquet"
    problem(get(live, url, Accept="image/png"), 406, "request_format")
    problem(get(live, f"{url}?format=xlsx"), 406, "request_format")


def test_the_receipt_proves_the_release_offline(live: Live) -> None:
    release = get(live, f"/v1/releases/{published(live)['release']}").json()
    receipt = get(live, release["receipt"]).text
    head, note = receipt.split("\n\n", 1)
    header, extra, index, *path = head.split("\n")
    assert header == "c2sp.org/tlog-proof@v1"
    entry = base64.b64decode(extra.removeprefix("extra "))
    event = json.loads(entry)
    files = {file["format"]: file["sha256"] for file in release["files"]}
    assert (event["kind"], event["release"], event["table_sha256"]) == ("release_published", release["id"], files["arrow"])
    vkey = live.http.get("/v1/log/key").json()["vkey"]
    checkpoint = Checkpoint.open(note, [VerifierKey.parse(vkey)])
    node, fn, sn = leaf_hash(entry), int(index.removeprefix("index ")), checkpoint.size - 1
    for line in path:  # RFC 9162, 2.1.3.2
        other = base64.b64decode(line)
        if fn & 1 or fn == sn:
            node = hashlib.sha256(b"\x01" + other + node).digest()
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + other).digest()
        fn, sn = fn >> 1, sn >> 1
    assert (node, sn) == (checkpoint.root, 0)


def test_a_builder_has_products_and_no_release(live: Live) -> None:
    job = published(live)
    for url in ("/v1/releases", f"/v1/releases/{job['release']}", f"/v1/releases/{job['release']}/table?format=parquet"):
        assert get(live, url, "builder").json()["code"] == "auth_forbidden"


def test_a_long_poll_answers_at_the_slot_and_a_job_before_it_shows_nothing(live: Live) -> None:
    began = time.monotonic()
    job = post(live, "/v1/jobs", body("SELECT urgent, COUNT(*) AS n FROM visits GROUP BY urgent")).json()
    assert (job["state"], job["release"], job["problem"]) == ("running", None, None)
    seen = get(live, f"/v1/jobs/{job['id']}?wait_s=30").json()
    assert seen["state"] == "published"
    assert time.monotonic() - began >= job["slot_ms"] / 1000
    release = get(live, f"/v1/releases/{seen['release']}").json()
    assert release["published_at"] < release["visible_at"]


def test_waiting_costs_no_thread_and_ends_in_time(live: Live) -> None:
    job = post(live, "/v1/jobs", body("SELECT COUNT(*) AS n FROM visits WHERE days < 100")).json()
    began = time.monotonic()
    seen = get(live, f"/v1/jobs/{job['id']}?wait_s=0.05").json()
    assert time.monotonic() - began < 20
    assert seen["state"] in ("running", "published")
    answers: list[str] = []

    def wait() -> None:
        answers.append(httpx2.get(f"{live.url}/v1/jobs/{job['id']}?wait_s=30", headers=live.headers(), timeout=40).json()["state"])

    threads = [threading.Thread(target=wait) for _ in range(60)]  # more than the threads that answer requests
    for thread in threads:
        thread.start()
    assert live.http.get("/v1/health").status_code == 200
    for thread in threads:
        thread.join(40)
    assert answers == ["published"] * 60


# ── asking twice ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_idempotency_key_makes_one_job_of_many_requests(live: Live) -> None:
    asked = body("SELECT COUNT(*) AS n FROM visits WHERE days < 50")
    answers: list[httpx2.Response] = []

    def send() -> None:
        with httpx2.Client(base_url=live.url, timeout=30) as http:
            answers.append(http.post("/v1/jobs", json=asked, headers=live.headers(**{"Idempotency-Key": "one-and-only"})))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    problem(post(live, "/v1/jobs", body(OTHER_SQL), **{"Idempotency-Key": "one-and-only"}), 422, "request_key_reused")
    problem(post(live, "/v1/jobs", asked, **{"Idempotency-Key": "x" * 129}), 400, "request_key_invalid")
    assert post(live, "/v1/jobs", asked, "operator-2", **{"Idempotency-Key": "one-and-only"}).status_code == 403


def test_the_same_question_is_free_and_the_same_bytes(live: Live) -> None:
    first = published(live)
    accounts = get(live, "/v1/accounts").json()
    again = post(live, "/v1/jobs", body()).json()
    assert (again["state"], again["reused"], again["release"], again["price"]["rho"]) == ("published", True, first["release"], "0")
    assert get(live, "/v1/accounts").json() == accounts
    assert post(live, "/v1/jobs/check", body()).json()["answered"]


# ── bad input ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def untouched(live: Live) -> Iterator[None]:
    """Nothing spent, and nothing in the log but refusals."""
    register = live.services.register
    while any(job.state == "running" for job in lookup.jobs_of(register, None, live.services.clock(), limit=200)):
        time.sleep(0.02)  # jobs of tests before this one
    before, size = ledger.balances(register), register.size
    yield
    assert ledger.balances(register) == before
    assert {event.kind for event in register.events(size - 1, 1000)} <= {"job_refused"}


NAN = json.dumps(body(privacy={"epsilon": float("nan"), "delta": "1e-8"})).encode()
BAD: dict[str, tuple[Any, int, str]] = {
    "no JSON": (b'{"licence": ', 400, "request_malformed"),
    "not UTF-8": (b'{"licence": "\xff\xfe"}', 400, "request_malformed"),
    "not an object": ([1, 2], 422, "request_invalid"),
    "deep": (b"[" * 100_000 + b"]" * 100_000, 400, "request_malformed"),
    "empty": (b"", 422, "request_invalid"),
    "unknown field": (body(noise="none"), 422, "request_invalid"),
    "missing field": ({"sql": SQL}, 422, "request_invalid"),
    "wrong type": (body(sql=17), 422, "request_invalid"),
    "epsilon 0": (body(privacy={"epsilon": 0, "delta": "1e-8"}), 422, "request_invalid"),
    "epsilon below 0": (body(privacy={"epsilon": "-1", "delta": "1e-8"}), 422, "request_invalid"),
    "epsilon NaN": (NAN, 422, "request_invalid"),
    "epsilon infinite": (body(privacy={"epsilon": "Infinity", "delta": "1e-8"}), 422, "request_invalid"),
    "epsilon and rho": (body(privacy={"epsilon": "1", "rho": "1"}), 422, "request_invalid"),
    "neither": (body(privacy={"delta": "1e-8"}), 422, "request_invalid"),
    "SQL too long": (body("SELECT 1 -- " + "x" * 20_000), 422, "request_invalid"),
    "SQL that does not parse": (body("SELECT FROM WHERE"), 422, "sql_syntax"),
    "two statements": (body("SELECT 1; DROP TABLE visits"), 422, "sql_one_statement"),
    "unknown table": (body("SELECT COUNT(*) FROM patients"), 422, "sql_unknown_table"),
    "unknown column": (body("SELECT COUNT(name) FROM visits"), 422, "sql_unknown_column"),
    "unknown licence": (body(licence="L-404"), 403, "licence_refused"),
    "unlicensed scenario": (body(scenario="advertising"), 403, "licence_refused"),
    "a licence that does not cover the dataset": (body("SELECT COUNT(*) FROM other"), 403, "licence_refused"),
    "beyond one job's cap": (body("SELECT COUNT(*) FROM visits", privacy={"rho": "0.5"}), 403, "licence_refused"),
    "beyond the budget": (body("SELECT COUNT(*) FROM visits", licence="L-little", privacy={"rho": "0.05"}), 409, "ledger_exhausted"),
}  # fmt: skip


@pytest.fixture(scope="module")
def poor(live: Live) -> None:
    """A licence with almost nothing, and a dataset that no licence covers."""
    from sandbox.raw.ingest import ingest
    from tests import visits

    register = live.services.register
    acts.grant_licence(register, licence("L-little", total={"rho": "0.06", "delta": "0"}, per_job={"rho": "0.06", "delta": "0"}))
    acts.grant_licence(register, licence("L-2", "operator-2"))
    source = visits.parquet(live.services.settings.home / "other.parquet", visits.rows())
    declared = visits.dataset(name="other", rows=200)
    report = ingest(declared, [source], live.services.vault, version=1, catalogue_public=register.catalogue(), random=live.services.random)
    acts.register_dataset(register, report.snapshot)
    answer = post(live, "/v1/jobs", body("SELECT COUNT(*) FROM visits", licence="L-little", privacy={"rho": "0.03"}))
    assert answer.status_code == 202, answer.text
    get(live, f"/v1/jobs/{answer.json()['id']}?wait_s=30")


@pytest.mark.usefixtures("poor", "untouched")
@pytest.mark.parametrize(
    ("name", "path"),
    [
        (name, path)
        for name, (_, _, code) in BAD.items()
        for path in ("/v1/jobs", "/v1/jobs/check", "/v1/jobs/dummy")
        if not (code == "ledger_exhausted" and path.endswith("dummy"))  # a dummy run costs nothing
    ],
)
def test_bad_input_is_a_problem_and_nothing_else(live: Live, name: str, path: str) -> None:
    content, status, code = BAD[name]
    size = live.services.register.size
    answer = post(live, path, content)
    data = problem(answer, status, code)
    if code in ("request_invalid", "licence_refused"):
        assert data["parts"]
        assert all(part["zh"]["remedy"] and part["en"]["remedy"] for part in data["parts"])
    assert live.services.register.size == size + (path == "/v1/jobs")


@pytest.mark.usefixtures("untouched")
def test_words_come_in_the_callers_language(live: Live) -> None:
    zh = post(live, "/v1/jobs", b"{", **{"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
    en = post(live, "/v1/jobs", b"{", **{"Accept-Language": "en"})
    assert zh.json()["title"] == zh.json()["zh"]["title"]
    assert en.json()["title"] == en.json()["en"]["title"]
    assert (zh.headers["content-language"], en.headers["content-language"]) == ("zh-CN", "en")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer yk_aaaaaaaa_bbbb", "Basic YTpi", "Bearer " + "k" * 5000, "Bearer \u00e9"])
def test_without_a_key_nothing_is_read_and_nothing_logged(live: Live, authorization: str | None) -> None:
    size = live.services.register.size
    headers = dict(JSON) if authorization is None else {**JSON, "Authorization": authorization.encode("latin-1").decode("latin-1")}
    answer = live.http.post("/v1/jobs", content=b"{" * 1000, headers=[(k.encode(), v.encode("latin-1")) for k, v in headers.items()])
    problem(answer, 401, "auth_missing" if authorization in (None, "Basic YTpi") else "auth_unknown")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert live.services.register.size == size


def test_a_revoked_key_opens_nothing_at_once(live: Live) -> None:
    secret = acts.issue_key(live.services.register, "operator-1")
    headers = {"Authorization": f"Bearer {secret}"}
    assert live.http.get("/v1/me", headers=headers).json()["principal"] == "operator-1"
    acts.revoke_key(live.services.register, secret, reason="lost")
    size = live.services.register.size
    problem(live.http.get("/v1/me", headers=headers), 401, "auth_unknown")
    problem(live.http.post("/v1/jobs", json=body(), headers=headers), 401, "auth_unknown")
    assert live.services.register.size == size


@pytest.mark.usefixtures("untouched")
def test_ten_megabytes_are_refused_before_they_are_read(live: Live) -> None:
    """By the declared length: the answer is there before the body was sent."""
    host, port = live.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(f"POST /v1/jobs HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 10000000\r\n\r\n".encode())
        answer = raw.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    problem(post(live, "/v1/jobs", b" " * 10_000_000), 413, "request_too_large")

    def chunks() -> Iterator[bytes]:
        for _ in range(160):
            yield b" " * 65536

    answer_chunked = live.http.post("/v1/jobs", content=chunks(), headers=live.headers(**JSON))
    problem(answer_chunked, 413, "request_too_large")


@pytest.mark.usefixtures("untouched")
def test_wrong_methods_and_addresses(live: Live) -> None:
    answer = live.http.put("/v1/jobs", headers=live.headers())
    problem(answer, 405, "request_method")
    assert "POST" in answer.headers["allow"]
    for path in ("/", "/v1", "/v1/nowhere", "/v1/jobs/job-none", "/v1/releases/rel-none", "/v1/releases/..%2f..%2fkeys/table", "/v1/jobs/"):
        problem(get(live, path), 404, "request_not_found")
    for path in (
        "/v1/log/tile/0/..%2f..%2fregister.db",
        "/v1/log/tile/0/%2e%2e/%2e%2e/checkpoint/",
        "/v1/log/tile/64/000",
        "/v1/log/tile/0/999",
    ):
        problem(live.http.get(path), 404, "request_not_found")
    problem(get(live, "/v1/jobs?limit=0"), 422, "request_invalid")
    problem(get(live, "/v1/jobs/job-none?wait_s=nan"), 422, "request_invalid")


def test_somebody_elses_job_is_not_there(live: Live) -> None:
    job = published(live)
    for path in (f"/v1/jobs/{job['id']}", f"/v1/releases/{job['release']}", f"/v1/releases/{job['release']}/table", f"/v1/licences/{LICENCE}"):
        problem(get(live, path, "operator-2"), 404, "request_not_found")
    problem(live.http.post(f"/v1/jobs/{job['id']}/cancel", headers=live.headers("operator-2")), 404, "request_not_found")
    assert get(live, "/v1/jobs", "operator-2").json()["jobs"] == []
    assert any(item["id"] == job["id"] for item in get(live, "/v1/jobs", "supervisor").json()["jobs"])
