"""Pure rules: which files of a partition may be deleted for good.

A replaced file may be deleted when its rows have been in a merged file for the grace period, so
that a query that planned with it can end. Its entry leaves the record a grace period later, and
only when the file is gone: a listing that still has the file never meets a record without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from pipeline.ops.lake.content import Partition, Record

_ORPHAN_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Rubbish:
    """Paths to delete, and the record to write afterwards; None: it stays as it is.

    `missing`: current files that were not listed; while there are any, nothing may be deleted.
    """

    paths: tuple[str, ...] = ()
    record: Record | None = None
    missing: tuple[str, ...] = ()


def rubbish(partition: Partition, *, now_ms: int, grace_seconds: float) -> Rubbish:
    """Return replaced files and entries whose grace period is over, and orphans."""
    record, grace_ms = partition.record, int(grace_seconds * 1000)
    there = {each.path for each in (*partition.visible, *partition.made)}
    missing = tuple(each.path for each in record.files if each.path not in there)
    if missing or record.held:
        return Rubbish(missing=missing)
    over = [each for each in record.replaced if each.since_ms + grace_ms <= now_ms]
    gone = {
        each.path
        for each in over
        if each.since_ms + 2 * grace_ms <= now_ms and each.path not in there
    }
    kept = tuple(each for each in record.replaced if each.path not in gone)
    return Rubbish(
        paths=(
            *(each.path for each in over if each.path in there),
            *_orphans(partition, now_ms - max(grace_ms, _ORPHAN_MS)),
        ),
        record=msgspec.structs.replace(record, replaced=kept) if gone else None,
    )


def _orphans(partition: Partition, until_ms: int) -> Iterator[str]:
    """Yield merged files that no record names, left by runs interrupted before the switch.

    They are at least an hour old: a younger one may belong to a run that is about to switch. Files
    were listed before the record was read, so the record names those that switched meanwhile.
    """
    record = partition.record
    known = {each.path for each in record.files} | {each.path for each in record.replaced}
    for each in partition.made:
        written_ms = each.modified_ms or until_ms + 1
        if each.path not in known and written_ms <= until_ms:
            yield each.path
