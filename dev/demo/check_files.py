"""Checks the archive and the lake against the ledger; a row's identity is its source position."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.positions import Positions
from dev.demo.findings import Checked, Finding, at_positions
from dev.demo.ledger import Ledger
from dev.demo.read_archive import ArchiveRecords
from dev.demo.read_lake import LakeRows, partition_number


def check_archive(
    ledger: Ledger, archive: ArchiveRecords | None, *, exactly_once: bool = True
) -> Checked:
    """Every record must be in the archive once, byte for byte, under the hour of its arrival.

    A second copy is an error only where exactly-once was asked for.
    """
    if archive is None:
        return Checked(dict.fromkeys(("archive_records", "archive_files")))
    lines = ledger.lines(archive.positions)
    known = lines >= 0
    times = occurrences(ledger, lines)
    altered = ledger.numbers("digest")[lines] != archive.digests
    found = archive.positions
    findings = [
        missing(ledger, "archive_missing", times == 0),
        doubled(ledger, "archive_duplicates", times, is_error=exactly_once),
        at_positions(
            ledger, "archive_unexpected", "records that were never produced", found[~known]
        ),
        at_positions(ledger, "archive_damaged", "other bytes than sent", found[known & altered]),
        at_positions(
            ledger,
            "archive_wrong_partition",
            "archived under another hour than they arrived in",
            found[archive.misplaced],
        ),
    ]
    return Checked({"archive_records": len(found), "archive_files": archive.files}, findings)


def check_lake(ledger: Ledger, lake: LakeRows | None, event_types: list[str]) -> Checked:
    """Every valid event must be in the lake once, with its values, in its partition."""
    if lake is None:
        return Checked(dict.fromkeys(("lake_rows", "lake_files", "lake_bytes", "lake_partitions")))
    lines = ledger.lines(lake.positions)
    expected = (lines >= 0) & ledger.valid[lines]
    times = occurrences(ledger, lines[expected])
    other = ledger.numbers("content")[lines] != lake.contents
    elsewhere = home(ledger, event_types)[lines] != lake.partition
    found = lake.positions
    findings = [
        missing(ledger, "lake_missing", ledger.valid & (times == 0)),
        doubled(ledger, "lake_duplicates", times),
        at_positions(
            ledger, "lake_unexpected", "rows of no valid event produced", found[~expected]
        ),
        at_positions(
            ledger, "wrong_partition", "rows in another partition", found[expected & elsewhere]
        ),
        at_positions(
            ledger, "wrong_content", "rows with other values than sent", found[expected & other]
        ),
    ]
    figures = {
        "lake_rows": len(found),
        "lake_files": lake.files,
        "lake_bytes": lake.bytes,
        "lake_partitions": lake.partitions,
    }
    return Checked({**figures}, findings)


def home(ledger: Ledger, event_types: list[str]) -> NDArray[np.int64]:
    """The partition that each line belongs into."""
    months = ledger.numbers("pickup_ms").astype("datetime64[ms]").astype("datetime64[M]")
    since_1970 = months.astype(np.int64)
    number: NDArray[np.int64] = partition_number(
        ledger.codes("event_type", event_types),
        place=ledger.numbers("pickup_location_id").astype(np.int64),
        year=1970 + since_1970 // 12,
        month=since_1970 % 12 + 1,
    )
    return number


def occurrences(ledger: Ledger, lines: Positions) -> NDArray[Any]:
    """How often each line of the ledger occurs among these."""
    return np.bincount(lines[lines >= 0], minlength=len(ledger))


def missing(ledger: Ledger, name: str, lines: NDArray[np.bool_]) -> Finding:
    """The finding that these lines aren't where they should be."""
    return at_positions(ledger, name, "acknowledged but not there", ledger.positions[lines])


def doubled(ledger: Ledger, name: str, times: NDArray[Any], *, is_error: bool = True) -> Finding:
    """The finding of every occurrence beyond the first."""
    surplus = np.repeat(ledger.positions, np.maximum(times - 1, 0))
    return at_positions(ledger, name, "there more than once", surplus, is_error=is_error)
