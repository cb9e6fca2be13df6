"""Where webhooks may be sent, and that they are sent nowhere else."""

from __future__ import annotations

import base64
import hmac
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from infra.webhooks import BadTarget, Target, networks, post_webhook, secret_text, signature

LOOPBACK = networks(["127.0.0.0/8"])
SECRET = bytes(range(32))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://example.com/", "malformed"),
        ("https://", "malformed"),
        ("https://user:x@example.com/", "malformed"),
        ("https://example.com/#x", "malformed"),
        ("https://example.com/ x", "malformed"),
        ("https://example.com:99999/", "malformed"),
        ("https://[::1", "malformed"),
        ("http://example.com/", "plain_http"),
        ("https://127.0.0.1/", "private"),
        ("https://10.1.2.3/", "private"),
        ("https://169.254.169.254/latest/meta-data", "private"),
        ("https://[::1]/", "private"),
        ("https://[::ffff:10.0.0.1]/", "private"),
        ("https://[fd00::1]/", "private"),
        ("https://224.0.0.1/", "private"),
        ("https://0.0.0.0/", "private"),
        ("https://100.64.0.1/", "private"),
    ],
)
def test_addresses_that_are_refused_as_written(url: str, code: str) -> None:
    with pytest.raises(BadTarget) as caught:
        Target.parse(url)
    assert caught.value.code == code


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::1"], ["fe80::1%eth0"], ["::ffff:192.168.0.1"]])
def test_names_that_lead_inwards_are_refused_when_used(addresses: list[str]) -> None:
    target = Target.parse("https://hooks.example.com/x")
    with pytest.raises(BadTarget):
        post_webhook(target, "m", 1, b"{}", [SECRET], timeout_s=1, resolve=lambda host, port: addresses)


def test_leave_for_a_network_is_for_that_network_alone() -> None:
    target = Target.parse("http://127.0.0.1:9/x", LOOPBACK)
    assert target.address(lambda host, port: ["127.0.0.1"]) == "127.0.0.1"
    named = Target.parse("http://hooks.example.com/", LOOPBACK)
    for address in ("10.0.0.1", "93.184.216.34"):  # plain http is for the excepted network alone
        with pytest.raises(BadTarget):
            named.address(lambda host, port, address=address: [address])
    with pytest.raises(BadTarget):
        Target.parse("https://10.0.0.1/", LOOPBACK)


class Receiver(BaseHTTPRequestHandler):
    got: list[tuple[dict[str, str], bytes]]
    answer: tuple[int, dict[str, str], bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        status, headers, said = type(self).answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[tuple[type[Receiver], str]]:
    kind = type("One", (Receiver,), {"got": [], "answer": (204, {}, b"")})
    server = HTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield kind, f"http://127.0.0.1:{server.server_port}/hook?a=b"
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_arrives_is_signed_by_every_secret(receiver: tuple[type[Receiver], str]) -> None:
    kind, url = receiver
    assert post_webhook(Target.parse(url, LOOPBACK), "msg_1", 1_795_000_000, b'{"a":1}', [SECRET, b"x" * 32], timeout_s=60) == 204
    ((headers, body),) = kind.got
    assert (headers["webhook-id"], headers["webhook-timestamp"], headers["content-type"]) == ("msg_1", "1795000000", "application/json")
    version, _, sent = headers["webhook-signature"].split(" ")[0].partition(",")
    key = base64.b64decode(secret_text(SECRET).removeprefix("whsec_"))
    assert version == "v1"
    assert base64.b64decode(sent) == hmac.digest(key, b"msg_1.1795000000." + body, "sha256")
    assert headers["webhook-signature"].split(" ")[1] == signature(b"x" * 32, "msg_1", 1_795_000_000, body)


def test_redirects_are_not_followed_and_long_answers_not_read(receiver: tuple[type[Receiver], str]) -> None:
    kind, url = receiver
    kind.answer = (302, {"Location": url}, b"x" * 2**20)
    assert post_webhook(Target.parse(url, LOOPBACK), "m", 1, b"{}", [SECRET], timeout_s=60) == 302
    assert len(kind.got) == 1


def test_no_answer_is_an_oserror() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        target = Target.parse(f"http://127.0.0.1:{silent.getsockname()[1]}/", LOOPBACK)
        with pytest.raises(OSError, match="timed out"):
            post_webhook(target, "m", 1, b"{}", [SECRET], timeout_s=0.1)
    with pytest.raises(OSError, match="refused"):
        post_webhook(target, "m", 1, b"{}", [SECRET], timeout_s=60)
