"""yunei product …: make, register, find, fetch and verify data products."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from yunei.agreements import read_document
from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.problem import problem
from yunei.products import ProductFormat
from yunei.words import say

_ID = typer.Argument(metavar="PRODUCT", help=say("产品编号", "id of the product"))
_SHAPE = typer.Option("--format", help=say("输出格式", "output"))
_REASON = typer.Option("--reason", help=say("理由，写入日志", "reason; goes into the log"))
_VERSION = typer.Option("--version", min=1, help=say("版本，默认最新", "version; the newest by default"))
Product = Annotated[str, _ID]
Output = Annotated[Shape, _SHAPE]
Version = Annotated[int | None, _VERSION]
_DAYS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


def _words(pair: Mapping[str, str]) -> str:
    return pair[say.language]


def _told(product: Mapping[str, Any]) -> None:
    if session.shape == "json":
        output.as_json(product)
        return
    price, fresh = product["price"], product["freshness"]
    standing = next((each for each in product["versions"] if each["state"] == "current"), None)
    output.facts(
        [
            (say("产品", "product"), f"{product['id']}  {_words(product['title'])}"),
            (say("登记编码", "code"), product["code"]),
            (say("状态", "state"), product["state"]),
            (say("原因", "reason"), product["reason"]),
            (say("替代产品", "successor"), product["successor"]),
            (say("运营单位", "operator"), product["operator"]),
            (say("说明", "about"), _words(product["about"])),
            (say("使用条件", "terms"), _words(product["terms"])),
            (say("可取用", "entitled"), {None: None, True: say("是", "yes"), False: say("否", "no")}[product["entitled"]]),
            (say("每次交付（元）", "a delivery (yuan)"), price and (say("无偿", "free") if price["free"] else price["yuan"])),
            (say("更新", "renewed"), f"{fresh['renewed']}  {fresh['version_added_at'] or ''}"),
            *(
                (say("数据来源", "source"), f"{source['dataset']} v{source['version']}: {_words(source['source_body'])}, "
                 f"{say('获取于', 'acquired')} {source['acquired_on']} ({source['registration_no']})")
                for source in (standing or {"sources": ()})["sources"]
            ),
            *(
                (say("误差", "error"), f"{each['column']}: ± {each['relative_half_width_percent']} %")
                for each in product["quality"] if each["relative_half_width_percent"] is not None
            ),
        ]
    )  # fmt: skip
    output.line()
    output.table(
        (say("版本", "version"), say("状态", "state"), say("加入时间", "added"), say("行数", "rows"), say("日志序号", "log index")),
        [(each["version"], each["state"], each["added_at"][:19] + "Z", each["rows"], each["log_index"]) for each in product["versions"]],
        right=(0, 3, 4),
        csv_headers=("version", "state", "added_at", "rows", "log_index"),
    )


def list_(
    find: Annotated[str, typer.Option("--find", help=say("检索词，中英文均可", "search words, Chinese or English"))] = "",
    shape: Output = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.products(find)
    if shape == "json":
        output.as_json(found)
        return
    output.table(
        (say("产品", "product"), say("名称", "title"), say("状态", "state"), say("版本", "versions"), say("登记编码", "code")),
        [(each["id"], _words(each["title"]), each["state"], len(each["versions"]), each["code"] or "") for each in found],
        right=(3,),
        csv_headers=("product", "title", "state", "versions", "code"),
    )


def show(product: Product, shape: Output = "table") -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.product(product))


def preview(product: Product, version: Version = None, shape: Output = "table") -> None:
    session.shape = shape
    with session.client() as client:
        found = client.preview_product(product, version=version)
    if shape == "json":
        output.as_json(found)
        return
    names = [column["name"] for column in found["columns"]]
    output.table(names, [[row[name] for name in names] for row in found["rows"]], csv_headers=names)
    output.note(say(f"共 {found['of']} 行，此处 {len(found['rows'])} 行", f"{len(found['rows'])} of {found['of']} rows"))


def draft(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help=say("产品说明（TOML）", "description (TOML)"))],
    shape: Output = "table",
) -> None:
    session.shape = shape
    description = _description(file, "product draft")
    with session.client() as client:
        _told(client.draft_product(description))


def describe(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help=say("产品说明（TOML）", "description (TOML)"))],
    shape: Output = "table",
) -> None:
    session.shape = shape
    description = _description(file, "product describe")
    with session.client() as client:
        _told(client.describe_product(description))


def _description(file: Path, verb: str) -> dict[str, Any]:
    try:
        return dict(read_document(file))
    except ValueError as error:
        raise problem("client_bad_request", what=f"{file}: {error}", verb=verb) from error


def add(
    product: Product,
    releases: Annotated[list[str], typer.Argument(metavar="RELEASE...", help=say("发布编号，按顺序", "releases, in order"))],
    shape: Output = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.add_product_version(product, releases))


def propose(product: Product, shape: Output = "table") -> None:
    session.shape = shape
    with session.client() as client:
        proposal = client.propose_product(product)
    if shape == "json":
        output.as_json({"proposal": proposal})
    else:
        words = f"已提出，第 {proposal} 条；请另一人登记：", f"proposed in entry {proposal}; another supervisor has to register it:"
        output.line(f"{say(*words)} yunei product register {product} --proposal {proposal}")


def register(
    product: Product,
    proposal: Annotated[int | None, typer.Option("--proposal", help=say("第一人提议的序号", "entry of the first person's proposal"))] = None,
    shape: Output = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.register_product(product, proposal=proposal))


def publish(product: Product, shape: Output = "table") -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.publish_product(product))


def deprecate(
    product: Product,
    reason: Annotated[str, _REASON],
    successor: Annotated[str | None, typer.Option("--successor", help=say("替代产品", "the product to use instead"))] = None,
    shape: Output = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.deprecate_product(product, reason, successor=successor))


def recall(product: Product, reason: Annotated[str, _REASON], version: Version = None, shape: Output = "table") -> None:
    session.shape = shape
    with session.client() as client:
        _told(client.recall_product(product, reason, version=version))


def entitle(
    product: Product,
    builder: Annotated[str, typer.Argument(metavar="BUILDER", help=say("数商", "the builder"))],
    until: Annotated[datetime | None, typer.Option("--until", formats=_DAYS, help=say("至（不含）", "until before"))] = None,
    monthly: Annotated[int | None, typer.Option("--monthly", min=1, help=say("每月至多交付几次", "deliveries a month at most"))] = None,
    shape: Output = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _entitled(client.entitle_builder(product, builder, until=until and until.astimezone(), deliveries_a_month=monthly))


def disentitle(
    product: Product,
    builder: Annotated[str, typer.Argument(metavar="BUILDER", help=say("数商", "the builder"))],
    reason: Annotated[str, _REASON],
    shape: Output = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _entitled(client.end_entitlement(product, builder, reason))


def _entitled(found: list[Mapping[str, Any]]) -> None:
    if session.shape == "json":
        output.as_json(found)
        return
    output.table(
        (say("数商", "builder"), say("状态", "state"), say("至", "until"), say("每月交付", "a month")),
        [(each["builder"], each["state"], each["until"] or "", each["deliveries_a_month"] or "") for each in found],
        csv_headers=("builder", "state", "until", "deliveries_a_month"),
    )


def fetch(
    product: Product,
    to: Annotated[Path, typer.Option("--output", "-o", file_okay=False, help=say("保存到哪个文件夹", "into which folder"))] = Path("."),
    format: Annotated[
        ProductFormat, typer.Option("--format", help=say("文件格式；excel 为带 BOM 的 CSV", "file format; excel is CSV with a BOM"))
    ] = "parquet",
    version: Version = None,
    evidence: Annotated[
        bool, typer.Option("--evidence/--no-evidence", help=say("同时保存清单与元数据", "save manifest and metadata beside it"))
    ] = True,
) -> None:
    try:
        with session.client() as client:
            target = client.fetch_product(product, to, format, version=version, evidence=evidence)
    except OSError as error:
        raise problem("client_bad_request", what=f"{to}: {error.strerror}", verb="product fetch") from error
    beside = sorted(target.parent.glob(f"{target.name.split('.')[0]}.*")) if evidence else [target]
    for path in (target, *(path for path in beside if path != target)):
        output.line(str(path))


def verify(
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST",
            exists=True,
            dir_okay=False,
            help=say("清单（.intoto.json），数据文件在旁", "the manifest (.intoto.json), with its data files beside it"),
        ),
    ],
    key: Annotated[
        str | None, typer.Option("--key", metavar="VKEY", help=say("日志公钥；默认用记住的", "the log's key; by default the remembered one"))
    ] = None,
    shape: Output = "table",
) -> None:
    from yunei.cli.log import remembered_key
    from yunei.manifest import key_name_of, verify_product
    from yunei.transparency import Key

    session.shape = shape
    content = manifest.read_bytes()
    trusted = Key.parse(key) if key is not None else remembered_key(key_name_of(content), "product verify")
    found = verify_product(content, manifest.parent, (trusted,))
    if shape == "table":
        for link in found.links:
            mark = "–" if link.absent else "✓" if link.wrong is None else "✗"
            told = say("不在，未核对", "not present, not checked") if link.absent else say(*link.wrong) if link.wrong else ""
            output.line(f"{mark} {say(*link.name)}{': ' if told else ''}{told}")
        output.line()
    found.require()
    pairs: list[tuple[str, str, object]] = [
        ("product", say("产品", "product"), found.product),
        ("version", say("版本", "version"), found.version),
        ("code", say("登记编码", "code"), found.code),
        ("recipient", say("接收方", "recipient"), found.recipient),
        ("index", say("日志序号", "log index"), found.index),
        ("key", say("日志公钥", "log key"), str(found.key)),
    ]
    output.verified(pairs, shape)


def link(
    product: Product,
    format: Annotated[ProductFormat, typer.Option("--format", help=say("文件格式", "file format"))] = "parquet",
    version: Version = None,
) -> None:
    with session.client() as client:
        made = client.deliver_product(product, format, version=version)
    output.line(made["url"])
    output.note(say(f"有效至 {made['expires_at']}", f"valid until {made['expires_at']}"))


def deliveries(
    product: Annotated[str | None, typer.Option("--product", help=say("只要这个产品的", "only for this product"))] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help=say("最多显示几次", "show at most this many"))] = 20,
    shape: Output = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.deliveries(product=product, limit=limit)
    if shape == "json":
        output.as_json(found)
        return
    keys = ("log_index", "delivered_at", "product", "version", "recipient", "format", "sha256")
    headers = (
        say("日志序号", "log index"), say("时间", "time"), say("产品", "product"), say("版本", "version"), say("数商", "builder"),
        say("格式", "format"), "SHA-256",
    )  # fmt: skip
    rows = [[each[key] for key in keys] for each in found]
    output.table(headers, rows if shape == "csv" else [[*row[:6], row[6][:12] + "…"] for row in rows], right=(0, 3), csv_headers=keys)


def profile(
    to: Annotated[Path, typer.Option("--output", "-o", help=say("保存到哪里；- 表示标准输出", "where to; - is standard output"))] = Path(
        "yunei.share"
    ),
) -> None:
    from yunei.config import Config

    key = session.key or Config.load().key
    if key is None:
        raise problem("client_bad_request", what=say("需要密钥", "a key is needed"), verb="product profile")
    with session.client() as client:
        text = client.sharing_profile(key)
    if str(to) == "-":
        sys.stdout.write(text)
        return
    to.touch(mode=0o600)
    to.chmod(0o600)
    to.write_text(text, encoding="utf-8")
    output.line(str(to))
