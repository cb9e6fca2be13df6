"""Rules of replay: accounts and charges."""

from __future__ import annotations

from yunei.replay.book import (
    Account,
    Book,
    Charge,
    Contradiction,
    Event,
    Rule,
    amount,
    plus,
    proposed,
    require,
    second,
)


def _opened(book: Book, event: Event, _index: int) -> None:
    name = event["account"]
    require(name not in book.accounts, f"account {name} is opened twice")
    require(name.partition(":")[0] == event["account_kind"], f"account {name} is of another kind")
    book.accounts[name] = Account(amount(event["cap"]))


def _cap(book: Book, event: Event, _index: int) -> None:
    second(book, event, {"kind": "cap_raise_proposed", "account": event["account"], "cap": event["cap"]})
    account, cap = book.accounts.get(event["account"]), amount(event["cap"])
    if account is None or cap == account.cap or cap[0] < account.cap[0] or cap[1] < account.cap[1]:
        raise Contradiction(f"the cap of {event['account']} is not raised")
    account.cap = cap


def _reserved(book: Book, event: Event, _index: int) -> None:
    charge = Charge(event["job"], amount(event["cost"]), tuple(event["accounts"]))
    require(event["charge"] not in book.charges, f"charge {event['charge']} is made twice")
    require(charge.accounts and len(set(charge.accounts)) == len(charge.accounts), "a charge names each account once")
    for name in charge.accounts:
        account = book.accounts.get(name)
        if account is None:
            raise Contradiction(f"account {name} was never opened")
        account.reserved = plus(account.reserved, charge.cost)
        total = plus(account.spent, account.reserved)
        require(total[0] <= account.cap[0] and total[1] <= account.cap[1], f"account {name} is over its cap")
    book.charges[event["charge"]] = charge


RULES: dict[str, Rule] = {
    "account_opened": _opened,
    "cap_raise_proposed": proposed,
    "cap_raised": _cap,
    "charge_released": lambda book, event, _: (book.move(event["charge"], ("reserved",), "released"), None)[1],
    "charge_reserved": _reserved,
}
