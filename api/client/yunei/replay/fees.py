"""Rules of replay: fees and settlements.

Each release and each delivery under a licence with a tariff is charged for by the very next entry, once; each period is closed once, in
order, after its end. Given the licences' documents, every fee, share and settlement is computed again from usage that the log itself
states; without them, sums and order are still held.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from yunei.replay import pricing
from yunei.replay.bill import Made
from yunei.replay.book import BEFORE, ENDS, WATCHES, Book, Contradiction, Event, Rule, amount, require


def before(book: Book, event: Event) -> None:
    """Before each entry: what the one before it owes."""
    bill = book.bill
    if bill.owed is not None:
        release, delivery = bill.owed
        about = (event["kind"], event.get("cause"), event.get("release"), event.get("delivery"))
        if about != ("fee_posted", "release" if delivery is None else "delivery", release, delivery):
            known, tariff = bill.tariff(bill.made[release].licence)
            require(not known or tariff is None, f"{'release' if delivery is None else 'a delivery of'} {release} is not charged for")
            bill.owed = None
    if bill.closing is not None:
        goes_on = event["kind"] in ("fee_posted", "period_closed") and (event["licence"], event["period"]) == bill.closing
        require(goes_on, f"period {bill.closing[1]} of licence {bill.closing[0]} is charged for and not closed")


def at_the_end(book: Book) -> None:
    before(book, {"kind": "end"})


def money(value: Any) -> int:
    return amount({"pico_rho": value, "atto_delta": "0"})[0]


def _version(book: Book, event: Event, _index: int) -> None:
    book.bill.versions.setdefault(event["licence"], []).append((book.at, event["document"]))


def _ended(book: Book, event: Event, _index: int) -> None:
    book.bill.ended[event["licence"]] = book.at


def _submitted(book: Book, event: Event, _index: int) -> None:
    book.bill.scenarios[event["job"]] = event["scenario"]


def _admitted(book: Book, event: Event, _index: int) -> None:
    book.bill.slots[event["job"]] = event["slot_ms"]


def _published(book: Book, event: Event, _index: int) -> None:
    bill, job = book.bill, event["job"]
    names = [account.partition(":") for account in book.charges[event["charge"]].accounts]
    private = frozenset(name.casefold() for kind, _, name in names if kind == "dataset")
    cost = amount(event["cost"])[0]
    usage = pricing.usage_of_release(event["rows"], event["bytes"], bill.slots.pop(job, 0), cost)
    bill.made[event["release"]] = Made(event["licence"], event["operator"], bill.scenarios.pop(job, None), private, usage)
    bill.owed = (event["release"], None)
    book.meters[event["operator"], event["licence"]].compute_ms += usage["compute_second"]  # counted in milliseconds


def _delivered(book: Book, event: Event, index: int) -> None:
    book.bill.owed = (event["release"], index)
    made = book.bill.made[event["release"]]
    book.meters[made.operator, made.licence].deliveries += 1


def _posted(book: Book, event: Event, _index: int) -> None:
    bill = book.bill
    licence, period = event["licence"], event["period"]
    lines = {line["item"]: (line["measure"], money(line["quantity"]), money(line["fen"])) for line in event["lines"]}
    shares = {share["body"]: money(share["fen"]) for share in event["shares"]}
    fen = money(event["fen"])
    require(len(lines) == len(event["lines"]) and len(shares) == len(event["shares"]), "a fee names an item or a body twice")
    require(fen == sum(line[2] for line in lines.values()) == sum(shares.values()), "a fee is not the sum of its lines and of its shares")
    require(not event["free"] or fen == 0, "a free fee is charged")
    require((licence, period) not in bill.carried, f"a fee is posted into period {period}, which is closed")
    if event["cause"] == "term":
        _term(book, event)
    else:
        _for_release(book, event)
    _recomputed(book, event, lines, shares)
    if not event["free"]:
        used = bill.used.setdefault((licence, period, event["tariff"]), {})
        for item, (_, quantity, _) in lines.items():
            used[item] = used.get(item, 0) + quantity
    parts = bill.posted.setdefault((licence, period), {})
    for body, part in shares.items():
        parts[body] = parts.get(body, 0) + part


def _for_release(book: Book, event: Event) -> None:
    bill = book.bill
    require(bill.owed == (event["release"], event["delivery"]), f"release {event['release']} is charged for twice, or out of place")
    bill.owed = None
    made = bill.made[event["release"]]
    require(
        (event["licence"], event["operator"], event["scenario"]) == (made.licence, made.operator, made.scenario), "a fee is somebody else's"
    )
    require(made.private <= {name.casefold() for name in event["datasets"]}, "a fee leaves out a dataset that was used")
    require(event["period"] == pricing.period_at(pricing.kind_of(event["period"]), book.at), "a fee is posted into another period")
    require(event["licence_document"] == bill.version(event["licence"]), "a fee is not under the present version of its licence")


def _term(book: Book, event: Event) -> None:
    bill, key = book.bill, (event["licence"], event["period"])
    require(book.at >= pricing.bounds(event["period"])[1], "months are charged for before their period is over")
    charged = bill.months.setdefault(key, {})
    require(event["tariff"] not in charged, f"the months of period {event['period']} are charged for twice")
    charged[event["tariff"]] = sum(money(line["quantity"]) for line in event["lines"])
    held = {bill.version(event["licence"], pricing.bounds(month)[1]) for month in pricing.months_of(event["period"])}
    require(event["licence_document"] in held, "a fee is under a version of the licence that did not hold")
    bill.closing = key


def _recomputed(book: Book, event: Event, lines: pricing.Lines, shares: Mapping[str, int]) -> None:
    """The whole fee once more, from the licence's document."""
    bill = book.bill
    content = bill.licence(event["licence_document"])
    if content is None:
        bill.unpriced += 1
        return
    tariff = content["tariff"]
    if tariff is None or pricing.digest_of(tariff) != event["tariff"]:
        raise Contradiction("a fee is under another tariff than the licence's")
    require(pricing.kind_of(event["period"]) == tariff["period"], "a fee is posted into a period of another length")
    require(event["operator"] == content["operator"], "a fee is charged to another operator")
    usage = {"month": sum(quantity for _, quantity, _ in lines.values())}
    if event["cause"] != "term":
        usage = {"call": 1} if event["cause"] == "delivery" else dict(bill.made[event["release"]].usage)
    before = bill.used.get((event["licence"], event["period"], event["tariff"]), {})
    expected = pricing.lines_of(tariff, usage, event["scenario"], before)
    require(lines == expected, f"the fee for {event['release'] or event['period']} is not what the tariff says")
    require(event["free"] == pricing.is_free(tariff, event["scenario"]), "a fee is free that is not, or the reverse")
    due = pricing.shares_of(tariff, sum(fen for _, _, fen in expected.values()), event["datasets"])
    require(dict(shares) == due, f"the shares in the fee for {event['release'] or event['period']} are not what the tariff says")
    bill.computed += 1


def _closed(book: Book, event: Event, _index: int) -> None:
    bill, licence, period = book.bill, event["licence"], event["period"]
    key = (licence, period)
    require(key not in bill.carried, f"period {period} of licence {licence} is closed twice")
    require(book.at >= pricing.bounds(period)[1], f"period {period} is closed before it is over")
    before = bill.carried.get((licence, pricing.stepped(period, -1)))
    first = not any(name == licence for name, _ in bill.carried)
    require(before is not None or first, f"the period before {period} of licence {licence} is not closed")
    _months_due(book, licence, period, first)
    allowed = None if event["allowed"] is None else money(event["allowed"])
    known, tariff = bill.tariff(licence, pricing.bounds(period)[1])
    require(not known or allowed == pricing.allowed_fen(tariff), f"the revenue allowed in {period} is not what the tariff says")
    posted, brought = bill.posted.get(key, {}), before or {}
    parts = pricing.settled(posted, brought, allowed)
    told = {share["body"]: (money(share["payable"]), money(share["carried"])) for share in event["shares"]}
    sums = (sum(posted.values()), sum(brought.values()), sum(each[0] for each in parts.values()), sum(each[1] for each in parts.values()))
    require(sums == tuple(money(event[name]) for name in ("posted", "brought", "payable", "carried")), f"period {period} does not add up")
    require(told == parts, f"the shares of period {period} are not by the fees in it")
    bill.carried[key] = {body: carried for body, (_, carried) in parts.items()}
    for body, (payable, _) in parts.items():
        bill.revenue[licence, body] = bill.revenue.get((licence, body), 0) + payable
    bill.closing = None


def _months_due(book: Book, licence: str, period: str, first: bool) -> None:
    """Every month begun under a tariff with a monthly price was charged for, and no other; no period was passed over."""
    bill = book.bill
    contents = [(at, bill.licence(digest)) for at, digest in bill.versions.get(licence, [])]
    if any(content is None for _, content in contents):
        return
    begun = next((pricing.period_at(content["tariff"]["period"], at) for at, content in contents if content and content["tariff"]), None)
    require(begun is not None and (not first or period == begun), f"period {period} of licence {licence} is not its first")
    due: dict[str, int] = {}
    for month in pricing.months_of(period):
        start, end = pricing.bounds(month)
        content = next((content for at, content in reversed(contents) if at < end), None)
        if content is None or content["tariff"] is None or not _held_in(content, start, end, bill.ended.get(licence)):
            continue
        if any(item["measure"] == "month" for item in content["tariff"]["items"]):
            digest = pricing.digest_of(content["tariff"])
            due[digest] = due.get(digest, 0) + 1
    require(bill.months.get((licence, period), {}) == due, f"the months of period {period} are not charged for as they were begun")


def _held_in(content: Mapping[str, Any], start: str, end: str, ended: str | None) -> bool:
    since, until = (pricing.text_of(datetime.fromisoformat(content[name])) for name in ("valid_from", "valid_until"))
    return since < end and until > start and (ended is None or ended > start)


RULES: dict[str, Rule] = {"fee_posted": _posted, "period_closed": _closed}
OWN_WATCHES: dict[str, Rule] = {
    "job_admitted": _admitted,
    "job_submitted": _submitted,
    "licence_amended": _version,
    "licence_expired": _ended,
    "licence_granted": _version,
    "licence_revoked": _ended,
    "product_delivered": _delivered,
    "release_published": _published,
}
WATCHES.update(OWN_WATCHES)
BEFORE.append(before)
ENDS.append(at_the_end)
