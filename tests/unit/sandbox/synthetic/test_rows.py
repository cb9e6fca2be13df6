"""Rows of a model: counts rounded and no further, types and ranges as declared, a report that compares with measurements alone."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sandbox.plan.synthetic import Attribute
from sandbox.raw.marginals import levels_of
from sandbox.synthetic.infer import Measured, Model
from sandbox.synthetic.plots import picture
from sandbox.synthetic.report import quality, together
from sandbox.synthetic.rows import drawing_order, drawn_levels, shared_out, shown_level, synthetic_rows, values_of
from tests.recipes import in_columns, plan


def chance(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_levels_are_shared_out_to_within_one_row() -> None:
    table = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
    group = np.repeat([0, 1, 2], [101, 50, 7])
    levels = shared_out(table, group, chance())
    for place, rows in ((0, 101), (1, 50)):
        expected = rows * table[place] / table[place].sum()
        found = np.bincount(levels[group == place], minlength=3)
        assert np.abs(found - expected).max() < 1
    assert set(levels[group == 2]) <= {0, 1, 2}  # thought impossible, reached all the same: any level


def test_shares_are_right_on_average() -> None:
    table, group = np.array([[0.15, 0.85]]), np.zeros(3, dtype=np.int64)
    generator = chance()
    mean = np.mean([np.count_nonzero(shared_out(table, group, generator) == 0) for _ in range(4000)])
    assert mean == pytest.approx(0.45, abs=0.05)


def test_drawn_levels_have_the_models_marginals() -> None:
    generator = chance()
    sizes = (4, 3, 5, 2)
    given = {columns: generator.normal(0, 1, [sizes[place] for place in columns]) for columns in ((0, 1), (1, 2), (2, 3))}
    model = Model.of(sizes, 50_000.0, given)
    levels = drawn_levels(model, 50_000, generator)
    for columns in ((0,), (3,), (0, 1), (1, 2), (2, 3), (0, 3)):
        found = np.zeros([sizes[place] for place in columns])
        np.add.at(found, tuple(levels[:, place] for place in columns), 1)
        assert np.abs(found - model.marginal(columns)).sum() / 100_000 < 0.01
    assert {column for column, _ in drawing_order(model.tree)} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("attribute", "kind"),
    [
        (Attribute("a", "text", True, values=("甲", "乙")), pa.string()),
        (Attribute("a", "date", False, values=(date(2020, 1, 1),)), pa.date32()),
        (Attribute("a", "boolean", True, values=(False, True)), pa.bool_()),
        (Attribute("a", "integer", True, starts=(-3, 0, 900)), pa.int64()),
        (Attribute("a", "decimal", True, 2, starts=(-7, 0, 100_001)), pa.decimal128(18, 2)),
        (Attribute("a", "number", True, 3, starts=(-1000, 0, 1001)), pa.float64()),
        (Attribute("a", "date", True, starts=(-800, 4, 9000)), pa.date32()),
        (Attribute("a", "timestamp", True, starts=(-1, 0, 9000)), pa.timestamp("us")),
    ],
)
def test_values_have_the_stored_type_and_their_level(attribute: Attribute, kind: pa.DataType) -> None:
    levels = chance().integers(0, attribute.size, 500)
    values = values_of(attribute, levels, chance())
    assert values.type == kind
    assert levels_of(attribute, values).tolist() == levels.tolist()
    assert (values.null_count > 0) == attribute.nullable


def test_values_lie_anywhere_in_their_bin() -> None:
    values = values_of(Attribute("a", "integer", False, starts=(10, 20, 30)), np.ones(4000, dtype=np.int64), chance())
    assert set(values.to_pylist()) == set(range(20, 30))
    spread = np.bincount(values.to_numpy() - 20)
    assert spread.min() > 300
    assert spread.max() < 500


def test_the_table_has_the_columns_asked_and_no_unit() -> None:
    made = plan(rows=1000)
    model = Model.of(made.sizes, 777.0, {(place,): np.zeros(size) for place, size in enumerate(made.sizes)})
    table, levels = synthetic_rows(made, model, chance())
    assert table.column_names == [one.column for one in made.attributes]
    assert table.num_rows == len(levels) == 1000
    assert pc.min(table.column("fee")).as_py() >= Decimal(0)
    assert pc.max(table.column("fee")).as_py() <= Decimal(1000)
    assert synthetic_rows(plan(), model, chance())[0].num_rows == 777


def test_the_report_compares_with_what_was_measured() -> None:
    made, _ = in_columns({"a": np.zeros(1, dtype=np.int64), "b": np.zeros(1, dtype=np.int64)}, {"a": 2, "b": 2})
    measured = (
        Measured((0,), np.array([60.0, 40.0]), 2.0),
        Measured((0,), np.array([50.0, 50.0]), 2.0),
        Measured((0, 1), np.array([40.0, 20, 20, 20]), 4.0),
    )
    levels = np.array([[0, 0]] * 4 + [[0, 1]] * 2 + [[1, 0]] * 2 + [[1, 1]] * 2)
    report = quality(made, measured, levels, 100.0)
    assert [one.columns for one in report.marginals] == [("a",), ("a", "b")]
    assert report.marginals[0].distance == pytest.approx(0.05)  # 60, 40 beside 55, 45
    assert report.marginals[0].scale == pytest.approx(2**0.5)
    assert report.marginals[1].distance == 0
    assert report.columns[0].measured == (55, 45)
    assert report.columns[0].synthetic == (60, 40)
    assert json.loads(report.as_json())["mean_distance"] == pytest.approx(0.025)
    assert len(together(measured)) == 2


def test_the_picture_is_svg_without_script_and_escapes_names() -> None:
    made, _ = in_columns({"a": np.zeros(1, dtype=np.int64)}, {"a": 2})
    report = quality(made, [Measured((0,), np.array([-3.0, 9.0]), 2.0)], np.array([[0], [1]]), 2.0)
    sneaky = report.columns[0].__class__("a<script>", ("<x>", "&"), (1, 2), (2, 1), 1.0)
    drawn = picture(report.__class__(2, 2, report.marginals, (sneaky,)))
    root = ET.fromstring(drawn)
    assert root.tag.endswith("svg")
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert "<script" not in drawn
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")


def test_levels_are_shown_in_few_characters() -> None:
    assert shown_level(Attribute("a", "integer", True, starts=(0, 1, 5)), 0) == "0"
    assert shown_level(Attribute("a", "integer", True, starts=(0, 1, 5)), 1) == "1 … 4"
    assert shown_level(Attribute("a", "integer", True, starts=(0, 1, 5)), 2) == "NULL"
    assert shown_level(Attribute("a", "decimal", True, 2, starts=(0, 150)), 0) == "0 … 1.49"
    assert shown_level(Attribute("a", "date", True, starts=(0, 2)), 0) == "1970-01-01 … 1970-01-02"
