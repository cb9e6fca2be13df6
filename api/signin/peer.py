"""Where a request comes from: the caller's address and client certificate, as far as who passes them on is to be believed.

A TLS proxy says both in headers. They count only when the connection itself comes from an address in `trusted_proxies`; from anybody else
they are what a stranger wrote. The certificate comes as RFC 9440 has it: `Client-Cert: :BASE64 OF DER:`, verified by the proxy.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import HTTPConnection

_CERTIFICATE = re.compile(r":([A-Za-z0-9+/]{4,16384}={0,2}):")
_UNKNOWN = "0.0.0.0"  # noqa: S104  # the name of no caller, not an address to listen on


class BadPeer(Exception):
    """A trusted proxy passed on something that is no certificate, or two."""


@dataclass(frozen=True, slots=True)
class Peer:
    """`address`: the caller's, IPv6 as its /64, since one caller has all of it. `certificate`: SHA-256 (hex) of its certificate's DER."""

    address: str
    certificate: str | None = None

    @property
    def thumbprint(self) -> str | None:
        """`x5t#S256` of RFC 8705."""
        if self.certificate is None:
            return None
        return base64.urlsafe_b64encode(bytes.fromhex(self.certificate)).rstrip(b"=").decode()


class Proxies:
    """`trusted`: addresses and networks (CIDR)."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted = [ipaddress.ip_network(network) for network in trusted]

    def trusts(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        parsed = getattr(parsed, "ipv4_mapped", None) or parsed
        return any(parsed in network for network in self._trusted)

    def peer(self, connection: HTTPConnection) -> Peer:
        """BadPeer when a trusted proxy's Client-Cert cannot be one certificate."""
        address = connection.client.host if connection.client is not None else _UNKNOWN
        if not self.trusts(address):
            return Peer(_bucket(address))
        hops = [hop.strip() for line in connection.headers.getlist("x-forwarded-for") for hop in line.split(",")]
        for hop in reversed(hops):  # the last that no proxy of ours wrote about another of ours
            address = hop
            if not self.trusts(hop):
                break
        return Peer(_bucket(address), _certificate(connection.headers.getlist("client-cert")))

    def secure(self, connection: HTTPConnection) -> bool:
        """Whether a trusted proxy says that the caller came by TLS."""
        host = connection.client.host if connection.client is not None else _UNKNOWN
        return connection.url.scheme == "https" or (self.trusts(host) and connection.headers.get("x-forwarded-proto") == "https")


def _certificate(values: Sequence[str]) -> str | None:
    if not values:
        return None
    shape = _CERTIFICATE.fullmatch(values[0].strip())
    if len(values) > 1 or shape is None:
        raise BadPeer
    try:
        return hashlib.sha256(base64.b64decode(shape.group(1), validate=True)).hexdigest()
    except binascii.Error:
        raise BadPeer from None


def _bucket(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return _UNKNOWN
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
