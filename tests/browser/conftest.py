"""A real Chromium in front of a real server on loopback. Chromium is Debian's package; a machine without it fails these tests."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Dialog, Locator, Page, expect, sync_playwright

from api.app import create_app
from jobs import acts
from tests import lane
from tests.bureau import Bureau, licence, opened, set_up
from tests.furnished import KINDS as KINDS
from tests.furnished import Furnished, furnish

SCREENS = Path(__file__).parents[2] / "build" / "screens"  # kept out of git; made anew by these tests
PATIENCE_MS = 90_000  # for one page or job, however busy the machine is
expect.set_options(timeout=PATIENCE_MS)
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]


@dataclass(frozen=True)
class Site:
    bureau: Bureau
    url: str


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium")
    assert found is not None, "chromium is missing: bash infra/setup/system.sh chromium fonts-noto-cjk"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A bureau with data, a licence and people in every role, served on a free port; jobs run in this process."""
    home = tmp_path_factory.mktemp("browser") / "home"
    keys = set_up(home)
    services = opened(home)
    keys["supervisor-2"] = acts.issue_key(services.register, "supervisor-2", "supervisor")
    lane.prepare(Bureau(services, keys))
    acts.grant_licence(services.register, licence(KINDS, job_kinds=("sql", "model", "synthetic", "program")))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(create_app(services), host="127.0.0.1", port=port, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, name="browser-site")
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield Site(Bureau(services, keys), f"http://127.0.0.1:{port}")
    services.stopping()
    server.should_exit = True
    thread.join()
    services.close()


@pytest.fixture(scope="session")
def furnished(site: Site) -> Furnished:
    """One of everything in it."""
    return furnish(site.bureau)


@dataclass
class Seat:
    """Somebody at a browser. `complaints` are what the browser says of the page: violations of its policy, errors."""

    page: Page
    site: Site
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        answer = self.page.goto(self.site.url + path)
        assert answer is not None
        return self.page

    def interrupted(self, dialog: Dialog) -> None:
        self.complaints.append(f"Refused to be quiet: {dialog.message}")
        dialog.dismiss()

    def screen(self, name: str) -> None:
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{name}.png", full_page=True)


Sit = Callable[..., Seat]


def press(control: Locator) -> Page:
    """Clicks what leads to another page, and returns that page once it is there: a click alone is over while the browser still shows the
    page before, and whatever is asked of it then is asked of the wrong one."""
    with control.page.expect_navigation():
        control.click()
    return control.page


@pytest.fixture(scope="session")
def signed_in(browser: Browser, site: Site) -> Callable[[str], Any]:
    """The cookies of somebody who came in through the door, once: a test that wants them at a browser need not go there again."""
    known: dict[str, Any] = {}

    def state(principal: str) -> Any:
        if principal not in known:
            context = browser.new_context(locale="zh-CN")
            context.set_default_timeout(PATIENCE_MS)
            page = context.new_page()
            page.goto(f"{site.url}/console/sign-in")
            page.fill("input[name=key]", site.bureau.keys[principal])
            press(page.locator("button"))
            expect(page).to_have_url(f"{site.url}/console/")
            known[principal] = context.storage_state()
            context.close()
        return known[principal]

    return state


@pytest.fixture
def sit(browser: Browser, site: Site, signed_in: Callable[[str], Any]) -> Iterator[Sit]:
    """Puts somebody at a browser, signed in: `sit("supervisor", "zh", width=390, scheme="dark")`."""
    contexts: list[BrowserContext] = []
    seats: list[Seat] = []

    def take(principal: str, language: str = "zh", *, width: int = 1280, scheme: str = "light") -> Seat:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            locale="zh-CN" if language == "zh" else "en-US",
            color_scheme=scheme,  # type: ignore[arg-type]  # light or dark
            storage_state=signed_in(principal),
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        seat = Seat(context.new_page(), site)
        seat.page.on("console", lambda message: seat.complaints.append(message.text) if message.type in ("error", "warning") else None)
        seat.page.on("pageerror", lambda error: seat.complaints.append(str(error)))
        seat.page.on("dialog", seat.interrupted)
        seats.append(seat)
        return seat

    yield take
    for context in contexts:
        context.close()
    violations = [text for seat in seats for text in seat.complaints if "Content Security Policy" in text or "Refused to" in text]
    assert violations == []
