"""The tables of docs/sizing.md, made from the stored calibration: no figure of the page is typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.deploy.sizing.model import Assumptions, Calibration, Cluster, Store, fits, simulate

STORED = Path(__file__).with_name("calibration.json")
ROWS = (1e9, 1e10, 1e11)
NODES = (10, 50, 200)
SHARD_ROWS = {1e9: 600_000, 1e10: 2_400_000, 1e11: 9_600_000}
STORES: tuple[Store, ...] = ("memory", "disk", "shared")
WORDS = {"memory": "内存 memory", "disk": "本地盘 local disk", "shared": "共享存储 shared store"}
HEADS = ("行数 rows", "节点 nodes", "分片所在 shards in", "秒 seconds", "瓶颈 bottleneck", "忙 busy", "每次 CNY a question")


@dataclass(frozen=True, slots=True)
class Point:
    """A question asked on one machine: `store` says where its shards lay."""

    rows: int
    shards: int
    store: Store
    workers: int
    measured_s: float
    beside: str
    """The machine's load when it was asked."""

    def foretold_s(self, measured: Calibration) -> float:
        """What the model says of it; its file lies in the system's memory, as after any first reading."""
        cluster = Cluster(1, self.workers)
        return simulate(self.rows, self.rows / self.shards, cluster, self.store, measured, Assumptions(disk_bytes_per_s=5e9, spread=0)).seconds


def calibration(path: Path = STORED) -> Calibration:
    return Calibration(**json.loads(path.read_text())["calibration"])


def points(path: Path = STORED) -> list[Point]:
    """What was measured whole."""
    return [Point(**point) for point in json.loads(path.read_text())["points"]]


def save(measured: Calibration, points: list[Point], path: Path = STORED) -> None:
    """For `calibration` and `points`."""
    path.write_text(json.dumps({"calibration": asdict(measured), "points": [asdict(point) for point in points]}, indent=2) + "\n")


def page(text: str, measured: Calibration, found: list[Point], assumptions: Assumptions, rows: tuple[float, ...] = ROWS) -> str:
    """The page with its tables made anew. Each is known by its head; ValueError where one is missing."""
    for made in (lines(measured, assumptions, rows), measured_lines(measured), assumed_lines(assumptions), point_lines(measured, found)):
        table = list(made)
        before, head, after = text.partition(table[0] + "\n")
        if not head:
            raise ValueError(f"the page has no table {table[0]}")
        rest = after.split("\n")
        while rest[0].startswith("|"):
            rest.pop(0)
        text = before + "\n".join([*table, *rest])
    return text


def measured_lines(measured: Calibration) -> Iterator[str]:
    yield "| 测得 · Measured ([calibration.json](../infra/deploy/sizing/calibration.json)) | |"
    yield "|---|---|"
    yield f"| 机器 machine | {measured.machine} |"
    yield f"| 热数据计算 hot, CPU | {measured.hot_cpu_s_per_row * 1e9:.3g} ns/行 a row |"
    yield f"| 冷数据计算（解密、解码在内） cold, decrypting and decoding included | {measured.cold_cpu_s_per_row * 1e9:.3g} ns/行 a row |"
    yield f"| 每片固定计算 a shard's fixed cost | {measured.shard_cpu_s * 1e3:.2g} ms |"
    yield f"| 密文，所用的列 encrypted, the columns of the question | {measured.stored_bytes_per_row:.3g} B/行 |"
    yield f"| 内存，所用的列 in memory | {measured.memory_bytes_per_row:.4g} B/行 |"
    yield f"| 分发一片 handing out a shard, CPU | {measured.dispatch_s * 1e3:.2g} ms |"
    few = "8 片平均，含固定开销，故偏高 over eight partials, fixed costs included: high"
    yield f"| 归并一组 adding up a group of a partial | {measured.merge_s_per_group * 1e6:.2g} µs（{few}） |"
    yield f"| 部分结果 a partial | {measured.partial_bytes_per_group:.3g} B/组 a group |"
    yield f"| 加噪与收尾 noise and finish | {measured.finish_s * 1e3:.2g} ms |"


def assumed_lines(assumed: Assumptions) -> Iterator[str]:
    yield "| 假设（未测） · Assumed, not measured | 默认 default |"
    yield "|---|---|"
    yield f"| 本地盘 own disk | {assumed.disk_bytes_per_s / 1e6:g} MB/s |"
    yield f"| 共享存储，全部节点合计 shared store, all nodes together | {assumed.shared_bytes_per_s / 1e9:g} GB/s |"
    yield f"| 节点线路 a node's line | {assumed.node_line_bytes_per_s * 8 / 1e9:g} Gbit/s, {assumed.round_trip_s * 1e3:g} ms |"
    yield f"| 计算时间浮动 spread of compute times | σ = {assumed.spread:g} |"
    days = 1 / assumed.node_failures_per_hour / 24
    yield f"| 节点失效 failures | 每 {days:g} 天一次 one in {days:g} days, back after {assumed.repair_s:g} s |"
    yield f"| 价格 price | 每节点小时 {assumed.node_cny_per_hour:g} 元 CNY {assumed.node_cny_per_hour:g} a node and hour |"


def point_lines(measured: Calibration, found: list[Point]) -> Iterator[str]:
    yield "| 行数 rows | 片 shards | 分片所在 shards in | 工作进程 workers | 负载 load | 实测 measured, s | 模型 model, s |"
    yield "|---|---|---|---|---|---|---|"
    for point in found:
        cells = (f"{point.rows:.0e}", point.shards, WORDS[point.store], point.workers, point.beside, f"{point.measured_s:.2g}")
        yield f"| {' | '.join(map(str, cells))} | {point.foretold_s(measured):.2g} |"


def lines(measured: Calibration, assumptions: Assumptions, rows: tuple[float, ...] = ROWS) -> Iterator[str]:
    """Markdown, a line at a time."""
    yield f"| {' | '.join(HEADS)} |"
    yield f"|{'---|' * len(HEADS)}"
    for count in rows:
        for nodes in NODES:
            cluster = Cluster(nodes)
            for store in STORES:
                if store == "memory" and not fits(count, cluster, measured):
                    yield f"| {count:.0e} | {nodes} | {WORDS[store]} | 放不下 does not fit | – | – | – |"
                    continue
                found = simulate(count, SHARD_ROWS[count], cluster, store, measured, assumptions)
                yield (
                    f"| {count:.0e} | {nodes} | {WORDS[store]} | {_short(found.seconds)} | {found.bottleneck} | {found.busy:.0%} | "
                    f"{found.cny:.2g} |"
                )


def _short(seconds: float) -> str:
    return f"{seconds:.2g}" if seconds < 100 else f"{seconds:.0f}"
