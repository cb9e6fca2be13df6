"""What administrators and supervisors do about people, and everybody about their own keys and sessions. Answers are the server's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from yunei.problem import problem
from yunei.transport import Http

Data = Mapping[str, Any]


def _part(text: str) -> str:
    return quote(text, safe="") if text not in (".", "..") else "%2E" * len(text)


class People:
    """Had as `client.people`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    # --- keys -----------------------------------------------------------------------------------------------------------------------

    def keys(self) -> list[Data]:
        """One's own, or all for those who may see all: prefixes, never secrets."""
        return self._list("/v1/keys", "keys")

    def issue_key(
        self, principal: str, *, scopes: Sequence[str] = (), expires_at: str | None = None, certificate_sha256: str | None = None
    ) -> Data:
        """`secret` is shown this once."""
        body = {"principal": principal, "scopes": list(scopes) or None, "expires_at": expires_at, "certificate_sha256": certificate_sha256}
        return self._one("POST", "/v1/keys", body)

    def rotate_key(self, prefix: str, *, overlap_hours: int | None = None) -> Data:
        """A key of one's own with the same terms; the old one works for `overlap_hours` more (None: the server's usual time)."""
        return self._one("POST", f"/v1/keys/{_part(prefix)}/rotate", {"overlap_hours": overlap_hours}, key_itself=True)

    def revoke_key(self, prefix: str, reason: str) -> Data:
        return self._one("POST", f"/v1/keys/{_part(prefix)}/revoke", {"reason": reason})

    # --- principals -----------------------------------------------------------------------------------------------------------------

    def principals(self) -> list[Data]:
        return self._list("/v1/principals", "principals")

    def principal(self, id_: str) -> Data:
        return self._one("GET", f"/v1/principals/{_part(id_)}")

    def register(self, id_: str, role: str, *, title_zh: str, title_en: str) -> Data:
        return self._one("POST", "/v1/principals", {"id": id_, "role": role, "title": {"zh": title_zh, "en": title_en}})

    def suspend(self, id_: str, reason: str) -> Data:
        return self._one("POST", f"/v1/principals/{_part(id_)}/suspend", {"reason": reason})

    def resume(self, id_: str, reason: str) -> Data:
        return self._one("POST", f"/v1/principals/{_part(id_)}/resume", {"reason": reason})

    def close(self, id_: str, reason: str) -> Data:
        return self._one("POST", f"/v1/principals/{_part(id_)}/close", {"reason": reason})

    def link(self, id_: str, *, subject: str | None = None, digest: str | None = None) -> Data:
        """Who signs in as `subject` (or the subject whose digest was shown at sign-in) is this principal."""
        return self._one("POST", f"/v1/principals/{_part(id_)}/subjects", {"subject": subject, "subject_digest": digest})

    def unlink(self, id_: str, digest: str, reason: str) -> Data:
        return self._one("POST", f"/v1/principals/{_part(id_)}/subjects/{_part(digest)}/unlink", {"reason": reason})

    # --- appointments ---------------------------------------------------------------------------------------------------------------

    def appointments(self) -> list[Data]:
        return self._list("/v1/appointments", "appointments")

    def propose(self, act: str, principal: str, **fields: Any) -> Data:
        """The first of two: an administrator. `proposal` in the answer is what the second one names."""
        return self._one("POST", "/v1/appointments", {"act": act, "principal": principal, **fields})

    def confirm(self, proposal: int) -> Data:
        """The second of two: a supervisor. `secret` is the new key, if it was one."""
        return self._one("POST", f"/v1/appointments/{proposal}/confirm")

    # --- sessions -------------------------------------------------------------------------------------------------------------------

    def sessions(self) -> list[Data]:
        return self._list("/v1/sessions", "sessions")

    def close_session(self, id_: str, reason: str) -> None:
        self._http.json("POST", f"/v1/sessions/{_part(id_)}/close", body={"reason": reason}, repeat="unsent")

    def sign_out(self) -> None:
        """End the session that this client's key is."""
        self._http.json("POST", "/v1/sign-out", repeat="unsent", key_itself=True)

    def refusals(self) -> list[Data]:
        return self._list("/v1/refusals", "refusals")

    def _one(self, method: str, path: str, body: object = None, *, key_itself: bool = False) -> Data:
        found = self._http.json(method, path, body=body, repeat="safe" if method == "GET" else "unsent", key_itself=key_itself)
        if not isinstance(found, dict):
            raise problem("client_not_yunei", language=self._http.language, status=200)
        return found

    def _list(self, path: str, name: str) -> list[Data]:
        found = self._http.json("GET", path)
        rows = found.get(name) if isinstance(found, dict) else None
        if not isinstance(rows, list):
            raise problem("client_not_yunei", language=self._http.language, status=200)
        return rows
