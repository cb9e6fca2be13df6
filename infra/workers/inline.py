"""The interface of workers in this process: for tests and small tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from infra.workers.errors import ANYWHERE, Terms, WorkersError

Item = TypeVar("Item")
Result = TypeVar("Result")


class InlineWorkers:
    """One worker, this process. It has no limits: what a function takes, it takes from the caller."""

    def __init__(self, memory_bytes: int = 512 * 2**20) -> None:
        self.size = 1
        self.memory_bytes = memory_bytes

    @property
    def there(self) -> bool:
        """This process is."""
        return True

    def place_of(self, datasets: Iterable[str]) -> str | None:
        """All data is here."""
        return None

    def present(self, datasets: Iterable[str]) -> bool:
        """And this process is here."""
        return True

    def stream(self, fn: Callable[[Item], Result], items: Iterable[Item], terms: Terms = ANYWHERE) -> Iterator[Result]:
        for item in items:
            ok, result = attempt(fn, item)
            if not ok:
                raise WorkersError("task_failed")
            yield result

    def map(self, fn: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        return list(self.stream(fn, items))

    def close(self) -> None:
        """Nothing to close."""


def attempt(fn: Callable[[Item], Result], item: Item) -> tuple[bool, Any]:
    """What `fn` gives, or that it failed. What it raises stops here: it would be printed and written into logs, and may quote data."""
    try:
        return True, fn(item)
    except Exception:
        return False, None
