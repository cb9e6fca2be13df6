"""Rules of replay: what leaves."""

from __future__ import annotations

from yunei.replay.book import (
    Book,
    Contradiction,
    Event,
    Meter,
    Rule,
    amount,
    plus,
    require,
)
from yunei.replay.licences import in_force
from yunei.replay.products import handed_out


def _published(book: Book, event: Event, _index: int) -> None:
    charge, cost = book.charges.get(event["charge"]), amount(event["cost"])
    if charge is None or charge.state != "spent" or charge.job != event["job"] or charge.cost != cost:
        raise Contradiction(f"release {event['release']} was not paid for with charge {event['charge']}")
    if event["job"] in book.lane.exact:
        agreed = book.lane.approved.get(event["job"], ("", "", ""))[0] == event["table_sha256"]
        require(agreed, f"exact release {event['release']} was approved by nobody")
    book.step(event["job"], ("staged",), "published")
    require(event["release"] not in book.releases, f"release {event['release']} is published twice")
    require(in_force(book, event["licence"]), f"licence {event['licence']} is not in force")
    book.unfrozen((event["operator"],), event["licence"], charge)
    gone = {name for name, _ in book.taken_back} & {account.removeprefix("dataset:") for account in charge.accounts}
    require(not gone, f"dataset {', '.join(sorted(gone))} was withdrawn")
    book.releases[event["release"]] = event["table_sha256"]
    book.origins[event["release"]] = (event["operator"], event["licence"], charge)
    book.products.add(event["table_sha256"])
    meter = book.meters.setdefault((event["operator"], event["licence"]), Meter())
    meter.releases, meter.rows, meter.bytes = meter.releases + 1, meter.rows + event["rows"], meter.bytes + event["bytes"]
    meter.cost = plus(meter.cost, cost)


def _reused(book: Book, event: Event, _index: int) -> None:
    require(event["release"] in book.releases, f"release {event['release']} was never published")
    operator, licence = book.asked.get(event["job"], ("", ""))
    book.unfrozen((operator,), licence, book.origins[event["release"]][2])
    book.step(event["job"], ("submitted", "attached"), "published")


def _delivered(book: Book, event: Event, _index: int) -> None:
    require(event["release"] in book.releases, f"release {event['release']} was never published")
    parts = (event["release"],) if event.get("product") is None else handed_out(book, event)
    same = event["format"] != "arrow" or event["sha256"] == book.releases[event["release"]]
    require(event.get("product") is not None or same, "the table delivered is not the one published")
    for release in parts:
        operator, licence, charge = book.origins[release]
        require(licence not in book.withdrawn, f"what was made under licence {licence} was withdrawn")
        book.unfrozen((operator, event["recipient"]), licence, charge)
    book.products.add(event["sha256"])


RULES: dict[str, Rule] = {
    "product_delivered": _delivered,
    "release_published": _published,
    "release_reused": _reused,
}
