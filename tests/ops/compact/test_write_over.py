"""The conditional write that every switch is: of many writers over one version one succeeds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from connectors.s3.objects import Objects, Tagged
from tests.ops.compact.lakes import Lakes, look_while

WRITERS = 6


def test_a_version_is_written_over_once(either: Lakes) -> None:
    objects, uri = either.objects, f"{either.uri}/record.json"
    assert objects.tagged(uri) is None
    assert objects.write_over(uri, b"first", None)
    assert not objects.write_over(uri, b"other first", None)
    first = objects.tagged(uri)
    assert first is not None and first.content == b"first"
    assert objects.write_over(uri, b"second", first)
    assert not objects.write_over(uri, b"other second", first)
    assert objects.write_over(uri, b"second", first), "it was done already"
    assert objects.read(uri) == b"second"
    objects.delete(uri)
    assert not objects.write_over(uri, b"third", first)


@pytest.mark.parametrize("there_before", [False, True])
def test_of_many_writers_at_once_one_succeeds(either: Lakes, there_before: bool) -> None:
    writers = [either.objects for _ in range(WRITERS)]
    for number in range(10):
        uri = f"{either.uri}/{number}.json"
        if there_before:
            writers[0].write(uri, b"before")
        won = _race(writers, uri, writers[0].tagged(uri))
        assert sum(won) == 1
        assert writers[0].read(uri) == b"%d" % won.index(True)


def _race(writers: list[Objects], uri: str, before: Tagged | None) -> list[bool]:
    start = Barrier(len(writers))

    def write(number: int) -> bool:
        start.wait()
        return writers[number].write_over(uri, b"%d" % number, before)

    with ThreadPoolExecutor(len(writers)) as pool:
        return list(pool.map(write, range(len(writers))))


def test_what_is_read_at_once_is_of_one_version(either: Lakes) -> None:
    versions = [b"short", b"long" * 5_000]
    uri, store, objects = f"{either.uri}/record.json", either.store, either.objects
    objects.write(uri, versions[0])

    def write() -> None:
        for number in range(200):
            objects.write(uri, versions[number % 2])

    def look() -> None:
        assert store.read_at_once("record.json") in versions

    look_while(write, look)
