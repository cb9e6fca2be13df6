"""One server process: listening at once, taking jobs when the workers are warm, stopping so that every job can be resumed."""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType

import structlog
import uvicorn

from api.app import create_app
from api.services import Services
from infra.settings import Settings
from infra.workers import WorkersError
from jobs.acts import issue_key
from policies.catalogue import Title

log = structlog.get_logger("yunei.server")

GRACE_S = 5  # for requests under way once the server is told to stop
ADMIN = "admin"


class Server(uvicorn.Server):
    """Wakes long polls as soon as it is told to stop, so that stopping does not wait for them."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._services.stopping()
        super().handle_exit(sig, frame)

    @property
    def address(self) -> str:
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(settings: Settings) -> int:
    """Run until told to stop; the exit code. An empty home gets an administrator, whose key is shown this once."""
    began = time.monotonic()
    services = Services.open(settings, serving=True)
    try:
        first_key = administrator(services)
        if first_key is not None:
            _say(f"管理员密钥（只显示这一次）· administrator's key (shown this once): {first_key}")
        config = uvicorn.Config(
            create_app(services),
            host=settings.host,
            port=settings.port,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
            lifespan="on",
        )
        server = Server(config, services)
        failed = threading.Event()

        def start() -> None:
            try:
                services.start()
            except WorkersError as error:
                log.error("workers", code=error.code)
                failed.set()
                server.should_exit = True
                return
            while not server.started and not server.should_exit:
                time.sleep(0.01)
            if server.started:
                took = time.monotonic() - began
                log.info("ready", address=server.address, seconds=round(took, 1))
                _say(f"域内已就绪 · yunei is ready: {server.address}  ({took:.1f} s)")

        threading.Thread(target=start, name="start", daemon=True).start()
        # uvicorn raises the signal again once it has stopped; what follows here must still run
        before = {sig: signal.signal(sig, signal.SIG_IGN) for sig in (signal.SIGTERM, signal.SIGINT)}
        try:
            server.run()
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)
        return 1 if failed.is_set() or not server.started else 0
    finally:
        services.close()
        log.info("stopped")


def administrator(services: Services) -> str | None:
    """The key of the first administrator, on a home that has none."""
    if any(principal.role == "admin" for principal in services.register.principals()):
        return None
    return issue_key(services.register, ADMIN, "admin", title=Title(zh="系统管理员", en="system administrator"))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
