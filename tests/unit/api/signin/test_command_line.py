"""The command line as its users have it: sign in through a browser, appoint, issue, rotate, revoke, sign out; and on the machine itself."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
import uvicorn

from api.app import create_app
from jobs import acts
from tests.doors import House, house
from tests.provider import a_provider
from yunei import cli
from yunei.config import Config
from yunei.signin import sign_in
from yunei.transport import Http

SUBJECT = "li@example.gov.cn"


@contextmanager
def served(home: House, port: int) -> Iterator[str]:
    config = uvicorn.Config(create_app(home.services), host="127.0.0.1", port=port, log_config=None, access_log=False, proxy_headers=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not server.started and time.monotonic() < until:
        time.sleep(0.005)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(60)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("YUNEI_URL", "YUNEI_KEY", "YUNEI_CONFIG", "YUNEI_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bureau(own_home: Path) -> Iterator[tuple[House, str, str]]:
    """The house, its address, and the provider's."""
    port = free_port()
    (own_home / "secret").write_text("shared")
    with a_provider() as issuer:
        settings = {"oidc_issuer": issuer, "public_url": f"http://127.0.0.1:{port}", "oidc_client_secret_file": own_home / "secret"}
        with house(own_home / "home", start=datetime.now(UTC), **settings) as home, served(home, port) as url:
            register = home.services.register
            acts.link_subject(register, "supervisor", issuer, acts.subject_digest(register.key_ring, issuer, SUBJECT))
            yield home, url, issuer


def yunei(*words: str | Path) -> int:
    return cli.main([*map(str, words), "--lang", "en"])


def browse(address: str, subject: str = SUBJECT) -> httpx2.Response:
    """What a browser and the person before it do."""
    with httpx2.Client(timeout=10) as browser:
        begun = browser.get(address)
        parts = urlsplit(begun.headers["location"])
        form = f"{parts.scheme}://{parts.netloc}{parts.path}"
        agreed = browser.post(form, params=dict(parse_qsl(parts.query)), data={"sub": subject})
        back = browser.get(agreed.headers["location"])
        return browser.get(back.headers["location"]) if back.status_code == 303 else back


def test_signing_in_and_out_through_a_browser(
    bureau: tuple[House, str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, url, _ = bureau
    pages: list[httpx2.Response] = []

    def open_browser(address: str) -> bool:
        threading.Thread(target=lambda: pages.append(browse(address))).start()
        return True

    monkeypatch.setattr("webbrowser.open", open_browser)
    assert yunei("login", url, "--browser") == 0
    assert "supervisor" in capsys.readouterr().err
    stored = Config.load()
    assert (stored.key or "").startswith("ys_")
    assert stored.path.stat().st_mode & 0o077 == 0
    assert pages[0].status_code == 200
    assert (stored.key or "") not in pages[0].text
    assert yunei("whoami") == 0
    assert "supervisor" in capsys.readouterr().out
    assert yunei("session", "list") == 0
    assert "command_line" in capsys.readouterr().out
    assert yunei("logout") == 0
    assert Config.load().key is None
    assert home.code("GET", "/v1/me", stored.key) == (401, "auth_unknown")


def test_a_stranger_on_the_loopback_address_is_told_nothing(bureau: tuple[House, str, str]) -> None:
    _, url, _ = bureau

    def show(address: str) -> None:
        port = dict(parse_qsl(urlsplit(address).query))["port"]

        def go() -> None:
            for query in ("?code=x", "?code=x&mark=guess", "", "?mark="):
                assert httpx2.get(f"http://127.0.0.1:{port}/{query}").status_code == 404
            browse(address)

        threading.Thread(target=go).start()

    http = Http(url, None, language="en", timeout=10, retries=0)
    assert sign_in(http, show)["principal"] == "supervisor"
    http.close()


def test_nobody_comes_back_in_time(own_home: Path) -> None:
    from yunei.problem import YuneiProblem

    http = Http("http://127.0.0.1:9", None, language="en", timeout=1, retries=0)
    with pytest.raises(YuneiProblem) as caught:
        sign_in(http, lambda _: None, patience_s=0.1)
    assert caught.value.code == "client_sign_in"
    http.close()


def test_two_people_appoint_a_third_whose_key_is_rotated_and_revoked(
    bureau: tuple[House, str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, url, _ = bureau
    monkeypatch.setenv("YUNEI_URL", url)

    def as_(principal: str) -> None:
        monkeypatch.setenv("YUNEI_KEY", home.keys.get(principal, principal))

    as_("admin")
    assert yunei("principal", "register", "zhao", "--role", "reviewer") == 1
    assert "auth_appointed_by_two" in capsys.readouterr().err
    assert yunei("appointment", "propose", "register", "zhao", "--role", "reviewer", "--title-zh", "赵", "--title-en", "Zhao") == 0
    first = capsys.readouterr().out.split()[-1]
    assert yunei("appointment", "confirm", first) == 1
    as_("supervisor")
    assert yunei("appointment", "confirm", first) == 0
    as_("admin")
    assert yunei("appointment", "propose", "key", "zhao") == 0
    second = capsys.readouterr().out.split()[-1]
    as_("supervisor")
    assert yunei("appointment", "confirm", second) == 0
    key = capsys.readouterr().out.strip()
    as_(key)
    assert yunei("whoami") == 0
    assert "reviewer" in capsys.readouterr().out
    assert yunei("key", "rotate", key.split("_")[1], "--overlap", "0") == 0
    new = capsys.readouterr().out.strip()
    assert home.code("GET", "/v1/me", key) == (401, "auth_unknown")
    as_(new)
    assert yunei("key", "list", "--format", "json") == 0
    assert new.split("_")[1] in capsys.readouterr().out
    assert yunei("key", "revoke", new.split("_")[1], "--reason", "over") == 0
    assert yunei("whoami") == 1
    as_("admin")
    assert yunei("key", "issue", "operator", "--scope", "job_list") == 0
    assert capsys.readouterr().out.split()[-1].startswith("yk_")
    assert yunei("principal", "list", "--format", "csv") == 0
    assert "zhao,reviewer,active" in capsys.readouterr().out
    assert yunei("principal", "suspend", "zhao", "--reason", "x") == 0
    assert yunei("principal", "resume", "zhao", "--reason", "x") == 1
    as_("supervisor")
    assert yunei("principal", "resume", "zhao", "--reason", "x") == 0
    as_("admin")
    assert yunei("principal", "link", "builder", "--subject", "b@example") == 0
    assert yunei("principal", "close", "zhao", "--reason", "left") == 0
    assert yunei("appointment", "list", "--format", "json") == 0


# ── on the machine itself ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_administrators_key_is_shown_once(own_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert yunei("init", "--home", own_home / "new") == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("yk_")
    assert "log key" in shown.err
    assert yunei("init", "--home", own_home / "new") == 0
    again = capsys.readouterr()
    assert again.out == ""
    assert "no key is shown again" in again.err
    key = shown.out.strip()
    everything = b"".join(path.read_bytes() for path in (own_home / "new").rglob("*") if path.is_file())
    assert key.encode() not in everything


def test_the_owner_of_the_machine_needs_no_second_person(own_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ("--home", own_home / "new")
    assert yunei("key", "issue", "li", "--role", "supervisor", "--days", "30", *at) == 0
    prefix = capsys.readouterr().out.split("_")[1]
    assert yunei("principal", "register", "wang", "--role", "auditor", *at) == 0
    assert yunei("principal", "link", "wang", "--subject", "w@example", *at) == 0
    assert yunei("principal", "link", "wang", *at) == 2
    assert yunei("principal", "suspend", "wang", "--reason", "x", *at) == 0
    assert yunei("principal", "resume", "wang", "--reason", "x", *at) == 0
    assert yunei("principal", "close", "wang", "--reason", "x", *at) == 0
    capsys.readouterr()
    assert yunei("principal", "list", *at) == 0
    assert "closed" in capsys.readouterr().out
    assert yunei("key", "revoke", prefix, "--reason", "x", *at) == 0
    assert yunei("key", "list", *at) == 0
    assert "revoked" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["init", "key issue", "key list", "principal register", "principal suspend", "principal link"])
def test_help_on_the_machine_is_in_both_languages(own_home: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    for language, word in (("zh", "主目录"), ("en", "home folder")):
        assert cli.main([*verb.split(), "--help", "--lang", language]) == 0
        assert word in capsys.readouterr().out
