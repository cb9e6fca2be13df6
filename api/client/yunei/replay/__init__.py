"""A log's events played again, from their JSON alone: every account, charge, release and meter reading recomputed.

Written for an auditor, apart from the server and sharing none of its code: what the log says must make sense by the rules below, whoever
wrote it. The first entry that does not raises `verify_replay`, with its index and what is wrong. Only the standard library is needed.

Rules. Time does not run backwards; an entry has one spelling (RFC 8785). An account is opened once, its cap only rises, and by two people.
A charge fits every account it names, all or none, and spent + reserved never exceeds a cap. Before the first row is read a charge may be
given back; afterwards it is spent or forfeited. Nothing is published that was not spent: one charge, one release, one meter reading, of the
same loss. What is delivered was published; of a product, to whom it is
entitled, while it stands. Nothing leaves while it is frozen, one freezes and two thaw, two
change the policy, and two who are not its author approve a program. An exact table leaves only when two
reviewers on duty, neither its author, voted to release it, or while a standing approval of two covers it. What leaves under a tariff is
charged for at once, once, and as the tariff says; periods are closed in order and add up. Licences, people and keys are in a state for what
is done under them. Of one thing there is one alert that stands: the server raises it, a supervisor answers for it.
A report is of entries that were there before it, under the root of their tree, and tells settled money as the fees add up.
"""

from __future__ import annotations

from yunei.replay import alerts, authority, data, fees, ledger, licences, people, products, programs, releases, reports, reviews, work
from yunei.replay.book import RULES as RULES
from yunei.replay.book import Account as Account
from yunei.replay.book import Book as Book
from yunei.replay.book import Charge as Charge
from yunei.replay.book import Contradiction as Contradiction
from yunei.replay.book import Event as Event
from yunei.replay.book import Meter as Meter
from yunei.replay.book import Rule as Rule

TOPICS = (people, data, licences, ledger, work, releases, authority, programs, fees, reviews, products, alerts, reports)
for topic in TOPICS:
    RULES.update(topic.RULES)
