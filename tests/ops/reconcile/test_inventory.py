"""The lake's files by partition and size."""

from __future__ import annotations

from connectors.s3.store import Stored
from pipeline.ops.reconcile.inventory import LIMITS, inventory


def test_files_are_counted_by_partition_and_by_size() -> None:
    found = inventory(
        [
            Stored("trip/a/1", 10),
            Stored("trip/a/2", LIMITS[0]),
            Stored("_compacted/trip/b/3", LIMITS[-1]),
            Stored("trip/b/4", LIMITS[0] - 1),
            Stored("trip/c/5", 1),
        ],
        named=2,
    )
    assert (found.files, found.partitions) == (5, 3)
    assert [(part.name, part.files) for part in found.largest] == [("trip/b", 2), ("trip/a", 2)]
    assert (found.others.files, found.others.bytes) == (1, 1)
    assert [each.files for each in found.sizes] == [3, 1, 0, 0, 1]
    assert [(each.most, each.partitions) for each in found.by_files[:3]] == [(1, 1), (2, 2), (4, 0)]
    assert sum(each.bytes for each in found.sizes) == found.bytes


def test_partitions_are_counted_by_how_many_files_they_have() -> None:
    counts = (1, 1, 2, 3, 4, 5, 8, 9, 16, 17, 400)
    files = [Stored(f"trip/{n}/{m}", 1) for n, count in enumerate(counts) for m in range(count)]
    found = inventory(files)
    assert [(each.least, each.most, each.partitions) for each in found.by_files] == [
        *((1, 1, 2), (2, 2, 1), (3, 4, 2), (5, 8, 2), (9, 16, 2), (17, None, 2)),
    ]


def test_a_lake_without_files() -> None:
    found = inventory([])
    assert (found.files, found.bytes, found.partitions, found.largest) == (0, 0, 0, [])
