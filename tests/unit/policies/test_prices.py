"""The price list on an agreement's paper says all that the tariff does, in both languages."""

from __future__ import annotations

import re
from decimal import Decimal

from policies.agreement.clauses import Standing, articles
from policies.agreement.prices import price_rows, yuan
from policies.licence import licence_from_toml
from tests.unit.policies.test_tariff import CATALOGUE, TARIFF, stated
from tests.unit.policies.worlds import LICENCE


def test_every_amount_of_the_tariff_is_on_the_paper() -> None:
    for language in (1, 2):
        text = "\n".join(row[language] for row in price_rows(stated()))
        for amount in ("120.00", "100.00", "20%", "50%", "2.50", "1.00", "5.00", "1,000.00", "66.67%", "33.33%"):
            assert amount in text, (language, amount)
        assert "care-planning" in text
        assert "晋数〔2026〕9号" in text
    labels = [row[0] for row in price_rows(stated())]
    assert ("统计结果", "release") in labels
    assert all(re.search(r"[\u4e00-\u9fff]", zh) and en for zh, en in labels)


def test_a_price_finer_than_a_fen_is_not_rounded() -> None:
    assert [yuan(Decimal(text)) for text in ("0.000001", "1234.5", "0.50", "10")] == ["0.000001", "1,234.50", "0.50", "10.00"]


def test_the_paper_has_it_or_says_that_use_is_free() -> None:
    standing = Standing(1, "0" * 64, "active")
    for text, words in ((LICENCE + TARIFF, "基准价 100.00 元"), (LICENCE, "无偿使用")):
        found = articles(licence_from_toml(text), CATALOGUE, standing)
        assert any(words in value.zh for article in found for _, value in article.rows)
