"""An S3 server on loopback in this process (moto): what a bucket does, conditional writes included."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from moto.server import ThreadedMotoServer

from infra.vault import store as stores
from infra.vault.s3 import Bucket
from infra.vault.store import Credentials, Store

KEYS = Credentials("test-access", "test-secret-key-of-the-store")
BUCKET = "yunei-vault"


@contextmanager
def an_s3() -> Iterator[Store]:
    quiet, known = logging.getLogger("werkzeug"), dict(stores._own)
    quiet.setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    store = Store(f"http://{host}:{port}", "us-east-1")
    Bucket(store, BUCKET, "", KEYS)._ask(lambda client: client.create_bucket(Bucket=BUCKET))
    try:
        yield store
    finally:
        server.stop()
        quiet.setLevel(logging.NOTSET)
        stores._own.clear()
        stores._own.update(known)
