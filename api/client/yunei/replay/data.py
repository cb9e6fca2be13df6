"""Rules of replay: datasets and versions."""

from __future__ import annotations

from yunei.replay.book import (
    Book,
    Event,
    Rule,
    require,
)


def _dataset(book: Book, event: Event, _index: int) -> None:
    require(event["dataset"].casefold() not in book.datasets, f"dataset {event['dataset']} is registered twice")
    book.datasets[event["dataset"].casefold()] = 0


def _version(book: Book, event: Event, _index: int) -> None:
    now = book.datasets.get(event["dataset"].casefold())
    require(now is not None and event["version"] > now, f"version {event['version']} of {event['dataset']} does not follow {now}")
    book.datasets[event["dataset"].casefold()] = event["version"]


RULES: dict[str, Rule] = {
    "dataset_registered": _dataset,
    "version_ingested": _version,
}
