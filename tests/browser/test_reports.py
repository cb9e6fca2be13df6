"""A yearly disclosure made, looked at, issued and taken home in a real browser, in both languages."""

from __future__ import annotations

import hashlib
import io
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from pypdf import PdfReader

from policies.review import CHINA
from tests.browser.conftest import Sit, Site, press

WORDS = {"zh": "授权运营情况披露报告", "en": "Disclosure of authorised operation"}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_years_disclosure_is_previewed_issued_and_downloaded(sit: Sit, site: Site, language: str) -> None:
    year = site.bureau.services.clock().astimezone(CHINA).year
    seat = sit("supervisor", language)

    def previewed(of: int) -> None:
        page.select_option("form[action='/console/reports/preview'] select[name=kind]", "disclosure")
        page.fill("input[name=period]", str(of))
        press(page.locator("form[action='/console/reports/preview'] button"))
        expect(page.locator("h1")).to_contain_text(WORDS[language])
        expect(page.locator("h1 .chip.busy")).to_be_visible()

    page = seat.open("/console/reports")
    previewed(year)
    expect(page.locator(".note.warn").first).to_be_visible()
    press(page.locator("form[method=post][action='/console/reports'] button"))
    expect(page.locator("main")).to_contain_text("report_period_open")  # the year is not over: it is to be looked at, not issued
    year -= 1 if language == "zh" else 2
    previewed(year)
    press(page.locator("form[method=post][action='/console/reports'] button"))
    expect(page).to_have_url(re.compile("/console/reports/rep-"))
    seat.screen(f"report-{language}")
    serious = [each["id"] for each in Axe().run(page).response["violations"] if each["impact"] in ("serious", "critical")]
    assert serious == []
    row = page.locator("tr", has=page.locator(f"a[href$='/files/pdf?language={language}']"))
    with page.expect_download() as started:
        row.locator("a").click()
    data = started.value.path().read_bytes()
    assert hashlib.sha256(data).hexdigest() == row.locator("td").inner_text()
    text = "".join(each.extract_text().replace("\0", "") for each in PdfReader(io.BytesIO(data)).pages)
    assert WORDS[language] in text
    assert str(year) in text
    seat.open("/console/reports?kind=disclosure")
    expect(page.locator("tbody tr").first).to_be_visible()
