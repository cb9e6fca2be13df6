"""yunei freeze, policy, rule-pack and program: over HTTP as people type them, and the policy's files without a server."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api import logs
from jobs import acts
from policies.authority import shipped
from policies.decide import AUTHORITY
from policies.disclosure.pack import shipped_pack_text
from tests.bureau import Home, opened
from tests.e2e.conftest import listening
from tests.programs import FILES, MAIN
from tests.unit.policies.test_cases import ALONE, OWN_CASES, rule
from yunei.cli import main

pytestmark = pytest.mark.enable_socket
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def served(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    home = tmp_path_factory.mktemp("cli") / "home"
    keys = dict(bureau_home.copy_to(home))
    logs.configure(quiet=True)
    services = opened(home)
    keys |= {name: acts.issue_key(services.register, name, name.partition("-")[0]) for name in ("supervisor-2", "reviewer-2")}  # type: ignore[arg-type]
    with listening(services) as url:
        yield url, keys
    services.close()


@pytest.fixture
def run(served: tuple[str, dict[str, str]], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    url, keys = served

    def call(who: str, *arguments: str) -> tuple[int, str, str]:
        code = main(["--lang", "en", "--url", url, "--key", keys[who], "--state", str(tmp_path / "state"), *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_freeze_from_the_command_line(run: Run) -> None:
    code, out, _ = run("supervisor", "freeze", "set", "operator", "operator-2", "--reason", "drill", "--format", "json")
    assert code == 0
    freeze = json.loads(out)["id"]
    assert run("auditor", "freeze", "list")[1].count(freeze) == 1
    (row,) = rows(run("auditor", "freeze", "list", "--standing", "--format", "csv")[1])
    assert (row["freeze"], row["scope"], row["subject"], row["state"]) == (freeze, "operator", "operator-2", "set")
    code, out, err = run("supervisor", "freeze", "thaw", freeze, "--reason", "done")
    assert code == 0
    proposal = json.loads(run("auditor", "freeze", "list", "--format", "json")[1])[0]["proposal"]
    assert f"--proposal {proposal}" in out + err
    assert run("supervisor", "freeze", "thaw", freeze, "--proposal", str(proposal))[0] == 1
    code, out, _ = run("supervisor-2", "freeze", "thaw", freeze, "--proposal", str(proposal))
    assert (code, "thawed" in out) == (0, True)
    assert rows(run("auditor", "freeze", "list", "--standing", "--format", "csv")[1]) == []
    assert run("operator-1", "freeze", "list")[0] == 1
    assert run("supervisor", "freeze", "thaw", freeze)[0] == 1
    assert run("supervisor", "freeze", "set", "everything")[0] == 2


def test_a_policy_from_the_command_line(run: Run, tmp_path: Path) -> None:
    rules, cases = tmp_path / "rules.cedar", tmp_path / "cases.toml"
    rules.write_text(run("operator-1", "policy", "show", "--text", "rules")[1], encoding="utf-8")
    cases.write_text(run("operator-1", "policy", "show", "--text", "cases")[1], encoding="utf-8")
    assert rules.read_text(encoding="utf-8") == shipped("authority.cedar")
    assert cases.read_text(encoding="utf-8") == shipped("authority.toml")
    assert "licence_core_grade" in run("operator-1", "policy", "show")[1]
    assert len(rows(run("operator-1", "policy", "show", "--format", "csv")[1])) == len(AUTHORITY.rules)
    rules.write_text(shipped("authority.cedar") + rule(), encoding="utf-8")
    code, _, err = run("supervisor", "policy", "propose", str(rules), str(cases), "--reason", "x")
    assert (code, "licence_own" in err) == (1, True)
    cases.write_text(shipped("authority.toml") + OWN_CASES + ALONE, encoding="utf-8")
    assert run("supervisor", "policy", "propose", str(rules), str(cases), "--reason", "x")[0] == 0
    (version,) = rows(run("auditor", "policy", "versions", "--format", "csv")[1])
    assert version["since"] == ""
    code, out, _ = run("supervisor-2", "policy", "confirm", version["proposal"])
    assert code == 0
    assert "in force" in out
    assert json.loads(run("auditor", "policy", "versions", "--format", "json")[1])[0]["changed_by"] == "supervisor-2"
    shown = json.loads(run("operator-1", "policy", "show", "--version", version["document"], "--format", "json")[1])
    assert shown["rules"] == rules.read_text(encoding="utf-8")
    assert "licence_own" in run("operator-1", "policy", "show")[1]


def test_a_program_from_the_command_line(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "churn"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "main.py").write_text("x", encoding="utf-8")
    (folder / ".hidden.py").write_text("import os", encoding="utf-8")
    (folder / "main.py").write_text(MAIN + "import os\n", encoding="utf-8")
    code, _, err = run("operator-1", "program", "submit", str(folder))
    assert (code, "main.py:8" in err) == (1, True)
    (folder / "main.py").write_text(MAIN, encoding="utf-8")
    code, out, _ = run("operator-1", "program", "submit", str(folder), "--format", "json")
    assert code == 0
    digest = json.loads(out)["digest"]
    assert "statistics" in run("reviewer", "program", "show", digest)[1]
    assert "import numpy as np" in run("reviewer", "program", "show", digest, "--source")[1]
    assert json.loads(run("reviewer", "program", "show", digest, "--format", "json")[1])["manifest"]["name"] == "churn"
    assert run("reviewer", "program", "review", digest, "approve", "--reason", "sound")[0] == 0
    assert run("reviewer-2", "program", "review", digest, "approve", "--reason", "sound")[0] == 0
    (row,) = rows(run("auditor", "program", "list", "--format", "csv")[1])
    assert (row["state"], row["reviews"]) == ("approved", "reviewer:approve reviewer-2:approve")
    assert run("auditor", "program", "list")[1].count(digest[:8]) == 1
    assert run("supervisor", "program", "invalidate", digest, "--reason", "flaw")[0] == 0
    assert run("operator-1", "program", "withdraw", digest, "--reason", "x")[0] == 1


def alone(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["--lang", "en", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_policys_cases_run_without_a_server(bureau_home: Home, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = alone(capsys, "policy", "test", "--shipped")
    assert code == 0
    assert "✗" not in out
    assert AUTHORITY.digest in out
    home = tmp_path / "home"
    bureau_home.copy_to(home)
    code, out, _ = alone(capsys, "policy", "test", "--home", str(home))
    assert (code, AUTHORITY.digest in out) == (0, True)


def test_a_policy_that_does_not_hold_is_told_so(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules, cases = tmp_path / "rules.cedar", tmp_path / "cases.toml"
    rules.write_text(shipped("authority.cedar"), encoding="utf-8")
    cases.write_text(shipped("authority.toml"), encoding="utf-8")
    code, out, _ = alone(capsys, "policy", "check", str(rules), str(cases))
    assert (code, AUTHORITY.digest in out) == (0, True)
    cases.write_text(shipped("authority.toml").replace("5_000_000_001", "5_000_000_000"), encoding="utf-8")
    code, _, err = alone(capsys, "policy", "check", str(rules), str(cases))
    assert (code, "licence_important_price" in err) == (1, True)
    weaker = shipped("authority.cedar").replace("5000000000", "6000000000")
    monkeypatch.setattr("policies.authority.shipped", lambda name: weaker if name == "authority.cedar" else shipped(name))
    code, out, _ = alone(capsys, "policy", "test", "--shipped")
    assert code == 1
    assert "✗ cases[6](licence_important_price)" in out


def test_a_rule_pack_from_the_command_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "pack.toml"
    file.write_text(run("operator-1", "rule-pack", "show", "--shipped", "general", "--text")[1], encoding="utf-8")
    assert file.read_text(encoding="utf-8").strip() == shipped_pack_text("general").strip()
    assert json.loads(run("auditor", "rule-pack", "show", "--format", "json")[1])["document"] is None
    assert "minimum_units" in run("reviewer", "rule-pack", "show")[1]
    code, _, err = run("supervisor", "rule-pack", "propose", str(file), "--reason", "x")
    assert code != 0
    assert "Nothing changes" in err

    text = file.read_text(encoding="utf-8").replace('name = "general"', 'name = "health"')
    file.write_text(text.replace("threshold = 10", "threshold = 2"), encoding="utf-8")
    code, _, err = run("supervisor", "rule-pack", "check", str(file))
    assert code != 0
    assert "rules[0](minimum_units)" in err
    file.write_text(text.replace("threshold = 10", "threshold = 20"), encoding="utf-8")
    assert "health 1" in run("supervisor", "rule-pack", "check", str(file))[1]

    assert run("supervisor", "rule-pack", "propose", str(file), "--reason", "x")[0] == 0
    (version,) = rows(run("auditor", "rule-pack", "history", "--format", "csv")[1])
    assert version["since"] == ""
    assert run("supervisor-2", "rule-pack", "show", "--proposal", version["proposal"])[1].strip() == file.read_text(encoding="utf-8").strip()
    assert run("supervisor-2", "rule-pack", "show", "--proposal", "0")[0] != 0
    assert run("supervisor", "rule-pack", "confirm", version["proposal"])[0] != 0, "nobody alone"
    code, out, _ = run("supervisor-2", "rule-pack", "confirm", version["proposal"])
    assert (code, "health 1 is in force" in out) == (0, True)
    assert json.loads(run("auditor", "rule-pack", "show", "--format", "json")[1])["pack"] == version["digest"]
    assert rows(run("auditor", "rule-pack", "show", "--format", "csv")[1])[0]["rule"] == "minimum_units"
    assert "supervisor-2" in run("auditor", "rule-pack", "history")[1]
