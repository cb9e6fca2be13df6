"""The catalogue over HTTP and at the command line: found, exported, checked, moved on, taken back; and what a wrong document is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from api import logs
from api.app import create_app
from api.services import Services
from policies.catalogue import Dataset, dataset_from_toml, from_json_ld
from tests.bureau import Home, body, licence, opened
from yunei import cli
from yunei.client import Client

Call = Callable[..., httpx2.Response]


@pytest.fixture
def services(bureau_home: Home, tmp_path: Path) -> Iterator[tuple[Services, dict[str, str]]]:
    keys = bureau_home.copy_to(tmp_path / "home")
    services = opened(tmp_path / "home")
    yield services, keys
    services.close()


@pytest.fixture
def http(services: tuple[Services, dict[str, str]]) -> Iterator[Call]:
    with TestClient(create_app(services[0]), raise_server_exceptions=False) as client:

        def call(who: str, path: str, content: Any = None) -> httpx2.Response:
            headers = {"Authorization": f"Bearer {services[1][who]}"}
            return client.get(path, headers=headers) if content is None else client.post(path, json=content, headers=headers)

        yield call


@pytest.fixture(scope="module")
def calm(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Services, Call]]:
    """One bureau for all that is refused: nobody changes anything in it."""
    home = tmp_path_factory.mktemp("calm") / "home"
    keys = bureau_home.copy_to(home)
    services = opened(home)
    with TestClient(create_app(services), raise_server_exceptions=False) as client:

        def call(who: str, path: str, content: Any) -> httpx2.Response:
            return client.post(path, json=content, headers={"Authorization": f"Bearer {keys[who]}"})

        yield services, call
    services.close()


def told(answer: httpx2.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def refused(answer: httpx2.Response, status: int, code: str) -> Any:
    data = told(answer, status)
    assert data["code"] == code
    return data


def test_search_and_metadata(http: Call) -> None:
    assert [each["dataset"]["name"] for each in told(http("builder", "/v1/datasets"))["datasets"]] == ["visits"]
    assert [each["dataset"]["name"] for each in told(http("builder", "/v1/datasets?q=visi"))["datasets"]] == ["visits"]
    assert told(http("builder", "/v1/datasets?q=海关"))["datasets"] == []
    refused(http("builder", "/v1/datasets?q=" + "x" * 201), 422, "request_invalid")
    whole = Dataset.model_validate(told(http("builder", "/v1/datasets/visits"))["dataset"])
    for form in ("dcat", "csvw"):
        answer = http("builder", f"/v1/datasets/VISITS/metadata?format={form}")
        assert from_json_ld(answer.json()) == [whole]
        assert told(http("steward", "/v1/catalogue/check", answer.json()))["datasets"] == [whole.model_dump(mode="json")]
    assert dataset_from_toml(http("builder", "/v1/datasets/visits/metadata?format=toml").text) == whole
    assert Dataset.model_validate(http("builder", "/v1/datasets/visits/metadata?format=json").json()) == whole
    assert from_json_ld(http("builder", "/v1/catalogue").json()) == [whole]
    refused(http("builder", "/v1/datasets/ghosts/metadata"), 404, "request_not_found")
    refused(http("builder", "/v1/catalogue/check", {}), 403, "auth_forbidden")


def entry(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": "clinics",
        "title": {"zh": "诊所", "en": "clinics"},
        "registration_no": "1",
        "source_body": {"zh": "卫健委", "en": "health"},
        "acquired_on": "2026-01-01",
        "updated_on": "2026-01-02",
        "grade": "general-2",
        "share": {"attribute": "unconditional", "reason": {"zh": "公开", "en": "open"}, "basis": "目录"},
        "unit": {"column": "id", "space": "person", "title": {"zh": "人", "en": "person"}},
        "bounds": {"groups_per_unit": 1, "rows_per_group": 1},
        "approximate_rows": 10,
        "columns": [
            {"name": "id", "type": "integer", "title": {"zh": "人", "en": "id"}, "uses": ["join"]},
            {"name": "fee", "type": "decimal", "title": {"zh": "费", "en": "fee"}, "low": "0", "high": "9"},
        ],
    }
    return made | changes


def column(**changes: Any) -> dict[str, Any]:
    return {"columns": [entry()["columns"][0], entry()["columns"][1] | changes]}


# what a steward may get wrong → where it is said to be
WRONG_ENTRIES: dict[str, tuple[dict[str, Any], str]] = {
    "bounds reversed": (column(low="9", high="0"), "columns[1](fee)"),
    "a bound alone": (column(high=None), "columns[1](fee)"),
    "a bound that is no number": (column(low="x"), "columns[1](fee)"),
    "a range beyond 61 bits": (column(high="1e30"), "columns[1](fee)"),
    "a use that there is not": (column(uses=["print"]), "columns[1](fee).uses"),
    "a type that there is not": (column(type="money"), "columns[1](fee).type"),
    "a domain of another type": (column(type="text", low=None, high=None, domain=[1]), "columns[1](fee)"),
    "a domain with a value twice": (column(type="text", low=None, high=None, domain=["a", "a"]), "columns[1](fee)"),
    "a field that there is not": (column(colour="red"), "columns[1](fee).colour"),
    "a key of an important column without domain": (column(type="text", low=None, high=None, grade="important", uses=["key"]), "columns"),
    "two columns of one name": ({"columns": [*entry()["columns"], entry()["columns"][1] | {"name": "FEE"}]}, "."),
    "no columns": ({"columns": []}, "columns"),
    "a unit that is no column": ({"unit": entry()["unit"] | {"column": "nobody"}}, "."),
    "a unit that is a key": ({"columns": [entry()["columns"][0] | {"uses": ["key"]}, entry()["columns"][1]]}, "."),
    "a unit without bounds": ({"bounds": None}, "."),
    "bounds of nothing": ({"bounds": {"groups_per_unit": 0, "rows_per_group": 1}}, "bounds.groups_per_unit"),
    "updated before acquired": ({"updated_on": "2025-01-01"}, "."),
    "a grade that there is not": ({"grade": "secret"}, "grade"),
    "a share attribute without reason": ({"share": {"attribute": "none", "basis": "x"}}, "share.reason"),
    "a registration state that there is not": ({"registration": "done"}, "registration"),
    "a name that is no name": ({"name": "a b; DROP"}, "name"),
}


@pytest.mark.parametrize("wrong", WRONG_ENTRIES)
def test_a_wrong_entry_is_named_located_and_not_taken(calm: tuple[Services, Call], wrong: str) -> None:
    (services, http), (changes, path) = calm, WRONG_ENTRIES[wrong]
    size = services.register.size
    data = refused(http("steward", "/v1/catalogue/check", entry(**changes)), 422, "data_catalogue_invalid")
    assert data["fields"]["path"].startswith(path), data["fields"]
    assert data["parts"]
    assert data["zh"]["detail"] != data["en"]["detail"]
    assert services.register.size == size
    assert told(http("steward", "/v1/catalogue/check", entry()))["datasets"][0]["name"] == "clinics"


# what a bureau may get wrong in a licence → status, code, where
WRONG_LICENCES: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "ends before it starts": ({"valid_until": "2019-01-01T00:00:00Z"}, 422, "request_invalid", "body"),
    "no time zone": ({"valid_from": "2026-01-01T00:00:00"}, 422, "request_invalid", "valid_from"),
    "over already": ({"valid_until": "2021-01-01T00:00:00Z"}, 422, "licence_term_over", ""),
    "one job over the total": ({"total": {"rho": "0.001", "delta": "0"}}, 422, "request_invalid", "body"),
    "a negative amount": ({"total": {"rho": "-1"}}, 422, "request_invalid", "total"),
    "a dataset twice": ({"datasets": [{"dataset": "visits"}, {"dataset": "VISITS"}]}, 422, "request_invalid", "body"),
    "an unknown dataset": ({"datasets": [{"dataset": "ghosts"}]}, 422, "licence_data_missing", ""),
    "an unknown column": (
        {"datasets": [{"dataset": "visits", "columns": [{"name": "nothing", "uses": ["key"]}]}]}, 422, "licence_invalid",
        "datasets[0](visits).columns(nothing)",
    ),
    "a use the catalogue does not allow": (
        {"datasets": [{"dataset": "visits", "columns": [{"name": "person_id", "uses": ["aggregate"]}]}]}, 422, "licence_invalid",
        "datasets[0](visits).columns(person_id).uses",
    ),
    "no scenario": ({"scenarios": []}, 422, "request_invalid", "scenarios"),
    "a kind of job there is not": ({"job_kinds": ["shell"]}, 422, "request_invalid", "job_kinds[0]"),
    "a decision without number": ({"decision_document": {"digest": "ab" * 32}}, 422, "request_invalid", "decision_document.number"),
    "a decision whose digest is none": (
        {"decision_document": {"number": "1", "digest": "x"}}, 422, "request_invalid", "decision_document.digest",
    ),
    "no decision": ({"decision_document": None}, 422, "licence_decision_missing", ""),
    "a disposal there is not": ({"disposal": "burn"}, 422, "request_invalid", "disposal"),
    "an unknown operator": ({"operator": "nobody"}, 404, "auth_principal_unknown", ""),
    "an operator that is none": ({"operator": "auditor"}, 409, "auth_principal_role", ""),
    "an id that is none": ({"id": "../x"}, 422, "request_invalid", "id"),
    "a field there is not": ({"colour": "red"}, 422, "request_invalid", "colour"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_LICENCES)
def test_a_wrong_licence_is_named_located_and_nothing_is_granted(calm: tuple[Services, Call], wrong: str) -> None:
    (services, http), (changes, status, code, path) = calm, WRONG_LICENCES[wrong]
    size = services.register.size
    right = licence("L-2").model_dump(mode="json")
    data = refused(http("supervisor", "/v1/licences", right | changes), status, code)
    if code == "request_invalid":
        assert any(part["fields"]["path"].startswith(path) for part in data["parts"]), data["parts"]
    elif path:
        assert data["fields"]["path"] == path
    assert services.register.size == size
    assert services.register.licence("L-2") is None


def test_versions_registration_and_withdrawal(http: Call) -> None:
    told(http("operator-1", "/v1/jobs", body()), 202)
    found = told(http("steward", "/v1/datasets/visits/versions"))
    assert (found["state"], found["registration"], [each["version"] for each in found["versions"]]) == ("current", "coded", [1])
    refused(http("supervisor", "/v1/datasets/visits/registration", {"to": "accepted"}), 409, "data_registration_order")
    refused(http("steward", "/v1/datasets/visits/registration", {"to": "coded"}), 403, "auth_forbidden")
    refused(http("operator-1", "/v1/datasets/visits/withdraw", {"reason": "x"}), 403, "auth_forbidden")
    refused(http("steward", "/v1/datasets/ghosts/withdraw", {"reason": "x"}), 404, "request_not_found")
    assert told(http("steward", "/v1/datasets/visits/withdraw", {"reason": "更正"}))["state"] == "withdrawn"
    refused(http("steward", "/v1/datasets/visits/withdraw", {"reason": "更正"}), 409, "data_withdrawn")
    refused(http("builder", "/v1/datasets/visits"), 404, "request_not_found")
    assert told(http("operator-1", "/v1/jobs", body("SELECT COUNT(*) AS n FROM visits")), 422)["code"].startswith(("sql_", "plan_"))
    refused(http("operator-1", "/v1/jobs/check", body()), 422, "sql_unknown_table")


def test_the_command_line_finds_exports_checks_and_withdraws(
    services: tuple[Services, dict[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.configure(quiet=True)
    with TestClient(create_app(services[0])) as server:

        def run(who: str, *words: object, expect: int = 0) -> str:
            from tests.unit.api.test_licences import Lent
            from yunei.cli import session

            made = Client("http://127.0.0.1", services[1][who], "en", state=tmp_path / "state.json")
            made._http._client = server  # type: ignore[assignment]  # the same calls, without a socket
            server.headers["Authorization"] = f"Bearer {services[1][who]}"
            monkeypatch.setattr(session.Session, "client", lambda self: Lent(made))
            assert cli.main(["--lang", "en", "dataset", *map(str, words)]) == expect, capsys.readouterr().err
            return capsys.readouterr().out

        assert "visits" in run("builder", "list", "--find", "visits", "--format", "csv")
        assert "visits" not in run("builder", "list", "--find", "海关", "--format", "csv")
        file = tmp_path / "catalogue.jsonld"
        run("builder", "metadata", "--out", file)
        assert json.loads(run("steward", "check", file))["name"] == "visits"
        run("builder", "metadata", "visits", "--as", "toml", "--out", file)
        assert json.loads(run("steward", "check", file))["name"] == "visits"
        file.write_text(file.read_text(encoding="utf-8").replace("general-", "secret-"), encoding="utf-8")
        run("steward", "check", file, expect=1)
        run("builder", "metadata", "--as", "csvw", expect=2)
        run("supervisor", "registration", "visits", "--to", "accepted", expect=1)
        assert "withdrawn" in run("steward", "withdraw", "visits", "--reason", "x")
        assert run("auditor", "versions", "visits", "--format", "csv").splitlines()[1].startswith("1,current,")
