"""`yunei serve` as a process: an empty home gets an administrator, SIGTERM leaves a job to the next server, which carries it through."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.bureau import Home, body

SLOT_MS = 4_000


@dataclass
class Process:
    url: str
    output: list[str]
    seconds: float
    process: subprocess.Popen[str]

    def stopped(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        assert self.process.stdout is not None
        self.output += self.process.stdout.read().splitlines()
        return code


@contextmanager
def serve(home: Path) -> Iterator[Process]:
    command = [str(Path(sys.executable).with_name("yunei")), "serve", "--home", str(home), "--port", "0"]
    environment = {"PATH": "/usr/bin:/bin", "YUNEI_SLOTS_MS": str(SLOT_MS), "YUNEI_WORKERS": "1", "YUNEI_RAY_LINGER_S": "5", "LANG": "C.UTF-8"}
    began = time.monotonic()
    with subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        output: list[str] = []
        try:
            for line in process.stdout:
                output.append(line)
                if found := re.search(r"yunei is ready: (\S+)", line):
                    break
            else:
                raise AssertionError("".join(output))
            yield Process(found.group(1), output, time.monotonic() - began, process)
        finally:
            if process.poll() is None:
                process.kill()


def test_stopped_and_started_again_a_job_is_carried_through(bureau_home: Home, tmp_path: Path) -> None:
    home = tmp_path / "home"
    keys = bureau_home.copy_to(home)
    headers = {"Authorization": f"Bearer {keys['operator-1']}"}
    with serve(home) as first:
        assert first.seconds < 180  # 20 on a machine of its own; measured in the bench
        job = httpx2.post(f"{first.url}/v1/jobs", json=body(), headers=headers, timeout=30).json()
        assert (job["state"], job["slot_ms"]) == ("running", SLOT_MS)
        assert first.stopped() == 0
        assert "administrator's key" not in "".join(first.output)
    with serve(home) as second:
        seen = httpx2.get(f"{second.url}/v1/jobs/{job['id']}?wait_s=30", headers=headers, timeout=40).json()
        assert seen["state"] == "published"
        assert seen["release"] == f"rel-{job['id'].removeprefix('job-')}"
        assert second.stopped() == 0
        text = "".join(second.output)
        assert "Traceback" not in text
        assert "SIGTERM received" not in text
        assert "visits" not in text, "the log names what was asked"


def test_an_empty_home_gets_an_administrator_once(tmp_path: Path) -> None:
    with serve(tmp_path / "home") as server:
        found = re.search(r"administrator's key .*: (yk_\S+)", "".join(server.output))
        assert found is not None
        me = httpx2.get(f"{server.url}/v1/me", headers={"Authorization": f"Bearer {found.group(1)}"}, timeout=30).json()
        assert (me["role"], "key_issue" in me["acts"]) == ("admin", True)
        assert server.stopped() == 0
