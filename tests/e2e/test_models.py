"""Models over real HTTP, real Ray and real files: client, command line, what is refused, what is written down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from jobs import acts
from tests.bureau import SCENARIO, licence
from tests.e2e.conftest import Live
from yunei import Client, YuneiProblem
from yunei.cli import main

pytestmark = pytest.mark.enable_socket
LICENCE = "L-models"
JOB = {"licence": LICENCE, "scenario": SCENARIO}
MODEL: dict[str, Any] = {
    "model": "logistic",
    "source": "visits",
    "target": {"name": "urgent"},
    "features": [{"name": "days", "low": 0, "high": 365}, {"name": "fee", "missing": "0.5"}],
    "iterations": 3,
    "privacy": {"rho": "0.03"},
}
TOML = """
model = "kmeans"
source = "SELECT person_id, avg(days) AS days, count(*) AS visits FROM visits GROUP BY person_id"
clusters = 2
iterations = 2

[[features]]
name = "days"

[[features]]
name = "visits"
low = 0
high = 5.5

[privacy]
rho = 0.02
"""


@pytest.fixture(scope="module")
def town(live: Live) -> Live:
    acts.grant_licence(live.services.register, licence(LICENCE, job_kinds=("sql", "model")))
    return live


@pytest.fixture
def client(town: Live) -> Iterator[Client]:
    with Client(town.url, town.keys["operator-1"], "en") as made:
        yield made


def test_from_a_quote_to_coefficients_and_their_evidence(client: Client) -> None:
    quote = client.check_model(MODEL, **JOB)
    assert quote.price.rho <= Decimal("0.03")
    assert quote.explanation["steps"][0][0]["draw"] == "gradient"
    assert {"term", "estimate", "estimate__half_width"} <= {column.label for column in client.dummy_model(MODEL, **JOB).columns}
    answer = client.fit(MODEL, timeout_s=120, **JOB)
    rows = answer.rows()
    assert [row["term"] for row in rows] == ["(intercept)", "days", "fee"]
    assert all(row["low"] < row["estimate"] < row["high"] and 0 < row["noise_error"] <= row["standard_error"] for row in rows)
    assert client.model_card(answer.release)["price"]["rho"] == str(answer.price.rho)
    answer.verify()
    again = client.submit_model(MODEL, **JOB)
    assert (again.reused, again.release) == (True, answer.release.id)


def test_the_command_line_reads_a_file(town: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"YUNEI_URL": town.url, "YUNEI_KEY": town.keys["operator-1"], "YUNEI_LICENCE": LICENCE, "YUNEI_SCENARIO": SCENARIO}
    own = {"YUNEI_CONFIG": str(tmp_path / "none"), "YUNEI_STATE": str(tmp_path / "state"), "YUNEI_LANG": "zh"}
    for name, value in {**settings, **own}.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "groups.toml"
    file.write_text(TOML, encoding="utf-8")

    def said(*arguments: str) -> str:
        code = main(("model", *arguments))
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    assert "k 均值聚类" in said("check", str(file))
    assert "虚构数据" in said("dummy", str(file))
    assert "cluster" in said("submit", str(file), "--rho", "0.01")
    with Client(town.url, town.keys["operator-1"], "zh") as made:
        release = next(iter(made.releases(1)))
    shown = said("card", release.id)
    assert "clusters" in shown
    assert "轮" in shown
    assert json.loads(said("card", release.id, "--format", "json"))["price"]["rho"] == str(release.price.rho)
    file.write_text("model = ", encoding="utf-8")
    assert main(("model", "check", str(file))) != 0
    assert "groups.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "status", "code", "path"),
    [
        ({"model": "forest"}, 422, "request_invalid", "model"),
        ({"features": [{"name": "days", "low": 5, "high": 1}]}, 422, "request_invalid", "features[0]"),
        ({"features": [{"name": "days"}, {"name": "DAYS"}]}, 422, "request_invalid", ""),
        ({"privacy": {"epsilon": 1, "delta": 0}}, 422, "request_invalid", ""),
        ({"sql": "SELECT 1"}, 422, "request_invalid", "sql"),
        ({"kind": "forest"}, 422, "request_invalid", "kind"),
        ({"source": "visitors"}, 422, "sql_unknown_table", ""),
        ({"features": [{"name": "note"}]}, 422, "plan_model_type", ""),
        ({"target": {"name": "score"}}, 422, "plan_model_target", ""),
    ],
)
def test_bad_requests_are_refused_in_both_languages_before_anything(
    town: Live, changes: dict[str, Any], status: int, code: str, path: str
) -> None:
    before = town.services.register.size
    body = {**MODEL, **JOB, "kind": "model", **changes}
    said = {}
    for language in ("zh", "en"):
        answer = town.http.post("/v1/jobs/check", json=body, headers=town.headers(**{"Accept-Language": language}))
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        said[language] = answer.json()["title"]
        if code == "request_invalid":
            assert any(part["fields"]["path"].startswith(path) for part in answer.json()["parts"]), answer.text
    assert said["zh"] != said["en"]
    assert town.services.register.size == before


def test_a_licence_without_models_allows_none(client: Client) -> None:
    with pytest.raises(YuneiProblem) as refused:
        client.submit_model(MODEL, licence="L-1", scenario=SCENARIO)
    assert refused.value.code == "licence_refused"
    assert [part.code for part in refused.value.parts] == ["licence_job_kind"]


def test_a_job_list_names_the_model(client: Client) -> None:
    job = client.submit_model({**MODEL, "iterations": 2}, **JOB)
    assert client.wait(job, 120).state == "published"
    found = next(one for one in client.jobs() if one.id == job.id)
    assert found.sql == "LOGISTIC urgent ~ days + fee FROM visits"
    assert found.data["kind"] == "model"
    assert found.data["request"]["fit"]["iterations"] == 2
