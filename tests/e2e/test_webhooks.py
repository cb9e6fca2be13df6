"""A webhook over real HTTP, from a recall at the API to a receiver that checks the signature."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import cast

import httpx2
import pytest

from api import logs
from api.services import ClosablePool
from infra.workers import InlineWorkers
from tests.bureau import Home, opened
from tests.e2e.conftest import Live, listening
from tests.products import ID, on_the_shelf
from yunei import Client, YuneiProblem

Got = Queue[tuple[dict[str, str], bytes]]


@pytest.fixture
def receiver() -> Iterator[tuple[str, Got]]:
    got: Got = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.put(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_recall_arrives_signed(bureau_home: Home, tmp_path: Path, receiver: tuple[str, Got]) -> None:
    address, got = receiver
    logs.configure(quiet=True)
    keys = bureau_home.copy_to(tmp_path / "home")
    services = opened(
        tmp_path / "home", workers=cast(ClosablePool, InlineWorkers()), webhook_networks=("127.0.0.0/8",), webhook_interval_s=0.05
    )
    with listening(services) as url, httpx2.Client(base_url=url) as http:
        live = Live(services, keys, url, http)
        on_the_shelf(live)
        with Client(url, keys["builder"], "en") as builder, Client(url, keys["supervisor"], "en") as supervisor:
            with pytest.raises(YuneiProblem) as caught:
                builder.open_webhook("https://169.254.169.254/", ["product.recalled"])
            assert caught.value.code == "webhook_target_refused"
            opened_ = builder.open_webhook(address, ["product.recalled"], product=ID)
            builder.try_webhook(opened_["webhook"]["id"])
            assert json.loads(got.get(timeout=60)[1])["type"] == "webhook.test"
            supervisor.recall_product(ID, "来源数据有误")
            headers, body = got.get(timeout=60)
            said = json.loads(body)
            assert (said["type"], said["data"]["product"], said["data"]["reason"]) == ("product.recalled", ID, "来源数据有误")
            key = base64.b64decode(opened_["secret"].removeprefix("whsec_"))
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
            states = {message["type"]: message["state"] for message in builder.webhook_messages(opened_["webhook"]["id"])}
            assert set(states) == {"webhook.test", "product.recalled"}
    services.close()
