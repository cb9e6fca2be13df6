"""Rules of replay: data products.

A version is made of releases of the product's own operator under one licence, with the columns that its versions have; whoever makes a product
does not register it. It is delivered to builders that are entitled to it, while it and the version stand.
"""

from __future__ import annotations

from yunei.replay.book import Book, Contradiction, Event, Product, Rule, Schedule, acts_as, proposed, require, second

GROWING = ("draft", "registered", "published")
SERVED = ("published", "deprecated")


def _known(book: Book, event: Event, *states: str) -> Product:
    product = book.products_made.get(event["product"])
    if product is None or product.state not in states:
        raise Contradiction(f"product {event['product']} is {'unknown' if product is None else product.state}")
    return product


def _acts(book: Book, event: Event, product: Product, *, supervisors: bool = True) -> None:
    """Its operator, or one who supervises."""
    by = event["by"]
    fits = by == "system" or (by == product.operator and book.people.get(by) == "active")
    require(fits or (supervisors and book.people.get(by) == "active" and book.roles.get(by) == "supervisor"), f"{by} has no say in the product")


def _drafted(book: Book, event: Event, _index: int) -> None:
    acts_as(book, event, "operator")
    require(event["product"] not in book.products_made, f"product {event['product']} is drafted twice")
    require(event["operator"] == event["by"], "a product is drafted for somebody else")
    book.products_made[event["product"]] = Product(event["operator"], event["document"])


def _described(book: Book, event: Event, _index: int) -> None:
    acts_as(book, event, "operator")
    product = _known(book, event, "draft")
    require(event["by"] == product.operator, f"product {event['product']} is described by somebody else")
    product.document = event["document"]


def _version_added(book: Book, event: Event, _index: int) -> None:
    product = _known(book, event, *GROWING)
    _acts(book, event, product, supervisors=False)
    require(event["version"] == product.added + 1, f"version {event['version']} of product {event['product']} does not follow")
    require(product.columns in (None, event["columns"]), f"version {event['version']} of product {event['product']} has other columns")
    releases = tuple(event["releases"])
    require(releases and len(set(releases)) == len(releases), "a version holds a release twice")
    origins = [book.origins.get(release) for release in releases]
    made = {(origin[0], origin[1]) for origin in origins if origin is not None}
    require(None not in origins and len(made) == 1, "a version is of releases that were not published, or under several licences")
    operator, licence = next(iter(made))
    require(operator == product.operator, "a version is made of another operator's releases")
    require(licence not in book.withdrawn, f"what was made under licence {licence} was withdrawn")
    if len(releases) == 1:
        require(event["table_sha256"] == book.releases[releases[0]], "a version of one release is another table than was released")
    for origin in origins:
        if origin is not None:
            book.unfrozen((operator,), licence, origin[2])
    product.added, product.columns = event["version"], event["columns"]
    product.versions[event["version"]], product.digests[event["version"]] = releases, event["table_sha256"]
    product.licences[event["version"]] = licence


def _registered(book: Book, event: Event, _index: int) -> None:
    acts_as(book, event, "supervisor", system=True)
    product = _known(book, event, "draft")
    require(product.versions, f"product {event['product']} is registered without a version")
    require(event["document"] == product.document, f"product {event['product']} is registered under another description")
    require(event["code"] not in book.product_codes, f"code {event['code']} is given twice")
    if event["proposal"] is not None:
        second(book, event, {"kind": "product_registration_proposed", "product": event["product"], "document": event["document"]})
    book.product_codes.add(event["code"])
    product.state = "registered"


def _published(book: Book, event: Event, _index: int) -> None:
    product = _known(book, event, "registered")
    _acts(book, event, product, supervisors=False)
    product.state = "published"


def _entitled(book: Book, event: Event, _index: int) -> None:
    product = _known(book, event, "registered", "published")
    _acts(book, event, product)
    require(book.roles.get(event["builder"]) == "builder", f"{event['builder']} is no builder")
    product.entitled[event["builder"]] = event["until"]


def _entitlement_ended(book: Book, event: Event, _index: int) -> None:
    product = _known(book, event, "registered", "published", "deprecated")
    _acts(book, event, product)
    require(event["builder"] in product.entitled, f"{event['builder']} is not entitled to product {event['product']}")
    del product.entitled[event["builder"]]


def _deprecated(book: Book, event: Event, _index: int) -> None:
    product = _known(book, event, "published")
    _acts(book, event, product)
    product.state = "deprecated"


def _recalled(book: Book, event: Event, _index: int) -> None:
    if event["version"] is None:
        product = _known(book, event, "registered", "published", "deprecated")
        product.state = "recalled"
        product.versions.clear()
    else:
        product = _known(book, event, *GROWING, "deprecated")
        require(event["version"] in product.versions, f"version {event['version']} of product {event['product']} does not stand")
        del product.versions[event["version"]]
    _acts(book, event, product)


def _schedule_set(book: Book, event: Event, _index: int) -> None:
    product = _known(book, event, *GROWING)
    require(event["by"] == product.operator == book.operators.get(event["licence"]), "a schedule is not by its operator, under its licence")
    require(event["schedule"] not in book.schedules, f"schedule {event['schedule']} is set twice")
    book.schedules[event["schedule"]] = Schedule(product.operator, event["licence"], event["releases_at_most"])


def _running_set(book: Book, event: Event, _index: int) -> None:
    """Of a schedule that has not run; one release for each period that is not done. It goes on with the releases of one that was stopped,
    when that totals the same in the same way."""
    schedule = _active(book, event)
    require(event["by"] == schedule.operator, f"schedule {event['schedule']} is another's")
    require(not schedule.ran and schedule.running is None, f"what schedule {event['schedule']} totals is set too late")
    require(schedule.at_most == event["periods"] - event["done"], f"schedule {event['schedule']} has not one release a period")
    totals = tuple(str(event[name]) for name in ("dataset", "step", "first", "way"))
    if event["after"] is None:
        require(event["done"] == 0, f"schedule {event['schedule']} goes on with what nobody has done")
    else:
        earlier = book.schedules.get(event["after"])
        require(
            earlier is not None
            and not earlier.active
            and (earlier.operator, earlier.licence, earlier.running) == (schedule.operator, schedule.licence, totals)
            and 0 < event["done"] <= earlier.done + len(earlier.ran),
            f"schedule {event['schedule']} goes on with another than it may",
        )
    schedule.running, schedule.done = totals, event["done"]


def _active(book: Book, event: Event) -> Schedule:
    schedule = book.schedules.get(event["schedule"])
    if schedule is None or not schedule.active:
        raise Contradiction(f"schedule {event['schedule']} is {'unknown' if schedule is None else 'stopped'}")
    return schedule


def _schedule_ran(book: Book, event: Event, _index: int) -> None:
    schedule = _active(book, event)
    require(event["snapshots"] not in schedule.ran, f"schedule {event['schedule']} runs twice on the same data")
    require(len(schedule.ran) < schedule.at_most, f"schedule {event['schedule']} runs more often than it may")
    whose = (schedule.operator, schedule.licence)
    require(event["job"] in book.jobs and book.asked.get(event["job"], whose) == whose, f"job {event['job']} is another's")
    schedule.ran.add(event["snapshots"])


def _schedule_stopped(book: Book, event: Event, _index: int) -> None:
    _active(book, event).active = False


def handed_out(book: Book, event: Event) -> tuple[str, ...]:
    """The releases in a version that is delivered: it stands, and its recipient is entitled."""
    product = _known(book, event, *SERVED)
    parts = product.versions.get(event["version"])
    require(parts is not None, f"version {event['version']} of product {event['product']} does not stand")
    require(parts and parts[-1] == event["release"], f"release {event['release']} is not the newest part of what is delivered")
    require(event["recipient"] in product.entitled, f"{event['recipient']} is not entitled to product {event['product']}")
    until = product.entitled[event["recipient"]]
    require(until is None or book.at < until, f"the entitlement of {event['recipient']} to product {event['product']} is over")
    return parts or ()


def _traced(book: Book, event: Event, _index: int) -> None:
    """A supervisor's act over a version there was, recalled since or not; who is accused was delivered it or might have been."""
    acts_as(book, event, "supervisor")
    product = book.products_made.get(event["product"])
    require(product is not None and 1 <= event["version"] <= product.added, f"product {event['product']} has no version {event['version']}")
    require(len(event["accused"]) == len(event["exponents"]) <= event["asked"], "a trace accuses others than it asked about")
    require(event["found"] <= event["rows"], "a trace finds more rows than the file has")


RULES: dict[str, Rule] = {
    "product_deprecated": _deprecated,
    "product_described": _described,
    "product_drafted": _drafted,
    "product_entitled": _entitled,
    "product_entitlement_ended": _entitlement_ended,
    "product_published": _published,
    "product_recalled": _recalled,
    "product_registered": _registered,
    "product_registration_proposed": proposed,
    "product_traced": _traced,
    "product_version_added": _version_added,
    "running_set": _running_set,
    "schedule_ran": _schedule_ran,
    "schedule_set": _schedule_set,
    "schedule_stopped": _schedule_stopped,
}
