"""What the client shows to a TLS proxy, and whom it believes: a certificate of its own, and the authorities of the server's.

Files in PEM. `certificate` may hold the private key as well; an encrypted key is refused rather than asked for, since nobody may be there to
answer. Without `authorities` the machine's own are believed, with it those alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from yunei.problem import problem
from yunei.words import Language

if TYPE_CHECKING:
    import ssl

NAMES = ("certificate", "certificate_key", "authorities")


@dataclass(frozen=True, slots=True)
class Tls:
    certificate: Path | None = None
    certificate_key: Path | None = None
    authorities: Path | None = None

    def values(self) -> dict[str, str]:
        """As the configuration file has them: absolute, for it is read from anywhere."""
        return {name: str(path.expanduser().absolute()) for name in NAMES if (path := getattr(self, name)) is not None}

    def context(self, language: Language) -> ssl.SSLContext | None:
        """None when nothing is set: the defaults then stand. Raises `client_bad_certificate`."""
        if not self.values():
            return None
        import ssl  # only here: runs that must be quick talk to this machine

        reading = self.authorities
        try:
            context = ssl.create_default_context(cafile=self.authorities)
            reading = self.certificate or self.certificate_key
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.certificate_key, password="")
            elif self.certificate_key is not None:
                raise ssl.SSLError("a key without a certificate")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise problem("client_bad_certificate", language=language, path=reading, why=_why(error)) from error
        return context


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
