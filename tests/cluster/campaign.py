"""A bureau on three machines, and what is done to them. Used by the test of the suite and by `make cluster`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.workers.environment import without_ray
from tests.cluster.bureau import ANSWER
from tests.cluster.network import PATIENCE_S, ROOT, Network, network

MACHINES = 3


class Broken(AssertionError):
    """A promise was."""


class Cluster:
    """Head and server on machine 1; the data may be read on 2 and 3."""

    def __init__(self, machines: Network, home: Path) -> None:
        self.machines = machines
        self._server = subprocess.Popen(
            machines.within(1, [sys.executable, "-m", "tests.cluster.bureau", str(home), str(machines.folder), "2000"]),
            cwd=ROOT, env=without_ray(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ready(self) -> None:
        if self._line() != "ready":
            raise Broken("the server does not start")

    def ask(self, word: str) -> Any:
        assert self._server.stdin is not None
        self._server.stdin.write(word + "\n")
        self._server.stdin.flush()
        return self._line()

    def _line(self) -> Any:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            if line.startswith(ANSWER):
                return json.loads(line.removeprefix(ANSWER))
        raise Broken("the server is gone")

    def until(self, what: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The state in which it is true."""
        end = time.monotonic() + PATIENCE_S
        while not true(state := self.ask("state")):
            if time.monotonic() > end:
                raise Broken(f"never: {what}: {state}")
            time.sleep(0.1)
        return dict(state)

    def goes_on(self, more: int = 8) -> None:
        """Jobs are published still."""
        before = self.ask("state")["states"].get("published", 0)
        self.until("more is published", lambda state: state["states"].get("published", 0) >= before + more)

    def whole(self) -> None:
        """Both nodes of the data take work."""
        self.until("both nodes are there", lambda state: all(state["steady"]) and not state["degraded"])

    def rest(self) -> dict[str, Any]:
        """Every job that was admitted is published, for one charge each, and the log says the same."""
        found = dict(self.ask("rest"))
        asked = found["asked"]
        if found["findings"] or found["states"] != {"published": asked, **{k: v for k, v in found["states"].items() if k == "refused"}}:
            raise Broken(str(found))
        if found["charges"] != {"spent": asked} or found["refused"]:
            raise Broken(str(found))
        return found

    def close(self) -> None:
        for pipe in (self._server.stdin, self._server.stdout):
            assert pipe is not None
            pipe.close()
        try:
            self._server.wait(30)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    with network(folder / "cluster", MACHINES) as machines:
        machines.node(1)
        machines.node(2, "data")
        machines.node(3, "data")
        made = Cluster(machines, folder / "home")
        try:
            made.ready()
            yield made
        finally:
            made.close()


def strangers_are_kept_out(made: Cluster) -> None:
    """From another machine of the network, with no certificate: every port of the head that answers at all says 4xx, nothing else. With a
    node's certificate Ray's ports do speak, so that it was the certificate."""
    machines = made.machines
    table = subprocess.run(machines.within(1, ["cat", "/proc/net/tcp", "/proc/net/tcp6"]), check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in table.splitlines()]
    ports = sorted({int(line[1].rpartition(":")[2], 16) for line in lines if len(line) > 3 and line[3] == "0A"})
    line = [sys.executable, "-m", "tests.cluster.stranger", "10.77.0.1", str(machines.folder / "10.77.0.3"), *map(str, ports)]
    ran = subprocess.run(machines.within(3, line), check=True, capture_output=True, text=True, cwd=ROOT, env=without_ray())
    found: dict[str, list[str]] = json.loads(ran.stdout)
    refused = ("", b"HTTP/1.1 4".hex(), b"HTTP/1.0 4".hex())
    for port, (http, http2, unknown, _) in found.items():
        if any(answer != "" and not answer.startswith(refused[1:]) for answer in (http, http2, unknown)):
            raise Broken(f"port {port} talks to strangers: {found[port]}")
    if not found["6379"][3]:
        raise Broken("nor does it talk to its own")


def node_is_killed(made: Cluster, machine: int, *, back: bool = True) -> None:
    """kill −9 of all of Ray on one machine: the other goes on, and it comes `back` by itself."""
    if not made.machines.kill_ray(machine):
        raise Broken("nothing was killed")
    made.until("it is missed", lambda state: not all(state["steady"]))
    made.goes_on()
    if back:
        made.whole()


def node_is_cut_off(made: Cluster, machine: int) -> None:
    """Its cable is pulled, and put back when it has been given up."""
    made.machines.cut(machine)
    made.goes_on()
    made.until("it is given up", lambda state: not all(state["steady"]))
    made.machines.heal(machine)
    made.whole()


def head_is_killed(made: Cluster) -> None:
    """All of Ray on the head's machine: the server says so, what was under way waits, and everything comes back by itself."""
    made.machines.kill_ray(1)
    made.until("the server is degraded", lambda state: state["degraded"])
    made.whole()
    made.goes_on()
