"""What forms of the console send: bodies that the interface takes, made of plain fields, and errands that end in the register."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import TypeAdapter

from api.console.charts import Bar, spans
from api.console.frame import parts_of
from api.console.pages.orders import model_of, program_of, synthetic_of
from api.console.pages.releases import spans_of
from api.console.said import RENEWED
from api.schemas.jobs import AnyJob
from policies.product.description import Renewed

JOB: TypeAdapter[object] = TypeAdapter(AnyJob)
PRICED = {"licence": "L-1", "scenario": "health-planning", "privacy": {"rho": "0.01"}}


def test_a_regression_is_what_the_form_says() -> None:
    fields = {
        "model": "logistic", "source": "visits", "target": "urgent", "iterations": "3", "clusters": "4", "intercept": "yes", "errors": "",
        "name0": "days", "low0": "0", "high0": "365", "name2": "fee", "missing2": "0.5", "name3": "city", "categories3": "1, 2，3", "name4": "",
    }  # fmt: skip
    body = model_of(fields)
    assert body == {
        "kind": "model", "model": "logistic", "source": "visits", "target": {"name": "urgent"}, "iterations": 3, "intercept": True,
        "features": [
            {"name": "days", "low": "0", "high": "365"},
            {"name": "fee", "missing": "0.5"},
            {"name": "city", "categories": [1, 2, 3]},
        ],
    }  # fmt: skip
    JOB.validate_python({**body, **PRICED})


def test_clusters_have_no_target_and_a_linear_model_no_iterations() -> None:
    fields = {
        "source": "visits",
        "target": "fee",
        "clusters": "3",
        "iterations": "2",
        "regularisation": "1",
        "name0": "days",
        "errors": "robust",
    }
    kmeans = model_of({**fields, "model": "kmeans"})
    assert {"target", "regularisation", "errors", "intercept"}.isdisjoint(kmeans)
    assert (kmeans["clusters"], kmeans["iterations"]) == (3, 2)
    linear = model_of({**fields, "model": "linear", "intercept": "no"})
    assert {"clusters", "iterations"}.isdisjoint(linear)
    assert linear["intercept"] is False
    for body in (kmeans, linear):
        JOB.validate_python({**body, **PRICED})


def test_a_synthetic_table_and_a_run_take_the_columns_that_are_ticked() -> None:
    ticked = {
        "dataset": "visits",
        "column:city": "1",
        "column:fee": "1",
        "bins:fee": "16",
        "bins:days": "8",
        "rows": "100",
        "rows_per_unit": "",
    }
    body = synthetic_of(ticked)
    assert body == {"kind": "synthetic", "dataset": "visits", "columns": ["city", "fee"], "bins": {"fee": 16}, "rows": 100}
    run = program_of({**ticked, "program": "ab" * 32, "parameter:scale": " 1.5 ", "parameter:deep": "true", "blocks": "", "seconds": "2"})
    assert run["tables"] == [{"dataset": "visits", "columns": ["city", "fee"]}]
    assert run["parameters"] == {"scale": "1.5", "deep": True}
    for each in (body, run):
        JOB.validate_python({**each, **PRICED})


def form(*parts: bytes, boundary: str = "x9") -> tuple[str, bytes]:
    marked = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return f"multipart/form-data; boundary={boundary}", marked + f"--{boundary}--\r\n".encode()


FILE = b'Content-Disposition: form-data; name="file"; filename="\xe8\xa1\xa8.csv"\r\nContent-Type: text/csv\r\n\r\n'


@pytest.mark.parametrize("content", [b"", b"a,b\r\n1,2\r\n", bytes(range(256)) * 40, b"--x", b"\r\n\r\n", b"x9--"])
def test_a_file_comes_out_of_a_form_byte_for_byte(content: bytes) -> None:
    fields, file = parts_of(*form(b'Content-Disposition: form-data; name="product"\r\n\r\nvisits', FILE + content))
    assert fields == {"product": "visits"}
    assert file == content


def test_what_is_no_form_has_no_fields() -> None:
    assert parts_of("multipart/form-data", b"--x\r\n") == ({}, b"")
    assert parts_of("multipart/form-data; boundary=x", b"") == ({}, b"")
    assert parts_of(*form(b"no head at all")) == ({}, b"")


def test_coefficients_are_spans_and_other_answers_are_not() -> None:
    columns = [{"label": "term", "half_width_column": None}, {"label": "estimate", "half_width_column": "estimate__half_width"}]
    rows = [{"term": "<days>", "estimate": 2.0, "estimate__half_width": 0.5}, {"term": "fee", "estimate": -1.0, "estimate__half_width": None}]
    found = spans_of(columns, rows)
    assert found == [Bar("<days>", 2.0, 0.5), Bar("fee", -1.0, None)]
    drawn = spans(found, "<t>")
    assert "<days>" not in drawn
    assert drawn.count('class="error"') == 1
    assert drawn.count("<circle") == 2
    assert spans_of([{"label": "city", "half_width_column": None}], [{"city": "A"}]) == []
    assert spans([], "t") == ""
    assert "nan" not in spans([Bar("a", float("nan")), Bar("b", 0.0, 0.0)], "t")


def test_how_often_a_product_is_renewed_has_words() -> None:
    assert set(RENEWED) == set(get_args(Renewed))
