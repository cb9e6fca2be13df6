"""The compose file against the schema of compose files and rules of ours; the units against systemd itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.deploy.bundle import ROOT
from infra.settings import Settings

DEPLOY = ROOT / "infra" / "deploy"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
EXPOSURE = {"yunei": 2.0, "yunei-launcher": 1.5, "yunei-proxy": 2.0, "yunei-backup": 1.5, "yunei-dockerd": 9.0}
"""What `systemd-analyze security` may say at most, of 10. Docker's daemon is root and starts containers: it has a machine to itself."""


def services() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return loaded


def test_the_schema_of_compose_files_takes_it() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", services())
def test_a_service_has_no_right_and_its_image_a_digest(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert "no-new-privileges:true" in service["security_opt"]
    assert int(service["user"].partition(":")[0]) >= 64000
    assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:\?.*@sha256:….*\}", service["image"]), "a digest, to be given"
    assert service["mem_limit"] == service["memswap_limit"], "no swap"
    assert service["pids_limit"]
    assert service["ulimits"]["core"] == 0


def test_only_the_proxy_has_a_port_and_a_way_out() -> None:
    loaded = yaml.safe_load(COMPOSE.read_text())
    assert [name for name, service in loaded["services"].items() if "ports" in service] == ["proxy"]
    assert loaded["networks"]["inside"]["internal"] is True
    assert {name: sorted(service.get("networks", [service.get("network_mode")])) for name, service in loaded["services"].items()} == {
        "proxy": ["edge", "inside"], "server": ["inside"], "database": ["inside"], "launcher": ["none"],
    }  # fmt: skip
    inside = loaded["services"]["proxy"]["networks"]["inside"]["ipv4_address"]
    assert loaded["services"]["server"]["environment"]["YUNEI_TRUSTED_PROXIES"] == inside


def test_only_the_launcher_sees_docker_and_only_the_server_sees_the_home() -> None:
    def sources(name: str) -> list[str]:
        return [volume["source"] for volume in services()[name]["volumes"]]

    assert [name for name in services() if any("docker" in source for source in sources(name))] == ["launcher"]
    home = "${STATE:-/var/lib/yunei}"
    assert {name for name in services() if home in sources(name)} == {"server"}
    assert [volume["read_only"] for volume in services()["proxy"]["volumes"]] == [True, True]


def test_settings_and_variables_it_names_are_there() -> None:
    text = COMPOSE.read_text()
    for service in services().values():
        named = {name: value for name, value in service.get("environment", {}).items() if name.startswith("YUNEI_")}
        Settings.load(Path("/nonexistent"), {name: re.sub(r"\$\{[^}]*\}", "2", value) for name, value in named.items() if "ORIGIN" not in name})
    example = set(re.findall(r"^([A-Z_]+)=", (COMPOSE.parent / "env.example").read_text(), re.M))
    assert set(re.findall(r"\$\{([A-Z_]+)", text)) <= example


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        assert not os.environ.get("CI"), "CI has to have systemd (make outside installs it)"
        pytest.skip("this machine lacks systemd (make outside installs it)")
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)


def test_systemd_understands_every_unit() -> None:
    done = analyze("verify", "--man=no", *UNITS, *(DEPLOY / "systemd").glob("*.timer"))
    lines = [line for line in done.stderr.splitlines() if "is not executable" not in line]  # what they start is not installed here
    assert lines == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_is_as_closed_as_is_said(unit: Path) -> None:
    said = analyze("security", "--offline=true", f"--threshold={round(EXPOSURE[unit.stem] * 10)}", unit)
    assert said.returncode == 0, said.stdout.splitlines()[-1]
    text = unit.read_text()
    assert "LimitCORE=0" in text
    environment = dict(re.findall(r"(YUNEI_[A-Z_]+)=(\S+)", "\n".join(line for line in text.splitlines() if line.startswith("Environment="))))
    Settings.load(Path("/nonexistent"), environment)
