"""Pure rules: which files of a partition to merge, and which together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from connectors.s3.store import Stored
from pipeline.ops.lake.content import Partition

TARGET_BYTES: Final = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Merge files below half of `target_bytes`, written at least `older_than_seconds` ago.

    A partition with fewer than `min_files` such files is left alone.
    """

    target_bytes: int = TARGET_BYTES
    min_files: int = 8
    older_than_seconds: float = 600.0


def small_files(partition: Partition, limits: Limits, now_ms: int) -> list[Stored]:
    """Return the files to merge, oldest first; earlier merged files come first of all."""
    closed_ms = now_ms - int(limits.older_than_seconds * 1000)
    small = [
        each
        for each in partition.current()
        if 2 * each.size < limits.target_bytes and (each.modified_ms or 0) <= closed_ms
    ]
    if len(small) < max(limits.min_files, 2):
        return []
    return sorted(small, key=lambda each: (each.modified_ms or 0, each.path))


def groups(files: Iterable[Stored], target_bytes: int) -> Iterator[list[Stored]]:
    """Yield neighbours whose sizes add up to the target; a single file is left as it is."""
    group: list[Stored] = []
    for each in files:
        group.append(each)
        if sum(one.size for one in group) >= target_bytes:
            yield group
            group = []
    if len(group) > 1:
        yield group
