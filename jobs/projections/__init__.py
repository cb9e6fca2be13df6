"""How each event changes the tables: one function per kind, applied when the event is appended and again whenever it is replayed.

A projection reads nothing but the event and the tables before it, so replaying the log into empty tables gives the same rows, byte for
byte. An event that does not fit (an account without room, a job in another state) raises `DoesNotFit`, and its transaction never happened.
"""

from __future__ import annotations

from jobs.projections import alerts, authority, data, fees, ledger, licences, people, products, programs, releases, reports, reviews, work
from jobs.projections.table import PROJECTED, project
from jobs.rows import DoesNotFit

# each fills the table when it is imported
TOPICS = (people, data, licences, ledger, work, releases, authority, programs, fees, products, reviews, alerts, reports)

__all__ = ["PROJECTED", "TOPICS", "DoesNotFit", "project"]
