"""Keys and small files under a key, by suite: sealed so that a flipped bit or another place is refused.

`international` is what the vault always wrote: AES-256-GCM with a 12-byte nonce before the ciphertext, AES key wrap (RFC 3394) for keys.
`gm` is SM4-GCM (GB/T 32907, RFC 8998) for both, under 16 bytes that HKDF-SM3 makes of the key and the purpose; it begins with `MAGIC`.
Either reads what the other wrote, so a home may change its suite: what is there stays as it is, what is new is in the new suite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SM3
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from infra.crypto.suites import Suite

Random = Callable[[int], bytes]
MAGIC = b"yunei-gm/1\n"
NONCE_BYTES = 12
TAG_BYTES = 16


class SealBroken(Exception):
    """Not sealed under this key, for this place, or changed since. Says nothing more."""


@dataclass(frozen=True, slots=True)
class Envelope:
    suite: Suite

    def seal(self, key: bytes, plain: bytes, aad: bytes, random: Random) -> bytes:
        """A small file under a 32-byte key, bound to `aad`."""
        nonce = random(NONCE_BYTES)
        if self.suite == "gm":
            return MAGIC + nonce + sm4_gcm_encrypt(_sm4_key(key, b"file"), nonce, plain, aad)
        return nonce + AESGCM(key).encrypt(nonce, plain, aad)

    def open(self, key: bytes, sealed: bytes, aad: bytes) -> bytes:
        """What was sealed, in whichever suite. SealBroken."""
        try:
            if sealed.startswith(MAGIC):
                rest = sealed[len(MAGIC) :]
                return sm4_gcm_decrypt(_sm4_key(key, b"file"), rest[:NONCE_BYTES], rest[NONCE_BYTES:], aad)
            return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad)
        except (InvalidTag, ValueError):
            raise SealBroken from None

    def wrap(self, key: bytes, secret: bytes, random: Random) -> bytes:
        """A 32-byte key under another."""
        if self.suite == "gm":
            nonce = random(NONCE_BYTES)
            return MAGIC + nonce + sm4_gcm_encrypt(_sm4_key(key, b"key"), nonce, secret, MAGIC)
        return aes_key_wrap(key, secret)

    def unwrap(self, key: bytes, wrapped: bytes) -> bytes:
        """The key that was wrapped, in whichever suite. SealBroken."""
        try:
            if wrapped.startswith(MAGIC):
                rest = wrapped[len(MAGIC) :]
                return sm4_gcm_decrypt(_sm4_key(key, b"key"), rest[:NONCE_BYTES], rest[NONCE_BYTES:], MAGIC)
            return aes_key_unwrap(key, wrapped)
        except (InvalidTag, InvalidUnwrap, ValueError):
            raise SealBroken from None


def envelope_of(suite: Suite) -> Envelope:
    return Envelope(suite)


def _sm4_key(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SM3(), length=16, salt=None, info=b"yunei/sm4/" + purpose).derive(key)


def sm4_gcm_encrypt(key: bytes, nonce: bytes, plain: bytes, aad: bytes) -> bytes:
    """Ciphertext and 16-byte tag, as RFC 8998 lays them out."""
    encryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(aad)
    return encryptor.update(plain) + encryptor.finalize() + encryptor.tag


def sm4_gcm_decrypt(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
    """InvalidTag, ValueError."""
    if len(sealed) < TAG_BYTES:
        raise InvalidTag
    decryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce, sealed[-TAG_BYTES:])).decryptor()
    decryptor.authenticate_additional_data(aad)
    return decryptor.update(sealed[:-TAG_BYTES]) + decryptor.finalize()
