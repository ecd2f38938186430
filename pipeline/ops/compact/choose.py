"""Which files of a partition are worth merging, and which together: pure rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from connectors.s3.storage import Stored
from pipeline.ops.readers.lake import Partition

TARGET_BYTES: Final = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A file below half of `target_bytes`, written `older_than_seconds` ago, is to be merged.

    Unless a partition has fewer of them than `min_files`.
    """

    target_bytes: int = TARGET_BYTES
    min_files: int = 8
    older_than_seconds: float = 600.0


def small_files(partition: Partition, limits: Limits, now_ms: int) -> list[Stored]:
    """The files to merge, the oldest first; those merged before come before all others."""
    closed_ms = now_ms - int(limits.older_than_seconds * 1000)
    found = [
        each
        for each in partition.current()
        if 2 * each.size < limits.target_bytes and (each.modified_ms or 0) <= closed_ms
    ]
    if len(found) < max(limits.min_files, 2):
        return []
    return sorted(found, key=lambda each: (each.modified_ms or 0, each.path))


def groups(files: Iterable[Stored], target_bytes: int) -> Iterator[list[Stored]]:
    """Neighbours whose bytes add up to the target; one file alone is left as it is."""
    group: list[Stored] = []
    for each in files:
        group.append(each)
        if sum(one.size for one in group) >= target_bytes:
            yield group
            group = []
    if len(group) > 1:
        yield group
