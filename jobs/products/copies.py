"""The bytes of a product for one recipient: where a mark that names the recipient can be put into the table.

    copies = Copies(store, staging_of, mark)
    copies.bytes_for(version, "builder-1", "parquet")   # Copy(path, form, sha256, bytes)

A `Mark` is asked once per version and recipient. It answers with a function from batch to batch, which is run over the whole table in order
and must give the same values every time, the same number of rows, and the same columns; or with None: then this recipient gets the table as
it was released. Marking is post-processing of what was released (no further privacy loss) and must not alter keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from jobs.products.seen import Version
from jobs.products.store import Copy, Store, StoreDamaged
from jobs.products.totals import Total, added_up
from jobs.staging import Staging
from policies.problem import declare
from sandbox.finish.formats import BOM
from sandbox.finish.streams import Form, batches_of, forms_for, schema_of

BatchMark = Callable[[pa.RecordBatch], pa.RecordBatch]
Mark = Callable[[Version, str], BatchMark | None]  # version, recipient

PRODUCT_FORM = declare(
    "product_form_missing",
    zh=(
        "此产品没有这种格式",
        "产品 {product} 第 {version} 版没有 {form} 格式，现有：{forms}。",
        "请选择现有格式；行数过多的表只有 Parquet、Arrow 和 CSV。",
    ),
    en=(
        "The product is not available in this format",
        "Version {version} of product {product} is not available as {form}; available: {forms}.",
        "Choose one of the available formats. Very long tables come as Parquet, Arrow and CSV only.",
    ),
)


def unmarked(_version: Version, _recipient: str) -> BatchMark | None:
    """Everybody gets the table as it was released."""
    return None


class Copies:
    """`mark` may be replaced before the first copy is asked for. With `staging`, files that are gone, as after a restore, are made again."""

    def __init__(self, store: Store, mark: Mark = unmarked, staging: Staging | None = None) -> None:
        self._store = store
        self._staging = staging
        self.mark = mark

    def build(self, sources: Sequence[Path], rows: int, total: Total | None = None) -> dict[Form, Copy]:
        """Every form of the table of some staged releases, given as folders, in order. One release is taken over as it was staged; several are
        joined or, where they are parts of a `total`, added up (product_running_keys). Kept under the digest of the Arrow form."""
        whole = added_up(sources, total) if total is not None and len(sources) > 1 else None
        aside = self._store.aside()
        made = {form: self._master(aside, sources, form, whole) for form in forms_for(rows)}
        folder = self._store.place(made["arrow"].sha256)
        self._store.adopt(aside, folder)
        return {form: replace(copy, path=folder / form) for form, copy in made.items()}

    def _master(self, folder: Path, sources: Sequence[Path], form: Form, whole: pa.Table | None) -> Copy:
        if whole is not None:
            return self._store.keep(folder, form, whole.schema, whole.to_batches)
        if len(sources) == 1:
            staged, head = ("csv", BOM) if form == "excel" else (form, b"")
            return self._store.take_over(folder, form, sources[0] / f"table.{staged}", head)
        paths = [source / "table.arrow" for source in sources]
        schema = schema_of(paths[0]).remove_metadata()
        return self._store.keep(folder, form, schema, lambda: batches_of(paths))

    def bytes_for(self, version: Version, recipient: str | None, form: Form) -> Copy:
        """The file that this recipient gets (None: the table as released, which leaves to nobody): the same bytes whenever it is asked for.
        PRODUCT_FORM, StoreDamaged."""
        folder = self._store.place(version.table_sha256)
        if form not in version.document["files"]:
            raise PRODUCT_FORM(product=version.product, version=version.number, form=form, forms=", ".join(version.document["files"]))
        master = self._store.find(folder, form) or self._again(version, form)
        if master.sha256 != version.document["files"][form]["sha256"]:
            raise StoreDamaged(str(master.path))
        marked = self.mark(version, recipient) if recipient is not None else None
        if marked is None:
            return master
        source = self._store.find(folder, "arrow")
        if source is None:
            raise StoreDamaged(str(folder))
        schema, change = schema_of(source.path), marked

        def rows() -> Iterable[pa.RecordBatch]:
            for batch in batches_of([source.path]):
                made = change(batch)
                if made.num_rows != batch.num_rows or not made.schema.equals(batch.schema):
                    raise ValueError("a mark changed the shape of the table")
                yield made

        return self._store.keep(self._place(version, recipient or ""), form, schema, rows)

    def _again(self, version: Version, form: Form) -> Copy:
        """The file once more, from the staged releases. StoreDamaged when they are gone too, or are others."""
        folder = self._store.place(version.table_sha256)
        staged = [self._staging.load(part["job"]) if self._staging else None for part in version.document["releases"]]
        sources = [each.folder for each in staged if each is not None]
        if (
            len(sources) != len(staged)
            or self.build(sources, version.rows, Total.recorded(version.document))["arrow"].sha256 != version.table_sha256
        ):
            raise StoreDamaged(str(folder))
        made = self._store.find(folder, form)
        if made is None:
            raise StoreDamaged(str(folder))
        return made

    def held(self, version: Version, recipient: str | None) -> list[Copy]:
        """The files this recipient may have got: of its own copy, or of the table as released when it (or nobody: None) has none."""
        if recipient is None or self.mark(version, recipient) is None:
            return [self.bytes_for(version, None, form) for form in version.document["files"]]
        folder = self._place(version, recipient)
        return [copy for form in version.document["files"] if (copy := self._store.find(folder, form)) is not None]

    def _place(self, version: Version, recipient: str) -> Path:
        who = hashlib.sha256(f"{version.product}\n{version.number}\n{recipient}".encode()).hexdigest()[:32]
        return self._store.place(version.table_sha256, who)
