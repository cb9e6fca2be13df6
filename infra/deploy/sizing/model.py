"""The model: one question over a sharded dataset on a cluster, simulated shard by shard (discrete events, SimPy).

    driver   one process: hands a shard out (dispatch_s), takes its partial in (merge_s_per_group × groups): one thing at a time
    worker   one core, one shard at a time: waits for the read, then computes
    read     cold only: encrypted bytes from the node's own disk or from the shared store; who reads at once shares the rate
    network  partials come back through the driver's line, one after the other

Every shard of a hot question lies decrypted in its worker's memory; of a cold one, in none. A worker's compute time is that of its shard's rows
times a factor drawn per shard (log-normal about 1), for machines are not equal. A node that fails (exponential, per node and hour) comes back
after `repair_s`; its shard is run again from the start by its own worker, as the product does. What is not modelled stands in docs/sizing.md.
"""

from __future__ import annotations

import math
import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

import simpy

Store = Literal["disk", "shared", "memory"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Measured on one core of the machine that `machine` names, for one question (`question`)."""

    machine: str
    question: str
    hot_cpu_s_per_row: float
    cold_cpu_s_per_row: float
    stored_bytes_per_row: float
    memory_bytes_per_row: float
    shard_cpu_s: float
    dispatch_s: float
    merge_s_per_group: float
    partial_bytes_per_group: float
    groups: int
    finish_s: float


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What was not measured: replace each with your own."""

    disk_bytes_per_s: float = 500e6
    shared_bytes_per_s: float = 5e9
    node_line_bytes_per_s: float = 1.25e9
    round_trip_s: float = 0.0005
    spread: float = 0.15
    node_failures_per_hour: float = 1 / (90 * 24)
    repair_s: float = 60.0
    node_cny_per_hour: float = 4.0


@dataclass(frozen=True, slots=True)
class Cluster:
    nodes: int
    cores: int = 8
    memory_bytes: float = 24e9
    """Of decrypted shards on one node."""

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.cores < 1:
            raise ValueError("a cluster has at least one node with one core")


@dataclass(frozen=True, slots=True)
class Outcome:
    seconds: float
    bottleneck: str
    """What was busy for the largest part of the time: workers, driver, store, line."""
    busy: float
    """That part, 0 to 1."""
    shards: int
    rerun: int
    cny: float


def shards_of(rows: float, shard_rows: float) -> int:
    """A power of two, as ingest makes them: the least that keeps shards at or below `shard_rows`."""
    return 1 << max(0, math.ceil(math.log2(max(1.0, rows / shard_rows))))


def fits(rows: float, cluster: Cluster, calibration: Calibration) -> bool:
    """Whether the columns of the question lie in the nodes' memory."""
    return rows * calibration.memory_bytes_per_row <= cluster.nodes * cluster.memory_bytes


def simulate(
    rows: float, shard_rows: float, cluster: Cluster, store: Store, calibration: Calibration, assumptions: Assumptions, *, seed: int = 1
) -> Outcome:
    """One question, from the first shard handed out to the table. Same arguments, same outcome."""
    run = _Run(rows, shards_of(rows, shard_rows), cluster, store, calibration, assumptions, random.Random(seed))  # noqa: S311  # failures to come, not a secret
    return run.outcome()


class _Run:
    def __init__(
        self,
        rows: float,
        shards: int,
        cluster: Cluster,
        store: Store,
        calibration: Calibration,
        assumptions: Assumptions,
        chance: random.Random,
    ) -> None:
        self._rows, self._shards, self._cluster, self._store = rows / shards, shards, cluster, store
        self._c, self._a, self._chance = calibration, assumptions, chance
        self._clock = simpy.Environment()
        self._driver = simpy.Resource(self._clock)
        self._line = simpy.Resource(self._clock)
        self._disks = [simpy.Resource(self._clock) for _ in range(cluster.nodes)]
        self._shared = simpy.Resource(self._clock)
        self._busy = {"workers": 0.0, "driver": 0.0, "store": 0.0, "line": 0.0}
        self._rerun = 0

    def outcome(self) -> Outcome:
        workers = self._cluster.nodes * self._cluster.cores
        for number in range(min(workers, self._shards)):
            self._clock.process(self._worker(number, range(number, self._shards, workers)))
        self._clock.run()
        seconds = float(self._clock.now) + self._c.finish_s
        places = {"workers": min(workers, self._shards), "driver": 1, "line": 1, "store": self._cluster.nodes if self._store == "disk" else 1}
        parts = {name: busy / places[name] / seconds for name, busy in self._busy.items()}
        most = max(parts, key=lambda name: parts[name])
        cny = self._cluster.nodes * self._a.node_cny_per_hour * seconds / 3600
        return Outcome(seconds, most, parts[most], self._shards, self._rerun, cny)

    def _worker(self, number: int, shards: range) -> Generator[Any, Any, None]:
        """Shard i meets worker i modulo their number, as in the product."""
        node = number % self._cluster.nodes
        for _ in shards:
            yield from self._held("driver", self._driver, self._c.dispatch_s)
            yield self._clock.timeout(self._a.round_trip_s)
            while True:
                began = self._clock.now
                yield from self._read(node)
                took = self._compute_s()
                lost = self._chance.expovariate(self._a.node_failures_per_hour / 3600) if self._a.node_failures_per_hour else math.inf
                if lost >= self._clock.now - began + took:
                    break
                self._rerun += 1
                yield self._clock.timeout(min(lost, took) + self._a.repair_s)
            self._busy["workers"] += took
            yield self._clock.timeout(took)
            yield from self._held("line", self._line, self._c.groups * self._c.partial_bytes_per_group / self._a.node_line_bytes_per_s)
            yield from self._held("driver", self._driver, self._c.groups * self._c.merge_s_per_group)

    def _compute_s(self) -> float:
        per_row = self._c.hot_cpu_s_per_row if self._store == "memory" else self._c.cold_cpu_s_per_row
        factor = self._chance.lognormvariate(-(self._a.spread**2) / 2, self._a.spread) if self._a.spread else 1.0
        return (self._c.shard_cpu_s + self._rows * per_row) * factor

    def _read(self, node: int) -> Generator[Any, Any, None]:
        size = self._rows * self._c.stored_bytes_per_row
        if self._store == "disk":
            yield from self._held("store", self._disks[node], size / self._a.disk_bytes_per_s)
        elif self._store == "shared":
            yield from self._held("store", self._shared, size / self._a.shared_bytes_per_s)
            line_s = size / self._a.node_line_bytes_per_s - size / self._a.shared_bytes_per_s
            yield self._clock.timeout(max(0.0, line_s))

    def _held(self, name: str, resource: simpy.Resource, seconds: float) -> Generator[Any, Any, None]:
        with resource.request() as turn:
            yield turn
            self._busy[name] += seconds
            yield self._clock.timeout(seconds)
