"""What lies around cells: Ray, packages, sources."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

from infra.cells.base import Cargo, Limits
from infra.workers import Workers
from tests.attack.cells.arena import Arena, Outside, block
from tests.processes import descendants

ONE = Limits(memory_mb=128, cpu_s=1, wall_s=5.0, output_bytes=8)


def test_ray_is_out_of_reach(workers: Workers, warm: Arena) -> None:
    """Its ports, its sockets and its token: whoever reached them would run code beside the data."""
    sockets = [str(path) for folder in workers.folders if folder is not None for path in folder.rglob("*") if path.is_socket()]
    tokens = [str(path) for folder in workers.folders if folder is not None for path in folder.rglob("token")]
    ports = listening_ports([os.getpid(), *descendants(os.getpid())])
    assert sockets
    assert tokens
    assert ports
    with warm.ring(ports=sorted(ports), sockets=sockets, tokens=tokens) as ring:
        found = ring.run_all([("ray:ports", {}), ("ray:sockets", {}), ("ray:tokens", {})])
    assert all(outcome.contained for outcome in found), found


def test_ray_is_in_reach_of_what_is_no_cell(workers: Workers, out: Outside) -> None:
    sockets = [str(path) for folder in workers.folders if folder is not None for path in folder.rglob("*") if path.is_socket()]
    ports = listening_ports([os.getpid(), *descendants(os.getpid())])
    with Arena("unsafe", False, out.world).ring(ports=sorted(ports), sockets=sockets) as ring:
        assert ring.run("ray:ports").how == "got"
        if os.geteuid() == 0:
            assert ring.run("ray:sockets").how == "got"


def listening_ports(pids: list[int]) -> set[int]:
    """TCP ports that these processes listen on."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir() if Path(f"/proc/{pid}/fd").exists() else ():
            try:
                target = os.readlink(link)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return {int(each[1].partition(":")[2], 16) for each in fields if each[3] == "0A" and each[9] in inodes}


def packed(files: dict[str, str]) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return into.getvalue()


TAKEN = ("numpy.py", "json.py", "pyarrow/__init__.py", "sitecustomize.py", "usercustomize.py", "x.pth", "inside.py", "warm.py", "zygote.py")


def test_a_package_takes_no_library_s_place(out: Outside) -> None:
    """The registry refuses such names; were one let through, the cell still finds its own library first, and runs nothing by itself."""
    main = """
import numpy, json, pyarrow
def run(rows, parameters):
    return [float(all(getattr(module, "__file__", "").startswith("/opt/py") for module in (numpy, json, pyarrow)))]
"""
    package = packed({"main.py": main, **dict.fromkeys(TAKEN, "raise SystemExit(7)\n")})
    with Arena("bwrap", False, out.world).backend().open(Cargo(package, "main:run"), ONE) as cell:
        frame = cell.run(block([("x", {})]))
    assert frame is not None
    assert memoryview(frame).cast("d")[0] == 1.0


CHOKING = ("x = 9**9**9", f"x = {'(' * 5000}{')' * 5000}", "x = '" + "a" * 10 + "\0'", "def f(:", "x = " + "-" * 100_000 + "1")


def test_sources_that_choke(out: Outside) -> None:
    """The registry reads sources in a process of its own, with limits. Were one let through, it is compiled in the block's process only."""
    main = "import importlib\ndef run(rows, parameters):\n  importlib.import_module(rows['probe'][0].as_py())\n  return [1.0]\n"
    package = packed({"main.py": main, "fine.py": "x = 1\n", **{f"m{number}.py": source for number, source in enumerate(CHOKING)}})
    with Arena("bwrap", False, out.world).backend().open(Cargo(package, "main:run"), ONE) as cell:
        found = [cell.run(block([(name, {})])) is not None for name in ("fine", *(f"m{number}" for number in range(len(CHOKING))), "fine")]
    assert found == [True, *[False] * len(CHOKING), True]
