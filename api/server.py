"""One server process: listening at once, taking jobs when the workers are warm, stopping so that every job can be resumed."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from datetime import timedelta
from itertools import chain
from types import FrameType

import structlog
import uvicorn

from api.app import create_app
from api.console.frame import prepared
from api.home import Held
from api.later import little_by_little, worked_out
from api.problems import SERVER_LISTEN, SERVER_WORKERS
from api.schemas import Closed
from api.services import Services
from infra.memory import hold, plaintext_swap
from infra.settings import Settings
from infra.workers import WorkersError
from jobs.acts import issue_key
from policies.catalogue import Title
from policies.model import Model

log = structlog.get_logger("yunei.server")

GRACE_S = 5  # for requests under way once the server is told to stop
TURN_S = 0.001  # the longest that a thread which computes keeps others waiting that could go on; Python's own 5 ms are long beside a hop
SELDOM = 100  # rounds of the collector's middle generation until it looks through everything; Python's own 10 pass within a dozen long pages
ADMIN = "admin"


def serve(settings: Settings, held: Held) -> int:
    """Run until told to stop; the exit code. An empty home gets an administrator, whose key is shown this once.

    HTTP has a thread of its own, so that the main thread can start the workers, as Ray wants it, while the server answers already.
    """
    began = time.monotonic()
    sys.setswitchinterval(TURN_S)
    hold()
    for area in plaintext_swap():
        log.warning("swap_in_plaintext", area=area)
    services = Services.open(settings, serving=True, held=held)
    app = create_app(services)
    http = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # whom to believe about addresses is a setting of ours (`trusted_proxies`)
            timeout_graceful_shutdown=GRACE_S,
            lifespan="on",
        )
    )
    listening = threading.Thread(target=http.run, name="http", daemon=True)
    stop = threading.Event()
    try:
        first_key = administrator(services)
        if first_key is not None:
            _say(f"管理员密钥（只显示这一次）· administrator's key (shown this once): {first_key}")
        _on_signals(stop)
        listening.start()
        while not http.started and listening.is_alive():
            time.sleep(0.01)
        if not http.started:
            raise SERVER_LISTEN(host=settings.host, port=settings.port)
        services.start()
        _on_signals(stop)  # Ray has put its own in their place
        took = time.monotonic() - began
        log.info("ready", address=_address(http), seconds=round(took, 1))
        _say(f"域内已就绪 · yunei is ready: {_address(http)}  ({took:.1f} s)")
        settled()
        rest = chain(worked_out(app.routes, Closed, Model), prepared())
        little_by_little(rest, lambda seconds: not stop.wait(seconds) and listening.is_alive())  # who asks first need not wait for it
        gc.collect()
        settled()
        while listening.is_alive() and not stop.wait(1):
            pass
        return 0
    except WorkersError as error:
        raise SERVER_WORKERS(code=error.code) from None
    finally:
        services.stopping()  # wakes long polls, so that stopping does not wait for them
        http.should_exit = True
        if listening.is_alive():
            listening.join(GRACE_S + 2)
        services.close()
        log.info("stopped")


def settled() -> None:
    """What there is by now stays: looking through it again would hold up whoever waits then for a third of a second. What comes later is looked
    through seldom, each time for as long as a short page takes."""
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], SELDOM)
    gc.enable()


def _on_signals(stop: threading.Event) -> None:
    def told(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)


def _address(http: uvicorn.Server) -> str:
    host, port = http.servers[0].sockets[0].getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def administrator(services: Services) -> str | None:
    """The key of the first administrator, on a home that has none."""
    if any(principal.role == "admin" for principal in services.register.principals()):
        return None
    ends = services.clock() + timedelta(days=services.settings.key_days)
    return issue_key(services.register, ADMIN, "admin", title=Title(zh="系统管理员", en="system administrator"), expires_at=ends)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
