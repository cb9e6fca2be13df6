"""Data products over HTTP."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from api.schemas.base import Closed, example
from policies.catalogue import Identifier, Title
from policies.product import Description, ProductId, ProductState
from policies.product.description import Said, Words
from sandbox.finish.streams import Form

DESCRIPTION = {
    "id": "visits-by-city",
    "title": {"zh": "各市就诊人次", "en": "Visits by city"},
    "about": {"zh": "各市就诊人次，带误差半宽。", "en": "Visits by city, with half-widths of the error."},
    "terms": {"zh": "限健康规划使用。", "en": "For health planning."},
    "keywords": ["健康", "health"],
    "renewed": "month",
    "contact": "data@example.cn",
}
_TIME = "2026-11-22T08:00:00.000000Z"


class ProductDraft(Description):
    """What its maker says of a product. `terms` bind builders beside the licence's scenario."""

    model_config = ConfigDict(json_schema_extra=example(**DESCRIPTION))


class ProductSaid(Said):
    """What its maker says of a draft from now on, whole."""

    model_config = ConfigDict(json_schema_extra=example(**{name: value for name, value in DESCRIPTION.items() if name != "id"}))


class ReleasesGiven(Closed):
    """Releases of one licence and scenario, whose tables follow each other."""

    model_config = ConfigDict(json_schema_extra=example(releases=["rel-abc"]))

    releases: tuple[Identifier, ...] = Field(min_length=1, max_length=64)


class RegistrationGiven(Closed):
    """`proposal`: the entry in which another supervisor proposed it; needed where a source is graded important."""

    model_config = ConfigDict(json_schema_extra=example(proposal=140))

    proposal: int | None = Field(default=None, ge=0, le=2**53)


class DeprecationGiven(Closed):
    model_config = ConfigDict(json_schema_extra=example(reason="由新产品替代", successor="visits-by-district"))

    reason: str = Field(min_length=1, max_length=2000, description="写入日志 · goes into the log")
    successor: ProductId | None = None


class RecallGiven(Closed):
    """`version` null: the product, for good."""

    model_config = ConfigDict(json_schema_extra=example(reason="来源数据有误", version=2))

    reason: str = Field(min_length=1, max_length=2000, description="写入日志 · goes into the log")
    version: int | None = Field(default=None, ge=1, le=2**31 - 1)


class EntitlementGiven(Closed):
    """`until`, `deliveries_a_month` null: no bound."""

    model_config = ConfigDict(json_schema_extra=example(builder="builder-1", until="2027-01-01T00:00:00+08:00", deliveries_a_month=30))

    builder: Identifier
    until: AwareDatetime | None = None
    deliveries_a_month: int | None = Field(default=None, ge=1, le=10**6)


class EntitlementEnd(Closed):
    model_config = ConfigDict(json_schema_extra=example(builder="builder-1", reason="合同终止"))

    builder: Identifier
    reason: str = Field(min_length=1, max_length=2000, description="写入日志 · goes into the log")


class EntitlementView(Closed):
    product: str
    builder: str
    state: Literal["open", "ended"]
    until: str | None
    deliveries_a_month: int | None
    entitled_by: str
    changed_at: str


class EntitlementList(Closed):
    entitlements: list[EntitlementView]


class ProductColumn(Closed):
    """A column as it comes in Arrow. `half_width_column` holds its 95 % half-width; `mechanism` the noise."""

    name: str
    type: str
    kind: str | None = None
    mechanism: str | None = None
    scale: Any = None
    low: Any = None
    high: Any = None
    half_width_column: str | None = None


class ProductFile(Closed):
    """The table as released. The copy delivered may carry its recipient's mark: then its digest is in the delivery."""

    format: Form
    bytes: str
    sha256: str


class ProductSource(Closed):
    """A source and its date of acquisition, which every product names."""

    dataset: str
    version: int
    digest: str
    registration_no: str
    source_body: Title
    acquired_on: str


class ProductVersionView(Closed):
    version: int
    state: Literal["current", "recalled"]
    added_at: str
    log_index: int
    releases: list[str]
    licence: str
    scenario: str
    rows: int
    columns: list[ProductColumn]
    files: list[ProductFile]
    sources: list[ProductSource]
    reason: str | None


class PriceOfDelivery(Closed):
    """What one delivery costs its operator under the licence's tariff, in yuan; null: nothing, or no tariff."""

    yuan: str
    free: bool


class QualityView(Closed):
    """Found in the released table alone: it costs nothing. Per column with half-widths: the median of half-width over value, in per cent."""

    column: str
    relative_half_width_percent: str | None
    without_value: int


class FreshnessView(Closed):
    """`acquired_on`: the oldest source's date of acquisition. `renewed`: how often a version may be expected."""

    version_added_at: str | None
    acquired_on: str | None
    renewed: str


class ProductView(Closed):
    model_config = ConfigDict(
        json_schema_extra=example(
            id="visits-by-city", operator="op-health", state="published", code="YNP-2026-000001", title=DESCRIPTION["title"],
            about=DESCRIPTION["about"], terms=DESCRIPTION["terms"], keywords=["健康"], renewed="month", contact="", successor=None,
            reason=None, drafted_at=_TIME, changed_at=_TIME, registered_index=140, entitled=True,
            freshness={"version_added_at": _TIME, "acquired_on": "2026-01-01", "renewed": "month"},
            price={"yuan": "0.50", "free": False}, quality=[], versions=[],
        )
    )  # fmt: skip

    id: str
    operator: str
    state: ProductState
    code: str | None
    title: Title
    about: Words
    terms: Words
    keywords: list[str]
    renewed: str
    contact: str
    successor: str | None
    reason: str | None
    drafted_at: str
    changed_at: str
    registered_index: int | None
    entitled: bool | None = Field(default=None, description="只对数商 · for builders alone")
    freshness: FreshnessView
    price: PriceOfDelivery | None
    quality: list[QualityView]
    versions: list[ProductVersionView]


class ProductList(Closed):
    products: list[ProductView]
    next: str | None = Field(default=None, description="交给下一页的 `after` · give it to the next page as `after`")


class ProductPreview(Closed):
    """The first rows of the released table: at most ten, at most a tenth of it."""

    model_config = ConfigDict(json_schema_extra=example(version=1, columns=[], rows=[{"city": "太原", "n": 10}], of=100))

    version: int
    columns: list[ProductColumn]
    rows: list[dict[str, Any]]
    of: int


class DeliveryAsked(Closed):
    """`version` null: the newest that stands."""

    model_config = ConfigDict(json_schema_extra=example(format="parquet", version=None))

    format: Form = "parquet"
    version: int | None = Field(default=None, ge=1, le=2**31 - 1)


class DeliveryView(Closed):
    """One delivery, by its index in the log. `url`: a link good until `expires_at`, to be followed without a key; ranges and HEAD work."""

    model_config = ConfigDict(
        json_schema_extra=example(
            log_index=150, product="visits-by-city", version=1, recipient="builder-1", format="parquet", sha256="ab" * 32, bytes="9000",
            delivered_at=_TIME, url="/v1/files/AAAA/visits-by-city-v1.parquet", expires_at="2026-11-22T08:15:00Z",
        )
    )  # fmt: skip

    log_index: int
    product: str
    version: int
    recipient: str
    format: Form
    sha256: str
    bytes: str | None = None
    delivered_at: str
    url: str | None = None
    expires_at: AwareDatetime | None = None


class DeliveryList(Closed):
    deliveries: list[DeliveryView]


class EnvelopeSignature(Closed):
    keyid: str
    sig: str


class Envelope(Closed):
    """A DSSE envelope: `payload` is an in-toto Statement in base64."""

    model_config = ConfigDict(
        json_schema_extra=example(
            payloadType="application/vnd.in-toto+json", payload="e30=", signatures=[{"keyid": "yunei.local/release/products+00", "sig": "AA=="}]
        )
    )

    payloadType: str
    payload: str
    signatures: list[EnvelopeSignature]
