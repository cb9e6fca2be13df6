"""Whether the service in this container or unit does its work: for HEALTHCHECK and readiness probes. Exit code 0 or 1, no word.

python -m infra.deploy.healthy            the server answers /v1/ready on its own port
python -m infra.deploy.healthy launcher   somebody listens at the launcher's socket
"""

from __future__ import annotations

import socket
import sys
from http.client import HTTPConnection, HTTPException

from infra.settings import Settings

ANSWER_S = 4.0


def server(settings: Settings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  # what it listens on, not where we listen
    connection = HTTPConnection(host, settings.port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/v1/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def launcher(settings: Settings) -> bool:
    if settings.cells_launcher is None:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as trial:
        trial.settimeout(ANSWER_S)
        try:
            trial.connect(str(settings.cells_launcher))
        except OSError:
            return False
    return True


def main(arguments: list[str]) -> int:
    look = {"server": server, "launcher": launcher}[arguments[0] if arguments else "server"]
    return 0 if look(Settings.load()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
