"""The command line: two languages, three shapes of output, one way to fail, exit codes that scripts can rely on."""

from __future__ import annotations

import csv
import io
import json
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import typer

from tests.unit.client import logs
from tests.unit.client.server import KEY, Bureau
from yunei.cli import main
from yunei.cli import run as running

pytestmark = pytest.mark.enable_socket
SQL = "SELECT city, COUNT(*) AS n FROM visits GROUP BY city"
ORDER = ("--licence", "lic-1", "--scenario", "health", "--epsilon", "0.5")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        out, err = capsys.readouterr()
        assert KEY not in out + err
        return code, out, err

    return call


@pytest.fixture(autouse=True)
def configured(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YUNEI_URL", bureau.url)
    monkeypatch.setenv("YUNEI_KEY", KEY)
    monkeypatch.setattr(running, "plugins", lambda: ())


def test_alone_it_says_what_there_is_in_either_language(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = run()
    assert code == 0
    for words in ("job ", "submit", "yunei log verify", "Exit codes", "YUNEI_KEY"):
        assert words in out
    assert run("--help") == run("-h") == run()
    assert "作业" in run("--lang", "zh")[1]
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert "退出码" in run()[1]
    monkeypatch.setenv("LC_ALL", "C")
    assert "Exit codes" in run()[1]
    assert "退出码" in run("--lang=zh")[1]
    monkeypatch.setenv("YUNEI_LANG", "zh")
    assert "退出码" in run()[1]


def test_every_verb_of_the_table_has_help_in_both_languages(run: Run) -> None:
    from yunei.cli.verbs import NOUNS

    for noun in NOUNS:
        for verb in noun.verbs:
            words = (noun.name, verb.name) if noun.name else (verb.name,)
            code, out, _ = run(*words, "--help")
            assert code == 0
            assert verb.en in " ".join(out.split())
            code, out, _ = run(*words, "--help", "--lang", "zh")
            assert verb.zh in out
            assert "用法：" in out
            assert "Usage" not in out


def test_a_noun_alone_lists_its_verbs(run: Run) -> None:
    assert run("job") == run("job", "--help")
    code, out, err = run("release")
    assert (code, err) == (0, "")
    assert "fetch " in out


def test_usage_errors_say_where_to_read_on(run: Run) -> None:
    for arguments, words in (
        (("jbo",), "No such command 'jbo'"),
        (("job", "chekc"), "Did you mean 'check'"),
        (("job", "show"), "Missing argument"),
        (("job", "list", "--format", "xml"), "xml"),
        (("job", "list", "--key", "x"), "--key goes before the noun"),
        (("--url",), "--url needs a value"),
        (("--lang", "fr"), "--lang is zh or en"),
        (("--frobnicate", "job"), "no such option: --frobnicate"),
        (("job", "check", SQL), "--licence"),
        (("job", "check", *ORDER), "--file"),
        (("job", "check", SQL, *ORDER, "--range", "fee"), "COLUMN=LOW:HIGH"),
        (("job", "check", SQL, *ORDER, "--range", "fee=0:1", "--range", "fee=0:2"), "each column once"),
        (("job", "check", "-f", "/nowhere.sql", *ORDER), "/nowhere.sql"),
    ):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert words in err
        assert "--help" in err
    code, _, err = run("job", "show", "--lang", "zh")
    assert "用法错误：缺少参数" in err


def test_check_prices_and_explains(run: Run, bureau: Bureau, tmp_path: Path) -> None:
    file = tmp_path / "q.sql"
    file.write_text(SQL, encoding="utf-8")
    code, out, _ = run("job", "check", "-f", str(file), *ORDER, "--range", "fee=0:100", "--range", "visits.days=-1:5")
    assert code == 0
    assert "ε = 0.5 (δ = 1e-8)" in out
    assert "at most 4 groups" in out
    assert "licence:lic-1" in out
    body = bureau.requests[-1][3]
    assert body["sql"] == SQL
    assert body["ranges"] == {"fee": {"low": "0", "high": "100"}, "visits.days": {"low": "-1", "high": "5"}}
    assert "每个单元最多计入 4 组。" in run("job", "check", SQL, *ORDER, "--lang", "zh")[1]
    assert json.loads(run("job", "check", SQL, *ORDER, "--format", "json")[1])["price"]["rho"] == "0.00702"


def test_sql_comes_from_standard_input_and_options_from_the_environment(run: Run, bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(SQL))
    monkeypatch.setenv("YUNEI_LICENCE", "lic-9")
    monkeypatch.setenv("YUNEI_SCENARIO", "s-9")
    assert run("job", "check", "-", "--rho", "0.01", "--delta", "1e-9", "--groups-per-unit", "2", "--rows-per-group", "3")[0] == 0
    assert bureau.requests[-1][3] == {
        "licence": "lic-9",
        "scenario": "s-9",
        "sql": SQL,
        "privacy": {"rho": "0.01", "delta": "1e-9"},
        "groups_per_unit": 2,
        "rows_per_group": 3,
    }


def test_an_accuracy_is_asked_in_place_of_a_loss(run: Run, bureau: Bureau) -> None:
    assert run("job", "check", SQL, *ORDER[:4], "--accuracy", "2%")[0] == 0
    assert bureau.requests[-1][3]["privacy"] == {"accuracy": "2%"}


def test_a_refusal_names_every_rule_and_its_remedy(run: Run) -> None:
    bad = ("job", "check", SQL, "--licence", "lic-1", "--scenario", "bad", "--epsilon", "1")
    code, out, err = run(*bad)
    assert (code, out) == (1, "")
    for words in ("Refused [licence_refused]", "Scenario: Not in the licence.", "→ Use a scenario of the licence."):
        assert words in err
    assert "→ 换用协议内的场景。" in run(*bad, "--lang", "zh")[2]
    code, _, err = run(*bad, "--format", "json")
    assert (code, json.loads(err)["parts"][0]["code"]) == (1, "licence_scenario")


def test_submit_waits_and_shows_the_answer_in_each_shape(run: Run, bureau: Bureau) -> None:
    code, out, _ = run("job", "submit", SQL, *ORDER)
    assert code == 0
    assert "12,345 ± 17" in out
    assert "\x1b" not in out
    code, out, _ = run("job", "submit", SQL, *ORDER, "--format", "json")
    found = json.loads(out)
    assert found["rows"][0]["n"] == 12345
    assert found["release"]["price"]["rho"] == "0.00702"
    code, out, _ = run("job", "wait", "job-1", "--format", "csv")
    assert out.encode() == bureau.files["csv"]
    code, out, err = run("job", "submit", SQL, *ORDER, "--no-wait", "--idempotency-key", "k1")
    assert (code, out.strip()) == (0, bureau.jobs["k1"])
    assert f"yunei job wait {bureau.jobs['k1']}" in err


def test_exit_codes(run: Run, bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    bureau.polls = 10**6
    assert run("job", "wait", "job-1", "--timeout", "0")[0] == 5
    bureau.polls, bureau.job_ends_as = 0, "cancelled"
    assert run("job", "wait", "job-1")[0] == 1
    bureau.files["arrow"] += b"\0"
    assert run("release", "verify", "rel-1")[0] == 4
    monkeypatch.setenv("YUNEI_URL", "ftp://x")
    assert run("account", "list")[0] == 2
    monkeypatch.setenv("YUNEI_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    code, _, err = run("account", "list")
    assert (code, "client_unreachable" in err) == (3, True)


def test_an_interrupt_says_that_the_job_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("yunei.client.Client.wait", interrupted)
    code, _, err = run("job", "submit", SQL, *ORDER)
    assert (code, "yunei job wait job-1" in err) == (130, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("job", "list", "-n", "3"), ["job-250", "published", "2026-11-22 08:30:00Z"]),
        (("job", "show", "job-7"), ["job-7", "SELECT city"]),
        (("job", "cancel", "job-7"), ["job-7", "cancelled"]),
        (("job", "dummy", SQL, *ORDER), ["7 ± 2.5", "Invented rows"]),
        (("release", "list"), ["rel-1", "300"]),
        (("release", "show", "rel-1"), ["12,345 ± 17", "visits v1", "too few units"]),
        (("dataset", "list"), ["visits", "general-3", "person_id"]),
        (("dataset", "show", "visits"), ["health commission", "0 … 50000", "0, 1, 2, 3, 4, 5 … (11)", "SX-2026-001"]),
        (("licence", "list"), ["lic-1", "active", "2027-01-01"]),
        (("licence", "show", "lic-1"), ["visits (all columns)", "2026-7", "licence:lic-1"]),
        (("account", "list"), ["licence:lic-1", "2.5", "0.5"]),
        (("log", "show"), ["log.example/release", "301", "release_published", "release=rel-1"]),
        (("log", "show", "300"), ['"kind": "release_published"']),
        (("log", "verify"), ["the log is intact", "301"]),
        (("log", "verify", "--head"), ["the checkpoint is signed"]),
        (("release", "verify", "rel-1"), ["receipt, log and bytes agree", "300"]),
        (("whoami",), ["op-1", "operator", "job_submit"]),
    ],
    ids=lambda value: "-".join(word for word in value[:2]) if isinstance(value, tuple) else "",
)
def test_what_verbs_print(run: Run, arguments: tuple[str, ...], words: list[str]) -> None:
    code, out, err = run(*arguments)
    assert code == 0
    for word in words:
        assert word in out + err
    assert "\x1b" not in out + err
    code, out, _ = run(*arguments, "--format", "json")
    assert code == 0
    assert json.loads(out)
    code, out, _ = run(*arguments, "--format", "csv")
    assert code == 0
    rows = list(csv.reader(io.StringIO(out)))
    assert len({len(row) for row in rows}) == 1
    assert all(header.isascii() for header in rows[0])
    assert run(*arguments, "--format", "csv", "--lang", "zh")[1].split("\n")[0] == out.split("\n")[0]


def test_fetch_writes_file_and_receipt(run: Run, bureau: Bureau, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("release", "fetch", "rel-1", "-o", "a.csv")
    assert (code, out.split()) == (0, ["a.csv", "a.csv.tlog-proof"])
    assert (tmp_path / "a.csv").read_bytes() == bureau.files["csv"]
    assert run("release", "fetch", "rel-1", "--no-receipt")[1].split() == ["rel-1.parquet"]
    assert run("release", "verify", "rel-1", "a.csv", "--receipt", "a.csv.tlog-proof")[0] == 0
    (tmp_path / "a.csv").write_bytes(b"city,n\n")
    assert run("release", "verify", "rel-1", "a.csv")[0] == 4
    assert run("release", "verify", "rel-1", "absent.csv")[0] == 2
    assert run("release", "fetch", "rel-1", "-o", "a.xlsx")[0] == 2
    assert run("release", "fetch", "rel-1", "-o", "/proc/nowhere/a.csv")[0] == 2


def test_a_receipt_verifies_with_nobody_at_the_other_end(run: Run, bureau: Bureau, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bureau.extra = True
    monkeypatch.chdir(tmp_path)
    assert run("release", "fetch", "rel-1", "-o", "a.arrow")[0] == 0
    monkeypatch.setenv("YUNEI_URL", "http://127.0.0.1:9")
    assert run("release", "verify", "a.arrow", "--offline")[0] == 2
    code, out, _ = run("release", "verify", "a.arrow", "--offline", "--key", logs.VKEY)
    assert (code, "rel-1" in out) == (0, True)
    whole = (tmp_path / "a.arrow").read_bytes()
    (tmp_path / "a.arrow").write_bytes(whole[:-9] + b"?" + whole[-8:])
    assert run("release", "verify", "a.arrow", "--offline", "--key", logs.VKEY)[0] == 4


def test_log_verify_from_a_copy_with_checkpoints_kept_and_witnesses(run: Run, bureau: Bureau, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    copy = str(bureau.folder)
    assert run("log", "verify", "--dir", copy)[0] == 2
    assert run("log", "verify", "--dir", copy, "--key", logs.VKEY, "--save", str(kept))[0] == 0
    assert kept.read_text() == (bureau.folder / "checkpoint").read_text()
    assert run("log", "verify")[0] == 0
    bureau.grow(3)
    code, out, _ = run("log", "verify", "--dir", copy, "--since", str(kept), "--format", "json")
    assert (code, json.loads(out)["since"]) == (0, [301])
    assert run("log", "verify", "--dir", copy, "--witness", logs.WITNESS_VKEY)[0] == 4
    assert run("log", "verify", "--dir", copy, "--witness", "nonsense")[0] == 4
    bureau.entries[7] = b"rewritten"
    bureau.write()
    code, _, err = run("log", "verify", "--dir", copy, "--since", str(kept))
    assert (code, "verify_fork" in err) == (4, True)
    bundle = bureau.folder / "tile/entries/000"
    bundle.write_bytes(bundle.read_bytes().replace(b"rewritten", b"rewrittEn"))
    code, _, err = run("log", "verify", "--dir", copy, "--key", logs.VKEY, "--state", str(tmp_path / "none"))
    assert (code, "Entry 7 (tile/entries/000)" in err) == (4, True)


def test_whoever_may_not_read_entries_still_checks_signature_and_consistency(run: Run, bureau: Bureau) -> None:
    bureau.entries_closed = True
    code, out, err = run("log", "verify", "--format", "json")
    assert (code, json.loads(out)["complete"]) == (0, False)
    assert "for the bureau" in err
    assert run("log", "show")[0] == 0
    assert run("log", "show", "3")[0] == 1
    bureau.entries[5] = b"rewritten"
    bureau.write()
    assert run("log", "verify")[0] == 4


def test_repinning_takes_a_key(run: Run) -> None:
    code, _, err = run("log", "verify", "--repin")
    assert (code, "--key" in err) == (2, True)
    assert run("log", "verify", "--repin", "--key", logs.VKEY)[0] == 0


def test_login_tries_the_key_before_it_stores_it(run: Run, bureau: Bureau, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YUNEI_KEY")
    monkeypatch.delenv("YUNEI_URL")
    monkeypatch.setattr(sys, "stdin", io.StringIO("yk_wrong\n"))
    assert run("login", bureau.url)[0] == 1
    assert not (own_home / "config.toml").exists()
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{KEY}\n"))
    code, _, err = run("login", bureau.url)
    assert (code, "op-1" in err) == (0, True)
    assert stat.S_IMODE((own_home / "config.toml").stat().st_mode) == 0o600
    assert run("whoami")[0] == 0
    (own_home / "config.toml").write_text("url = 3")
    code, _, err = run("whoami")
    assert (code, "client_bad_config" in err) == (2, True)


def test_other_packages_add_verbs_and_a_broken_one_takes_nothing_with_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = (EntryPoint("good", f"{__name__}:added_verbs", "yunei.commands"), EntryPoint("bad", "no.such.module:register", "yunei.commands"))
    asked: list[int] = []

    def plugins() -> tuple[EntryPoint, ...]:
        asked.append(1)
        return entries

    monkeypatch.setattr(running, "plugins", plugins)
    assert run("job", "list")[0] == 0
    assert asked == []
    _, out, _ = run()
    assert re.search(r"^ {12}list  show .*  add$|^ {12}list  show  add$", out, re.M)
    assert out.count("whoami") == 1
    assert "  serve     run the server" in out
    assert "no.such.module" in out
    code, out, _ = run("dataset", "add", "x")
    assert (code, out) == (0, "added x\n")
    assert run("serve")[1] == "serving\n"
    code, out, _ = run("dataset", "--help")
    assert [verb in out for verb in ("list", "show", "add")] == [True] * 3
    code, _, err = run("dataset", "frob")
    assert (code, "no.such.module" in err) == (2, True)


def added_verbs(app: typer.Typer) -> None:
    from yunei.cli import groups

    @app.command("serve", help="run the server")
    def serve() -> None:
        typer.echo("serving")

    @groups["dataset"].command("add", help="register a dataset")
    def add(name: str) -> None:
        typer.echo(f"added {name}")


LIGHT = "import sys; import yunei; yunei.__version__; import yunei.cli; import yunei.cli.overview; print(*sys.modules)"


def test_naming_the_package_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "yunei.cli.overview" in loaded
    heavy = {"typer", "rich", "httpx2", "pyarrow", "pydantic", "cryptography", "pandas", "polars", "duckdb", "ray", "opendp", "asyncio"}
    assert heavy & loaded == set()


def test_verifying_needs_no_more_than_hashes_and_cryptography() -> None:
    code = "import sys, yunei.transparency, yunei.tiles; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert {"httpx2", "typer", "rich", "pyarrow", "pydantic"} & loaded == set()
    assert {name for name in loaded if name.startswith("yunei")} == {
        "yunei",
        "yunei.problem",
        "yunei.tiles",
        "yunei.transparency",
        "yunei.words",
    }
