"""Files in every form are read, and one that is none is refused in one way."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from jobs.watermark import files
from policies.problem import Problem

TABLE = pa.table({"地区": ["甲", "乙"], "n": [1, 2]})


def written(form: str) -> bytes:
    sink = io.BytesIO()
    if form == "parquet":
        pq.write_table(TABLE, sink)
    elif form in ("stream", "file"):
        with (pa.ipc.new_stream if form == "stream" else pa.ipc.new_file)(sink, TABLE.schema) as writer:
            writer.write_table(TABLE)
    elif form == "csv":
        arrow_csv.write_csv(TABLE, sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        written("parquet"),
        written("stream"),
        written("file"),
        written("csv"),
        b"\xef\xbb\xbf" + written("csv"),
        "地区;n\n甲;1\n乙;2\n".encode(),
        json.dumps({"metadata": {}, "rows": TABLE.to_pylist()}).encode(),
        json.dumps(TABLE.to_pylist()).encode(),
    ],
)
def test_every_form_is_read(data: bytes) -> None:
    assert files.read(data).to_pylist() == TABLE.to_pylist()


@pytest.mark.parametrize(
    "data",
    [b"", b"PAR1 and nothing more", b"{", b"[1, 2]", b'{"a": 1}', b"\xff\xff\xff\xff\x00", b"a,b\n1\n", b"ARROW1\x00\x00", b"\x00\xff\xfe"],
)
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(Problem) as caught:
        files.read(data)
    assert caught.value.code == "product_trace_file"


def test_of_a_long_file_rows_are_taken_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_ROWS", 4)
    text = "n\n" + "".join(f"{number}\n" for number in range(10))
    assert files.read(text.encode()).column("n").to_pylist() == [0, 2, 5, 7]
