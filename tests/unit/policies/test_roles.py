"""The table of acts and roles: complete, and duties kept apart."""

from __future__ import annotations

from typing import get_args

import pytest

from policies.roles import ACTS, APPOINTED, APPOINTMENTS, KEPT_APART, MAY, ROLE_TITLES, ROLES, Reach, reach


def doing(act: str) -> set[str]:
    return set(MAY[act])  # type: ignore[index]  # names written out in the tests below


def test_every_act_and_role_has_its_row() -> None:
    assert set(MAY) == set(ACTS)
    assert set(ROLE_TITLES) == set(ROLES)
    for row in MAY.values():
        assert row
        assert set(row) <= set(ROLES)
        assert set(row.values()) <= set(get_args(Reach))


def test_reach_reads_the_table() -> None:
    assert reach("operator", "job_submit") == "own"
    assert reach("supervisor", "job_list") == "all"
    assert reach("admin", "release_fetch") is None


def test_only_an_operator_submits_and_sees_only_its_own() -> None:
    assert doing("job_submit") == doing("job_check") == doing("job_dummy") == {"operator"}
    assert {reach("operator", act) for act in ACTS} - {None} == {"own", "all"}
    assert all(
        reach("operator", act) != "all" for act in ("job_list", "job_cancel", "release_show", "release_fetch", "licence_list", "account_list")
    )


PAIRS = [
    ("dataset_register", "licence_grant"),
    ("version_ingest", "licence_grant"),
    ("licence_grant", "job_submit"),
    ("cap_raise", "job_submit"),
    ("dataset_register", "job_submit"),
    ("key_issue", "licence_grant"),
    ("key_issue", "cap_raise"),
    ("key_issue", "release_fetch"),
    ("key_issue", "version_ingest"),
    ("audit_run", "version_ingest"),
    ("audit_run", "key_issue"),
    ("appointment_propose", "appointment_confirm"),
    ("program_review", "program_submit"),
    ("program_review", "policy_change"),
    ("review_vote", "review_request"),
    ("review_vote", "duty_set"),
    ("review_vote", "policy_change"),
    ("policy_change", "job_submit"),
    ("policy_change", "key_issue"),
    ("review_vote", "pack_change"),
    ("pack_change", "job_submit"),
    ("pack_change", "key_issue"),
    ("alert_handle", "job_submit"),
    ("alert_rules_change", "job_submit"),
    ("alert_rules_change", "appointment_propose"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_duties_are_kept_apart(one: str, other: str) -> None:
    assert doing(one)
    assert doing(other)
    assert not doing(one) & doing(other)
    assert any({apart.one, apart.other} == {one, other} for apart in KEPT_APART), "the table that the documentation shows has it too"


def test_the_table_of_duties_kept_apart_is_kept() -> None:
    for apart in KEPT_APART:
        assert not doing(apart.one) & doing(apart.other), (apart.one, apart.other)


def test_the_administrator_sees_no_data_and_decides_nothing_about_it() -> None:
    assert {act for act in ACTS if reach("admin", act)} == {
        "dataset_list", "principal_list", "principal_register", "principal_suspend", "principal_close", "subject_link", "subject_unlink",
        "appointment_propose", "key_list", "key_issue", "key_rotate", "key_revoke", "token_issue",
        "session_open", "session_list", "session_close", "refusals_read", "metrics_read", "policy_show", "log_read", "me_show",
    }  # fmt: skip


def test_whoever_may_decide_about_others_is_appointed_by_two() -> None:
    deciding = {"licence_grant", "cap_raise", "dataset_register", "key_issue", "principal_resume", "appointment_confirm", "audit_run"}
    assert {role for role in ROLES if any(reach(role, act) for act in deciding)} <= APPOINTED
    assert not APPOINTED & {"operator", "builder"}
    assert not any(doing(act) & doing("appointment_confirm") for act in APPOINTMENTS)


def test_the_switch_for_emergencies_is_the_supervisors_alone() -> None:
    assert doing("freeze_set") == doing("freeze_thaw") == doing("policy_change") == doing("pack_change") == {"supervisor"}
    assert doing("alert_handle") == doing("alert_rules_change") == {"supervisor"}
    assert doing("pack_show") == {"operator", "reviewer", "supervisor", "auditor"}
    assert doing("program_review") == {"reviewer"}


def test_an_auditor_changes_nothing_and_fetches_nothing() -> None:
    assert {act for act in ACTS if reach("auditor", act)} == {
        "job_list", "release_show", "dataset_list", "licence_list", "account_list", "events_read", "log_read", "audit_run", "me_show",
        "principal_list", "key_list", "key_rotate", "key_revoke", "token_issue",
        "session_open", "session_list", "session_close", "refusals_read", "metrics_read", "freeze_list", "policy_show", "program_list",
        "review_list", "duty_list", "standing_list", "fee_list", "statement_show", "revenue_show", "product_list",
        "delivery_list", "webhook_manage", "pack_show", "alert_list", "alert_rules_show",
        "report_list", "report_preview", "mail_manage", "destruction_list", "report_order_list",
    }  # fmt: skip
