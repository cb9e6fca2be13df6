"""A held table before the rules: mended as its author asked, examined by the pack in force, compared with everything released before.

Run each time anew: when a reviewer looks, and once more before the table leaves. What is found is evidence, for reviewers; it decides nothing
by itself but one thing: what the rules refuse outright does not leave, whatever was voted.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

from infra.database import reading
from jobs.lane import sealed
from jobs.lane.case import Case, held_beside
from jobs.lane.case import case as case_of_job
from jobs.lane.count import counted
from jobs.lane.index import Earlier, earlier_releases, fresh_index
from jobs.lane.packs import pack_in_force
from jobs.office import Office
from policies.disclosure.apply import Outcome, outcome
from policies.disclosure.differencing import entries
from policies.disclosure.examine import evidence
from policies.disclosure.index import ReleaseIndex, entry_data
from policies.disclosure.pack import RulePack
from policies.disclosure.table import Evidence, ExactTable, ReleasedTable

Known = list[list[Any]]  # findings by rule, severity, measure and levels of cells: comparable from snapshot to snapshot


@dataclass(frozen=True, slots=True)
class Examined:
    """`table`: as counted, with what its author says of it; `released`: as it would leave; `lost`: rows with a value that is no number."""

    table: ExactTable = field(repr=False)
    made: Outcome = field(repr=False)
    released: ReleasedTable = field(repr=False)
    evidence: Evidence
    pack: RulePack
    earlier: Earlier
    lost: int = field(repr=False)

    @property
    def mended(self) -> ExactTable:
        return self.made.table

    @property
    def hidden(self) -> frozenset[int]:
        """Cells that do not leave."""
        return self.made.hidden

    @property
    def refused(self) -> tuple[str, ...]:
        """Ids of rules that must not be broken, and are."""
        return tuple(dict.fromkeys(finding.rule for finding in self.evidence.findings if finding.severity == "refuse"))

    @property
    def known(self) -> Known:
        """Every finding by names that outlive the snapshot."""
        found = []
        for finding in self.evidence.findings:
            codes = sorted("/".join(self.mended.codes(cell)) for cell in finding.cells if cell < len(self.mended.cells))
            found.append([finding.rule, finding.severity, finding.measure, codes])
        return sorted(found, key=lambda one: json.dumps(one, ensure_ascii=False))

    def locked(self, office: Office, job: str) -> bytes:
        """What the log commits to, encrypted: evidence, findings by lasting names, and what the index is to know once it has left."""
        told = {"evidence": dict(self.evidence.data), "known": self.known, "entries": [entry_data(*one) for one in entries(self.made)]}
        return sealed.lock(office, job, json.dumps(told, sort_keys=True, ensure_ascii=False).encode())


def examined(office: Office, case: Case) -> Examined:
    """Deterministic, but for what was released meanwhile. Raises StagingDamaged; `data_mend_*` for mends that do not fit the table."""
    table, lost = _table(office, case)
    with reading(office.register.engine) as connection:
        pack = pack_in_force(connection, office.settings)
    earlier = earlier_releases(office, case)
    index, cells = _with_bundle(office, case, earlier, pack)
    made = outcome(table, case.request.mends, pack, earlier=index)
    found = evidence(made, index, case.request.mends)
    if found.requests:  # only rows can tell how many units are between two cells
        cells |= {(data["job"], tuple(data["cell"])): data["where"] for one in earlier.approved for data in one.approval["entries"]}
        found = evidence(made, index, case.request.mends, counted(office, case, made, found, cells))
    return Examined(table, made, made.released(), found, pack, earlier, lost)


def _table(office: Office, case: Case) -> tuple[ExactTable, int]:
    """As it was counted, with what its author says of it."""
    exact = sealed.opened(office, case.job)
    return replace(exact.table, facts=dict(case.request.facts)), exact.lost


Cells = dict[tuple[str, tuple[str, ...]], Any]


def _with_bundle(office: Office, case: Case, earlier: Earlier, pack: RulePack) -> tuple[ReleaseIndex, Cells]:
    """The index as it will be when those tables of the same request have left that leave before this one: a bundle is judged as one."""
    before = [name for name in held_beside(office, case) if name < case.job]
    if not before:
        return earlier.index, {}
    index, cells = fresh_index(earlier), Cells()
    for name in before:
        other = case_of_job(office, name)
        if other is None or other.plan.space != case.plan.space:
            continue
        made = outcome(_table(office, other)[0], other.request.mends, pack, earlier=index)
        for entry, where in entries(made):
            index.add(entry)
            cells[entry.job, entry.cell] = where
    return index, cells


def new_findings(now: Known, before: Known) -> Known:
    """What was found and had not been: by rule, measure and cell. Cells of which less is found are no news."""
    seen = {(rule, severity, measure, code) for rule, severity, measure, codes in before for code in codes or [""]}
    fresh = []
    for rule, severity, measure, codes in now:
        new = [code for code in codes or [""] if (rule, severity, measure, code) not in seen]
        if new:
            fresh.append([rule, severity, measure, [code for code in new if code]])
    return fresh


def mends_digest(case: Case) -> str:
    return hashlib.sha256(case.plan.mends.encode()).hexdigest()
