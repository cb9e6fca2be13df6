"""`python -m infra.deploy.sizing`: the table, or one cluster of your own.

python -m infra.deploy.sizing                                          the table of docs/sizing.md
python -m infra.deploy.sizing --page docs/sizing.md                    the page's tables made anew
python -m infra.deploy.sizing --rows 3e9 --nodes 24 --cores 16 --store disk --disk-bytes-per-s 2e9
python -m infra.deploy.sizing --calibration build/sizing.json          by what `python -m tests.bench --only sizing` measured on yours
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from infra.deploy.sizing.model import Assumptions, Cluster, simulate
from infra.deploy.sizing.table import STORED, STORES, calibration, lines, page, points


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy.sizing")
    parser.add_argument("--calibration", type=Path, default=STORED)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--rows", type=float)
    parser.add_argument("--shard-rows", type=float, default=600_000)
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument("--cores", type=int, default=8)
    parser.add_argument("--store", choices=STORES, default="disk")
    parser.add_argument("--seed", type=int, default=1)
    for field in fields(Assumptions):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    chosen = parser.parse_args(arguments)
    measured = calibration(chosen.calibration)
    assumptions = Assumptions(**{field.name: getattr(chosen, field.name) for field in fields(Assumptions)})
    if chosen.page is not None:
        chosen.page.write_text(page(chosen.page.read_text(), measured, points(chosen.calibration), assumptions))
        return 0
    if chosen.rows is None:
        sys.stdout.write("".join(f"{line}\n" for line in lines(measured, assumptions)))
        return 0
    cluster = Cluster(chosen.nodes, chosen.cores)
    found = simulate(chosen.rows, chosen.shard_rows, cluster, chosen.store, measured, assumptions, seed=chosen.seed)
    busy = f"{found.bottleneck} busy {found.busy:.0%}"
    sys.stdout.write(f"{found.seconds:.3g} s; {busy}; {found.shards} shards, {found.rerun} run again; {found.cny:.2g} CNY\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
