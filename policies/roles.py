"""Who may do what at the door: roles and acts as one table.

A role opens a door; it never decides about data. What may be computed and released is decided by `policies.decide` on the licence. Duties
are kept apart (Shanxi regulation on government data, 2020 draft, art. 24 para. 2: authentication and management of permissions):
whoever registers data grants nothing, whoever grants submits nothing, whoever hands out keys sees no data and raises no cap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from policies.catalogue import Title
from policies.problem import vocabulary

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
vocabulary("role", {role: (title.zh, title.en) for role, title in ROLE_TITLES.items()})

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
    "dataset_withdraw",
    "destruction_list",
    "destruction_propose",
    "destruction_confirm",
    "registration_move",
    "licence_list",
    "licence_apply",
    "licence_consent",
    "licence_decline",
    "licence_grant",
    "licence_amend",
    "licence_suspend",
    "licence_resume",
    "licence_revoke",
    "account_list",
    "cap_raise",
    "fee_list",
    "statement_show",
    "revenue_show",
    "period_close",
    "principal_list",
    "principal_register",
    "principal_suspend",
    "principal_resume",
    "principal_close",
    "subject_link",
    "subject_unlink",
    "appointment_propose",
    "appointment_confirm",
    "key_list",
    "key_issue",
    "key_rotate",
    "key_revoke",
    "token_issue",
    "session_open",
    "session_list",
    "session_close",
    "refusals_read",
    "freeze_list",
    "freeze_set",
    "freeze_thaw",
    "policy_show",
    "policy_change",
    "pack_show",
    "pack_change",
    "program_list",
    "program_submit",
    "program_test",
    "program_review",
    "program_withdraw",
    "program_invalidate",
    "product_list",
    "product_make",
    "product_register",
    "product_publish",
    "product_deprecate",
    "product_recall",
    "product_entitle",
    "product_fetch",
    "product_trace",
    "delivery_list",
    "webhook_manage",
    "mail_manage",
    "schedule_manage",
    "review_request",
    "review_withdraw",
    "review_list",
    "review_look",
    "review_vote",
    "duty_list",
    "duty_set",
    "conflict_declare",
    "conflict_lift",
    "standing_list",
    "standing_give",
    "standing_end",
    "report_list",
    "report_preview",
    "report_issue",
    "report_order_list",
    "report_order",
    "alert_list",
    "alert_handle",
    "alert_rules_show",
    "alert_rules_change",
    "events_read",
    "log_read",
    "audit_run",
    "metrics_read",
    "me_show",
]
ACTS: tuple[Act, ...] = get_args(Act)
Reach = Literal["own", "all"]  # own: only what was made by or for the principal itself
PrincipalStatus = Literal["active", "suspended", "closed"]

_EVERYONE: dict[Role, Reach] = {role: "all" for role in ROLES}
_OWN: dict[Role, Reach] = {role: "own" for role in ROLES}
MAY: Mapping[Act, Mapping[Role, Reach]] = {
    "job_check": {"operator": "own"},
    "job_dummy": {"operator": "own"},
    "job_submit": {"operator": "own"},
    "job_list": {"operator": "own", "supervisor": "all", "auditor": "all"},
    "job_cancel": {"operator": "own", "supervisor": "all"},
    "release_show": {"operator": "own", "reviewer": "all", "supervisor": "all", "auditor": "all"},
    "release_fetch": {"operator": "own", "supervisor": "all"},  # an auditor checks the record, a builder has products
    "dataset_list": _EVERYONE,
    "dataset_register": {"steward": "all"},
    "version_ingest": {"steward": "all"},
    "dataset_withdraw": {"steward": "all", "supervisor": "all"},  # stopping takes one person
    "destruction_list": {"steward": "all", "supervisor": "all", "auditor": "all"},
    "destruction_propose": {"steward": "all", "supervisor": "all"},  # who gave the data, or the bureau
    "destruction_confirm": {"supervisor": "all"},  # another person
    "registration_move": {"supervisor": "all"},  # who registers does not check its own registration
    "licence_list": {"operator": "own", "steward": "all", "reviewer": "all", "supervisor": "all", "auditor": "all"},
    "licence_apply": {"operator": "own"},
    "licence_consent": {"steward": "all"},  # who provides the data agrees; who grants is another
    "licence_decline": {"steward": "all", "supervisor": "all"},
    "licence_grant": {"supervisor": "all"},
    "licence_amend": {"supervisor": "all"},
    "licence_suspend": {"supervisor": "all"},
    "licence_resume": {"supervisor": "all"},
    "licence_revoke": {"supervisor": "all"},
    "account_list": {"operator": "own", "steward": "all", "supervisor": "all", "auditor": "all"},
    "cap_raise": {"supervisor": "all"},
    "fee_list": {"operator": "own", "supervisor": "all", "auditor": "all"},
    "statement_show": {"operator": "own", "supervisor": "all", "auditor": "all"},
    "revenue_show": {"steward": "all", "supervisor": "all", "auditor": "all"},  # who gives data sees what it brings
    "period_close": {"supervisor": "all"},
    "principal_list": {"supervisor": "all", "auditor": "all", "admin": "all"},
    "principal_register": {"admin": "all"},
    "principal_suspend": {"supervisor": "all", "admin": "all"},  # stopping somebody takes one person
    "principal_resume": {"supervisor": "all"},  # letting back in whom a supervisor stopped is not the admin's to do
    "principal_close": {"admin": "all"},
    "subject_link": {"admin": "all"},
    "subject_unlink": {"supervisor": "all", "admin": "all"},
    "appointment_propose": {"admin": "all"},
    "appointment_confirm": {"supervisor": "all"},
    "key_list": _OWN | {"auditor": "all", "supervisor": "all", "admin": "all"},
    "key_issue": {"admin": "all"},
    "key_rotate": _OWN,  # its holder alone: whoever rotates a key sees the new one
    "key_revoke": _OWN | {"supervisor": "all", "admin": "all"},
    "token_issue": _OWN,
    "session_open": _OWN,
    "session_list": _OWN | {"supervisor": "all", "admin": "all"},
    "session_close": _OWN | {"supervisor": "all", "admin": "all"},
    "refusals_read": {"supervisor": "all", "auditor": "all", "admin": "all"},
    "freeze_list": {"steward": "all", "reviewer": "all", "supervisor": "all", "auditor": "all"},
    "freeze_set": {"supervisor": "all"},  # at once, alone
    "freeze_thaw": {"supervisor": "all"},  # two of them
    "policy_show": _EVERYONE,  # rules are made to be read
    "policy_change": {"supervisor": "all"},  # two of them
    "pack_show": {"operator": "all", "reviewer": "all", "supervisor": "all", "auditor": "all"},  # whose tables, and who judges them
    "pack_change": {"supervisor": "all"},  # two of them
    "program_list": {"operator": "own", "reviewer": "all", "supervisor": "all", "auditor": "all"},
    "program_submit": {"operator": "own"},
    "program_test": {"operator": "own"},  # on invented rows
    "program_review": {"reviewer": "all"},  # two of them
    "program_withdraw": {"operator": "own"},
    "program_invalidate": {"supervisor": "all"},
    "product_list": {
        "operator": "own",
        "builder": "all",
        "steward": "all",
        "reviewer": "all",
        "supervisor": "all",
        "auditor": "all",
    },
    "product_make": {"operator": "own"},
    "product_register": {"supervisor": "all"},  # two of them where a source is important
    "product_publish": {"operator": "own"},
    "product_deprecate": {"operator": "own", "supervisor": "all"},
    "product_recall": {"operator": "own", "supervisor": "all"},  # stopping takes one person
    "product_entitle": {"operator": "own", "supervisor": "all"},
    "product_fetch": {"builder": "own"},  # what it is entitled to
    "product_trace": {"supervisor": "all"},
    "schedule_manage": {"operator": "own", "supervisor": "all"},  # stopping takes one person
    "webhook_manage": {"operator": "own", "builder": "own", "supervisor": "own", "auditor": "own"},  # each its own
    "mail_manage": {"operator": "own", "builder": "own", "supervisor": "own", "auditor": "own"},  # each its own address
    "delivery_list": {"operator": "own", "builder": "own", "supervisor": "all", "auditor": "all"},
    "review_request": {"operator": "own"},
    "review_withdraw": {"operator": "own"},
    "review_list": {"operator": "own", "reviewer": "all", "supervisor": "all", "auditor": "all"},
    "review_look": {"reviewer": "all", "supervisor": "all"},  # each look is in the log
    "review_vote": {"reviewer": "all"},  # two of them, on duty, blind to each other
    "duty_list": {"reviewer": "all", "supervisor": "all", "auditor": "all"},
    "duty_set": {"supervisor": "all"},  # who reviews does not say who is on duty
    "conflict_declare": {"reviewer": "own", "supervisor": "all"},
    "conflict_lift": {"supervisor": "all"},
    "standing_list": {"operator": "own", "reviewer": "all", "supervisor": "all", "auditor": "all"},
    "standing_give": {"reviewer": "all"},  # two of them
    "standing_end": {"reviewer": "all", "supervisor": "all"},  # stopping takes one person
    "report_list": {"operator": "own", "supervisor": "all", "auditor": "all"},  # its own once issued; builders have none
    "report_preview": {"supervisor": "all", "auditor": "all"},  # as of now: an operator could tell by it when a job was done
    "report_issue": {"supervisor": "all"},
    "report_order_list": {"supervisor": "all", "auditor": "all"},
    "report_order": {"supervisor": "all"},  # one person, as issuing by hand
    "alert_list": {"supervisor": "all", "auditor": "all"},
    "alert_handle": {"supervisor": "all"},
    "alert_rules_show": {"supervisor": "all", "auditor": "all"},  # who is watched need not know by which numbers
    "alert_rules_change": {"supervisor": "all"},  # two of them
    "events_read": {"supervisor": "all", "auditor": "all"},
    "log_read": _EVERYONE,  # checkpoints and tiles are made to be handed round
    "audit_run": {"supervisor": "all", "auditor": "all"},
    "metrics_read": {"supervisor": "all", "auditor": "all", "admin": "all"},
    "me_show": _EVERYONE,
}


# Roles that decide about others, or about data. Who holds one is appointed by two people: an administrator alone could otherwise make
# themself a second, invented one, and do as two what takes two.
APPOINTED: frozenset[Role] = frozenset({"steward", "reviewer", "supervisor", "auditor", "admin"})
# What the administrator proposes and a supervisor confirms when it is for somebody in an appointed role.
APPOINTMENTS: frozenset[Act] = frozenset({"principal_register", "key_issue", "subject_link"})


@dataclass(frozen=True, slots=True)
class Apart:
    """Two acts that no role may both do, and why."""

    one: Act
    other: Act
    why: Title


def _apart(one: Act, others: tuple[Act, ...], zh: str, en: str) -> tuple[Apart, ...]:
    return tuple(Apart(one, other, Title(zh=zh, en=en)) for other in others)


KEPT_APART: tuple[Apart, ...] = (
    *_apart(
        "job_submit",
        ("dataset_register", "version_ingest", "licence_grant", "cap_raise", "principal_register", "key_issue", "audit_run"),
        "使用数据者不登记数据、不授权、不提高上限、不发密钥、不审计自己",
        "whoever uses data does not register it, grant, raise caps, hand out keys or audit itself",
    ),
    *_apart(
        "licence_grant",
        ("licence_apply", "licence_consent", "dataset_register", "version_ingest", "principal_register", "key_issue", "subject_link"),
        "授权者不登记数据，也不决定谁能登录",
        "whoever grants does not register data, nor decide who may come in",
    ),
    *_apart(
        "key_issue",
        ("cap_raise", "release_show", "release_fetch", "version_ingest", "appointment_confirm", "principal_resume", "audit_run"),
        "发放密钥者看不到数据和结果，不提高上限，不确认自己的任命提议",
        "whoever hands out keys sees no data and no answer, raises no cap and confirms no appointment",
    ),
    *_apart(
        "audit_run",
        ("version_ingest", "dataset_register", "principal_register", "key_issue"),
        "审计者不办理所审之事",
        "whoever audits does none of what is audited",
    ),
    *_apart(
        "appointment_propose",
        ("appointment_confirm", "licence_grant", "cap_raise"),
        "任命由两人、两种角色办理",
        "an appointment takes two people in two roles",
    ),
    *_apart(
        "program_review",
        ("program_submit", "program_withdraw", "program_invalidate", "policy_change"),
        "审查算法者不提交算法，也不改规则",
        "whoever reviews programs submits none and changes no rule",
    ),
    *_apart(
        "product_register",
        ("product_make", "product_publish", "product_fetch", "dataset_register"),
        "登记产品者不制作、不上架、也不取用产品",
        "whoever registers products makes, publishes and fetches none",
    ),
    *_apart(
        "review_vote",
        (
            "review_request",
            "job_submit",
            "duty_set",
            "conflict_lift",
            "policy_change",
            "pack_change",
            "licence_grant",
            "version_ingest",
            "key_issue",
        ),
        "审核结果者不提交作业、不安排值班、不改规则、不授权、不登记数据、不发密钥",
        "whoever reviews results submits none, sets no duty, changes no rule, grants nothing, registers no data and hands out no keys",
    ),
    *_apart(
        "destruction_confirm",
        ("job_submit", "dataset_register", "key_issue", "appointment_propose"),
        "确认销毁者不使用数据、不登记数据，也不决定谁能登录",
        "whoever confirms a destruction uses no data, registers none and lets nobody in",
    ),
    *_apart(
        "policy_change",
        ("job_submit", "dataset_register", "key_issue", "appointment_propose"),
        "改规则者不使用数据、不登记数据，也不决定谁能登录",
        "whoever changes the rules uses no data, registers none and lets nobody in",
    ),
    *_apart(
        "pack_change",
        ("job_submit", "review_request", "dataset_register", "key_issue", "appointment_propose"),
        "改披露规则者不提交结果、不登记数据，也不决定谁能登录",
        "whoever changes the disclosure rules submits no table, registers no data and lets nobody in",
    ),
    *_apart(
        "alert_handle",
        ("job_submit", "product_fetch", "key_issue"),
        "处理告警者不提交作业、不取用产品、不发密钥",
        "whoever answers for alerts submits no jobs, fetches no products and hands out no keys",
    ),
    *_apart(
        "alert_rules_change",
        ("job_submit", "product_fetch", "key_issue", "appointment_propose"),
        "改监测规则者不受其监测，也不决定谁能登录",
        "whoever changes what is watched for is not watched by it and lets nobody in",
    ),
)


def reach(role: Role, act: Act) -> Reach | None:
    """How far the role may do the act; None: not at all.

    >>> reach("operator", "job_list"), reach("supervisor", "job_list"), reach("admin", "job_list")
    ('own', 'all', None)
    """
    return MAY[act].get(role)
