"""The rules alone: random loss, doubling and damage is named exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.downstream import Downstream
from pipeline.ops.reconcile.report import Row
from pipeline.ops.reconcile.rules import Rules
from tests.ops.reconcile.plant import apart, workspace

SIZE = 60
ON_KINESIS = 3
NUMBERS = st.integers(0, SIZE - 1)
SOME = st.sets(NUMBERS, max_size=12)
STRANGE = range(1000, 1050)
EMPTY: frozenset[int] = frozenset()
UNHURRIED = settings(deadline=None)
Sets = set[int] | frozenset[int]


def at(row: int) -> dict[str, Any]:
    """The position of a record: the first few in a shard, the others in a partition."""
    if row < ON_KINESIS:
        return {"part": 2, "number": 7_000_000 + row, "sequence": str(row)}
    return {"part": 1, "number": row, "sequence": None}


def rows_named(names: Iterable[str]) -> set[int]:
    return {int(one.rpartition("@")[2]) for name in names for one in apart(name)}


class Desk:
    """A database with the rules' tables, which `fill` fills."""

    def __init__(self) -> None:
        self.database = Database()
        ws = workspace(self.database)
        parts = "(1, 'topic', 0, ''), (2, 'stream', -1, 'shard')"
        self.database.run(f"INSERT INTO parts VALUES {parts}")
        self.rules = Rules(self.database, ws.findings, with_values=True)
        self.downstream = Downstream(ws)
        # Nothing is committed: an fsync for each statement takes longer than all the rules do.
        self.database.run("BEGIN")

    def fill(self, table: str, rows: list[dict[str, Any]]) -> None:
        self.database.run(f"DELETE FROM {table}")
        if rows:
            self.database.present("incoming", pa.Table.from_pylist(rows))
            self.database.run(f"INSERT INTO {table} BY NAME FROM incoming")

    def expect(
        self,
        *,
        control: Sets = EMPTY,
        copies: Sets = EMPTY,
        aggregated: Sets = EMPTY,
        size: int = SIZE,
    ) -> None:
        self.fill("letters", [])
        rows = range(size)
        self.fill("expected", [
            at(row) | {
                "digest": row + 7, "hour": 5, "event_type": "trip", "content": row * 3,
                "is_copy": row in copies, "is_control": row in control,
                "aggregated": row in aggregated, "is_head": False,
            }
            for row in rows
        ])  # fmt: skip

    def lake(self, rows: Iterable[int], moved: Sets = EMPTY, altered: Sets = EMPTY) -> None:
        self.fill("lake", [
            at(row) | {
                "event_type": "trip", "misplaced": row in moved,
                "content": row * 3 + (row in altered), "unknown": 0,
                "id": str(row // 2), "version": row % 2,
            }
            for row in rows
        ])  # fmt: skip

    def letters(self, rows: Iterable[int], step: str = "decode", replica: str = "") -> None:
        self.fill("letters", [
            at(row) | {"digest": row + 7, "step": step, "replica": replica} for row in rows
        ])  # fmt: skip

    def judged_lake(self) -> tuple[Row, Row]:
        """The rows of source and lake."""
        self.rules.compare_lake()
        return self.rules.source(), self.rules.lake()


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.database.close()


def found(row: Row) -> dict[str, set[int]]:
    """The rows of what is wrong, by kind; each must be counted as often as it is named or more."""
    named: dict[str, set[int]] = {}
    for finding in row.findings:
        assert finding.count >= len(rows_named(finding.names()))
        named.setdefault(finding.kind, set()).update(rows_named(finding.names()))
    return named


def nonempty(**kinds: Sets) -> dict[str, Sets]:
    return {kind: rows for kind, rows in kinds.items() if rows}


@UNHURRIED
@given(lost=SOME, again=SOME, strange=st.sets(st.sampled_from(STRANGE)), altered=SOME, moved=SOME,
       seed=st.integers())  # fmt: skip
def test_damage_in_the_archive_is_named(
    desk: Desk, lost: set[int], again: set[int], strange: set[int], altered: set[int],
    moved: set[int], seed: int
) -> None:  # fmt: skip
    desk.expect()
    rows = [row for row in [*range(SIZE), *again] if row not in lost] + list(strange)
    Random(seed).shuffle(rows)
    desk.fill("archive", [
        at(row) | {"digest": row + 7 + (row in altered), "folder_hour": 5 + (row in moved)}
        for row in rows
    ])  # fmt: skip
    assert desk.rules.compare_archive() == len(lost)
    row = desk.rules.archive(exactly_once=True, has_folders=True)
    assert found(row) == nonempty(
        missing=lost,
        doubled=again - lost,
        unexpected=strange,
        wrong=altered - lost,
        misplaced=moved - lost,
    )
    assert row.count("doubled") == len(again - lost)


@UNHURRIED
@given(dead=SOME, control=SOME, copies=SOME, lost=SOME, both=SOME)
def test_each_record_is_accounted_for_once(
    desk: Desk, dead: set[int], control: set[int], copies: set[int], lost: set[int], both: set[int]
) -> None:
    control -= dead | both
    copies -= dead | control | both
    lost -= dead | control | copies | both
    events = set(range(SIZE)) - (dead - both) - control - copies - lost
    desk.expect(control=control, copies=copies)
    desk.lake(sorted(events))
    desk.letters(sorted(dead | both))
    source, lake_row = desk.judged_lake()
    assert found(source) == nonempty(missing=lost)
    assert found(lake_row) == nonempty(doubled=both)
    figures = source.figures
    assert (figures["control"], figures["redriven_copies"]) == (len(control), len(copies))


@UNHURRIED
@given(again=SOME, altered=SOME, moved=SOME, copies=SOME)
def test_rows_of_the_lake_are_named(
    desk: Desk, again: set[int], altered: set[int], moved: set[int], copies: set[int]
) -> None:
    desk.expect(copies=copies)
    desk.lake(sorted([*range(SIZE), *again]), moved, altered)
    _, row = desk.judged_lake()
    assert found(row) == nonempty(
        doubled=again - copies, unexpected=copies, misplaced=moved, wrong=altered - copies
    )


@UNHURRIED
@given(again=SOME, strange=st.booleans())
def test_dead_letters_are_named(desk: Desk, again: set[int], strange: bool) -> None:
    desk.expect()
    rows = [*range(SIZE), *again]
    if strange:
        rows[0] = 5000
    desk.letters(rows)
    twice = again - ({0} if strange else set())
    expected = nonempty(doubled=twice, unexpected={5000} if strange else EMPTY)
    once = desk.rules.letters(exactly_once=True)
    assert found(once) == expected
    desk.database.run("INSERT INTO letters SELECT * REPLACE ('index' AS step) FROM letters")
    other_step = desk.rules.letters(exactly_once=True)
    assert found(other_step) == expected
    assert other_step.count("doubled") == 2 * (once.count("doubled") or 0)


@UNHURRIED
@given(lost=SOME, stale=SOME, altered=SOME, waiting=SOME)
def test_documents_are_named(
    desk: Desk, lost: set[int], stale: set[int], altered: set[int], waiting: set[int]
) -> None:
    """Each id has two versions, 0 and 1; a document should have version 1."""
    lost, stale, altered = ({row // 2 for row in each} for each in (lost, stale, altered))
    altered -= stale
    desk.expect()
    desk.lake(range(SIZE))
    desk.letters(waiting, step="index")
    numbers = [number for number in range(SIZE // 2) if number not in lost]
    versions = {number: int(number not in stale) for number in numbers}
    desk.downstream.due_documents("trip")
    desk.fill("documents", [
        {"id": str(number), "version": versions[number],
         "content": (number * 2 + versions[number]) * 3 + (number in altered)}
        for number in numbers
    ])  # fmt: skip
    row = desk.downstream.documents("trip", whole=True)
    spared_all = {n for n in range(SIZE // 2) if {2 * n, 2 * n + 1} <= waiting}
    spared_last = {n for n in range(SIZE // 2) if 2 * n + 1 in waiting}
    assert named_ids(row) == nonempty(
        missing=lost - spared_all, wrong=(stale - lost - spared_last) | (altered - lost)
    )
    assert row.due == SIZE // 2 - len(spared_all)


def named_ids(row: Row) -> dict[str, set[int]]:
    named: dict[str, set[int]] = {}
    for one in row.findings:
        ids = {int(name.removeprefix("trip ")) for name in one.names()}
        named.setdefault(one.kind, set()).update(ids)
    return named


def test_a_newer_document_is_fine_and_a_stranger_is_reported(desk: Desk) -> None:
    desk.expect()
    desk.lake([0, 1, 2, 3])
    desk.downstream.due_documents("trip")
    documents = [("0", 5, 1), ("1", 1, 9), ("9", 1, 1)]
    desk.fill(
        "documents",
        [
            {"id": id_, "version": version, "content": content}
            for id_, version, content in documents
        ],
    )
    row = desk.downstream.documents("trip", whole=True)
    assert named_ids(row) == {"unexpected": {0, 9}}
    assert "unexpected" not in named_ids(desk.downstream.documents("trip", whole=False))


def test_aggregated_records_are_not_judged(desk: Desk) -> None:
    desk.expect(aggregated={3})
    desk.lake([0, 3, 3, 3, *range(4, SIZE)])
    desk.letters([1, 2])
    source, lake_row = desk.judged_lake()
    assert (found(source), found(lake_row)) == ({}, {})
    assert source.figures["aggregated_not_judged"] == 1


def test_of_nothing_nothing_is_wrong(desk: Desk) -> None:
    desk.expect(size=0)
    desk.lake([])
    assert found(desk.judged_lake()[0]) == {}
    desk.lake([1])
    assert found(desk.judged_lake()[1]) == {"unexpected": {1}}
    desk.letters([1])
    assert found(desk.rules.letters(exactly_once=True)) == {"unexpected": {1}}


@UNHURRIED
@given(lost=SOME, again=SOME, altered=SOME, waiting=SOME, copies=SOME)
def test_a_replica_is_named(
    desk: Desk, lost: set[int], again: set[int], altered: set[int], waiting: set[int],
    copies: set[int]
) -> None:  # fmt: skip
    desk.expect(copies=copies)
    desk.lake(row for row in range(SIZE) if row not in copies)
    desk.letters(waiting, step="replicate", replica="all")
    rows = [row for row in [*range(SIZE), *again] if row not in lost]
    desk.downstream.due_events("all", ["trip"])
    desk.fill("replica", [
        at(row) | {"digest": row + 7, "content": row * 3 + (row in altered)} for row in rows
    ])  # fmt: skip
    missing = lost - waiting - copies
    assert desk.downstream.find_missing(by_position=True) == len(missing)
    row = desk.downstream.replica("all", by_position=True, exactly_once=True, values=True, raw=True)
    assert found(row) == nonempty(
        missing=missing,
        doubled=again - lost - waiting - copies,
        wrong=altered - lost - copies,
    )
    assert row.figures["refused"] == len(waiting)


def test_a_raw_replica_with_other_bytes_is_wrong(desk: Desk) -> None:
    desk.expect()
    desk.lake(range(SIZE))
    desk.downstream.due_events("all", ["trip"])
    desk.fill("replica", [
        at(row) | {"digest": row + 7 + (row == 5), "content": row * 3} for row in range(SIZE)
    ])  # fmt: skip
    assert desk.downstream.find_missing(by_position=True) == 0
    judged = desk.downstream.replica(
        "all", by_position=True, exactly_once=True, values=True, raw=True
    )
    assert found(judged) == {"wrong": {5}}
    judged = desk.downstream.replica(
        "all", by_position=True, exactly_once=True, values=True, raw=False
    )
    assert found(judged) == {}
