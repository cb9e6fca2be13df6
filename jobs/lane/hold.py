"""The last hops of an exact job: counted, sealed, held. `docs/walk.md` goes through them as the second lane.

Whatever the data, an operator sees the same: a job that runs until its public slot and is `held` from there on. Rules look at the table
later, when nobody waits: how long they take, and what they find, depends on the data.
"""

from __future__ import annotations

from typing import Any

from jobs import events as ev
from jobs import hops, verdicts
from jobs.lane import sealed
from jobs.lane.packs import adopted
from jobs.office import SYSTEM, Office
from jobs.order import Admitted
from sandbox.plan.exact_model import ExactPlan


def hold(office: Office, job: Admitted[Any]) -> None:
    """From admission to `held`. A crash may happen on any line: totals are the same when counted again, and what was sealed stays."""
    if sealed.find(office, job.id) is None:
        hops.begin_reading(office, job)  # H1: as hop 7
        with hops.constant_failure(office, job):
            counted = hops.totals(office, job)  # H2: shards on workers, partials added up in whole numbers
        hops.spend(office, job)  # H2: at a public instant; the charge is nothing, and names every account
        with hops.constant_failure(office, job):
            sealed.seal(office, job.id, counted)  # H3: encrypted under the home's keys, in the table's own padded size
    _held(office, job)


def _held(office: Office, job: Admitted[ExactPlan]) -> None:
    """At the public slot: licence and data asked again, then `held` in the log."""
    staged = sealed.find(office, job.id)
    assert staged is not None  # sealed by this run or an earlier one
    office.crew.wait_until(job.slots.publish_at(office.clock()))
    with hops.step(office, job, publish=True) as act:
        decision = verdicts.decided(act.connection, office, job.order, job.plan, job.catalogue)
        if decision.allowed:
            digest = staged.digests[sealed.FILE]
            act.append(ev.JobStaged(by=SYSTEM, job=job.id, table_sha256=digest))
            pack = adopted(act, office.settings)
            act.append(ev.ReleaseHeld(by=SYSTEM, job=job.id, shape=job.plan.shape, pack=pack, sealed_sha256=digest))
        else:
            verdicts.withhold(act, job.id, job.charge, decision)
    if not decision.allowed:
        sealed.discard(office, job.id)
    hops.end(office, job)
