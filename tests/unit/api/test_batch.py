"""Many queries priced together, from HTTP down, by the client and at the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.services import Services
from tests.bureau import LICENCE, SCENARIO, Home, opened

GOOD = "SELECT city, COUNT(*) AS n FROM visits GROUP BY city"
WHOLE = "SELECT COUNT(*) AS n FROM visits"
BAD = "SELECT * FROM visits"


@pytest.fixture(scope="module")
def calm(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Services, dict[str, str], TestClient]]:
    home = tmp_path_factory.mktemp("batch") / "home"
    keys = bureau_home.copy_to(home)
    services = opened(home)
    with TestClient(create_app(services), raise_server_exceptions=False) as client:
        yield services, keys, client
    services.close()


def asked(calm: tuple[Services, dict[str, str], TestClient], *queries: dict[str, Any], **privacy: str) -> Any:
    _, keys, client = calm
    body = {"licence": LICENCE, "scenario": SCENARIO, "privacy": privacy, "queries": list(queries)}
    return client.post("/v1/jobs/check-batch", json=body, headers={"Authorization": f"Bearer {keys['operator-1']}"})


def test_each_gets_its_share_and_its_quote_and_nothing_is_left_behind(calm: tuple[Services, dict[str, str], TestClient]) -> None:
    services, keys, client = calm
    size = services.register.size
    said = asked(calm, {"sql": GOOD}, {"sql": BAD}, {"sql": WHOLE, "rows_per_group": 1}, epsilon="0.2", delta="1e-8")
    assert said.status_code == 200, said.text
    found = said.json()
    one, refused, other = found["queries"]
    assert refused["privacy"] is None
    assert refused["quote"] is None
    assert refused["problem"]["code"] == "plan_unit_rows"
    assert one["problem"] is None
    rhos = [Decimal(entry["quote"]["price"]["rho"]) for entry in (one, other)]
    assert sum(rhos) == Decimal(found["price"]["rho"])
    assert rhos[0] > rhos[1]  # one count of everybody needs less than three of some
    assert Decimal("0.1998") < Decimal(found["price"]["epsilon"]) <= Decimal("0.2")
    again = client.post(
        "/v1/jobs/check",
        json={
            "licence": LICENCE,
            "scenario": SCENARIO,
            "sql": GOOD,
            "privacy": {name: value for name, value in one["privacy"].items() if value is not None},
        },
        headers={"Authorization": f"Bearer {keys['operator-1']}"},
    )
    assert again.json()["price"] == one["quote"]["price"]
    assert services.register.size == size


def test_a_loss_too_small_to_divide_is_refused(calm: tuple[Services, dict[str, str], TestClient]) -> None:
    said = asked(calm, {"sql": GOOD}, {"sql": WHOLE}, rho="0.000000000001")
    assert (said.status_code, said.json()["code"]) == (422, "plan_price_too_small")
    both = "SELECT COUNT(*) AS n, SUM(fee) AS s FROM visits"
    said = asked(calm, {"sql": both}, {"sql": GOOD}, rho="0.000000000004").json()
    assert "plan_price_too_small" in [entry["problem"] and entry["problem"]["code"] for entry in said["queries"]]


def test_a_hundred_and_no_more(calm: tuple[Services, dict[str, str], TestClient]) -> None:
    assert asked(calm, *[{"sql": WHOLE}] * 101, rho="1").status_code == 422
    assert asked(calm, rho="1").status_code == 422
    assert asked(calm, {"sql": WHOLE, "privacy": {"rho": "1"}}, rho="1").status_code == 422


def test_lines_of_a_file_are_read_or_named(tmp_path: Path) -> None:
    from yunei.cli.batch import read_queries
    from yunei.problem import YuneiProblem

    file = tmp_path / "q.jsonl"
    file.write_text(json.dumps({"sql": GOOD, "groups_per_unit": 1}) + "\n\n" + json.dumps({"sql": WHOLE}) + "\n", encoding="utf-8")
    assert read_queries(file) == [{"sql": GOOD, "groups_per_unit": 1}, {"sql": WHOLE}]
    file.write_text('{"sql": 1}', encoding="utf-8")
    with pytest.raises(YuneiProblem, match="client_bad_request"):
        read_queries(file)
    with pytest.raises(YuneiProblem, match="client_bad_request"):
        read_queries(tmp_path / "none.jsonl")
