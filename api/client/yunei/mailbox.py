"""Notifications by mail: the part of the client that sets an address, confirms it and sees what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from yunei.transport import Http


class Mailboxes:
    """Mixed into `Client`."""

    _http: Http

    def mailbox(self) -> dict[str, Any]:
        """Your address and what it is told of. Raises `request_not_found` when there is none."""
        return dict(self._http.json("GET", "/v1/mailbox"))

    def set_mailbox(self, address: str, topics: Sequence[str]) -> dict[str, Any]:
        """A new address is sent a code, and told nothing until `confirm_mailbox` has it."""
        body = {"address": address, "topics": list(topics)}
        return dict(self._http.json("POST", "/v1/mailbox", body=body, repeat="unsent"))

    def confirm_mailbox(self, code: str) -> dict[str, Any]:
        return dict(self._http.json("POST", "/v1/mailbox/confirm", body={"code": code}))

    def send_mailbox_code(self) -> str:
        """The code once more. Returns the message's id."""
        return str(self._http.json("POST", "/v1/mailbox/code", repeat="unsent")["message"])

    def try_mailbox(self) -> str:
        """A trial. Returns the message's id."""
        return str(self._http.json("POST", "/v1/mailbox/test", repeat="unsent")["message"])

    def close_mailbox(self) -> None:
        self._http.json("POST", "/v1/mailbox/close")

    def mailbox_messages(self) -> list[Mapping[str, Any]]:
        """What was sent, newest first, with every attempt."""
        return list(self._http.json("GET", "/v1/mailbox/messages")["messages"])
