"""Tracing: a file found where it should not be is held against the products that were delivered, and what came of it goes into the log.

Who answers for a product's use is known by the mark in its copy
(《山西省关于促进数据要素市场化配置改革的实施意见》（晋数发〔2025〕3号）二（六）17，水印溯源).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import pyarrow as pa
from sqlalchemy import select

from infra.database import reading
from infra.tables import deliveries, entitlements
from jobs.acts.products import PRODUCT_UNKNOWN, PRODUCT_VERSION
from jobs.events import ProductTraced
from jobs.products import seen
from jobs.products.seen import Version
from jobs.register import Register
from jobs.watermark import files
from jobs.watermark.marks import SAID, Marks
from jobs.watermark.trace import FALSE_ACCUSATION, Traced
from policies.problem import declare

NOTHING = declare(
    "product_trace_nothing",
    zh=("没有可比对的产品", "文件的列与任何带标记的产品都不相同。", "请核对列名；改过列名的文件请先改回，并用 --product 指明产品。"),
    en=(
        "There is no product to compare with",
        "No watermarked product has the columns of this file.",
        "Check the column names; if they were renamed, restore them, and name the product with --product.",
    ),
)
UNMARKED = declare(
    "product_unmarked",
    zh=(
        "该产品没有标记",
        "产品 {product} 第 {version} 版未加标记：{why_zh}。",
        "无法由文件追溯接收方；请用 yunei product deliveries 查看交付记录。",
    ),
    en=(
        "This product has no watermark",
        "Version {version} of product {product} has no watermark: {why_en}.",
        "The recipient cannot be traced from the file; run yunei product deliveries to see who received it.",
    ),
)


@dataclass(frozen=True, slots=True)
class Trace:
    """One version held against the file. `entry`: its place in the log."""

    product: str
    version: int
    traced: Traced
    entry: int


def trace(register: Register, marks: Marks, data: bytes, *, by: str, product: str | None = None, version: int | None = None) -> list[Trace]:
    """Whose copy the file is, the likeliest version first. Of `product` and `version`, or of whatever has columns of the file.

    The bound on false accusation is for the whole trace: it is shared out over all versions looked at. Raises `product_trace_file`,
    `product_unknown`, `product_version_unknown`, `product_unmarked`, `product_trace_nothing`."""
    table = files.read(data)
    wanted = _versions(register, product, version)
    if product is not None and wanted:
        without = [each for each in wanted if marks.kept(each).why is not None]
        if len(without) == len(wanted):
            zh, en = SAID[marks.kept(wanted[-1]).why or "no_columns"]
            raise UNMARKED(product=product, version=wanted[-1].number, why_zh=zh, why_en=en)
    found = _held(register, marks, table, wanted)
    if not found:
        raise NOTHING()
    digest = hashlib.sha256(data).hexdigest()
    made = []
    with register.transaction() as act:
        for one, traced in found:
            entry = act.append(_event(one, traced, digest, by))
            made.append(Trace(one.product, one.number, traced, entry))
    return made


def _held(register: Register, marks: Marks, table: pa.Table, wanted: list[Version]) -> list[tuple[Version, Traced]]:
    found = []
    for one in wanted:
        traced = marks.trace(one, table, _recipients(register, one), limit=FALSE_ACCUSATION / len(wanted))
        if traced is not None and traced.found:
            found.append((one, traced))
    return sorted(found, key=lambda each: (-len(each[1].accused), -each[1].found, each[0].product, each[0].number))


def _event(version: Version, traced: Traced, digest: str, by: str) -> ProductTraced:
    accused = [each for each in traced.recipients if each.accused]
    return ProductTraced(
        by=by,
        product=version.product,
        version=version.number,
        file_sha256=digest,
        rows=traced.rows,
        found=traced.found,
        cells=traced.cells,
        asked=len(traced.recipients),
        accused=tuple(each.recipient for each in accused),
        exponents=tuple(min(10_000, math.floor(-each.log10_chance)) for each in accused),
    )


def _versions(register: Register, product: str | None, version: int | None) -> list[Version]:
    """Recalled ones too: what is recalled may be found all the same."""
    with reading(register.engine) as connection:
        if product is None:
            return [each for one in seen.all_products(connection) for each in one.versions]
        one = seen.product(connection, product)
    if one is None:
        raise PRODUCT_UNKNOWN(product=product)
    wanted = [each for each in one.versions if version in (None, each.number)]
    if not wanted:
        raise PRODUCT_VERSION(product=product, version=version or 1)
    return wanted


def _recipients(register: Register, version: Version) -> list[str]:
    """Everybody who had it delivered or may have."""
    had = select(deliveries.c.recipient).where(deliveries.c.product == version.product, deliveries.c.version == version.number)
    may = select(entitlements.c.builder).where(entitlements.c.product == version.product)
    with reading(register.engine) as connection:
        return sorted({row[0] for query in (had, may) for row in connection.execute(query)})
