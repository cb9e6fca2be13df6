"""A process that works on a register and kills itself at a chosen moment. Run as `python -m tests.crash.register_worker`.

It reads one JSON line per case {"home", "url", "point", "nth", "log"} and forks. The child works until it reaches `point` for the
`nth` time, where it is killed by SIGKILL, nothing flushed. What was acknowledged before is in `log`, one JSON line each.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.journal.files import LogFiles
from jobs import register as register_module
from jobs.sequencer import Sequencer
from policies.loss import Loss
from tests.small_register import a_register, run

POINTS = {
    "append": "an event is projected, not yet committed",
    "finish": "entries are inserted, not yet committed",
    "commit": "the transaction is about to commit",
    "committed": "committed, nothing published",
    "tile": "a tile is about to be written",
    "tile_half": "half a tile is written, not yet in place",
    "tile_torn": "the tile is in place but short, as after a power cut",
    "checkpoint": "all tiles are there, the checkpoint is not",
    "checkpoint_half": "half a checkpoint is written, not yet in place",
    "published": "the checkpoint is in place, nobody has been told",
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, nth: int) -> None:
    """Put the mine: the `nth` time `point` is reached the process dies."""
    left = [nth]

    def reached() -> bool:
        left[0] -= 1
        return left[0] == 0

    def around(owner: Any, name: str, before: Callable[..., None] | None = None, after: Callable[..., None] | None = None) -> None:
        original = getattr(owner, name)

        def wrapped(*args: Any, **named: Any) -> Any:
            if before and reached():
                before(*args, **named)
            result = original(*args, **named)
            if after and reached():
                after(*args, **named)
            return result

        setattr(owner, name, wrapped)

    def half(files: LogFiles, path: str, data: bytes, *, sync: bool) -> None:
        (files.folder / f".writing-{os.getpid()}").write_bytes(data[: len(data) // 2])
        die()

    def torn(files: LogFiles, name: Any, data: bytes) -> None:
        target = files.folder / name.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data[: len(data) // 2])
        die()

    match point:
        case "append":
            around(register_module, "project", after=lambda *_: die())
        case "finish":
            around(register_module.Act, "_finish", before=lambda *_: die())
        case "commit":
            around(register_module.Act, "_finish", after=lambda *_: die())
        case "committed":
            around(Sequencer, "publish", before=lambda *_: die())
        case "tile":
            around(LogFiles, "put_tile", before=lambda *_: die())
        case "tile_half":
            around(LogFiles, "_put", before=half)
        case "tile_torn":
            around(LogFiles, "put_tile", before=torn)
        case "checkpoint":
            around(LogFiles, "put_checkpoint", before=lambda *_: die())
        case "checkpoint_half":
            original = LogFiles._put
            LogFiles._put = lambda files, path, data, *, sync: (half if path == "checkpoint" and reached() else original)(
                files, path, data, sync=sync
            )  # type: ignore[method-assign]
        case "published":
            around(LogFiles, "put_checkpoint", after=lambda *_: die())
        case _:
            raise ValueError(point)


def work(home: Path, log: Path, url: str) -> None:
    with a_register(home, database_url=url) as register, log.open("ab") as acknowledged:

        def tell(index: int) -> None:
            line = json.dumps({"index": index, "entry": register.entry(index).hex(), "note": register.files.checkpoint()})
            acknowledged.write(line.encode() + b"\n")
            acknowledged.flush()

        for number in range(register.size, register.size + 12):
            tell(run(register, f"job-{number}", Loss(1_000)))


def main() -> None:
    for line in sys.stdin:
        case = json.loads(line)
        child = os.fork()
        if child == 0:
            arm(case["point"], case["nth"])
            work(Path(case["home"]), Path(case["log"]), case["url"])
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
