"""A tariff in words: what an agreement's paper says of prices, free use and shares."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from policies.tariff import MEASURES, Item, Tariff

Row = tuple[tuple[str, str], str, str]  # label in both languages, then what stands beside it, in each
PERIODS = {"month": ("按月", "monthly"), "quarter": ("按季", "quarterly"), "year": ("按年", "yearly")}


def yuan(amount: Decimal) -> str:
    """
    >>> yuan(Decimal("1200")), yuan(Decimal("0.005"))
    ('1,200.00', '0.005')
    """
    return f"{amount:,.2f}" if amount == amount.quantize(Decimal("0.01")) else f"{amount.normalize():,f}"


def price_rows(tariff: Tariff) -> Iterator[Row]:
    """The whole tariff, a row for each thing."""
    yield ("定价文件", "Pricing document"), tariff.document, tariff.document
    yield ("结算周期", "Settled"), *PERIODS[tariff.period]
    if tariff.allowed_revenue is not None:
        allowed = yuan(tariff.allowed_revenue)
        yield (
            ("每周期准许收入", "Allowed revenue a period"),
            f"{allowed} 元；超出部分结转，在下一周期扣减",
            f"CNY {allowed}; what is beyond is carried over and deducted from the next",
        )
    for item in tariff.items:
        yield (item.title.zh, item.title.en), *_item(item)
    for free in tariff.free:
        yield (
            ("有条件无偿使用", "Free under a condition"),
            f"场景 {free.scenario}：{free.condition.zh}（{free.document}）",
            f"scenario {free.scenario}: {free.condition.en} ({free.document})",
        )
    titles = {body.id: body.title for body in tariff.bodies}
    for each in tariff.contributions:
        zh = "、".join(f"{titles[body].zh} {percent}%" for body, percent in each.shares.items())
        en = ", ".join(f"{titles[body].en} {percent}%" for body, percent in each.shares.items())
        yield (
            ("收益分配", "Shares in the revenue"),
            f"{each.dataset}（权重 {each.weight}）：{zh}",
            f"{each.dataset} (weight {each.weight}): {en}",
        )


def _item(item: Item) -> tuple[str, str]:
    counted = MEASURES[item.measure]
    zh_unit, en_unit = (counted.zh, counted.en) if item.per == 1 else (f"{item.per:,} {counted.zh}", f"{item.per:,} of: {counted.en}")
    if item.price is not None:
        zh, en = f"每{zh_unit} {yuan(item.price)} 元", f"CNY {yuan(item.price)} for each {en_unit}"
    else:
        zh = f"每{zh_unit}，" + "；".join(f"{tier.above:,} 以上 {yuan(tier.price)} 元" for tier in item.tiers)
        en = f"for each {en_unit}: " + "; ".join(f"above {tier.above:,} CNY {yuan(tier.price)}" for tier in item.tiers)
    if item.scenarios is not None:
        zh, en = f"{zh}（场景 {'、'.join(item.scenarios)}）", f"{en} (scenarios {', '.join(item.scenarios)})"
    if item.guided is not None:
        guided = item.guided
        zh += f"；政府指导价：基准价 {yuan(guided.base)} 元，上浮不超过 {guided.up_percent}%，下浮不超过 {guided.down_percent}%"
        en += f"; guided price: base CNY {yuan(guided.base)}, at most {guided.up_percent}% above and {guided.down_percent}% below"
    if item.ceiling is not None:
        zh, en = f"{zh}；最高价 {yuan(item.ceiling)} 元", f"{en}; ceiling CNY {yuan(item.ceiling)}"
    return zh, en
