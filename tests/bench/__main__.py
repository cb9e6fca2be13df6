"""`make bench`: every measurement in one run, printed as ratios, written to build/bench.json.

`python -m tests.bench --rows 1000000 10000000` chooses the sizes of the engine's workload; `--only large`, which is not
part of the whole, asks one question of a hundred million rows: some 10 GB of disk, several minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench import (
    alerts,
    audit,
    cells,
    charges,
    decisions,
    delivery,
    disclosure,
    engine,
    hops,
    latency,
    log,
    models,
    noise,
    scan,
    sizing,
    synthetic,
    workers,
)
from tests.bench import console as pages

FOLDER = Path("build/bench")
STORES = ("charges", "decisions", "audit", "log", "delivery", "latency")
ALONE = ("alerts", "engine", "noise", "cells", "models", "synthetic", "disclosure", "large", "sizing", "workers", "scan", "console", *STORES)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--only", choices=ALONE)
    parser.add_argument("--large", type=int, default=100_000_000, help="rows of `--only large`, which runs by that name alone")
    parser.add_argument("--entries", type=int, default=1_000_000, help="length of the log that proofs are made from")
    parser.add_argument("--releases", type=int, default=100_000, help="releases in the register of `--only console`, by that name alone")
    parser.add_argument("--looks", type=int, default=20, help="how often `--only console` opens each page")
    parser.add_argument("--home", type=Path, help="of `--only console`: a home that an earlier run filled, not to fill one again")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite", help="of `--only console`")
    chosen = parser.parse_args()
    console, result = Console(highlight=False), {"machine": {"cores": os.cpu_count(), "python": platform.python_version()}}
    if chosen.only in (None, "charges"):
        result["charges"] = charges.bench(fresh("charges"))
        for kind, found in result["charges"].items():
            console.print(
                f"ledger      {found['charges_per_s']} charges/s ({kind}, {found['writers']} writers); append {found['append_us']} µs"
            )
    if chosen.only in (None, "audit"):
        result["audit"] = audit.bench(fresh("audit"))
        console.print(
            "audit       {events_per_s} events/s over {events}; {memory_mb} MB of objects, {memory_of_a_tenth_mb} MB over a tenth of "
            "the log".format(**result["audit"])
        )
    if chosen.only in (None, "log"):
        result["log"] = log.bench(fresh("log"), chosen.entries)
        console.print("log         proof of any of {entries} entries {proof_ms} ms (p99 {proof_p99_ms})".format(**result["log"]))
    if chosen.only in (None, "decisions"):
        result["decisions"] = decisions.bench(fresh("decisions"))
        console.print(
            "decision    p50 {shipped_ms} ms by the rules shipped; {scoped_ms} ms with {rules} more, each about one licence; {unscoped_ms} ms "
            "with {rules} about every licence; facts read from a register of {licences} licences: {register_ms} ms".format(
                **result["decisions"]
            )
        )
    if chosen.only in (None, "alerts"):
        result["alerts"] = alerts.bench(fresh("alerts"))
        console.print(
            "alerts      {raised} false alarms in {months} simulated months of {operators} operators, {jobs} jobs, {looks} looks".format(
                **result["alerts"]
            )
        )
    if chosen.only in (None, "disclosure"):
        result["disclosure"] = disclosure.bench()
        for name, found in result["disclosure"].items():
            console.print(f"disclosure  {name}: " + ", ".join(f"{key} {value}" for key, value in found.items()))
    if chosen.only in (None, "delivery"):
        result["delivery"] = delivery.bench(fresh("delivery"))
        console.print(
            "delivery    {mb_per_s} MB/s of a file of {long_mb} MB, {idle_mb} MB of memory before and {then_mb} MB after; {short_per_s} short "
            "files/s".format(**result["delivery"])
        )
    if chosen.only in (None, "latency"):
        result["latency"] = latency.bench(fresh("latency"))
        console.print(
            "small job   p50 {p50_ms} ms, p95 {p95_ms} ms submit → published over HTTP; ready after {start_to_ready_s} s, "
            "{killed_to_ready_s} s after a kill; {idle_memory_mb} MB idle".format(**result["latency"])
        )
    if chosen.only in (None, "latency"):
        result["hops_ms"] = hops.bench(FOLDER / "latency" / "http" / "home")
        console.print("its hops    " + ", ".join(f"{name} {ms}" for name, ms in result["hops_ms"].items()) + " ms")
    if chosen.only in (None, "engine"):
        result["engine"] = engine.bench(FOLDER, tuple(chosen.rows))
        show(console, result["engine"])
    if chosen.only in (None, "workers"):
        result["workers"] = workers.bench(FOLDER, chosen.rows[0])
        console.print(f"workers     a call {result['workers']['dispatch_ms']} ms; speed over one: {result['workers']['scaling']}")
    if chosen.only in (None, "scan"):
        result["scan"] = scan.bench(FOLDER, chosen.rows[-1])
        console.print(
            "scan        {rows} rows from {shards} encrypted shards {encrypted_s} s, in plaintext {plain_s} s: {ratio}".format(**result["scan"])
        )
    if chosen.only in (None, "noise"):
        result["noise"] = noise.bench()
        for name, found in result["noise"].items():
            console.print(f"noise       {name}: " + ", ".join(f"{key} {value}" for key, value in found.items()))
    if chosen.only in (None, "cells"):
        result["cells"] = {kind: cells.bench(kind) for kind in cells.KINDS}
        for kind, measured in result["cells"].items():
            for name in cells.PROGRAMS:
                console.print(f"cells       {kind}, {name}: " + ", ".join(f"{key} {value}" for key, value in measured[name].items()))
            job = measured["job"]
            console.print(
                f"            {job['blocks']} pandas blocks in {job['cells']} cells {job['pandas_s']} s; strict {measured['strict_ms']} ms"
            )
    if chosen.only in (None, "models"):
        result["models"] = models.bench()
        for model, found in result["models"]["accuracy"].items():
            console.print(f"models      {model}: " + ", ".join(f"{key} {value}" for key, value in found.items()))
        for found in result["models"]["coverage"]:
            console.print("            {model} of {rows} rows at rho {rho}, {errors}: {coverage:.1%} of 95 % intervals hold".format(**found))
        console.print("            linear: {ratio} times the squared error by gradients".format(**result["models"]["linear"]))
    if chosen.only in (None, "synthetic"):
        result["synthetic"] = synthetic.bench()
        for name, found in result["synthetic"].items():
            console.print(
                "synthetic   {}: {mean_tv} from {pairs} pairs of {rows:,} rows on average (worst {worst_tv}), {seconds} s, {memory_mb} MB; "
                "each pair counted {each_pair_counted_tv}, columns apart {columns_apart_tv}".format(name, **found)
            )
    if chosen.only == "large":
        result["large"] = engine.large(FOLDER, chosen.large)
        console.print("large       " + ", ".join(f"{key} {value:,}" for key, value in result["large"].items()))
    if chosen.only == "sizing":  # what the sizing model stands on: `python -m infra.deploy.sizing --calibration build/sizing.json`
        result["sizing"] = sizing.bench(FOLDER, Path("build/sizing.json"))
        for point in result["sizing"]["points"]:
            console.print("sizing      " + ", ".join(f"{key} {value}" for key, value in point.items()))
    if chosen.only == "console":
        folder = fresh("console") if chosen.home is None else chosen.home.parent
        result["console"] = pages.bench(folder, chosen.releases, chosen.looks, chosen.home, chosen.database)
        console.print(
            "console     {opened} pages of {releases:,} releases ({events:,} events, filled in {filled_s} s): p50 {p50_ms} ms, worst p95 "
            "{worst_p95_ms} ms ({worst}) on {database}, worst p95 of CPU {worst_cpu_ms} ms, largest {largest_bytes:,} bytes".format(
                **result["console"]
            )
        )
        for page in result["console"]["beyond"]:
            console.print("            beyond the goal: {path} ({visitor}) p95 {p95_ms} ms, CPU {cpu_ms} ms, {bytes:,} bytes".format(**page))
    FOLDER.mkdir(parents=True, exist_ok=True)
    Path("build/bench.json").write_text(json.dumps(result, indent=2) + "\n")
    console.print("build/bench.json")


def show(console: Console, sizes: list[dict[str, Any]]) -> None:
    for size in sizes:
        table = Table(title=f"{size['rows']:,} rows; ingest {size['ingest_rows_per_s']:,} rows/s", title_justify="left", box=None)
        for head in ("question", "× plain GROUP BY", "at most", "bounded s", "plain s", "end to end s", "compile ms"):
            table.add_column(head, justify="left" if head == "question" else "right")
        for name, case in size["cases"].items():
            table.add_row(name, *(str(case[field]) for field in ("ratio", "at_most", "bounded_s", "plain_s", "end_to_end_s", "compile_ms")))
        console.print(table)


def fresh(name: str) -> Path:
    import shutil

    shutil.rmtree(FOLDER / name, ignore_errors=True)
    return FOLDER / name


if __name__ == "__main__":
    main()
