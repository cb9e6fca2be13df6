"""Rules of replay: reports issued, and the orders the server issues them by: of each period once, in order, when it is over.

A report is of entries that were there before it; its document, where it is at hand, says the same of itself as its entry, and the money that it
tells of settled periods is what this replay made of the fees. Whether `root` is the tree's at that size is asked after the replay, of the tree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from yunei.replay import pricing
from yunei.replay.book import Book, Event, ReportOrder, Rule, acts_as, canonical, require

FORMS = ("html", "pdf", "csv", "json")


def _issued(book: Book, event: Event, index: int) -> None:
    acts_as(book, event, "supervisor", system=True)
    name = f"report {event['report']}"
    require(event["report"] not in book.reports, f"{name} is issued twice")
    require(1 <= event["size"] <= index, f"{name} is of more entries than there were")
    files = {(file["form"], file["language"]): file["sha256"] for file in event["files"]}
    once = len(files) == len(event["files"]) and all(form in FORMS for form, _ in files)
    require(once, f"{name} names a file twice, or one of no known form")
    require(files.get(("json", None)) == event["document"], f"{name} does not name its document among its files")
    require(event["vkeys"], f"{name} is under no key")
    subject = event["subject"]
    if subject is not None:
        known = subject in book.licences if event["report_kind"] == "filing" else book.roles.get(subject) == "operator"
        require(known, f"{name} is about {subject}, which is not there")
    body = book.bill.document(event["document"])
    if body is not None:
        require(hashlib.sha256(body).hexdigest() == event["document"], f"the document of {name} is not the one the log names")
        _held(book, event, json.loads(body), body)
    book.reports[event["report"]] = (index, event["size"], event["root"])
    book.report_told = (index, event["report"], event["report_kind"], event["period"], subject)


def _held(book: Book, event: Event, told: Mapping[str, Any], body: bytes) -> None:
    """The document against its entry, and its settled money against the fees replayed so far: of a settled period nothing is posted later."""
    name = f"report {event['report']}"
    require(canonical(told) == body, f"the document of {name} is not canonical")
    said = (told["kind"], told["period"], told["subject"], told["size"], told["root"])
    wanted = (event["report_kind"], event["period"], event["subject"], event["size"], event["root"])
    require(said == wanted, f"the document of {name} is of another report")
    for table in (table for section in told["sections"] for table in section["tables"] if table["name"] == "statements"):
        place = {column["name"]: number for number, column in enumerate(table["columns"])}
        for row in table["rows"]:
            if row[place["state"]]["en"] == "closed":
                key = row[place["licence"]], row[place["period"]]
                for column, sums in (("posted", book.bill.posted.get(key, {})), ("carried", book.bill.carried.get(key))):
                    require(sums is not None, f"{name} tells of period {key[1]} of licence {key[0]} as closed, which it is not")
                    right = int(row[place[column]]) == sum((sums or {}).values())
                    require(right, f"{name} tells of another sum {column} for period {key[1]} of licence {key[0]}")


def _ordered(book: Book, event: Event, _index: int) -> None:
    acts_as(book, event, "supervisor", system=True)
    name = f"report order {event['order']}"
    require(event["order"] not in book.report_orders, f"{name} is given twice")
    require(event["subject"] is None or book.roles.get(event["subject"]) == "operator", f"{name} is about nobody")
    require(event["first"] == pricing.period_at(event["every"], book.at), f"{name} does not begin with the period it was given in")
    told = (event["report_kind"], event["every"], event["subject"])
    same = [each for each in book.report_orders.values() if each.open and (each.kind, each.every, each.subject) == told]
    require(not same, f"{name} is given already")
    book.report_orders[event["order"]] = ReportOrder(*told, event["first"])


def _kept(book: Book, event: Event, index: int) -> None:
    order, name = book.report_orders.get(event["order"]), f"report order {event['order']}"
    require(event["by"] == "system", f"{name} is kept by somebody")
    require(order is not None and order.open, f"{name} is not in force")
    assert order is not None
    require(event["period"] == order.next, f"{name} is kept for {event['period']}, not for its next period")
    require(pricing.bounds(order.next)[1] <= book.at, f"{name} is kept for a period that is not over")
    told = (index - 1, event["report"], order.kind, order.next, order.subject)
    require(book.report_told == told, f"{name} is kept by another report")
    order.next = pricing.stepped(order.next, 1)


def _ended(book: Book, event: Event, _index: int) -> None:
    acts_as(book, event, "supervisor", system=True)
    order = book.report_orders.get(event["order"])
    require(order is not None and order.open, f"report order {event['order']} is not in force")
    assert order is not None
    order.open = False


RULES: dict[str, Rule] = {"report_issued": _issued, "report_ordered": _ordered, "report_order_kept": _kept, "report_order_ended": _ended}
