"""Running totals: a release at the end of each period, versions that add them up, and what keeps them from it."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.database import reading
from jobs import acts, events
from jobs.order import Order
from jobs.products import keeping, schedules, seen
from jobs.products.manifest import manifest
from jobs.products.quoting import quoted
from jobs.products.renewal import Renewal
from jobs.products.running import Given
from jobs.products.schedules import Schedule
from jobs.products.seen import Product
from jobs.watch import alerts
from jobs.watch.watcher import Watcher
from policies.problem import Problem
from policies.product.running import holding, node, nodes
from sandbox.plan.ask import Ask
from tests import visits
from tests.bureau import Bureau, Home, order
from tests.products import ID
from tests.stays import FIRST, LICENCE, SQL, Stays, a_house, last, month
from tests.unit.jobs.test_freezes import sound
from yunei.manifest import _Chain, verify_product
from yunei.transparency import Key

HUGE = Ask.model_validate({"privacy": {"rho": "20000", "delta": "0.00000001"}})  # noise far below one row
GIVEN = Given(FIRST, 6, "tree")


@pytest.fixture
def stays(bureau_home: Home, tmp_path: Path) -> Iterator[Stays]:
    with a_house(bureau_home, tmp_path) as made:
        yield made


def asked(sql: str = SQL, ask: Ask = HUGE) -> Order:
    return order(sql, licence=LICENCE, ask=ask)


def set_running(bureau: Bureau, given: Given = GIVEN, sql: str = SQL, ask: Ask = HUGE) -> str:
    return acts.set_running(bureau.services.register, asked(sql, ask), ID, given)


def keeper(bureau: Bureau) -> Renewal:
    services = bureau.services
    return Renewal(lambda: services.office, services.copies, services.submit, interval_s=3600)


def one(bureau: Bureau, id: str) -> Schedule:
    with reading(bureau.services.register.engine) as connection:
        found = schedules.schedule(connection, id)
    assert found is not None
    return found


def product(bureau: Bureau) -> Product:
    with reading(bureau.services.register.engine) as connection:
        found = seen.product(connection, ID)
    assert found is not None
    return found


def settle(bureau: Bureau, id: str, periods: int) -> Schedule:
    """Rounds until so many periods are in the product, or the schedule has stopped."""
    renewal, until = keeper(bureau), time.monotonic() + 60
    while time.monotonic() < until:
        renewal.once()
        found = one(bureau, id)
        if found.state != "active" or (len(found.periods) >= periods and all(run.added for run in found.periods)):
            return found
        time.sleep(0.01)
    raise AssertionError(one(bureau, id))


def table(bureau: Bureau, number: int) -> pa.Table:
    version = product(bureau).version(number)
    assert version is not None
    return pq.read_table(bureau.services.copies.bytes_for(version, None, "parquet").path)


def read(found: pa.Table) -> dict[str, tuple[int, int]]:
    return {row["city"]: (row["n"], row["fee"]) for row in found.to_pylist()}


def test_totals_are_those_of_plain_counting_from_a_node_a_period(stays: Stays, tmp_path: Path) -> None:
    bureau = stays.bureau
    id = set_running(bureau)
    for number in range(1, 7):
        if number > 1:
            stays.months(number)
        found = settle(bureau, id, number)
        assert len(found.runs) == number
        assert read(table(bureau, number)) == stays.totals(date(2026, number + 1, 1))
    keeper(bureau).once()
    assert (one(bureau, id).state, one(bureau, id).reason) == ("stopped", "used_up")
    releases = [run.release for run in found.runs]
    for version in product(bureau).versions:
        assert version.releases == tuple(releases[at - 1] for at in nodes(version.number))
        said = version.document["total"]
        assert (said["mechanism"], said["period"], said["periods"], said["charges_at_most"]) == ("binary tree", version.number, 6, 3)
        assert [(each["release"], each["period"]) for each in said["nodes"]] == [(releases[at - 1], at) for at in nodes(version.number)]
        ends = [(date(2026, node(at)[0], 1).isoformat(), date(2026, at + 1, 1).isoformat()) for at in nodes(version.number)]
        assert [(each["first"], each["before"]) for each in said["nodes"]] == ends
    charged = Counter(account for event in register_charges(bureau) for account in event.accounts)
    for kind in ("population:guest/month", "dataset:stays"):
        found_at = {period: charged[f"{kind}@2026-{period:02d}"] for period in range(1, 13)}
        assert found_at == {period: len(holding(period, 6)) if period <= 6 else 0 for period in range(1, 13)}
        assert max(found_at.values()) == 3  # floor(log2 6) + 1, where totals asked anew would charge January six times
    assert charged[f"licence:{LICENCE}"] == 6
    again(bureau)
    proved(bureau, tmp_path)
    sound(bureau)


def register_charges(bureau: Bureau) -> list[events.ChargeReserved]:
    found = (each.event for each in bureau.services.register.events(limit=10_000))
    return [event for event in found if isinstance(event, events.ChargeReserved)]


def again(bureau: Bureau) -> None:
    """A copy that is lost is made again from what was released, the same."""
    services, before = bureau.services, table(bureau, 3)
    version = product(bureau).version(3)
    assert version is not None
    shutil.rmtree(services.copies.bytes_for(version, None, "parquet").path.parent)
    assert table(bureau, 3).equals(before)


def proved(bureau: Bureau, folder: Path) -> None:
    """The manifest of a total holds offline, and not when it speaks of other nodes."""
    register, found = bureau.services.register, product(bureau)
    version = found.version(3)
    assert version is not None
    held = [bureau.services.copies.bytes_for(version, None, "parquet")]
    shutil.copy(held[0].path, folder / f"{ID}-v3.parquet")
    made = manifest(register, found, version, held, None)
    key = Key.parse(register.vkey)
    evidence = verify_product(json.dumps(made).encode(), folder, (key,)).require()
    assert ("累计由哪些发布结果相加", "which releases make up the total") in [link.name for link in evidence.links]
    said = version.document["total"]
    for changed in (
        {"nodes": said["nodes"][:1]},
        {"nodes": said["nodes"][::-1]},
        {"period": 4},
        {"before": "2026-05-01"},
        {"nodes": [{**each, "scales": {**each["scales"], "n": "9.0"}} for each in said["nodes"]]},
    ):
        wrong = {**evidence.predicate, "version": {**version.document, "total": {**said, **changed}}}
        chain = _Chain(folder, (key,))
        chain.found.predicate = wrong
        assert not chain._link(("", ""), chain._total), changed


def test_a_crash_at_any_step_changes_nothing(stays: Stays, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the job was submitted, after its run was noted, and after the version was added: each is done once."""
    bureau = stays.bureau
    stays.months(2, 3)  # three periods are over at once: they are made up for one by one
    id = set_running(bureau, Given(FIRST, 3, "tree"))
    for name in ("note_run", "add_version"):
        real, failures = getattr(keeping, name), {"before": 1, "after": 1}

        def dies(*given: Any, real: Any = real, failures: dict[str, int] = failures, **more: Any) -> Any:
            if failures["before"]:
                failures["before"] -= 1
                raise RuntimeError("killed")
            made = real(*given, **more)
            if failures["after"]:
                failures["after"] -= 1
                raise RuntimeError("killed")
            return made

        monkeypatch.setattr(keeping, name, dies)
    found = settle(bureau, id, 3)
    assert [version.releases for version in product(bureau).versions] == [
        tuple(found.runs[at - 1].release for at in nodes(period)) for period in (1, 2, 3)
    ]
    assert len({run.job for run in found.runs}) == len(register_charges(bureau)) == 3
    assert read(table(bureau, 3)) == stays.totals(date(2026, 4, 1))
    sound(bureau)


def test_late_rows_end_it_and_other_keys_too(stays: Stays) -> None:
    bureau = stays.bureau
    id = set_running(bureau)
    stays.months(2)
    settle(bureau, id, 2)
    with pytest.raises(Problem) as caught:  # the steward said that January was complete
        stays.put([(999, "太原", date(2026, 1, 31), 1)], last(3))
    assert caught.value.code == "data_refused"
    with pytest.raises(Problem) as caught:
        stays.put(month(3), last(1))
    assert caught.value.code == "data_append_refused"  # nor is it taken back
    stays.put(month(3), last(3), cities=(*visits.CITIES, "长治"))
    settle(bureau, id, 3)
    assert (one(bureau, id).state, one(bureau, id).reason, len(product(bureau).versions)) == ("stopped", "product_running_keys", 2)
    second = set_running(bureau, Given(FIRST, 3, "tree"))  # with a budget of its own
    settle(bureau, second, 3)
    assert set(read(table(bureau, 5))) == {*visits.CITIES, "长治"}
    sound(bureau)


def test_data_ingested_anew_ends_it(stays: Stays) -> None:
    bureau = stays.bureau
    stays.months(2)
    id = set_running(bureau)
    settle(bureau, id, 2)
    stays.put([*stays.rows, *month(3), (999, "太原", date(2026, 1, 31), 1)], last(3), append=False)
    found = settle(bureau, id, 3)
    assert (found.state, found.reason, len(found.runs)) == ("stopped", "product_running_data_changed", 2)
    assert [version.state for version in product(bureau).versions] == ["current"] * 2


def test_what_was_stopped_goes_on_with_what_was_released(stays: Stays) -> None:
    bureau, register = stays.bureau, stays.bureau.services.register
    stays.months(2)
    id = set_running(bureau, Given(FIRST, 3, "tree"))
    assert refused(lambda: set_running(bureau)) == "product_schedule_alone"
    assert refused(lambda: acts.set_schedule(register, order(), ID, releases_at_most=1)) == "product_schedule_alone"
    settle(bureau, id, 2)
    asker = order().by
    assert refused(lambda: acts.continue_running(register, id, periods=5, by=asker)) == "product_running_not_continued"
    acts.suspend_licence(register, LICENCE, reason="x")
    stays.months(3)
    assert settle(bureau, id, 3).reason == "licence_refused"
    assert refused(lambda: acts.continue_running(register, id, periods=2, by=asker)) == "product_running_not_continued"
    assert refused(lambda: acts.continue_running(register, id, periods=5, by=order(by="operator-2").by)) == "product_schedule_unknown"
    acts.resume_licence(register, LICENCE, reason="x")
    second = acts.continue_running(register, id, periods=5, by=asker)
    found = settle(bureau, second, 3)
    assert (len(found.earlier), len(found.runs), found.after) == (2, 1, id)
    assert read(table(bureau, 3)) == stays.totals(date(2026, 4, 1))
    assert len(register_charges(bureau)) == 3
    acts.register_product(register, ID, by="supervisor")
    acts.recall_product(register, ID, version=3, reason="x", by="supervisor")
    stays.months(4)
    settle(bureau, second, 4)  # one node, which no recalled version has
    stays.months(5)
    assert settle(bureau, second, 5).runs[-1].added
    sound(bureau)


def test_a_recalled_part_is_not_added_again(stays: Stays) -> None:
    bureau, register = stays.bureau, stays.bureau.services.register
    stays.months(2)
    id = set_running(bureau)
    settle(bureau, id, 2)
    acts.register_product(register, ID, by="supervisor")
    acts.recall_product(register, ID, version=2, reason="x", by="supervisor")
    stays.months(3)
    found = settle(bureau, id, 3)
    assert (found.state, found.reason, len(product(bureau).versions)) == ("stopped", "product_running_recalled", 2)
    sound(bureau)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(Problem) as caught:
        act()
    return caught.value.code


def test_what_it_costs_is_said_before(stays: Stays) -> None:
    bureau, register = stays.bureau, stays.bureau.services.register
    ask = Ask.model_validate({"privacy": {"rho": "0.01", "delta": "0.00000001"}})
    said = quoted(bureau.services.office, asked(ask=ask), Given(FIRST, 24))
    costs = said.plan.costs
    price = costs.pico_rho
    assert price == said.first.plan.loss.pico_rho == pytest.approx(10**10, rel=1e-9)
    assert (costs.tree, costs.anew, costs.equal) == (5 * price, 24 * price, 24 * -(-price // 4))
    assert (costs.cheaper, said.plan.running.way, said.plan.order.request.privacy.rho) == ("tree", "tree", Decimal("0.01"))
    assert set(said.plan.half_widths) == {"n", "fee"}
    few = quoted(bureau.services.office, asked(ask=ask), Given(FIRST, 3))
    assert (few.plan.costs.cheaper, few.plan.running.way) == ("anew", "anew")
    assert few.first.plan.loss.pico_rho == pytest.approx(5 * 10**9, rel=1e-9)  # as far off as the tree's worst, at half the price
    id = acts.set_running(register, asked(ask=ask), ID, Given(FIRST, 3))
    settle(bureau, id, 1)
    assert [event.cost.pico_rho for event in register_charges(bureau)] == [few.first.plan.loss.pico_rho]
    assert product(bureau).versions[0].document["total"]["mechanism"] == "anew"


def test_what_has_no_running_total(stays: Stays) -> None:
    bureau = stays.bureau
    pairs: list[tuple[str, Callable[[], object]]] = [
        ("plan_not_additive", lambda: set_running(bureau, sql="SELECT AVG(fee) AS a FROM stays")),
        ("plan_not_additive", lambda: set_running(bureau, sql="SELECT COUNT(*) AS n FROM stays WHERE day < DATE '2026-02-01'")),
        ("product_running_dataset", lambda: acts.set_running(bureau.services.register, order(), ID, GIVEN)),
        ("product_running_periods", lambda: set_running(bureau, Given(date(2026, 1, 2), 3))),
        ("product_running_periods", lambda: set_running(bureau, Given(date(2025, 1, 1), 3))),
        ("product_running_price", lambda: set_running(bureau, ask=Ask.model_validate({"privacy": {"accuracy": "50"}}))),
    ]
    assert [refused(act) for _, act in pairs] == [code for code, _ in pairs]


def test_running_totals_are_not_taken_for_an_attack(stays: Stays) -> None:
    """Nodes of a total hold one another and come by the dozen, all by one operator: rules over questions know them from averaging, sweeping
    and subtracting. The same question by hand, at six prices, is told at the next look."""
    register = stays.bureau.services.register
    for number in range(2, 7):
        stays.put(month(number), last(number), approximate_rows=1_000_000)
    watcher = Watcher(register, interval_s=60)

    def raised() -> set[str]:
        found = [alerts.alert(register, each) for each in watcher.once()]
        return {each.rule for each in found if each is not None} & {"averaging", "sweep", "differencing", "collusion", "hours", "volume"}

    settle(stays.bureau, set_running(stays.bureau), 6)
    assert raised() == set()
    for cent in range(1, 7):
        stays.bureau.services.submit(asked(ask=Ask.model_validate({"privacy": {"rho": f"0.0{cent}"}}))).result(60)
    assert raised() == {"averaging"}
