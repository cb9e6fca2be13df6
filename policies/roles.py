"""Who may do what at the door: roles and acts as one table.

A role opens a door; it never decides about data. What may be computed and released is decided by `policies.decide` on the licence. Duties
are kept apart (Shanxi regulation on government data, 2020 draft, art. 24 para. 2: authentication and management of permissions):
whoever registers data grants nothing, whoever grants submits nothing, whoever hands out keys sees no data and raises no cap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from policies.catalogue import Title

Role = Literal["operator", "builder", "steward", "reviewer", "supervisor", "auditor", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
ROLE_TITLES: Mapping[Role, Title] = {
    "operator": Title(zh="被授权运营单位", en="licensed operator"),
    "builder": Title(zh="数商、产品开发者", en="builder of data products"),
    "steward": Title(zh="数据提供方管理员", en="data steward"),
    "reviewer": Title(zh="审核员", en="reviewer"),
    "supervisor": Title(zh="数据主管部门监管员", en="bureau supervisor"),
    "auditor": Title(zh="审计员", en="auditor"),
    "admin": Title(zh="系统管理员", en="system administrator"),
}

Act = Literal[
    "job_check",
    "job_dummy",
    "job_submit",
    "job_list",
    "job_cancel",
    "release_show",
    "release_fetch",
    "dataset_list",
    "dataset_register",
    "version_ingest",
    "licence_list",
    "licence_grant",
    "licence_suspend",
    "licence_resume",
    "licence_revoke",
    "account_list",
    "cap_raise",
    "principal_register",
    "key_issue",
    "key_revoke",
    "events_read",
    "log_read",
    "audit_run",
    "me_show",
]
ACTS: tuple[Act, ...] = get_args(Act)
Reach = Literal["own", "all"]  # own: only what was made by or for the principal itself
PrincipalStatus = Literal["active", "suspended", "closed"]

_EVERYONE: Mapping[Role, Reach] = {role: "all" for role in ROLES}
MAY: Mapping[Act, Mapping[Role, Reach]] = {
    "job_check": {"operator": "own"},
    "job_dummy": {"operator": "own"},
    "job_submit": {"operator": "own"},
    "job_list": {"operator": "own", "supervisor": "all", "auditor": "all"},
    "job_cancel": {"operator": "own", "supervisor": "all"},
    "release_show": {"operator": "own", "builder": "all", "reviewer": "all", "supervisor": "all", "auditor": "all"},
    "release_fetch": {"operator": "own", "builder": "all", "supervisor": "all"},  # an auditor checks the record, not the content
    "dataset_list": _EVERYONE,
    "dataset_register": {"steward": "all"},
    "version_ingest": {"steward": "all"},
    "licence_list": {"operator": "own", "steward": "all", "reviewer": "all", "supervisor": "all", "auditor": "all"},
    "licence_grant": {"supervisor": "all"},
    "licence_suspend": {"supervisor": "all"},
    "licence_resume": {"supervisor": "all"},
    "licence_revoke": {"supervisor": "all"},
    "account_list": {"operator": "own", "steward": "all", "supervisor": "all", "auditor": "all"},
    "cap_raise": {"supervisor": "all"},
    "principal_register": {"admin": "all"},
    "key_issue": {"admin": "all"},
    "key_revoke": {"admin": "all", "supervisor": "all"},
    "events_read": {"supervisor": "all", "auditor": "all"},
    "log_read": _EVERYONE,  # checkpoints and tiles are made to be handed round
    "audit_run": {"supervisor": "all", "auditor": "all"},
    "me_show": _EVERYONE,
}


def reach(role: Role, act: Act) -> Reach | None:
    """How far the role may do the act; None: not at all.

    >>> reach("operator", "job_list"), reach("supervisor", "job_list"), reach("admin", "job_list")
    ('own', 'all', None)
    """
    return MAY[act].get(role)
