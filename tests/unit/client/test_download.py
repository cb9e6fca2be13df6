"""Downloads resume where they stopped, never join two answers, and take their name only when every byte is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.client.server import Bureau
from yunei import Client, NotVerified, Unreachable, YuneiProblem

pytestmark = pytest.mark.enable_socket


def gets(bureau: Bureau) -> list[str | None]:
    """The Range header of every GET of the table."""
    return [headers.get("Range") for method, path, headers, _ in bureau.requests if method == "GET" and path.endswith("/table")]


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(".part")]


def test_a_file_is_fetched_once_and_left_alone_while_it_is_right(client: Client, bureau: Bureau, tmp_path: Path) -> None:
    target = client.fetch("rel-1", "parquet", tmp_path / "a.parquet")
    assert target.read_bytes() == bureau.files["parquet"]
    assert gets(bureau) == [None]
    client.fetch("rel-1", "parquet", target)
    assert gets(bureau) == [None]
    target.write_bytes(bureau.files["parquet"][:-1] + b"?")
    client.fetch("rel-1", "parquet", target)
    assert target.read_bytes() == bureau.files["parquet"]
    assert parts(tmp_path) == []


def test_a_broken_transfer_goes_on_where_it_stopped(client: Client, bureau: Bureau, tmp_path: Path) -> None:
    bureau.mishaps = [None, ("cut", 100), ("cut", 50)]
    target = client.fetch("rel-1", "parquet", tmp_path / "a.parquet")
    assert gets(bureau) == [None, "bytes=100-", "bytes=150-"]
    assert target.read_bytes() == bureau.files["parquet"]
    assert parts(tmp_path) == []


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(client: Client, bureau: Bureau, tmp_path: Path) -> None:
    bureau.mishaps = [None, *[("cut", 10)] * 4]
    with pytest.raises(Unreachable) as caught:
        client.fetch("rel-1", "csv", tmp_path / "a.csv")
    assert caught.value.code == "client_short_file"
    assert not (tmp_path / "a.csv").exists()
    (part,) = parts(tmp_path)
    assert part.read_bytes() == bureau.files["csv"][:40]
    client.fetch("rel-1", "csv", tmp_path / "a.csv")
    assert gets(bureau)[-1] == "bytes=40-"
    assert (tmp_path / "a.csv").read_bytes() == bureau.files["csv"]


def test_parts_of_two_different_answers_are_never_joined(client: Client, bureau: Bureau, tmp_path: Path) -> None:
    bureau.mishaps = [None, *[("cut", 10)] * 4]
    with pytest.raises(Unreachable):
        client.fetch("rel-1", "csv", tmp_path / "a.csv")
    bureau.files["csv"] = b"city,n\n" + bytes(range(32, 127)) * 2
    client.fetch("rel-1", "csv", tmp_path / "a.csv")
    assert gets(bureau)[-1] is None
    assert (tmp_path / "a.csv").read_bytes() == bureau.files["csv"]
    assert parts(tmp_path) == []


def test_a_server_without_ranges_sends_all_and_all_is_taken_from_the_start(client: Client, bureau: Bureau, tmp_path: Path) -> None:
    bureau.ranges = False
    bureau.mishaps = [None, ("cut", 100)]
    client.fetch("rel-1", "parquet", tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == bureau.files["parquet"]


def test_bytes_that_are_not_their_digests_never_take_the_name(client: Client, bureau: Bureau, tmp_path: Path) -> None:
    bureau.mishaps = [None, *[("cut", 20)] * 4]
    with pytest.raises(Unreachable):
        client.fetch("rel-1", "csv", tmp_path / "a.csv")
    (part,) = parts(tmp_path)
    part.write_bytes(b"?" + bureau.files["csv"][1:])
    with pytest.raises(NotVerified):
        client.fetch("rel-1", "csv", tmp_path / "a.csv")
    assert list(tmp_path.glob("*a.csv*")) == []
    client.fetch("rel-1", "csv", tmp_path / "a.csv")


def test_what_the_server_refuses_is_said_in_its_words(client: Client, tmp_path: Path) -> None:
    with pytest.raises(YuneiProblem) as caught:
        client.fetch("rel-2", "csv", tmp_path / "a.csv")
    assert caught.value.code == "request_not_found"
    assert list(tmp_path.glob("*a.csv*")) == []


def test_an_answer_saves_itself_by_the_ending_of_the_name(client: Client, bureau: Bureau, tmp_path: Path) -> None:
    answer = client.answer("rel-1")
    for format in ("arrow", "parquet", "csv", "json"):
        assert answer.save(tmp_path / f"a.{format}").read_bytes() == bureau.files[format]
        assert answer.encoded(format) == bureau.files[format]
    assert answer.save(tmp_path / "a.feather").read_bytes() == bureau.files["arrow"]
    with pytest.raises(YuneiProblem):
        answer.save(tmp_path / "a.xlsx")
