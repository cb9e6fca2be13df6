"""An alert answered for in a real browser, in both languages."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import Sit, Site
from tests.watching import raised_by_hand


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_alert_is_found_acknowledged_and_closed(sit: Sit, site: Site, language: str) -> None:
    raised = raised_by_hand(site.bureau.services.register)
    seat = sit("supervisor", language)
    seat.open("/console/")
    page = seat.page
    page.click("a.tile[href='/console/alerts']")
    page.click(f"a[href='/console/alerts/{raised}']")
    seat.screen(f"alert-{language}")
    page.fill("textarea[name=words]", "正在核对备份 · looking into it")
    page.click("button[value=acknowledge]")
    assert page.locator("blockquote").inner_text() == "正在核对备份 · looking into it"
    serious = [each["id"] for each in Axe().run(page).response["violations"] if each["impact"] in ("serious", "critical")]
    assert serious == []
    page.check("input[value=handled]")
    page.fill("textarea[name=words]", "已恢复 · restored")
    page.click("button[value=close]")
    assert page.locator("h1 .chip.calm").is_visible()
    seat.open("/console/alerts?state=open")
    assert page.locator(f"a[href='/console/alerts/{raised}']").count() == 0
