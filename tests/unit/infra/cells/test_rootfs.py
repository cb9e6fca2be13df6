"""The cells' root: what is in it and what is not, and that the same inputs give the same tree and the same image."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from infra.cells import elf, image, libraries, rootfs
from infra.cells.libraries import LibrarySetBroken, library_set
from infra.cells.rootfs import Rootfs, RootfsBroken
from tests.cells import a_root


def below(root: Path) -> Iterator[Path]:
    return root.rglob("*")


def test_nothing_in_it_but_files_and_folders_everyone_may_read() -> None:
    for path in below(a_root().path):
        mode = path.lstat().st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode), path
        assert stat.S_IMODE(mode) in (0o755, 0o644), path


def test_programs_in_it_are_python_and_its_loader() -> None:
    root = a_root().path
    programs = [path.relative_to(root) for path in below(root) if path.is_file() and path.stat().st_mode & 0o111]
    assert {path.name for path in programs if ".so" not in path.suffixes and ".so." not in path.name} == {"python3"}


def test_nothing_of_this_machine_is_in_it() -> None:
    root = a_root().path
    assert (root / "etc/passwd").read_text() == "cell:x:65534:65534::/:/\n"
    assert sorted(os.listdir(root / "etc")) == ["passwd"]
    for name in ("dev", "in", "job", "out", "proc", "sys", "tmp"):
        assert os.listdir(root / name) == []
    names = {path.name for path in below(root)}
    assert not names & {"tests", "ensurepip", "tkinter", "idlelib", "pip", "ray", "duckdb", "opendp", "fastapi", "sh", "direct_url.json"}
    assert not [name for name in names if name.endswith(".pth")]


def test_the_set_is_what_was_promised_and_what_that_needs() -> None:
    found = {each.name for each in library_set()}
    assert {"numpy", "pandas", "pyarrow", "scipy", "scikit-learn"} <= found
    needed = {"cloudpickle", "joblib", "narwhals", "python-dateutil", "threadpoolctl", "tzdata"}
    assert found - {"six"} == set(libraries.NAMED) | needed  # six: python-dateutil before version 3 needs it
    packages = a_root().path / f"opt/py/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    held = {name.split("-")[0].replace("_", "-").lower() for name in os.listdir(packages) if name.endswith(".dist-info")}
    assert held == found


def test_a_set_that_is_not_whole_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "NAMED", ("numpy", "not-installed-anywhere"))
    with pytest.raises(LibrarySetBroken, match="not-installed-anywhere"):
        library_set()


IMPORTS = """
import numpy, numpy.random, numpy.testing, pandas, pyarrow.compute, pyarrow.parquet, pyarrow.dataset, pyarrow.csv
import scipy.stats, scipy.optimize, scipy.linalg, scipy.sparse, scipy.interpolate, scipy.signal, scipy.spatial, scipy.special, scipy.ndimage
import scipy.cluster.hierarchy, scipy.integrate, sklearn.linear_model, sklearn.ensemble, sklearn.cluster, sklearn.svm, sklearn.neighbors
import sklearn.tree, sklearn.decomposition, sklearn.gaussian_process, sklearn.neural_network, sklearn.preprocessing, sklearn.metrics
import sklearn.mixture, sklearn.datasets, zoneinfo
"""


def test_everything_promised_can_be_imported_from_it() -> None:
    """By its own interpreter and its own shared objects, with nothing else of the machine in sight."""
    command = [
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--clearenv",
        "--setenv",
        "OMP_NUM_THREADS",
        "1",
        "--ro-bind",
        str(a_root().path),
        "/",
    ]
    script = IMPORTS + "print(zoneinfo.ZoneInfo('Asia/Shanghai'), numpy.__version__)"
    told = subprocess.run([*command, "--", str(rootfs.PYTHON), "-I", "-c", script], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("Asia/Shanghai ")


def test_what_a_cell_runs_is_in_it() -> None:
    for inside, here in rootfs.OURS.items():
        assert (a_root().path / inside.relative_to("/")).read_bytes() == here.read_bytes()


@pytest.fixture
def small(tmp_path: Path) -> Rootfs:
    """A tree of two files."""
    root = tmp_path / "key/root"
    (root / "lib").mkdir(parents=True)
    (root / "lib/a.py").write_text("a = 1\n")
    (root / "b").write_bytes(bytes(5000))
    digest, size = rootfs._digest(root)
    return Rootfs(root, digest, size, "3.11", (), io.BytesIO())  # type: ignore[arg-type]


def test_a_tree_that_was_touched_is_found_out(small: Rootfs) -> None:
    small.verify()
    (small.path / "lib/a.py").write_text("a = 2\n")
    with pytest.raises(RootfsBroken, match="not what was built"):
        small.verify()


@pytest.mark.parametrize("change", ["mode", "name", "link"])
def test_so_are_modes_names_and_links(small: Rootfs, change: str) -> None:
    if change == "mode":
        (small.path / "b").chmod(0o4755)
    elif change == "name":
        (small.path / "b").rename(small.path / "c")
    else:
        (small.path / "c").symlink_to("/etc/passwd")
    with pytest.raises(RootfsBroken):
        small.verify()


def test_times_and_owners_are_not_in_the_digest(small: Rootfs, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small.path, copy)
    os.utime(copy / "b", (1, 1))
    assert rootfs._digest(copy) == (small.digest, small.size)


def test_the_image_s_id_follows_from_the_tree(small: Rootfs) -> None:
    archive = b"".join(image.archive(small))
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        files = {member.name: opened.extractfile(member).read() for member in opened}  # type: ignore[union-attr]
    [about] = json.loads(files["manifest.json"])
    config = files[about["Config"]]
    assert f"sha256:{hashlib.sha256(config).hexdigest()}" == image.image_id(small)
    assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{small.digest}"]
    assert hashlib.sha256(files[about["Layers"][0]]).hexdigest() == small.digest
    assert image.image_id(replace(small, digest="0" * 64)) != image.image_id(small)


def test_a_reader_who_stops_leaves_no_thread_that_waits(small: Rootfs) -> None:
    pieces = image.archive(small)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]


def test_trees_of_other_locks_go_unless_somebody_holds_them(tmp_path: Path) -> None:
    for name in ("old", "held", "present"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "held").touch()
    with (tmp_path / "held/held").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        rootfs._clear(tmp_path, "present")
        assert sorted(os.listdir(tmp_path)) == ["held", "present"]
    rootfs._clear(tmp_path, "present")
    assert os.listdir(tmp_path) == ["present"]


def test_a_clearing_that_was_killed_leaves_nothing_that_looks_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old/root").mkdir(parents=True)
    for name in ("held", "manifest.json"):
        (tmp_path / "old" / name).touch()
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # killed before the first file was gone
    rootfs._clear(tmp_path, "present")
    assert os.listdir(tmp_path) == ["building-old"]  # which the next build clears away


def test_whatever_a_tree_is_made_of_is_in_its_name(tmp_path: Path) -> None:
    ours = {PurePosixPath("/opt/cell/a.py"): tmp_path / "a.py"}
    (tmp_path / "a.py").write_text("1")
    wanted = library_set()
    names = {rootfs._key(wanted, {}), rootfs._key(wanted, ours), rootfs._key(wanted[:-1], ours)}
    (tmp_path / "a.py").write_text("2")
    names.add(rootfs._key(wanted, ours))
    names.add(rootfs._key((*wanted[:-1], replace(wanted[-1], version="0")), ours))
    assert len(names) == 5


def test_a_loader_that_cannot_be_asked_is_named(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    with pytest.raises(elf.NoLoader, match="ELF"):
        elf.loader(tmp_path / "script")
    with pytest.raises(elf.NoLoader, match="where it looks"):
        elf.search_path("/bin/true")


def test_byte_code_is_the_same_wherever_it_is_made(tmp_path: Path) -> None:
    """Orders of sets, what was compiled before, where it lay: none of it is in the bytes."""
    made = []
    for number in range(2):
        library = tmp_path / f"tree{number}" / "opt/py/lib"
        library.mkdir(parents=True)
        for name in ("argparse", "ast", "dataclasses", "enum", "inspect", "json/decoder", "re/_parser", "statistics", "typing", "zipfile"):
            (library / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(Path(sysconfig.get_path("stdlib")) / f"{name}.py", library / f"{name}.py")
        rootfs._compile(tmp_path / f"tree{number}")
        made.append(rootfs._digest(tmp_path / f"tree{number}"))
        assert len(list(library.rglob("*.pyc"))) == 10
    assert made[0] == made[1]
    assert b"tree0" not in b"".join(path.read_bytes() for path in (tmp_path / "tree0").rglob("*.pyc"))


@pytest.mark.parametrize("had", ["made = a_root()", "a_root.__wrapped__()", "a_root().close()"], ids=["kept", "dropped", "closed"])
def test_its_lock_is_closed_at_the_end_of_a_process_whoever_had_it(had: str) -> None:
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", f"from tests.cells import a_root\n{had}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert (done.returncode, done.stderr) == (0, "")
