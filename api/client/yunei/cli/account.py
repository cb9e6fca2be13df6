"""yunei account propose, confirm, proposals: a lifetime total is raised by two people."""

from __future__ import annotations

from typing import Annotated

import typer

from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.words import say

_Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help=say("账户，例如 dataset:visits", "account, like dataset:visits"))]


def propose(
    account: _Account,
    reason: Annotated[str, typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))],
    delta: Annotated[str, typer.Option("--delta", help=say("新上限的 δ", "delta of the new cap"))],
    epsilon: Annotated[str | None, typer.Option("--epsilon", help=say("新上限的 ε", "epsilon of the new cap"))] = None,
    rho: Annotated[str | None, typer.Option("--rho", help=say("新上限的 ρ", "rho of the new cap"))] = None,
) -> None:
    with session.client() as client:
        made = client.propose_cap(account, reason=reason, delta=delta, epsilon=epsilon, rho=rho)
    output.line(str(made.proposal))
    again = f"yunei account confirm {account} {made.proposal}"
    output.note(say(f"请由另一人确认：{again}", f"ask another person to confirm it: {again}"))


def confirm(
    account: _Account,
    proposal: Annotated[int, typer.Argument(metavar="PROPOSAL", min=0, help=say("提议的序号", "the proposal's number"))],
) -> None:
    with session.client() as client:
        raised = client.confirm_cap(account, proposal)
    output.accounts([raised])


def proposals(account: _Account, shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table") -> None:
    session.shape = shape
    with session.client() as client:
        found = client.cap_proposals(account)
    if shape == "json":
        output.as_json([each.data for each in found])
        return
    output.table(
        (
            say("提议", "proposal"),
            say("新上限 ρ", "new cap ρ"),
            say("新上限 δ", "new cap δ"),
            say("提议人", "by"),
            say("时间", "at"),
            say("确认人", "confirmed by"),
            say("原因", "reason"),
        ),
        [(each.proposal, each.cap.rho, each.cap.delta, each.by, each.data["at"], each.raised_by or "", each.reason) for each in found],
        right=(0, 1, 2),
        csv_headers=("proposal", "cap_rho", "cap_delta", "by", "at", "confirmed_by", "reason"),
    )
