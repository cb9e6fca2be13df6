"""The official Delta Sharing client, in an environment of its own, reads what the server shares: lists, metadata, versions, rows."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import cast

import httpx2
import pyarrow.parquet as pq
import pytest

from api import logs
from api.services import ClosablePool
from infra.workers import InlineWorkers
from tests.bureau import Home, opened
from tests.e2e.conftest import Live, listening
from tests.products import ID, on_the_shelf, released, version_of
from yunei import Client
from yunei.cli.run import run

PYTHON = Path(__file__).resolve().parents[2] / ".venv-delta/bin/python"


def test_its_client_reads_products(bureau_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not PYTHON.exists():
        pytest.fail("the Delta Sharing client is not installed: bash infra/setup/delta.sh (make test does)")
    logs.configure(quiet=True)
    keys = bureau_home.copy_to(tmp_path / "home")
    services = opened(tmp_path / "home", workers=cast(ClosablePool, InlineWorkers()))
    with listening(services) as url, httpx2.Client(base_url=url) as http:
        live = Live(services, keys, url, http)
        on_the_shelf(live)
        version_of(live, released(live, "SELECT city, COUNT(*) AS n FROM visits WHERE fee > 100 GROUP BY city"))
        profile = tmp_path / "yunei.share"
        for name, value in {"YUNEI_URL": url, "YUNEI_KEY": keys["builder"], "YUNEI_STATE": str(tmp_path / "state")}.items():
            monkeypatch.setenv(name, value)
        assert run(["product", "profile", "-o", str(profile)]) == 0
        assert profile.stat().st_mode & 0o077 == 0
        before = services.register.size
        done = subprocess.run(
            [PYTHON, Path(__file__).with_name("delta_client.py"), profile],
            capture_output=True, text=True, timeout=120, check=False, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert services.register.size == before + 4  # four queries: four deliveries, whatever was fetched for them
        with Client(url, keys["builder"], "en") as builder:
            table = pq.read_table(builder.fetch_product(ID, tmp_path, evidence=False))
            first = builder.product(ID)["versions"][1]["rows"]
    services.close()
    found = json.loads(done.stdout)
    name = f"yunei.products.{ID}"
    assert (found["shares"], found["tables"]) == (["yunei"], [name])
    said = found[name]
    assert (said["version"], said["columns"]) == (2, table.column_names)
    assert [(row["city"], row["n"]) for row in said["rows"]] == list(zip(*(table[each].to_pylist() for each in ("city", "n")), strict=True))
    assert said["by_delta"] == said["rows"]
    assert said["first"] == said["rows"][:1]
    assert said["version_1"] == first
