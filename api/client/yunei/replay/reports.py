"""Rules of replay: reports issued.

A report is of entries that were there before it; its document, where it is at hand, says the same of itself as its entry, and the money that it
tells of settled periods is what this replay made of the fees. Whether `root` is the tree's at that size is asked after the replay, of the tree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from yunei.replay.book import Book, Event, Rule, acts_as, canonical, require

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


RULES: dict[str, Rule] = {"report_issued": _issued}
