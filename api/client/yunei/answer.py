"""What came of a job: a noised table, its error bars, its price, and the evidence that it is the one in the log."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from yunei.models import FORMATS, Account, Column, Format, Loss, Release, account_words
from yunei.problem import problem
from yunei.render import Grid, as_html, as_text, grid
from yunei.words import Language, pick

if TYPE_CHECKING:
    from yunei.evidence import Evidence

SHOWN_ROWS = 20


def format_of(path: Path) -> Format:
    """By the file's ending; `.feather` and `.ipc` are Arrow too. Raises `client_bad_request`."""
    ending = path.suffix.removeprefix(".").casefold()
    for format in FORMATS:
        if ending == format or (format == "arrow" and ending in ("ipc", "feather")):
            return format
    raise problem("client_bad_request", what=f"{path.name}: .arrow .parquet .csv .json ?", verb="release fetch")


def read_arrow(data: bytes) -> Any:
    """A `pyarrow.Table` from Arrow IPC bytes, file or stream."""
    import pyarrow as pa

    opener = pa.ipc.open_file if data.startswith(b"ARROW1") else pa.ipc.open_stream
    with opener(io.BytesIO(data)) as reader:
        return reader.read_all()


class Releases(Protocol):
    """Where more of a release comes from: a `Client`."""

    language: Language

    def receipt(self, release: str) -> str: ...

    def verify(self, release: str, *, receipt: str | None = None, arrow: bytes | None = None) -> Evidence: ...

    def table(self, release: Release, format: Format) -> bytes: ...

    def fetch(self, release: str, format: Format, path: Path) -> Path: ...


class Answer:
    """A released table in hand. The bytes are the server's, checked against their digest; pyarrow reads them when first needed."""

    def __init__(self, client: Releases, release: Release, arrow: bytes) -> None:
        self._client = client
        self.release = release
        self.arrow_bytes = arrow
        self._table: Any = None
        self._receipt: str | None = None

    @property
    def price(self) -> Loss:
        """What the release was charged."""
        return self.release.price

    @property
    def left(self) -> tuple[Account, ...]:
        """The licence's accounts as they were when the release was fetched."""
        return self.release.left

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.release.columns

    @property
    def receipt(self) -> str:
        """The release's tlog-proof: keep it with the table; it verifies offline."""
        if self._receipt is None:
            self._receipt = self._client.receipt(self.release.id)
        return self._receipt

    def verify(self) -> Evidence:
        """Check receipt, log and bytes; see `Client.verify`."""
        return self._client.verify(self.release.id, receipt=self.receipt, arrow=self.arrow_bytes)

    def to_arrow(self) -> Any:
        """A `pyarrow.Table`: keys, values, and a `<label>__half_width` column per value."""
        if self._table is None:
            self._table = read_arrow(self.arrow_bytes)
        return self._table

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`, where pandas is installed."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> Any:
        """A `polars.DataFrame`, where polars is installed."""
        import polars

        return polars.from_arrow(self.to_arrow())

    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.to_arrow().to_pylist()
        return rows

    def encoded(self, format: Format) -> bytes:
        """The table as the server encodes it."""
        return self.arrow_bytes if format == "arrow" else self._client.table(self.release, format)

    def save(self, path: str | Path) -> Path:
        """Write the table as the server encodes it, in the format the file's ending names."""
        target = Path(path)
        format = format_of(target)
        if format == "arrow":
            target.write_bytes(self.arrow_bytes)
            return target
        return self._client.fetch(self.release.id, format, target)

    def __len__(self) -> int:
        return self.release.rows

    def notes(self) -> list[str]:
        language = self._client.language
        lines = [pick(language, f"发布 {self.release.id}  代价 {self.price}", f"release {self.release.id}   price {self.price}")]
        if self.release.thresholded:
            lines.append(pick(language, "涉及个体过少的分组不予显示。", "Groups with too few units are not shown."))
        return [*lines, *(account_words(account, language) for account in self.left)]

    def grid(self, limit: int | None = SHOWN_ROWS) -> Grid:
        table = self.to_arrow()
        rows = table if limit is None else table.slice(0, limit)
        return grid(self.columns, rows.to_pylist(), table.num_rows)

    def __repr__(self) -> str:
        return as_text(self.grid(), self.notes(), self._client.language)

    def _repr_html_(self) -> str:
        return as_html(self.grid(), self.notes(), self._client.language)
