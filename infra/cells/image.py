"""The root file system of cells as a Docker image whose id is known before Docker has seen it.

The id of an image is the SHA-256 of its configuration, and the configuration names the SHA-256 of each layer (OCI image specification 1.1,
config.md). Ours has one layer, the tree's canonical tar, and nothing that depends on when or where it was made: so the id follows from the
tree's digest alone, and a tag that somebody moves changes nothing, because none is ever used to run a cell.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from queue import Full, Queue
from threading import Event, Thread

from infra.cells.rootfs import Rootfs
from infra.cells.syscalls import Machine, this_machine

NAME = "yunei-cell"  # a tag for people and against `docker image prune`; never for running
_ARCHITECTURES: dict[Machine, str] = {"x86_64": "amd64", "aarch64": "arm64"}
_NEVER = "1970-01-01T00:00:00Z"


def configuration(rootfs: Rootfs, machine: Machine | None = None) -> bytes:
    """The image's configuration. No command, no user, no environment: those are flags of each container, and constant."""
    return json.dumps(
        {
            "architecture": _ARCHITECTURES[machine or this_machine()],
            "config": {"Labels": {"cn.yunei.rootfs": rootfs.digest}},
            "created": _NEVER,
            "history": [{"created": _NEVER, "created_by": "infra.cells.rootfs"}],
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{rootfs.digest}"]},
        },
        sort_keys=True,
        separators=(",", ":"),
    ).encode()


def image_id(rootfs: Rootfs) -> str:
    """`sha256:…`, what a container of this tree is started from."""
    return f"sha256:{hashlib.sha256(configuration(rootfs)).hexdigest()}"


def archive(rootfs: Rootfs) -> Iterator[bytes]:
    """What `docker load` takes (moby's image specification 1.2), in pieces, without a copy on disk. Docker refuses it when the layer is
    not the one the configuration names."""
    config, name = configuration(rootfs), image_id(rootfs).removeprefix("sha256:")
    listing = [{"Config": f"{name}.json", "RepoTags": [f"{NAME}:{rootfs.digest[:12]}"], "Layers": ["layer.tar"]}]
    yield _file("manifest.json", json.dumps(listing).encode())
    yield _file(f"{name}.json", config)
    yield _head("layer.tar", rootfs.size)
    yield from _pulled(rootfs)
    yield bytes(-rootfs.size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)


def _head(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(tarfile.PAX_FORMAT)


def _file(name: str, content: bytes) -> bytes:
    return _head(name, len(content)) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def _pulled(rootfs: Rootfs) -> Iterator[bytes]:
    """What `tar` pushes, to be pulled: it is written by a thread, at most some MiB ahead, which ends when the reader does."""
    pieces: Queue[bytes | BaseException] = Queue(maxsize=8)
    gone = Event()

    class Sink(io.RawIOBase):
        def write(self, data: bytes, /) -> int:  # type: ignore[override]
            put(bytes(data))
            return len(data)

    def put(piece: bytes | BaseException) -> None:
        while not gone.is_set():
            with suppress(Full):
                return pieces.put(piece, timeout=0.2)
        raise BrokenPipeError("nobody reads the image any more")

    def push() -> None:
        end: bytes | BaseException = b""
        try:
            rootfs.tar(Sink())
        except Exception as problem:
            end = problem
        with suppress(BrokenPipeError):
            put(end)

    Thread(target=push, daemon=True).start()
    try:
        while piece := pieces.get():
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        gone.set()
