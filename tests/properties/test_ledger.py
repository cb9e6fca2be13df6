"""The ledger against a model of twenty lines: whatever is done in whatever order, both agree, and so does the log when it is replayed."""

from __future__ import annotations

import shutil
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from jobs import acts, ledger
from jobs.audit import audit
from jobs.events import Cost, JobAdmitted, JobSubmitted
from policies.loss import Loss
from policies.problem import Problem
from tests.postgres import Postgres
from tests.small_register import a_licence, a_register, a_snapshot, title

CAP = Loss(100, 10)
NAMES = ("visits", "labs", "fees")
LOSSES = st.builds(Loss, st.integers(0, 45), st.integers(0, 4))
COUNTED = ("reserved", "reading", "spent", "forfeited")
NEXT = {"reserved": ("reading", "released"), "reading": ("spent", "forfeited"), "spent": ("forfeited",)}


class LedgerMachine(RuleBasedStateMachine):
    """Three datasets of one population, two operators. Model: per account a cap and the charges on it."""

    server: Postgres | None = None

    def database(self) -> str:
        return self.server.register() if self.server else ""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-"))
        self.context = a_register(self.folder, database_url=self.database())
        self.register = self.context.__enter__()
        for name in NAMES:
            acts.register_dataset(self.register, a_snapshot(name), population_cap=Loss(180, 20), dataset_cap=CAP)
        for operator in ("op-1", "op-2"):
            acts.register_principal(self.register, operator, role="operator", title=title(operator))
            licence = a_licence(f"L-{operator}", operator=operator, datasets=NAMES, rho=Decimal("120e-12"))
            acts.grant_licence(self.register, licence, operator_cap=Loss(70, 8))
        self.caps = {balance.account: balance.cap for balance in ledger.balances(self.register)}
        self.charges: dict[str, tuple[str, Loss, tuple[str, ...]]] = {}

    def used(self, account: str, *states: str) -> Loss:
        total = Loss(0)
        for state, loss, names in self.charges.values():
            if account in names and state in states:
                total = total + loss
        return total

    @rule(loss=LOSSES, datasets=st.sets(st.sampled_from(NAMES), min_size=1), operator=st.sampled_from(["op-1", "op-2"]), again=st.booleans())
    def reserve(self, loss: Loss, datasets: set[str], operator: str, again: bool) -> None:
        names = ledger.accounts_of(space="person", datasets=datasets, licence=f"L-{operator}", operator=operator)
        number = len(self.charges) - (1 if again and self.charges else 0)
        charge, job = f"c-{number}", f"j-{number}"
        fits = all(self.caps[name].covers(self.used(name, *COUNTED) + loss) for name in names)
        expected = "ledger_charge_exists" if charge in self.charges else None if fits else "ledger_exhausted"
        try:
            with self.register.transaction(publish=False) as act:
                if charge not in self.charges:
                    act.append(JobSubmitted(by=operator, job=job, operator=operator, licence=f"L-{operator}", scenario="s", request="0" * 64))
                ledger.reserve(act, charge=charge, job=job, accounts=names, loss=loss, by="system")
                act.append(JobAdmitted(by="system", job=job, plan_digest="a" * 64, question="b" * 64, cost=Cost.of(loss)))
            happened = None
        except Problem as refusal:
            happened = refusal.code
        assert happened == expected
        if happened is None:
            self.charges[charge] = ("reserved", loss, names)

    @precondition(lambda self: self.charges)
    @rule(data=st.data(), step=st.sampled_from(["reading", "spent", "released", "forfeited"]))
    def move(self, data: st.DataObject, step: str) -> None:
        charge = data.draw(st.sampled_from(sorted(self.charges)))
        state, loss, names = self.charges[charge]
        allowed = step in NEXT.get(state, ())
        act_of = {"reading": ledger.reading, "spent": ledger.spend, "released": ledger.release, "forfeited": ledger.forfeit}[step]
        try:
            with self.register.transaction(publish=False) as act:
                act_of(act, charge, by="system")
            happened = ""
        except Problem as refusal:
            happened = refusal.code
        assert happened == ("" if allowed else "ledger_charge_state")
        if not happened:
            self.charges[charge] = (step, loss, names)

    @rule(more=LOSSES, account=st.sampled_from(["population:person", "dataset:labs", "operator:op-1@visits"]))
    def raise_cap(self, more: Loss, account: str) -> None:
        for name in ("li", "wang"):
            if self.register.principal(name) is None:
                acts.register_principal(self.register, name, role="supervisor", title=title(name))
        cap = self.caps[account] + more
        if more != Loss(0):
            proposal = acts.propose_cap(self.register, account, cap, reason="r", by="li")
            acts.raise_cap(self.register, account, cap, proposal=proposal, by="wang")
            self.caps[account] = cap

    @invariant()
    def model_and_ledger_agree(self) -> None:
        if not hasattr(self, "register"):
            return
        for balance in ledger.balances(self.register):
            assert balance.cap == self.caps[balance.account]
            assert balance.reserved == self.used(balance.account, "reserved", "reading")
            assert balance.spent == self.used(balance.account, "spent", "forfeited")

    def teardown(self) -> None:
        if hasattr(self, "register"):
            self.register.publish()
            report = audit(self.register.settings.log_dir, [self.register.vkey], self.register.engine)
            balances = ledger.balances(self.register)
            self.context.__exit__(None, None, None)
            shutil.rmtree(self.folder)
            assert report.clean, report.findings
            assert report.accounts == balances


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_ledger_is_the_model(kind: str, request: pytest.FixtureRequest) -> None:
    class Machine(LedgerMachine):
        server = request.getfixturevalue("postgres") if kind == "postgresql" else None

    run_state_machine_as_test(Machine, settings=settings(max_examples=4 if kind == "postgresql" else 10, stateful_step_count=20, deadline=None))
