"""Eras of a vault: each destruction begins another one, and who keeps decrypted rows keeps them within one era only.

The number lies in the home, beside the keys that were destroyed: `destructions.count`. It is odd while a destruction is under way, so that one
that broke off is seen and taken up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.files import replace

FILE = "destructions.count"  # no dataset can be called that


class Eras:
    """Of the vault in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    def now(self) -> int:
        """0 where nothing was ever destroyed; it never falls. OSError, ValueError when it cannot be told."""
        try:
            return int(self._path.read_bytes())
        except FileNotFoundError:
            return 0

    @property
    def under_way(self) -> bool:
        """Whether a destruction goes on just now, or broke off."""
        return self.now() % 2 == 1

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Round a destruction, under the keys' lock alone. Another number before anything is destroyed, and another again when all is: what
        was read in between is not kept either."""
        began = self.now() | 1
        replace(self._path, b"%d\n" % began)
        yield
        replace(self._path, b"%d\n" % (began + 1))
