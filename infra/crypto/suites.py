"""Which algorithm does what, by suite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives.hashes import SM3, Hash

Suite = Literal["international", "gm"]


def sm3(data: bytes) -> bytes:
    """SM3 (GB/T 32905-2016), 32 bytes.

    >>> sm3(b"abc").hex()
    '66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0'
    """
    digest = Hash(SM3())
    digest.update(data)
    return digest.finalize()


@dataclass(frozen=True, slots=True)
class Covered:
    """One use of cryptography. `why`: what keeps it the same in both suites; empty where the suites differ."""

    zh: str
    en: str
    international: str
    gm: str
    why_zh: str = ""
    why_en: str = ""


_C2SP = ("C2SP 日志格式规定 SHA-256，外部核验程序据此核验", "the C2SP log formats fix SHA-256, and outside verifiers rely on it")
COVERAGE: tuple[Covered, ...] = (
    Covered("检查点签名", "signature of checkpoints", "Ed25519", "Ed25519 + SM2 (note line 0xff)"),
    Covered("协议签名", "signature of licences", "Ed25519", "Ed25519 + SM2 (note line 0xff)"),
    Covered("数据集密钥、文件密钥的封装", "wrapping of dataset keys and file keys", "AES-256-KW (RFC 3394)", "SM4-GCM"),
    Covered("入库清单等小文件加密", "encryption of manifests and other small files", "AES-256-GCM", "SM4-GCM"),
    Covered("由主密钥派生封装密钥", "derivation of wrapping keys", "HKDF-SHA-256", "HKDF-SM3"),
    Covered("协议文本摘要", "digest told with a licence's paper", "SHA-256", "SHA-256 + SM3"),
    Covered(
        "入库数据分片", "shards of data", "AES-256-GCM", "AES-256-GCM",
        "Parquet 模块化加密只定义 AES；密钥由 SM4 封装", "Parquet Modular Encryption defines AES alone; its keys are wrapped with SM4",
    ),
    Covered("日志叶、树、凭证", "leaves, tree and receipts of the log", "SHA-256", "SHA-256", *_C2SP),
    Covered("事件所列文件摘要", "digests of documents in events", "SHA-256", "SHA-256", *_C2SP),
    Covered(
        "见证方联署", "cosignatures of witnesses", "Ed25519, ML-DSA-44", "Ed25519, ML-DSA-44",
        "由见证方选定，格式由 C2SP 规定", "the witness chooses, in the formats of C2SP",
    ),
    Covered(
        "访问密钥摘要与令牌", "hashes of access keys, tokens", "SHA-256, Ed25519", "SHA-256, Ed25519",
        "客户端与 OIDC 生态所限", "what clients and OpenID Connect understand",
    ),
    Covered(
        "传输", "transport", "TLS", "TLS",
        "由前置代理提供，可用支持 TLCP 的国密网关", "by the proxy in front, which may be one that speaks TLCP",
    ),
)  # fmt: skip
