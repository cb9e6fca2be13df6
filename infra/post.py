"""One POST over HTTP or HTTPS, with a time limit and a size limit, following nothing."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

ANSWER_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    kind: str  # media type, without parameters
    body: bytes


def post(url: str, body: bytes, *, timeout_s: float) -> Answered:
    """OSError when there is no answer in time, or none that is HTTP. Certificates of an https address are checked against the system's."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OSError("not an http address")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout_s, context=ssl.create_default_context())
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    try:
        connection.request("POST", parts.path or "/", body, {"Content-Type": "text/plain; charset=utf-8", "Connection": "close"})
        response = connection.getresponse()
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Answered(response.status, kind, response.read(ANSWER_LIMIT))
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"no answer that is HTTP: {type(error).__name__}") from error
    finally:
        connection.close()
