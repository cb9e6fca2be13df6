"""The sizing model: what it says where the answer can be worked out by hand, and that the page shows what it says."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from infra.deploy.bundle import ROOT
from infra.deploy.sizing.__main__ import main
from infra.deploy.sizing.model import Assumptions, Calibration, Cluster, fits, shards_of, simulate
from infra.deploy.sizing.table import assumed_lines, calibration, lines, measured_lines, page, point_lines, points

FREE = Calibration("m", "q", 1e-7, 2e-7, 4.0, 20.0, 0.0, 0.0, 0.0, 0.0, 1, 0.0)
EVEN = Assumptions(spread=0.0, round_trip_s=0.0, node_failures_per_hour=0.0)


def test_workers_share_the_rows_and_nothing_else_costs() -> None:
    found = simulate(2**12 * 1000, 1000, Cluster(4, 4), "memory", FREE, EVEN)
    assert found.seconds == pytest.approx(2**12 * 1000 * 1e-7 / 16)
    assert (found.bottleneck, round(found.busy, 6), found.shards) == ("workers", 1, 2**12)


def test_a_driver_that_hands_out_slowly_holds_everybody_up() -> None:
    slow = replace(FREE, dispatch_s=0.01)
    found = simulate(1024e3, 1000, Cluster(100), "memory", slow, EVEN)
    assert found.seconds == pytest.approx(10.24, rel=0.01)
    assert found.bottleneck == "driver"


def test_a_shared_store_gives_all_nodes_together_its_rate() -> None:
    few = replace(EVEN, shared_bytes_per_s=1e6, node_line_bytes_per_s=1e12)
    found = simulate(1024e3, 1000, Cluster(50), "shared", FREE, few)
    assert found.seconds == pytest.approx(1024e3 * 4 / 1e6, rel=0.01)
    assert found.bottleneck == "store"


def test_own_disks_are_read_beside_each_other() -> None:
    slow = replace(EVEN, disk_bytes_per_s=1e6)
    one, four = (simulate(1024e3, 1000, Cluster(nodes), "disk", FREE, slow).seconds for nodes in (1, 4))
    assert one == pytest.approx(4 * four, rel=0.05)


def test_a_node_that_fails_costs_its_shard_again() -> None:
    often = replace(EVEN, node_failures_per_hour=2.0, repair_s=30.0)
    calm = simulate(1e9, 1e6, Cluster(4, 1), "memory", FREE, EVEN)
    found = simulate(1e9, 1e6, Cluster(4, 1), "memory", replace(FREE, shard_cpu_s=10.0), often)
    assert calm.rerun == 0
    assert found.rerun > 0
    assert found.seconds > 1024 / 4 * 10


def test_the_same_arguments_give_the_same_outcome() -> None:
    case = (1e8, 6e5, Cluster(3), "disk", calibration(), Assumptions())
    assert simulate(*case) == simulate(*case)  # type: ignore[arg-type]
    assert simulate(*case, seed=2) != simulate(*case)  # type: ignore[arg-type]


def test_shards_are_powers_of_two_no_larger_than_asked() -> None:
    assert [shards_of(rows, 600_000) for rows in (1, 600_000, 600_001, 1e8)] == [1, 1, 2, 256]
    assert math.log2(shards_of(1e11, 9.6e6)).is_integer()


def test_memory_is_what_it_is() -> None:
    assert fits(1e9, Cluster(1, memory_bytes=20e9), FREE)
    assert not fits(1.01e9, Cluster(1, memory_bytes=20e9), FREE)


def test_the_page_shows_what_the_model_says(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "sizing.md").read_text()
    made = list(lines(calibration(), Assumptions(), rows=(1e9,)))
    assert [line for line in made if line not in text] == []
    assert len(made) == 2 + 9
    for table in (measured_lines(calibration()), assumed_lines(Assumptions()), point_lines(calibration(), points())):
        assert "\n".join(table) + "\n" in text
    assert main(["--rows", "1e8", "--nodes", "2", "--cores", "4"]) == 0
    assert "shards" in capsys.readouterr().out


def test_tables_of_the_page_are_made_anew_and_the_rest_stays() -> None:
    text = (ROOT / "docs" / "sizing.md").read_text()
    slower = replace(calibration(), hot_cpu_s_per_row=1e-6, machine="another")
    made = page(text, slower, points(), Assumptions(disk_bytes_per_s=2e9), rows=(1e9,))
    assert "| 机器 machine | another |" in made
    assert "| 本地盘 own disk | 2000 MB/s |" in made
    assert [line for line in made.splitlines() if line[:1] != "|"] == [line for line in text.splitlines() if line[:1] != "|"]
    with pytest.raises(ValueError, match="no table"):
        page(text.replace("| 行数 rows | 节点", "| rows | 节点"), slower, [], Assumptions(), rows=())


def test_a_question_it_was_not_fitted_to_is_foretold() -> None:
    """Ten million rows with nothing else running; the model knows processor times over four million."""
    alone = [point for point in points() if point.beside == "0"]
    assert alone
    for point in alone:
        assert 0.5 < point.foretold_s(calibration()) / point.measured_s < 2
