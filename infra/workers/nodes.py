"""One node of a cluster: Ray on this machine, head or not, started again whenever it ends, until told to stop.

Ray listens on every address of the machine once it may be reached from another, so what keeps strangers out is threefold: mutual TLS with
the cluster's own certificates, the token, and a machine that has no public address (or a firewall in front, which `firewalled` vouches for).
Ports are fixed, so that a firewall can name them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from time import monotonic

import structlog

from infra.workers.certificates import private
from infra.workers.environment import SHARED_MEMORY, own_directory, remove, subfolder, variables, without_ray
from infra.workers.errors import WorkersError
from infra.workers.pool import resource_of

log = structlog.get_logger("yunei.node")

PORTS = {
    "--node-manager-port": 6380,
    "--object-manager-port": 6381,
    "--runtime-env-agent-port": 6382,
    "--dashboard-agent-grpc-port": 6383,
    "--dashboard-agent-listen-port": 6384,
    "--metrics-export-port": 6385,
    "--min-worker-port": 6400,
    "--max-worker-port": 6999,
}
HEAD = {  # a node that is not heard of for some six seconds is taken for lost
    "health_check_initial_delay_ms": 5_000,
    "health_check_period_ms": 1_000,
    "health_check_timeout_ms": 2_000,
    "health_check_failure_threshold": 3,
    "automatic_object_spilling_enabled": False,
}
PLENTY = 1_000_000
AGAIN_S = 2.0  # after a Ray that ended; twice as long after each further one that did not last
AGAIN_MOST_S = 30.0
LASTED_S = 60.0
LOOK_S = 1.0  # between looks whether the head is there
STOP_S = 20.0
TAIL_BYTES = 600  # of what Ray said last
_SIOCGIFADDR = 0x8915


@dataclass(frozen=True, slots=True)
class Node:
    """`head`: `host:port` where the cluster's head is, or is to be; `ip`: this machine's address; `places`: whose data may be read here."""

    head: str
    ip: str
    token: Path
    certificates: Path
    places: tuple[str, ...] = ()
    workers: int = 2
    object_store_bytes: int = 128 * 2**20
    firewalled: bool = False

    def __post_init__(self) -> None:
        private(self.ip)
        private(self.head.rpartition(":")[0].strip("[]"))

    @property
    def is_head(self) -> bool:
        return self.head.rpartition(":")[0].strip("[]") == self.ip


def public_addresses() -> list[str]:
    """Of this machine's interfaces (netdevice(7), /proc/net/if_inet6)."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # one without an address
                reply = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name[:15].encode()))
                found.append(socket.inet_ntoa(reply[20:24]))
    with suppress(OSError):
        found += [str(ip_address(bytes.fromhex(line.split()[0]))) for line in Path("/proc/net/if_inet6").read_text().splitlines()]
    return [address for address in found if ip_address(address).is_global]


def command(node: Node, temp: Path, shared: Path) -> list[str]:
    """Ray's own, which stays until one of its processes ends."""
    line = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block", "--disable-usage-stats"]
    line += ["--node-ip-address", node.ip, "--num-cpus", str(node.workers), "--num-gpus", "0"]
    line += ["--include-log-monitor", "false"]  # nobody reads what workers print, and it takes a tenth of the time to come up
    line += ["--object-store-memory", str(node.object_store_bytes), "--plasma-directory", str(SHARED_MEMORY)]
    line += ["--resources", json.dumps({resource_of(place): PLENTY for place in node.places})]
    line += [word for name, port in PORTS.items() for word in (name, str(port))]
    if node.is_head:
        line += ["--head", "--port", node.head.rpartition(":")[2], "--include-dashboard=false", "--temp-dir", str(temp)]
        line += ["--no-monitor"]  # of an autoscaler that is not there; it would tell its numbers to anybody
        return [*line, "--system-config", json.dumps(HEAD), "--object-spilling-directory", str(shared)]
    return [*line, "--address", node.head, "--temp-dir", str(temp)]


class Runner:
    """Keeps a node up. `run` returns after `stop`. Ray gives its own processes half a minute to come up, whatever the machine is busy with: a
    node that is not the head waits until the head listens, and nodes that failed together do not try again together."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stop = threading.Event()

    def run(self) -> None:
        """WorkersError public_address when the machine has one and nobody vouches for a firewall."""
        if not self._node.firewalled and public_addresses():
            raise WorkersError("public_address")
        failed = 0
        while self._head_listens():
            began = monotonic()
            self._once()
            failed = 0 if monotonic() - began > LASTED_S else failed + 1
            self._stop.wait(pause(self._node.ip, failed))

    def _head_listens(self) -> bool:
        """Returns when it does, at once for the head itself; False: told to stop."""
        host, _, port = self._node.head.rpartition(":")
        waits = False
        while not (self._stop.is_set() or self._node.is_head or listens(host.strip("[]"), int(port))):
            if not waits:
                log.info("node_waits", head=self._node.head)
            waits = True
            self._stop.wait(LOOK_S)
        return not self._stop.is_set()

    def _once(self) -> None:
        temp, shared = own_directory(Path(tempfile.gettempdir())), own_directory(SHARED_MEMORY)
        told = variables(local=False, token=self._node.token, certificates=self._node.certificates)
        said = temp / "said"
        with said.open("wb") as output:
            ray = subprocess.Popen(  # noqa: S603  # ourselves
                command(self._node, subfolder(temp, "r"), subfolder(shared, "spare")),
                env={**without_ray(), **told},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        log.info("node_started", head=self._node.is_head, pid=ray.pid)
        try:
            while ray.poll() is None and not self._stop.wait(0.2):
                pass
        finally:
            _end(ray)
            last = said.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()
            remove(temp, shared)
        if self._stop.is_set():
            log.info("node_stopped")
        else:
            log.warning("node_ended", status=ray.returncode, said=last)

    def stop(self) -> None:
        self._stop.set()


def pause(ip: str, failed: int) -> float:
    """Seconds before Ray is started again after `failed` ends in a row, as many more again by the node's address: not all at once."""
    spread = hashlib.sha256(f"{ip}/{failed}".encode()).digest()[0] / 256
    return float(min(AGAIN_S * 2 ** max(failed - 1, 0), AGAIN_MOST_S) * (1 + spread))


def listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), LOOK_S):
            return True
    except OSError:
        return False


def _end(ray: subprocess.Popen[bytes]) -> None:
    """All of Ray: its processes are one group."""
    with suppress(ProcessLookupError):
        if ray.poll() is None:
            ray.terminate()
    with suppress(subprocess.TimeoutExpired):
        ray.wait(STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(ray.pid, signal.SIGKILL)
    ray.wait()
