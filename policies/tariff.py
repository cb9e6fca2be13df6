"""The tariff of a licence: what is paid for, at which government-guided price, what is free, who shares in the revenue.

Implementing Opinion Jinshufa [2025] 3, part 2 (3) item 8: products and services for public governance and public welfare are free under
conditions; those operated for industry, where a charge is needed, are priced under government guidance by scenario; revenue goes to who
invests and contributes. Government Data Regulation (2020 draft) art. 21: income is divided by contribution, and the part that is the
government's is paid into the treasury of its level. Guided price means a base and a band (Price Law of 1997, art. 3).

Amounts are yuan as decimals in the file, whole fen in every fee. `policies/fees.py` computes with what is declared here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

import rfc8785
from pydantic import Field, model_validator

from policies.catalogue.base import Identifier, Model, Name, Title
from policies.catalogue.dataset import Catalogue
from policies.period import PeriodKind
from policies.reasons import Fault, Reason, all_wrong

Measure = Literal["release", "call", "row", "byte", "compute_second", "rho", "epsilon", "month"]


@dataclass(frozen=True, slots=True)
class Counted:
    """How a measure is counted: `scale` whole counts make one of what is priced."""

    scale: int
    zh: str
    en: str


MEASURES: Mapping[Measure, Counted] = {
    "release": Counted(1, "发布结果", "release"),
    "call": Counted(1, "次（发布或交付）", "call: a release, or its delivery"),
    "row": Counted(1, "发布的行", "row released"),
    "byte": Counted(1, "发布的字节", "byte released, as Arrow"),
    "compute_second": Counted(10**3, "计算秒（公开时点的时长）", "second of the public slot"),
    "rho": Counted(10**12, "隐私损失 ρ", "privacy loss rho"),
    "epsilon": Counted(10**6, "隐私损失 ε（√2ρ）", "privacy loss epsilon, as √(2ρ)"),
    "month": Counted(1, "月", "month begun"),
}
MAX_YUAN = 1_000_000  # of one price: with it no fee outgrows 64 bits, so that pricing a release cannot fail
ROUNDING = Decimal(1_000_000)  # micro-yuan in a yuan: the finest price
Yuan = Annotated[Decimal, Field(ge=0, le=MAX_YUAN, decimal_places=6)]
Money = Annotated[Decimal, Field(ge=0, le=10**13, decimal_places=2)]
Bound = Annotated[Decimal, Field(ge=0, le=10**12, decimal_places=6)]


class Tier(Model):
    """What lies above `above`, up to and including `up_to` (None: without end), costs `price` for each `per` of it."""

    above: Bound
    up_to: Bound | None = None
    price: Yuan


class Guided(Model):
    """政府指导价: the base price, and how far in percent a price may lie above and below it."""

    base: Yuan
    up_percent: int = Field(default=0, ge=0, le=1000)
    down_percent: int = Field(default=100, ge=0, le=100)

    def admits(self, price: Decimal) -> bool:
        return self.base * (100 - self.down_percent) <= price * 100 <= self.base * (100 + self.up_percent)


class Item(Model):
    """One priced measure; `scenarios` None: in every scenario. Tiers count from the start of each settlement period, each unit at the price of
    its tier."""

    name: Identifier
    title: Title
    measure: Measure
    per: int = Field(default=1, ge=1, le=10**9)
    price: Yuan | None = None
    tiers: tuple[Tier, ...] = Field(default=(), max_length=20)
    guided: Guided | None = None
    ceiling: Yuan | None = None
    scenarios: tuple[Identifier, ...] | None = Field(default=None, min_length=1)

    @property
    def prices(self) -> tuple[Decimal, ...]:
        return (self.price,) if self.price is not None else tuple(tier.price for tier in self.tiers)

    @property
    def steps(self) -> tuple[tuple[int, int | None, int], ...]:
        """(from, to, micro-yuan for each `per`), in whole counts of the measure."""
        if self.price is not None:
            return ((0, None, int(self.price * ROUNDING)),)
        scale = MEASURES[self.measure].scale
        return tuple(
            (int(tier.above * scale), None if tier.up_to is None else int(tier.up_to * scale), int(tier.price * ROUNDING))
            for tier in self.tiers
        )

    def applies(self, measure: Measure, scenario: str | None) -> bool:
        return self.measure == measure and (self.scenarios is None or scenario in self.scenarios)

    @model_validator(mode="after")
    def _priced(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise all_wrong(faults)
        return self

    def _faults(self) -> Iterator[Fault]:
        if (self.price is None) == (not self.tiers):
            yield Fault((), "price 与 tiers 须写且只写一项", "give price or tiers, one of them")
            return
        if self.measure == "month" and self.scenarios is not None:
            yield Fault(("scenarios",), "按月计费不分场景", "a monthly fee has no scenarios")
        yield from self._tier_faults()
        if self.guided is None and self.ceiling is None and any(self.prices):
            yield Fault(
                (),
                "收费项目实行政府指导价，须写 guided（基准价与浮动幅度）或 ceiling（最高价）",
                "what is charged for is priced under guidance: give guided or ceiling",
            )
        for place, price in zip(self._places(), self.prices, strict=True):
            if self.ceiling is not None and price > self.ceiling:
                yield Fault(place, f"价格高于最高价 {self.ceiling} 元", f"the price is above its ceiling of {self.ceiling} yuan")
            if self.guided is not None and not self.guided.admits(price):
                yield Fault(place, "价格不在政府指导价的浮动幅度之内", "the price is outside the band of its guided price")

    def _places(self) -> tuple[tuple[str | int, ...], ...]:
        return (("price",),) if self.price is not None else tuple(("tiers", number, "price") for number in range(len(self.tiers)))

    def _tier_faults(self) -> Iterator[Fault]:
        scale = MEASURES[self.measure].scale
        end: Decimal | None = Decimal(0)
        for number, tier in enumerate(self.tiers):
            at = ("tiers", number)
            if any(bound is not None and (bound * scale) % 1 for bound in (tier.above, tier.up_to)):
                yield Fault(at, "档位界限小于最小计量单位", "a tier ends within one count of its measure")
            if tier.up_to is not None and tier.up_to <= tier.above:
                yield Fault(at, "档位的上限须高于其下限", "the tier ends before it starts")
            if end is None or tier.above < end:
                yield Fault(at, "档位重叠：须从上一档的上限开始", "tiers overlap: each starts where the one before ends")
            elif tier.above > end:
                yield Fault(
                    at,
                    "档位之间有空缺：须从上一档的上限开始，第一档从 0 开始",
                    "a gap between tiers: each starts where the one before ends, the first at 0",
                )
            end = tier.up_to
        if self.tiers and end is not None:
            yield Fault(("tiers", len(self.tiers) - 1), "最后一档不写上限", "the last tier has no end")


class Free(Model):
    """有条件无偿使用: in this scenario nothing is charged, on the condition stated and by the document named."""

    scenario: Identifier
    condition: Title
    document: str = Field(min_length=1, max_length=200)


class Body(Model):
    """Who shares in revenue: the body that data comes from, the treasury of its level, or who runs the platform."""

    id: Identifier
    title: Title
    role: Literal["source", "treasury", "platform"] = "source"


class Contribution(Model):
    """What a dataset contributes: its `weight` among the datasets of a release, and how its part is shared, in percent by body."""

    dataset: Name
    weight: int = Field(default=1, ge=1, le=1_000_000)
    shares: dict[Identifier, Annotated[Decimal, Field(gt=0, le=100, decimal_places=2)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if sum(self.shares.values()) != 100:
            raise all_wrong([Fault(("shares",), "各方份额之和须为 100%", "the shares must add up to 100 percent")])
        return self


class Tariff(Model):
    """`period` is what tiers, allowed revenue and statements are counted by; revenue beyond `allowed_revenue` uses up the next period's."""

    document: str = Field(min_length=1, max_length=200, description="定价文件号")
    currency: Literal["CNY"] = "CNY"
    period: PeriodKind = "month"
    allowed_revenue: Money | None = None
    items: tuple[Item, ...] = Field(min_length=1, max_length=100)
    free: tuple[Free, ...] = ()
    bodies: tuple[Body, ...] = Field(min_length=1, max_length=200)
    contributions: tuple[Contribution, ...] = Field(min_length=1)

    @property
    def digest(self) -> str:
        """Names this tariff, whatever licence it stands in: SHA-256 of its canonical JSON (RFC 8785)."""
        return _digest(self.model_dump_json())

    @property
    def allowed_fen(self) -> int | None:
        return None if self.allowed_revenue is None else int(self.allowed_revenue * 100)

    def is_free(self, scenario: str | None) -> bool:
        return any(each.scenario == scenario for each in self.free)

    def item_for(self, measure: Measure, scenario: str | None) -> Item | None:
        return next((item for item in self.items if item.applies(measure, scenario)), None)

    def weights(self, datasets: Iterable[str]) -> dict[str, int]:
        """What each body's part of a fee is in proportion to, in a hundredth of a percent times the dataset's weight; bodies in order of id.
        Datasets that contribute nothing here (an older release's, taken out by an amendment) leave all that do."""
        named = {name.casefold() for name in datasets}
        found: dict[str, int] = {}
        for each in [each for each in self.contributions if each.dataset.casefold() in named] or self.contributions:
            for body, percent in each.shares.items():
                found[body] = found.get(body, 0) + each.weight * int(percent * 100)
        return dict(sorted(found.items()))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise all_wrong(faults)
        return self

    def _faults(self) -> Iterator[Fault]:
        yield from _twice("items", [item.name for item in self.items], "项目名称", "item names")
        yield from _twice("bodies", [body.id for body in self.bodies], "分配方", "bodies")
        yield from _twice("contributions", [each.dataset.casefold() for each in self.contributions], "数据集", "datasets")
        yield from _twice("free", [each.scenario for each in self.free], "场景", "scenarios")
        for number, item in enumerate(self.items):
            if any(_meet(item, other) for other in self.items[:number]):
                zh, en = "同一计量在同一场景下定了两次价", "the same measure is priced twice in one scenario"
                yield Fault(("items", number), zh, en)
        known = {body.id for body in self.bodies}
        for number, each in enumerate(self.contributions):
            for body in each.shares.keys() - known:
                zh, en = f"没有列出分配方 {body}", f"there is no body {body}"
                yield Fault(("contributions", number, "shares", body), zh, en)

    def faults_in(self, datasets: Iterable[str], scenarios: Iterable[str]) -> Iterator[Fault]:
        """What of it does not fit a licence with these datasets and scenarios."""
        granted, named = {name.casefold(): name for name in datasets}, set(scenarios)
        contributing = {each.dataset.casefold() for each in self.contributions}
        for number, each in enumerate(self.contributions):
            if each.dataset.casefold() not in granted:
                yield Fault(("tariff", "contributions", number), "协议没有授权这个数据集", "the licence does not grant this dataset")
        for missing in sorted(granted.keys() - contributing):
            zh, en = f"没有写明数据集 {granted[missing]} 的收益份额", f"dataset {granted[missing]} has no share in the revenue"
            yield Fault(("tariff", "contributions"), zh, en)
        asked: list[tuple[tuple[str | int, ...], str]] = [
            (("tariff", "free", at, "scenario"), each.scenario) for at, each in enumerate(self.free)
        ]
        asked += [(("tariff", "items", at, "scenarios"), name) for at, item in enumerate(self.items) for name in item.scenarios or ()]
        for place, scenario in asked:
            if scenario not in named:
                yield Fault(place, f"协议没有场景 {scenario}", f"the licence has no scenario {scenario}")

    def reasons_beside(self, catalogue: Catalogue, datasets: Iterable[str]) -> Iterator[Reason]:
        """What of it does not fit the catalogue: a body said to be a source that is registered as the source of none of the datasets."""
        sources = {catalogue[name].dataset.source_body.zh for name in datasets if name in catalogue}
        for number, body in enumerate(self.bodies):
            if body.role == "source" and body.title.zh not in sources:
                zh = "协议内的数据集没有登记这个来源部门；请与数据目录的 source_body 一致，或写明 role"
                en = "no dataset of the licence is registered as coming from this body: write it as the catalogue does, or give its role"
                yield Reason(f"tariff.bodies[{number}]({body.id})", zh, en)

    def faults_after(self, before: Tariff) -> Iterator[Fault]:
        """See `succession_faults`."""
        if self.period != before.period:
            yield Fault(("tariff", "period"), "结算周期不得变更；请另订协议", "the settlement period cannot change: make another licence")
        titles = {body.id: (body.title, body.role) for body in before.bodies}
        for number, body in enumerate(self.bodies):
            if titles.get(body.id, (body.title, body.role)) != (body.title, body.role):
                yield Fault(("tariff", "bodies", number), "同一标识不得改指另一分配方", "an id cannot come to mean another body")


@lru_cache(maxsize=1024)
def _digest(text: str) -> str:
    return hashlib.sha256(rfc8785.dumps(json.loads(text))).hexdigest()


def succession_faults(before: Tariff | None, after: Tariff | None) -> Iterator[Fault]:
    """What keeps a tariff from taking the place of another in an amendment: accounts that run across it would not add up."""
    if before is not None and after is None:
        yield Fault(("tariff",), "价目不得取消；不再收费的，请把价格改为 0", "a tariff cannot be taken out: set its prices to 0")
    elif before is not None and after is not None:
        yield from after.faults_after(before)


def _twice(field: str, names: list[str], zh: str, en: str) -> Iterator[Fault]:
    for number, name in enumerate(names):
        if name in names[:number]:
            yield Fault((field, number), f"{zh}重复", f"{en} are given once")


def _meet(one: Item, other: Item) -> bool:
    everywhere = one.scenarios is None or other.scenarios is None
    return one.measure == other.measure and (everywhere or not set(one.scenarios or ()).isdisjoint(other.scenarios or ()))


def example() -> dict[str, Any]:
    """A small tariff as a file states it: for documentation and tests."""
    return {
        "document": "晋发改价格〔2026〕1号",
        "period": "quarter",
        "allowed_revenue": "1000000.00",
        "items": [
            {
                "name": "release",
                "title": {"zh": "统计结果", "en": "statistical release"},
                "measure": "release",
                "price": "120.00",
                "guided": {"base": "100.00", "up_percent": 20, "down_percent": 50},
            }
        ],
        "bodies": [{"id": "health", "title": {"zh": "省卫生健康委员会", "en": "Health Commission"}}],
        "contributions": [{"dataset": "visits", "shares": {"health": "100"}}],
    }
