"""From verdicts to the rows of the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from connectors.positions import Positions
from pipeline.events.event_types import EventType
from pipeline.ops.reconcile import ids, judge
from pipeline.ops.reconcile.attribute import Attributed
from pipeline.ops.reconcile.ids import Ids
from pipeline.ops.reconcile.places import Places
from pipeline.ops.reconcile.report import Kind, Row
from pipeline.ops.reconcile.seen import (
    DECODE,
    INDEX,
    REPLICATE,
    ArchiveRows,
    Documents,
    LakeRows,
    Letters,
)
from pipeline.ops.reconcile.truth import Truth


class Checks:
    """Makes rows of one reconciliation; `places` names the positions."""

    def __init__(self, places: Places, truth: Truth) -> None:
        self._places = places
        self._truth = truth

    def archive(self, archive: ArchiveRows, *, exactly_once: bool) -> Row:
        """Every record once, byte for byte, in the folder of its hour."""
        verdict = judge.judge_archive(self._truth, archive)
        compared = verdict.compared
        row = Row("archive", len(self._truth), len(archive.positions))
        self._at(row, "missing", compared.missing, "of the source but not in the archive")
        self._at(row, "doubled", compared.doubled, "there more than once", is_error=exactly_once)
        self._at(row, "unexpected", compared.unexpected, "of no record of the source")
        self._at(row, "wrong", verdict.wrong, "with other bytes than in the source")
        self._at(row, "misplaced", verdict.misplaced, "in another folder than that of their hour")
        if archive.hours is None:
            row.not_judged = ("misplaced",)
        return row

    def source(self, accounts: judge.Accounts, attributed: Attributed) -> Row:
        """Every record accounted for; what could be attributed is told of the sink instead."""
        unknown = np.setdiff1d(accounts.lost, attributed.known())
        row = Row("source", len(self._truth), len(self._truth) - len(unknown))
        row.figures = {
            "dead_letters": accounts.dead,
            "control": accounts.control + len(attributed.control),
            "redriven_copies": accounts.copies,
        }
        if accounts.aggregated:
            row.figures["aggregated_not_judged"] = accounts.aggregated
        where = (
            "neither in the lake nor among the dead letters (which of the two lacks it isn't known)"
        )
        self._at(row, "missing", unknown, where)
        return row

    def lake(self, lake: LakeRows, accounts: judge.Accounts, attributed: Attributed) -> Row:
        """Each event once, in its folder, with its values."""
        verdict = judge.judge_lake(self._truth, lake)
        rejected = sum(map(len, attributed.rejects.values())) + len(attributed.control)
        spared = accounts.dead + accounts.control + accounts.copies + accounts.aggregated
        unknown = len(np.setdiff1d(accounts.lost, attributed.known()))
        row = Row("lake", len(self._truth) - spared - rejected - unknown, len(lake))
        for name, lost in attributed.events.items():
            self._at(row, "missing", _array(lost), f"{name} events not in the lake")
        self._at(row, "doubled", verdict.doubled, "there more than once")
        both = "in the lake and among the dead letters of decode"
        self._at(row, "doubled", accounts.twice, both)
        self._at(row, "unexpected", verdict.unexpected, "rows of no record that belongs there")
        self._at(row, "misplaced", verdict.misplaced, "in another folder than their own values say")
        self._at(row, "wrong", verdict.wrong, "with other values than in the source")
        if verdict.unvalued:
            row.figures["values_not_compared"] = verdict.unvalued
        return row

    def letters(
        self,
        letters: Letters,
        accounts: judge.Accounts | None,
        attributed: Attributed,
        *,
        exactly_once: bool,
    ) -> Row:
        """Each reject there, of a record of the source, with its bytes."""
        verdict = judge.judge_letters(self._truth, letters)
        lost = sum(map(len, attributed.rejects.values()))
        decoded = int((letters.steps == DECODE).sum())
        row = Row("dead_letters", (accounts.dead if accounts else 0) + lost, decoded)
        row.figures["of_index"] = int((letters.steps == INDEX).sum())
        row.figures["of_replicate"] = int((letters.steps == REPLICATE).sum())
        for reason, numbers in sorted(attributed.rejects.items()):
            meaning = f"rejected by decode as {reason} but no dead letter"
            self._at(row, "missing", _array(numbers), meaning, reason=reason)
        self._at(row, "doubled", verdict.doubled, "there more than once", is_error=exactly_once)
        self._at(row, "unexpected", verdict.unexpected, "of no record of the source")
        self._at(row, "wrong", verdict.wrong, "with other bytes than in the source")
        return row

    def index(
        self,
        event_type: EventType,
        rows: LakeRows,
        documents: Documents,
        verdict: judge.IndexVerdict,
        texts: Callable[[Ids], dict[int, str]],
        *,
        whole: bool,
    ) -> Row:
        """Each id a document, of its newest version and with that version's values."""
        row = Row(f"index.{event_type.name}", verdict.due, len(documents.ids))
        row.not_judged = ("misplaced", "doubled")
        row.figures["waiting_for_redrive"] = verdict.waiting
        tell = partial(self._ids, event_type, rows, texts)
        row.add("missing", len(verdict.missing), "ids without a document", tell(verdict.missing))
        stale = "documents older than the lake's newest row of the id"
        row.add("wrong", len(verdict.stale), stale, tell(verdict.stale))
        other = "documents with other values than the lake's row of that version"
        row.add("wrong", len(verdict.wrong), other, tell(verdict.wrong))
        if whole:
            strange = "documents of no row of the lake"
            row.add("unexpected", len(verdict.unexpected), strange, tell(verdict.unexpected))
        else:
            row.not_judged = (*row.not_judged, "unexpected")
        return row

    def replica(
        self, name: str, found: int, verdict: judge.ReplicaVerdict, *, exactly_once: bool
    ) -> Row:
        """Each event there, once where that was promised, with its values."""
        row = Row(f"replicate.{name}", verdict.due, found, not_judged=("misplaced",))
        compared = verdict.compared
        self._at(row, "missing", compared.missing, "in the lake but not in the replica")
        self._at(row, "doubled", compared.doubled, "there more than once", is_error=exactly_once)
        self._at(row, "unexpected", compared.unexpected, "events of no row of the lake")
        self._at(row, "wrong", verdict.wrong, "with other values or bytes than due")
        return row

    def _at(
        self,
        row: Row,
        kind: Kind,
        numbers: Positions,
        meaning: str,
        *,
        is_error: bool = True,
        reason: str = "",
    ) -> None:
        name = partial(self._places.ranges, numbers)
        row.add(kind, len(numbers), meaning, name, is_error=is_error, reason=reason)

    def _ids(
        self,
        event_type: EventType,
        rows: LakeRows,
        texts: Callable[[Ids], dict[int, str]],
        wanted: Ids,
    ) -> Callable[[], Iterable[str]]:
        """`trip 4071001`; an id that is a text by its row's position where the index lacks it."""

        def names() -> Iterable[str]:
            ordered = np.sort(wanted)
            if ids.is_number(event_type):
                return (f"{event_type.name} {number}" for number in ordered.tolist())
            known = texts(ordered)
            return (self._id(event_type, rows, known, number) for number in ordered.tolist())

        return names

    def _id(self, event_type: EventType, rows: LakeRows, known: dict[int, str], number: int) -> str:
        if number in known:
            return f"{event_type.name} {known[number]}"
        at = rows.positions[rows.keys()[0] == number]
        return f"{event_type.name} of {self._places.describe(int(at[-1]))}"


def _array(numbers: list[int]) -> Positions:
    return np.array(numbers, dtype=np.int64)
