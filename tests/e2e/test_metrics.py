"""Numbers on the running of the service: right, in a format that Prometheus reads, for the bureau alone, and without anything of the data."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.bureau import SQL, body
from tests.e2e.conftest import Live
from tests.e2e.test_http import get, post, problem, published

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(live: Live, principal: str = "supervisor") -> tuple[str, Samples]:
    answer = get(live, "/v1/metrics", principal)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return answer.text, {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families for sample in family.samples}


def test_they_say_what_the_register_says(live: Live) -> None:
    _, before = scraped(live)
    published(live)
    post(live, "/v1/jobs", body("SELECT person FROM visits"))  # refused
    live.http.get("/no/such/杭州")
    _, after = scraped(live)

    def grew(name: str, **labels: str) -> float:
        key = name, tuple(sorted(labels.items()))
        return after[key] - before.get(key, 0)

    assert grew("yunei_jobs", state="published") == 1
    assert grew("yunei_events_total", kind="release_published") == 1
    assert grew("yunei_events_total", kind="job_refused") == 1
    assert grew("yunei_http_requests_total", method="POST", route="/v1/jobs", status="202") == 1
    assert grew("yunei_http_requests_total", method="-", route="-", status="404") == 1
    spent = {name[1][0][1]: value for name, value in after.items() if name[0] == "yunei_account_spent_pico_rho"}
    assert spent
    assert all(value > 0 for name, value in spent.items() if not name.endswith("operator-2"))
    size = live.services.register.size
    assert after["yunei_log_entries", ()] == after["yunei_log_published_entries", ()] == size
    assert after["yunei_ready", ()] == after["yunei_register_up", ()] == after["yunei_log_sound", ()] == 1


def test_a_number_that_is_read_twice_counts_each_event_once(live: Live) -> None:
    _, once = scraped(live)
    _, twice = scraped(live)
    events = [key for key in once if key[0] == "yunei_events_total"]
    assert events
    assert {key: once[key] for key in events} == {key: twice[key] for key in events}
    assert sum(twice[key] for key in events) == live.services.register.size


def test_nothing_of_queries_or_data_is_in_them(live: Live) -> None:
    release = published(live, SQL + " HAVING COUNT(*) > 3")
    live.http.get("/v1/releases/杭州")
    text, samples = scraped(live)
    for word in ("SELECT", "visits.", "city", "fee", "HAVING", "杭州", release["id"], release["release"]):
        assert word not in text, word
    labels = {label for _, pairs in samples for label, _ in pairs}
    assert labels <= {"method", "route", "status", "state", "kind", "account", "le", "severity"}


def test_operators_and_builders_do_not_see_them(live: Live) -> None:
    for principal in ("operator-1", "builder", "steward", "reviewer"):
        problem(get(live, "/v1/metrics", principal), 403, "auth_forbidden")
    for principal in ("supervisor", "auditor", "admin"):
        scraped(live, principal)
    problem(live.http.get("/v1/metrics"), 401, "auth_missing")
