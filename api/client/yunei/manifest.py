"""A product's manifest held against its files and the log's key, offline: every link of the chain, each said to hold or not.

    log key → receipt of the version → its entry names the keys that sign manifests → the envelope's signature → the statement →
    digests of the files; and, by receipts of their own, the registration, the releases it was made of, and what was delivered to whom.

Nothing is fetched and no server is asked. Whether the log has since recalled the product, or been forked, is not seen this way.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from yunei.problem import YuneiProblem, problem
from yunei.replay.book import canonical
from yunei.transparency import Key, Receipt, signer_of, unbase64

IN_TOTO = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:yunei:product:v1"
SUFFIX = ".intoto.json"
_SAME = (("plan", "plan_digest"), ("question", "question"), ("table_sha256", "table_sha256"), ("record", "record"), ("job", "job"))


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain. `wrong`: in both languages, what does not hold; None when it does, or there was nothing to check."""

    name: tuple[str, str]
    wrong: tuple[str, str] | None = None
    absent: bool = False


@dataclass(slots=True)
class ProductEvidence:
    """What verifying established. It holds when no link is wrong."""

    product: str = ""
    version: int = 0
    code: str | None = None
    recipient: str | None = None
    key: Key | None = None
    index: int = -1
    links: list[Link] = field(default_factory=list)
    predicate: Mapping[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return bool(self.links) and all(link.wrong is None for link in self.links)

    @property
    def wrong(self) -> list[Link]:
        return [link for link in self.links if link.wrong is not None]

    def require(self) -> ProductEvidence:
        """Raises `verify_manifest` for the first link that does not hold."""
        for link in self.wrong:
            zh, en = link.wrong or ("", "")
            raise problem("verify_manifest", what=f"{link.name[0]}：{zh} · {link.name[1]}: {en}")
        return self


class _Wrong(Exception):
    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.words = (zh, en)


def link(links: list[Link], name: tuple[str, str], check: Callable[[], object]) -> bool:
    """One more link: what `check` finds wrong, or that it cannot be read."""
    wrong: tuple[str, str] | None = None
    try:
        check()
    except _Wrong as error:
        wrong = error.words
    except YuneiProblem as error:
        wrong = (error.words("zh").detail or error.words("zh").title, error.words("en").detail or error.words("en").title)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        wrong = (f"无法读取（{type(error).__name__}）", f"cannot be read ({type(error).__name__})")
    links.append(Link(name, wrong))
    return wrong is None


def opened(envelope: bytes, predicate: str) -> tuple[bytes, list[dict[str, str]], dict[str, Any]]:
    """Payload, signatures and statement of a DSSE envelope with an in-toto statement of this predicate."""
    read = json.loads(envelope)
    payload = unbase64(read["payload"])
    if read["payloadType"] != IN_TOTO or payload is None or set(read) != {"payloadType", "payload", "signatures"}:
        raise _Wrong("不是 DSSE 封装的 in-toto 声明", "it is no in-toto statement in DSSE")
    statement = json.loads(payload)
    if canonical(statement) != payload or statement["_type"] != STATEMENT or statement["predicateType"] != predicate:
        raise _Wrong("不是这一类的声明", "it is no statement of this kind")
    return payload, read["signatures"], statement


def signatures_hold(payload: bytes, given: list[dict[str, str]], vkeys: Sequence[str]) -> None:
    """Every one of these keys that can be read here has signed, one at least, and nobody else."""
    kind = IN_TOTO.encode()
    text = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    signatures = {each["keyid"]: unbase64(each["sig"]) for each in given}
    checked = 0
    for key in map(Key.parse, vkeys):
        signature = signatures.pop(f"{key.name}+{key.id.hex()}", None)
        if not key.readable:
            continue
        if signature is None or not key.holds(signature, text.decode()):
            raise _Wrong(f"{key.name} 的签名不符", f"that of {key.name} does not hold")
        checked += 1
    if not checked or signatures:
        raise _Wrong("不是条目所列的密钥签的", "it is not by the keys that the entry names")


def same(told: object, wanted: object, zh: str, en: str) -> None:
    if told != wanted:
        raise _Wrong(f"{zh}不符：{told} ≠ {wanted}", f"{en}: {told} ≠ {wanted}")


def key_name_of(manifest: bytes) -> str:
    """A checkpoint note inside a manifest, by which the log it speaks of can be recognised. Raises `verify_manifest`."""
    try:
        statement = json.loads(unbase64(json.loads(manifest)["payload"]) or b"")
        return Receipt.parse(statement["predicate"]["receipts"]["version"]).note
    except (ValueError, KeyError, TypeError) as error:
        raise problem("verify_manifest", what="manifest?") from error


def verify_product(manifest: bytes, folder: Path, keys: tuple[Key, ...]) -> ProductEvidence:
    """Hold a manifest against the files beside it. `keys` are the log's: the present one and those it followed."""
    return _Chain(folder, keys).walk(manifest)


class _Chain:
    def __init__(self, folder: Path, keys: tuple[Key, ...]) -> None:
        self._folder = folder
        self._keys = keys
        self.found = ProductEvidence()

    def walk(self, manifest: bytes) -> ProductEvidence:
        if not self._link(("清单", "manifest"), lambda: self._read(manifest)):
            return self.found
        receipts = self.found.predicate["receipts"]
        entry = self._entry(("版本的回执", "receipt of the version"), receipts["version"], self._version)
        if entry is None:
            return self.found
        self.found.index = entry[0]
        self._link(("清单的签名", "signature of the manifest"), lambda: self._signed(entry[1]))
        if receipts.get("registration") is not None:
            self._entry(("登记的回执", "receipt of the registration"), receipts["registration"], self._registration)
        elif self.found.code is not None:
            self.found.links.append(Link(("登记的回执", "receipt of the registration"), ("缺少", "is missing")))
        for part in self.found.predicate["version"]["releases"]:
            name = (f"发布结果 {part['release']} 的回执", f"receipt of release {part['release']}")
            self._entry(name, receipts["releases"].get(part["release"]), partial(self._release, part))
        if self.found.predicate["version"].get("total") is not None:
            self._link(("累计由哪些发布结果相加", "which releases make up the total"), self._total)
        delivered: dict[str, Mapping[str, Any]] = {}
        for digest, receipt in receipts.get("deliveries", {}).items():
            made = self._entry((f"交付 {digest[:8]}… 的回执", f"receipt of delivery {digest[:8]}…"), receipt, self._delivery(digest))
            if made is not None:
                delivered[digest] = made[1]
        self._files(delivered)
        return self.found

    def _link(self, name: tuple[str, str], check: Callable[[], object]) -> bool:
        return link(self.found.links, name, check)

    def _read(self, manifest: bytes) -> None:
        self._payload, self._signatures, statement = opened(manifest, PREDICATE)
        self._subject = statement["subject"]
        predicate = statement["predicate"]
        self.found.predicate, made = predicate, predicate["version"]
        self.found.product, self.found.version = made["product"], made["version"]
        self.found.code, self.found.recipient = predicate["code"], predicate["recipient"]

    def _entry(
        self, name: tuple[str, str], receipt: str | None, check: Callable[[Mapping[str, Any]], None]
    ) -> tuple[int, Mapping[str, Any]] | None:
        """The entry a receipt proves, held by `check`."""
        held: list[tuple[int, Mapping[str, Any]]] = []

        def look() -> None:
            if receipt is None:
                raise _Wrong("缺少", "is missing")
            proof = Receipt.parse(receipt)
            self.found.key = signer_of(proof.note, self._keys)
            proof.verify(proof.extra, self.found.key)
            event = json.loads(proof.extra)
            check(event)
            held.append((proof.index, event))

        return held[0] if self._link(name, look) else None

    def _version(self, event: Mapping[str, Any]) -> None:
        made = self.found.predicate["version"]
        same(event["kind"], "product_version_added", "条目种类", "kind of entry")
        same((event["product"], event["version"]), (made["product"], made["version"]), "产品与版本", "product and version")
        same(event["document"], hashlib.sha256(canonical(made)).hexdigest(), "版本说明的摘要", "digest of what it was made of")
        same(tuple(event["releases"]), tuple(part["release"] for part in made["releases"]), "所含发布结果", "releases in it")

    def _signed(self, event: Mapping[str, Any]) -> None:
        """Every key that the version's entry names and that can be read here has signed, one at least."""
        signatures_hold(self._payload, self._signatures, event["vkeys"])

    def _registration(self, event: Mapping[str, Any]) -> None:
        same(event["kind"], "product_registered", "条目种类", "kind of entry")
        same((event["product"], event["code"]), (self.found.product, self.found.code), "产品与登记编码", "product and code")
        description = hashlib.sha256(canonical(self.found.predicate["description"])).hexdigest()
        same(event["document"], description, "产品说明的摘要", "digest of the description")

    def _release(self, part: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        same(event["kind"], "release_published", "条目种类", "kind of entry")
        same(event["release"], part["release"], "发布编号", "release")
        for told, field_ in _SAME:
            same(event[field_], part[told], told, told)
        same(event["licence"], self.found.predicate["version"]["licence"]["id"], "协议", "licence")
        same(event["policy_digest"], part["policy"]["digest"], "策略摘要", "digest of the policy")
        price = {name: part["loss"][name] for name in ("pico_rho", "atto_delta")}
        same(event["cost"], price, "隐私损失", "privacy loss")

    def _total(self) -> None:
        """The releases are the nodes of the tree that hold all periods so far, each once (or one release of them all), and the noise said of
        each column is theirs added up."""
        made = self.found.predicate["version"]
        total, nodes = made["total"], made["total"]["nodes"]
        ends = [total["period"]]
        while total["mechanism"] == "binary tree" and ends[0] & (ends[0] - 1):
            ends.insert(0, ends[0] & (ends[0] - 1))  # without its lowest bit
        same([node["period"] for node in nodes], ends, "节点", "nodes")
        same([node["release"] for node in nodes], [part["release"] for part in made["releases"]], "节点的发布结果", "releases of nodes")
        begins = [total["first"], *(node["before"] for node in nodes)]
        same(begins, [*(node["first"] for node in nodes), total["before"]], "各节点首尾相接的日期", "days on which nodes begin and end")
        for column in made["table"]["columns"]:
            scales = [float(node["scales"][column["name"]]) for node in nodes if column["name"] in node["scales"]]
            if scales and not math.isclose(float(column["scale"]), math.hypot(*scales), rel_tol=1e-9):
                raise _Wrong(f"{column['name']} 的噪声标度不符", f"the scale of {column['name']}'s noise is not that of its nodes")

    def _delivery(self, digest: str) -> Callable[[Mapping[str, Any]], None]:
        def check(event: Mapping[str, Any]) -> None:
            same(event["kind"], "product_delivered", "条目种类", "kind of entry")
            mine = (self.found.product, self.found.version, self.found.recipient, digest)
            told = (event["product"], event["version"], event["recipient"], event["sha256"])
            same(told, mine, "产品、版本、接收方与摘要", "product, version, recipient and digest")

        return check

    def _files(self, delivered: Mapping[str, Mapping[str, Any]]) -> None:
        """Each file the statement is about: the bytes here are those, and a table is the released one or one that was delivered."""
        tables = {file["sha256"] for file in self.found.predicate["version"]["files"].values()} | set(delivered)
        present = 0
        for subject in self._subject:
            name, digest = str(subject["name"]), subject["digest"]["sha256"]
            path = self._folder / name
            if Path(name).name != name or not path.is_file():
                self.found.links.append(Link((f"文件 {name}", f"file {name}"), absent=True))
                continue
            is_table = not name.endswith(("croissant.json", "dcat.jsonld"))
            present += is_table
            self._link((f"文件 {name}", f"file {name}"), partial(_file, path, digest, tables if is_table else None))
        if not present:
            self.found.links.append(
                Link(("数据文件", "data files"), ("清单旁没有所列的数据文件", "none of those named lies beside the manifest"))
            )


def _file(path: Path, digest: str, tables: set[str] | None) -> None:
    with path.open("rb") as file:
        here = hashlib.file_digest(file, "sha256").hexdigest()
    same(here, digest, "SHA-256", "SHA-256")
    if tables is not None and digest not in tables:
        raise _Wrong("既不是所发布的表，也没有交付记录", "it is neither the table released nor one that was delivered")
