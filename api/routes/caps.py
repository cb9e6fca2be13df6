"""Lifetime totals, raised by two people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, problems, roles
from api.schemas import AccountView, CapProposal, CapProposalList, CapProposalView, LossView
from api.services import Services
from api.views import account_view
from jobs import acts, ledger, proposals
from jobs.ledger import LEDGER_ACCOUNT_UNKNOWN, SHOWN_AT_DELTA

router = APIRouter(prefix="/v1", tags=["register"], route_class=Guarded)

AccountName = Annotated[str, Path(max_length=300, description="账户，例如 dataset:visits · account, like dataset:visits")]


@router.get(
    "/accounts/{id}/proposals",
    summary="提高上限的提议，新的在前 · Proposals to raise a cap, newest first",
    responses=problems(401, 403, 404, 422),
    openapi_extra=roles("events_read"),
)
def list_proposals(id: AccountName, services: Serving, visit: Annotated[Visit, door("events_read")]) -> CapProposalList:
    _known(services, id)
    return CapProposalList(proposals=[_view(each) for each in proposals.cap_proposals(services.register, id)])


@router.post(
    "/accounts/{id}/proposals",
    status_code=201,
    summary="提议提高账户上限（第一人） · Propose to raise a cap (first of two people)",
    description="上限是终身总量，只升不降。协议账户随协议变更提高。 · A cap is a lifetime total and only ever rises. "
    "A licence's rises with its amendment.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("cap_raise"),
)
def propose(id: AccountName, body: CapProposal, services: Serving, visit: Annotated[Visit, door("cap_raise")]) -> CapProposalView:
    entry = acts.propose_cap(services.register, id, body.cap.degree().loss, reason=body.reason, by=visit.principal.id)
    return _view(next(each for each in proposals.cap_proposals(services.register, id) if each.entry == entry))


@router.post(
    "/accounts/{id}/proposals/{proposal}/confirm",
    summary="确认提议（另一人），上限立即提高 · Confirm a proposal (another person); raises the cap at once",
    responses=problems(401, 403, 404, 409, 422),
    openapi_extra=roles("cap_raise"),
)
def confirm(
    id: AccountName,
    proposal: Annotated[int, Path(ge=0, le=2**53, description="提议在日志中的序号 · the proposal's entry in the log")],
    services: Serving,
    visit: Annotated[Visit, door("cap_raise")],
) -> AccountView:
    acts.confirm_cap(services.register, id, proposal=proposal, by=visit.principal.id)
    return account_view(_known(services, id))


def _known(services: Services, account: str) -> ledger.Balance:
    balances = ledger.balances(services.register, [account])
    if not balances:
        raise LEDGER_ACCOUNT_UNKNOWN(account=account)
    return balances[0]


def _view(proposal: proposals.CapProposal) -> CapProposalView:
    return CapProposalView(
        proposal=proposal.entry,
        account=proposal.account,
        cap=LossView.of(proposal.cap, SHOWN_AT_DELTA),
        reason=proposal.reason,
        by=proposal.by,
        at=proposal.at,
        raised_by=proposal.raised_by,
        raised_at=proposal.raised_at,
    )
