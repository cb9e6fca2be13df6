"""Data products up to their recall: drafted and given versions by an operator, registered by the bureau, published, opened to builders.

Each step is one of `policies.product.PRODUCT_LIFE`. Who makes a product does not register it; where a source is graded important, two of the
bureau register it.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from infra.database import reading
from infra.tables import products
from jobs import directory, freezes, lookup
from jobs.acts.freezes import supervisor
from jobs.acts.people import PRINCIPAL_ROLE, known
from jobs.acts.two import second_person
from jobs.documents import description_document
from jobs.events import (
    ProductDeprecated,
    ProductDescribed,
    ProductDrafted,
    ProductEntitled,
    ProductEntitlementEnded,
    ProductPublished,
    ProductRecalled,
    ProductRegistered,
    ProductRegistrationProposed,
    ProductVersionAdded,
    ReleasePublished,
    rfc3339,
)
from jobs.lookup import ReleaseSeen
from jobs.papers import RESULTS_WITHDRAWN, withdrawn
from jobs.products import seen
from jobs.products.copies import Copies
from jobs.products.record import columns_sha256, document_of, rows_of
from jobs.products.seen import Product
from jobs.products.totals import Total
from jobs.register import Act, Register
from jobs.seals import product_signers
from jobs.staging import Staging
from policies.problem import declare
from policies.product import Description, before
from policies.quota import CHINA
from sandbox.finish.streams import schema_of

SYSTEM = "system"

PRODUCT_EXISTS = declare(
    "product_exists",
    zh=("产品编号已被使用", "编号 {product} 已有产品。", "请换一个编号；已有产品的新数据以新版本加入。"),
    en=(
        "The id is taken",
        "There is already a product {product}.",
        "Choose another id; add new data for an existing product as a new version.",
    ),
)
PRODUCT_UNKNOWN = declare(
    "product_unknown",
    zh=("没有这个产品", "没有您可以办理的产品 {product}。", "请用 yunei product list 查看编号。"),
    en=("No such product", "There is no product {product} that you may act on.", "Run yunei product list to see the ids."),
)
PRODUCT_STATE = declare(
    "product_state_conflict",
    zh=(
        "产品状态不允许此操作",
        "产品 {product} 的状态为{state:product_state}，此操作需要{needed:product_state}。",
        "请核对状态；已召回的产品不能恢复，请另建产品。",
    ),
    en=(
        "The state of the product does not allow this",
        "Product {product} is {state:product_state}; this needs {needed:product_state}.",
        "Check its state; a recalled product cannot be reinstated: make another product.",
    ),
)
PRODUCT_ENTITLEMENT_NONE = declare(
    "product_entitlement_none",
    zh=("没有可终止的取用资格", "{builder} 目前没有产品 {product} 的取用资格。", "请核对编号；已终止的取用资格无需再次终止。"),
    en=(
        "No entitlement to end",
        "{builder} has no entitlement to product {product} now.",
        "Check the ids; what has ended need not be ended again.",
    ),
)
PRODUCT_COLUMNS = declare(
    "product_columns_differ",
    zh=(
        "列与此前版本不同",
        "发布结果 {release} 的列名或类型与产品 {product} 的不同。",
        "请改用列与此前版本相同的发布结果；列有变的，请另建产品。",
    ),
    en=(
        "The columns differ from earlier versions",
        "The names or types of the columns of release {release} differ from those of product {product}.",
        "Use a release with the same columns as earlier versions; if the columns have changed, make another product.",
    ),
)
PRODUCT_RELEASE = declare(
    "product_release_unfit",
    zh=(
        "此发布结果不能加入产品",
        "发布结果 {release} 不是该运营单位在同一协议、同一场景下的结果，或重复。",
        "请选用同一协议、同一场景下的发布结果，不要重复；各版本的场景须相同。",
    ),
    en=(
        "The release cannot be added to the product",
        "Release {release} is not this operator's under the same licence and scenario, or is listed twice.",
        "Choose releases under one licence in one scenario, each once; all versions of a product have the same scenario.",
    ),
)
PRODUCT_EMPTY = declare(
    "product_without_version",
    zh=("产品还没有版本", "产品 {product} 还没有可交付的版本。", "请先用发布结果加入一个版本。"),
    en=("The product has no version", "Product {product} has no version yet that can be delivered.", "First add a version made of releases."),
)
PRODUCT_VERSION = declare(
    "product_version_unknown",
    zh=("没有这个版本", "产品 {product} 没有第 {version} 版，或该版已召回。", "请用 yunei product show 查看现有版本。"),
    en=(
        "No such version",
        "Product {product} has no version {version}, or that version was recalled.",
        "Run yunei product show to see the versions.",
    ),
)


def draft_product(register: Register, description: Description, *, by: str) -> None:
    with register.transaction() as act:
        maker = known(act, by, "active")
        if maker.role != "operator":
            raise PRINCIPAL_ROLE(principal=by, role=maker.role, needed="operator")
        if seen.product(act.connection, description.id) is not None:
            raise PRODUCT_EXISTS(product=description.id)
        document = act.attach(description_document(description))
        act.append(ProductDrafted(by=by, product=description.id, operator=by, document=document))


def describe_product(register: Register, description: Description, *, by: str) -> None:
    """Another description of a draft, by its maker. A registration that was proposed for the earlier one does not hold for this."""
    with register.transaction() as act:
        maker = known(act, by, "active")
        if maker.role != "operator":
            raise PRINCIPAL_ROLE(principal=by, role=maker.role, needed="operator")
        found = _own(seen.product(act.connection, description.id), description.id, by)
        _require(found, ProductDescribed.kind)
        if description != found.description:
            act.append(ProductDescribed(by=by, product=description.id, document=act.attach(description_document(description))))


def add_version(
    register: Register, staging: Staging, copies: Copies, product: str, releases: tuple[str, ...], *, by: str, total: Total | None = None
) -> int:
    """Make the next version of the tables of `releases`, in this order; with `total`, of their sum. Returns its number. A version of a
    published product is published at once. `by` is the product's operator, or "system" for a schedule of its."""
    now = register.clock()
    with reading(register.engine) as connection:
        found = _own(seen.product(connection, product), product, by)
        _require(found, ProductVersionAdded.kind)
    parts = [_part(register, found, release, now) for release in releases]
    _together(found, parts)
    sources = []
    for release, _ in parts:
        staged = staging.load(release.job)
        assert staged is not None  # what was published was staged
        staged.read("table.arrow")
        sources.append(staged.folder)
        if columns_sha256(schema_of(staged.folder / "table.arrow")) != (
            found.columns_sha256 or columns_sha256(schema_of(sources[0] / "table.arrow"))
        ):
            raise PRODUCT_COLUMNS(release=release.id, product=product)
    schema = schema_of(sources[0] / "table.arrow")
    rows = rows_of(parts, total)
    files = copies.build(sources, rows, total)
    number, last = len(found.versions) + 1, found.versions[-1].document_sha256 if found.versions else None
    with register.transaction() as act:
        standing = _own(seen.product(act.connection, product), product, by)
        _require(standing, ProductVersionAdded.kind)
        if len(standing.versions) + 1 != number:
            raise PRODUCT_STATE(product=product, state=f"version {len(standing.versions)}", needed=f"version {number - 1}")
        for release, _ in parts:
            freezes.require_open(act.connection, release, found.operator, "builder")
        act.append(
            ProductVersionAdded(
                by=by,
                product=product,
                version=number,
                releases=releases,
                document=act.attach(document_of(act.connection, product, number, parts, schema, files, last, total)),
                columns=columns_sha256(schema),
                table_sha256=files["arrow"].sha256,
                rows=rows,
                bytes=files["arrow"].bytes,
                vkeys=tuple(str(signer.key) for signer in product_signers(register.key_ring, register.settings)),
            )
        )
    return number


def _part(register: Register, product: Product, release: str, now: datetime) -> tuple[ReleaseSeen, ReleasePublished]:
    found = lookup.release(register, release, now)
    if found is None or found.record["operator"] != product.operator:
        raise PRODUCT_RELEASE(release=release)
    if withdrawn(register, release, None):
        raise RESULTS_WITHDRAWN()
    event = register.event(found.index).event
    if not isinstance(event, ReleasePublished):
        raise PRODUCT_RELEASE(release=release)
    return found, event


def _together(product: Product, parts: list[tuple[ReleaseSeen, ReleasePublished]]) -> None:
    """One licence, one scenario, each release once."""
    licence, scenario = parts[0][1].licence, parts[0][0].record["scenario"]
    if product.versions:
        scenario = product.versions[-1].document["scenario"]
    names = [release.id for release, _ in parts]
    for release, event in parts:
        if event.licence != licence or release.record["scenario"] != scenario or names.count(release.id) > 1:
            raise PRODUCT_RELEASE(release=release.id)


def propose_registration(register: Register, product: str, *, by: str) -> int:
    """The first of two, where a source is graded important. Returns the index the second one names."""
    with register.transaction() as act:
        supervisor(act, by)
        found = _registrable(act, product)
        return act.append(ProductRegistrationProposed(by=by, product=product, document=found.document_sha256))


def register_product(register: Register, product: str, *, proposal: int | None = None, by: str = SYSTEM) -> str:
    """Register it, and give it its code, which is returned. Of data graded important it takes the `proposal` of another person."""
    with register.transaction() as act:
        supervisor(act, by)
        found = _registrable(act, product)
        if _important(act, found) or proposal is not None:
            second_person(register, act, ProductRegistrationProposed(by=by, product=product, document=found.document_sha256), proposal)
        year = f"{datetime.fromisoformat(act.at).astimezone(CHINA):%Y}"
        count = act.connection.execute(select(func.count()).where(products.c.code.is_not(None))).scalar_one()
        code = f"YNP-{year}-{count + 1:06d}"
        act.append(ProductRegistered(by=by, product=product, code=code, document=found.document_sha256, proposal=proposal))
    return code


def _registrable(act: Act, product: str) -> Product:
    found = _own(seen.product(act.connection, product), product, SYSTEM)
    _require(found, ProductRegistered.kind)
    if found.version() is None:
        raise PRODUCT_EMPTY(product=product)
    return found


def _important(act: Act, product: Product) -> bool:
    """Whether a source, as the catalogue had it, is graded important in itself or in a column."""
    sources = {(source["dataset"], source["version"]) for version in product.versions for source in version.document["sources"]}
    for name, version in sources:
        held = directory.snapshot(act.connection, name, version)
        if held is None or "important" in {held.dataset.grade, *(held.dataset.grade_of(column) for column in held.dataset.columns)}:
            return True
    return False


def publish_product(register: Register, product: str, *, by: str) -> None:
    """From now on builders see it; those entitled may fetch it."""
    with register.transaction() as act:
        found = _own(seen.product(act.connection, product), product, by)
        _require(found, ProductPublished.kind)
        if found.version() is None:
            raise PRODUCT_EMPTY(product=product)
        act.append(ProductPublished(by=by, product=product))


def deprecate_product(register: Register, product: str, *, reason: str, successor: str | None = None, by: str) -> None:
    with register.transaction() as act:
        _require(_theirs(act, product, by), ProductDeprecated.kind)
        if successor is not None and (successor == product or seen.product(act.connection, successor) is None):
            raise PRODUCT_UNKNOWN(product=successor)
        act.append(ProductDeprecated(by=by, product=product, successor=successor, reason=reason))


def recall_product(register: Register, product: str, *, reason: str, version: int | None = None, by: str = SYSTEM) -> None:
    """Stop delivering it, or one version, from this transaction on. One person suffices: its operator or a supervisor."""
    with register.transaction() as act:
        found = _theirs(act, product, by)
        if version is None:
            _require(found, ProductRecalled.kind)
        elif (held := found.version(version)) is None or held.state != "current":
            raise PRODUCT_VERSION(product=product, version=version)
        act.append(ProductRecalled(by=by, product=product, version=version, reason=reason))


def recall_of_licence(act: Act, licence: str) -> None:
    """What was made under a licence that ended is handed to nobody any more, as was agreed: each version made under it is recalled, and a
    product without any other as a whole."""
    for found in seen.all_products(act.connection):
        made = [version.number for version in found.versions if version.licence == licence and version.state == "current"]
        left = [version for version in found.versions if version.licence != licence and version.state == "current"]
        reason = f"licence {licence} came to its end"
        if made and not left and found.state in before(ProductRecalled.kind):
            act.append(ProductRecalled(by=SYSTEM, product=found.id, reason=reason))
            continue
        for number in made:
            act.append(ProductRecalled(by=SYSTEM, product=found.id, version=number, reason=reason))


def entitle_builder(
    register: Register, product: str, builder: str, *, until: datetime | None = None, deliveries_a_month: int | None = None, by: str
) -> None:
    """Let a builder fetch it: before `until`, so many times a month. Again: with other terms."""
    with register.transaction() as act:
        _require(_theirs(act, product, by), ProductEntitled.kind)
        if (who := known(act, builder, "active")).role != "builder":
            raise PRINCIPAL_ROLE(principal=builder, role=who.role, needed="builder")
        term = None if until is None else rfc3339(until)
        act.append(ProductEntitled(by=by, product=product, builder=builder, until=term, deliveries_a_month=deliveries_a_month))


def end_entitlement(register: Register, product: str, builder: str, *, reason: str, by: str) -> None:
    with register.transaction() as act:
        _require(_theirs(act, product, by), ProductEntitlementEnded.kind)
        held = seen.entitlement(act.connection, product, builder)
        if held is None or held.state != "open":
            raise PRODUCT_ENTITLEMENT_NONE(product=product, builder=builder)
        act.append(ProductEntitlementEnded(by=by, product=product, builder=builder, reason=reason))


def _theirs(act: Act, product: str, by: str) -> Product:
    """The product, when it is this operator's, or a supervisor acts."""
    who = None if by == SYSTEM else known(act, by, "active")
    return _own(seen.product(act.connection, product), product, SYSTEM if who is None or who.role == "supervisor" else by)


def _own(found: Product | None, product: str, by: str) -> Product:
    if found is None or by not in (SYSTEM, found.operator):
        raise PRODUCT_UNKNOWN(product=product)
    return found


def _require(found: Product, kind: str) -> None:
    if found.state not in before(kind):
        raise PRODUCT_STATE(product=found.id, state=found.state, needed="/".join(before(kind)))
