"""Somebody on the cluster's network without its certificates, its token, or both: `python -m tests.cluster.stranger ADDRESS FOLDER PORT …`.

Prints, per port, what each attempt was answered with: plain HTTP, HTTP/2 without TLS, TLS without a certificate, TLS with a node's.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

HTTP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
WAIT_S = 5


def said(address: str, port: int, data: bytes, context: ssl.SSLContext | None = None) -> str:
    """The first bytes of an answer; nothing when the door is shut."""
    with suppress(OSError), ExitStack() as held:
        channel = held.enter_context(socket.create_connection((address, port), timeout=WAIT_S))
        if context is not None:
            channel = held.enter_context(context.wrap_socket(channel))
        channel.settimeout(WAIT_S)
        channel.sendall(data)
        return channel.recv(16).hex()
    return ""


def main() -> None:
    address, folder, ports = sys.argv[1], Path(sys.argv[2]), [int(text) for text in sys.argv[3:]]
    contexts = []
    for known in (False, True):
        context = ssl.create_default_context(cafile=folder / "ca.crt")
        context.check_hostname = False
        context.set_alpn_protocols(["h2"])
        if known:
            context.load_cert_chain(folder / "node.crt", folder / "node.key")
        contexts.append(context)
    found = {
        port: [said(address, port, HTTP), said(address, port, HTTP2), *(said(address, port, HTTP2, context) for context in contexts)]
        for port in ports
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
