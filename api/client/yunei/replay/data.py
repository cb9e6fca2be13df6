"""Rules of replay: datasets and versions."""

from __future__ import annotations

from yunei.replay.book import (
    Book,
    Event,
    Rule,
    acts_as,
    proposed,
    require,
    second,
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
    book.withdrawals.add((name, version))


def _master(book: Book, event: Event, _index: int) -> None:
    now = book.masters[-1] if book.masters else event["before"]
    require(event["before"] == now and event["key"] not in {now, *book.masters}, f"master key {event['key']} does not follow {now}")
    book.masters += [event["key"]] if book.masters else [now, event["key"]]


def _master_retired(book: Book, event: Event, _index: int) -> None:
    old = event["key"] in book.masters[:-1] and event["key"] not in book.retired
    require(old, f"master key {event['key']} is the present one, unknown, or retired")
    book.retired.add(event["key"])


def _key(book: Book, event: Event, _index: int) -> None:
    name = event["dataset"].casefold()
    require(name in book.datasets and (name, None) not in book.destroyed, f"dataset {event['dataset']} has no key")
    require(event["generation"] > book.generations.get(name, 1), f"the key of {event['dataset']} goes back to {event['generation']}")
    book.generations[name] = event["generation"]


def _destruction(book: Book, event: Event, index: int) -> None:
    supervisor = book.roles.get(event["by"]) == "supervisor"
    acts_as(book, event, "supervisor" if supervisor else "steward")
    _destroyable(book, event)
    proposed(book, event, index)


def _destroyed(book: Book, event: Event, _index: int) -> None:
    acts_as(book, event, "supervisor")
    second(book, event, {"kind": "destruction_proposed", **{name: event[name] for name in ("dataset", "version")}})
    _destroyable(book, event)
    book.destroyed.add((event["dataset"].casefold(), event["version"]))


def _destroyable(book: Book, event: Event) -> None:
    name, version = event["dataset"].casefold(), event["version"]
    require({(name, None), (name, version)} & book.withdrawals, f"{event['dataset']} is to be destroyed and was not withdrawn")
    require(not {(name, None), (name, version)} & book.destroyed, f"{event['dataset']} was destroyed before")


RULES: dict[str, Rule] = {
    "data_destroyed": _destroyed,
    "dataset_key_rotated": _key,
    "dataset_registered": _dataset,
    "dataset_withdrawn": _withdrawn,
    "destruction_proposed": _destruction,
    "master_key_retired": _master_retired,
    "master_key_rotated": _master,
    "registration_moved": _moved,
    "version_ingested": _version,
}
