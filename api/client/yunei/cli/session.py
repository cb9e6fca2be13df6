"""What one run of the command line knows: where the server is, and how to speak."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from yunei.words import say

if TYPE_CHECKING:
    from yunei.client import Client

Shape = Literal["table", "json", "csv"]


@dataclass
class Session:
    url: str | None = None
    key: str | None = None
    state: str | None = None
    shape: Shape = "table"  # set by each verb that prints results; problems are told in the same shape

    def reset(self) -> None:
        self.url = self.key = self.state = None
        self.shape = "table"

    def client(self) -> Client:
        from yunei.client import Client

        return Client(self.url, self.key, say.language, state=self.state)

    def state_path(self) -> Path:
        from yunei.config import Config

        return Path(self.state) if self.state else Config.load().state


session = Session()
