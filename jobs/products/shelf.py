"""The builders' catalogue: products found by what people type, and what can be said of one without costing anything: quality, freshness, price,
a first look. All from what was released."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from jobs import directory, fees
from jobs.products.copies import Copies
from jobs.products.seen import Product, Version
from policies.catalogue.search import LIMIT, found_in, grams
from policies.fees import USAGE_OF_DELIVERY, Fee, fee_of
from policies.period import Period
from sandbox.finish.formats import json_values
from sandbox.finish.streams import batches_of

PREVIEW_ROWS = 10
PREVIEW_SHARE = 10  # a tenth of the table at most
MEASURED_ROWS = 100_000  # quality is told of the first so many


def search(products: Iterable[Product], question: str) -> list[Product]:
    """Those in which every word of the question is found somewhere, best first; all, in their order, for a question without words."""
    wanted = grams(question[:LIMIT])
    scored: list[tuple[int, int, Product]] = []
    for product in products:
        best = dict.fromkeys(wanted, 0)
        for weight, text in _fields(product):
            there = grams(text)
            for gram in wanted:
                if weight > best[gram] and found_in(gram, there):
                    best[gram] = weight
        if all(best.values()):
            scored.append((-sum(best.values()), len(scored), product))
    return [product for _, _, product in sorted(scored, key=lambda each: each[:2])]


def _fields(product: Product) -> Iterable[tuple[int, str]]:
    description = product.description
    yield 8, f"{product.id} {product.code or ''}"
    yield 6, f"{description.title.zh} {description.title.en}"
    yield 4, " ".join(description.keywords)
    yield 2, f"{description.about.zh} {description.about.en} {product.operator}"
    for version in product.versions[-1:]:
        yield 3, version.document["scenario"]
        for source in version.document["sources"]:
            yield 3, f"{source['dataset']} {source['registration_no']} {source['source_body']['zh']} {source['source_body']['en']}"
        for column in version.document["table"]["columns"]:
            yield 2, column["name"]


def price(connection: Connection, version: Version, at: datetime) -> Fee | None:
    """What one delivery of it would cost now; None under a licence without a tariff."""
    held = directory.licence(connection, version.licence)
    tariff = held.licence.tariff if held is not None else None
    if tariff is None:
        return None
    before = fees.totals(connection, version.licence, Period.holding(tariff.period, at), tariff.digest)
    datasets = sorted({source["dataset"] for source in version.document["sources"]})
    return fee_of(tariff, USAGE_OF_DELIVERY, scenario=version.document["scenario"], datasets=datasets, before=before)


@dataclass(frozen=True, slots=True)
class Quality:
    """Of a column with half-widths: the median of half-width over value, in per cent (None without any), and how many rows have no value."""

    column: str
    percent: float | None
    missing: int


def quality(copies: Copies, version: Version) -> tuple[Quality, ...]:
    pairs = tuple(
        (column["name"], column["half_width_column"]) for column in version.document["table"]["columns"] if "half_width_column" in column
    )
    return _quality(copies.bytes_for(version, None, "arrow").path, pairs)


@lru_cache(maxsize=512)  # a stored table never changes
def _quality(path: Path, pairs: tuple[tuple[str, str], ...]) -> tuple[Quality, ...]:
    ratios: dict[str, list[float]] = {name: [] for name, _ in pairs}
    missing = dict.fromkeys(ratios, 0)
    seen = 0
    for batch in batches_of([path]):
        for name, width in pairs:
            for value, half in zip(batch.column(name).to_pylist(), batch.column(width).to_pylist(), strict=True):
                if value is None:
                    missing[name] += 1
                elif half is not None and value:
                    ratios[name].append(abs(float(half) / float(value)))
        seen += batch.num_rows
        if seen >= MEASURED_ROWS:
            break
    return tuple(Quality(name, 100 * statistics.median(found) if found else None, missing[name]) for name, found in ratios.items())


def preview(copies: Copies, version: Version) -> list[dict[str, Any]]:
    """The first rows, ten at most and never more than a tenth: a look, not the product."""
    wanted = min(PREVIEW_ROWS, version.rows // PREVIEW_SHARE)
    rows: list[dict[str, Any]] = []
    for batch in batches_of([copies.bytes_for(version, None, "arrow").path]):
        if len(rows) >= wanted:
            break
        part = batch.slice(0, wanted - len(rows))
        columns = [json_values(column) for column in part.columns]
        rows += [dict(zip(part.schema.names, values, strict=True)) for values in zip(*columns, strict=True)]
    return rows
