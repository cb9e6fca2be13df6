"""Sending webhooks as the Standard Webhooks specification (version 1.0.0) has them: signed, to addresses that cannot be turned inwards.

    webhook-id         one per message, the same however often it is tried
    webhook-timestamp  seconds since 1970, of this attempt
    webhook-signature  `v1,` and base64 of HMAC-SHA-256 over `id.timestamp.body`; one for each secret in force, separated by blanks

Whoever subscribes names the address, so it is not trusted: https alone, to public addresses alone. The name is looked up once and the
connection made to what was found, so that no second look-up can give another; redirects are not followed; little is read of the answer.
`allowed` excepts networks, such as loopback in tests or a bureau's own: there plain http will do as well.
"""

from __future__ import annotations

import base64
import hmac
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

ANSWER_LIMIT = 16 * 1024
SECRET_PREFIX = "whsec_"  # noqa: S105  # what secrets begin with, not one
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]


class BadTarget(ValueError):
    """The address may not be sent to. `code`: malformed, plain_http, private."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def secret_text(secret: bytes) -> str:
    """As it is shown to whoever will check signatures by it."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def signature(secret: bytes, id: str, timestamp: int, body: bytes) -> str:
    """
    >>> signature(base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    said = f"{id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, said, "sha256")).decode()


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """ValueError for what is no address or network."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def resolved(host: str, port: int) -> Sequence[str]:
    """Addresses of a name, by the system. OSError when there is none."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be sent to, as far as its text tells; where it leads is looked at when it is used."""

    url: SplitResult
    allowed: tuple[Network, ...]

    @classmethod
    def parse(cls, text: str, allowed: tuple[Network, ...] = ()) -> Target:
        """BadTarget."""
        try:
            url = urlsplit(text)
            host, port = url.hostname, url.port
        except ValueError:
            raise BadTarget("malformed") from None
        plain = text.isascii() and text.isprintable() and " " not in text
        if url.scheme not in ("http", "https") or not host or url.username or url.fragment or port == 0 or len(text) > 2000 or not plain:
            raise BadTarget("malformed")
        target = cls(url, allowed)
        if url.scheme == "http" and not allowed:
            raise BadTarget("plain_http")
        literal = _literal(host)
        if literal is not None:
            target.require(literal)
        return target

    @property
    def host(self) -> str:
        return self.url.hostname or ""

    @property
    def port(self) -> int:
        return self.url.port or (443 if self.url.scheme == "https" else 80)

    def require(self, address: Address) -> None:
        """BadTarget unless this is where one may send."""
        plain = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped else address
        if any(plain in network for network in self.allowed):
            return
        if self.url.scheme == "http":
            raise BadTarget("plain_http")
        if not plain.is_global or plain.is_multicast or plain.is_reserved:
            raise BadTarget("private")

    def address(self, resolve: Resolve) -> str:
        """Where to connect to. Every address of the name must be one that may be sent to. BadTarget, OSError."""
        found = [ipaddress.ip_address(text.partition("%")[0]) for text in resolve(self.host, self.port)]
        if not found:
            raise OSError("no address")
        for address in found:
            self.require(address)
        return str(found[0])


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def post_webhook(
    target: Target, id: str, timestamp: int, body: bytes, secrets: Sequence[bytes], *, timeout_s: float, resolve: Resolve = resolved
) -> int:
    """One attempt; the status it was answered with. BadTarget before anything is sent; OSError when there is no answer in time, or none that
    is HTTP."""
    address = target.address(resolve)
    connection = http.client.HTTPConnection(target.host, target.port, timeout=timeout_s)
    try:
        connection.sock = socket.create_connection((address, target.port), timeout=timeout_s)
        if target.url.scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(connection.sock, server_hostname=target.host)
        path = (target.url.path or "/") + (f"?{target.url.query}" if target.url.query else "")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "yunei-webhooks/1",
            "Connection": "close",
            "webhook-id": id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(signature(secret, id, timestamp, body) for secret in secrets),
        }
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        response.read(ANSWER_LIMIT)
        return response.status
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"no answer that is HTTP: {type(error).__name__}") from error
    finally:
        connection.close()
