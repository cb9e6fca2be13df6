"""A small world that is allowed everything it asks, and one way per rule to spoil it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from policies.catalogue import Block, Catalogue, Column, Dataset, Model, Snapshot, Use, dataset_from_toml
from policies.decide import PlanFacts, RequestFacts
from policies.licence import Licence, licence_from_toml
from policies.loss import Loss

M = TypeVar("M", bound=Model)
CAP = Loss(20_000_000_000, 10_000_000_000)  # what the licence lets one job spend
NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)

VISITS = """
name = "visits"
title = {zh = "就诊", en = "Visits"}
registration_no = "140000-2026-0001"
source_body = {zh = "省卫生健康委", en = "Health Commission"}
acquired_on = 2026-01-01
updated_on = 2026-02-01
grade = "general-3"
share = {attribute = "unconditional", reason = {zh = "民生", en = "public service"}, basis = "目录"}
unit = {column = "person", space = "person", title = {zh = "个人", en = "person"}}
bounds = {groups_per_unit = 4, rows_per_group = 3}
approximate_rows = 1000000

[[columns]]
name = "person"
type = "integer"
title = {zh = "个人", en = "person"}
uses = ["filter", "join"]

[[columns]]
name = "City"
type = "integer"
title = {zh = "城市", en = "city"}
domain = [1, 2, 3]

[[columns]]
name = "fee"
type = "decimal"
title = {zh = "费用", en = "fee"}
uses = ["filter", "aggregate"]
low = 0
high = 10000.50
decimals = 2
"""

CITIES = """
name = "cities"
title = {zh = "城市", en = "Cities"}
registration_no = "140000-2026-0002"
source_body = {zh = "省民政厅", en = "Civil Affairs"}
acquired_on = 2026-01-01
updated_on = 2026-02-01
grade = "general-1"
share = {attribute = "unconditional", reason = {zh = "公开", en = "public"}, basis = "目录"}
approximate_rows = 11

[[columns]]
name = "city"
type = "integer"
title = {zh = "城市", en = "city"}
uses = ["join", "key"]
"""

LICENCE = """
id = "SX-2026-007"
operator = "op-1"
title = {zh = "医疗分析", en = "Care analysis"}
scenarios = ["care-planning", "insurance"]
per_job = {rho = "0.02", delta = "1e-8"}
total = {rho = "1", delta = "1e-6"}
valid_from = 2026-01-01T00:00:00+08:00
valid_until = 2027-01-01T00:00:00+08:00
decision_document = "晋数决〔2026〕7号"

[[datasets]]
dataset = "visits"
"""


@dataclass
class Person:
    id: str = "op-1"
    role: str = "operator"
    status: str = "active"


@dataclass
class Reading:
    dataset: str
    version: int = 1
    digest: str = "a" * 64
    columns: tuple[str, ...] = ("person", "city", "fee")


@dataclass
class Using:
    dataset: str
    column: str
    use: Use


def changed(model: M, **changes: Any) -> M:
    """A model with fields replaced, validated anew."""
    return type(model).model_validate(dict(model) | changes)


@dataclass
class World:
    """Mutable on purpose: the ways to spoil it add up."""

    principal: Person = field(default_factory=Person)
    licence: Licence | None = field(default_factory=lambda: licence_from_toml(LICENCE))
    licence_state: Any = "active"
    scenario: str = "care-planning"
    job_kind: str = "sql"
    frozen: frozenset[str] = frozenset()
    visits: Dataset = field(default_factory=lambda: dataset_from_toml(VISITS))
    cities: Dataset = field(default_factory=lambda: dataset_from_toml(CITIES))
    version: int = 1
    uses: tuple[Using, ...] = (Using("Visits", "CITY", "key"), Using("visits", "fee", "aggregate"), Using("cities", "city", "join"))
    price: Loss = CAP

    def request(self) -> RequestFacts:
        return RequestFacts(self.principal, self.licence, self.licence_state, self.scenario, self.job_kind, self.frozen, "SX-2026-007")

    def plan(self) -> PlanFacts:
        snapshots = tuple(Snapshot(dataset=dataset, version=1, digest="a" * 64) for dataset in (self.visits, self.cities))
        reads = (Reading("visits", self.version), Reading("CITIES", columns=("city",)))
        return PlanFacts(self.request(), Catalogue(snapshots), reads, self.uses, self.price)

    def grant(self, **changes: Any) -> None:
        assert self.licence is not None
        self.licence = changed(self.licence, datasets=(changed(self.licence.datasets[0], **changes),))

    def column(self, name: str, **changes: Any) -> None:
        columns = tuple(changed(column, **changes) if column.name == name else column for column in self.visits.columns)
        self.visits = changed(self.visits, columns=columns)


def _set(**changes: Any) -> Callable[[World], None]:
    def spoil(world: World) -> None:
        for name, value in changes.items():
            setattr(world, name, value)

    return spoil


def _person(**changes: Any) -> Callable[[World], None]:
    return lambda world: setattr(world, "principal", replace(world.principal, **changes))


def _licence(**changes: Any) -> Callable[[World], None]:
    return lambda world: setattr(world, "licence", changed(world.licence, **changes))


def _freeze(what: str) -> Callable[[World], None]:
    return lambda world: setattr(world, "frozen", world.frozen | {what})


def _share(attribute: str) -> Callable[[World], None]:
    return lambda world: setattr(world, "visits", changed(world.visits, share=changed(world.visits.share, attribute=attribute)))


def _only(uses: dict[str, tuple[str, ...]]) -> Callable[[World], None]:
    return lambda world: world.grant(columns=[{"name": name, "uses": list(given)} for name, given in uses.items()])


def _important_at_full_price(world: World) -> None:
    """Approved twice, yet at the price of any other data."""
    world.visits = changed(world.visits, grade="important")
    world.grant(second_approval="晋数决〔2026〕8号")


def _important_at_a_low_price(world: World) -> None:
    world.visits = changed(world.visits, grade="important")
    world.price = Loss(5_000_000_000, 10_000_000_000)


def _exact_of_important(world: World) -> None:
    """Everything that a noised job on important data would need."""
    _important_at_a_low_price(world)
    world.grant(second_approval="晋数决〔2026〕8号")
    _licence(job_kinds=("sql", "exact"))(world)
    world.job_kind = "exact"


def _by_month(world: World) -> None:
    """The same data with budgets by month: units under other names, and a day that every row has."""
    assert world.visits.unit is not None
    day = Column.model_validate(
        {"name": "day", "type": "date", "title": world.visits.title, "nullable": False, "low": "2026-01-01", "high": "2026-12-31"}
    )
    world.column("person", uses=("join", "distinct"), low=None, high=None)
    unit, columns = changed(world.visits.unit, pseudonym=True), (*world.visits.columns, day)
    world.visits = changed(world.visits, columns=columns, unit=unit, block=Block(column="day", period="month"))


# rule → how to break it and nothing else
SPOIL: dict[str, Callable[[World], None]] = {
    "licence_role": _person(role="builder"),
    "licence_operator_inactive": _person(status="suspended"),
    "licence_everything_frozen": _freeze("everything"),
    "licence_operator_frozen": _freeze("operator:op-1"),
    "licence_not_held": _licence(operator="op-2"),
    "licence_state": _set(licence_state="suspended"),
    "licence_frozen": _freeze("licence:SX-2026-007"),
    "licence_term": _licence(valid_until=NOW),
    "licence_scenario": _set(scenario="advertising"),
    "licence_job_kind": _set(job_kind="program"),
    "licence_price": _set(price=Loss(20_000_000_001, 0)),
    "licence_important_price": _important_at_full_price,
    "licence_exact_grade": _exact_of_important,
    "licence_data_unregistered": _set(version=2),
    "licence_dataset": lambda world: world.grant(dataset="other"),
    "licence_column_use": _only({"CITY": ("filter",), "fee": ("aggregate",)}),
    "licence_catalogue_use": lambda world: setattr(world, "uses", (*world.uses, Using("visits", "person", "key"))),
    "licence_core_grade": lambda world: world.column("fee", grade="core"),
    "licence_important_grade": _important_at_a_low_price,
    "licence_share_none": _share("none"),
    "licence_share_conditional": _share("conditional"),
    "licence_dataset_frozen": _freeze("dataset:VISITS"),
    "licence_period_budget": _by_month,
}
REQUEST_RULES = frozenset(list(SPOIL)[:10])
