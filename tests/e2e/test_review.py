"""The whole human lane over HTTP, with real workers: asked, tried, counted, held, reviewed by two, released, verified."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests import lane
from tests.bureau import SCENARIO, Bureau
from tests.e2e.conftest import Live
from yunei import Client, YuneiProblem
from yunei.models import Job

BODY = {
    "kind": "exact",
    "licence": lane.LICENCE,
    "scenario": SCENARIO,
    "sql": "SELECT city, urgent, COUNT(*) AS n, SUM(fee) AS fee FROM visits GROUP BY ROLLUP(city, urgent)",
    "facts": lane.FACTS,
}


@pytest.fixture(scope="module")
def people(live: Live) -> Iterator[dict[str, Client]]:
    bureau = Bureau(live.services, dict(live.keys))
    lane.prepare(bureau)
    clients = {name: Client(live.url, key=key, language="en") for name, key in bureau.keys.items()}
    yield clients
    for client in clients.values():
        client.close()


def submitted(client: Client, body: dict[str, Any]) -> Job:
    own = {name: value for name, value in body.items() if name not in ("licence", "scenario")}
    return client.submit(own, licence=body["licence"], scenario=body["scenario"])


def published(client: Client, job: str, timeout_s: float = 60) -> str:
    until = time.monotonic() + timeout_s
    while (found := client.job(job)).state == "held":
        assert time.monotonic() < until
        time.sleep(0.1)
    assert found.state == "published", found.state
    return str(found.release)


def test_an_exact_table_from_the_question_to_the_receipt(live: Live, people: dict[str, Client]) -> None:
    operator, first, second, supervisor = (people[name] for name in ("operator-1", "reviewer", "reviewer-2", "supervisor"))
    without = {**BODY, "facts": {}}
    said = operator.reviews.preflight(without)
    assert {rule["rule"] for rule in said["found"]} >= {"context"}
    assert {rule["rule"] for rule in said["later"]} >= {"minimum_units", "differencing"}
    assert operator.reviews.preflight(BODY)["found"] == []
    job = submitted(operator, BODY)
    assert operator.wait(job.id).state == "held"
    with pytest.raises(YuneiProblem, match="auth_forbidden"):
        operator.reviews.workbench(job.id)
    made = operator.reviews.request([job.id], title="年报附表", purpose="公开发布", note="逐市、逐类")
    assert first.reviews.find(state="open")[0]["id"] == made["id"]
    bench = first.reviews.workbench(job.id)
    assert bench["verdict"] == "pass"
    assert sum(int(cell["values"][0]["value"]) for cell in bench["table"]["cells"] if cell["levels"] == ["*", "*"]) == sum(
        int(cell["values"][0]["value"]) for cell in bench["table"]["cells"] if "*" not in cell["levels"]
    )
    first.reviews.vote(made["id"], "release")
    assert second.reviews.show(made["id"])["votes"] == []  # nothing of the other's
    assert [vote["verdict"] for vote in supervisor.reviews.show(made["id"])["votes"]] == [None]
    assert operator.reviews.show(made["id"])["votes"] == []
    second.reviews.workbench(job.id)
    assert second.reviews.vote(made["id"], "release")["state"] == "release"
    release = published(operator, job.id)
    table = json.loads(live.http.get(f"/v1/releases/{release}/table?format=json", headers=live.headers()).content)
    assert len(table["rows"]) == 3 * 3 + 3 + 1
    shown = {(row["city"], row["urgent"]): row["n"] for row in table["rows"] if row["city"] is not None}
    counted = {tuple(cell["levels"]): cell["values"][0]["value"] for cell in bench["table"]["cells"]}
    assert shown["太原", True] == int(counted["太原", "true"])
    assert operator.verify(release) is not None
    totals = {each["account"]: each["releases"] for each in supervisor.reviews.exact_totals()}
    assert totals["population:person"] >= 1
    clerk = people["auditor"]
    assert {"release_held", "vote_cast", "review_decided", "release_approved", "output_viewed"} <= {
        event["kind"] for event in live.http.get("/v1/log/events?limit=1000", headers=live.headers("auditor")).json()["events"]
    }
    assert [vote["verdict"] for vote in clerk.reviews.show(made["id"])["votes"]] == ["release", "release"]


def test_a_request_that_is_sent_back_says_why_by_codes_and_nothing_else(live: Live, people: dict[str, Client]) -> None:
    operator, first, second = (people[name] for name in ("operator-1", "reviewer", "reviewer-2"))
    job = submitted(operator, {**BODY, "sql": "SELECT city, AVG(days) AS days, COUNT(*) AS n FROM visits WHERE NOT urgent GROUP BY city"})
    assert operator.wait(job.id).state == "held"
    made = operator.reviews.request([job.id], title="附表二", purpose="公开")
    first.reviews.vote(made["id"], "return", codes=["context_missing"], words="大同 73102319 人，太少")
    second.reviews.vote(made["id"], "return", codes=["not_rounded"], words="见 73102319")
    found = operator.reviews.show(made["id"])
    assert found["state"] == "return"
    assert [reason["code"] for reason in found["reasons"]] == ["context_missing", "not_rounded"]
    assert "73102319" not in json.dumps(found, ensure_ascii=False)
    assert operator.job(job.id).state == "returned"
    again = operator.reviews.request([job.id], title="附表二", purpose="随统计公报公开", note="口径：非急诊")
    operator.reviews.withdraw(again["id"])
    assert operator.cancel(job.id).state == "cancelled"


def test_duty_and_conflicts_are_the_bureaus_to_set(live: Live, people: dict[str, Client]) -> None:
    supervisor, first, operator = (people[name] for name in ("supervisor", "reviewer", "operator-1"))
    today = lane.day(Bureau(live.services, {}), 0)
    made = supervisor.reviews.set_duty("reviewer-3", today.isoformat(), (today + timedelta(days=1)).isoformat())
    assert made["now"]
    assert supervisor.reviews.end_duty(made["id"], "请假")["now"] is False
    with pytest.raises(YuneiProblem, match="auth_forbidden"):
        first.reviews.set_duty("reviewer", today.isoformat(), today.isoformat())
    with pytest.raises(YuneiProblem, match="auth_forbidden"):
        operator.reviews.duties()
    first.reviews.declare_conflict("reviewer", "operator-2", "亲属任职")
    with pytest.raises(YuneiProblem, match="request_not_found"):
        first.reviews.declare_conflict("reviewer-2", "operator-2", "x")
    assert [each["reviewer"] for each in supervisor.reviews.duties()["conflicts"]] == ["reviewer"]
    supervisor.reviews.lift_conflict("reviewer", "operator-2", "已离职")
