"""Products over real HTTP: from a release to a builder's own tools, by the client, the command line, ranges, links and Delta Sharing."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import duckdb
import httpx2
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyld import jsonld

from api import logs
from api.services import ClosablePool
from infra.workers import InlineWorkers
from jobs import acts
from tests.bureau import LICENCE, SCENARIO, SQL, Home, opened
from tests.e2e.conftest import Live, listening
from tests.products import DESCRIPTION, ID
from yunei import Client, YuneiProblem
from yunei.cli.run import run
from yunei.manifest import verify_product
from yunei.transparency import Key

JOB: dict[str, Any] = {"licence": LICENCE, "scenario": SCENARIO, "epsilon": "0.5", "delta": "0.00000001"}


@pytest.fixture(scope="module")
def shop(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server with a product on the shelf, to which `builder` is entitled."""
    logs.configure(quiet=True)
    home = tmp_path_factory.mktemp("shop") / "home"
    keys = bureau_home.copy_to(home)
    services = opened(home, workers=cast(ClosablePool, InlineWorkers()), refusals_window_s=3600)
    with listening(services) as url, httpx2.Client(base_url=url, timeout=30) as http:
        live = Live(services, keys, url, http)
        with client(live, "operator-1") as operator, client(live, "supervisor") as supervisor:
            release = operator.ask(SQL, **JOB).release.id
            operator.draft_product(DESCRIPTION.model_dump(mode="json"))
            operator.add_product_version(ID, [release])
            assert supervisor.register_product(ID)["state"] == "registered"
            operator.publish_product(ID)
            assert [each["builder"] for each in operator.entitle_builder(ID, "builder")] == ["builder"]
        yield live
    services.close()


def client(live: Live, who: str = "builder") -> Client:
    return Client(live.url, live.keys[who], "en")


def delivered(live: Live) -> int:
    with client(live) as builder:
        return len(builder.deliveries(limit=1000))


def get(live: Live, path: str = f"/v1/products/{ID}/table", who: str = "builder", **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return live.http.get(path, headers=live.headers(who, **named))


@pytest.fixture(scope="module")
def link(shop: Live) -> dict[str, Any]:
    with client(shop) as builder:
        return dict(builder.deliver_product(ID, "csv"))


# ── the catalogue ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_builder_finds_what_it_wants_to_know(shop: Live) -> None:
    with client(shop) as builder, client(shop, "operator-2") as other:
        assert [each["id"] for each in builder.products("就诊 visits")] == [ID]
        assert builder.products("enterprise") == []
        assert other.products() == []
        with pytest.raises(YuneiProblem) as caught:
            other.product(ID)
        assert caught.value.code == "request_not_found"
        found = builder.product(ID)
        assert (found["state"], found["entitled"], found["code"][:4]) == ("published", True, "YNP-")
        (version,) = found["versions"]
        assert {source["dataset"] for source in version["sources"]} == {"visits"}
        assert all(source["acquired_on"] and source["registration_no"] for source in version["sources"])
        assert [each["column"] for each in found["quality"]] == ["n"]
        assert float(found["quality"][0]["relative_half_width_percent"]) > 0
        first = builder.preview_product(ID)
        assert (first["rows"], first["of"]) == ([], version["rows"])  # of so short a table a tenth is nothing


# ── bytes ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ranges_and_preconditions(shop: Live) -> None:
    whole = get(shop)
    before = delivered(shop)
    etag, data = whole.headers["etag"], whole.content
    assert (whole.status_code, etag) == (200, f'"{hashlib.sha256(data).hexdigest()}"')
    assert pq.read_table(io.BytesIO(data)).column_names == ["city", "n", "n__half_width"]
    size = len(data)
    for asked, start, stop in (("0-3", 0, 4), ("-5", size - 5, size), (f"{size - 2}-", size - 2, size), (f"4-{size * 2}", 4, size)):
        part = get(shop, Range=f"bytes={asked}")
        assert (part.status_code, part.content) == (206, data[start:stop])
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
    several = get(shop, Range="bytes=0-3, -4")
    kind, _, boundary = several.headers["content-type"].partition("; boundary=")
    assert (several.status_code, kind) == (206, "multipart/byteranges")
    pieces = several.content.split(f"--{boundary}".encode())
    assert [piece.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for piece in pieces[1:-1]] == [data[:4], data[-4:]]
    assert (pieces[0], pieces[-1]) == (b"\r\n", b"--\r\n")
    assert f"Content-Range: bytes 0-3/{size}".encode() in pieces[1]
    assert get(shop, Range="bytes=0-3, 2-9").content == data[:10]  # joined
    outside = get(shop, Range=f"bytes={size}-")
    assert (outside.status_code, outside.headers["content-range"]) == (416, f"bytes */{size}")
    assert get(shop, Range="rows=1-2").content == data
    assert (get(shop, If_None_Match=f'"x", W/{etag}').status_code, get(shop, If_None_Match=etag).content) == (304, b"")
    assert get(shop, If_Match='"x"').json()["code"] == "request_precondition"
    assert get(shop, If_Match=f'"x", {etag}').status_code == 200
    assert get(shop, Range="bytes=0-3", If_Range=etag).status_code == 206
    assert get(shop, Range="bytes=0-3", If_Range=f"W/{etag}").content == data
    head = shop.http.head(f"/v1/products/{ID}/table", headers=shop.headers("builder"))
    assert (head.status_code, head.content, head.headers["content-length"], head.headers["etag"]) == (200, b"", str(size), etag)
    assert delivered(shop) == before  # all of it is that one delivery


def test_every_format_is_read_by_who_reads_it(shop: Live, tmp_path: Path) -> None:
    with client(shop) as builder:
        files = {form: builder.fetch_product(ID, tmp_path, form, evidence=False) for form in ("parquet", "arrow", "csv", "excel", "json")}
    wanted = pq.read_table(files["parquet"]).to_pydict()
    assert pa.ipc.open_stream(files["arrow"].read_bytes()).read_all().to_pydict() == wanted
    assert pd.read_csv(files["csv"]).to_dict("list") == wanted
    assert pl.read_csv(files["excel"]).to_dict(as_series=False) == wanted
    assert files["excel"].read_bytes() == b"\xef\xbb\xbf" + files["csv"].read_bytes()
    assert [row["n"] for row in json.loads(files["json"].read_text())["rows"]] == wanted["n"]
    assert duckdb.sql(f"SELECT n FROM '{files['parquet']}'").fetchall() == [(value,) for value in wanted["n"]]


def test_links_lead_to_one_delivery_without_a_key(shop: Live, link: dict[str, Any]) -> None:
    before = delivered(shop)
    with httpx2.Client() as nobody:
        answer = nobody.get(link["url"])
        assert (answer.status_code, hashlib.sha256(answer.content).hexdigest()) == (200, link["sha256"])
        assert nobody.head(link["url"]).headers["content-length"] == link["bytes"]
        assert nobody.get(link["url"], headers={"Range": "bytes=0-3"}).content == answer.content[:4]
        ticket = link["url"].split("/")[-2]
        for other in (ticket[:-4] + ("AAAA" if not ticket.endswith("AAAA") else "BBBB"), ticket.swapcase(), ticket[:-1], "", "x"):
            refused = nobody.get(link["url"].replace(ticket, other or "-"))
            assert (refused.status_code, refused.json()["code"]) == (403, "request_ticket")
        assert nobody.get(link["url"].replace("visits-by-city", "other")).status_code == 404
    assert delivered(shop) == before


def test_tools_read_links(shop: Live, link: dict[str, Any]) -> None:
    assert pd.read_csv(link["url"])["city"].is_unique
    with client(shop) as builder:
        url = builder.deliver_product(ID, "parquet")["url"]
        assert pl.read_parquet(url).height == pd.read_parquet(url).shape[0] == builder.product(ID)["versions"][0]["rows"]


def test_who_is_not_entitled_gets_nothing(shop: Live, tmp_path: Path) -> None:
    register = shop.services.register
    secret = acts.issue_key(register, "builder-9", "builder")
    with Client(shop.url, secret, "en") as stranger:
        for act in (lambda: stranger.deliver_product(ID), lambda: stranger.fetch_product(ID, tmp_path)):
            with pytest.raises(YuneiProblem) as caught:
                act()
            assert caught.value.code == "product_not_entitled"
        assert stranger.product(ID)["entitled"] is False
    assert list(tmp_path.iterdir()) == []
    for who in ("operator-1", "supervisor", "auditor"):
        assert get(shop, who=who).status_code == 403


# ── evidence ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def fetched(shop: Live, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fetched")
    with client(shop) as builder:
        builder.fetch_product(ID, folder)
    return folder


def test_what_was_fetched_verifies_offline(shop: Live, fetched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = Key.parse(shop.services.register.vkey)
    manifest = fetched / f"{ID}-v1.intoto.json"
    found = verify_product(manifest.read_bytes(), fetched, (key,)).require()
    assert (found.product, found.version, found.recipient) == (ID, 1, "builder")
    assert str(found.code).startswith("YNP-")
    names = {link.name[1] for link in found.links if not link.absent}
    for file in ("parquet", "croissant.json", "dcat.jsonld"):
        assert f"file {ID}-v1.{file}" in names
    assert run(["product", "verify", str(manifest), "--key", str(key)]) == 0
    assert "✗" not in capsys.readouterr().out
    other = Key.parse("log.example/release+5531598f+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4")
    assert not verify_product(manifest.read_bytes(), fetched, (other,)).holds


def test_one_byte_changed_anywhere_is_noticed_and_named(shop: Live, fetched: Path, tmp_path: Path) -> None:
    key = Key.parse(shop.services.register.vkey)
    files = {path.name: path.read_bytes() for path in fetched.iterdir()}
    manifest = f"{ID}-v1.intoto.json"

    def wrong(name: str, at: int, byte: int | None = None) -> list[str]:
        folder = tmp_path / f"{name}-{at}"
        folder.mkdir()
        for each, body in files.items():
            changed = bytearray(body)
            if each == name:
                changed[at] = changed[at] ^ 1 if byte is None else byte
            (folder / each).write_bytes(bytes(changed))
        return [link.name[1] for link in verify_product((folder / manifest).read_bytes(), folder, (key,)).wrong]

    for name, body in files.items():
        if name != manifest:
            assert wrong(name, len(body) // 2) == [f"file {name}"]
    envelope = json.loads(files[manifest])
    text = files[manifest].decode()
    payload, signature = text.index(envelope["payload"]), text.index(envelope["signatures"][0]["sig"])
    step = len(envelope["payload"]) // 40
    for at in range(payload, payload + len(envelope["payload"]) - 4, step):  # whatever the byte stands for
        assert wrong(manifest, at, ord("A") if text[at] != "A" else ord("B")), at
    assert wrong(manifest, signature + 10, ord("A") if text[signature + 10] != "A" else ord("B")) == ["signature of the manifest"]


def test_a_marked_copy_verifies_as_its_recipients_own(shop: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register, key = shop.services.register, Key.parse(shop.services.register.vkey)
    secret = acts.issue_key(register, "builder-7", "builder")
    acts.entitle_builder(register, ID, "builder-7", by="supervisor")
    monkeypatch.setattr(shop.services.copies, "mark", lambda version, recipient: _one_more if recipient == "builder-7" else None)
    with Client(shop.url, secret, "en") as marked, client(shop) as plain:
        mine = marked.fetch_product(ID, tmp_path / "mine", "csv")
        theirs = plain.fetch_product(ID, tmp_path / "theirs", "csv")
    assert mine.read_bytes() != theirs.read_bytes()
    for table, recipient in ((mine, "builder-7"), (theirs, "builder")):
        manifest = table.with_name(f"{ID}-v1.intoto.json")
        found = verify_product(manifest.read_bytes(), table.parent, (key,)).require()
        assert found.recipient == recipient
        assert f"file {table.name}" in {link.name[1] for link in found.links if not link.absent}
    shutil.copy(theirs, mine)
    wrong = verify_product(mine.with_name(f"{ID}-v1.intoto.json").read_bytes(), mine.parent, (key,)).wrong
    assert [link.name[1] for link in wrong] == [f"file {mine.name}"]


def _one_more(batch: pa.RecordBatch) -> pa.RecordBatch:
    at = batch.schema.get_field_index("n")
    return batch.set_column(at, batch.schema.field(at), pa.array([value + 1 for value in batch.column(at).to_pylist()], batch.column(at).type))


def test_metadata_is_json_ld_that_others_read(shop: Live, fetched: Path) -> None:
    graph = jsonld.to_rdf(json.loads((fetched / f"{ID}-v1.croissant.json").read_text()), {"documentLoader": _nothing_is_fetched})["@default"]
    said = {(each["predicate"]["value"], each["object"]["value"]) for each in graph}
    assert ("http://purl.org/dc/terms/conformsTo", "http://mlcommons.org/croissant/1.0") in said
    assert ("http://mlcommons.org/croissant/dataType", "https://schema.org/Integer") in said
    digest = hashlib.sha256((fetched / f"{ID}-v1.parquet").read_bytes()).hexdigest()
    assert ("https://schema.org/sha256", digest) in said
    graph = jsonld.to_rdf(json.loads((fetched / f"{ID}-v1.dcat.jsonld").read_text()), {"documentLoader": _nothing_is_fetched})["@default"]
    said = {(each["predicate"]["value"], each["object"]["value"]) for each in graph}
    assert ("http://www.w3.org/1999/02/22-rdf-syntax-ns#type", "http://www.w3.org/ns/dcat#Dataset") in said
    assert ("http://www.w3.org/ns/prov#wasDerivedFrom", "urn:yunei:dataset:visits:1") in said
    assert ("http://www.w3.org/ns/prov#used", "urn:yunei:dataset:visits:1") in said
    assert ("http://spdx.org/rdf/terms#checksumValue", digest) in said
    predicates = {predicate for predicate, _ in said}
    assert "http://purl.org/dc/terms/issued" in predicates
    assert not [predicate for predicate in predicates if not predicate.startswith(("http://", "urn:yunei:"))]


def _nothing_is_fetched(url: str, _options: object) -> Any:
    raise AssertionError(f"a context would be fetched: {url}")


# ── Delta Sharing, by its protocol ───────────────────────────────────────────────────────────────────────────────────────────────────

TABLE = f"/v1/sharing/shares/YUNEI/schemas/Products/tables/{ID.upper()}"


def test_delta_sharing_by_its_protocol(shop: Live) -> None:
    assert get(shop, "/v1/sharing/shares").json() == {"items": [{"name": "yunei"}]}
    (table,) = get(shop, "/v1/sharing/shares/yunei/all-tables").json()["items"]
    assert (table["name"], table["schema"], table["share"]) == (ID, "products", "yunei")
    assert get(shop, f"{TABLE}/version").headers["delta-table-version"] == "1"
    protocol, metadata = (json.loads(line) for line in get(shop, f"{TABLE}/metadata").text.splitlines())
    assert protocol == {"protocol": {"minReaderVersion": 1}}
    fields = {each["name"]: each["type"] for each in json.loads(metadata["metaData"]["schemaString"])["fields"]}
    assert fields == {"city": "string", "n": "long", "n__half_width": "double"}
    before = delivered(shop)
    answer = shop.http.post(f"{TABLE}/query", json={"limitHint": 1, "unknown": 1}, headers=shop.headers("builder"))
    file = json.loads(answer.text.splitlines()[2])["file"]
    assert delivered(shop) == before + 1
    data = httpx2.get(file["url"]).content
    assert (len(data), pq.read_table(io.BytesIO(data)).num_rows) == (file["size"], json.loads(file["stats"])["numRecords"])
    assert delivered(shop) == before + 1  # requests for the file are not counted
    assert shop.http.post(f"{TABLE}/query", json={"version": 7}, headers=shop.headers("builder")).status_code == 404
    only_delta = {"delta-sharing-capabilities": "responseformat=delta;readerfeatures=deletionvectors"}
    answer = shop.http.post(f"{TABLE}/query", json={}, headers=shop.headers("builder", **only_delta))
    assert answer.headers["delta-sharing-capabilities"] == "responseformat=delta"
    assert json.loads(answer.text.splitlines()[2])["file"]["deltaSingleAction"]["add"]["size"] == file["size"]


# ── by the command line, schedules, webhooks ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_line_does_all_of_it(
    shop: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YUNEI_STATE", str(tmp_path / "state"))

    def said(who: str, *words: str, expect: int = 0) -> str:
        assert run(["--url", shop.url, "--key", shop.keys[who], "--lang", "en", *words]) == expect, capsys.readouterr()
        return capsys.readouterr().out

    description = tmp_path / "other.toml"
    description.write_text(
        'id = "other"\ntitle = {zh = "另一个", en = "Another"}\nabout = {zh = "甲", en = "a"}\nterms = {zh = "乙", en = "b"}\n',
        encoding="utf-8",
    )
    assert "draft" in said("operator-1", "product", "draft", str(description))
    with client(shop, "operator-1") as operator:
        release = operator.product(ID)["versions"][0]["releases"][0]
    said("operator-1", "product", "add", "other", release)
    assert "product register other --proposal" in said("supervisor", "product", "propose", "other")
    assert "registered" in said("supervisor", "product", "register", "other")
    assert "published" in said("operator-1", "product", "publish", "other")
    assert "builder,open,,2" in said("operator-1", "product", "entitle", "other", "builder", "--monthly", "2", "--format", "csv")
    assert "other" in said("builder", "product", "list", "--find", "另一个", "--format", "csv")
    assert "visits v1" in said("builder", "product", "show", "other")
    assert json.loads(said("builder", "product", "preview", "other", "--format", "json"))["version"] == 1
    assert said("builder", "product", "link", "other").startswith(f"{shop.url}/v1/files/")
    said("builder", "product", "fetch", "other", "-o", str(tmp_path / "f"), "--format", "excel")
    said("builder", "log", "verify")
    assert "✓ file other-v1.excel.csv" in said("builder", "product", "verify", str(tmp_path / "f/other-v1.intoto.json"))
    assert said("operator-1", "product", "deliveries", "--product", "other", "--format", "csv").count("builder") == 2
    query = tmp_path / "query.sql"
    query.write_text(SQL, encoding="utf-8")
    job = ["--licence", LICENCE, "--scenario", SCENARIO, "--epsilon", "0.5", "--delta", "0.00000001"]
    set_ = said("operator-1", "product", "schedule", "other", str(query), *job, "--at-most", "3", "--format", "csv")
    schedule = set_.splitlines()[1].split(",")[0]
    assert said("supervisor", "product", "schedules", "other", "--format", "csv") == set_
    assert "stopped" in said("operator-1", "product", "unschedule", "other", schedule)
    assert "ended" in said("operator-1", "product", "disentitle", "other", "builder", "--reason", "x")
    assert "deprecated" in said("operator-1", "product", "deprecate", "other", "--reason", "x", "--successor", ID)
    assert "recalled" in said("supervisor", "product", "recall", "other", "--reason", "x")
    hook = json.loads(said("supervisor", "webhook", "open", "https://hooks.example.com/x", "-t", "product.recalled", "--format", "json"))
    assert hook["secret"].startswith("whsec_")
    id = hook["webhook"]["id"]
    assert json.loads(said("supervisor", "webhook", "rotate", id, "--format", "json"))["secret"] != hook["secret"]
    assert id in said("supervisor", "webhook", "list", "--format", "csv")
    assert "closed" in said("supervisor", "webhook", "close", id, "--format", "csv")
    assert said("supervisor", "webhook", "log", id, "--format", "json") == "[]\n"
    said("supervisor", "webhook", "open", "https://10.0.0.1/", "-t", "product.recalled", expect=1)


# ── last: it is recalled ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_recall_stops_links_that_are_out(bureau_home: Home, tmp_path: Path) -> None:
    logs.configure(quiet=True)
    keys = bureau_home.copy_to(tmp_path / "home")
    services = opened(tmp_path / "home", workers=cast(ClosablePool, InlineWorkers()))
    with listening(services) as url, httpx2.Client(base_url=url, timeout=30) as http:
        live = Live(services, keys, url, http)
        from tests.products import on_the_shelf

        on_the_shelf(live)
        with client(live) as builder, client(live, "operator-1") as operator:
            link = builder.deliver_product(ID)["url"]
            assert httpx2.get(link).status_code == 200
            operator.recall_product(ID, "来源数据有误")
            refused = httpx2.get(link)
            assert (refused.status_code, refused.json()["code"]) == (410, "product_recalled")
            assert builder.product(ID)["reason"] == "来源数据有误"
            with pytest.raises(YuneiProblem) as caught:
                builder.fetch_product(ID, tmp_path)
            assert caught.value.code == "product_recalled"
    services.close()


def test_the_envelope_is_dsse(shop: Live) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from infra.dsse import pae

    with client(shop) as builder:
        envelope = json.loads(builder.product_manifest(ID))
        event = shop.services.register.event(builder.product(ID)["versions"][0]["log_index"]).event
    payload = base64.b64decode(envelope["payload"])
    key = Key.parse(event.vkeys[0])  # type: ignore[attr-defined]  # product_version_added
    Ed25519PublicKey.from_public_bytes(key.public).verify(
        base64.b64decode(envelope["signatures"][0]["sig"]), pae(envelope["payloadType"], payload)
    )
