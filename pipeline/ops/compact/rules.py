"""Pure rules: what to compact, which files of a partition to merge, and which to delete for good.

A replaced file may be deleted when its rows have been in a merged file for the grace period, so
that a query that planned with it can end. Its entry leaves the record a grace period later, and
only when the file is gone: a listing that still has the file never meets a record without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from connectors.s3.store import Stored
from pipeline.ops.lake.content import Partition, Record

TARGET_BYTES: Final = 128 * 1024 * 1024
_ORPHAN_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to do, and where: `below` are event types or partitions; empty: all.

    Merge files below half of `target_bytes`, written at least `older_than_seconds` ago; a partition
    with fewer than `min_files` such files is left alone.
    """

    below: tuple[str, ...] = ()
    target_bytes: int = TARGET_BYTES
    min_files: int = 8
    older_than_seconds: float = 600.0
    clean: bool = False
    grace_seconds: float = 86_400.0
    manifests: bool = False


def small_files(partition: Partition, request: Request, now_ms: int) -> list[Stored]:
    """Return the files to merge, oldest first; earlier merged files come first of all."""
    closed_ms = now_ms - int(request.older_than_seconds * 1000)
    small = [
        each
        for each in partition.current()
        if 2 * each.size < request.target_bytes and (each.modified_ms or 0) <= closed_ms
    ]
    if len(small) < max(request.min_files, 2):
        return []
    return sorted(small, key=lambda each: (each.modified_ms or 0, each.path))


@dataclass(frozen=True, slots=True)
class Rubbish:
    """Paths to delete, and the record to write afterwards; None: it stays as it is.

    `missing`: current files that were not listed; while there are any, nothing may be deleted.
    """

    paths: tuple[str, ...] = ()
    record: Record | None = None
    missing: tuple[str, ...] = ()


def rubbish(partition: Partition, request: Request, now_ms: int) -> Rubbish:
    """Return replaced files and entries whose grace period is over, and orphans.

    Orphans are merged files that no record names, left by runs interrupted before the switch. They
    are at least an hour old: a younger one may belong to a run that is about to switch. Files were
    listed before the record was read, so the record names those that switched meanwhile.
    """
    record, grace_ms = partition.record, int(request.grace_seconds * 1000)
    listed = {each.path for each in (*partition.visible, *partition.made)}
    missing = tuple(each.path for each in record.files if each.path not in listed)
    if missing or record.held:
        return Rubbish(missing=missing)
    over = [each for each in record.replaced if each.since_ms + grace_ms <= now_ms]
    gone = {
        each.path
        for each in over
        if each.since_ms + 2 * grace_ms <= now_ms and each.path not in listed
    }
    known = {each.path for each in record.files} | {each.path for each in record.replaced}
    orphan_ms = now_ms - max(grace_ms, _ORPHAN_MS)
    orphans = (
        each.path
        for each in partition.made
        if each.path not in known and each.modified_ms and each.modified_ms <= orphan_ms
    )
    remaining = tuple(each for each in record.replaced if each.path not in gone)
    return Rubbish(
        paths=(*(each.path for each in over if each.path in listed), *orphans),
        record=msgspec.structs.replace(record, replaced=remaining) if gone else None,
    )
