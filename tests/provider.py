"""A real OpenID Connect provider: the package oidc-provider-mock, in a process of its own, on loopback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def a_provider() -> Iterator[str]:
    """Its issuer. Anybody is who they say in its form; a nonce is required; any client secret will do, and the PKCE verifier is not checked."""
    environment = {**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1", "PYTHONWARNINGS": "ignore"}  # it uses parts of Authlib on their way out
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", "0", "--require-nonce", "true"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield found.group()
                return
        raise RuntimeError("the provider did not start:\n" + "".join(said))
    finally:
        process.terminate()
        process.communicate(timeout=10)
