"""A product on its way from a release to a builder, as tests of several kinds need one."""

from __future__ import annotations

from jobs import acts
from jobs.products.deliveries import Delivery, open_delivery
from jobs.products.store import Copy
from policies.product import Description
from sandbox.finish.streams import Form
from tests.bureau import SQL, Bureau, order
from tests.unit.jobs.test_release import ended

ID = "visits-by-city"
DESCRIPTION = Description.model_validate(
    {
        "id": ID,
        "title": {"zh": "各市就诊人次", "en": "Visits by city"},
        "about": {"zh": "各市人次，附误差半宽。", "en": "Visits by city, with half-widths."},
        "terms": {"zh": "限健康规划使用。", "en": "For health planning."},
        "keywords": ("健康", "health"),
        "renewed": "month",
    }
)


def released(bureau: Bureau, sql: str = SQL, **changes: object) -> str:
    """A release of operator-1's."""
    seen = ended(bureau, order(sql, **changes))  # type: ignore[arg-type]  # fields of an order
    assert seen.release is not None
    return seen.release


def version_of(bureau: Bureau, *releases: str, product: str = ID, by: str = "operator-1") -> int:
    services = bureau.services
    return acts.add_version(services.register, services.staging, services.copies, product, releases, by=by)


def drafted(bureau: Bureau, *releases: str, **changes: object) -> None:
    acts.draft_product(bureau.services.register, DESCRIPTION.model_copy(update=changes), by="operator-1")
    if releases:
        version_of(bureau, *releases, product=str(changes.get("id", ID)))


def on_the_shelf(bureau: Bureau, *releases: str, **terms: object) -> None:
    """Registered, published, and `builder` entitled to it."""
    register = bureau.services.register
    drafted(bureau, *(releases or (released(bureau),)))
    acts.register_product(register, ID, by="supervisor")
    acts.publish_product(register, ID, by="operator-1")
    acts.entitle_builder(register, ID, "builder", by="operator-1", **terms)  # type: ignore[arg-type]  # until, deliveries_a_month


def taken(
    bureau: Bureau, form: Form = "parquet", *, version: int | None = None, by: str = "builder", again_s: float = 0
) -> tuple[Delivery, Copy]:
    services = bureau.services
    return open_delivery(services.register, services.copies, ID, version, by, form, again_s=again_s)
