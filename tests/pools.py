"""A pool of workers without Ray: what every stand-in for one answers, and the one thing each does its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from infra.workers.errors import ANYWHERE, Terms

Item = TypeVar("Item")
Result = TypeVar("Result")


class Pool:
    """Items one after the other, each on worker `index % size`; `once` is what happens to one. Counts its calls."""

    def __init__(self, size: int = 1, memory_bytes: int = 1) -> None:
        self.size, self.memory_bytes = size, memory_bytes
        self.calls = 0

    def once(self, worker: int, fn: Callable[[Any], Any], item: Any) -> Any:
        return fn(item)

    def place_of(self, datasets: Iterable[str]) -> None:
        return None

    def present(self, datasets: Iterable[str]) -> bool:
        return True

    def stream(self, fn: Callable[[Item], Result], items: Iterable[Item], terms: Terms = ANYWHERE) -> Iterator[Result]:
        for index, item in enumerate(items):
            self.calls += 1
            yield self.once(index % self.size, fn, item)
