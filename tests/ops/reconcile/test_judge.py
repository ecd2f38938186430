"""The rules alone: random loss, doubling and damage is named exactly."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.ops.reconcile import judge
from pipeline.ops.reconcile.seen import DECODE, INDEX, ArchiveRows, Documents, LakeRows, Letters
from pipeline.ops.reconcile.source import AGGREGATED, CONTROL, COPY, VALUED
from pipeline.ops.reconcile.truth import Truth

SIZE = 60
NUMBERS = st.integers(0, SIZE - 1)
SOME = st.sets(NUMBERS, max_size=12)
OFFSETS = [*range(-5, -2), *range(100, 100 + SIZE - 3)]
POSITIONS = np.array(OFFSETS, dtype=np.int64)


def truth(flags: NDArray[np.uint8] | None = None) -> Truth:
    numbers = np.arange(SIZE)
    return Truth(
        positions=POSITIONS,
        digests=numbers.astype(np.uint64) + np.uint64(7),
        hours=np.full(SIZE, 5, np.int32),
        flags=np.full(SIZE, VALUED, np.uint8) if flags is None else flags,
        contents=numbers.astype(np.uint64) * np.uint64(3),
    )


def lake(rows: list[int]) -> LakeRows:
    at = np.array(rows, dtype=np.int64)
    part = LakeRows(
        positions=POSITIONS[at],
        types=np.zeros(len(at), np.int8),
        misplaced=np.zeros(len(at), np.bool_),
        contents=at.astype(np.uint64) * np.uint64(3),
        extras=np.zeros(len(at), np.uint64),
        ids=at // 2,
        versions=at % 2,
    )
    return LakeRows.of([part])


def letters(rows: list[int], step: int = DECODE) -> Letters:
    at = np.array(rows, dtype=np.int64)
    steps, replicas = np.full(len(at), step, np.uint8), np.full(len(at), -1, np.int8)
    return Letters.of(POSITIONS[at], at.astype(np.uint64) + np.uint64(7), steps, replicas)


def at(rows: set[int]) -> list[int]:
    return sorted(POSITIONS[list(rows)].tolist()) if rows else []


def named(numbers: NDArray[np.int64]) -> list[int]:
    return sorted(numbers.tolist())


@given(lost=SOME, again=SOME, strange=st.sets(st.integers(1000, 1050)), order=st.randoms())
def test_loss_doubling_and_strangers_are_named(
    lost: set[int], again: set[int], strange: set[int], order: object
) -> None:
    found = [*POSITIONS.tolist(), *POSITIONS[list(again)].tolist(), *strange]
    found = [number for number in found if number not in at(lost)]
    order.shuffle(found)  # type: ignore[attr-defined]
    compared = judge.compare(POSITIONS, np.array(found, dtype=np.int64))
    assert named(compared.missing) == at(lost)
    assert named(compared.doubled) == at(again - lost)
    assert named(compared.unexpected) == sorted(strange)


@given(lost=SOME, again=SOME, altered=SOME, moved=SOME)
def test_damage_in_the_archive_is_named(
    lost: set[int], again: set[int], altered: set[int], moved: set[int]
) -> None:
    rows = [*range(SIZE), *again]
    rows = [row for row in rows if row not in lost]
    index = np.array(rows, dtype=np.int64)
    digests = truth().digests[index].copy()
    hours = np.full(len(rows), 5, np.int32)
    for place, row in enumerate(rows):
        digests[place] += np.uint64(row in altered)
        hours[place] += row in moved
    found = ArchiveRows(positions=POSITIONS[index], digests=digests, hours=hours)
    verdict = judge.judge_archive(truth(), found)
    assert named(verdict.compared.missing) == at(lost)
    assert named(verdict.compared.doubled) == at(again - lost)
    assert sorted(set(named(verdict.wrong))) == at(altered - lost)
    assert sorted(set(named(verdict.misplaced))) == at(moved - lost)


@given(dead=SOME, control=SOME, copies=SOME, lost=SOME, both=SOME)
def test_each_record_is_accounted_for_once(
    dead: set[int], control: set[int], copies: set[int], lost: set[int], both: set[int]
) -> None:
    control -= dead | both
    copies -= dead | control | both
    flags = np.zeros(SIZE, np.uint8)
    flags[list(control)] = CONTROL
    flags[list(copies)] = COPY
    lost -= dead | control | copies | both
    events = set(range(SIZE)) - (dead - both) - control - copies - lost
    accounts = judge.judge_accounts(
        truth(flags), lake(sorted(events)), letters(sorted(dead | both))
    )
    assert named(accounts.lost) == at(lost)
    assert named(accounts.twice) == at(both)
    assert (accounts.control, accounts.copies) == (len(control), len(copies))


@given(again=SOME, altered=SOME, moved=SOME, copies=SOME)
def test_rows_of_the_lake_are_named(
    again: set[int], altered: set[int], moved: set[int], copies: set[int]
) -> None:
    flags = np.full(SIZE, VALUED, np.uint8)
    flags[list(copies)] |= COPY
    rows = lake(sorted([*range(SIZE), *again]))
    ids, versions = rows.keys()
    numbers = ids * 2 + versions
    rows.misplaced[:] = np.isin(numbers, list(moved))
    rows.contents[np.isin(numbers, list(altered))] += np.uint64(1)
    verdict = judge.judge_lake(truth(flags), rows)
    assert named(verdict.doubled) == at(again - copies)
    assert sorted(set(named(verdict.unexpected))) == at(copies)
    assert sorted(set(named(verdict.misplaced))) == at(moved)
    assert sorted(set(named(verdict.wrong))) == at(altered - copies)


@given(again=SOME, strange=st.booleans())
def test_dead_letters_are_named(again: set[int], strange: bool) -> None:
    found = letters([*range(SIZE), *again])
    if strange:
        found.positions[0] = 5000
    verdict = judge.judge_letters(truth(), found)
    assert named(verdict.doubled) == at(again - ({0} if strange else set()))
    assert named(verdict.unexpected) == ([5000] if strange else [])
    assert not len(verdict.wrong)
    twice = Letters.of(
        np.concatenate([found.positions, found.positions]),
        np.concatenate([found.digests, found.digests]),
        np.concatenate([found.steps, np.full(len(found), INDEX, np.uint8)]),
        np.concatenate([found.replicas, found.replicas]),
    )
    once = named(verdict.doubled)
    assert named(judge.judge_letters(truth(), twice).doubled) == sorted([*once, *once])


@given(lost=SOME, stale=SOME, altered=SOME, waiting=SOME)
def test_documents_are_named(
    lost: set[int], stale: set[int], altered: set[int], waiting: set[int]
) -> None:
    """Each id has two versions, 0 and 1; a document should have version 1."""
    lost, stale, altered = ({row // 2 for row in each} for each in (lost, stale, altered))
    altered -= stale
    rows = lake(list(range(SIZE)))
    ids = np.array([number for number in range(SIZE // 2) if number not in lost], dtype=np.int64)
    versions = np.array([int(number not in stale) for number in ids.tolist()], dtype=np.int64)
    contents = (ids * 2 + versions).astype(np.uint64) * np.uint64(3)
    contents[np.isin(ids, list(altered))] += np.uint64(1)
    found = Documents(ids=ids, versions=versions, contents=contents)
    verdict = judge.judge_index(rows, POSITIONS[list(waiting)], found)
    spared_all = {n for n in range(SIZE // 2) if {2 * n, 2 * n + 1} <= waiting}
    spared_last = {n for n in range(SIZE // 2) if 2 * n + 1 in waiting}
    assert named(verdict.missing) == sorted(lost - spared_all)
    assert named(verdict.stale) == sorted(stale - lost - spared_last)
    assert named(verdict.wrong) == sorted(altered - lost)
    assert not len(verdict.unexpected)
    assert verdict.due == SIZE // 2 - len(spared_all)


def test_a_newer_document_is_fine_and_a_stranger_is_told() -> None:
    rows = lake([0, 1, 2, 3])
    ids, versions = np.array([0, 1, 9]), np.array([5, 1, 1])
    contents = np.array([1, 9, 1], np.uint64)
    verdict = judge.judge_index(rows, POSITIONS[:0], Documents(
        ids=ids, versions=versions, contents=contents))  # fmt: skip
    assert not len(verdict.missing) and not len(verdict.stale) and not len(verdict.wrong)
    assert named(verdict.unexpected) == [0, 9]


def test_aggregated_records_are_not_judged() -> None:
    flags = np.full(SIZE, VALUED, np.uint8)
    flags[3] |= AGGREGATED
    rows = lake([0, 3, 3, 3, *range(4, SIZE)])
    accounts = judge.judge_accounts(truth(flags), rows, letters([1, 2]))
    assert (len(accounts.lost), len(accounts.twice), accounts.aggregated) == (0, 0, 1)
    verdict = judge.judge_lake(truth(flags), rows)
    assert not any(map(len, (verdict.doubled, verdict.unexpected, verdict.wrong)))


def test_of_nothing_nothing_is_wrong() -> None:
    whole, none = truth(), slice(0)
    empty = Truth(
        whole.positions[none],
        whole.digests[none],
        whole.hours[none],
        whole.flags[none],
        whole.contents[none],
    )
    accounts = judge.judge_accounts(empty, lake([]), letters([]))
    assert not len(accounts.lost)
    assert named(judge.judge_lake(empty, lake([1])).unexpected) == at({1})
    assert named(judge.judge_letters(empty, letters([1])).unexpected) == at({1})


@given(lost=SOME, again=SOME, altered=SOME, waiting=SOME, copies=SOME)
def test_a_replica_is_named(
    lost: set[int], again: set[int], altered: set[int], waiting: set[int], copies: set[int]
) -> None:
    rows = [row for row in [*range(SIZE), *again] if row not in lost]
    index = np.array(rows, dtype=np.int64)
    contents = index.astype(np.uint64) * np.uint64(3)
    contents[np.isin(index, list(altered))] += np.uint64(1)
    due = lake([row for row in range(SIZE) if row not in copies])
    found = judge.ReplicaFound(POSITIONS[index], contents, truth().digests[index])
    others, waits = POSITIONS[sorted(copies)], POSITIONS[sorted(waiting)]
    verdict = judge.judge_replica(truth(), due, others, waits, found)
    assert named(verdict.compared.missing) == at(lost - waiting - copies)
    assert named(verdict.compared.doubled) == at(again - lost - waiting - copies)
    assert not len(verdict.compared.unexpected)
    assert sorted(set(named(verdict.wrong))) == at(altered - lost - copies)
