"""Signing in at a real OpenID Connect provider (oidc-provider-mock, on loopback), from a browser and the command line; sessions; CSRF.

The provider does not check the PKCE verifier; that what it is sent fits the challenge is checked here, on the wire.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest

from api.signin.flow import Flow
from api.signin.oidc import Provider, challenge_of
from jobs import acts
from tests.doors import House, house
from tests.provider import a_provider

PUBLIC = "http://localhost:8640"
SUBJECT = "zhang@example.gov.cn"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with a_provider() as address:
        yield address


@dataclass
class Wire(httpx2.BaseTransport):
    """What the server said to the provider; `change` may alter an answer."""

    sent: list[httpx2.Request] = field(default_factory=list)
    change: Any = None
    down: bool = False
    inner: httpx2.HTTPTransport = field(default_factory=httpx2.HTTPTransport)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        if self.down:
            raise httpx2.ConnectError("refused")
        answer = self.inner.handle_request(request)
        answer.read()
        return answer if self.change is None else self.change(request, answer)

    def close(self) -> None:
        """It outlives the clients that use it; `finish` closes."""

    def finish(self) -> None:
        self.inner.close()


@dataclass(frozen=True)
class Bureau:
    home: House
    wire: Wire
    issuer: str


@pytest.fixture
def bureau(tmp_path: Path, issuer: str) -> Iterator[Bureau]:
    (tmp_path / "secret").write_text("shared with the provider\n")
    settings = {"oidc_issuer": issuer, "public_url": PUBLIC, "oidc_client_id": "yunei-test", "oidc_client_secret_file": tmp_path / "secret"}
    with house(tmp_path / "home", start=datetime.now(UTC), base_url=PUBLIC, **settings) as home:
        wire = Wire()
        home.services.provider = Provider(home.services.settings, home.clock, wire)
        link(home, "supervisor", SUBJECT, issuer)
        yield Bureau(home, wire, issuer)
        wire.finish()


def link(home: House, principal: str, subject: str, issuer: str) -> str:
    digest = acts.subject_digest(home.services.register.key_ring, issuer, subject)
    acts.link_subject(home.services.register, principal, issuer, digest)
    return digest


def at_the_provider(url: str, subject: str = SUBJECT, **changes: str) -> str:
    """The person fills in the provider's form; returns where it sends the browser."""
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), **changes}
    answer = httpx2.post(f"{parts.scheme}://{parts.netloc}{parts.path}", params=query, data={"sub": subject}, follow_redirects=False)
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


def back(location: str) -> str:
    """The path and query of an address of ours."""
    parts = urlsplit(location)
    assert f"{parts.scheme}://{parts.netloc}" == PUBLIC
    return f"{parts.path}?{parts.query}"


def signed_in(bureau: Bureau, return_to: str = "/console", subject: str = SUBJECT) -> httpx2.Response:
    begun = bureau.home.ask("GET", f"/v1/sign-in?return_to={return_to}")
    assert begun.status_code == 303, begun.text
    return bureau.home.ask("GET", back(at_the_provider(begun.headers["location"], subject)))


# ── the browser ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_browser_signs_in_and_out(bureau: Bureau) -> None:
    home = bureau.home
    done = signed_in(bureau)
    assert (done.status_code, done.headers["location"]) == (303, "/console")
    session = next(line for line in done.headers.get_list("set-cookie") if line.startswith("yunei="))
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in session.split(";")}
    assert home.ask("GET", "/v1/me").json()["role"] == "supervisor"
    listed = home.ask("GET", "/v1/sessions").json()
    assert [(found["channel"], found["present"]) for found in listed["sessions"]] == [("browser", True)]
    csrf = {"X-CSRF-Token": listed["csrf_token"]}
    assert home.ask("POST", "/v1/sign-out", headers=csrf).status_code == 204
    assert home.code("GET", "/v1/me") == (401, "auth_missing")  # the browser has thrown the cookie away
    kinds = [recorded.kind for recorded in home.services.register.events(limit=1000, kinds=("session_opened", "session_closed"))]
    assert kinds == ["session_opened", "session_closed"]


def test_a_stolen_cookie_is_worth_nothing_once_the_session_is_closed(bureau: Bureau) -> None:
    home = bureau.home
    signed_in(bureau)
    cookie = home.http.cookies["yunei"]
    id = home.ask("GET", "/v1/sessions").json()["sessions"][0]["id"]
    assert home.code("POST", f"/v1/sessions/{id}/close", home.keys["operator"], json={"reason": "x"}) == (404, "auth_session_unknown")
    assert home.code("POST", f"/v1/sessions/{id}/close", home.keys["admin"], json={"reason": "laptop lost"}) == (204, "")
    assert home.code("GET", "/v1/me", headers={"Cookie": f"yunei={cookie}"}) == (401, "auth_unknown")


def test_the_wire_carries_pkce_state_and_nonce(bureau: Bureau) -> None:
    url = bureau.home.ask("GET", "/v1/sign-in").headers["location"]
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{PUBLIC}/v1/sign-in/callback"
    assert asked["scope"] == "openid"
    assert len(asked["state"]) == len(asked["nonce"]) == 43
    bureau.home.ask("GET", back(at_the_provider(url)))
    exchange = next(request for request in bureau.wire.sent if request.url.path.endswith("/token"))
    sent = dict(parse_qsl(exchange.content.decode()))
    assert sent["grant_type"] == "authorization_code"
    assert challenge_of(sent["code_verifier"]) == asked["code_challenge"]
    assert (
        challenge_of(sent["code_verifier"]) == base64.urlsafe_b64encode(hashlib.sha256(sent["code_verifier"].encode()).digest()).decode()[:-1]
    )


def test_with_tls_cookies_are_bound_to_the_host(tmp_path: Path, issuer: str) -> None:
    with house(tmp_path / "home", start=datetime.now(UTC), oidc_issuer=issuer, public_url="https://yunei.example") as home:
        cookie = home.ask("GET", "/v1/sign-in").headers["set-cookie"]
        assert cookie.startswith("__Host-yunei-sign-in=")
        assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "Domain" not in cookie
        assert home.services.door.cookie == "__Host-yunei"


@pytest.mark.parametrize(
    "place", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nSet-Cookie: x=1", ""]
)
def test_people_are_sent_back_to_this_site_only(bureau: Bureau, place: str) -> None:
    begun = bureau.home.ask("GET", "/v1/sign-in", params={"return_to": place})
    done = bureau.home.ask("GET", back(at_the_provider(begun.headers["location"])))
    assert done.headers["location"] == "/"


# ── what can go wrong on the way ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_state_and_browser_belong_together(bureau: Bureau) -> None:
    home = bureau.home
    way_back = back(at_the_provider(home.ask("GET", "/v1/sign-in").headers["location"]))
    cookie = home.http.cookies["yunei-sign-in"]
    home.http.cookies.clear()
    assert home.code("GET", way_back) == (400, "auth_sign_in_failed")  # another browser: somebody else's code pressed on a victim
    flipped = cookie[:-1] + ("0" if cookie[-1] != "0" else "1")
    assert home.code("GET", way_back, headers={"Cookie": f"yunei-sign-in={flipped}"}) == (400, "auth_sign_in_failed")
    body, _, mac = cookie.rpartition(".")
    flow = json.loads(base64.urlsafe_b64decode(body + "=="))
    changed = base64.urlsafe_b64encode(json.dumps({**flow, "return_to": "//evil"}).encode()).decode().rstrip("=")
    assert home.code("GET", way_back, headers={"Cookie": f"yunei-sign-in={changed}.{mac}"}) == (400, "auth_sign_in_failed")
    other = way_back.replace("state=", "state=x")
    assert home.code("GET", other, headers={"Cookie": f"yunei-sign-in={cookie}"}) == (400, "auth_sign_in_failed")
    home.clock.move(minutes=11)
    assert home.code("GET", way_back, headers={"Cookie": f"yunei-sign-in={cookie}"}) == (400, "auth_sign_in_failed")


def test_a_code_is_good_once(bureau: Bureau) -> None:
    home = bureau.home
    way_back = back(at_the_provider(home.ask("GET", "/v1/sign-in").headers["location"]))
    cookie = {"Cookie": f"yunei-sign-in={home.http.cookies['yunei-sign-in']}"}
    assert home.ask("GET", way_back, headers=cookie).status_code == 303
    home.http.cookies.clear()
    assert home.code("GET", way_back, headers=cookie) == (400, "auth_sign_in_failed")


def test_the_answer_to_another_nonce_is_not_taken(bureau: Bureau) -> None:
    url = bureau.home.ask("GET", "/v1/sign-in").headers["location"]
    answer = bureau.home.code("GET", back(at_the_provider(url, nonce="n" * 43)))
    assert answer == (400, "auth_sign_in_failed")


@pytest.mark.parametrize("error", ["error=access_denied", "code=", "code=none", "code=x&iss=https://evil.example"])
def test_what_is_no_code_signs_nobody_in(bureau: Bureau, error: str) -> None:
    url = bureau.home.ask("GET", "/v1/sign-in").headers["location"]
    state = parse_qs(urlsplit(url).query)["state"][0]
    assert bureau.home.code("GET", f"/v1/sign-in/callback?state={state}&{error}") == (400, "auth_sign_in_failed")
    assert bureau.home.code("GET", "/v1/me") == (401, "auth_missing")


@pytest.mark.parametrize("part", ["signature", "alg", "aud", "iss", "exp"])
def test_a_false_id_token_signs_nobody_in(bureau: Bureau, part: str) -> None:
    def change(request: httpx2.Request, answer: httpx2.Response) -> httpx2.Response:
        if not request.url.path.endswith("/token"):
            return answer
        data = answer.json()
        first, second, third = data["id_token"].split(".")
        header, claims = (json.loads(base64.urlsafe_b64decode(text + "==")) for text in (first, second))
        match part:
            case "alg":
                header["alg"] = "none"
            case "aud" | "iss":
                claims[part] = "other"
            case "exp":
                claims["exp"] = 1
        raw = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")  # noqa: E731
        third = "A" * len(third) if part == "signature" else third
        data["id_token"] = f"{raw(header)}.{raw(claims)}.{third}"
        return httpx2.Response(200, json=data)

    bureau.wire.change = change
    assert signed_in(bureau).status_code == 400
    bureau.wire.change = None
    assert signed_in(bureau).status_code == 303


def test_a_token_that_is_right_but_old_or_for_another_is_not_taken(bureau: Bureau) -> None:
    """The signature is the provider's own; only what it says does not fit."""
    bureau.home.clock.move(hours=2)
    assert signed_in(bureau).status_code == 400
    bureau.home.clock.move(hours=-2)
    object.__setattr__(bureau.home.services.provider, "_settings", bureau.home.services.settings.model_copy(update={"oidc_client_id": "other"}))
    url = bureau.home.ask("GET", "/v1/sign-in").headers["location"]
    assert bureau.home.code("GET", back(at_the_provider(url, client_id="yunei-test")))[0] == 400


def test_a_provider_that_is_away_or_another_is_said_so(bureau: Bureau) -> None:
    bureau.wire.down = True
    assert bureau.home.code("GET", "/v1/sign-in") == (502, "auth_provider")
    bureau.wire.down = False
    bureau.wire.change = lambda request, answer: httpx2.Response(200, json={**answer.json(), "issuer": "https://evil.example"})
    assert bureau.home.code("GET", "/v1/sign-in") == (502, "auth_provider")
    bureau.wire.change = None
    assert bureau.home.ask("GET", "/v1/sign-in").status_code == 303


def test_without_a_provider_nobody_is_sent_anywhere(tmp_path: Path) -> None:
    with house(tmp_path / "home") as home:
        assert home.code("GET", "/v1/sign-in") == (404, "auth_sign_in_off")


def test_somebody_unknown_is_told_a_name_to_hand_to_the_administrator(bureau: Bureau) -> None:
    home = bureau.home
    answer = signed_in(bureau, subject="new@example.gov.cn")
    assert (answer.status_code, answer.json()["code"]) == (403, "auth_not_linked")
    digest = answer.json()["fields"]["subject_digest"]
    assert "new@example" not in answer.text
    linked = home.ask("POST", "/v1/principals/operator/subjects", home.keys["admin"], json={"subject_digest": digest})
    assert linked.status_code == 201, linked.text
    signed_in(bureau, subject="new@example.gov.cn")
    assert home.ask("GET", "/v1/me").json()["principal"] == "operator"
    body = {"reason": "left"}
    assert home.code("POST", f"/v1/principals/operator/subjects/{digest}/unlink", home.keys["admin"], json=body) == (200, "")
    home.http.cookies.clear()
    assert signed_in(bureau, subject="new@example.gov.cn").status_code == 403


def test_a_suspended_person_does_not_get_in(bureau: Bureau) -> None:
    acts.suspend_principal(bureau.home.services.register, "supervisor", reason="x")
    answer = signed_in(bureau)
    assert (answer.status_code, answer.json()["code"]) == (403, "auth_suspended")


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_session_ends_idle_or_old(bureau: Bureau) -> None:
    home = bureau.home
    signed_in(bureau)
    for _ in range(3):
        home.clock.move(minutes=29)
        assert home.code("GET", "/v1/me") == (200, "")  # each request is life
    home.clock.move(minutes=31)
    assert home.code("GET", "/v1/me") == (401, "auth_unknown")
    home.http.cookies.clear()
    home.clock.move(minutes=-118)
    signed_in(bureau)
    for _ in range(17):
        home.clock.move(minutes=28)
        assert home.code("GET", "/v1/me") == (200, "")
    home.clock.move(minutes=28)
    assert home.code("GET", "/v1/me") == (401, "auth_unknown")  # past eight hours, however busy


def test_only_a_page_of_this_site_changes_anything(bureau: Bureau) -> None:
    home = bureau.home
    signed_in(bureau)
    csrf = home.ask("GET", "/v1/sessions").json()["csrf_token"]
    suspend = lambda **options: home.code("POST", "/v1/principals/builder/suspend", json={"reason": "x"}, **options)  # noqa: E731
    other = home.services.door.csrf_token("ys_another_session")
    for headers in (
        {},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": other},
        {"X-CSRF-Token": csrf[:-1]},
        {"X-CSRF-Token": csrf, "Origin": "https://evil.example"},
        {"X-CSRF-Token": csrf, "Origin": "null"},
        {"X-CSRF-Token": csrf, "Sec-Fetch-Site": "cross-site"},
        {"X-CSRF-Token": csrf, "Sec-Fetch-Site": "same-site"},
    ):
        assert suspend(headers=headers) == (403, "auth_csrf"), headers
    form = f"reason=x&csrf_token={csrf[:-1]}"
    urlencoded = {"Content-Type": "application/x-www-form-urlencoded"}
    assert home.code("POST", "/v1/principals/builder/suspend", content=form, headers=urlencoded) == (403, "auth_csrf")
    form = f"reason=x&csrf_token={csrf}"  # let through to the schema, which wants JSON
    assert home.code("POST", "/v1/principals/builder/suspend", content=form, headers=urlencoded)[0] == 422
    assert home.services.register.principal("builder").status == "active"  # type: ignore[union-attr]  # it is there
    assert suspend(headers={"X-CSRF-Token": csrf, "Origin": PUBLIC, "Sec-Fetch-Site": "same-origin"}) == (200, "")


def test_a_key_in_a_cookie_is_no_session(bureau: Bureau) -> None:
    home = bureau.home
    assert home.code("GET", "/v1/me", headers={"Cookie": f"yunei={home.keys['operator']}"}) == (401, "auth_unknown")


# ── the command line ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

VERIFIER = "v" * 43


def code_for(bureau: Bureau, verifier: str = VERIFIER) -> dict[str, str]:
    """What the command line's loopback listener is sent."""
    query = {"port": "43210", "challenge": challenge_of(verifier), "mark": "m1"}
    begun = bureau.home.ask("GET", "/v1/sign-in", params=query)
    done = bureau.home.ask("GET", back(at_the_provider(begun.headers["location"])))
    parts = urlsplit(done.headers["location"])
    assert (parts.scheme, parts.netloc) == ("http", "127.0.0.1:43210")
    assert "yunei=" not in str(done.headers.get_list("set-cookie"))  # no browser session comes of it
    return dict(parse_qsl(parts.query))


def test_the_command_line_gets_a_session_for_its_code(bureau: Bureau) -> None:
    home = bureau.home
    given = code_for(bureau)
    assert given["mark"] == "m1"
    answer = home.ask("POST", "/v1/sign-in/session", json={"code": given["code"], "verifier": VERIFIER})
    assert answer.status_code == 201, answer.text
    secret = answer.json()["secret"]
    assert secret.startswith("ys_")
    assert home.ask("GET", "/v1/me", secret).json()["principal"] == "supervisor"
    token = home.ask("POST", "/v1/token", secret, json={}).json()["access_token"]
    assert home.code("GET", "/v1/me", token) == (200, "")
    assert home.code("POST", "/v1/sign-out", secret) == (204, "")
    assert home.code("GET", "/v1/me", secret) == home.code("GET", "/v1/me", token) == (401, "auth_unknown")


def test_a_command_lines_code_is_good_once_for_a_minute_with_its_verifier(bureau: Bureau) -> None:
    home = bureau.home
    hand_in = lambda code, verifier=VERIFIER: home.code("POST", "/v1/sign-in/session", json={"code": code, "verifier": verifier})  # noqa: E731
    code = code_for(bureau)["code"]
    assert hand_in(code, "w" * 43) == (400, "auth_sign_in_failed")
    assert hand_in(code) == (400, "auth_sign_in_failed")  # used up by the one who guessed
    code = code_for(bureau)["code"]
    assert hand_in(code) == (201, "")
    assert hand_in(code) == (400, "auth_sign_in_failed")
    code = code_for(bureau)["code"]
    home.clock.move(seconds=61)
    assert hand_in(code) == (400, "auth_sign_in_failed")
    codes = [hand_in("x" * 43)[0] for _ in range(30)]
    assert set(codes) == {400, 429}  # guessing is counted


def test_a_command_line_says_port_and_challenge_both(bureau: Bureau) -> None:
    for query in ("port=43210", f"challenge={challenge_of(VERIFIER)}", "port=80&challenge=x"):
        assert bureau.home.code("GET", f"/v1/sign-in?{query}")[0] in (400, 422)


def test_a_flow_says_nothing_of_its_secrets_in_its_address(bureau: Bureau) -> None:
    flow = bureau.home.services.flows.begin()
    url = bureau.home.services.provider.authorization_url(state=flow.state, nonce=flow.nonce, verifier=flow.verifier)
    assert isinstance(flow, Flow)
    assert flow.verifier not in url
