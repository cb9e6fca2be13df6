"""A cell of bubblewrap, from the trusted side: frames come back, nothing else does, and nothing stays."""

from __future__ import annotations

import io
import os
import signal
import struct
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from infra.cells import bwrap, wire
from infra.cells.base import Backend, Cargo, Cell, CellsError, Limits, choose
from infra.cells.bwrap import Bwrap, _command
from infra.cells.cgroups import cgroups
from infra.settings import Settings
from tests.cells import a_backend

QUICK = Limits(memory_mb=64, cpu_s=1, wall_s=10.0, output_bytes=16)  # the wall clock is for what sleeps; nothing in a whole cell can

PROGRAM = """
import json
import os
from parts import sums
seen = []

def run(rows, parameters):
    what = rows["what"][0].as_py()
    return globals()[what](rows, parameters)

def adds(rows, parameters):
    return sums.total(rows["x"]), parameters["plus"]

def counts(rows, parameters):
    seen.append(1)
    return len(seen), os.getpid()

def raises(rows, parameters): raise ValueError(f"rows say {rows['x'][0]}")
def one_number(rows, parameters): return 1.0
def three_numbers(rows, parameters): return 1, 2, 3
def words(rows, parameters): return "a", "b"
def nothing(rows, parameters): return None
def leaves(rows, parameters): os._exit(0)
def exits(rows, parameters): raise SystemExit(0)
def crashes(rows, parameters): import ctypes; ctypes.string_at(0)
def aborts(rows, parameters): os.abort()
def too_much(rows, parameters): os.write(3, b"x" * 8); return 1, 2
def too_big(rows, parameters): return len(bytearray(200 * 2**20)), 0
def too_deep(rows, parameters): return too_deep(rows, parameters)
def spins(rows, parameters):
    while True: pass
def hangs(rows, parameters):
    import threading
    lock = threading.Lock(); lock.acquire(); lock.acquire()
def floods(rows, parameters):
    while True: os.write(3, b"x" * 4096)
def prints(rows, parameters):
    print("seen", rows.num_rows); return 1, 2
"""
FAULTS = """raises one_number three_numbers words nothing leaves exits crashes aborts too_much too_big too_deep spins hangs floods
no_such_function"""


def package(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/") + ".py", text)
    return packed.getvalue()


def block(what: str) -> bytes:
    rows = pa.table({"what": [what] * 3, "x": [1.5, 2.5, 3.0]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


PACKAGE = package(main=PROGRAM, parts__sums="def total(column):\n    return sum(column.to_pylist())\n")
CARGO = Cargo(PACKAGE, "main:run", b'{"plus": 4}', libraries=("numpy", "pyarrow"))


@pytest.fixture(scope="module")
def backend() -> Bwrap:
    found = a_backend("bwrap")
    assert isinstance(found, Bwrap)
    return found


@pytest.fixture(scope="module")
def cell(backend: Backend) -> Iterator[Cell]:
    with backend.open(CARGO, QUICK) as opened:
        yield opened


def numbers(frame: bytes | None) -> tuple[float, ...] | None:
    return None if frame is None else struct.unpack("<2d", frame)


def test_a_frame_comes_back(cell: Cell) -> None:
    assert numbers(cell.run(block("adds"))) == (7.0, 4.0)


def test_every_block_meets_the_same_process(cell: Cell) -> None:
    assert [numbers(cell.run(block("counts"))) for _ in range(3)] == [(1.0, 0.0)] * 3


@pytest.mark.parametrize("fault", FAULTS.split())
def test_whatever_goes_wrong_gives_no_frame_and_leaves_the_cell_whole(cell: Cell, fault: str) -> None:
    began = time.monotonic()
    assert cell.run(block(fault)) is None
    assert time.monotonic() - began < QUICK.wall_s + wire.GRACE_S + 30
    assert numbers(cell.run(block("adds"))) == (7.0, 4.0)


def test_a_block_that_sleeps_is_ended_by_the_wall_clock(backend: Bwrap) -> None:
    """Where it can: in a cell whose system calls are not filtered."""
    weaker = replace(backend, without=frozenset({"seccomp"}))
    with weaker.open(CARGO, replace(QUICK, wall_s=1.0)) as opened:
        opened.run(block("adds"))
        began = time.monotonic()
        assert opened.run(block("hangs")) is None
        assert 1.0 <= time.monotonic() - began < 1.0 + wire.GRACE_S + 30
        assert opened._line is not None  # type: ignore[attr-defined]  # by the zygote, which lives


def test_a_block_that_is_no_arrow_gives_no_frame(cell: Cell) -> None:
    assert cell.run(b"no arrow") is None
    assert cell.run(b"") is None


def test_a_silent_cell_does_not_talk(cell: Cell) -> None:
    with pytest.raises(ValueError, match="does not talk"):
        cell.rehearse(block("adds"))


def test_a_rehearsal_shows_prints_and_the_programs_own_lines(backend: Backend) -> None:
    with backend.open(CARGO, QUICK, talkative=True) as talking:
        told = talking.rehearse(block("prints"))
        assert (numbers(told.frame), told.text) == ((1.0, 2.0), "seen 3\n")
        told = talking.rehearse(block("raises"))
        assert told.frame is None
        assert told.text.startswith('Traceback (most recent call last):\n  File "main.py", line 9, in run\n')
        assert "def raises(rows, parameters): raise ValueError" in told.text
        assert told.text.endswith("ValueError: rows say 1.5\n")


def test_pandas_rows(backend: Backend) -> None:
    source = "def run(rows, parameters):\n    return rows.groupby('what')['x'].agg(['mean', 'max']).iloc[0]\n"
    with backend.open(Cargo(package(main=source), "main:run", shape="pandas"), QUICK) as opened:
        assert numbers(opened.run(block("any"))) == (7.0 / 3, 3.0)


def test_a_library_cannot_be_replaced_by_the_package(backend: Backend) -> None:
    files = {"main": "import json, numpy\ndef run(rows, parameters): return json.loads('1'), numpy.float64(2)\n"}
    with backend.open(Cargo(package(**files, json="raise SystemExit", numpy="raise SystemExit"), "main:run"), QUICK) as opened:
        assert numbers(opened.run(block("any"))) == (1.0, 2.0)


def ours(backend: Bwrap) -> set[Path]:
    """Folders of the control groups that this process has made."""
    assert backend.groups is not None
    return {folder for _, group in backend.groups.driver.left_behind() for folder in group.folders if f"-{os.getpid()}-" in folder.name}


def runs(pid: int) -> bool:
    """Not ended: what waits for its parent to take note of its end does nothing any more."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_nothing_is_left_when_it_closes(backend: Bwrap) -> None:
    before = ours(backend)
    with backend.open(CARGO, QUICK) as opened:
        assert opened.run(block("adds")) is not None
        made = ours(backend) - before
        assert made
        members = {int(pid) for folder in made for pid in (folder / "cgroup.procs").read_text().split()}
        assert members
    assert not [folder for folder in made if folder.exists()]
    assert not [pid for pid in members if runs(pid)]


def test_a_killed_zygote_costs_one_block(backend: Bwrap) -> None:
    before = ours(backend)
    with backend.open(CARGO, QUICK) as opened:
        for pid in {int(pid) for folder in ours(backend) - before for pid in (folder / "cgroup.procs").read_text().split()}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        found = [opened.run(block("adds")) is None for _ in range(3)]
    assert found == [True, False, False]


def test_strict_cells_end_with_their_block(backend: Bwrap) -> None:
    with replace(backend, strict=True).open(CARGO, QUICK) as opened:
        assert numbers(opened.run(block("adds"))) == (7.0, 4.0)
        assert opened._line is None  # type: ignore[attr-defined]
        assert numbers(opened.run(block("counts"))) == (1.0, 0.0)


def test_a_cell_without_a_feature_is_refused_unless_accepted() -> None:
    whole = dict.fromkeys(wire.SAFEGUARDS, True)
    wire.require(whole, frozenset())
    wire.require({**whole, "clocks": False}, frozenset({"clocks"}))
    for name in wire.SAFEGUARDS:
        with pytest.raises(CellsError) as caught:
            wire.require({**whole, name: False}, frozenset({"clocks"}) - {name})
        assert (caught.value.code, caught.value.about) == ("cells_refused", name)
    with pytest.raises(CellsError):
        wire.require({}, frozenset())


def test_the_command_is_the_policy(backend: Bwrap) -> None:
    words = _command(backend, 7, 8)
    for wanted in ("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--new-session", "--die-with-parent"):
        assert wanted in words
    text = " ".join(words)
    assert "--clearenv" in words
    assert "--cap-drop ALL --cap-add CAP_SYS_ADMIN " in text
    assert text.count("--cap-add") == 1
    assert "--seccomp 8 " in text
    assert f"--ro-bind {backend.root} / --proc /proc --chdir /" in text
    assert not {"--bind", "--dev", "--dev-bind", "--tmpfs", "--share-net", "--bind-try", "--symlink", "--file"} & set(words)
    assert words.count("--ro-bind") == 1
    assert words[words.index("--") + 1 :] == ["/opt/py/bin/python3", "-s", "-P", "-S", "-B", "/opt/cell/zygote.py", "7"]


def test_a_root_that_is_none_is_said(backend: Bwrap, tmp_path: Path) -> None:
    with pytest.raises(CellsError) as caught, replace(backend, root=tmp_path / "gone").open(CARGO, QUICK):
        pass
    assert caught.value.code == "cells_start_failed"
    assert "gone" in caught.value.about


def test_what_cannot_be_confined_is_said_and_not_run(backend: Bwrap) -> None:
    """A default for every block of a job would look like an answer."""
    limits = Limits(memory_mb=64, cpu_s=1, wall_s=1.5, output_bytes=16)
    object.__setattr__(limits, "memory_mb", 2**50)  # no such limit can be set
    with replace(backend, groups=None).open(CARGO, limits) as opened, pytest.raises(CellsError) as caught:
        opened.run(block("adds"))
    assert caught.value.code == "cells_start_failed"


def test_a_block_too_large_for_the_group_gives_no_frame(backend: Bwrap, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process is killed before the program begins. That depends on the block, so it looks like every other end."""
    monkeypatch.setattr(bwrap, "LIBRARIES_MB", 232)
    with backend.open(CARGO, Limits(memory_mb=16, cpu_s=5, wall_s=10.0, output_bytes=16)) as opened:
        assert numbers(opened.run(block("adds"))) == (7.0, 4.0)
        assert opened.run(bytes(300 * 2**20)) is None
        assert numbers(opened.run(block("adds"))) == (7.0, 4.0)


def test_a_package_that_is_no_zip_gives_no_frame(backend: Bwrap) -> None:
    with backend.open(Cargo(b"no zip", "main:run"), QUICK) as opened:
        assert opened.run(block("adds")) is None


def test_cells_are_off_unless_asked_for(tmp_path: Path) -> None:
    with pytest.raises(CellsError) as caught:
        choose(Settings(home=tmp_path))
    assert caught.value.code == "cells_unavailable"
    assert choose(Settings(home=tmp_path, cells_backend="unsafe")).isolates is False


def test_a_block_cannot_be_changed_once_handed_over() -> None:
    file = wire.memory_file("block", b"rows")
    try:
        with pytest.raises(PermissionError):
            os.pwrite(file, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(file, 0)
        assert os.pread(file, 10, 0) == b"rows"
    finally:
        os.close(file)


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory_mb": 1},
        {"cpu_s": 0},
        {"wall_s": 0.0},
        {"wall_s": float("nan")},
        {"output_bytes": 12},
        {"output_bytes": 0},
        {"output_bytes": 2**21},
    ],
)
def test_limits_that_make_no_sense_cannot_be_built(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="is"):
        Limits(**wrong)  # type: ignore[arg-type]


def test_cargo_names_libraries_of_the_locked_set() -> None:
    with pytest.raises(ValueError, match="torch"):
        Cargo(b"", "main:run", libraries=("torch",))
    with pytest.raises(ValueError, match="module:function"):
        Cargo(b"", "main:run:run")


def test_two_cells_at_once_of_two_backends(tmp_path: Path, backend: Bwrap) -> None:
    """Names of control groups are the process's, whoever asks: settings are read again for every job."""
    settings = Settings(home=tmp_path, cells_backend="bwrap", cells_dir=backend.root.parents[1])
    with choose(settings).open(CARGO, QUICK) as one, choose(settings).open(CARGO, QUICK) as other:
        assert numbers(one.run(block("adds"))) == numbers(other.run(block("adds"))) == (7.0, 4.0)
    with backend.open(CARGO, QUICK) as one, replace(backend, groups=cgroups()).open(CARGO, QUICK) as other:
        assert numbers(one.run(block("adds"))) == numbers(other.run(block("adds"))) == (7.0, 4.0)
