"""A file from the server: resumed, never half-written under its own name, checked against its digest."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import httpx2

from yunei.problem import problem
from yunei.transport import AS_IS, Http


def download(http: Http, path: str, params: Mapping[str, str], target: Path) -> Path:
    """`target`, holding exactly the bytes the server has now.

    The server's strong ETag names the bytes; a partial file carries a digest of it in its own name, so parts of two different answers are
    never joined. Raises `client_short_file` when the connection broke too often (what came is kept), `verify_release` when
    the bytes are not what their ETag says.
    """
    with http.open("HEAD", path, params=params, headers=AS_IS) as response:
        if response.status_code != 200:
            raise _why(http, path, params)
        etag = response.headers.get("etag", "")
        length = int(response.headers.get("content-length", "-1"))
    if target.exists() and _is_sha256(etag) and target.stat().st_size == length and _sha256(target) == etag.strip('"'):
        return target
    part = target.with_name(f".{target.name}.{hashlib.sha256(etag.encode()).hexdigest()[:16]}.part")
    for other in target.parent.glob(f".{_glob_safe(target.name)}.*.part"):
        if other != part:
            other.unlink(missing_ok=True)  # of bytes the server no longer has
    for _ in range(http.attempts):
        have = part.stat().st_size if part.exists() and etag and not etag.startswith("W/") else 0
        if length >= 0 and have == length:
            break
        if _take(http, path, params, part, etag, have):
            break
    got = part.stat().st_size if part.exists() else 0
    if length >= 0 and got != length:
        raise problem("client_short_file", language=http.language, path=str(target), wanted=length, got=got)
    if _is_sha256(etag) and _sha256(part) != etag.strip('"'):
        part.unlink()
        raise problem("verify_release", language=http.language, what=str(target))
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, target)
    return target


def _take(http: Http, path: str, params: Mapping[str, str], part: Path, etag: str, have: int) -> bool:
    """One transfer into `part`; whether it ended properly. A server that knows no ranges sends everything, and it is taken from the start."""
    headers = {**AS_IS, **({"Range": f"bytes={have}-", "If-Range": etag} if have else {})}
    with http.open("GET", path, params=params, headers=headers, stream=True) as response:
        if response.status_code not in (200, 206):
            raise http.refusal(response)
        goes_on = response.status_code == 206 and response.headers.get("content-range", "").startswith(f"bytes {have}-")
        if response.status_code == 206 and not goes_on:
            raise problem("client_not_yunei", language=http.language, status=206)
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab" if goes_on else "wb") as file:
            try:
                for chunk in response.iter_raw():  # as it comes: a chunk size would hold back, and lose, what came last
                    file.write(chunk)
            except httpx2.TransportError:
                return False
    return True


def _why(http: Http, path: str, params: Mapping[str, str]) -> Exception:
    """HEAD has no body: ask again for the problem."""
    with http.open("GET", path, params=params) as response:
        return http.refusal(response)


def _is_sha256(etag: str) -> bool:
    return re.fullmatch(r'"[0-9a-f]{64}"', etag) is not None


def _glob_safe(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
