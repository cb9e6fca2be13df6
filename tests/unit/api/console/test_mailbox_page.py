"""The address for notifications, by the interface and on its page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from jobs.webhooks import mailboxes
from jobs.webhooks.letters import code_of
from tests.bureau import Bureau, Home, opened

WHO = "zhang@example.gov.cn"


@pytest.fixture
def house(bureau_home: Home, tmp_path: Path) -> Iterator[Bureau]:
    keys = bureau_home.copy_to(tmp_path / "home")
    services = opened(tmp_path / "home", smtp_host="127.0.0.1", smtp_port=9, smtp_tls="none", webhook_interval_s=3600)
    services.webhooks.stop()  # nothing goes out
    yield Bureau(services, keys)
    services.close()


def test_an_address_is_set_confirmed_and_given_up(house: Bureau) -> None:
    browser = TestClient(create_app(house.services), headers={"Accept-Language": "zh-CN"}, raise_server_exceptions=False)
    assert browser.post("/console/sign-in", data={"key": house.keys["supervisor"]}, follow_redirects=False).status_code == 303
    page = browser.get("/console/mailbox")
    assert page.status_code == 200
    assert "邮件通知" in page.text
    token = page.text.split('name="csrf_token" value="')[1].split('"')[0]

    def act(**form: str) -> int:
        return browser.post("/console/mailbox", data={"csrf_token": token, **form}, follow_redirects=False).status_code

    assert act(address="nobody", **{"topic:report.issued": "1"}) == 422
    assert act(address=WHO, **{"topic:report.issued": "1"}) == 303
    assert "待确认" in browser.get("/console/mailbox").text
    assert act(act="confirm", code="WRONG") == 422
    register = house.services.register
    box = mailboxes.mailbox_of(register, "supervisor")
    assert box is not None
    assert act(act="confirm", code=code_of(register.key_ring, box.id, WHO)) == 303
    seen = browser.get("/v1/mailbox", headers=house.headers("supervisor")).json()
    assert (seen["address"], seen["state"], seen["topics"]) == (WHO, "open", ["report.issued"])
    assert act(act="test") == 200
    told = browser.get("/v1/mailbox/messages", headers=house.headers("supervisor")).json()["messages"]
    assert [each["type"] for each in told] == ["mail.test", "mail.code"]
    assert browser.get("/v1/mailbox", headers=house.headers("auditor")).status_code == 404  # each has its own
    assert act(act="close") == 303
    assert browser.get("/v1/mailbox", headers=house.headers("supervisor")).status_code == 404
