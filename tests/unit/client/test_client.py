"""The client against a server on a real socket: what it sends, what it repeats, what it makes of answers."""

from __future__ import annotations

import pickle
import socket
from decimal import Decimal

import pytest

from tests.unit.client.server import KEY, LOSS, REFUSED, Bureau, answer_table
from yunei import Client, NotVerified, StillRunning, Unreachable, YuneiProblem

pytestmark = pytest.mark.enable_socket
JOB = {"licence": "lic-1", "scenario": "health", "epsilon": "0.5"}
SQL = "SELECT city, COUNT(*) AS n FROM visits GROUP BY city"


def test_check_dummy_and_submit_send_one_and_the_same_body(client: Client, bureau: Bureau) -> None:
    job = {"licence": "lic-1", "scenario": "health", "rho": Decimal("0.01"), "delta": 0.1, "groups_per_unit": 2, "rows_per_group": 3}
    for call in (client.check, client.dummy, client.submit):
        call(SQL, **job, ranges={"fee": (0, "9.5")})
    bodies = [body for _, _, _, body in bureau.requests]
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0] == {
        "licence": "lic-1",
        "scenario": "health",
        "sql": SQL,
        "privacy": {"rho": "0.01", "delta": "0.1"},
        "groups_per_unit": 2,
        "rows_per_group": 3,
        "ranges": {"fee": {"low": "0", "high": "9.5"}},
    }


def test_a_quote_is_exact(client: Client) -> None:
    quote = client.check(SQL, **JOB)
    assert quote.price.rho == Decimal("0.00702")
    assert str(quote.price) == "ε = 0.5 (δ = 1e-8)"
    assert quote.accounts[0].left.epsilon == Decimal("2.5")
    assert quote.data["price"] == LOSS


def test_a_refusal_is_a_problem_in_both_languages_with_its_parts(client: Client) -> None:
    with pytest.raises(YuneiProblem) as caught:
        client.check(SQL, licence="lic-1", scenario="bad", epsilon=1)
    problem = caught.value
    assert (problem.code, problem.status, problem.fields) == ("licence_refused", 403, {"licence": "lic-1"})
    assert (problem.zh.remedy, problem.en.remedy) == ("见各条。", "See the parts.")
    assert [part.code for part in problem.parts] == ["licence_scenario"]
    assert "→ Use a scenario of the licence." in str(problem)
    assert pickle.loads(pickle.dumps(problem)).as_data() == problem.as_data()
    assert problem.as_data()["parts"][0]["zh"] == REFUSED["parts"][0]["zh"]


def test_the_language_is_asked_of_the_server_and_spoken_by_problems(bureau: Bureau) -> None:
    with Client(bureau.url, KEY, "zh") as client, pytest.raises(YuneiProblem, match="不予受理"):
        client.check(SQL, licence="lic-1", scenario="bad", epsilon=1)
    assert bureau.requests[0][2]["Accept-Language"] == "zh-CN"


def test_a_submission_is_repeated_under_one_idempotency_key(client: Client, bureau: Bureau, pauses: list[float]) -> None:
    bureau.mishaps = ["drop", 503]
    job = client.submit(SQL, **JOB)
    keys = [headers["Idempotency-Key"] for _, _, headers, _ in bureau.requests]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert job.id == "job-1"
    assert len(pauses) == 2
    client.submit(SQL, **JOB)
    assert bureau.requests[-1][2]["Idempotency-Key"] != keys[0]
    client.submit(SQL, idempotency_key="mine", **JOB)
    assert bureau.requests[-1][2]["Idempotency-Key"] == "mine"


def test_a_cancellation_that_may_have_arrived_is_not_repeated(client: Client, bureau: Bureau) -> None:
    bureau.mishaps = ["drop"]
    with pytest.raises(Unreachable):
        client.cancel("job-1")
    assert bureau.paths() == ["POST /v1/jobs/job-1/cancel"]
    bureau.mishaps = [503]
    with pytest.raises(YuneiProblem):
        client.cancel("job-1")
    assert len(bureau.requests) == 2
    assert client.cancel("job-1").state == "cancelled"


def test_the_key_is_exchanged_once_and_then_a_token_travels(bureau: Bureau) -> None:
    now = [1000.0]
    with Client(bureau.url, KEY, clock=lambda: now[0]) as client:
        client.accounts()
        client.accounts()
        assert [headers["Authorization"] for _, _, headers, _ in bureau.requests] == ["Bearer a.token.0"] * 2
        now[0] += 571  # half a minute before it ends
        client.accounts()
        assert bureau.requests[-1][2]["Authorization"] == "Bearer a.token.1"
        bureau.tokens.append("a.token.other")  # the server knows the old ones no more
        client.accounts()
        assert [headers["Authorization"] for _, _, headers, _ in bureau.requests[-2:]] == ["Bearer a.token.1", "Bearer a.token.3"]


def test_a_server_without_tokens_gets_the_key(bureau: Bureau) -> None:
    bureau.has_tokens = False
    with Client(bureau.url, KEY) as client:
        client.accounts()
    assert bureau.requests[-1][2]["Authorization"] == f"Bearer {KEY}"


def test_a_key_that_opens_nothing_is_not_tried_twice(bureau: Bureau) -> None:
    with Client(bureau.url, "yk_other_0123456789abcdef") as client, pytest.raises(YuneiProblem) as caught:
        client.accounts()
    assert caught.value.status == 401
    assert [path for _, path, _, _ in bureau.requests] == ["/v1/token"]


def test_retry_after_is_honoured_and_pauses_grow(client: Client, bureau: Bureau, pauses: list[float]) -> None:
    bureau.retry_after = "7"
    bureau.mishaps = [429]
    client.accounts()
    assert pauses == [7.0]
    bureau.mishaps = ["drop"] * 3
    client.accounts()
    first, second, third = pauses[1:]
    assert 0.1 <= first <= 0.2
    assert 0.2 <= second <= 0.4
    assert 0.4 <= third <= 0.8
    bureau.mishaps = ["drop"] * 4
    with pytest.raises(Unreachable):
        client.accounts()


def test_refusals_are_not_repeated(client: Client, bureau: Bureau) -> None:
    for status in (400, 404, 500):
        bureau.requests.clear()
        bureau.mishaps = [status]
        with pytest.raises(YuneiProblem):
            client.accounts()
        assert len(bureau.requests) == 1


def test_nobody_at_the_address_is_said_with_a_remedy(pauses: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with Client(url, KEY, pause=pauses.append) as client, pytest.raises(Unreachable, match="YUNEI_URL") as caught:
        client.me()
    assert caught.value.code == "client_unreachable"
    assert KEY not in str(caught.value)
    assert len(pauses) == 3


def test_an_answer_that_is_not_yuneis_is_recognised(client: Client, bureau: Bureau) -> None:
    bureau.mishaps = ["html"]
    with pytest.raises(Unreachable) as caught:
        client.accounts()
    assert caught.value.code == "client_not_yunei"
    for call in (client.me, client.datasets, lambda: client.job("job-1")):
        bureau.mishaps = ["html"]
        with pytest.raises(Unreachable):
            call()


def test_waiting_polls_with_patience_and_tells(client: Client, bureau: Bureau) -> None:
    told: list[str] = []
    job = client.wait("job-1", progress=lambda seen: told.append(seen.state))
    assert told == ["running", "running", "published"]
    assert job.release == "rel-1"
    assert [query["wait_s"] for _, _, _, query in bureau.requests] == ["25", "25", "25"]


def test_a_server_that_restarts_is_waited_for_but_not_for_ever(bureau: Bureau) -> None:
    now = [0.0]

    def pause(seconds: float) -> None:
        now[0] += seconds

    with Client(bureau.url, KEY, pause=pause, clock=lambda: now[0]) as client:
        bureau.polls, bureau.mishaps = 0, ["drop"] * 25
        assert client.wait("job-1").state == "published"
        assert 5 < now[0] < 60
        bureau.mishaps = ["drop"] * 1000
        with pytest.raises(Unreachable):
            client.wait("job-1")
        assert now[0] < 130
        now[0], bureau.polls = 0.0, 40
        bureau.mishaps = [*["drop"] * 4, None] * 40  # away again and again, never for long
        assert client.wait("job-1").state == "published"
        assert now[0] > 70
        bureau.mishaps, bureau.requests = [404], []
        with pytest.raises(YuneiProblem):
            client.wait("job-1")
        assert len(bureau.requests) == 1


def test_the_time_to_wait_ends_and_the_job_goes_on(bureau: Bureau) -> None:
    now = iter([0.0, 0.0, 0.0, 3.0, 3.0, 3.0, 11.0])
    bureau.polls = 100
    with Client(bureau.url, KEY, clock=lambda: next(now)) as client, pytest.raises(StillRunning, match="yunei job wait job-1"):
        client.wait("job-1", timeout_s=10)
    assert [query["wait_s"] for _, _, _, query in bureau.requests] == ["10", "7"]


def test_ask_gives_an_answer_with_error_bars_price_and_what_is_left(client: Client, bureau: Bureau) -> None:
    answer = client.ask(SQL, **JOB)
    assert answer.to_arrow().equals(answer_table())
    assert list(answer.to_pandas().columns) == answer_table().column_names
    assert answer.to_polars()["n"].to_list() == [12345, 678, -3]
    text = repr(answer)
    assert "12,345 ± 17" in text
    assert "3.142 ± 0.024" in text
    assert "n__half_width" not in text
    assert "ε = 0.5 (δ = 1e-8)" in text
    assert "licence lic-1: ε = 2.5 (δ = 1e-8) left" in text
    assert "\x1b" not in text
    assert len(answer) == 3
    assert answer.receipt.startswith("c2sp.org/tlog-proof@v1\n")


def test_html_is_escaped_and_fetches_nothing(client: Client) -> None:
    html = client.answer("rel-1")._repr_html_()
    assert "&lt;b&gt;大同&lt;/b&gt;" in html
    assert "<b>" not in html
    assert "\x1b" not in html
    for forbidden in ("<script", "src=", "href=", "http", "url("):
        assert forbidden not in html


def test_a_job_that_published_nothing_raises_its_own_problem(client: Client, bureau: Bureau) -> None:
    bureau.job_ends_as = "failed"
    bureau.job_problem = {**REFUSED, "code": "job_failed"}
    with pytest.raises(YuneiProblem) as caught:
        client.ask(SQL, **JOB)
    assert caught.value.code == "job_failed"
    bureau.job_ends_as, bureau.job_problem = "cancelled", None
    with pytest.raises(YuneiProblem) as caught:
        client.ask(SQL, **JOB)
    assert caught.value.code == "client_not_published"


def test_bytes_that_are_not_those_of_the_record_are_refused(client: Client, bureau: Bureau) -> None:
    release = client.release("rel-1")
    bureau.files["arrow"] = bureau.files["arrow"] + b"\0"
    with pytest.raises(NotVerified):
        client.answer(release)


def test_lists_are_read_page_by_page_and_no_further_than_asked(client: Client, bureau: Bureau) -> None:
    assert [job.id for job in client.jobs()] == [f"job-{number}" for number in range(250, 0, -1)]
    assert len(bureau.requests) == 3
    bureau.requests.clear()
    assert len(list(client.jobs(5))) == 5
    assert [query for _, _, _, query in bureau.requests] == [{"limit": "5"}]
    assert [release.id for release in client.releases(limit=1)] == ["rel-1"]


def test_what_there_is(client: Client) -> None:
    assert [(d.name, d.title, d.unit) for d in client.datasets()] == [("visits", "visits to hospital", "person_id")]
    assert client.dataset("visits").version == 1
    assert client.licence("lic-1").datasets == ("visits",)
    assert client.licences()[0].accounts[0].id == "licence:lic-1"
    assert client.me()["principal"] == "op-1"


def test_ids_stay_one_segment_of_the_path(client: Client, bureau: Bureau) -> None:
    for id_ in ("../accounts", "a/b", "..", "x?y=1", "中"):
        with pytest.raises(YuneiProblem):
            client.release(id_)
    assert bureau.paths() == [
        "GET /v1/releases/..%2Faccounts",
        "GET /v1/releases/a%2Fb",
        "GET /v1/releases/%2E%2E",
        "GET /v1/releases/x%3Fy%3D1",
        "GET /v1/releases/%E4%B8%AD",
    ]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://x", "client_bad_url"),
        ("yunei.example", "client_bad_url"),
        ("https://user:secret@x", "client_bad_url"),
        ("http://[::", "client_bad_url"),
        ("http://yunei.example", "client_plain_http"),
        ("http://127.0.0.1.evil.example", "client_plain_http"),
    ],
)
def test_a_key_goes_nowhere_it_should_not(url: str, code: str) -> None:
    with pytest.raises(YuneiProblem) as caught:
        Client(url, KEY)
    assert caught.value.code == code
    assert "secret" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_plain_http_needs_to_be_allowed_and_the_key_is_never_shown() -> None:
    with Client("http://yunei.example", KEY, allow_http=True) as client:
        assert repr(client) == "Client('http://yunei.example')"
        assert KEY not in str(vars(client))
    with pytest.raises(YuneiProblem, match="key") as caught:
        Client("https://yunei.example", "two words")
    assert caught.value.code == "client_bad_key"


def test_redirects_are_not_followed(client: Client, bureau: Bureau) -> None:
    bureau.mishaps = [302]
    with pytest.raises(YuneiProblem):
        client.accounts()
    assert len(bureau.requests) == 1
