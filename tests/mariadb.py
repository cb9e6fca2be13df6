"""A real MariaDB for tests, Debian's: on a Unix socket and, with TLS from an authority of its own, on loopback. It dies with the process that
started it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pymysql
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


class MariaDb:
    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="yunei-my-"))  # a short path: a socket's name has at most 107 bytes
        self.folder.chmod(0o755)
        self.socket, self.ca = self.folder / "socket", self.folder / "ca.pem"
        authority(self.folder)
        self._account: dict[str, int] = {}
        nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if nobody is not None:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
            self._account = {"user": nobody.pw_uid, "group": nobody.pw_gid}
        made = subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={self.folder / 'data'}", "--auth-root-authentication-method=normal"],
            **self._account,
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        assert made.returncode == 0, made.stderr
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        program = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        options = ["--no-defaults", f"--datadir={self.folder / 'data'}", f"--socket={self.socket}", f"--port={self.port}"]
        options += ["--bind-address=127.0.0.1", f"--pid-file={self.folder / 'pid'}", "--innodb-buffer-pool-size=32M", "--skip-name-resolve"]
        options += [f"--ssl-ca={self.ca}", f"--ssl-cert={self.folder / 'server.pem'}", f"--ssl-key={self.folder / 'server.key'}"]
        libc = ctypes.CDLL(None)
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [program, *options],
                **self._account,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: libc.prctl(DEATH_SIGNAL, signal.SIGKILL),
            )
        until = time.monotonic() + 60
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as there:  # PyMySQL would leave one open that is refused
                    there.connect(str(self.socket))
                self.root().close()
                return
            except (OSError, pymysql.Error):
                assert self._server.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < until, "MariaDB does not answer"
                time.sleep(0.1)

    def root(self) -> Any:
        return pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True)

    def close(self) -> None:
        self._server.send_signal(signal.SIGKILL)
        self._server.wait(30)
        shutil.rmtree(self.folder)


def authority(folder: Path) -> None:
    """ca.pem, and server.pem with its key for 127.0.0.1."""
    now = datetime.now(UTC)

    def certificate(name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]),
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]),
            key.public_key(),
            x509.random_serial_number(),
            now - timedelta(days=1),
            now + timedelta(days=1),
        )
        if name == issuer:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            usage = x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
                data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
            )  # fmt: skip
            builder = builder.add_extension(usage, critical=True)
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        else:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        return builder.sign(signer, hashes.SHA256())

    ca, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(certificate("test authority", ca, "test authority", ca).public_bytes(pem))
    (folder / "server.pem").write_bytes(certificate("server", server, "test authority", ca).public_bytes(pem))
    key = folder / "server.key"
    key.write_bytes(server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    key.chmod(0o600)


@contextlib.contextmanager
def a_mariadb() -> Iterator[MariaDb]:
    server = MariaDb()
    try:
        yield server
    finally:
        server.close()
