"""Tables as files, batch by batch: the same bytes however they come, as short ones are encoded, in memory that does not grow with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from sandbox.finish.formats import BOM, encode
from sandbox.finish.streams import FORMS, SHEET_ROWS, Form, digest_of, forms_for, write

TABLE = pa.table(
    {
        "city": ["太原", None, 'say "x"', "=1+1", ""],
        "n": [1, 2, None, 4, 2**62],
        "x": [0.5, float("nan"), None, float("inf"), -0.0],
        "day": pa.array([0, 1, None, 20_000, -1], pa.date32()),
    }
).replace_schema_metadata({"yunei.release": "rel-1"})


@pytest.mark.parametrize("form", FORMS)
def test_batches_leave_no_trace(tmp_path: Path, form: Form) -> None:
    ways = [TABLE.to_batches(), TABLE.to_batches(max_chunksize=1), [*TABLE.slice(0, 2).to_batches(), *TABLE.slice(2).to_batches()]]
    written = [write(form, TABLE.schema, batches, tmp_path / f"{form}{at}") for at, batches in enumerate(ways)]
    assert len({each.sha256 for each in written}) == 1
    assert {each.rows for each in written} == {5}
    assert written[0].sha256 == digest_of(tmp_path / f"{form}0")


def test_short_tables_look_as_they_are_encoded(tmp_path: Path) -> None:
    about = {"yunei.release": "rel-1"}
    for form in ("arrow", "csv", "json"):
        write(form, TABLE.schema, TABLE.to_batches(max_chunksize=2), tmp_path / form)
        assert (tmp_path / form).read_bytes() == encode(TABLE, form, metadata=about)
    write("excel", TABLE.schema, TABLE.to_batches(), tmp_path / "excel")
    assert (tmp_path / "excel").read_bytes() == BOM + encode(TABLE, "csv")
    write("parquet", TABLE.schema, TABLE.to_batches(), tmp_path / "parquet")
    read = [pq.read_table(source) for source in (tmp_path / "parquet", pa.BufferReader(encode(TABLE, "parquet")))]
    assert str(read[0].to_pydict()) == str(read[1].to_pydict())  # as text, for a NaN is not itself


def test_an_empty_table_is_a_file_too(tmp_path: Path) -> None:
    for form in FORMS:
        assert write(form, TABLE.schema, [], tmp_path / form).rows == 0
    assert pq.read_table(tmp_path / "parquet").column_names == TABLE.column_names
    assert pyarrow.csv.read_csv(tmp_path / "csv").column_names == TABLE.column_names


def test_very_long_tables_come_in_fewer_forms() -> None:
    assert set(forms_for(SHEET_ROWS)) == set(FORMS)
    assert set(forms_for(SHEET_ROWS + 1)) == {"parquet", "arrow", "csv"}


PROGRAM = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from sandbox.finish.streams import write
schema = pa.schema([("n", pa.int64()), ("x", pa.float64())])
def rows(count):
    column = pa.array(range(65536), pa.int64())
    for _ in range(count):
        yield pa.record_batch([column, column.cast(pa.float64())], schema=schema)
for at, count in enumerate((8, 80)):
    write("arrow", schema, rows(count), Path(sys.argv[1]) / f"{at}")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    """Ten times the rows, 80 MB of them, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120)
    short, long = (int(line) for line in done.stdout.split())
    assert (tmp_path / "1").stat().st_size > 80 * 10**6
    assert long - short < 40_000  # kB: of eighty megabytes
