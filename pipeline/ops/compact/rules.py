"""Pure rules: what to compact, which files of a partition to merge, and which to delete for good.

A replaced file may be deleted when its rows have been in a merged file for the grace period, so
that a query planned with it can finish. Its entry leaves the record a grace period later, and only
when the file is gone: a listing that still has the file never meets a record without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from connectors.s3.store import Stored
    from pipeline.ops.lake.content import Partition, Record

TARGET_BYTES: Final = 128 * 1024 * 1024
_ORPHAN_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to do, and where: `below` names event types or partitions; empty means all.

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
    """Return the files to merge, oldest first; files merged earlier come before all others."""
    closed_ms = now_ms - int(request.older_than_seconds * 1000)
    small = [
        stored
        for stored in partition.current()
        if 2 * stored.size < request.target_bytes and (stored.modified_ms or 0) <= closed_ms
    ]
    if len(small) < max(request.min_files, 2):
        return []
    return sorted(small, key=lambda stored: (stored.modified_ms or 0, stored.path))


@dataclass(frozen=True, slots=True)
class Rubbish:
    """Paths to delete, and the record to write afterwards; None: leave it unchanged.

    `missing` are current files that were not listed; while there are any, delete nothing.
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
    listed = {stored.path for stored in (*partition.visible, *partition.written)}
    missing = tuple(merged.path for merged in record.files if merged.path not in listed)
    if missing or record.held:
        return Rubbish(missing=missing)
    over = [entry for entry in record.replaced if entry.since_ms + grace_ms <= now_ms]
    gone = {
        entry.path
        for entry in over
        if entry.since_ms + 2 * grace_ms <= now_ms and entry.path not in listed
    }
    known = {merged.path for merged in record.files} | {entry.path for entry in record.replaced}
    orphan_ms = now_ms - max(grace_ms, _ORPHAN_MS)
    orphans = (
        stored.path
        for stored in partition.written
        if stored.path not in known and stored.modified_ms and stored.modified_ms <= orphan_ms
    )
    remaining = tuple(entry for entry in record.replaced if entry.path not in gone)
    return Rubbish(
        paths=(*(entry.path for entry in over if entry.path in listed), *orphans),
        record=msgspec.structs.replace(record, replaced=remaining) if gone else None,
    )
