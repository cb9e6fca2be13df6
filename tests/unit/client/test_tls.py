"""Where the client takes its certificate from, and what it says of one it cannot use."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from yunei.config import Config, store
from yunei.problem import YuneiProblem
from yunei.tls import Tls


def yunei_command(home: Path, *arguments: object, given: str = "") -> subprocess.CompletedProcess[str]:
    """The command line, with a home of its own."""
    program = Path(sys.executable).with_name("yunei")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8", "YUNEI_LANG": "en"}
    return subprocess.run([program, *map(str, arguments)], env=environment, input=given, capture_output=True, text=True, timeout=60)


def test_arguments_environment_and_file_name_it(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    environment = {"HOME": str(tmp_path), "YUNEI_CONFIG": str(path)}
    store(path, url="https://a", key="k", tls=Tls(tmp_path / "c.pem", tmp_path / "c.key", tmp_path / "ca.pem"))
    assert tomllib.loads(path.read_text())["certificate_key"] == str(tmp_path / "c.key")
    assert Config.load(environment).tls == Tls(tmp_path / "c.pem", tmp_path / "c.key", tmp_path / "ca.pem")
    assert Config.load({**environment, "YUNEI_CERTIFICATE": "/d.pem"}).tls.certificate == Path("/d.pem")
    store(path, url="https://a", key="k")
    assert Config.load(environment).tls == Tls()


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_certificate_that_is_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "c.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(YuneiProblem) as refused:
        Tls(path).context("en")
    assert refused.value.code == "client_bad_certificate"
    assert str(path) in refused.value.detail


def test_nothing_set_is_nothing_changed() -> None:
    assert Tls().context("en") is None
