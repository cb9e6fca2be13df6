"""The audit: a clean log passes, from files alone and against the database; whatever is changed is found and named."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from infra.database import reading, writing
from infra.journal.checkpoint import Checkpoint
from infra.journal.leaf import leaf_hash
from infra.journal.note import Signer
from infra.journal.tiles import decode_entries, encode_entries
from infra.journal.tree import CompactRange
from infra.keys import KeyRing
from infra.tables import (
    PROJECTIONS,
    accounts,
    charges,
    documents,
    entries,
    jobs,
    licences,
    log_hashes,
    log_head,
    metering,
    openings,
    principals,
)
from jobs import acts, ledger
from jobs.audit import AuditReport, audit, rebuild, sum_charges
from jobs.events import (
    PrincipalRegistered,
)
from jobs.register import Register
from tests.audited import codes, whole
from tests.small_register import a_register, title


def test_a_clean_log_passes_from_its_files_alone(made: Register, tmp_path: Path) -> None:
    shutil.copytree(made.settings.log_dir, tmp_path / "log")
    report = audit(tmp_path / "log", [made.vkey])
    assert report.clean, report.findings
    assert (report.size, report.origin, report.root) == (600, "log.example/register", Checkpoint.peek(made.checkpoint()).root)
    assert report.accounts == ledger.balances(made)
    assert report.kinds["release_published"] == 3
    assert sum(report.kinds.values()) == 600


def test_a_clean_database_is_what_follows_from_the_log(made: Register) -> None:
    report = whole(made)
    assert report.clean, report.findings
    assert report.unpublished == 0
    with reading(made.engine) as connection:
        counts = [len(connection.execute(select(table)).all()) for table in PROJECTIONS]
    assert report.rows == sum(counts)
    assert dict(zip((table.name for table in PROJECTIONS), counts, strict=True))["deliveries"] == 0
    filled = {table.name for table, count in zip(PROJECTIONS, counts, strict=True) if count}
    assert filled >= {
        "principals", "api_keys", "datasets", "dataset_versions", "licences", "licence_versions", "accounts", "jobs", "charges",
        "charge_accounts", "releases", "answers", "metering",
    }  # fmt: skip


def test_auditing_changes_nothing(made: Register) -> None:
    before = {path: path.read_bytes() for path in made.settings.home.rglob("*") if path.is_file() and not path.name.endswith("-shm")}
    whole(made)
    assert {path: path.read_bytes() for path in before} == before


@given(st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_flipped_bit_in_any_file_of_the_log_is_found_and_an_entry_located(made: Register, tmp_path: Path, data: st.DataObject) -> None:
    folder = made.settings.log_dir
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    path = data.draw(st.sampled_from(files))
    clean = path.read_bytes()
    at, bit = data.draw(st.integers(0, len(clean) - 1)), data.draw(st.integers(0, 7))
    try:
        path.write_bytes(clean[:at] + bytes([clean[at] ^ 1 << bit]) + clean[at + 1 :])
        report = audit(folder, [made.vkey])
        assert not report.clean
        if "entries" in path.parts:
            first = (int(path.parent.name[:3]) if path.parent.name.endswith(".p") else int(path.name)) * 256
            ends, total = [], 0
            for body in decode_entries(clean):
                total += 2 + len(body)
                ends.append(total)
            hit = first + next(number for number, end in enumerate(ends) if at < end)
            assert codes(report) == ["log_entry_changed"]
            assert report.findings[0].fields["index"] == str(hit)
        elif "tile" in path.parts:
            assert codes(report) == ["log_tile_changed"]
            assert report.findings[0].fields["path"] == str(path.relative_to(folder))
        elif path.name == "checkpoint":
            assert codes(report) == ["log_checkpoint_invalid"]
        else:
            assert set(codes(report)) == {"log_document_changed"}
            assert report.findings[0].fields["digest"] == path.name
    finally:
        path.write_bytes(clean)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("checkpoint", "log_checkpoint_invalid"),
        ("tile/entries/001", "log_entry_changed"),
        ("tile/entries/002.p/88", "log_entry_changed"),
        ("tile/0/000", "log_tile_changed"),
        ("tile/0/002.p/88", "log_tile_changed"),
        ("tile/1/000.p/2", "log_tile_changed"),
    ],
)
def test_a_file_that_is_gone_is_found(copy: Register, path: str, code: str) -> None:
    (copy.settings.log_dir / path).unlink()
    assert codes(audit(copy.settings.log_dir, [copy.vkey])) == [code]


def forge(register: Register, index: int, body: bytes, *, tile: bool, above: bool = False) -> None:
    """Replace an entry, and as asked its hash and the hash above, as somebody without the key could."""
    folder, n = register.settings.log_dir, index // 256
    path = folder / f"tile/entries/{n:03d}"
    bodies = decode_entries(path.read_bytes())
    bodies[index % 256] = body
    path.write_bytes(encode_entries(bodies))
    if tile:
        (folder / f"tile/0/{n:03d}").write_bytes(b"".join(leaf_hash(each) for each in bodies))
    if above:
        edge = CompactRange()
        for each in bodies:
            nodes = edge.append(leaf_hash(each))
        row = bytearray((folder / "tile/1/000.p/2").read_bytes())
        row[n * 32 : n * 32 + 32] = nodes[-1].hash
        (folder / "tile/1/000.p/2").write_bytes(bytes(row))


def test_an_entry_rewritten_with_its_hash_is_located_by_the_tile_above(copy: Register) -> None:
    forge(copy, 300, copy.entry(301), tile=True)
    report = audit(copy.settings.log_dir, [copy.vkey])
    assert codes(report)[-1] == "log_root_differs"
    assert (report.findings[-1].fields["first"], report.findings[-1].fields["last"]) == ("256", "511")


def test_an_entry_rewritten_with_all_its_hashes_still_fails_the_signature(copy: Register) -> None:
    forge(copy, 300, copy.entry(301), tile=True, above=True)
    report = audit(copy.settings.log_dir, [copy.vkey])
    assert codes(report)[-1] == "log_root_differs"


def test_a_log_cut_short_is_found_by_whoever_remembers(copy: Register) -> None:
    early, later = copy.settings.home / "early", copy.checkpoint()
    with copy.transaction() as act:
        act.append(PrincipalRegistered(by="system", principal="late", role="builder", title=title("p")))
    remembered = copy.checkpoint()
    shutil.copytree(copy.settings.log_dir, early)
    assert whole(copy, remembered=later).clean
    (early / "checkpoint").write_text(later)
    for path in ("tile/entries/002.p/89", "tile/0/002.p/89"):
        (early / path).unlink()
    assert audit(early, [copy.vkey]).clean  # a shorter log is a good log, to who never saw the longer one
    assert codes(audit(early, [copy.vkey], remembered=remembered)) == ["log_truncated"]


@pytest.mark.parametrize("size", [1, 256, 400, 512, 599, 600])
def test_a_log_shown_in_two_versions_is_found(made: Register, size: int) -> None:
    signer = Signer("log.example/register", KeyRing.open_or_create(made.settings.keys_dir).log_signer)
    edge = CompactRange()
    for index in range(size):
        edge.append(leaf_hash(made.entry(index)))
    honest = Checkpoint("log.example/register", size, edge.root()).sign(signer)
    forged = Checkpoint("log.example/register", size, bytes(32)).sign(signer)
    assert audit(made.settings.log_dir, [made.vkey], remembered=honest).clean
    assert codes(audit(made.settings.log_dir, [made.vkey], remembered=forged)) == ["log_forked"]


def test_another_key_is_not_trusted(made: Register) -> None:
    stranger = str(
        Signer(
            "log.example/register",
            KeyRing({name: bytes([number] * 32) for number, name in enumerate(("log", "master", "selection"))}).log_signer,
        ).key
    )
    assert codes(audit(made.settings.log_dir, [stranger])) == ["log_checkpoint_invalid"]
    assert codes(audit(made.settings.log_dir, ["nonsense"])) == ["log_checkpoint_invalid"]
    assert codes(audit(made.settings.log_dir, [])) == ["log_checkpoint_invalid"]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (update(accounts).where(accounts.c.id == "dataset:visits").values(spent_pico_rho=1), ("accounts", "dataset:visits", "spent_pico_rho")),
        (update(accounts).where(accounts.c.id == "licence:L-1").values(cap_pico_rho=10**17), ("accounts", "licence:L-1", "cap_pico_rho")),
        (update(licences).values(state="suspended"), ("licences", "L-1", "state")),
        (update(charges).where(charges.c.id == "c-a").values(pico_rho=1), ("charges", "c-a", "pico_rho")),
        (update(principals).where(principals.c.id == "p7").values(role="admin"), ("principals", "p7", "role")),
        (delete(metering).where(metering.c.release == "r-b"), ("metering", "r-b", "row missing")),
        (
            insert(principals).values(id="p7x", role="admin", title_zh="x", title_en="x", status="active", registered_at="t"),
            ("principals", "p7x", "row not in the log"),
        ),
        (
            insert(principals).values(id="zz", role="admin", title_zh="x", title_en="x", status="active", registered_at="t"),
            ("principals", "zz", "row not in the log"),
        ),
        (update(jobs).where(jobs.c.id == "d").values(slot_ms=None), ("jobs", "d", "slot_ms")),
        (update(entries).where(entries.c.position == 9).values(body=b"{}"), ("entries", "9", "body")),
        (update(entries).where(entries.c.position == 9).values(leaf=bytes(32)), ("entries", "9", "leaf")),
        (update(log_head).values(edge=bytes(32 * 4)), ("log_head", "1", "edge")),
        (update(log_hashes).where(log_hashes.c.position == 1).values(hash=bytes(32)), ("log_hashes", "1/1", "hash")),
        (delete(log_hashes).where(log_hashes.c.position == 0), ("log_hashes", "1/0", "hash")),
    ],
)
def test_a_table_changed_behind_the_logs_back_is_named_by_row_and_column(
    copy: Register, statement: object, expected: tuple[str, str, str]
) -> None:
    with writing(copy.engine) as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        connection.execute(statement)  # type: ignore[call-overload]  # any of the statements above
    report = whole(copy)
    assert codes(report) == ["log_table_differs"]
    assert tuple(report.findings[0].fields[name] for name in ("table", "row", "column")) == expected


def test_kept_content_that_does_not_match_its_name_is_found(copy: Register) -> None:
    with writing(copy.engine) as connection:
        connection.execute(update(documents).values(body=b"x"))
        connection.execute(update(openings).values(content=b"SELECT 2"))
    report = whole(copy)
    assert {finding.fields["table"] for finding in report.findings} == {"documents", "openings"}


def test_rebuilding_makes_the_tables_what_the_log_says(copy: Register) -> None:
    with writing(copy.engine) as connection:
        connection.execute(delete(metering))
        connection.execute(update(accounts).values(spent_pico_rho=5))
        connection.execute(update(principals).values(role="admin"))
    assert not whole(copy).clean
    rebuild(copy.engine)
    assert whole(copy).clean


def test_a_database_behind_the_log_is_found(copy: Register) -> None:
    with writing(copy.engine) as connection:
        connection.execute(update(log_head).values(size=10))
    assert codes(whole(copy)) == ["log_database_short"]


def test_entries_not_yet_under_a_checkpoint_are_replayed_too(copy: Register) -> None:
    with copy.transaction(publish=False) as act:
        ledger.reading(act, "c-d", by="system")
    report = whole(copy)
    assert report.clean, report.findings
    assert (report.size, report.unpublished) == (600, 1)


@pytest.mark.parametrize("column", ["reserved_pico_rho", "spent_pico_rho", "reserved_atto_delta", "spent_atto_delta"])
def test_accounts_are_also_summed_from_their_charges(copy: Register, column: str) -> None:
    """Were a projection wrong, replay and tables would be wrong alike: the sum is the second opinion."""
    report = AuditReport()
    with reading(copy.engine) as connection:
        sum_charges(connection, report)
    assert report.clean, report.findings
    with writing(copy.engine) as connection:
        connection.execute(update(accounts).where(accounts.c.id == "dataset:visits").values({column: accounts.c[column] + 1}))
    with reading(copy.engine) as connection:
        sum_charges(connection, report)
    assert codes(report) == ["log_account_sum"]
    assert report.findings[0].fields == {"account": "dataset:visits", "column": column}


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    peaks = []
    with a_register(tmp_path) as register:
        for _ in range(2):
            with register.transaction() as act:
                for number in range(300):
                    act.append(PrincipalRegistered(by="system", principal=f"q{act.size}-{number}", role="builder", title=title("x" * 1000)))
            if not peaks:
                whole(register)  # caches filled
            tracemalloc.start()
            assert whole(register).clean
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0], peaks


def test_an_empty_log_is_clean(tmp_path: Path) -> None:
    with a_register(tmp_path) as register:
        report = whole(register)
        assert report.clean
        assert (report.size, report.accounts) == (0, [])
        acts.register_principal(register, "li", role="auditor", title=title("li"))
        assert whole(register).kinds == {"principal_registered": 1}
