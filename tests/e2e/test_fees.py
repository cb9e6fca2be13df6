"""Money over real HTTP and from the command line: quoted, charged, listed, stated, closed; to whom it is shown, and to whom not."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from api import logs
from api.services import ClosablePool
from infra.clock import system_clock
from infra.workers import InlineWorkers
from jobs import acts
from policies.period import Period
from policies.tariff import Tariff
from tests.bureau import OTHER_SQL, SCENARIO, SQL, Home, licence, opened
from tests.e2e.conftest import Live, listening
from tests.money import priced
from tests.products import DESCRIPTION, ID
from tests.visits import WORDS
from yunei import Client, YuneiProblem
from yunei.cli.run import run

FEES = "L-fees"
TARIFF = {
    "document": "晋发改价格〔2026〕1号",
    "period": "month",
    "allowed_revenue": "150.00",
    "items": [
        priced("release", "release", "99.99"),
        priced("call", "call", "0.50"),
        priced("rows", "row", "1", per=1000),
        priced("held", "month", "30"),
    ],
    "free": [{"scenario": "public-good", "condition": {"zh": "公益", "en": "welfare"}, "document": "晋数〔2026〕9号"}],
    "bodies": [
        {"id": "source", "title": WORDS.model_dump()},
        {"id": "treasury", "title": {"zh": "省财政", "en": "treasury"}, "role": "treasury"},
    ],
    "contributions": [{"dataset": "visits", "shares": {"source": "60", "treasury": "40"}}],
}


class Leaping:
    """The system's clock, ahead by as much as was leapt."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return system_clock() + self.ahead


@pytest.fixture
def town(bureau_home: Home, tmp_path: Path) -> Iterator[tuple[Live, Leaping]]:
    """A server of one's own whose clock may leap; jobs are carried in its process. A licence of operator-1 charges."""
    logs.configure(quiet=True)
    keys, clock = bureau_home.copy_to(tmp_path / "home"), Leaping()
    services = opened(tmp_path / "home", workers=cast(ClosablePool, InlineWorkers()), clock=clock)
    granted = licence(FEES, scenarios=(SCENARIO, "public-good"), tariff=Tariff.model_validate(TARIFF))
    acts.grant_licence(services.register, granted)
    with listening(services) as url, httpx2.Client(base_url=url, timeout=30) as http:
        yield Live(services, keys, url, http), clock
    services.close()


def client(live: Live, who: str = "operator-1") -> Client:
    return Client(live.url, live.keys[who], "en")


def job(scenario: str = SCENARIO) -> dict[str, Any]:
    return {"licence": FEES, "scenario": scenario, "epsilon": "0.5", "delta": "0.00000001"}


def refused(live: Live, who: str, path: str) -> str:
    answer = live.http.get(path, headers=live.headers(who))
    assert answer.status_code >= 400, answer.text
    return str(answer.json()["code"])


def test_quoted_charged_listed_stated_closed(town: tuple[Live, Leaping], tmp_path: Path) -> None:
    live, clock = town
    with client(live) as operator, client(live, "builder") as builder, client(live, "supervisor") as supervisor:
        quote = operator.check(SQL, **job())
        assert quote.fee is not None
        assert (quote.fee.yuan, quote.fee.open, quote.fee.free) == (Decimal("100.49"), ("rows",), False)
        first = operator.ask(SQL, **job())
        assert first.release.fee == Decimal("100.49")  # three rows cost 0.3 fen
        again = operator.check(SQL, **job())
        assert (again.answered, again.fee) == (True, None)
        assert operator.wait(operator.submit(SQL, **job())).reused
        free = operator.check(OTHER_SQL, **job("public-good"))
        assert free.fee is not None
        assert (free.fee.free, free.fee.yuan) == (True, Decimal(0))
        operator.ask(OTHER_SQL, **job("public-good"))
        operator.draft_product(DESCRIPTION.model_dump(mode="json"))
        operator.add_product_version(ID, [first.release.id])
        supervisor.register_product(ID)
        operator.publish_product(ID)
        operator.entitle_builder(ID, "builder")
        builder.fetch_product(ID, tmp_path, "csv")
        fees = list(operator.fees())
        assert [(fee.cause, fee.yuan, fee.free) for fee in fees] == [
            ("delivery", Decimal("0.50"), False),
            ("release", Decimal(0), True),
            ("release", Decimal("100.49"), False),
        ]
        assert all(sum(fee.shares.values()) == fee.yuan == sum(line.yuan for line in fee.lines) for fee in fees)
        assert [fee.index for fee in supervisor.fees(release=first.release.id)] == [fees[0].index, fees[2].index]
        month = fees[0].period
        (open_,) = operator.statements(month)
        assert (open_.closed_at, open_.posted, open_.payable, open_.fees) == (None, Decimal("100.99"), Decimal("100.99"), 3)
        with pytest.raises(YuneiProblem) as caught:
            supervisor.close_period(month)
        assert caught.value.code == "fee_period_open"

        clock.ahead += Period.parse(month).end - clock() + timedelta(hours=1)
        assert supervisor.close_period(month) == [FEES]
        (closed,) = operator.statements(month)
        assert (closed.posted, closed.payable, closed.allowed) == (Decimal("130.99"), Decimal("130.99"), Decimal("150.00"))
        assert closed.closed_at is not None
        assert [(part.title, part.payable) for part in closed.bodies] == [(WORDS.en, Decimal("78.59")), ("treasury", Decimal("52.40"))]
        assert sum(part.payable for part in supervisor.revenue(month[:4])) == Decimal("130.99")


def test_who_sees_money(town: tuple[Live, Leaping]) -> None:
    live, _ = town
    with client(live) as operator:
        release = operator.ask(SQL, **job()).release
        month = next(operator.fees()).period
    seen = f"/v1/statements?period={month}"
    for who in ("supervisor", "auditor"):
        assert len(live.http.get("/v1/fees", headers=live.headers(who)).json()["fees"]) == 1
        assert len(live.http.get(seen, headers=live.headers(who)).json()["statements"]) == 1
    assert live.http.get("/v1/fees", headers=live.headers("operator-2")).json()["fees"] == []
    assert live.http.get(seen, headers=live.headers("operator-2")).json()["statements"] == []
    assert refused(live, "operator-2", f"/v1/fees?licence={FEES}") == "request_not_found"
    assert refused(live, "operator-2", f"{seen}&licence={FEES}") == "request_not_found"
    for who in ("builder", "reviewer", "steward", "admin"):
        assert refused(live, who, "/v1/fees") == refused(live, who, seen) == "auth_forbidden"
    for who in ("builder", "operator-1", "reviewer", "admin"):
        assert refused(live, who, f"/v1/revenue?period={month}") == "auth_forbidden"
        assert refused(live, who, f"{seen}&revenue=true") == "auth_forbidden"
    for who in ("supervisor", "auditor"):
        shares = live.http.get(f"/v1/revenue?period={month}", headers=live.headers(who)).json()
        assert live.http.get(f"{seen}&revenue=true", headers=live.headers(who)).json()["revenue"] == shares
        assert live.http.get(seen, headers=live.headers(who)).json()["revenue"] is None
        assert shares["bodies"]
    assert live.http.get(f"/v1/revenue?period={month}", headers=live.headers("steward")).status_code == 200
    for who in ("operator-1", "builder", "auditor", "steward", "admin"):
        answer = live.http.post(f"/v1/periods/{month}/close", json={}, headers=live.headers(who))
        assert answer.json()["code"] == "auth_forbidden"
    shown = {
        who: live.http.get(f"/v1/releases/{release.id}", headers=live.headers(who)).json()["fee"]
        for who in ("operator-1", "reviewer", "auditor")
    }
    assert shown == {"operator-1": "100.49", "reviewer": None, "auditor": "100.49"}


@pytest.mark.parametrize("period", ["2026-13", "2026-Q5", "26", "2026-1", "٢٠٢٦", "9999", ""])
def test_a_period_is_written_one_way(town: tuple[Live, Leaping], period: str) -> None:
    live, _ = town
    answer = live.http.get("/v1/statements", params={"period": period}, headers=live.headers("auditor"))
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")


def test_pages_of_fees(town: tuple[Live, Leaping]) -> None:
    live, _ = town
    with client(live) as operator:
        for sql in (SQL, OTHER_SQL):
            operator.ask(sql, **job())
    first = live.http.get("/v1/fees?limit=1", headers=live.headers()).json()
    second = live.http.get(f"/v1/fees?limit=1&before={first['next']}", headers=live.headers()).json()
    assert first["fees"][0]["index"] > second["fees"][0]["index"]
    assert second["next"] is None


def test_a_tariff_that_is_wrong_is_refused_at_grant(town: tuple[Live, Leaping]) -> None:
    live, _ = town
    wrong = json.loads(licence("L-x", tariff=Tariff.model_validate({**TARIFF, "free": []})).model_dump_json())
    wrong["tariff"]["items"][0]["price"] = "-1"
    wrong["tariff"]["contributions"][0]["shares"]["source"] = "61"
    answer = live.http.post("/v1/licences", json=wrong, headers=live.headers("supervisor"))
    assert answer.status_code == 422
    assert [part["fields"]["path"] for part in answer.json()["parts"]] == [
        "tariff.items[0].price",
        "tariff.contributions[0].shares",
    ]


def line(live: Live, who: str, *arguments: str) -> int:
    return run(["--url", live.url, "--key", live.keys[who], *arguments])


@pytest.mark.parametrize("language", ["zh", "en"])
def test_from_the_command_line(town: tuple[Live, Leaping], capsys: pytest.CaptureFixture[str], language: str) -> None:
    live, clock = town
    said = {
        "zh": ("费用", "100.49 元，另按结果计：rows", "本期应付（元）", "省财政"),
        "en": ("fee", "CNY 100.49, plus fees that depend on the result: rows", "payable (yuan)", "treasury"),
    }
    words = said[language]
    common = ["--licence", FEES, "--scenario", SCENARIO, "--epsilon", "0.5", "--delta", "0.00000001", "--lang", language]
    assert line(live, "operator-1", "job", "check", SQL, *common) == 0
    shown = capsys.readouterr().out
    assert words[0] in shown
    assert words[1] in shown
    assert line(live, "operator-1", "job", "submit", SQL, *common) == 0
    capsys.readouterr()
    assert line(live, "operator-1", "fee", "list", "--format", "csv", "--lang", language) == 0
    (fee,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (fee["yuan"], fee["licence"]) == ("100.49", FEES)
    assert line(live, "operator-1", "fee", "list", "--lang", language) == 0
    assert "100.49" in capsys.readouterr().out
    clock.ahead += Period.parse(fee["period"]).end - clock() + timedelta(hours=1)
    assert line(live, "supervisor", "period", "close", fee["period"], "--lang", language) == 0
    assert FEES in capsys.readouterr().out
    assert line(live, "auditor", "statement", "show", fee["period"], "--lang", language) == 0
    shown = capsys.readouterr().out
    assert words[2] in shown
    assert words[3] in shown
    assert "130.49" in shown
    assert line(live, "auditor", "statement", "show", fee["period"], "--format", "csv", "--lang", language) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    for kind in ("item", "scenario", "body"):
        assert sum(Decimal(row["yuan"]) for row in rows if row["line"] == kind) == Decimal("130.49")
    assert line(live, "auditor", "statement", "show", fee["period"], "--format", "json", "--lang", language) == 0
    assert json.loads(capsys.readouterr().out)[0]["payable"] == "130.49"
    assert line(live, "steward", "statement", "bodies", fee["period"], "--lang", language) == 0
    assert words[3] in capsys.readouterr().out
    assert line(live, "operator-1", "release", "show", _release(live), "--lang", language) == 0
    assert "100.49" in capsys.readouterr().out


def _release(live: Live) -> str:
    with client(live) as operator:
        return next(operator.releases()).id
