"""Telling those who asked, by signed webhooks, of what the log says: the log is the outbox, so that nothing is told that did not happen and
nothing that happened is forgotten.

`topics` says which entries are told, to whom, in which words; a further kind of entry (an alert) is one more row there. `hooks` keeps who wants
to be told; `dispatch` reads the log on, sends, and tries again.
"""

from __future__ import annotations

from jobs.webhooks.dispatch import Dispatcher as Dispatcher
from jobs.webhooks.hooks import Hook as Hook
from jobs.webhooks.topics import TOPICS as TOPICS
