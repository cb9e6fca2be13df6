"""The bureau's acts: what each leaves in the tables, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from jobs import acts, ledger
from jobs.register import Register
from policies.loss import Loss
from policies.problem import Problem
from tests.small_register import a_licence, a_register, a_snapshot, furnish, run, title


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with a_register(tmp_path) as register:
        yield register


def refused(act: Callable[[], object], register: Register) -> str:
    size = register.size
    with pytest.raises(Problem) as caught:
        act()
    assert register.size == size, "a refused act left something in the log"
    return caught.value.code


def test_a_key_is_shown_once_and_opens_until_it_is_revoked(register: Register) -> None:
    secret = acts.issue_key(register, "op-1", "operator", title=title("one"))
    holder = register.holder_of(secret)
    assert holder is not None
    assert (holder.id, holder.role, holder.status, holder.title) == ("op-1", "operator", "active", title("one"))
    everything = b"".join(path.read_bytes() for path in register.settings.home.rglob("*") if path.is_file())
    assert secret.encode() not in everything
    assert secret.split("_")[2].encode() not in everything
    acts.revoke_key(register, secret.split("_")[1], reason="lost")
    assert register.holder_of(secret) is None
    assert [key.status for key in register.api_keys()] == ["revoked"]
    assert refused(lambda: acts.revoke_key(register, secret, reason="again"), register) == "auth_key_unknown"


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: "",
        lambda secret: secret[:-1],
        lambda secret: secret + "a",
        lambda secret: secret.upper(),
        lambda secret: secret.replace("yk_", "xx_"),
        lambda secret: secret.rsplit("_", 1)[0],
        lambda secret: secret.rsplit("_", 1)[0] + "_",
        lambda secret: secret + "钥",
        lambda secret: secret[:-1] + ("a" if secret[-1] != "a" else "b"),
        lambda secret: "yk_" + "x" * 10_000,
    ],
)
def test_nothing_but_the_secret_opens(register: Register, change: Callable[[str], str]) -> None:
    secret = acts.issue_key(register, "op-1", "operator")
    assert register.holder_of(change(secret)) is None


def test_keys_of_one_holder_differ_and_a_suspended_holder_is_known_as_such(register: Register) -> None:
    first, second = acts.issue_key(register, "op-1", "operator"), acts.issue_key(register, "op-1")
    assert first != second
    acts.suspend_principal(register, "op-1", reason="inspection")
    assert {holder.status for secret in (first, second) if (holder := register.holder_of(secret))} == {"suspended"}
    assert refused(lambda: acts.issue_key(register, "op-1"), register) == "auth_principal_unknown"
    acts.resume_principal(register, "op-1", reason="done")
    assert register.principal("op-1") == register.holder_of(first)


def test_a_principal_is_registered_once_in_one_role(register: Register) -> None:
    acts.register_principal(register, "li", role="auditor", title=title("li"))
    assert refused(lambda: acts.register_principal(register, "li", role="admin", title=title("li")), register) == "auth_principal_exists"
    assert refused(lambda: acts.register_principal(register, "system", role="admin", title=title("x")), register) == "auth_principal_exists"
    assert refused(lambda: acts.issue_key(register, "li", "operator"), register) == "auth_principal_role"
    assert refused(lambda: acts.issue_key(register, "nobody"), register) == "auth_principal_unknown"


def test_a_dataset_enters_the_catalogue_with_its_accounts(register: Register) -> None:
    acts.register_dataset(register, a_snapshot(), population_cap=Loss(5), dataset_cap=Loss(4, 3))
    acts.register_dataset(register, a_snapshot("hospitals", space=None))
    acts.register_dataset(register, a_snapshot("labs"), population_cap=Loss(9))  # the population's account is open: its cap stays
    assert {balance.account: balance.cap for balance in ledger.balances(register)} == {
        "population:person": Loss(5),
        "dataset:visits": Loss(4, 3),
        "dataset:labs": Loss(10**12, 10**12),
    }
    catalogue = register.catalogue()
    assert sorted(catalogue) == ["hospitals", "labs", "visits"]
    assert catalogue["VISITS"] == a_snapshot()


def test_a_new_version_takes_the_place_of_the_old_which_stays_readable(register: Register) -> None:
    acts.register_dataset(register, a_snapshot())
    acts.register_dataset(register, a_snapshot(version=3))
    assert register.catalogue()["visits"].version == 3
    assert register.snapshot("visits", 1) == a_snapshot()
    assert register.snapshot("visits", 2) is None
    assert len(ledger.balances(register)) == 2
    for version in (1, 2, 3):
        assert (
            refused(lambda version=version: acts.register_dataset(register, a_snapshot("VISITS", version=version)), register)
            == "data_version_conflict"
        )


def test_a_dataset_cannot_change_whose_rows_it_holds(register: Register) -> None:
    acts.register_dataset(register, a_snapshot())
    for space in ("household", None):
        assert refused(lambda space=space: acts.register_dataset(register, a_snapshot(version=2, space=space)), register) == "data_unit_changed"


def test_a_licence_opens_its_accounts_and_goes_through_its_states(register: Register) -> None:
    furnish(register)
    record = register.licence("L-1")
    assert record is not None
    assert (record.state, record.licence) == ("active", a_licence(datasets=("visits", "hospitals")))
    opened = {balance.account: balance.cap for balance in ledger.balances(register)}
    assert opened["licence:L-1"] == Loss.of(1, Decimal("1e-6"))
    assert opened["operator:op-1@visits"] == Loss(5 * 10**11, 5 * 10**11)
    assert not any("hospitals" in account for account in opened)  # public rows cost nothing
    acts.suspend_licence(register, "L-1", reason="inspection")
    assert register.licences("op-1")[0].state == "suspended"
    assert refused(lambda: acts.suspend_licence(register, "L-1", reason="x"), register) == "licence_state_conflict"
    acts.resume_licence(register, "L-1", reason="done")
    acts.revoke_licence(register, "L-1", reason="term")
    for act in (acts.suspend_licence, acts.resume_licence, acts.revoke_licence):
        assert refused(lambda act=act: act(register, "L-1", reason="x"), register) == "licence_state_conflict"
    assert register.licences("op-2") == []
    assert register.licence("L-2") is None


def test_a_second_licence_does_not_refill_the_operators_account(register: Register) -> None:
    furnish(register)
    run(register, "a", Loss(1000))
    acts.grant_licence(register, a_licence("L-2"), operator_cap=Loss(10**13))
    account = ledger.balances(register, ["operator:op-1@visits"])[0]
    assert (account.cap, account.spent) == (Loss(5 * 10**11, 5 * 10**11), Loss(1000))


def test_a_licence_that_cannot_be_is_refused(register: Register) -> None:
    furnish(register)
    acts.register_principal(register, "li", role="auditor", title=title("li"))
    core = a_snapshot("core", grade="core")
    kept = a_snapshot("kept")
    kept = kept.model_copy(
        update={"dataset": kept.dataset.model_copy(update={"share": kept.dataset.share.model_copy(update={"attribute": "none"})})}
    )
    for snapshot in (core, kept):
        acts.register_dataset(register, snapshot)
    for licence, code in (
        (a_licence("L-1"), "licence_exists"),
        (a_licence("L-2", operator="nobody"), "auth_principal_unknown"),
        (a_licence("L-2", operator="li"), "auth_principal_role"),
        (a_licence("L-2", datasets=("ghosts",)), "licence_data_missing"),
        (a_licence("L-2", datasets=("visits", "core")), "licence_data_forbidden"),
        (a_licence("L-2", datasets=("kept",)), "licence_data_forbidden"),
    ):
        assert refused(lambda licence=licence: acts.grant_licence(register, licence), register) == code


def test_important_data_is_licensed_by_two_people(register: Register) -> None:
    furnish(register)
    acts.register_dataset(register, a_snapshot("vital", grade="important"))
    for name in ("li", "wang"):
        acts.register_principal(register, name, role="supervisor", title=title(name))
    licence = a_licence("L-2", datasets=("vital",))
    assert refused(lambda: acts.grant_licence(register, licence, by="wang"), register) == "auth_second_person"
    proposal = acts.propose_licence(register, licence, by="li")
    other = a_licence("L-2", datasets=("vital", "visits"))
    assert refused(lambda: acts.grant_licence(register, licence, by="li", proposal=proposal), register) == "auth_second_person"
    assert refused(lambda: acts.grant_licence(register, other, by="wang", proposal=proposal), register) == "auth_second_person"
    acts.suspend_principal(register, "li", reason="left")
    assert refused(lambda: acts.grant_licence(register, licence, by="wang", proposal=proposal), register) == "auth_second_person"
    acts.resume_principal(register, "li", reason="back")
    acts.grant_licence(register, licence, by="wang", proposal=proposal)
    assert register.licence("L-2") is not None


def test_the_same_question_finds_its_first_release(register: Register) -> None:
    furnish(register)
    question = "f" * 64
    assert register.answer_to(question) is None
    run(register, "a", Loss(10), question=question)
    run(register, "b", Loss(10), question=question)
    assert register.answer_to(question) == "r-a"
