"""Machines of a cluster on one machine: a network namespace each, joined by a bridge in another (ip-netns(8)). Root and iproute2 are needed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from infra.clock import system_clock
from infra.workers import certificates
from infra.workers.environment import new_token, without_ray
from infra.workers.nodes import PORTS
from tests.processes import command

ROOT = Path(__file__).resolve().parents[2]
HEAD = "10.77.0.1:6379"
PATIENCE_S = 240  # a busy machine takes its time to bring up Ray
UP = {PORTS["--node-manager-port"], PORTS["--runtime-env-agent-port"]}  # listen once all of a node's Ray is there
RUNNER = """
import signal, sys
from pathlib import Path
from infra.workers.nodes import Node, Runner
head, ip, folder, *places = sys.argv[1:]
runner = Runner(Node(head, ip, Path(folder) / "token", Path(folder) / ip, tuple(places), 1, 80 * 2**20))
signal.signal(signal.SIGTERM, lambda *_: runner.stop())
runner.run()
"""


class CannotHere(Exception):
    """This machine cannot have network namespaces."""


@dataclass
class Network:
    """Machine i has address 10.77.0.i. `folder` has the cluster's token and certificates."""

    folder: Path
    count: int
    name: str = field(default_factory=lambda: f"yn{os.getpid()}")
    runners: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def node(self, machine: int, *places: str) -> None:
        """Run a node there, as `yunei cluster node` does; the first machine's is the head. Returns when it is up: the machines here share
        their processors, and Rays that all start at once may miss the time they give themselves."""
        line = [sys.executable, "-c", RUNNER, HEAD, f"10.77.0.{machine}", str(self.folder), *places]
        self.runners[machine] = subprocess.Popen(self.within(machine, line), cwd=ROOT, env=without_ray(), start_new_session=True)
        until = time.monotonic() + PATIENCE_S
        while not self.listening(machine) >= UP:
            if time.monotonic() > until:
                raise TimeoutError(f"machine {machine} does not come up")
            time.sleep(0.5)

    def listening(self, machine: int) -> set[int]:
        """Ports."""
        lines = subprocess.run(self.within(machine, ["ss", "-Hltn"]), check=True, capture_output=True, text=True).stdout.splitlines()
        return {int(line.split()[3].rpartition(":")[2]) for line in lines}

    def within(self, machine: int, line: Sequence[str]) -> list[str]:
        return ["ip", "netns", "exec", f"{self.name}-{machine}", *line]

    def cut(self, machine: int) -> None:
        """Pull its cable."""
        _ip("-n", f"{self.name}-b", "link", "set", f"b{machine}", "down")

    def heal(self, machine: int) -> None:
        _ip("-n", f"{self.name}-b", "link", "set", f"b{machine}", "up")

    def kill_ray(self, machine: int) -> int:
        """kill −9 of everything of Ray there, in no order; the runner is left. How many processes."""
        return self._kill(
            machine, lambda pid: any(word in command(pid) for word in ("ray", "yunei-shard", "infra.workers.child")) and pid not in self._own()
        )

    def _own(self) -> set[int]:
        return {runner.pid for runner in self.runners.values()}

    def _kill(self, machine: int, chosen: object) -> int:
        killed = 0
        for text in _ip("netns", "pids", f"{self.name}-{machine}").split():
            if chosen(int(text)):  # type: ignore[operator]
                with suppress(ProcessLookupError):
                    os.kill(int(text), signal.SIGKILL)
                    killed += 1
        return killed

    def close(self) -> None:
        for runner in self.runners.values():
            runner.terminate()
        for runner in self.runners.values():
            with suppress(subprocess.TimeoutExpired):
                runner.wait(30)
        for machine in range(1, self.count + 1):
            self._kill(machine, lambda _: True)
            _ip("netns", "del", f"{self.name}-{machine}")
        for runner in self.runners.values():
            runner.wait()
        _ip("netns", "del", f"{self.name}-b")


@contextmanager
def network(folder: Path, count: int) -> Iterator[Network]:
    """Raises CannotHere, with what is missing."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise CannotHere("cluster tests make network namespaces: run them as root, with Debian's iproute2 installed (make outside)")
    certificates.authority(folder / "authority", system_clock)
    for machine in range(1, count + 1):
        certificates.node(folder / "authority", folder / f"10.77.0.{machine}", [f"10.77.0.{machine}"], system_clock)
    new_token(folder / "token")
    made = Network(folder, count)
    try:
        _ip("netns", "add", f"{made.name}-b")
        _ip("-n", f"{made.name}-b", "link", "add", "br0", "type", "bridge")
        _ip("-n", f"{made.name}-b", "link", "set", "br0", "up")
        for machine in range(1, count + 1):
            own = f"{made.name}-{machine}"
            _ip("netns", "add", own)
            _ip("-n", own, "link", "add", "v0", "type", "veth", "peer", "name", f"b{machine}", "netns", f"{made.name}-b")
            _ip("-n", own, "addr", "add", f"10.77.0.{machine}/24", "dev", "v0")
            for device in ("lo", "v0"):
                _ip("-n", own, "link", "set", device, "up")
            _ip("-n", f"{made.name}-b", "link", "set", f"b{machine}", "master", "br0", "up")
    except subprocess.CalledProcessError as error:
        raise CannotHere(f"network namespaces cannot be made here: {error.stderr.strip()}") from None
    try:
        yield made
    finally:
        made.close()


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
