"""A synthetic table from the command line: asked for, judged, made into a product, delivered with a mark, and traced when it is found."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from api import logs
from api.services import Services
from jobs import acts
from jobs.products.deliveries import open_delivery
from tests.bureau import SCENARIO, Home, licence, opened
from tests.e2e.conftest import listening
from tests.products import DESCRIPTION
from yunei.cli import main

pytestmark = pytest.mark.enable_socket
Run = Callable[..., tuple[int, str, str]]
RECIPE = """
kind = "synthetic"
dataset = "visits"
columns = ["city", "fee", "days"]
bins = { fee = 16, days = 8 }
privacy = { epsilon = "1", delta = "0.00000001" }
"""


@pytest.fixture(scope="module")
def served(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str], Services]]:
    home = tmp_path_factory.mktemp("cli") / "home"
    keys = dict(bureau_home.copy_to(home))
    logs.configure(quiet=True)
    services = opened(home, slots_ms=(300, 2000))
    acts.grant_licence(services.register, licence("L-synthetic", job_kinds=("sql", "synthetic")))
    with listening(services) as url:
        yield url, keys, services
    services.close()


@pytest.fixture
def run(served: tuple[str, dict[str, str], Services], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    url, keys, _ = served

    def call(who: str, *arguments: str) -> tuple[int, str, str]:
        code = main(["--lang", "en", "--url", url, "--key", keys[who], "--state", str(tmp_path / "state"), *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_from_a_recipe_to_whoever_let_it_out(run: Run, served: tuple[str, dict[str, str], Services], tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    asked = ("--request", str(recipe), "--licence", "L-synthetic", "--scenario", SCENARIO)
    code, out, err = run("operator-1", "job", "check", *asked)
    assert (code, "joint distributions" in out) == (0, True), err
    assert run("operator-1", "job", "dummy", *asked)[0] == 0
    code, out, err = run("operator-1", "job", "submit", *asked, "--format", "csv")
    assert code == 0, err
    assert out.splitlines()[0].replace('"', "") == "city,fee,days"
    release = json.loads(run("operator-1", "release", "list", "--format", "json")[1])[0]["id"]

    code, out, err = run("operator-1", "release", "quality", release, "--plots", str(tmp_path / "q.svg"))
    assert (code, "mean distance" in out, "city" in out) == (0, True, True), err
    assert (tmp_path / "q.svg").read_bytes().startswith(b"<svg")
    report = json.loads(run("operator-1", "release", "quality", release, "--format", "json")[1])
    shown = list(csv.DictReader(io.StringIO(run("operator-1", "release", "quality", release, "--format", "csv")[1])))
    assert [row["marginal"] for row in shown] == [" × ".join(one["columns"]) for one in report["marginals"]]

    services = served[2]
    register = services.register
    acts.draft_product(register, DESCRIPTION, by="operator-1")
    acts.add_version(register, services.staging, services.copies, DESCRIPTION.id, (release,), by="operator-1")
    acts.register_product(register, DESCRIPTION.id, by="supervisor")
    acts.publish_product(register, DESCRIPTION.id, by="operator-1")
    acts.entitle_builder(register, DESCRIPTION.id, "builder", by="operator-1")
    _, copy = open_delivery(register, services.copies, DESCRIPTION.id, None, "builder", "parquet")
    assert run("builder", "product", "show", DESCRIPTION.id)[0] == 0  # a column without half-width is no obstacle
    code, _, err = run("builder", "product", "fetch", DESCRIPTION.id, "--format", "csv", "-o", str(tmp_path / "fetched"))
    assert code == 0, err
    taken = pq.read_table(copy.path)
    found = tmp_path / "found.csv"
    lines = [",".join(taken.column_names)] + [
        ",".join("" if value is None else str(value) for value in row.values()) for row in taken.to_pylist()
    ]
    found.write_text("\n".join([lines[0], *lines[:0:-3]]), encoding="utf-8")  # every third row, last ones first

    code, out, err = run("supervisor", "product", "trace", str(found))
    assert (code, "builder" in out, "1e-06" in out) == (0, True, True), err
    answer = json.loads(run("supervisor", "product", "trace", str(found), "--product", DESCRIPTION.id, "--format", "json")[1])
    assert answer["traces"][0]["accused"] == ["builder"]
    (row,) = csv.DictReader(io.StringIO(run("supervisor", "product", "trace", str(found), "--format", "csv")[1]))
    assert (row["recipient"], row["accused"]) == ("builder", "True")
    assert run("builder", "product", "trace", str(found))[0] == 1
    assert run("supervisor", "product", "trace", str(tmp_path / "none.csv"))[0] == 2
