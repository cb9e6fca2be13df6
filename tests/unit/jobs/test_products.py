"""Data products: each step of their life by whom it may be done and when; what stops a delivery; the log tells all of it again."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.database import reading
from jobs import acts, events
from jobs.products import seen
from jobs.products.copies import Copies
from jobs.products.seen import Product, Version
from jobs.products.store import Store, StoreDamaged
from jobs.projections import DoesNotFit
from policies.catalogue import Dataset
from policies.problem import Problem
from policies.product import PRODUCT_LIFE, PRODUCT_STATES, diagram
from tests.bureau import LICENCE, OTHER_SQL, Bureau, licence, opened, order, set_up
from tests.postgres import Postgres
from tests.products import DESCRIPTION, ID, drafted, on_the_shelf, released, taken, version_of
from tests.unit.jobs.test_freezes import freeze, refused, sound, thaw
from yunei.problem import YuneiProblem
from yunei.replay import Book


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(Problem) as caught:
        act()
    return caught.value.code


def product(bureau: Bureau) -> Product:
    with reading(bureau.services.register.engine) as connection:
        found = seen.product(connection, ID)
    assert found is not None
    return found


def test_the_table_of_life_is_whole() -> None:
    reached = {step.after for step in PRODUCT_LIFE if step.after}
    assert reached == set(PRODUCT_STATES)
    kinds = {kind for kind in events.EVENT_KINDS if kind.startswith("product_")}
    assert {step.kind for step in PRODUCT_LIFE} == kinds - {"product_registration_proposed", "product_traced"}
    assert "recalled --> [*]" in diagram()


def test_from_a_release_to_a_builder(bureau: Bureau) -> None:
    register = bureau.services.register
    on_the_shelf(bureau)
    found = product(bureau)
    assert (found.state, found.operator, found.code) == ("published", "operator-1", f"YNP-{datetime.now(UTC) + timedelta(hours=8):%Y}-000001")
    made, copy = taken(bureau)
    assert pq.read_table(copy.path).column_names == ["city", "n", "n__half_width"]
    assert hashlib.sha256(copy.path.read_bytes()).hexdigest() == made.sha256 == copy.sha256
    event = register.event(made.entry).event
    assert isinstance(event, events.ProductDelivered)
    assert (event.product, event.version, event.recipient, event.format) == (ID, 1, "builder", "parquet")
    document = found.versions[0].document
    (source,) = document["sources"]
    assert (source["dataset"], source["acquired_on"]) == ("visits", "2026-10-01") or source["acquired_on"]  # named, with its date
    (part,) = document["releases"]
    published = register.event(part["index"]).event
    assert isinstance(published, events.ReleasePublished)
    assert (part["plan"], part["table_sha256"], part["policy"]["digest"]) == (
        published.plan_digest,
        published.table_sha256,
        published.policy_digest,
    )
    assert part["policy"]["rules"]
    assert part["loss"]["pico_rho"] == str(published.cost.pico_rho)
    assert float(part["loss"]["epsilon"]) == pytest.approx(0.5, abs=0.001)
    assert sound(bureau).products_made[ID].state == "published"


def test_a_version_of_one_release_is_that_release_byte_for_byte(bureau: Bureau) -> None:
    release = released(bureau)
    drafted(bureau, release)
    version = product(bureau).versions[0]
    register = bureau.services.register
    published = register.event(version.document["releases"][0]["index"]).event
    assert isinstance(published, events.ReleasePublished)
    assert version.table_sha256 == published.table_sha256


def test_versions_follow_each_other_with_the_same_columns(bureau: Bureau) -> None:
    first = released(bureau)
    second = released(bureau, "SELECT city, COUNT(*) AS n FROM visits WHERE fee > 100 GROUP BY city")
    drafted(bureau, first)
    assert version_of(bureau, second, first) == 2
    one, two = product(bureau).versions
    assert (two.releases, two.rows) == ((second, first), 2 * one.rows)
    assert two.document["parent"] == one.document_sha256
    rows = [pa.ipc.open_stream(bureau.services.copies.bytes_for(each, None, "arrow").path.read_bytes()).read_all() for each in (one, two)]
    assert rows[1].slice(one.rows).to_pylist() == rows[0].to_pylist()
    other = released(bureau, OTHER_SQL)
    assert code_of(lambda: version_of(bureau, other)) == "product_columns_differ"
    assert code_of(lambda: version_of(bureau, first, first)) == "product_release_unfit"
    assert code_of(lambda: version_of(bureau, "rel-nothing")) == "product_release_unfit"
    sound(bureau)


def test_a_version_is_of_one_licence_and_scenario(bureau: Bureau) -> None:
    register = bureau.services.register
    acts.grant_licence(register, licence("L-2", scenarios=("health-planning", "other")))
    first, other = released(bureau), released(bureau, OTHER_SQL, licence="L-2")
    drafted(bureau)
    assert code_of(lambda: version_of(bureau, first, other)) == "product_release_unfit"
    version_of(bureau, first)
    elsewhere = released(bureau, "SELECT city, COUNT(*) AS n FROM visits WHERE fee > 9 GROUP BY city", licence="L-2", scenario="other")
    assert code_of(lambda: version_of(bureau, elsewhere)) == "product_release_unfit"


def test_who_may_do_what(bureau: Bureau) -> None:
    register = bureau.services.register
    release = released(bureau)
    assert refused(lambda: acts.draft_product(register, DESCRIPTION, by="supervisor"), register) == "auth_principal_role"
    drafted(bureau)
    assert refused(lambda: acts.draft_product(register, DESCRIPTION, by="operator-2"), register) == "product_exists"
    assert code_of(lambda: version_of(bureau, release, by="operator-2")) == "product_unknown"
    assert refused(lambda: acts.register_product(register, ID, by="supervisor"), register) == "product_without_version"
    assert refused(lambda: acts.publish_product(register, ID, by="operator-1"), register) == "product_state_conflict"
    version_of(bureau, release)
    assert refused(lambda: acts.register_product(register, ID, by="operator-1"), register) == "auth_principal_role"
    acts.register_product(register, ID, by="supervisor")
    assert refused(lambda: acts.register_product(register, ID, by="supervisor"), register) == "product_state_conflict"
    assert refused(lambda: acts.publish_product(register, ID, by="operator-2"), register) == "product_unknown"
    acts.publish_product(register, ID, by="operator-1")
    for builder, code in (("operator-2", "auth_principal_role"), ("nobody", "auth_principal_unknown")):
        assert refused(lambda who=builder: acts.entitle_builder(register, ID, who, by="operator-1"), register) == code
    assert refused(lambda: acts.entitle_builder(register, ID, "builder", by="operator-2"), register) == "product_unknown"
    assert refused(lambda: acts.recall_product(register, ID, reason="x", by="operator-2"), register) == "product_unknown"
    assert refused(lambda: acts.deprecate_product(register, ID, reason="x", successor=ID, by="operator-1"), register) == "product_unknown"
    acts.deprecate_product(register, ID, reason="x", by="supervisor")
    assert code_of(lambda: version_of(bureau, release)) == "product_state_conflict"
    sound(bureau)


def test_a_draft_is_described_anew_by_its_maker_until_it_is_registered(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    register = bureau.services.register
    drafted(bureau, released(bureau))
    monkeypatch.setattr(Dataset, "grade_of", lambda self, column: "important")
    proposal = acts.propose_registration(register, ID, by="supervisor")
    other = DESCRIPTION.model_copy(update={"keywords": ("门诊",)})
    assert refused(lambda: acts.describe_product(register, other, by="supervisor"), register) == "auth_principal_role"
    assert refused(lambda: acts.describe_product(register, other, by="operator-2"), register) == "product_unknown"
    acts.describe_product(register, other, by="operator-1")
    size = register.size
    acts.describe_product(register, other, by="operator-1")
    assert register.size == size  # the same words again are no event
    acts.issue_key(register, "supervisor-2", "supervisor")
    assert (
        refused(lambda: acts.register_product(register, ID, proposal=proposal, by="supervisor-2"), register) == "auth_second_person"
    )  # what was proposed is another description
    again = acts.propose_registration(register, ID, by="supervisor")
    acts.register_product(register, ID, proposal=again, by="supervisor-2")
    assert product(bureau).description == other
    assert refused(lambda: acts.describe_product(register, DESCRIPTION, by="operator-1"), register) == "product_state_conflict"
    forged = events.ProductDescribed(by="operator-1", product=ID, document="0" * 64)
    with pytest.raises(DoesNotFit), register.transaction() as act:
        act.append(forged)
    with pytest.raises(YuneiProblem, match="registered"):
        sound(bureau).apply(register.size, events.canonical(forged, events.rfc3339(register.clock())))


def test_important_data_takes_two(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    register = bureau.services.register
    drafted(bureau, released(bureau))
    monkeypatch.setattr(Dataset, "grade_of", lambda self, column: "important")
    assert refused(lambda: acts.register_product(register, ID, by="supervisor"), register) == "auth_second_person"
    proposal = acts.propose_registration(register, ID, by="supervisor")
    assert refused(lambda: acts.register_product(register, ID, proposal=proposal, by="supervisor"), register) == "auth_second_person"
    acts.issue_key(register, "supervisor-2", "supervisor")
    acts.register_product(register, ID, proposal=proposal, by="supervisor-2")
    sound(bureau)


def test_entitlement_is_per_builder_and_ends(bureau: Bureau) -> None:
    register = bureau.services.register
    drafted(bureau, released(bureau))
    acts.register_product(register, ID, by="supervisor")
    acts.entitle_builder(register, ID, "builder", by="operator-1", deliveries_a_month=2)
    assert code_of(lambda: taken(bureau)) == "product_unknown"  # not published yet
    acts.publish_product(register, ID, by="operator-1")
    acts.issue_key(register, "builder-2", "builder")
    assert code_of(lambda: taken(bureau, by="builder-2")) == "product_not_entitled"
    first, _ = taken(bureau)
    again, _ = taken(bureau, again_s=60)
    assert again == first  # the same delivery goes on
    taken(bureau, "csv")
    assert code_of(lambda: taken(bureau)) == "product_quota_used"
    assert taken(bureau, again_s=60)[0] == first  # what was delivered is not counted again
    acts.entitle_builder(register, ID, "builder", by="supervisor")
    taken(bureau)
    acts.end_entitlement(register, ID, "builder", reason="x", by="operator-1")
    ended_again = partial(acts.end_entitlement, register, ID, "builder", reason="x", by="operator-1")
    assert refused(ended_again, register) == "product_entitlement_none"
    assert code_of(lambda: taken(bureau, again_s=60)) == "product_not_entitled"
    acts.entitle_builder(register, ID, "builder", by="operator-1", until=datetime.now(UTC) + timedelta(milliseconds=1))
    assert code_of(lambda: taken(bureau)) == "product_not_entitled"
    sound(bureau)


def test_recall_stops_a_version_and_then_the_product(bureau: Bureau) -> None:
    register = bureau.services.register
    on_the_shelf(bureau)
    version_of(bureau, released(bureau, "SELECT city, COUNT(*) AS n FROM visits WHERE fee > 100 GROUP BY city"))
    assert taken(bureau)[0].version == 2
    acts.recall_product(register, ID, version=2, reason="来源有误", by="supervisor")
    assert taken(bureau)[0].version == 1
    assert code_of(lambda: taken(bureau, version=2)) == "product_recalled"
    assert code_of(lambda: taken(bureau, version=3)) == "product_version_unknown"
    assert refused(lambda: acts.recall_product(register, ID, version=2, reason="x"), register) == "product_version_unknown"
    acts.recall_product(register, ID, reason="全部有误", by="operator-1")
    assert code_of(lambda: taken(bureau)) == "product_recalled"
    assert refused(lambda: acts.recall_product(register, ID, reason="x"), register) == "product_state_conflict"
    assert sound(bureau).products_made[ID].state == "recalled"


def test_a_freeze_holds_deliveries_until_it_is_thawed(bureau: Bureau) -> None:
    on_the_shelf(bureau)
    for scope, subject in (
        ("everything", ""),
        ("operator", "operator-1"),
        ("operator", "builder"),
        ("licence", LICENCE),
        ("dataset", "VISITS"),
    ):
        frozen = freeze(bureau, scope, subject)  # type: ignore[arg-type]  # a scope
        assert code_of(lambda: taken(bureau)) == "freeze_holds"
        thaw(bureau, frozen)
    taken(bureau)
    sound(bureau)


@pytest.mark.parametrize("disposal", ["keep-results", "delete-results"])
def test_the_end_of_a_licence_does_what_was_agreed(bureau: Bureau, disposal: str) -> None:
    register = bureau.services.register
    acts.amend_licence(register, licence(disposal=disposal), reason="x") if disposal == "delete-results" else None
    on_the_shelf(bureau)
    acts.revoke_licence(register, LICENCE, reason="x")
    if disposal == "keep-results":
        assert taken(bureau)[0].version == 1
    else:
        assert (product(bureau).state, product(bureau).version()) == ("recalled", None)
        assert code_of(lambda: taken(bureau)) == "product_recalled"
    sound(bureau)


def test_the_log_admits_nothing_else(bureau: Bureau) -> None:
    """Events that the acts would never make are refused by the tables, and by the auditor's rules."""
    register = bureau.services.register
    on_the_shelf(bureau)
    made, copy = taken(bureau)
    book = Book()
    for index in range(register.size):
        book.apply(index, register.entry(index))
    version = product(bureau).versions[0]
    document, digest = version.document_sha256, "c" * 64
    delivery = {"by": "builder", "release": version.releases[0], "recipient": "builder", "format": "csv", "sha256": digest}
    added = {"product": ID, "document": document, "columns": digest, "table_sha256": digest, "rows": 1, "bytes": 1, "vkeys": ("k",)}
    wrong: list[Any] = [
        events.ProductDelivered.model_validate({**delivery, "product": ID, "version": 2}),
        events.ProductDelivered.model_validate({**delivery, "product": "other", "version": 1}),
        events.ProductDelivered.model_validate({**delivery, "recipient": "reviewer", "product": ID, "version": 1}),
        events.ProductVersionAdded.model_validate({**added, "by": "operator-1", "version": 2, "releases": version.releases}),  # other columns
        events.ProductVersionAdded.model_validate({**added, "by": "operator-1", "version": 3, "releases": version.releases}),
        events.ProductRegistered(by="supervisor", product=ID, code="YNP-2026-000002", document=document),
        events.ProductPublished(by="operator-1", product=ID),
        events.ProductRecalled(by="supervisor", product=ID, version=9, reason="x"),
        events.ProductEntitlementEnded(by="operator-1", product=ID, builder="reviewer", reason="x"),
    ]
    for event in wrong:
        with pytest.raises((DoesNotFit, RuntimeError)), register.transaction() as act:
            act.append(event)
        with pytest.raises(YuneiProblem):
            _copy_of(register).apply(register.size, events.canonical(event, "2099-01-01T00:00:00.000000Z"))
    assert made.sha256 == copy.sha256


def _copy_of(register: Any) -> Book:
    book = Book()
    for index in range(register.size):
        book.apply(index, register.entry(index))
    return book


# ── copies ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def shifted(_version: Version, recipient: str) -> Callable[[pa.RecordBatch], pa.RecordBatch] | None:
    """A mark for tests: every count is one more for builder, for others nothing."""
    if recipient != "builder":
        return None

    def change(batch: pa.RecordBatch) -> pa.RecordBatch:
        at = batch.schema.get_field_index("n")
        return batch.set_column(
            at, batch.schema.field(at), pa.array([value + 1 for value in batch.column(at).to_pylist()], batch.column(at).type)
        )

    return change


def test_a_marked_copy_is_its_recipients_alone_and_always_the_same(bureau: Bureau) -> None:
    on_the_shelf(bureau)
    register, copies = bureau.services.register, bureau.services.copies
    acts.issue_key(register, "builder-2", "builder")
    acts.entitle_builder(register, ID, "builder-2", by="operator-1")
    copies.mark = shifted
    version = product(bureau).versions[0]
    plain, marked = taken(bureau, by="builder-2")[1], taken(bureau)[1]
    assert plain == copies.bytes_for(version, None, "parquet")
    assert pq.read_table(marked.path)["n"].to_pylist() == [value + 1 for value in pq.read_table(plain.path)["n"].to_pylist()]
    other = Copies(Store(bureau.services.settings.home / "elsewhere"), shifted)
    staged = bureau.services.staging.load(version.document["releases"][0]["job"])
    assert staged is not None
    other.build([staged.folder], version.rows)
    assert other.bytes_for(version, "builder", "parquet").sha256 == marked.sha256
    assert [copy.form for copy in copies.held(version, "builder")] == ["parquet"]
    sound(bureau)


def test_damaged_files_are_never_handed_out(bureau: Bureau) -> None:
    on_the_shelf(bureau)
    version = product(bureau).versions[0]
    copy = bureau.services.copies.bytes_for(version, None, "csv")
    body = bytearray(copy.path.read_bytes())
    body[0] ^= 1
    copy.path.write_bytes(bytes(body))
    for copies in (bureau.services.copies, Copies(Store(bureau.services.settings.products_dir))):
        with pytest.raises(StoreDamaged):
            copies.bytes_for(version, None, "csv")


def test_files_that_are_gone_are_made_again(bureau: Bureau) -> None:
    """As after a restore: backups leave them out."""
    on_the_shelf(bureau)
    version = product(bureau).versions[0]
    copies = bureau.services.copies
    before = copies.bytes_for(version, None, "csv")
    body = before.path.read_bytes()
    shutil.rmtree(bureau.services.settings.products_dir)
    assert copies.bytes_for(version, None, "csv") == before
    assert before.path.read_bytes() == body
    (before.path.parent / "json.json").unlink()  # one of them alone
    copies.bytes_for(version, None, "json")
    bureau.services.staging.discard(version.document["releases"][0]["job"])
    shutil.rmtree(bureau.services.settings.products_dir)
    with pytest.raises(StoreDamaged):
        copies.bytes_for(version, None, "csv")


def test_all_of_it_on_postgresql_too(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.database()
    keys = set_up(tmp_path / "home", database_url=url)
    services = opened(tmp_path / "home", database_url=url)
    try:
        shop = Bureau(services, keys)
        on_the_shelf(shop, deliveries_a_month=5)
        taken(shop)
        version_of(shop, released(shop, "SELECT city, COUNT(*) AS n FROM visits WHERE fee > 100 GROUP BY city"))
        schedule = acts.set_schedule(services.register, order(), ID, releases_at_most=1)
        acts.stop_schedule(services.register, schedule, by="operator-1")
        acts.recall_product(services.register, ID, version=1, reason="x")
        acts.recall_product(services.register, ID, reason="x")
        assert sound(shop).products_made[ID].state == "recalled"
    finally:
        services.close()
