"""One contract for local folders and for S3, on three servers.

versitygw keeps objects as files, so it merges `s//t` with `s/t`; moto keeps keys as AWS does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Barrier

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import IncompleteReadError

from connectors.errors import UserError
from connectors.s3 import parquet
from connectors.s3.client import s3_client
from connectors.s3.parquet import pages, row_count
from connectors.s3.store import S3Store, Store, open_store
from dev.servers import s3
from dev.servers.stack import Stack
from tests import s3_servers

ROOT = Path(__file__).parents[2]
BUCKET = "contract"
WRITERS = 6
ODD_NAMES = ("a b#c?d=é%2F+&.json", "pickup_location=041/x.parquet", "~'!()*;:@$,")
VERSITYGW = pytest.param("versitygw", marks=pytest.mark.server)
LOCALSTACK = pytest.param("localstack", marks=pytest.mark.server)
_NUMBERS = count()


@dataclass(frozen=True)
class Place:
    """Where a store may be made: the address of a root, and the environment to reach it."""

    root: str
    environment: dict[str, str]

    def store(self, folder: str = "") -> Store:
        return open_store(f"{self.root}/{folder}", self.environment)


@pytest.fixture(scope="module")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_servers.versitygw(BUCKET, tmp_path_factory.mktemp("run")) as environment:
        yield environment


@pytest.fixture(scope="module")
def moto() -> Iterator[dict[str, str]]:
    with s3_servers.moto(BUCKET) as environment:
        yield environment


@pytest.fixture(scope="module")
def localstack(request: pytest.FixtureRequest) -> dict[str, str]:
    stack: Stack = request.getfixturevalue("localstack_stack")
    environment = stack.environment()
    s3.create_bucket(BUCKET, endpoint=environment["S3_ENDPOINT"])
    return environment


@pytest.fixture(params=["folder", VERSITYGW, "moto", LOCALSTACK])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Place(f"file://{tmp_path}/root", {})
    environment: dict[str, str] = request.getfixturevalue(request.param)
    return Place(f"s3a://{BUCKET}/case-{next(_NUMBERS)}", environment)


@pytest.fixture
def store(place: Place) -> Store:
    return place.store()


def paths(store: Store, below: str = "") -> list[str]:
    return [each.path for each in store.everything(below)]


def test_what_is_written_is_listed_read_and_deleted(store: Store) -> None:
    assert (store.listing(), store.everything(), store.everything("none")) == ([], [], [])
    for path in ("b/2", "b/1", "a", "b-c/3"):
        for content in (b"before", b"\x00bytes\xff"):
            store.write(path, content)
    assert paths(store) == ["a", "b-c/3", "b/1", "b/2"]
    assert paths(store, "b") == paths(store, "b/") == ["b/1", "b/2"]
    assert store.read("b/1") == b"\x00bytes\xff"
    listed = next(each for each in store.listing() if each.path == "b/1")
    assert listed == store.stat("b/1")
    assert listed.size == 7
    assert listed.modified_ms is not None and listed.modified_ms > 1_700_000_000_000
    for _ in range(2):
        store.delete("b/1")
    assert paths(store) == ["a", "b-c/3", "b/2"]


def test_objects_are_listed_by_the_beginning_of_their_path(store: Store) -> None:
    for path in ("a/part-1", "a/part-2/x", "a/partial", "a/other", "part-3"):
        store.write(path, b"")
    assert [each.path for each in store.beginning_with("a/part-")] == ["a/part-1", "a/part-2/x"]
    assert [each.path for each in store.beginning_with("pa")] == ["part-3"]
    assert store.beginning_with("a/part-9") == []


def test_an_absent_object_is_told_from_a_failure(store: Store) -> None:
    store.delete("none")
    assert store.stat("none") is None
    assert store.version("none") is None
    for read in (store.read, store.open):
        with pytest.raises(FileNotFoundError):
            read("none")
    with pytest.raises(FileNotFoundError):
        store.copy("none", "other")
    assert paths(store) == []


def test_hidden_names_are_left_out_of_the_listing(store: Store) -> None:
    for path in ("a/x", "_a/x", "a/_x", "a/.x", ".a/b/x", "a/b_c/x."):
        store.write(path, b"")
    assert [each.path for each in store.listing()] == ["a/b_c/x.", "a/x"]
    assert len(store.everything()) == 6


@pytest.mark.parametrize("place", ["folder", VERSITYGW, LOCALSTACK], indirect=True)
def test_more_objects_than_one_page_of_a_listing_are_listed(store: Store) -> None:
    # With = in it, as folders of the lake have: LocalStack 4.9.2 listed the first page only.
    names = [f"n={number:04}" for number in range(1_001)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.write(name, b"x"), names))
    assert paths(store) == names


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_are_taken_literally(place: Place, name: str) -> None:
    store = place.store(f"r{name}")
    store.write(name, b"odd")
    store.copy(name, f"copy {name}")
    assert sorted(paths(place.store())) == sorted([f"r{name}/{name}", f"r{name}/copy {name}"])
    assert paths(store) == sorted([name, f"copy {name}"])
    with store.open(f"copy {name}") as file:
        assert file.read() == b"odd"
    store.delete(name)
    assert paths(store) == [f"copy {name}"]


def test_empty_and_dotted_folders_of_a_key_are_prefixes_of_their_own(
    moto: dict[str, str],
) -> None:
    place = Place(f"s3a://{BUCKET}/case-{next(_NUMBERS)}", moto)
    for folder in ("s//t", "s/./t", "s/t"):
        place.store(folder).write("x", folder.encode())
    for folder in ("s//t", "s/./t", "s/t"):
        assert paths(place.store(folder)) == ["x"]
        assert place.store(folder).read("x") == folder.encode()
        with place.store(folder).open("x") as file:
            assert file.read() == folder.encode()
    assert paths(place.store("s")) == ["./t/x", "/t/x", "t/x"]


def test_a_folder_marker_is_no_object(moto: dict[str, str]) -> None:
    place = Place(f"s3a://{BUCKET}/case-{next(_NUMBERS)}", moto)
    s3_client(moto).put_object(Bucket=BUCKET, Key=f"{place.root.rpartition('/')[2]}/a/", Body=b"")
    place.store().write("a/x", b"")
    assert paths(place.store()) == ["a/x"]


def test_a_copy_goes_into_the_same_store_or_another(place: Place) -> None:
    store, other = place.store(), place.store("other")
    store.write("a", b"first")
    other.write("kept/b", b"before")
    for _ in range(2):
        store.copy("a", "deep/er/a")
        store.copy("a", "kept/b", into=other)
    assert store.read("deep/er/a") == other.read("kept/b") == b"first"
    store.delete("a")
    assert store.read("deep/er/a") == b"first"


def test_an_open_object_is_read_in_parts(store: Store) -> None:
    content = os.urandom(300_000)
    store.write("x", content)
    with store.open("x", 1024) as file:
        assert file.peek(4)[:4] == content[:4]
        assert file.read(5) == content[:5]
        assert file.seek(-10, os.SEEK_END) == len(content) - 10
        assert file.read() == content[-10:]
        assert file.read() == b""
        file.seek(1_000)
        file.seek(100_000, os.SEEK_CUR)
        assert file.tell() == 101_000
        assert file.read(70_000) == content[101_000:171_000]
    store.write("empty", b"")
    with store.open("empty") as file:
        assert file.read() == b""


def test_an_object_that_changes_while_it_is_open_is_never_mixed(store: Store) -> None:
    store.write("x", b"a" * 9_000)
    with store.open("x", 1024) as file:
        assert file.read(10) == b"a" * 10
        store.write("x", b"b" * 9_000)
        try:
            assert file.read() == b"a" * 8_990
        except UserError as error:
            assert "cannot read" in str(error)  # S3 has the new version alone.


def test_a_version_is_replaced_once(store: Store) -> None:
    assert store.replace("x", b"first", None)
    assert not store.replace("x", b"other first", None)
    first = store.version("x")
    assert first is not None and first.content == b"first"
    assert store.replace("x", b"second", first)
    assert not store.replace("x", b"other second", first)
    assert store.replace("x", b"second", first), "it was done already"
    assert store.read("x") == b"second"
    store.delete("x")
    assert not store.replace("x", b"third", first)


@pytest.mark.parametrize("there_before", [False, True])
@pytest.mark.parametrize("place", ["folder", VERSITYGW], indirect=True)  # moto promises nothing
def test_of_many_writers_at_once_one_succeeds(place: Place, there_before: bool) -> None:
    stores = [place.store() for _ in range(WRITERS)]
    for number in range(10):
        path = f"{number}.json"
        if there_before:
            stores[0].write(path, b"before")
        won = _race(stores, path)
        assert sum(won) == 1
        assert stores[0].read(path) == b"%d" % won.index(True)


def _race(stores: list[Store], path: str) -> list[bool]:
    expected = stores[0].version(path)
    start = Barrier(len(stores))

    def write(number: int) -> bool:
        start.wait()
        return stores[number].replace(path, b"%d" % number, expected)

    with ThreadPoolExecutor(len(stores)) as pool:
        return list(pool.map(write, range(len(stores))))


def test_what_is_read_is_of_one_version(store: Store) -> None:
    versions = [b"short", b"long" * 5_000]
    store.write("x", versions[0])
    failed: list[BaseException] = []

    def write() -> None:
        try:
            for number in range(100):
                store.write("x", versions[number % 2])
        except (OSError, UserError) as error:
            failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    while thread.is_alive():
        assert store.read("x") in versions
    thread.join()
    assert failed == []


def test_parquet_is_read_whole_and_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {
        f"{number:03}.parquet": pa.table({"n": range(number, number + 40), "m": ["x"] * 40})
        for number in range(12)
    }
    monkeypatch.setattr(parquet, "_FILES_AT_A_TIME", 5)
    for path, table in tables.items():
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, row_group_size=16)
        store.write(path, sink.getvalue().to_pybytes())
    assert row_count(store, "007.parquet") == 40
    assert _read(store, ["n", "m", "absent"]) == tables
    monkeypatch.setattr(parquet, "_LARGE_BYTES", 10)
    monkeypatch.setattr(parquet, "_PAGE_ROWS", 15)
    assert _read(store, None) == tables
    store.write("000.parquet", b"PAR1 and no more")
    for read in (lambda: _read(store, None), lambda: row_count(store, "000.parquet")):
        with pytest.raises(UserError, match="000.parquet isn't a readable Parquet file"):
            read()


def _read(store: Store, columns: list[str] | None) -> dict[str, pa.Table]:
    parts: dict[str, list[pa.Table]] = {}
    for page in pages(store, store.listing(), columns):
        for stored, table in page:
            parts.setdefault(stored.path, []).append(table)
    return {path: pa.concat_tables(tables) for path, tables in parts.items()}


WAYS: dict[str, Callable[[Store], object]] = {
    "list": lambda store: store.listing(),
    "read": lambda store: store.read("x"),
    "version": lambda store: store.version("x"),
    "write": lambda store: store.write("x", b""),
    "replace": lambda store: store.replace("x", b"", None),
    "copy": lambda store: store.copy("x", "y"),
    "delete": lambda store: store.delete("x"),
}
# The response to these has no body, so nobody can tell an absent bucket from an absent object.
MORE_WAYS: dict[str, Callable[[Store], object]] = {
    "stat": lambda store: store.stat("x"),
    "open": lambda store: store.open("x"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("service", [VERSITYGW, "moto"])
def test_an_absent_bucket_is_named(service: str, way: str, request: pytest.FixtureRequest) -> None:
    environment: dict[str, str] = request.getfixturevalue(service)
    with pytest.raises(UserError, match=r"cannot \w+ s3a://nowhere/some(/x)?: NoSuchBucket: "):
        WAYS[way](open_store("s3a://nowhere/some", environment))


@pytest.mark.server
@pytest.mark.parametrize("way", [*WAYS, *MORE_WAYS])
def test_denied_access_is_named_without_the_key(versitygw: dict[str, str], way: str) -> None:
    environment = {**versitygw, "AWS_SECRET_ACCESS_KEY": "not-the-secret"}
    with pytest.raises(UserError, match=rf"cannot [\w ]+ s3a://{BUCKET}") as caught:
        {**WAYS, **MORE_WAYS}[way](open_store(f"s3a://{BUCKET}", environment))
    assert any(code in str(caught.value) for code in ("SignatureDoesNotMatch", "403"))
    assert "not-the-secret" not in str(caught.value)


def test_an_endpoint_that_does_not_answer_is_named() -> None:
    environment = {**s3.CREDENTIALS, "S3_ENDPOINT": "http://127.0.0.1:1"}
    store = open_store("s3a://bucket/x", environment)
    with pytest.raises(UserError, match="cannot list s3a://bucket/x: Could not connect"):
        store.listing()


@pytest.mark.server
def test_a_body_that_breaks_off_is_read_again(
    versitygw: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore repeats requests, but not the reading of a response."""
    store = open_store(f"s3a://{BUCKET}/broken", versitygw)
    store.write("x", b"all of it")
    assert isinstance(store, S3Store)
    real, broken = store._client.get_object, iter([True, True, False])

    def get_object(**request: object) -> dict[str, object]:
        response: dict[str, object] = real(**request)
        return {**response, "Body": _Broken()} if next(broken) else response

    monkeypatch.setattr(store._client, "get_object", get_object)
    assert store.read("x") == b"all of it"


class _Broken:
    def read(self) -> bytes:
        raise IncompleteReadError(actual_bytes=3, expected_bytes=9)


@pytest.mark.server
def test_keys_come_from_the_chain_of_boto3(
    versitygw: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A profile stands for all of the chain: one client reaches S3, and boto3 makes it."""
    for name in s3.CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    profile = f"[profile some]\naws_access_key_id={s3.ACCESS_KEY}\n"
    secret = f"aws_secret_access_key={s3.SECRET_KEY}\nregion={s3.REGION}\n"
    (tmp_path / "config").write_text(profile + secret)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "some")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    environment = {"S3_ENDPOINT": versitygw["S3_ENDPOINT"]}
    store = open_store(f"s3://{BUCKET}/profile", environment)
    store.write("x", b"by profile")
    with store.open("x") as file:
        assert file.read() == b"by profile"
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.mark.parametrize("uri", ["", "s3a://", "s3:///x", "file://x", "http://host/x", "gs://b/x"])
def test_another_address_is_refused(uri: str) -> None:
    with pytest.raises(UserError, match="use s3a://bucket/prefix or file:///folder"):
        open_store(uri)


def test_a_folder_that_may_not_be_listed_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match=f"cannot list {tmp_path}/file: Not a directory"):
        open_store(f"{tmp_path}/file").listing()


def test_a_wrong_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(UserError, match=r"^cannot connect to S3: .*absent"):
        open_store("s3://bucket/prefix")
