"""The bureau's switch, the bureau's rules and the algorithm registry over real HTTP, through the client that people use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from jobs import acts, hops
from jobs.audit import audit
from policies.authority import shipped
from tests.bureau import LICENCE, OTHER_SQL, SCENARIO, SQL, body
from tests.e2e.conftest import Live
from tests.programs import MAIN, changed, linked, packed
from yunei import Client
from yunei.problem import YuneiProblem

JOB: dict[str, Any] = {"licence": LICENCE, "scenario": SCENARIO, "epsilon": "0.5", "delta": "0.00000001"}


@pytest.fixture(scope="module")
def clients(live: Live) -> Iterator[dict[str, Client]]:
    keys = dict(live.keys)
    for name in ("supervisor-2", "reviewer-2"):
        keys[name] = acts.issue_key(live.services.register, name, name.partition("-")[0])  # type: ignore[arg-type]  # a role
    made = {name: Client(live.url, key, "en", state=live.services.settings.home / f"{name}.state") for name, key in keys.items()}
    yield made
    for client in made.values():
        client.close()
    register = live.services.register
    assert audit(live.services.settings.log_dir, [register.vkey], register.engine).findings == []


def code(act: Any) -> tuple[str, int | None]:
    with pytest.raises(YuneiProblem) as caught:
        act()
    return caught.value.code, caught.value.status


def lift(clients: dict[str, Client], freeze: str) -> None:
    proposed = clients["supervisor"].thaw(freeze, reason="done")
    assert proposed.proposal is not None
    assert clients["supervisor-2"].thaw(freeze, proposal=proposed.proposal).state == "thawed"


def test_a_freeze_stops_everything_and_two_lift_it(clients: dict[str, Client]) -> None:
    operator, supervisor = clients["operator-1"], clients["supervisor"]
    answer = operator.ask(SQL, **JOB)
    freeze = supervisor.freeze("everything", reason="drill")
    assert code(lambda: operator.submit(OTHER_SQL, **JOB)) == ("licence_refused", 403)
    assert code(lambda: operator.check(OTHER_SQL, **JOB)) == ("licence_refused", 403)
    assert code(lambda: operator.table(answer.release.id, "csv")) == ("freeze_holds", 403)
    assert code(lambda: clients["builder"].table(answer.release.id, "csv")) == ("auth_forbidden", 403)  # builders have products
    assert supervisor.table(answer.release.id, "csv")  # who supervises may look
    assert operator.release(answer.release.id).id == answer.release.id
    assert operator.receipt(answer.release.id)
    for reader in ("supervisor", "auditor", "reviewer", "steward", "admin", "operator-1"):
        assert clients[reader].me()["principal"]
    assert [each.id for each in clients["auditor"].freezes(standing=True)] == [freeze.id]
    assert code(lambda: supervisor.thaw(freeze.id, proposal=0)) == ("auth_second_person", 403)
    lift(clients, freeze.id)
    assert operator.table(answer.release.id, "csv")
    assert operator.ask(OTHER_SQL, **JOB).release.rows


def test_a_freeze_during_a_run_lets_nothing_leave_and_the_charge_stays(clients: dict[str, Client], monkeypatch: pytest.MonkeyPatch) -> None:
    operator, supervisor = clients["operator-1"], clients["supervisor"]
    before = {account.id: account.used.rho for account in operator.accounts()}
    original, ids = hops.spend, []

    def frozen_first(*given: Any) -> None:
        ids.append(supervisor.freeze("dataset", "visits", reason="drill").id)
        original(*given)

    monkeypatch.setattr(hops, "spend", frozen_first)
    job = operator.wait(operator.submit("SELECT MAX(fee) AS m FROM visits", **JOB), timeout_s=30)
    assert (job.state, job.release) == ("failed", None)
    assert job.problem is not None
    assert job.problem.code == "job_withheld"
    assert job.price is not None
    used = {account.id: account.used.rho - before[account.id] for account in operator.accounts()}
    assert set(used.values()) == {job.price.rho}
    monkeypatch.undo()
    lift(clients, ids[0])
    time.sleep(0.1)
    assert operator.job(job.id).state == "failed"


OWN_RULE = """
@id("licence_night")
@title_zh("场景限定")
@title_en("This scenario is closed")
@detail_zh("场景 {scenario} 暂不受理。")
@detail_en("Scenario {scenario} is closed.")
@remedy_zh("请改用其他场景。")
@remedy_en("Name another scenario.")
@basis("《山西省政务数据管理应用条例（草案）》（2020年11月）第二十条第一款（使用或者开发的范围）")
forbid (principal, action == Action::"submit", resource) unless { context.scenario != "health-planning" };
"""
OWN_CASES = """
[[cases]]
rule = "licence_night"
zh = "别的场景"
en = "another scenario"
refused_by = []

[[cases]]
rule = "licence_night"
zh = "关闭的场景"
en = "the closed scenario"
change = { submit.scenario = "health-planning", licence.scenarios = ["health-planning"] }
refused_by = ["licence_night"]
"""


def test_a_policy_changed_by_two_decides_at_once_and_is_named_by_its_refusals(live: Live, clients: dict[str, Client]) -> None:
    operator, first, second = clients["operator-1"], clients["supervisor"], clients["supervisor-2"]
    shown = operator.policy()
    assert shown.document is None
    assert code(lambda: first.propose_policy(OWN_RULE, "", reason="x")) == ("policy_invalid", 422)
    assert code(lambda: first.propose_policy("permit (principal, action, resource);", shown.cases, reason="x")) == ("policy_invalid", 422)
    size = live.services.register.size
    rules, cases = shown.rules + OWN_RULE, shown.cases + OWN_CASES
    assert first.check_policy(rules, cases)["rules"] == len(shown.table) + 1
    assert live.services.register.size == size
    for nobody in ("operator-1", "reviewer", "auditor", "admin", "steward", "builder"):
        assert code(lambda nobody=nobody: clients[nobody].propose_policy(rules, cases, reason="x")) == ("auth_forbidden", 403)
        assert code(lambda nobody=nobody: clients[nobody].confirm_policy(0)) == ("auth_forbidden", 403)
    stale = first.propose_policy(
        shown.rules + OWN_RULE.replace("licence_night", "licence_late"), cases.replace("licence_night", "licence_late"), reason="x"
    )
    proposed = first.propose_policy(rules, cases, reason="close the scenario")
    assert proposed.since is None
    assert operator.policy().policy == shown.policy
    assert code(lambda: first.confirm_policy(proposed.entry)) == ("auth_second_person", 403)
    assert code(lambda: second.confirm_policy(proposed.entry - 1 if proposed.entry - 1 != stale.entry else 0)) == ("policy_unknown", 404)
    confirmed = second.confirm_policy(proposed.entry)
    assert confirmed.changed_by == "supervisor-2"
    assert operator.policy().policy == confirmed.policy
    assert operator.policy(confirmed.document).rules == rules
    assert code(lambda: second.confirm_policy(proposed.entry)) == ("policy_outdated", 409)
    assert code(lambda: second.confirm_policy(stale.entry)) == ("policy_outdated", 409)
    assert code(lambda: first.propose_policy(rules, cases, reason="x")) == ("policy_unchanged", 409)
    answered = live.http.post("/v1/jobs", json=body(OTHER_SQL), headers=live.headers()).json()
    assert [part["code"] for part in answered["parts"]] == ["licence_night"]
    assert answered["fields"]["policy"] == confirmed.policy
    assert "health-planning" in answered["parts"][0]["en"]["detail"]
    last = live.services.register.events(limit=10_000, kinds=("job_refused",))[-1].event.model_dump()
    assert (last["rules"], last["policy_digest"]) == (("licence_night",), confirmed.policy)
    back = first.propose_policy(shipped("authority.cedar"), shipped("authority.toml"), reason="open it again")
    second.confirm_policy(back.entry)
    assert operator.policy().policy == shown.policy
    assert operator.check(OTHER_SQL, **JOB).price.rho > 0
    assert [version.since is not None for version in clients["auditor"].policy_versions()] == [True, True, False]


def test_a_program_goes_through_its_reviews(clients: dict[str, Client]) -> None:
    operator, other = clients["operator-1"], clients["operator-2"]
    assert code(lambda: operator.submit_program(linked())) == ("program_invalid", 422)
    assert code(lambda: operator.submit_program(changed("main.py", MAIN + "import os\n"))) == ("program_invalid", 422)
    program = operator.submit_program(packed())
    assert code(lambda: operator.submit_program(packed())) == ("program_exists", 409)
    assert other.programs() == []
    assert code(lambda: other.program(program.digest)) == ("request_not_found", 404)
    assert code(lambda: other.withdraw_program(program.digest, reason="x")) == ("request_not_found", 404)
    for nobody in ("operator-1", "supervisor", "auditor", "admin"):
        assert code(lambda nobody=nobody: clients[nobody].review_program(program.digest, "approve", reason="x")) == ("auth_forbidden", 403)
    seen = clients["reviewer"].program(program.digest)
    assert seen["files"]["main.py"] == MAIN
    assert seen["report"]["imports"] == ["numpy", "statistics"]
    assert clients["reviewer"].review_program(program.digest, "approve", reason="sound").state == "submitted"
    assert code(lambda: clients["reviewer"].review_program(program.digest, "approve", reason="x")) == ("program_own_review", 403)
    assert clients["reviewer-2"].review_program(program.digest, "approve", reason="sound").state == "approved"
    assert [each.state for each in clients["auditor"].programs()] == ["approved"]
    assert clients["supervisor"].invalidate_program(program.digest, reason="flaw").state == "invalidated"
    assert code(lambda: clients["reviewer"].review_program("0" * 64, "approve", reason="x")) == ("program_unknown", 404)
