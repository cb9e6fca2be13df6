"""Rules of replay: accounts and charges."""

from __future__ import annotations

from yunei.replay.book import (
    WINDOWS,
    Account,
    Book,
    Charge,
    Contradiction,
    Event,
    Pace,
    Rule,
    amount,
    period,
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


def _pace(book: Book, event: Event, _index: int) -> None:
    account, window = book.accounts.get(event["account"]), event["window"]
    if account is None:
        raise Contradiction(f"account {event['account']} was never opened")
    require(window in WINDOWS, f"no such window: {window}")
    account.paces.pop(window, None)
    if event["cap"] is not None:
        account.paces[window] = Pace(amount(event["cap"]), period(window, event["at"]))
        for charge in book.charges.values():  # what the present period has taken already counts
            if event["account"] in charge.accounts and charge.state != "released":
                account.take(window, charge.day, charge.cost)


def _periods(accounts: tuple[str, ...], kind: str) -> set[str]:
    """The periods whose accounts are named, where budgets are by period: `population:person/month@2026-01`, `dataset:visits@2026-01`."""
    return {name.partition("@")[2] for name in accounts if name.startswith(f"{kind}:") and "@" in name}


def _reserved(book: Book, event: Event, _index: int) -> None:
    charge = Charge(event["job"], amount(event["cost"]), tuple(event["accounts"]), period("day", event["at"]))
    require(event["charge"] not in book.charges, f"charge {event['charge']} is made twice")
    require(charge.accounts and len(set(charge.accounts)) == len(charge.accounts), "a charge names each account once")
    require(_periods(charge.accounts, "population") == _periods(charge.accounts, "dataset"), "a charge names the population of each period")
    for name in charge.accounts:
        account = book.accounts.get(name)
        if account is None:
            raise Contradiction(f"account {name} was never opened")
        account.reserved = plus(account.reserved, charge.cost)
        total = plus(account.spent, account.reserved)
        require(total[0] <= account.cap[0] and total[1] <= account.cap[1], f"account {name} is over its cap")
        for window, pace in account.paces.items():
            account.take(window, charge.day, charge.cost)
            require(pace.used[0] <= pace.cap[0] and pace.used[1] <= pace.cap[1], f"account {name} is over its {window}'s pace")
    book.charges[event["charge"]] = charge


RULES: dict[str, Rule] = {
    "account_opened": _opened,
    "cap_raise_proposed": proposed,
    "cap_raised": _cap,
    "charge_released": lambda book, event, _: (book.move(event["charge"], ("reserved",), "released"), None)[1],
    "charge_reserved": _reserved,
    "pace_set": _pace,
}
