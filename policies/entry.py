"""May an entry of the catalogue be registered with budgets by period? What the policy says of computing on such a dataset, asked beforehand.

There is no rule of its own to ask: the question is what the policy would say of a computation on the dataset as declared and what of the same
computation were its budgets for life. What it refuses only the first for is what speaks against the entry.
"""

from __future__ import annotations

from policies.authority import Authority, Json
from policies.catalogue import Dataset
from policies.decide import AUTHORITY

_AGES = {"valid_from": "2000-01-01T00:00:00.000Z", "valid_until": "2000-01-02T00:00:00.000Z"}


def rules_against(dataset: Dataset, authority: Authority = AUTHORITY) -> tuple[str, ...]:
    """The ids of the rules that every computation on the dataset would break because its budgets are by period; none where it has none.
    "licence_undecided" where the policy cannot be evaluated on it."""
    if dataset.block is None:
        return ()
    plain, parted = (_ref("Dataset", name) for name in ("plain", "parted"))
    facts = {"registered": True, "public": False, "frozen": False, "grade": dataset.grade, "share": dataset.share.attribute}
    requester, licence = _ref("Requester", "-"), _ref("Licence", "-")
    entities: list[Json] = [
        {"uid": plain, "attrs": {**facts, "by_period": ""}, "parents": []},
        {"uid": parted, "attrs": {**facts, "by_period": dataset.block.period}, "parents": []},
        {"uid": requester, "attrs": {"role": "operator", "status": "active", "frozen": False}, "parents": []},
        {
            "uid": licence,
            "attrs": {
                "operator": {"__entity": requester},
                "state": "active",
                "frozen": False,
                **{name: {"__extn": {"fn": "datetime", "arg": at}} for name, at in _AGES.items()},
                "scenarios": [],
                "job_kinds": [],
                "datasets": [{"__entity": plain}, {"__entity": parted}],
                "per_job_pico_rho": 0,
                "per_job_atto_delta": 0,
            },
            "parents": [],
        },
    ]
    context: Json = {
        "licence": {"__entity": licence},
        "uses": [],
        "granted": [],
        "declared": [],
        "grades": sorted({dataset.grade, *(dataset.grade_of(column) for column in dataset.columns)}),
        "consent": True,
        "approved_twice": True,
    }
    questions = [
        {"principal": requester, "action": _ref("Action", "compute"), "resource": resource, "context": context} for resource in (plain, parted)
    ]
    before, after = authority.ask(questions, entities)
    if not (before.sound and after.sound):
        return ("licence_undecided",)
    return tuple(rule for rule in after.forbidding if rule not in before.forbidding)


def _ref(kind: str, identifier: str) -> Json:
    return {"type": kind, "id": identifier}
