"""An operator's program from an empty folder to a noisy answer: command line, HTTP, Ray workers and a real cell."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from api import logs
from api.services import ClosablePool, Services
from infra.workers import Workers
from jobs import acts
from jobs.audit import audit
from jobs.cells import libraries_digest
from policies.catalogue import Catalogue
from policies.licence import DatasetGrant
from sandbox.raw.ingest import ingest
from tests import visits
from tests.bureau import SCENARIO, Home, licence, opened
from tests.cells import a_root, needed_here
from tests.e2e.conftest import Borrowed, Live, listening
from yunei import Client
from yunei.cli.run import run
from yunei.problem import YuneiProblem

MAIN = """
import pandas as pd


def run(rows: pd.DataFrame, parameters: dict) -> dict:
    if not parameters["quiet"]:
        print("seen", len(rows))
        raise ValueError("as asked")
    return {"mean": rows["days"].mean(), "share": rows["urgent"].fillna(False).astype(float).mean()}
"""
MORE = """
[[parameters]]
name = "quiet"
type = "boolean"
title = {zh = "安静", en = "quiet"}

[[outputs]]
name = "share"
title = {zh = "急诊占比", en = "share of urgent"}
low = 0
high = 1
"""
REQUEST = """
kind = "program"
program = "{digest}"
combine = "mean"
seconds = 0.5
blocks = 6
[[tables]]
dataset = "stays"
columns = ["days", "urgent"]
[parameters]
quiet = {quiet}
[privacy]
rho = "0.1"
"""


@pytest.fixture(scope="module")
def town(bureau_home: Home, workers: Workers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A bureau whose programs run in bubblewrap."""
    if shutil.which("bwrap") is None:
        needed_here("bubblewrap")
    logs.configure(quiet=True)
    home: Path = tmp_path_factory.mktemp("programs") / "home"
    keys = bureau_home.copy_to(home)
    root = a_root().path.parent.parent
    services = opened(
        home,
        workers=cast(ClosablePool, Borrowed(workers)),
        cells_backend="bwrap",
        cells_dir=root,
        refusals_window_s=3600,
        slots_ms=(50, 250, 1_000, 3_000, 6_000, 9_000),
    )
    furnish(services, home)
    keys["reviewer-2"] = acts.issue_key(services.register, "reviewer-2", "reviewer")
    with listening(services) as url, httpx2.Client(base_url=url, timeout=60) as http:
        yield Live(services, keys, url, http)
    services.close()


def furnish(services: Services, home: Path) -> None:
    columns = [column.model_copy(update={"uses": (*column.uses, "program")}) for column in visits.COLUMNS]
    declared = visits.dataset(columns, rows=2_000, name="stays")
    source = visits.parquet(home / "stays.parquet", visits.rows(2_000, 500))
    report = ingest(declared, [source], services.vault, version=1, catalogue_public=Catalogue(()), random=os.urandom, shard_rows=1_000)
    acts.register_dataset(services.register, report.snapshot)
    grant = DatasetGrant(dataset="stays", consent="同意 2 号")
    acts.grant_licence(services.register, licence(id="L-P", datasets=(grant,), job_kinds=("program",)))


def spoken(town: Live, who: str, capsys: pytest.CaptureFixture[str], *words: object, expect: int = 0) -> str:
    line = ["--lang", "en", "--url", town.url, "--key", town.keys[who], *map(str, words)]
    assert run(line) == expect, capsys.readouterr().err
    return capsys.readouterr().out


def test_from_an_empty_folder_to_an_answer(
    town: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YUNEI_STATE", str(tmp_path / "state.json"))
    folder, request = tmp_path / "stay", tmp_path / "stay" / "run.toml"

    def say(who: str, *words: object, expect: int = 0) -> str:
        return spoken(town, who, capsys, *words, expect=expect)

    say("operator-1", "program", "new", folder)
    say("operator-1", "program", "new", folder, expect=2)
    manifest = (folder / "program.toml").read_text(encoding="utf-8").replace("high = 100", "high = 400")
    (folder / "program.toml").write_text(manifest + MORE, encoding="utf-8")
    (folder / "main.py").write_text(MAIN, encoding="utf-8")

    request.write_text(REQUEST.format(digest="", quiet="false"), encoding="utf-8")
    told = say("operator-1", "program", "test", folder)
    assert 'raise ValueError("as asked")' in told, "the author sees every traceback of invented rows"
    assert "seen " in told
    request.write_text(REQUEST.format(digest="", quiet="true"), encoding="utf-8")
    tried = json.loads(say("operator-1", "program", "test", folder, "--format", "json"))
    assert all(0 <= call["values"][1] <= 1 and not call["text"] for call in tried["calls"])

    digest = json.loads(say("operator-1", "program", "submit", folder, "--format", "json"))["digest"]
    assert digest == tried["digest"]
    request.write_text(REQUEST.format(digest=digest, quiet="true"), encoding="utf-8")
    asked = ("--request", request, "--licence", "L-P", "--scenario", SCENARIO)
    say("operator-1", "job", "check", *asked, expect=1)  # nobody has reviewed it
    for reviewer in ("reviewer", "reviewer-2"):
        say(reviewer, "program", "review", digest, "approve", "--reason", "只用 pandas")
    quote = say("operator-1", "job", "check", *asked)
    assert "6 blocks" in quote
    dummy = json.loads(say("operator-1", "job", "dummy", *asked, "--format", "json"))
    assert set(dummy["rows"][0]) == {"mean", "mean__half_width", "share", "share__half_width"}
    assert "share" in say("operator-1", "job", "submit", *asked)

    (job,) = json.loads(say("operator-1", "job", "list", "--limit", 1, "--format", "json"))
    assert (job["kind"], job["state"]) == ("program", "published")
    assert job["request"]["run"]["program"] == digest
    with Client(town.url, town.keys["operator-1"], "en", state=tmp_path / "state.json") as client:
        record = client.release(job["release"]).data
        again = client.submit(_request(request), licence="L-P", scenario=SCENARIO)
    assert again.reused, "the same program, parameters and data: the same bytes, free"
    assert record["columns"][0]["label"] == "mean"
    register = town.services.register
    approved = next(event for event in register.events(limit=1000) if event.kind == "program_approved")
    assert approved.event.libraries == libraries_digest()  # type: ignore[attr-defined]
    probed = next(event for event in register.events(limit=1000) if event.kind == "cells_probed")
    assert probed.event.backend == "bwrap"  # type: ignore[attr-defined]
    assert audit(town.services.settings.log_dir, [register.vkey], register.engine).findings == []


def _request(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"blocks": 1}, 422, "request_invalid"),
        ({"blocks": 10**6}, 422, "request_invalid"),
        ({"seconds": 0}, 422, "request_invalid"),
        ({"ranges": {"mean": {"low": 5, "high": 1}}}, 422, "request_invalid"),
        ({"ranges": {"mean": {"low": "NaN", "high": 1}}}, 422, "request_invalid"),
        ({"combine": "all"}, 422, "request_invalid"),
        ({"program": "abc"}, 422, "request_invalid"),
        ({"program": "0" * 64}, 404, "program_unknown"),
        ({"tables": []}, 422, "request_invalid"),
        ({"flags": ["--privileged"]}, 422, "request_invalid"),
    ],
)
def test_what_no_run_may_say_is_refused_at_the_door(town: Live, changes: dict[str, Any], status: int, code: str) -> None:
    body = {
        "kind": "program", "licence": "L-P", "scenario": SCENARIO, "program": "0" * 64,
        "tables": [{"dataset": "stays", "columns": ["days"]}], "privacy": {"rho": "0.1"},
    }  # fmt: skip
    answer = town.http.post("/v1/jobs/check", json=body | changes, headers=town.headers("operator-1"))
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_a_trial_is_refused_where_submitting_would_be(town: Live) -> None:
    with Client(town.url, town.keys["operator-1"], "en") as client, pytest.raises(YuneiProblem) as caught:
        client.test_program(b"no zip", {"tables": [{"dataset": "stays", "columns": ["days"]}]})
    assert caught.value.code == "program_invalid"
