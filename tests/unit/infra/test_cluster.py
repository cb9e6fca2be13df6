"""Certificates, addresses, settings and command lines of a cluster; its machines are tried in tests/cluster."""

from __future__ import annotations

import json
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID
from pydantic import ValidationError

from infra.clock import system_clock
from infra.settings import Settings
from infra.workers import WorkersError, certificates
from infra.workers import nodes as module
from infra.workers.environment import variables
from infra.workers.nodes import AGAIN_MOST_S, AGAIN_S, PORTS, Node, Runner, command, pause, public_addresses


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_node_is_believed_by_its_own_authority_alone_for_its_own_addresses(tmp_path: Path) -> None:
    for name in ("mine", "other"):
        certificates.authority(tmp_path / name, system_clock)
    certificates.node(tmp_path / "mine", tmp_path / "node", ["10.1.2.3", "fd00::1"], system_clock)
    made, ours, others = read(tmp_path / "node" / "node.crt"), read(tmp_path / "mine" / "ca.crt"), read(tmp_path / "other" / "ca.crt")
    made.verify_directly_issued_by(ours)
    with pytest.raises((InvalidSignature, ValueError)):
        made.verify_directly_issued_by(others)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ip_address(text) for text in ("10.1.2.3", "fd00::1", "127.0.0.1", "::1")]
    assert set(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == {
        ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH,
    }  # fmt: skip
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert timedelta(days=800) < made.not_valid_after_utc - system_clock() < timedelta(days=826)
    for key in (tmp_path / "mine" / "ca.key", tmp_path / "node" / "node.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = (tmp_path / "mine" / "ca.key").read_bytes()
    certificates.authority(tmp_path / "mine", system_clock)  # made once
    assert (tmp_path / "mine" / "ca.key").read_bytes() == before
    with pytest.raises(FileExistsError):
        certificates.node(tmp_path / "mine", tmp_path / "node", ["10.1.2.3"], system_clock)


@pytest.mark.parametrize("address", ["8.8.8.8", "0.0.0.0", "2606:4700::1", "example.org", ""])
def test_only_private_addresses_are_served(tmp_path: Path, address: str) -> None:
    certificates.authority(tmp_path, system_clock)
    with pytest.raises(ValueError, match="address"):
        certificates.node(tmp_path, tmp_path / "node", [address], system_clock)
    with pytest.raises(ValueError, match="address"):
        Node("10.0.0.1:6379", address, tmp_path, tmp_path)
    with pytest.raises(ValueError, match="address"):
        Node(f"{address}:6379", "10.0.0.1", tmp_path, tmp_path)


def test_a_machine_with_a_public_address_needs_somebody_to_vouch_for_a_firewall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(ip_address(found).is_global for found in public_addresses())
    monkeypatch.setattr(module, "public_addresses", lambda: ["8.8.8.8"])
    with pytest.raises(WorkersError, match="public_address"):
        Runner(Node("10.0.0.1:6379", "10.0.0.1", tmp_path, tmp_path)).run()


def test_a_node_starts_ray_once_the_head_listens_and_says_what_ray_said_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # a Ray of another kind, that this process was told of
    look = "import os, sys; sys.exit('no port 6380' + os.environ.get('RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER', ''))"
    monkeypatch.setattr(module, "command", lambda *_: [sys.executable, "-c", look])
    logs = structlog.testing.CapturingLogger()
    monkeypatch.setattr(module, "log", logs)
    with socket.socket() as head:
        head.bind(("127.0.0.1", 0))
        runner = Runner(Node(f"127.0.0.1:{head.getsockname()[1]}", "10.0.0.2", tmp_path, tmp_path, firewalled=True))
        running = threading.Thread(target=runner.run)
        running.start()
        try:
            until(lambda: bool(logs.calls))
            assert [call.args for call in logs.calls] == [("node_waits",)]
            head.listen()
            until(lambda: len(logs.calls) == 3)
            assert [call.args for call in logs.calls[1:]] == [("node_started",), ("node_ended",)]
            assert logs.calls[2].kwargs == {"status": 1, "said": "no port 6380"}
        finally:
            runner.stop()
            running.join()


def test_nodes_that_failed_together_wait_longer_each_time_and_not_as_long_as_each_other() -> None:
    assert pause("10.0.0.1", 0) < 2 * AGAIN_S
    for failed in range(1, 20):
        least = min(AGAIN_S * 2 ** (failed - 1), AGAIN_MOST_S)
        waits = [pause(f"10.0.0.{machine}", failed) for machine in range(1, 9)]
        assert all(least <= wait <= 2 * least for wait in waits)
        assert max(waits) - min(waits) > least / 4


def test_nodes_have_tls_a_token_no_dashboard_and_fixed_ports(tmp_path: Path) -> None:
    head = command(Node("10.0.0.1:6379", "10.0.0.1", tmp_path, tmp_path, ("east", "west")), tmp_path, tmp_path)
    other = command(Node("10.0.0.1:6379", "10.0.0.2", tmp_path, tmp_path), tmp_path, tmp_path)
    assert "--head" in head
    assert "--include-dashboard=false" in head
    assert "--head" not in other
    assert other[other.index("--address") + 1] == "10.0.0.1:6379"
    for line, ip in ((head, "10.0.0.1"), (other, "10.0.0.2")):
        assert line[line.index("--node-ip-address") + 1] == ip
        assert all(line[line.index(name) + 1] == str(port) for name, port in PORTS.items())
    assert set(json.loads(head[head.index("--resources") + 1])) == {"place:east", "place:west"}
    told = variables(local=False, token=tmp_path / "token", certificates=tmp_path)
    assert (told["RAY_USE_TLS"], told["RAY_AUTH_MODE"], told["RAY_USAGE_STATS_ENABLED"]) == ("1", "token", "0")
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in told


CLUSTER = {"ray_address": "10.0.0.1:6379", "ray_token_file": "t", "ray_certificates_dir": "c"}


def test_places_are_read_from_settings(tmp_path: Path) -> None:
    made = Settings(home=tmp_path, workers=4, worker_places=("east=2", "west=1"), dataset_places=("Visits=east",), **CLUSTER)
    assert made.places == ["east", "east", "west", None]
    assert made.homes == {"visits": "east"}
    assert Settings(home=tmp_path).places == [None, None]


@pytest.mark.parametrize(
    "changes",
    [
        {"ray_address": "10.0.0.1:6379"},
        {**CLUSTER, "ray_token_file": None},
        {**CLUSTER, "ray_address": "10.0.0.1"},
        {**CLUSTER, "worker_places": ("east",)},
        {**CLUSTER, "worker_places": ("east=0",)},
        {**CLUSTER, "dataset_places": ("visits=east", "visits=west")},
        {"dataset_places": ("visits=east",)},
    ],
)
def test_a_cluster_without_tls_or_token_and_places_that_mean_nothing_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"home": tmp_path, **changes})
