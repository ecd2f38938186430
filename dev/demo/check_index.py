"""Checks the index against the ledger: the newest version of every id, with its values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectors import checksums as content
from dev.demo.findings import Checked, Finding, at_ids, together
from dev.demo.ledger import Ledger
from dev.demo.read_index import IndexedDocuments

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Versions:
    """Every version of every id of one event type, by id and then by version, ascending.

    Where two events have one version the one that arrived later stands for it.
    """

    ids: Ints
    versions: Ints
    contents: content.Hashes
    rejected: Flags

    @staticmethod
    def of(ledger: Ledger, event_type: str, rejected: Flags) -> _Versions:
        mine = ledger.valid & (ledger.codes("event_type", [event_type]) == 0)
        ids, versions = ledger.numbers("trip_id")[mine], ledger.numbers("version_ms")[mine]
        order = np.lexsort((ledger.arrival[mine], versions, ids))
        ids, versions = ids[order], versions[order]
        last = np.append((np.diff(ids) != 0) | (np.diff(versions) != 0), True)[: len(ids)]
        return _Versions(
            ids[last],
            versions[last],
            ledger.numbers("content")[mine][order][last],
            rejected[mine][order][last],
        )

    def newest(self, among: Flags) -> tuple[Ints, Ints]:
        """The ids of those versions, each once and ascending, and the newest version of each."""
        ids, versions = self.ids[among], self.versions[among]
        last = np.append(np.diff(ids) != 0, True)[: len(ids)]
        return ids[last], versions[last]

    def line(self, ids: Ints, versions: Ints) -> Ints:
        """Where that version of that id stands; -1 for one that was never produced."""
        if not len(self.ids):
            return np.full(len(ids), -1)
        known, place = np.unique(self.ids, return_index=True)
        nearest = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        line = place[nearest]
        while True:  # As many turns as an id has versions: few.
            after = np.minimum(line + 1, len(self.ids) - 1)
            onward = (self.versions[line] < versions) & (self.ids[after] == ids) & (after != line)
            if not onward.any():
                break
            line = np.where(onward, after, line)
        return np.where((self.ids[line] == ids) & (self.versions[line] == versions), line, -1)


def check_index(ledger: Ledger, index: list[IndexedDocuments] | None, rejected: Flags) -> Checked:
    """Every id must be a document: its newest version, with the values sent.

    `rejected` marks the lines that are dead letters of the index step.  Such a version may be in
    the index or not; then any version from the newest one that wasn't rejected will do.
    """
    if index is None:
        return Checked({"index_docs": None})
    figures: dict[str, int] = {}
    by_type: list[list[Finding]] = []
    for documents in index:
        figures[documents.event_type] = len(documents.ids)
        versions = _Versions.of(ledger, documents.event_type, rejected)
        by_type.append(_of_type(documents, versions))
    findings = [together(list(same)) for same in zip(*by_type, strict=True)]
    return Checked({"index_docs": figures}, findings)


def _of_type(documents: IndexedDocuments, versions: _Versions) -> list[Finding]:
    due, oldest_allowed = versions.newest(~versions.rejected)
    known = np.unique(versions.ids)
    unexpected = ~np.isin(documents.ids, known)
    wrong = ~unexpected & ~_right(documents, versions, due=due, oldest=oldest_allowed)
    return [
        at_ids(
            "index_missing",
            "ids without a document",
            event_type=documents.event_type,
            ids=np.setdiff1d(due, documents.ids),
        ),
        at_ids(
            "index_unexpected",
            "documents of no valid event produced",
            event_type=documents.event_type,
            ids=documents.ids[unexpected],
        ),
        at_ids(
            "index_stale_wrong",
            "documents that aren't the newest version with its values",
            event_type=documents.event_type,
            ids=documents.ids[wrong],
        ),
    ]


def _right(documents: IndexedDocuments, versions: _Versions, *, due: Ints, oldest: Ints) -> Flags:
    if not len(versions.ids):
        return np.zeros(len(documents.ids), dtype=np.bool_)
    line = versions.line(documents.ids, documents.versions)
    same: Flags = (line >= 0) & (versions.contents[line] == documents.contents)
    if not len(due):
        return same
    nearest = np.minimum(np.searchsorted(due, documents.ids), len(due) - 1)
    stale = (due[nearest] == documents.ids) & (documents.versions < oldest[nearest])
    right: Flags = same & ~stale
    return right
