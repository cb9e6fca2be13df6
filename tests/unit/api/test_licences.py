"""Licences over HTTP and at the command line: who may do what, the paper in every form, and the seal verified without a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pyld.jsonld
import pytest
from starlette.testclient import TestClient

from api import logs
from api.app import create_app
from api.services import Services
from infra.clock import system_clock
from policies.licence import Licence, licence_from_toml
from policies.roles import MAY
from tests.bureau import Home, licence, opened
from yunei import cli
from yunei.agreements import read_document, verify_licence
from yunei.client import Client
from yunei.problem import YuneiProblem
from yunei.transparency import Key

PLAIN = licence("L-2").model_dump(mode="json") | {"decision_document": None}
PLAIN["datasets"] = [{"dataset": "visits"}]
DECISION = {"number": "晋数决〔2026〕9号", "decided_on": "2026-01-02", "digest": "ab" * 32}


@pytest.fixture
def services(bureau_home: Home, tmp_path: Path) -> Iterator[tuple[Services, dict[str, str]]]:
    keys = bureau_home.copy_to(tmp_path / "home")
    services = opened(tmp_path / "home")
    yield services, keys
    services.close()


@pytest.fixture
def http(services: tuple[Services, dict[str, str]]) -> Iterator[Callable[..., httpx2.Response]]:
    with TestClient(create_app(services[0]), raise_server_exceptions=False) as client:

        def call(who: str, path: str, body: Any = None) -> httpx2.Response:
            headers = {"Authorization": f"Bearer {services[1][who]}"}
            return client.get(path, headers=headers) if body is None else client.post(path, json=body, headers=headers)

        yield call


def told(answer: httpx2.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def refused(answer: httpx2.Response, status: int, code: str) -> None:
    assert told(answer, status)["code"] == code


def test_the_whole_life_over_http(http: Callable[..., httpx2.Response]) -> None:
    refused(http("operator-2", "/v1/licences/apply", PLAIN), 404, "request_not_found")  # in another's name
    view = told(http("operator-1", "/v1/licences/apply", PLAIN), 201)
    assert (view["state"], view["version"], view["granted_at"]) == ("applied", 0, None)
    refused(http("supervisor", "/v1/licences/L-2/grant", {"decision_document": DECISION}), 409, "licence_consent_missing")
    assert told(http("steward", "/v1/licences/L-2/consent", {"dataset": "visits", "reference": "同意 2 号"}))["state"] == "consented"
    view = told(http("supervisor", "/v1/licences/L-2/grant", {"decision_document": DECISION}))
    assert (view["state"], view["version"], view["licence"]["decision_document"]) == ("active", 1, DECISION)
    assert view["accounts"]
    longer = view["licence"] | {"valid_until": "2100-01-01T00:00:00Z"}
    refused(http("supervisor", "/v1/licences/L-3/amend", {"licence": longer, "reason": "x"}), 404, "request_not_found")
    assert told(http("supervisor", "/v1/licences/L-2/amend", {"licence": longer, "reason": "续期"}))["version"] == 2
    for act, state in (("suspend", "suspended"), ("resume", "active"), ("revoke", "revoked")):
        assert told(http("supervisor", f"/v1/licences/L-2/{act}", {"reason": "检查"}))["state"] == state
    history = told(http("auditor", "/v1/licences/L-2/history"))
    assert [each["kind"].removeprefix("licence_") for each in history["events"]] == [
        "applied", "consented", "granted", "amended", "suspended", "resumed", "revoked", "disposed",
    ]  # fmt: skip
    assert [each["version"] for each in history["versions"]] == [1, 2]
    assert [each["reference"] for each in history["consents"]] == ["同意 2 号"]


def test_a_list_does_without_accounts_for_whoever_does_not_ask_for_them(http: Callable[..., httpx2.Response]) -> None:
    whole = told(http("supervisor", "/v1/licences"))["licences"]
    assert all(each["accounts"] for each in whole if each["version"])
    assert told(http("supervisor", "/v1/licences?accounts=false"))["licences"] == [{**each, "accounts": []} for each in whole]
    refused(http("supervisor", "/v1/licences?accounts=some"), 422, "request_invalid")


def test_each_act_is_for_its_roles_alone(http: Callable[..., httpx2.Response], services: tuple[Services, dict[str, str]]) -> None:
    size = services[0].register.size
    acts: dict[str, tuple[str, Any]] = {
        "licence_apply": ("/v1/licences/apply", PLAIN | {"operator": "operator-2", "id": "L-1"}),
        "licence_consent": ("/v1/licences/L-1/consent", {"dataset": "visits", "reference": "x"}),
        "licence_decline": ("/v1/licences/L-1/decline", {"reason": "x"}),
        "licence_grant": ("/v1/licences/L-1/grant", {"decision_document": DECISION}),
        "licence_amend": ("/v1/licences/L-1/amend", {"licence": PLAIN, "reason": "x"}),
        "licence_resume": ("/v1/licences/L-1/resume", {"reason": "x"}),
        "licence_suspend": ("/v1/licences/none/suspend", {"reason": "x"}),
        "licence_revoke": ("/v1/licences/none/revoke", {"reason": "x"}),
    }
    for act, (path, body) in acts.items():
        for role in ("operator", "builder", "steward", "reviewer", "supervisor", "auditor", "admin"):
            answer = http("operator-1" if role == "operator" else role, path, body)
            if role in MAY[act]:  # type: ignore[index]  # keys of the table above
                assert answer.status_code in (404, 409), (act, role, answer.text)  # the door is open; the act does not fit
            else:
                refused(answer, 403, "auth_forbidden")
    assert not [each for each in services[0].register.events(after=size - 1, limit=1000) if each.kind.startswith("licence_")]


def test_the_paper_in_every_form(http: Callable[..., httpx2.Response]) -> None:
    forms = {form: http("operator-1", f"/v1/licences/L-1/document?format={form}") for form in ("note", "html", "md", "odrl", "toml", "json")}
    assert {answer.status_code for answer in forms.values()} == {200}
    whole = Licence.model_validate(forms["json"].json())
    assert licence_from_toml(forms["toml"].text) == whole
    for form in ("html", "md"):
        for words in ("第一条", "Article 1", "同意 1 号", "不重置", "数据主管部门"):
            assert words in forms[form].text, (form, words)
    assert "script-src" not in forms["html"].headers["content-security-policy"]
    vkeys = told(http("operator-1", "/v1/licence-keys"))["vkeys"]
    sealed = verify_licence(forms["note"].text, [Key.parse(vkey) for vkey in vkeys])
    assert (sealed.version, Licence.model_validate(sealed.document)) == (1, whole)
    assert sealed.digest in forms["html"].text
    assert all(vkey in forms["md"].text for vkey in vkeys)
    refused(http("operator-1", "/v1/licences/L-1/document?format=note&version=2"), 404, "request_not_found")
    refused(http("operator-2", "/v1/licences/L-1/document"), 404, "request_not_found")  # another's
    told(http("operator-1", "/v1/licences/apply", PLAIN), 201)
    refused(http("operator-1", "/v1/licences/L-2/document?format=note"), 406, "request_format")  # nothing is signed yet
    assert "未签署" in http("operator-1", "/v1/licences/L-2/document?format=md").text


def test_odrl_says_what_the_licence_says_to_a_json_ld_processor(http: Callable[..., httpx2.Response]) -> None:
    def never(url: str, options: object) -> Any:
        raise AssertionError(f"{url} was asked for: the context is not inlined")

    document = http("operator-1", "/v1/licences/L-1/document?format=odrl").json()
    (agreement,) = pyld.jsonld.expand(document, {"documentLoader": never})
    odrl = "http://www.w3.org/ns/odrl/2/"
    assert agreement["@type"] == [f"{odrl}Agreement"]
    assert agreement[f"{odrl}assignee"] == [{"@id": "urn:yunei:principal:operator-1"}]
    (permission,) = agreement[f"{odrl}permission"]
    assert permission[f"{odrl}target"] == [{"@id": "urn:yunei:dataset:visits"}]
    operands = {
        each[f"{odrl}leftOperand"][0]["@id"].rpartition("/")[2]: each[f"{odrl}rightOperand"] for each in permission[f"{odrl}constraint"]
    }
    assert operands["purpose"] == [{"@value": "health-planning"}]
    assert operands["urn:yunei:odrl:rhoTotal"][0]["@value"] == "1"
    assert {each[f"{odrl}action"][0]["@id"] for each in agreement[f"{odrl}prohibition"]} == {f"{odrl}distribute", f"{odrl}extract"}
    triples = pyld.jsonld.to_rdf(document, {"documentLoader": never, "format": "application/n-quads"})
    assert f"<{odrl}profile> <urn:yunei:odrl:>" in triples
    dropped = {key for key in document if key not in document["@context"] and not key.startswith("@")}
    assert dropped == set(), "a term without meaning is dropped by every processor"


def test_results_are_withdrawn_when_so_agreed(http: Callable[..., httpx2.Response], services: tuple[Services, dict[str, str]]) -> None:
    from tests.bureau import body

    present = told(http("supervisor", "/v1/licences/L-1"))["licence"]
    told(http("supervisor", "/v1/licences/L-1/amend", {"licence": present | {"disposal": "delete-results"}, "reason": "x"}))
    job = told(http("operator-1", "/v1/jobs", body()), 202)["id"]
    release = told(http("operator-1", f"/v1/jobs/{job}?wait_s=20"))["release"]
    assert http("operator-1", f"/v1/releases/{release}/table?format=csv").status_code == 200
    told(http("supervisor", "/v1/licences/L-1/revoke", {"reason": "x"}))
    refused(http("operator-1", f"/v1/releases/{release}/table?format=csv"), 403, "licence_results_withdrawn")
    refused(http("builder", f"/v1/releases/{release}/table?format=csv"), 403, "auth_forbidden")  # products are recalled: test_products
    assert http("supervisor", f"/v1/releases/{release}/table?format=csv").status_code == 200
    assert http("operator-1", f"/v1/releases/{release}/receipt").status_code == 200  # what happened stays provable


def test_the_clock_ends_a_licence_while_the_server_runs(bureau_home: Home, tmp_path: Path) -> None:
    ahead = timedelta()
    keys = bureau_home.copy_to(tmp_path / "home")
    services = opened(tmp_path / "home", clock=lambda: system_clock() + ahead)
    try:
        with TestClient(create_app(services)) as client:

            def call(who: str, path: str, body: Any = None) -> Any:
                headers = {"Authorization": f"Bearer {keys[who]}"}
                return told(client.get(path, headers=headers) if body is None else client.post(path, json=body, headers=headers))

            present = call("supervisor", "/v1/licences/L-1")["licence"]
            soon = (services.clock() + timedelta(hours=1)).isoformat()
            call("supervisor", "/v1/licences/L-1/amend", {"licence": present | {"valid_until": soon}, "reason": "x"})
            assert call("operator-1", "/v1/licences/L-1")["state"] == "active"
            ahead = timedelta(hours=1)
            assert call("operator-1", "/v1/licences/L-1")["state"] == "expired"  # before anybody wrote it down
            services.sweep.once()
            assert [each["kind"] for each in call("auditor", "/v1/licences/L-1/history")["events"]][-2:] == [
                "licence_expired",
                "licence_disposed",
            ]
    finally:
        services.close()


def test_the_client_and_the_command_line_do_the_same(
    services: tuple[Services, dict[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.configure(quiet=True)  # the server's own lines do not belong among the command's
    file = tmp_path / "licence.toml"
    file.write_text(
        'id = "L-2"\noperator = "operator-1"\ntitle = {zh = "甲", en = "a"}\nscenarios = ["health-planning"]\n'
        'per_job = {rho = "0.01", delta = "1e-9"}\ntotal = {rho = 0.1, delta = "1e-8"}\n'
        'valid_from = 2026-01-01T00:00:00+08:00\nvalid_until = 2090-01-01\n[[datasets]]\ndataset = "visits"\n'.replace(
            "2090-01-01\n", "2090-01-01T00:00:00Z\n"
        ),
        encoding="utf-8",
    )
    with TestClient(create_app(services[0])) as server:

        def client(who: str) -> Client:
            made = Client("http://127.0.0.1", services[1][who], "en", state=tmp_path / "state.json")
            made._http._client = server  # type: ignore[assignment]  # the same calls, without a socket
            server.headers["Authorization"] = f"Bearer {services[1][who]}"
            return made

        def run(who: str, *words: object, expect: int = 0) -> str:
            from yunei.cli import session

            monkeypatch.setattr(session.Session, "client", lambda self: Lent(client(who)))
            assert cli.main(["--lang", "en", "licence", *map(str, words)]) == expect, capsys.readouterr().err
            return capsys.readouterr().out

        assert read_document(file)["valid_from"] == "2026-01-01T00:00:00+08:00"
        assert "applied" in run("operator-1", "apply", file)
        assert "consented" in run("steward", "consent", "L-2", "visits", "--reference", "同意 3 号")
        decision = tmp_path / "decision.pdf"
        decision.write_bytes(b"decided")
        assert "active" in run("supervisor", "approve", "L-2", "--decision", "决 1 号", "--decision-file", decision)
        note = tmp_path / "L-2.note"
        run("operator-1", "document", "L-2", "--as", "note", "--out", note)
        vkey = json.loads(run("operator-1", "verify", note, "--format", "json"))["signed_by"][0]
        assert "The signature holds." in run("operator-1", "verify", note, "--key", vkey)
        note.write_text(note.read_text(encoding="utf-8").replace("L-2", "L-3"), encoding="utf-8")
        run("operator-1", "verify", note, "--key", vkey, expect=4)
        run("operator-1", "document", "L-2", "--as", "pdf", expect=2)
        run("operator-1", "document", "L-2", "--as", "toml", "--out", file)
        amended = file.read_text(encoding="utf-8").replace('"health-planning"', '"health-planning", "insurance"')
        file.write_text(amended, encoding="utf-8")
        index = json.loads(run("supervisor", "amend", file, "--reason", "x", "--propose", "--format", "json"))["proposal"]
        run("supervisor", "amend", file, "--reason", "x", "--proposal", index, expect=1)  # the same person
        assert "licence_granted" in run("supervisor", "history", "L-2", "--format", "csv")
        run("supervisor", "decline", "L-2", "--reason", "x", expect=1)
        supervisor = client("supervisor")
        assert [supervisor.suspend_licence("L-2", "x").state, supervisor.resume_licence("L-2", "x").state] == ["suspended", "active"]
        assert supervisor.revoke_licence("L-2", "x").state == "revoked"
        with pytest.raises(YuneiProblem, match="licence_exists"):
            supervisor.grant_licence(read_document(file))


class Lent:
    """A client that a command may use but not close."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __enter__(self) -> Client:
        return self._client

    def __exit__(self, *_: object) -> None:
        """Kept open."""
