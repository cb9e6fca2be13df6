"""What the comparison with earlier releases asks of the raw side: how many units are between two cells. The counts stay with the evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from infra.keys import KeyRing
from jobs.lane.case import Case, case
from jobs.office import Office
from policies.disclosure.apply import Outcome
from policies.disclosure.predicate import cell_where
from policies.disclosure.table import Evidence
from policies.problem import Problem
from sandbox.raw.between import Pair, condition, units_between


def counted(office: Office, found: Case, made: Outcome, evidence: Evidence, cells: Mapping[tuple[str, tuple[str, ...]], Any]) -> dict[str, int]:
    """Answers by request id, as far as they can be had: an earlier job whose plan cannot be made again leaves its question open. `cells`:
    the populations of released cells, by job and levels, as they were stored."""
    asked: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for request in evidence.requests:
        asked[request["job"] or found.job].append(request)
    answers: dict[str, int] = {}
    for job, requests in asked.items():
        answers |= _of_one(office, found, made, job, requests, cells)
    return answers


def _of_one(
    office: Office, found: Case, made: Outcome, job: str, requests: list[Mapping[str, Any]], cells: Mapping[tuple[str, tuple[str, ...]], Any]
) -> dict[str, int]:
    try:
        other = found if job == found.job else case(office, job)
        if other is None:
            return {}
        pairs, names = [], []
        for request in requests:
            mine = condition(found.plan, _codes(cell_where(made.table, request["cell"])))
            where = cell_where(made.table, int(request["other_cell"][0])) if other is found else cells.get((job, tuple(request["other_cell"])))
            if where is None:
                continue
            theirs = condition(other.plan, _codes(where))
            holds = request["other_holds"]
            pairs.append(Pair(theirs if holds else mine, mine if holds else theirs, not holds))
            names.append(request["id"])
        numbers = units_between((found.plan, other.plan), pairs, office.vault, office.workers, _seed(office.key_ring, found.job))
        return dict(zip(names, numbers, strict=True))
    except (Problem, ValueError):
        return {}


def _seed(key_ring: KeyRing, job: str) -> int:
    return int.from_bytes(key_ring.derive("groups", job.encode())[:8], "big")


def _codes(where: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The keys of a cell by canonical name, from its population as it is stored: the table's condition, then each key's values."""
    return {term["in"][0]: frozenset(code for _, code in term["in"][1]) for term in where["and"][1:]}
