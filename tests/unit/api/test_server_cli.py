"""The server's verbs on a home of their own, through the one command line, in both languages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.csv
import pytest

from api.services import Services
from tests import visits
from tests.bureau import settings_in
from yunei import cli

CATALOGUE = """
name = "clinics"
registration_no = "140000-7"
acquired_on = 2026-01-01
updated_on = 2026-01-01
grade = "general-2"
approximate_rows = 200
title = { zh = "门诊", en = "clinics" }
source_body = { zh = "卫健委", en = "health commission" }
share = { attribute = "unconditional", reason = { zh = "统计", en = "statistics" }, basis = "第十二条" }
unit = { column = "person_id", space = "person", title = { zh = "人", en = "person" } }
bounds = { groups_per_unit = 2, rows_per_group = 3 }
columns = [
  { name = "person_id", type = "integer", title = { zh = "人", en = "person" }, uses = ["filter"] },
  { name = "days", type = "integer", title = { zh = "天", en = "days" }, low = "0", high = "400" },
]
"""
LICENCE = """
id = "L-9"
operator = "op-9"
title = { zh = "协议", en = "licence" }
scenarios = ["planning"]
per_job = { epsilon = "1", delta = "1e-8" }
total = { rho = "0.1", delta = "1e-7" }
valid_from = 2026-01-01T00:00:00+08:00
valid_until = 2036-01-01T00:00:00+08:00
decision_document = "〔2026〕9号"
datasets = [{ dataset = "clinics" }]
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("api.home.guard", lambda: None)  # of this process, which other files run in, neither could be taken back
    monkeypatch.setattr("api.server.hold", lambda: "kept")
    monkeypatch.setenv("YUNEI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("YUNEI_KEY", raising=False)
    (tmp_path / "clinics.toml").write_text(CATALOGUE, encoding="utf-8")
    (tmp_path / "licence.toml").write_text(LICENCE, encoding="utf-8")
    pyarrow.csv.write_csv(visits.rows().select(["person_id", "days"]), tmp_path / "clinics.csv")
    return tmp_path


def yunei(*words: str | Path) -> int:
    return cli.main([*map(str, words), "--lang", "en"])


def test_a_bureau_is_set_up_used_and_audited(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert yunei("dataset", "add", home / "clinics.toml", home / "clinics.csv") == 0
    assert "200 rows" in capsys.readouterr().out
    assert yunei("key", "issue", "op-9", "--role", "operator") == 0
    shown = capsys.readouterr()
    secret = shown.out.strip()
    assert secret.startswith("yk_")
    assert secret not in shown.err
    assert yunei("licence", "grant", home / "licence.toml") == 0
    assert yunei("licence", "suspend", "L-9", "--reason", "inspection") == 0
    services = Services.open(settings_in(home / "home"))
    record = services.register.licence("L-9")
    assert record is not None
    assert record.state == "suspended"
    assert services.register.holder_of(secret) is not None
    assert yunei("licence", "resume", "L-9", "--reason", "done") == 0
    assert yunei("key", "revoke", secret.split("_")[1], "--reason", "lost") == 0
    assert services.register.holder_of(secret) is None
    services.close()
    capsys.readouterr()
    assert yunei("key", "list") == 0
    assert "revoked" in capsys.readouterr().out
    assert yunei("audit") == 0
    assert "nothing was found" in capsys.readouterr().out


def test_a_second_version_follows_the_first(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for version in (1, 2):
        assert yunei("dataset", "add", home / "clinics.toml", home / "clinics.csv") == 0
        assert f"version {version}:" in capsys.readouterr().out


def test_rows_are_added_to_the_present_version(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert yunei("dataset", "add", home / "clinics.toml", home / "clinics.csv", "--append") == 1
    assert "without --append" in capsys.readouterr().err
    assert yunei("dataset", "add", home / "clinics.toml", home / "clinics.csv") == 0
    capsys.readouterr()
    assert yunei("dataset", "add", home / "clinics.toml", home / "clinics.csv", "--append") == 0
    shown = capsys.readouterr().out
    assert "version 2: 400 rows" in shown
    assert "200" in shown.split("added now")[1]


def test_where_data_comes_from_is_said_once_and_without_secrets(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "q.sql").write_text("SELECT 1", encoding="utf-8")
    (home / "secret").write_text("s3cret\n", encoding="utf-8")
    database = ("--database", "postgresql://me@127.0.0.1:1/db", "--query", home / "q.sql")
    for words in ((), (home / "clinics.csv", *database), database[:2], (*database, "--tls-cert", home / "q.sql")):
        assert yunei("dataset", "add", home / "clinics.toml", *words) == 1
        assert "--database" in capsys.readouterr().err
    (home / "secret").chmod(0o644)
    assert yunei("dataset", "add", home / "clinics.toml", *database, "--password-file", home / "secret") == 1
    assert "chmod 600" in capsys.readouterr().err
    (home / "secret").chmod(0o600)
    named = ("--database", "postgresql://me:pw@127.0.0.1/db", "--query", home / "q.sql", "--password-file", home / "secret")
    assert yunei("dataset", "add", home / "clinics.toml", *named) == 1
    assert "password" in capsys.readouterr().err
    assert yunei("dataset", "add", home / "clinics.toml", *database, "--password-file", home / "secret") == 1
    shown = capsys.readouterr().err
    assert "postgresql://127.0.0.1:1/db" in shown
    assert "s3cret" not in shown


def test_a_profile_is_shown_and_drafted_for_its_owner_alone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert yunei("dataset", "profile", home / "clinics.csv", "--unit", "person_id", "--out", home / "draft.toml") == 0
    shown = capsys.readouterr().out
    assert "never to be passed on" in shown
    assert "60 units" in shown
    assert (home / "draft.toml").stat().st_mode & 0o077 == 0
    assert 'name = "days"' in (home / "draft.toml").read_text(encoding="utf-8")


def test_refusals_end_with_one_and_a_remedy(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "clinics.toml").write_text(CATALOGUE.replace('grade = "general-2"', 'grade = "secret"'), encoding="utf-8")
    assert yunei("dataset", "add", home / "clinics.toml", home / "clinics.csv") == 1
    assert "grade" in capsys.readouterr().err
    assert yunei("licence", "grant", home / "licence.toml") == 1
    assert "clinics" in capsys.readouterr().err
    assert yunei("licence", "suspend", "L-none", "--reason", "x") == 1
    assert yunei("key", "revoke", "none", "--reason", "x") == 1
    assert yunei("key", "issue", "op-9", "--role", "king") == 2
    assert yunei("dataset", "add", home / "nowhere.toml", home / "clinics.csv") == 2


def test_a_flipped_byte_ends_the_audit_with_four(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert yunei("key", "issue", "op-9", "--role", "operator") == 0
    log = home / "home" / "log"
    shutil.copytree(log, home / "copy")
    tile = next((home / "copy" / "tile" / "entries").rglob("*.p/*"))
    data = bytearray(tile.read_bytes())
    data[40] ^= 1
    tile.write_bytes(data)
    assert yunei("audit", "--dir", home / "copy") == 4
    assert yunei("audit") == 0


def test_a_setting_that_is_none_is_named(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("YUNEI_WORKERS", "many")
    assert yunei("audit") == 1
    assert "YUNEI_WORKERS" in capsys.readouterr().err


def test_a_home_is_served_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = Services.open(settings_in(home / "home"), serving=True)
    assert yunei("serve", "--port", "0") == 1
    assert "server_home_in_use" in capsys.readouterr().err
    first.close()


HOME_SAID = ("主目录", "home folder")
HELP = {
    **dict.fromkeys(
        ("serve", "audit", "dataset add", "licence grant", "licence suspend", "licence resume", "key issue", "key revoke"), HOME_SAID
    ),
    "dataset profile": ("原始文件", "raw files"),  # it reads files alone and opens no home
}


@pytest.mark.parametrize("verb", HELP)
def test_help_is_in_both_languages(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    texts = {}
    for language in ("zh", "en"):
        assert cli.main([*verb.split(), "--help", "--lang", language]) == 0
        texts[language] = capsys.readouterr().out
    zh, en = HELP[verb]
    assert zh in texts["zh"]
    assert en in texts["en"]
    assert ("--home" in texts["en"]) == (HELP[verb] == HOME_SAID)
    assert not any("\u4e00" <= character <= "\u9fff" for character in texts["en"])
