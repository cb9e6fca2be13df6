"""What is registered: datasets and accounts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, problems, roles
from api.schemas import AccountList
from api.services import Services
from api.views import accounts_view
from jobs import ledger
from jobs.directory import LicenceRecord
from jobs.ledger import Balance
from policies.catalogue import Catalogue

router = APIRouter(prefix="/v1", tags=["register"], route_class=Guarded)


@router.get(
    "/accounts",
    summary="隐私预算账户 · Privacy budget accounts",
    description="运营单位看到其协议涉及的账户；数据局看到全部账户。 · "
    "An operator sees the accounts its licences are charged to; the bureau sees all.",
    responses=problems(401, 403),
    openapi_extra=roles("account_list"),
)
def accounts(services: Serving, visit: Annotated[Visit, door("account_list")]) -> AccountList:
    if visit.only is None:
        return AccountList(accounts=accounts_view(ledger.balances(services.register)))
    return AccountList(accounts=accounts_view(accounts_under(services, services.register.licences(visit.only))))


def accounts_under(services: Services, records: list[LicenceRecord]) -> list[Balance]:
    """Every account that jobs under these licences are charged to."""
    catalogue = services.register.catalogue()
    return ledger.balances(services.register, {name for record in records for name in _named(catalogue, record)})


def accounts_of_each(services: Services, records: list[LicenceRecord]) -> dict[str, list[Balance]]:
    """The same, for each licence by itself, read at once."""
    catalogue = services.register.catalogue()
    names = {record.licence.id: _named(catalogue, record) for record in records}
    held = {balance.account: balance for balance in ledger.balances(services.register, set().union(*names.values()))}
    return {licence: [held[name] for name in sorted(own) if name in held] for licence, own in names.items()}


def _named(catalogue: Catalogue, record: LicenceRecord) -> set[str]:
    names = {ledger.licence_account(record.licence.id)}
    for granted in record.licence.datasets:
        snapshot = catalogue.get(granted.dataset)
        if snapshot is not None and snapshot.dataset.unit is not None:
            name, space = granted.dataset.casefold(), snapshot.dataset.space or ""
            windows = {name: [snapshot.dataset.periods]}
            names.update(
                ledger.accounts_of(space=space, datasets=[name], licence=record.licence.id, operator=record.licence.operator, windows=windows)
            )
    return names
