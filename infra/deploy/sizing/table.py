"""The sizing table of docs/sizing.md, made from the stored calibration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from infra.deploy.sizing.model import Assumptions, Calibration, Cluster, Store, fits, simulate

STORED = Path(__file__).with_name("calibration.json")
ROWS = (1e9, 1e10, 1e11)
NODES = (10, 50, 200)
SHARD_ROWS = {1e9: 600_000, 1e10: 2_400_000, 1e11: 9_600_000}
STORES: tuple[Store, ...] = ("memory", "disk", "shared")
WORDS = {"memory": "内存 memory", "disk": "本地盘 local disk", "shared": "共享存储 shared store"}
HEADS = ("行数 rows", "节点 nodes", "分片所在 shards in", "秒 seconds", "瓶颈 bottleneck", "忙 busy", "每次 CNY a question")


def calibration(path: Path = STORED) -> Calibration:
    return Calibration(**json.loads(path.read_text())["calibration"])


def save(measured: Calibration, points: list[dict[str, float]], path: Path = STORED) -> None:
    """`points`: what was measured whole, beside what the model says of it."""
    path.write_text(json.dumps({"calibration": asdict(measured), "points": points}, indent=2) + "\n")


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
