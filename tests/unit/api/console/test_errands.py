"""Errands on pages: asked and run, fetched, looked at, drafted and recalled, proposed, traced, subscribed, destroyed."""

from __future__ import annotations

import html
import re
import time
from typing import Any

import pytest

from api.console.ask import Interface
from api.schemas.tracing import TRACE
from tests import products
from tests.consoles import forbidden, form
from tests.furnished import GONE, KINDS, NASTY, Furnished

MODEL = {"model": "linear", "source": "visits", "target": "fee", "name0": "days", "low0": "0", "high0": "30", "licence": KINDS}
SYNTHETIC = {"dataset": "visits", "column:city": "1", "column:urgent": "1", "licence": KINDS}


def test_a_price_is_asked_and_the_run_is_free_the_second_time(town: Furnished) -> None:
    browser = town.visit("operator-1")
    asked = form(browser, sql="SELECT city, COUNT(*) AS n FROM visits GROUP BY city", act="check")
    priced = browser.post("/console/ask", data=asked)
    assert priced.status_code == 200
    assert "free" in priced.text
    dummy = browser.post("/console/ask", data={**asked, "act": "dummy"})
    assert "invented" in dummy.text
    assert '<svg class="chart"' in dummy.text
    sent = browser.post("/console/ask", data={**asked, "act": "submit"}, follow_redirects=False)
    assert sent.status_code == 303
    assert "published" in browser.get(sent.headers["location"]).text


def test_a_builder_fetches_from_a_page(town: Furnished) -> None:
    browser = town.visit("builder")
    answer = browser.post(f"/console/products/{products.ID}", data=form(browser, act="fetch", format="csv"), follow_redirects=False)
    assert answer.status_code == 303, answer.text
    file = browser.get(answer.headers["location"])
    assert file.status_code == 200
    assert b"city" in file.content
    manifest = browser.get(f"/console/products/{products.ID}/manifest")
    assert manifest.json()["payload"]


def test_the_workbench_is_for_reviewers_and_each_look_is_written_down(town: Furnished) -> None:
    register = town.bureau.services.register
    size = register.size
    assert town.visit("operator-1").get(f"/console/workbench/{town.held}").status_code == 403
    page = town.visit("reviewer").get(f"/console/workbench/{town.held}")
    assert page.status_code == 200
    looks = [event for event in register.events(size - 1, 100) if event.kind == "output_viewed"]
    assert [look.event.by for look in looks] == ["reviewer"]


@pytest.mark.parametrize(("kind", "fields"), [("model", MODEL), ("synthetic", SYNTHETIC)])
def test_other_kinds_are_priced_tried_and_submitted_from_their_forms(town: Furnished, kind: str, fields: dict[str, str]) -> None:
    browser = town.visit("operator-1")
    filled = form(browser, **fields)
    path = f"/console/ask/{kind}"
    priced = browser.post(path, data={**filled, "act": "check"})
    assert priced.status_code == 200, priced.text[-2000:]
    assert "What it does" in priced.text
    tried = browser.post(path, data={**filled, "act": "dummy"})
    assert "invented" in tried.text
    more = browser.post(path, data={**filled, "act": "more"})
    assert forbidden(more.text) == []
    assert more.text.count('<input name="name') == (12 if kind == "model" else 0)
    sent = browser.post(path, data={**filled, "act": "submit"}, follow_redirects=False)
    assert sent.status_code == 303, sent.text[-2000:]
    job = sent.headers["location"].rpartition("/")[2]
    for _ in range(400):
        seen = browser.get(f"/v1/jobs/{job}").json()
        if seen["state"] != "running":
            break
        time.sleep(0.05)
    assert seen["state"] == "published", seen
    page = browser.get(f"/console/releases/{seen['release']}")
    assert forbidden(page.text) == []
    if kind == "model":
        assert "Model card" in page.text
        assert page.text.count("<circle") == 2
    else:
        picture = re.search(r'<img class="plot" src="([^"]+)"', page.text)
        assert picture is not None
        answer = browser.get(picture[1])
        assert answer.headers["content-type"] == "image/svg+xml"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert b"<script" not in answer.content


def test_a_form_with_a_fault_is_shown_again_as_it_was_filled_in(town: Furnished) -> None:
    browser = town.visit("operator-1")
    answer = browser.post("/console/ask/model", data=form(browser, **{**MODEL, "name0": NASTY, "act": "check"}))
    assert answer.status_code == 422
    assert forbidden(answer.text) == []
    assert html.escape(NASTY, quote=False)[:20] in html.unescape(answer.text) or html.escape("<script>") in answer.text
    draft = browser.post("/console/products", data=form(browser, id="No Such Id", title_zh=NASTY))
    assert draft.status_code == 422
    assert html.escape("<script>alert(1)</script>") in draft.text
    assert forbidden(draft.text) == []


def test_a_product_is_drafted_given_a_version_and_recalled_from_pages(town: Furnished) -> None:
    browser = town.visit("operator-1")
    words = {f"{name}_{language}": f"{name} {language}" for name in ("title", "about", "terms") for language in ("zh", "en")}
    made = browser.post(
        "/console/products", data=form(browser, id="from-a-page", keywords="健康，visits", renewed="month", **words), follow_redirects=False
    )
    assert made.headers["location"] == "/console/products/from-a-page"
    path = made.headers["location"]
    assert town.release in browser.get(path).text
    grown = browser.post(path, data=form(browser, act="version", **{f"release:{town.release}": "1"}), follow_redirects=False)
    assert grown.status_code == 303, grown.text
    supervisor = town.visit("supervisor")
    assert supervisor.post(path, data=form(supervisor, act="register"), follow_redirects=False).status_code == 303
    assert browser.post(path, data=form(browser, act="publish"), follow_redirects=False).status_code == 303
    planned = browser.post(path, data=form(browser, act="schedule", job=town.job, releases_at_most="2"), follow_redirects=False)
    assert planned.status_code == 303, planned.text
    listed = browser.get("/v1/products/from-a-page/schedules").json()["schedules"]
    assert [each["state"] for each in listed] == ["active"]
    assert browser.post(path, data=form(browser, act="stop", schedule=listed[0]["id"]), follow_redirects=False).status_code == 303
    assert supervisor.post(path, data=form(supervisor, act="recall", reason="x", version="1"), follow_redirects=False).status_code == 303
    seen = browser.get("/v1/products/from-a-page").json()
    assert [version["state"] for version in seen["versions"]] == ["recalled"]


def test_a_rule_pack_is_changed_by_two_people(town: Furnished) -> None:
    browser = town.visit("supervisor")
    text = browser.get("/v1/rule-packs").json()["in_force"]["text"]
    checked = browser.post("/console/rules", data=form(browser, text=text, act="check"))
    assert "Check passed" in checked.text
    assert browser.post("/console/rules", data=form(browser, text="name = ", act="propose")).status_code == 422
    proposed = browser.post("/console/rules", data=form(browser, text=text.replace("version = 1", "version = 2"), reason=NASTY, act="propose"))
    assert proposed.status_code == 200, proposed.text[-1000:]
    assert html.escape("<script>alert(1)</script>") in proposed.text
    assert "awaits another person" in proposed.text, "nobody confirms a proposal of their own"
    assert town.visit("operator-1").post("/console/rules", data={"text": text}).status_code == 403


def test_a_file_is_traced_and_a_program_submitted_by_upload(town: Furnished, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = town.visit("supervisor")
    table = browser.get(f"/v1/releases/{town.release}/table?format=csv").content
    given = {name: value for name, value in form(browser, product=products.ID).items() if name in ("csrf_token", "product")}
    small = browser.post("/console/traces", data=given, files={"file": ("found.csv", table)})
    assert small.status_code == 409
    assert "product_unmarked" in small.text, "the file and the product's name came through, and this product carries no mark"
    assert browser.post("/console/traces", data={"product": products.ID}, files={"file": ("found.csv", table)}).status_code == 403
    sent: list[bytes] = []

    async def answered(_self: Interface, _path: str, data: bytes, **_query: str) -> Any:
        sent.append(data)
        return {"limit": 1e-6, "traces": [{**TRACE, "accused": [NASTY]}]}

    monkeypatch.setattr(Interface, "upload", answered)
    named = browser.post("/console/traces", data=given, files={"file": ("found.csv", table)})
    assert sent == [table]
    assert html.escape("<script>alert(1)</script>") in named.text
    assert "1,223" in named.text
    assert forbidden(named.text) == []
    operator = town.visit("operator-1")
    token = {"csrf_token": form(operator)["csrf_token"]}
    refused = operator.post("/console/programs", data=token, files={"package": ("p.zip", b"no zip")})
    assert refused.status_code == 422
    assert "program_invalid" in refused.text


def test_a_subscription_shows_its_secret_once(town: Furnished) -> None:
    browser = town.visit("builder")
    wanted = {"url": "https://builder.example/hook", "subject": products.ID, "topic:product.recalled": "1"}
    made = browser.post("/console/subscriptions", data=form(browser, **wanted))
    assert made.status_code == 200, made.text[-500:]
    assert "whsec_" in made.text
    again = browser.get("/console/subscriptions").text
    assert "whsec_" not in again


def test_data_is_destroyed_by_two_who_see_what_goes_with_it(town: Furnished) -> None:
    path, steward, supervisor = "/console/destructions", town.visit("steward"), town.visit("supervisor")
    looked = steward.get(f"{path}?dataset=visits&version=1")
    assert "The data has not been withdrawn" in looked.text
    assert steward.get(f"{path}?dataset=nothing").status_code == 404
    looked = steward.get(f"{path}?dataset={GONE}")
    assert "v1, v2" in looked.text
    assert steward.post(path, data=form(steward, dataset="visits", version="1", reason="x")).status_code == 409
    proposed = steward.post(path, data=form(steward, dataset=GONE, version="2", reason=NASTY), follow_redirects=False)
    assert proposed.status_code == 303, proposed.text
    shown = steward.get(path)
    assert html.escape("<script>alert(1)</script>") in shown.text
    assert "for good</button>" not in shown.text, "a steward confirms nothing"
    page = supervisor.get(path)
    assert "for good</button>" in page.text
    proposal = next(each for each in supervisor.get("/v1/destructions").json()["destructions"] if each["version"] == 2)
    assert steward.post(path, data=form(steward, confirm=str(proposal["entry"]))).status_code == 403
    assert supervisor.post(path, data=form(supervisor, confirm=str(proposal["entry"])), follow_redirects=False).status_code == 303
    assert "Destroyed" in supervisor.get(path).text
    assert supervisor.get("/v1/destructions/effect", params={"dataset": GONE}).json()["ends"] == [1]
    assert town.visit("operator-1").get(path).status_code == 403


def test_a_report_is_ordered_by_the_clock_and_no_more(town: Furnished) -> None:
    browser, path = town.visit("supervisor"), "/console/reports/orders"
    assert browser.post(path, data=form(browser, what="usage/month")).status_code == 409
    made = browser.post(path, data=form(browser, what="revenue/quarter", subject="operator-1"), follow_redirects=False)
    assert made.status_code == 303, made.text
    order = browser.get("/v1/report-orders").json()["orders"][0]
    assert (order["kind"], order["every"], order["subject"], order["state"]) == ("revenue", "quarter", "operator-1", "open")
    assert browser.post(path, data=form(browser, end=order["id"], reason=NASTY), follow_redirects=False).status_code == 303
    assert html.escape("<script>alert(1)</script>") in browser.get("/console/reports").text
    assert "Have it issued" not in town.visit("auditor").get("/console/reports").text
    assert "Standing orders" not in town.visit("operator-1").get("/console/reports").text
