"""Certificates of a cluster: one authority, whose key stays where it was made, and for each node a certificate for its own addresses.

Ray's processes show them to each other both ways (mutual TLS, RFC 8446 section 4.4.2.4) and believe no other authority. Keys are P-256
(FIPS 186-5).
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS, NODE_DAYS = 3650, 825
SKEW = timedelta(minutes=5)  # nodes' clocks differ

Now = Callable[[], datetime]
Key = ec.EllipticCurvePrivateKey


def authority(folder: Path, now: Now) -> None:
    """`ca.crt` and `ca.key` in the folder, made unless they are there. Who has the key can join any cluster that believes it: keep the folder
    off the nodes."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (folder / "ca.key").exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "yunei cluster")])
    made = _begun(name, name, key, now, CA_DAYS).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made = made.add_extension(_usage(signs=True), critical=True)
    made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    _write_key(folder / "ca.key", key)
    (folder / "ca.crt").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def node(authority: Path, folder: Path, addresses: Iterable[str], now: Now) -> None:
    """`node.crt`, `node.key` and `ca.crt` in a new folder, for a node with these IP addresses, private ones. ValueError for a public address.
    FileExistsError when the folder has a key."""
    found = [private(address) for address in addresses]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    signer = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), None)
    issuer = x509.load_pem_x509_certificate((authority / "ca.crt").read_bytes())
    assert isinstance(signer, ec.EllipticCurvePrivateKey)  # `authority` made it
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(found[0]))])
    loopback = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    names: list[x509.GeneralName] = [x509.IPAddress(each) for each in dict.fromkeys([*found, *loopback])]
    made = _begun(name, issuer.subject, key, now, NODE_DAYS).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    made = made.add_extension(_usage(signs=False), critical=True)
    made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    made = made.add_extension(x509.SubjectAlternativeName([*names, x509.DNSName("localhost")]), critical=False)
    made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    _write_key(folder / "node.key", key)
    (folder / "node.crt").write_bytes(made.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (folder / "ca.crt").write_bytes((authority / "ca.crt").read_bytes())


def private(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IP address that the internet does not route. ValueError otherwise."""
    found = ipaddress.ip_address(address)
    if not found.is_private or found.is_unspecified:
        raise ValueError(f"not a private address: {address}")
    return found


def _begun(subject: x509.Name, issuer: x509.Name, key: Key, now: Now, days: int) -> x509.CertificateBuilder:
    at = now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - SKEW)
        .not_valid_after(at + timedelta(days=days))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    off = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
    )
    return x509.KeyUsage(digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, **off)


def _write_key(path: Path, key: Key) -> None:
    data = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
