"""Rules of replay: datasets and versions."""

from __future__ import annotations

from yunei.replay.book import (
    Book,
    Event,
    Rule,
    require,
)

REGISTRATIONS = ("applied", "accepted", "checked", "published", "coded")


def _dataset(book: Book, event: Event, _index: int) -> None:
    require(event["dataset"].casefold() not in book.datasets, f"dataset {event['dataset']} is registered twice")
    book.datasets[event["dataset"].casefold()] = 0
    book.registrations[event["dataset"].casefold()] = event["registration"]


def _moved(book: Book, event: Event, _index: int) -> None:
    now, to = book.registrations.get(event["dataset"].casefold()), event["to"]
    follows = now in REGISTRATIONS and to in REGISTRATIONS and REGISTRATIONS.index(to) == REGISTRATIONS.index(now) + 1
    require(follows, f"the registration of {event['dataset']} is {now} and cannot become {to}")
    book.registrations[event["dataset"].casefold()] = to


def _version(book: Book, event: Event, _index: int) -> None:
    name = event["dataset"].casefold()
    now = book.datasets.get(name)
    require(now is not None and event["version"] > now, f"version {event['version']} of {event['dataset']} does not follow {now}")
    require((name, None) not in book.taken_back, f"dataset {event['dataset']} was withdrawn")
    book.datasets[name] = event["version"]
    book.taken_back.discard((name, now))


def _withdrawn(book: Book, event: Event, _index: int) -> None:
    name, version = event["dataset"].casefold(), event["version"]
    require(name in book.datasets, f"dataset {event['dataset']} is not registered")
    require((name, version) not in book.taken_back, f"dataset {event['dataset']} is withdrawn twice")
    if version is None or version == book.datasets[name]:
        book.taken_back.add((name, version))


RULES: dict[str, Rule] = {
    "dataset_registered": _dataset,
    "dataset_withdrawn": _withdrawn,
    "registration_moved": _moved,
    "version_ingested": _version,
}
