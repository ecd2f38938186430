"""Proves that what was produced is in every sink: nothing lost, doubled, damaged or misplaced.

The expectation is the ledger; the sinks are read by `read_*` without any code of the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectors.errors import UserError
from dev.demo.check_files import check_archive, check_lake
from dev.demo.check_index import check_index
from dev.demo.check_rejects import INDEX, REPLICATE, check_dead_letters, rejected_by
from dev.demo.check_replica import check_replica
from dev.demo.findings import Checked, Figure, Finding, Verdict
from dev.demo.ledger import Ledger
from dev.demo.made import CONTROL, EVENT
from dev.demo.read_archive import ArchiveRecords
from dev.demo.read_dead_letters import DeadLetters
from dev.demo.read_index import IndexedDocuments
from dev.demo.read_lake import LakeRows
from dev.demo.read_replica import ReplicaRecords


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaFound:
    """A replica as read, which lines of the ledger belong in it, and what it promised."""

    records: ReplicaRecords
    chosen: NDArray[np.bool_]
    exactly_once: bool


def verify(
    ledger: Ledger,
    *,
    event_types: list[str],
    archive: ArchiveRecords | None = None,
    lake: LakeRows | None = None,
    dead_letters: DeadLetters | None = None,
    index: list[IndexedDocuments] | None = None,
    replicas: Mapping[str, ReplicaFound] | None = None,
    exactly_once_archive: bool = True,
    exactly_once_dead_letters: bool = False,
) -> Verdict:
    """Compares every sink with the ledger; a sink left out is None and isn't checked.

    `event_types` must be the list that the lake was read with.
    """
    if not len(ledger):
        raise UserError("the ledger is empty: nothing was produced, so nothing can be verified")
    checks = [
        _produced(ledger),
        check_archive(ledger, archive, exactly_once=exactly_once_archive),
        check_lake(ledger, lake, event_types),
        check_dead_letters(ledger, dead_letters, exactly_once=exactly_once_dead_letters),
        check_index(ledger, index, rejected_by(INDEX, ledger, dead_letters)),
        *_replicas(ledger, replicas or {}, dead_letters),
    ]
    figures: dict[str, Figure] = dict.fromkeys(_FINDINGS)
    findings: list[Finding] = []
    for checked in checks:
        figures.update(checked.figures)
        figures.update({finding.name: finding.count for finding in checked.findings})
        findings += checked.findings
    return Verdict(figures, findings)


_FINDINGS = (
    *("archive_missing", "archive_duplicates", "archive_unexpected", "archive_damaged"),
    *("archive_wrong_partition", "lake_missing", "lake_duplicates", "lake_unexpected"),
    *("wrong_partition", "wrong_content", "dead_letters_missing", "dead_letters_duplicates"),
    *("dead_letters_unexpected", "dead_letters_wrong", "index_missing", "index_unexpected"),
    "index_stale_wrong",
)


def _replicas(
    ledger: Ledger, replicas: Mapping[str, ReplicaFound], letters: DeadLetters | None
) -> list[Checked]:
    return [
        check_replica(
            ledger,
            name,
            found.records,
            chosen=found.chosen,
            rejected=rejected_by(REPLICATE, ledger, letters, replica=name),
            exactly_once=found.exactly_once,
        )
        for name, found in replicas.items()
    ]


def _produced(ledger: Ledger) -> Checked:
    expected = ledger.counts("expect")
    return Checked(
        {
            "produced": len(ledger),
            "valid": expected.pop(EVENT, 0),
            "control": expected.pop(CONTROL, 0),
            "rejected": expected,
        }
    )
