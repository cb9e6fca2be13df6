"""Tracing at the bureau: copies marked as they are delivered, a file traced over HTTP by a supervisor alone, the trace in the log."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from api.app import create_app
from infra.keys import KeyRing
from jobs.acts import tracing
from jobs.audit import audit
from jobs.products.copies import Copies
from jobs.products.seen import Version
from jobs.products.store import Store
from jobs.watermark.marks import Marks
from policies.problem import Problem
from tests.bureau import Bureau
from tests.marks import COLUMNS, some, table
from tests.products import ID, on_the_shelf, taken
from yunei.replay import Book


def version_over(folder: Path, released: pa.Table, columns: list[dict[str, Any]] = COLUMNS) -> tuple[Marks, Copies, Version]:
    """A version of a table, as if it had been released."""
    ring = KeyRing({"log": b"l" * 32, "master": b"m" * 32, "selection": b"s" * 32})
    store = Store(folder / "products")
    copies = Copies(store)
    marks = Marks(ring, copies)
    copies.mark = marks
    source = folder / "staged"
    source.mkdir()
    with pa.OSFile(str(source / "table.arrow"), "wb") as sink, pa.ipc.new_stream(sink, released.schema) as writer:
        writer.write_table(released, max_chunksize=500)
    for form in ("parquet", "csv", "json"):
        (source / f"table.{form}").write_bytes(b"")
    pq.write_table(released, source / "table.parquet")
    made = copies.build([source], released.num_rows)
    document = {
        "files": {form: {"sha256": copy.sha256} for form, copy in made.items()},
        "table": {"columns": columns},
    }
    return marks, copies, Version("p", 1, "current", 1, "L", "0" * 64, document, made["arrow"].sha256, released.num_rows, 1, "", None, ("r",))


def test_every_form_of_a_copy_carries_the_mark(tmp_path: Path) -> None:
    marks, copies, version = version_over(tmp_path, table(3000))
    mine = pq.read_table(copies.bytes_for(version, "builder-1", "parquet").path)
    csv = arrow_csv.read_csv(copies.bytes_for(version, "builder-1", "csv").path)
    assert mine.column("n").to_pylist() == csv.column("n").to_pylist()
    assert copies.bytes_for(version, "builder-1", "parquet").sha256 != copies.bytes_for(version, "builder-2", "parquet").sha256
    traced = marks.trace(version, some(csv, 300), ["builder-1", "builder-2"], limit=1e-6)
    assert traced is not None
    assert traced.accused == ("builder-1",)
    assert marks.trace(version, pa.table({"colour": ["red"]}), ["builder-1"], limit=1e-6) is None


def test_another_version_has_another_code(tmp_path: Path) -> None:
    marks, _, version = version_over(tmp_path, table(1000))
    mine = marks(version, "builder-1")
    other = marks(Version(**{**{name: getattr(version, name) for name in version.__slots__}, "number": 2}), "builder-1")
    batch = table(1000).to_batches()[0]
    assert mine is not None
    assert other is not None
    assert not mine(batch).equals(other(batch))


def with_little_noise() -> pa.Table:
    """Half-widths that let no whole number be moved unseen, and none at all."""
    released = table(1000).set_column(3, "n__half_width", pa.array(np.full(1000, 3.0)))
    return released.set_column(5, "fee__half_width", pa.array([None] * 1000, pa.float64()))


@pytest.mark.parametrize(("released", "why"), [(table(100), "too_small"), (with_little_noise(), "no_columns")])
def test_small_tables_and_those_with_little_noise_are_left_as_they_are(tmp_path: Path, released: pa.Table, why: str) -> None:
    marks, copies, version = version_over(tmp_path, released)
    assert marks.kept(version).why == why
    assert copies.bytes_for(version, "builder-1", "parquet").sha256 == copies.bytes_for(version, None, "parquet").sha256


def marked_all(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the table."""
    monkeypatch.setattr("jobs.watermark.marks.LEAST_CELLS", 1)


def test_a_small_product_says_that_it_is_not_marked(bureau: Bureau) -> None:
    on_the_shelf(bureau)
    _, copy = taken(bureau)
    services = bureau.services
    with pytest.raises(Problem) as caught:
        tracing.trace(services.register, services.marks, copy.path.read_bytes(), by="supervisor", product=ID)
    assert caught.value.code == "product_unmarked"


def test_a_trace_over_http_stands_in_the_log(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    marked_all(bureau, monkeypatch)
    on_the_shelf(bureau)
    _, copy = taken(bureau)
    data = copy.path.read_bytes()
    with TestClient(create_app(bureau.services)) as client:
        for who, status in (("operator-1", 403), ("builder", 403), ("auditor", 403)):
            assert client.post("/v1/traces", content=data, headers=bureau.headers(who)).status_code == status
        answer = client.post("/v1/traces", content=data, headers=bureau.headers("supervisor"))
        assert answer.status_code == 201, answer.text
        (found,) = answer.json()["traces"]
        assert (found["product"], found["version"], found["rows"], found["found"]) == (ID, 1, 3, 3)
        assert found["accused"] == []  # three cells could not
        assert [each["recipient"] for each in found["recipients"]] == ["builder"]
        headers = bureau.headers("supervisor")
        assert client.post("/v1/traces", content=b"", headers=headers).json()["code"] == "product_trace_file"
        assert client.post("/v1/traces", content=b"colour\nred\n", headers=headers).json()["code"] == "product_trace_nothing"
        assert client.post("/v1/traces?product=nothing", content=data, headers=headers).json()["code"] == "product_unknown"
        assert client.post(f"/v1/traces?product={ID}&version=9", content=data, headers=headers).json()["code"] == "product_version_unknown"
        large = client.post("/v1/traces", content=b"x" * (64 * 2**20 + 1), headers=headers)
        assert (large.status_code, large.json()["fields"]["limit"]) == (413, str(64 * 2**20))
        padded = b"a\n" + b"1\n" * 2**20  # above what other paths take
        assert client.post("/v1/traces", content=padded, headers=headers).json()["code"] == "product_trace_nothing"
    register = bureau.services.register
    event = register.event(found["entry"]).event
    assert (event.kind, event.by, event.file_sha256) == ("product_traced", "supervisor", hashlib.sha256(data).hexdigest())
    assert audit(bureau.services.settings.log_dir, [register.vkey], register.engine).findings == []
    assert Book  # the audit above replays the log by the client's rules, these among them


def test_a_marked_delivery_differs_from_the_release_by_less_than_its_half_width(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    marked_all(bureau, monkeypatch)
    on_the_shelf(bureau)
    _, copy = taken(bureau)
    mine = pq.read_table(copy.path)
    with pa.ipc.open_stream(io.BytesIO(next(Path(bureau.services.settings.staging_dir).glob("*/table.arrow")).read_bytes())) as reader:
        released = reader.read_all()
    assert mine.column("city").equals(released.column("city"))
    moved = np.abs(mine.column("n").to_numpy() - released.column("n").to_numpy())
    half = released.column("n__half_width").to_numpy()
    assert (moved > 0).all()
    assert (moved <= half / 5).all()
