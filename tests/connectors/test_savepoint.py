"""Which operators are in a snapshot is read from its file `_metadata`, without Flink."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.flink.savepoint import holds, operator_id

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
OLD = sorted(GOLDEN.glob("savepoint-0.[12].*/savepoints/*/_metadata"))


@pytest.mark.parametrize(
    ("uid", "expected"),
    [  # Guava's Hashing.murmur3_128(0).hashString(uid, UTF_8), which Flink uses.
        ("", "00000000000000000000000000000000"),
        ("records_kafka", "f3a044a11ad7686e1503cba7c3a88870"),
        ("The quick brown fox jumps over the lazy dog", "6c1b07bc7bbc4be347939ac4a93c437a"),
    ],
)
def test_an_operators_id_is_the_hash_of_its_uid(uid: str, expected: str) -> None:
    assert operator_id(uid).hex() == expected


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.parts[-4])
def test_the_operators_of_a_savepoint_are_known(path: Path) -> None:
    metadata = path.read_bytes()
    for uid in (
        "records_kafka",
        "decode",
        "lake_trip-end",
        "archive-end",
        "dead_letters-end",
        "Sink Committer: replicate_green",
    ):
        assert holds(metadata, uid), uid
    for uid in ("records", "collect", "lake-files", "lake_trip-en", "index"):
        assert not holds(metadata, uid), uid


def test_two_versions_are_kept() -> None:
    assert len(OLD) == 2
