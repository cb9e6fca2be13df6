"""The proxy's configuration that ships, in the real Caddy (a Debian package): who gets in, what the server is told, which files are served."""

from __future__ import annotations

import datetime
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.deploy.bundle import ROOT
from jobs.acts import issue_key
from tests.bureau import Bureau, Home, opened
from tests.e2e.conftest import listening
from tests.unit.client.test_tls import yunei_command
from yunei.client import Client
from yunei.problem import YuneiProblem
from yunei.tls import Tls

NOW = datetime.datetime.now(datetime.UTC)
SITE = "localhost"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True)
class Authority:
    """A certificate authority of this test; `issue` writes certificate and key into one file."""

    name: str
    key: EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, name: str) -> Authority:
        key = generate_private_key(SECP256R1())
        return cls(name, key, _signed(_name(name), key.public_key(), _name(name), key, ca=True, server=False))

    def write(self, path: Path) -> Path:
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return path

    def issue(self, path: Path, name: str, *, server: bool) -> str:
        """SHA-256 of the certificate, as a key is bound to."""
        key = generate_private_key(SECP256R1())
        made = _signed(_name(name), key.public_key(), self.certificate.subject, self.key, ca=False, server=server)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(made.public_bytes(Encoding.PEM) + secret)
        path.with_suffix(".key").write_bytes(secret)
        return sha256(made.public_bytes(Encoding.DER)).hexdigest()


def _signed(subject: x509.Name, public: object, issuer: x509.Name, key: EllipticCurvePrivateKey, *, ca: bool, server: bool) -> x509.Certificate:
    usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(hours=1))
        .not_valid_after(NOW + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if ca:
        usages = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = made.add_extension(usages, critical=True)
    else:
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(SITE)]), critical=False)
    made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)  # type: ignore[arg-type]
    made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    return made.sign(key, SHA256())


def _listens(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


class Answer(NamedTuple):
    status: int
    headers: Message
    body: bytes


@dataclass(frozen=True)
class Proxied:
    bureau: Bureau
    folder: Path
    port: int
    digest: str

    @property
    def url(self) -> str:
        return f"https://{SITE}:{self.port}"

    @property
    def tls(self) -> Tls:
        return Tls(self.folder / "operator.pem", None, self.folder / "ca.pem")

    def ask(self, path: str, certificate: str | None = "operator.pem", **headers: str) -> Answer:
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        if certificate is not None:
            context.load_cert_chain(self.folder / certificate)
        with closing(http.client.HTTPSConnection(SITE, self.port, timeout=20, context=context)) as connection:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())


@pytest.fixture(scope="module")
def proxied(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    program = shutil.which("caddy")
    if program is None:
        assert not os.environ.get("CI"), "CI has to have caddy (make outside installs it)"
        pytest.skip("this machine lacks caddy (make outside installs it)")
    folder = tmp_path_factory.mktemp("proxy")
    ours, stranger = Authority.make("ours"), Authority.make("stranger")
    ours.write(folder / "ca.pem")
    ours.write(folder / "clients.pem")
    ours.issue(folder / "server.pem", SITE, server=True)
    digest = ours.issue(folder / "operator.pem", "operator", server=False)
    ours.issue(folder / "other.pem", "other", server=False)
    stranger.issue(folder / "stranger.pem", "operator", server=False)
    keys = bureau_home.copy_to(folder / "home")
    services = opened(folder / "home", trusted_proxies=("127.0.0.1",), refusals_window_s=3600)
    keys = {**keys, "bound": issue_key(services.register, "operator-1", "operator", certificate=digest)}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with listening(services) as url:
        environment = {
            "SITE": SITE, "BIND": "127.0.0.1", "PORT": str(port), "UPSTREAM": url.removeprefix("http://"), "CERTIFICATES": str(folder),
            "TILES": str(folder / "home/log/tile"), "STORAGE": str(folder / "storage"), "HOME": str(folder), "PATH": "/usr/bin:/bin",
        }  # fmt: skip
        command = [program, "run", "--config", str(ROOT / "infra/deploy/proxy/Caddyfile"), "--adapter", "caddyfile"]
        with (folder / "caddy.log").open("wb") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as caddy:
            try:
                until = time.monotonic() + 30
                while not _listens(port):
                    assert caddy.poll() is None, (folder / "caddy.log").read_text()
                    assert time.monotonic() < until, "the proxy does not listen"
                    time.sleep(0.05)
                yield Proxied(Bureau(services, keys), folder, port, digest)
            finally:
                caddy.terminate()
                caddy.wait(60)
    services.close()


def test_nobody_gets_a_byte_without_a_certificate_of_ours(proxied: Proxied) -> None:
    for certificate in (None, "stranger.pem"):
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            proxied.ask("/v1/health", certificate)
    assert proxied.ask("/v1/health").status == 200


def test_older_tls_is_refused(proxied: Proxied) -> None:
    context = ssl.create_default_context(cafile=proxied.folder / "ca.pem")
    context.load_cert_chain(proxied.folder / "operator.pem")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)), socket.create_connection((SITE, proxied.port), 10) as raw:
        context.wrap_socket(raw, server_hostname=SITE)


def test_a_bound_key_works_with_its_certificate_and_no_other(proxied: Proxied) -> None:
    bearer = f"Bearer {proxied.bureau.keys['bound']}"
    assert proxied.ask("/v1/me", Authorization=bearer).status == 200
    assert proxied.ask("/v1/me", "other.pem", Authorization=bearer).status == 401


def test_what_a_caller_writes_about_itself_is_overwritten(proxied: Proxied) -> None:
    theirs = x509.load_pem_x509_certificate((proxied.folder / "operator.pem").read_bytes()).public_bytes(Encoding.DER)
    lie = f":{b64encode(theirs).decode()}:"
    bearer = f"Bearer {proxied.bureau.keys['bound']}"
    answer = proxied.ask("/v1/me", "other.pem", Authorization=bearer, Client_Cert=lie)
    assert answer.status == 401


def test_the_command_line_and_the_client_show_a_certificate(proxied: Proxied, tmp_path: Path) -> None:
    with Client(proxied.url, proxied.bureau.keys["bound"], "en", state=tmp_path / "trust.json", tls=proxied.tls) as client:
        assert client.me()["principal"] == "operator-1"
    without = Tls(None, None, proxied.folder / "ca.pem")
    with (
        pytest.raises(YuneiProblem) as refused,
        Client(proxied.url, proxied.bureau.keys["bound"], "en", tls=without, retries=0) as client,
    ):
        client.me()
    assert refused.value.code == "client_unreachable"
    login = ["login", proxied.url, "--certificate", proxied.folder / "operator.pem", "--authorities", proxied.folder / "ca.pem"]
    done = yunei_command(tmp_path, *login, given=proxied.bureau.keys["bound"])
    assert done.returncode == 0, done.stderr
    seen = yunei_command(tmp_path, "whoami", "--format", "json")
    assert '"operator-1"' in seen.stdout, seen.stderr


def test_hash_tiles_come_from_files_and_entries_from_the_server(proxied: Proxied) -> None:
    tiles = proxied.folder / "home/log/tile"
    newest = max((tiles / "0/000.p").iterdir(), key=lambda path: int(path.name))
    straight = proxied.ask(f"/v1/log/tile/0/000.p/{newest.name}")
    assert (straight.status, straight.body) == (200, newest.read_bytes())
    planted = tiles / "7/000"  # in no log: the server would not know it by another name
    planted.parent.mkdir()
    planted.write_bytes(b"from the file")
    answer = proxied.ask("/v1/log/tile/7/000")
    assert (answer.status, answer.body) == (200, b"from the file")
    assert "immutable" in answer.headers["Cache-Control"]
    for path in (
        f"/v1/log/tile/entries/000.p/{newest.name}",
        f"/v1/log/tile/0/../entries/000.p/{newest.name}",
        f"/v1/log/tile/0/%2e%2e/entries/000.p/{newest.name}",
    ):
        assert proxied.ask(path).status in (401, 404), path
    absent = proxied.ask("/v1/log/tile/9/000")
    assert (absent.status, absent.headers["Content-Type"]) == (404, "application/problem+json")
    assert "immutable" not in absent.headers.get("Cache-Control", "")


def test_what_is_inside_stays_inside(proxied: Proxied) -> None:
    for path in ("/metrics", "/v1/metrics"):
        assert proxied.ask(path, Authorization=f"Bearer {proxied.bureau.keys['auditor']}").status == 404
    answer = proxied.ask("/v1/health")
    assert answer.headers.get("Server") is None
    assert "max-age" in answer.headers["Strict-Transport-Security"]
