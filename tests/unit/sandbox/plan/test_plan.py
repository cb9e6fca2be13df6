"""Ownership, prices, widths, shards: what a compiled plan promises beyond the cases of the spec."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from opendp import prelude as dp

from policies.loss import PICO
from policies.problem import Problem
from sandbox.plan import compile_job
from sandbox.plan.ask import Ask, Privacy
from sandbox.plan.explain import explain
from sandbox.plan.ir import Block, Derived, Filter, Group, Join, Owner, Relation, Scan, Select, Union, Unowned, block_owner, owner
from sandbox.plan.model import Plan
from sandbox.plan.plain import plain
from sandbox.plan.price import scale_for, threshold_for
from sandbox.plan.spread import discrete_half_width
from sandbox.sql.expr import Call, Column, Expr, Literal
from sandbox.sql.types import BOOLEAN, Type, exact
from tests.expressions import hurtful
from tests.questions import CATALOGUE, Engine, column, plan_for, snapshot, tables, with_part
from tests.spec.cases import cases

ENGINE = Engine()
ME = Owner("person", Column("s0", "pid", exact(None, None)))
MINE, YOURS, PUBLIC = Scan("s0", "a", ME), Scan("s1", "b", ME), Scan("s2", "c", None)
TRUE = Literal(True, BOOLEAN)


def test_ownership_rules() -> None:
    assert owner(MINE) is ME
    assert owner(PUBLIC) is None
    assert owner(Filter(MINE, TRUE)) is ME
    assert owner(Join(MINE, PUBLIC, "inner", TRUE)) is ME
    assert owner(Join(MINE, PUBLIC, "left", TRUE)) is ME
    assert owner(Join(PUBLIC, MINE, "inner", TRUE)) is ME
    assert owner(Join(PUBLIC, Scan("s3", "d", None), "left", TRUE)) is None
    for relation, why in (
        (Join(PUBLIC, MINE, "left", TRUE), "outer"),
        (Join(MINE, YOURS, "inner", TRUE), "two"),
        (Join(MINE, YOURS, "left", TRUE), "two"),
    ):
        with pytest.raises(Unowned) as caught:
            owner(Filter(relation, TRUE))
        assert caught.value.why == why


OTHERS = Scan("s4", "e", Owner("firm", Column("s4", "pid", exact(None, None))))
THEIRS = Scan("s5", "f", Owner("person", Column("s5", "pid", exact(None, None))))
NAMED = Scan("s6", "g", Owner("person", Column("s6", "pid", Type("text"))))
CITY, PID = Column("s0", "city", Type("text")), ME.unit


def unit_of(scan: Scan) -> Column:
    assert scan.owner is not None
    return scan.owner.unit


def equal(a: Expr, b: Expr) -> Call:
    return Call("eq", (a, b), BOOLEAN, "({0} = {1})")


def why(relation: Relation | Block) -> str | None:
    """The rule that refuses the relation; None when it is owned or public."""
    try:
        block_owner(relation) if isinstance(relation, (Select, Group, Union)) else owner(relation)
    except Unowned as unowned:
        return unowned.why
    return None


def test_ownership_of_joins() -> None:
    tie = equal(PID, unit_of(THEIRS))
    for kind in ("inner", "left", "semi", "anti"):
        assert why(Join(MINE, THEIRS, kind, tie)) is None
        assert why(Join(MINE, THEIRS, kind, Call("and", (TRUE, equal(unit_of(THEIRS), PID)), BOOLEAN, "({0} AND {1})"))) is None
        assert why(Join(MINE, THEIRS, kind, Call("or", (TRUE, tie), BOOLEAN, "({0} OR {1})"))) == "two"
        assert why(Join(MINE, THEIRS, kind, Call("ne", tie.args, BOOLEAN, "({0} <> {1})"))) == "two"
        assert why(Join(MINE, THEIRS, kind, equal(PID, Call("add", (unit_of(THEIRS), PID), PID.type, "({0} + {1})")))) == "two"
        assert why(Join(MINE, THEIRS, kind, None)) == "two"
        assert why(Join(MINE, OTHERS, kind, equal(PID, unit_of(OTHERS)))) == "spaces"
        assert why(Join(MINE, NAMED, kind, equal(PID, unit_of(NAMED)))) == "spaces"
        assert why(Join(PUBLIC, MINE, kind, TRUE)) == (None if kind == "inner" else "outer")
    inner, left = owner(Join(MINE, THEIRS, "inner", tie)), owner(Join(MINE, THEIRS, "left", tie))
    assert inner is not None
    assert inner.names(PID)
    assert inner.names(unit_of(THEIRS))
    assert left is not None
    assert left.names(PID)
    assert not left.names(unit_of(THEIRS))


def test_ownership_of_blocks() -> None:
    rank = Call("over", (PID, CITY), exact(None, None), "rank() OVER (PARTITION BY {0} ORDER BY {1})")
    across = Call("over", (CITY,), exact(None, None), "rank() OVER (ORDER BY {0})")
    count = Call("agg rows", (), exact(None, None), "count(*)")
    assert why(Select(MINE, (("c0", rank),))) is None
    assert why(Select(MINE, (("c0", across),))) == "window"
    assert why(Select(MINE, (), across)) == "window"
    assert why(Select(PUBLIC, (("c0", Call("over", (), exact(None, None), "rank() OVER ()")),))) is None
    assert why(Select(MINE, (("c0", count),))) == "aggregate"
    assert why(Group(MINE, (CITY,), (("c0", count),))) is None
    assert why(Group(MINE, (), (("c0", rank),))) == "window"
    assert why(Filter(MINE, across)) == "window"
    assert why(Join(MINE, PUBLIC, "inner", count)) == "aggregate"
    mine, theirs = Select(MINE, (("c0", PID),)), Select(THEIRS, (("c0", unit_of(THEIRS)),))
    assert why(Union(mine, theirs)) is None
    assert why(Union(mine, Select(PUBLIC, (("c0", TRUE),)))) == "union"
    assert why(Union(mine, Select(OTHERS, (("c0", unit_of(OTHERS)),)))) == "union"
    for block, named in ((mine, True), (Union(mine, theirs), True), (Union(mine, Select(THEIRS, (("c0", CITY),))), False)):
        whose = owner(Derived("s9", block))
        assert whose is not None
        assert whose.unit == Column("s9", "u", PID.type)
        assert whose.names(Column("s9", "c0", PID.type)) is named


def opendp_loss(plan: Plan) -> tuple[float, float]:
    """What OpenDP's own maps charge for the plan's draws."""
    dp.enable_features("contrib")
    rho = delta = 0.0
    for of, draw in [(part, draw) for part in plan.parts for draw in part.draws]:
        cap, groups = of.total(draw.total).cap, of.groups_per_unit
        if of.total(draw.total).branching:
            space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
            moved = cap * math.sqrt(groups * of.total(draw.total).levels)
            rho += dp.m.make_gaussian(*space, scale=draw.scale).map(math.nextafter(moved, math.inf))
        elif of.total(draw.total).kind == "quantile":
            space = dp.vector_domain(dp.atom_domain(T="i64")), dp.linf_distance(T="i64")
            part, whole = of.total(draw.total).quantile
            miss = cap if part in (0, whole) else cap * max(part, whole - part)
            rho += groups * dp.m.make_noisy_max(*space, dp.zero_concentrated_divergence(), scale=draw.scale).map(miss)
        elif draw.threshold is None:
            space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
            rho += dp.m.make_gaussian(*space, scale=draw.scale).map(math.nextafter(cap * math.sqrt(groups), math.inf))
        else:
            keyed = dp.map_domain(dp.atom_domain(T=str), dp.atom_domain(T="i64")), dp.l02inf_distance(dp.absolute_distance(T=float))
            measure = dp.m.make_gaussian_threshold(*keyed, scale=draw.scale, threshold=draw.threshold)
            mine, more = measure.map((groups, math.nextafter(cap * math.sqrt(groups), math.inf), float(cap)))
            rho, delta = rho + mine, delta + more
    return rho, delta


@pytest.mark.parametrize(
    "privacy", [{"epsilon": "1"}, {"epsilon": "0.01", "delta": "1e-12"}, {"rho": "0.5", "delta": "1e-5"}, {"epsilon": "7.77"}]
)
def test_the_price_is_what_opendp_charges(privacy: dict[str, Any]) -> None:
    for case in cases():
        if case.refused is not None:
            continue
        asked = case.ask.model_copy(update={"privacy": Privacy.model_validate(privacy)})
        plan = compile_job(case.sql, CATALOGUE, asked)
        rho, delta = opendp_loss(plan)
        price = plan.loss.pico_rho / PICO
        assert rho <= price <= rho * (1 + 1e-9) + 1e-12 * len(plan.draws)
        assert delta <= float(plan.loss.delta)
        if asked.privacy.epsilon is not None:
            assert plan.epsilon is not None
            assert plan.epsilon <= asked.privacy.epsilon + Decimal("0.000001")
            assert plan.epsilon > asked.privacy.epsilon * Decimal("0.999")
        else:
            assert asked.privacy.rho is not None
            assert price == pytest.approx(float(asked.privacy.rho), rel=1e-9)


def test_a_price_below_the_asked_one_is_noticed() -> None:
    """The comparison above has teeth: a scale one part in a million smaller costs more than the price."""
    plan = plan_for("SELECT COUNT(*) AS n FROM visits")
    rho, _ = opendp_loss(plan)
    assert (plan.only.total("t0").cap / (plan.draws[0].scale * (1 - 1e-6))) ** 2 / 2 > plan.loss.pico_rho / PICO > rho


@pytest.mark.parametrize("scale", [0.7, 3.0, 40.0, 1234.5])
@pytest.mark.parametrize("groups", [1, 3, 100])
@pytest.mark.parametrize("delta", ["1e-5", "5e-9", "1e-12"])
def test_the_threshold_hides_and_is_not_wasteful(scale: float, groups: int, delta: str) -> None:
    atto = int(Fraction(delta) * 10**18)
    threshold = threshold_for(scale, groups, atto)
    tail = 0.5 * math.erfc((threshold - 1) / scale / math.sqrt(2))
    assert groups * tail <= float(delta)
    assert groups * 0.5 * math.erfc((threshold - 4) / scale / math.sqrt(2)) > float(delta) * 0.9
    assert scale_for(1, groups, 10**9) > scale_for(1, groups, 10**9 + 1)


@pytest.mark.parametrize("shards", [1, 7, 64])
def test_shards_do_not_matter(shards: int) -> None:
    rng = random.Random(5)
    rows = [hurtful(rng, rng.randrange(60)) for _ in range(700)]
    for sql in (
        "SELECT note, dept, COUNT(*) AS n, SUM(score) AS s, AVG(fee) AS a FROM visits GROUP BY note, dept",
        "SELECT level, AVG(raw) FILTER (WHERE urgent) AS a FROM visits LEFT JOIN hospitals USING (hospital) GROUP BY level",
        "SELECT COUNT(DISTINCT pid) AS n FROM visits",
    ):
        plan = plan_for(sql, ranges={"raw": {"low": -5, "high": 5}} if "raw" in sql else {})
        whole = ENGINE.totals(plan, tables(rows))
        added: dict[Any, list[int]] = {}
        for shard in range(shards):
            part = [row for row in rows if row[0] % shards == shard]
            rng.shuffle(part)
            for key, values in ENGINE.totals(plan, tables(part)).items():
                added[key] = [a + b for a, b in zip(added.get(key, [0] * len(values)), values, strict=True)]
        assert {key: tuple(values) for key, values in added.items() if any(values)} == {key: v for key, v in whole.items() if any(v)}


def test_threads_and_order_do_not_matter() -> None:
    rng = random.Random(6)
    rows = [hurtful(rng, rng.randrange(60)) for _ in range(5000)]
    plan = plan_for("SELECT note, SUM(score) AS s, AVG(fee) AS a FROM visits GROUP BY note")
    first = ENGINE.totals(plan, tables(rows))
    rng.shuffle(rows)
    other = Engine()
    other.connection.execute("SET threads = 4")
    assert other.totals(plan, tables(rows)) == first


def test_the_choice_of_groups_follows_the_seed() -> None:
    rng = random.Random(8)
    rows = [hurtful(rng, rng.randrange(30)) for _ in range(900)]
    plan = plan_for("SELECT note, COUNT(*) AS n FROM visits GROUP BY note", groups_per_unit=1)
    assert ENGINE.totals(plan, tables(rows), 1) == ENGINE.totals(plan, tables(rows), 1)
    assert len({tuple(sorted(ENGINE.totals(plan, tables(rows), seed).items(), key=repr)) for seed in (1, 2, 2**64 - 1)}) == 3


def test_ranking_only_crowded_units_chooses_the_same_groups() -> None:
    plan = plan_for("SELECT city, year, COUNT(*) AS n, SUM(score) AS s FROM visits GROUP BY city, year")
    sql = plan.only.shard_sql
    assert "ANTI JOIN" in sql
    ranked = re.sub(
        r"SELECT \* FROM partial ANTI JOIN .* UNION ALL \((.*) SEMI JOIN crowded USING \(u\)(.*)\)\)", r"\1\2)", plan.only.shard_sql
    )
    assert "ANTI JOIN" not in ranked
    for seed in range(10):
        rng = random.Random(seed)
        data = tables([hurtful(rng, rng.randrange(80)) for _ in range(600)])
        assert ENGINE.totals(with_part(plan, shard_sql=ranked), data, seed) == ENGINE.totals(plan, data, seed)


def test_rows_outside_the_domain_take_no_place_among_the_chosen_groups() -> None:
    """A unit with one row in a public key and many outside keeps its public row, whatever the seed."""
    rng = random.Random(2)
    row = hurtful(rng, 1)
    rows = []
    for city in ("太原", "a", "b", "c", None, "d", "e"):
        rows.append([*row[:1], city, 2020, *row[3:]])
    plan = plan_for("SELECT city, year, COUNT(*) AS n FROM visits GROUP BY city, year", groups_per_unit=1)
    for seed in range(20):
        assert ENGINE.totals(plan, tables(rows), seed) == {("太原", 2020): (1,)}


def test_rows_come_in_the_asked_order_whatever_the_labels() -> None:
    plan = plan_for("SELECT COUNT(*) AS k0, city AS t0 FROM visits GROUP BY city ORDER BY city DESC")
    answer = ENGINE.finish(plan, {("太原",): (1,), ("大同",): (2,), ("o'Brien",): (3,)})
    assert [row["t0"] for row in answer] == ["太原", "大同", "o'Brien"]


def test_count_and_average_share_a_count() -> None:
    plan = plan_for("SELECT COUNT(fee) AS n, AVG(fee) AS a FROM visits", ranges={"fee": {"low": 0, "high": 100}})
    assert [total.kind for total in plan.only.totals] == ["count", "average"]


def test_an_average_keeps_each_units_own_average() -> None:
    """A unit with more rows than it may contribute is scaled down, not clamped to one end."""
    rng = random.Random(4)
    base = hurtful(rng, 1)
    rows = [[1, "太原", *base[2:5], Decimal("26000.00"), *base[6:]] for _ in range(100)]
    plan = plan_for("SELECT city, AVG(fee) AS a FROM visits GROUP BY city")
    answer = ENGINE.finish(plan, ENGINE.totals(plan, tables(rows)), empty=False)
    assert answer[0]["a"] == pytest.approx(26000)


def coverage(sql: str, truth: dict[str, int], label: str, value: float, rounds: int = 4000) -> float:
    """How often the half-width covers the exact value, over simulated noise."""
    plan = plan_for(sql)
    rng = np.random.default_rng(1)
    noisy = {(n,): tuple(round(truth[draw.total] + rng.normal(0, draw.scale)) for draw in plan.draws) for n in range(rounds)}
    fields = {f"t{i}": [row[i] for row in noisy.values()] for i in range(len(plan.only.totals))}
    import pyarrow as pa

    rows = ENGINE.query(plan.finish_sql, {"noisy": pa.table({"k0": ["太原"] * rounds, **fields})}).to_pylist()
    hits = [abs(row[label] - value) <= row[label + "__half_width"] + 1e-9 for row in rows if row[label + "__half_width"] is not None]
    assert len(hits) > rounds / 2
    return sum(hits) / len(hits)


@pytest.mark.parametrize(
    ("sql", "truth", "value"),
    [
        ("SELECT city, COUNT(*) AS x FROM visits GROUP BY city", {"t0": 1000}, 1000),
        ("SELECT city, COUNT(DISTINCT pid) AS x FROM visits GROUP BY city", {"t0": 10}, 10),
        ("SELECT city, round(SUM(fee) / 1000, 1) AS x FROM visits GROUP BY city", {"t0": 123_456_789}, 1234.6),
        ("SELECT city, COUNT(*) - 2 * COUNT(fee) AS x FROM visits GROUP BY city", {"t0": 900, "t1": 400}, 100),
        ("SELECT city, AVG(score) AS x FROM visits GROUP BY city", {"t0": 500 * 1000, "t1": 1000}, 275.0 + 50),
        ("SELECT city, AVG(score) AS x FROM visits GROUP BY city", {"t0": 3250 * 1000, "t1": 1000}, 600.0),
        ("SELECT city, AVG(score) AS x FROM visits GROUP BY city", {"t0": 3250 * 20, "t1": 20}, 600.0),
        ("SELECT city, 100.0 * count_if(urgent) / COUNT(*) AS x FROM visits GROUP BY city", {"t0": 300, "t1": 1000}, 30.0),
        ("SELECT city, 100.0 * count_if(urgent) / COUNT(*) AS x FROM visits GROUP BY city", {"t0": 150, "t1": 150}, 100.0),
        ("SELECT city, COUNT(*) / (COUNT(*) + COUNT(fee)) AS x FROM visits GROUP BY city", {"t0": 600, "t1": 200}, 0.75),
    ],
)
def test_half_widths_cover_as_often_as_they_say(sql: str, truth: dict[str, int], value: float) -> None:
    assert coverage(sql, truth, "x", value) >= 0.94


def test_half_widths_are_not_padded() -> None:
    assert coverage("SELECT city, SUM(fee) AS x FROM visits GROUP BY city", {"t0": 10**9}, "x", 10**7) <= 0.96
    assert coverage("SELECT city, COUNT(fee) / COUNT(*) AS x FROM visits GROUP BY city", {"t0": 9000, "t1": 10000}, "x", 0.9) <= 0.96


@pytest.mark.parametrize("scale", [0.2, 0.5, 1.0, 3.3, 10.0, 199.0, 201.0, 1e6])
def test_the_discrete_half_width(scale: float) -> None:
    width = discrete_half_width(scale)
    if scale <= 1000:
        weights = {k: math.exp(-(k * k) / (2 * scale * scale)) for k in range(-int(20 * scale) - 5, int(20 * scale) + 6)}
        inside = [sum(w for k, w in weights.items() if abs(k) <= at) / sum(weights.values()) for at in (width, width - 1)]
        assert inside[0] >= 0.95
        assert width == 0 or inside[1] < 0.953
    else:
        assert width == pytest.approx(1.96 * scale, rel=1e-4)


def test_too_many_public_keys() -> None:
    keys = tuple(range(600))
    catalogue = type(CATALOGUE)(
        (
            snapshot(
                "t",
                [column("pid", "integer", uses=("filter",)), column("a", "integer", domain=keys), column("b", "integer", domain=keys)],
                unit="pid",
            ),
        )
    )
    with pytest.raises(Problem) as caught:
        compile_job("SELECT a, b, COUNT(*) FROM t GROUP BY a, b", catalogue, Ask(privacy=Privacy(epsilon=Decimal(1))))
    assert caught.value.code == "plan_too_many_keys"
    narrowed = compile_job("SELECT a, b, COUNT(*) FROM t WHERE a < 10 GROUP BY a, b", catalogue, Ask(privacy=Privacy(epsilon=Decimal(1))))
    assert len(narrowed.only.keys[0].domain or ()) == 10


def test_explain_says_it_all_in_both_languages() -> None:
    for case in cases():
        if case.refused is None:
            said = explain(compile_job(case.sql, CATALOGUE, case.ask))
            json.dumps(said)
            assert isinstance(said["zh"], list)
            assert isinstance(said["en"], list)
            assert len(said["zh"]) == len(said["en"]) > 2
            assert not any("None" in line for line in said["en"])
    plan = plan_for("SELECT dept, COUNT(*) AS n, AVG(fee) AS a FROM visits GROUP BY dept")
    text = "\n".join(explain(plan)["en"])  # type: ignore[arg-type]  # a list of strings, checked above
    assert f"exceeds {plan.draws[0].threshold}" in text
    assert "n: within ±" in text
    assert "a: about ±" in text
    assert str(plan.loss.rho) in text


def test_plans_hold_no_text_of_the_operator_but_literals_and_labels() -> None:
    plan = plan_for("SELECT v.city AS \"x; DROP TABLE y\", COUNT(*) AS n FROM visits AS v WHERE v.note = 'zzz' GROUP BY v.city")
    assert "DROP" not in plan.only.shard_sql
    assert " v." not in plan.only.shard_sql
    assert plan.finish_sql.startswith('SELECT noisy."k0" AS "x; DROP TABLE y"')


SPELLINGS = (
    "SELECT city, COUNT(*) AS n FROM visits WHERE urgent AND fee > 3 GROUP BY city",
    "select city , count(*) as n from visits where (fee > 3) and urgent group by 1 -- the same",
    "SELECT v.city, COUNT(*) AS n FROM visits AS v WHERE v.fee > 3.0 AND v.urgent GROUP BY v.city;",
)


@pytest.mark.parametrize("sql", SPELLINGS[1:])
def test_one_question_in_two_spellings_has_one_digest(sql: str) -> None:
    assert plan_for(sql).digest == plan_for(SPELLINGS[0]).digest


@pytest.mark.parametrize("sql", SPELLINGS[:2])
def test_a_digest_is_of_every_field_and_computed_once(sql: str) -> None:
    plan = plan_for(sql)
    assert plan.as_data() == plain(dataclasses.asdict(plan))
    assert plan.digest is plan.digest
    assert dataclasses.replace(plan, finish_sql=plan.finish_sql + " ").digest != plan.digest
    assert plan_for(sql.replace("3", "4")).digest != plan_for(SPELLINGS[0]).digest
    assert plan_for(sql, groups_per_unit=1).digest != plan_for(SPELLINGS[0]).digest
