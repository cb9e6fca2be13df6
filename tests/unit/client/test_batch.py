"""Many queries priced together: what is sent, what is read, what is shown."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from tests.unit.client.server import Bureau
from tests.unit.client.test_cli import ORDER, SQL, Run, configured, run  # noqa: F401  # fixtures
from yunei import Client


def test_one_body_and_exact_shares(client: Client, bureau: Bureau) -> None:
    found = client.check_batch([SQL, {"sql": "SELECT bad", "rows_per_group": 1}], licence="lic-1", scenario="s", epsilon="0.5")
    assert bureau.requests[-1][3] == {
        "licence": "lic-1",
        "scenario": "s",
        "privacy": {"epsilon": "0.5"},
        "queries": [{"sql": SQL}, {"sql": "SELECT bad", "rows_per_group": 1}],
    }
    good, bad = found.queries
    assert good.share == {"rho": "0.00702", "delta": "0.00000001"}
    assert good.quote is not None
    assert good.quote.price.rho == found.price.rho == Decimal("0.00702")
    assert bad.share is None
    assert bad.problem is not None
    assert bad.problem.code == "sql_syntax"


def test_each_querys_rho_is_shown(run: Run, tmp_path: Path) -> None:  # noqa: F811  # the fixture
    file = tmp_path / "q.jsonl"
    file.write_text(json.dumps({"sql": SQL}) + "\n" + json.dumps({"sql": "SELECT bad"}) + "\n", encoding="utf-8")
    code, out, _ = run("job", "check-batch", str(file), *ORDER)
    assert code == 0
    assert "0.00702" in out
    assert "sql_syntax" in out
    code, out, _ = run("job", "check-batch", str(file), *ORDER, "--format", "json")
    assert json.loads(out)["queries"][1]["problem"]["code"] == "sql_syntax"
    code, _, err = run("job", "check-batch", str(tmp_path / "none"), *ORDER)
    assert code != 0
    assert "none" in err
