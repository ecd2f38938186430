"""Count the files of a lake by partition and by size, and partitions by their files.

A big lake has very many partitions, so only the largest are named; the others are one entry.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final

import msgspec

from connectors.s3.store import Stored
from pipeline.ops.lake.content import home

MIB: Final = 1024 * 1024
LIMITS: Final = (64 * 1024, MIB, 16 * MIB, 128 * MIB)
"""The bounds in bytes between classes of files; each belongs to the class above it."""
_FILES: Final = (1, 2, 4, 8, 16)
"""How many files the partitions of a class have at most; those of a last class have more."""
_NAMED: Final = 10


class Share(msgspec.Struct, kw_only=True):
    """Some of the files."""

    files: int = 0
    bytes: int = 0

    def add(self, files: int, size: int) -> None:
        """Count more files of that size in all."""
        self.files += files
        self.bytes += size


class Partition(Share, kw_only=True):
    """The files of one partition."""

    name: str


class SizeClass(Share, kw_only=True):
    """The files of at least `least` bytes and fewer than `below`; None means there is no bound."""

    least: int
    below: int | None


class FilesClass(msgspec.Struct, kw_only=True):
    """The partitions with at least `least` files and at most `most`; None means any number."""

    least: int
    most: int | None
    partitions: int = 0


class Inventory(Share, kw_only=True):
    """The files of a lake.

    `by_files` counts the partitions by how many files they have. `largest` are the partitions with
    the most bytes, descending; `others` are all the rest.
    """

    partitions: int
    by_files: list[FilesClass]
    largest: list[Partition]
    others: Share
    sizes: list[SizeClass]


def inventory(files: Iterable[Stored], named: int = _NAMED) -> Inventory:
    """Count files by partition, `named` of them by name, and by size."""
    partitions: dict[str, Partition] = {}
    sizes = [
        SizeClass(least=least, below=below)
        for least, below in zip((0, *LIMITS), (*LIMITS, None), strict=True)
    ]
    total, others = Share(), Share()
    for stored in files:
        name = home(stored.path).rpartition("/")[0]
        partitions.setdefault(name, Partition(name=name)).add(1, stored.size)
        sizes[bisect_right(LIMITS, stored.size)].add(1, stored.size)
        total.add(1, stored.size)
    by_files = [
        FilesClass(least=before + 1, most=most)
        for before, most in zip((0, *_FILES), (*_FILES, None), strict=True)
    ]
    for partition in partitions.values():
        by_files[bisect_left(_FILES, partition.files)].partitions += 1
    ordered = sorted(partitions.values(), key=lambda partition: (-partition.bytes, partition.name))
    for partition in ordered[named:]:
        others.add(partition.files, partition.bytes)
    return Inventory(
        files=total.files,
        bytes=total.bytes,
        partitions=len(partitions),
        by_files=by_files,
        largest=ordered[:named],
        others=others,
        sizes=sizes,
    )
