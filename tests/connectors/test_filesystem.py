"""A store's files as a filesystem for DuckDB, in a folder and on S3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from connectors.errors import UserError
from connectors.s3 import filesystem
from connectors.s3.filesystem import StoreFilesystem
from connectors.s3.store import Store, open_store
from tests import s3_servers

BUCKET = "filesystem"
SMALL = os.urandom(50_000)
LARGE = os.urandom(700_000)


@pytest.fixture(scope="module")
def s3_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_servers.versitygw(BUCKET, tmp_path_factory.mktemp("run")) as environment:
        yield environment


@pytest.fixture(params=["folder", pytest.param("s3a", marks=pytest.mark.server)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store with a file that is fetched at once, and one that is not."""
    if request.param == "folder":
        made = open_store(f"file://{tmp_path}/root")
    else:
        environment: dict[str, str] = request.getfixturevalue("s3_environment")
        made = open_store(f"s3a://{BUCKET}/{tmp_path.name}", environment)
    made.write("small", SMALL)
    made.write("deep/er/large", LARGE)
    return made


@pytest.fixture
def files(store: Store) -> StoreFilesystem:
    made = StoreFilesystem(store)
    assert made.add(store.listing()) == ["lake://deep/er/large", "lake://small"]
    return made


@pytest.mark.parametrize(
    ("address", "content"), [("lake://small", SMALL), ("lake://deep/er/large", LARGE)]
)
def test_a_file_is_read_in_any_order(files: StoreFilesystem, address: str, content: bytes) -> None:
    size = len(content)
    assert files.size(address) == size
    assert files.modified(address).year > 2020
    file = files.open(address)
    for start, count in ((0, 10), (size - 10, 99), (size, 1), (1_000, 40_000), (size - 70_000, -1)):
        start = max(start, 0)
        assert file.seek(start) == start
        expected = content[start:] if count < 0 else content[start : start + count]
        assert file.read(count) == expected
        assert file.tell() == start + len(expected)
    assert file.seek(-5, os.SEEK_END) == size - 5
    assert file.seek(2, os.SEEK_CUR) == size - 3
    assert file.read() == content[-3:]
    file.close()


def test_threads_share_an_open_file(files: StoreFilesystem) -> None:
    """Each seeks and then reads, as DuckDB's do."""
    file = files.open("lake://deep/er/large")

    def read(start: int) -> bool:
        file.seek(start)
        return file.read(1_000) == LARGE[start : start + 1_000]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(0, len(LARGE), 1_777)))
    file.close()


def test_ends_are_fetched_ahead_as_far_as_there_is_room(
    files: StoreFilesystem, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    files.fetch_footers(["lake://deep/er/large", "lake://small"], done.append)
    assert done == [1, 2]
    for path in ("deep/er/large", "small"):
        store.delete(path)
    assert files.open("lake://small").read() == SMALL, "it is in memory"
    monkeypatch.setattr(filesystem, "_TAILS_BYTES", 70_000)
    StoreFilesystem.fetch_footers(files, ["lake://deep/er/large", "lake://small"], done.append)
    assert done == [1, 2, 1]


def test_ends_that_were_used_long_ago_leave_the_memory(
    files: StoreFilesystem, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "_TAILS_BYTES", 70_000)
    for _ in range(2):
        assert files.open("lake://small").read() == SMALL
        tail = files.open("lake://deep/er/large")
        tail.seek(-9, os.SEEK_END)
        assert tail.read() == LARGE[-9:]
    store.delete("small")
    with pytest.raises(FileNotFoundError):
        files.open("lake://small").read()


def test_there_are_only_the_files_that_were_given(files: StoreFilesystem) -> None:
    assert files.glob("lake://small") == ["lake://small"]
    assert files.exists("lake://small") and files.isfile("lake://small")
    for path in ("lake://*", "lake://none", "small"):
        assert files.glob(path) == []
        assert not files.exists(path) and not files.isfile(path)
        with pytest.raises(FileNotFoundError):
            files.open(path)
    with pytest.raises(FileNotFoundError):
        files.open("lake://small", "wb")


def test_a_file_that_is_gone_or_shorter_by_now_is_a_failure(
    files: StoreFilesystem, store: Store
) -> None:
    store.write("small", SMALL[1:])
    with pytest.raises(UserError, match="small has changed since the lake was listed"):
        files.open("lake://small").read()
    store.delete("deep/er/large")
    with pytest.raises(FileNotFoundError):
        files.open("lake://deep/er/large").read(10)
    assert "small has changed" in str(files.failure), "the first one is kept"


def test_duckdb_reads_through_it(files: StoreFilesystem) -> None:
    with duckdb.connect() as connection:
        connection.register_filesystem(files)
        read = "SELECT content FROM read_blob(['lake://small', 'lake://deep/er/large'])"
        assert sorted(connection.execute(read).fetchall()) == sorted([(SMALL,), (LARGE,)])
