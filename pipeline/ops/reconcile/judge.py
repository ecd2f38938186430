"""The rules: what there should be against what there is. Pure numpy, no server, no file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectors.checksums import Hashes
from connectors.positions import Positions
from pipeline.ops.reconcile.ids import Ids
from pipeline.ops.reconcile.places import Flags, lines, slices
from pipeline.ops.reconcile.seen import ArchiveRows, Documents, LakeRows, Letters
from pipeline.ops.reconcile.source import AGGREGATED, CONTROL, COPY, VALUED
from pipeline.ops.reconcile.truth import Truth

_FACTORS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_SHIFT = np.uint64(29)


@dataclass(frozen=True, slots=True)
class Compared:
    """Positions missing, there too often (once for each copy too many), or not expected."""

    missing: Positions
    doubled: Positions
    unexpected: Positions


def compare(due: Positions, found: Positions, exempt: Positions | None = None) -> Compared:
    """Each of `due` (ascending, each once) should be found exactly once.

    What is `exempt` may be found or not, as often as it likes.
    """
    if exempt is not None and len(exempt):
        found = found[~np.isin(found, exempt)]
        due = due[~np.isin(due, exempt)]
    times = np.zeros(len(due), np.int32)
    strange = [found[:0]]
    for part in slices(len(found)):
        line = lines(due, found[part])
        np.add.at(times, line[line >= 0], 1)
        strange.append(found[part][line < 0])
    surplus = np.repeat(due, np.maximum(times - 1, 0))
    return Compared(due[times == 0], surplus, np.concatenate(strange))


@dataclass(frozen=True, slots=True)
class ArchiveVerdict:
    """What is wrong with the archive."""

    compared: Compared
    wrong: Positions
    misplaced: Positions


def judge_archive(truth: Truth, archive: ArchiveRows) -> ArchiveVerdict:
    """Every record once, byte for byte, in the folder of its arrival hour."""
    exempt = truth.positions[truth.has(AGGREGATED)]
    wrong, misplaced = [exempt[:0]], [exempt[:0]]
    for part in slices(len(archive.positions)):
        line, found = truth.lines(archive.positions[part]), archive.positions[part]
        known = (line >= 0) & ~np.isin(found, exempt)
        line = line[known]
        wrong.append(found[known][truth.digests[line] != archive.digests[part][known]])
        if archive.hours is not None:
            misplaced.append(found[known][truth.hours[line] != archive.hours[part][known]])
    compared = compare(truth.positions, archive.positions, exempt)
    return ArchiveVerdict(compared, np.concatenate(wrong), np.concatenate(misplaced))


@dataclass(frozen=True, slots=True)
class Accounts:
    """What became of the records.

    `lost` are neither in the lake nor among the dead letters of decode, nor need they not be;
    `twice` are in both.
    """

    lost: Positions
    twice: Positions
    control: int
    copies: int
    aggregated: int
    dead: int


def judge_accounts(truth: Truth, lake: LakeRows, letters: Letters) -> Accounts:
    """Every record in the lake or among the dead letters, or a watermark, or a redriven copy."""
    in_lake = lake.lines(truth.positions) >= 0
    dead = letters.decoded(truth.positions)
    control, copies = truth.has(CONTROL), truth.has(COPY)
    aggregated = truth.has(AGGREGATED)
    spared = control | copies | aggregated
    return Accounts(
        lost=truth.positions[~in_lake & ~dead & ~spared],
        twice=truth.positions[in_lake & dead & ~aggregated],
        control=int((control & ~in_lake & ~dead).sum()),
        copies=int(copies.sum()),
        aggregated=int(aggregated.sum()),
        dead=int((dead & ~aggregated).sum()),
    )


@dataclass(frozen=True, slots=True)
class LakeVerdict:
    """What is wrong with the rows that there are."""

    doubled: Positions
    unexpected: Positions
    misplaced: Positions
    wrong: Positions
    unvalued: int


def judge_lake(truth: Truth, lake: LakeRows) -> LakeVerdict:
    """Each row of a record, of each record at most one, in its folder, with its values.

    A redriven copy of what is in the lake already must not have a row.
    """
    again = np.zeros(len(lake), np.bool_)
    again[1:] = lake.positions[1:] == lake.positions[:-1]
    parts = [_rows(truth, lake, again, part) for part in slices(len(lake))]
    none = lake.positions[:0]
    return LakeVerdict(
        doubled=np.concatenate([none, *(one.doubled for one in parts)]),
        unexpected=np.concatenate([none, *(one.unexpected for one in parts)]),
        misplaced=np.concatenate([none, *(one.misplaced for one in parts)]),
        wrong=np.concatenate([none, *(one.wrong for one in parts)]),
        unvalued=sum(one.unvalued for one in parts),
    )


def _rows(truth: Truth, lake: LakeRows, again: Flags, part: slice) -> LakeVerdict:
    """The verdict on some rows; `again` are those that stand beside one of the same position."""
    positions = lake.positions[part]
    line = truth.lines(positions)
    known = line >= 0
    flags = np.zeros(len(line), np.uint8)
    flags[known] = truth.flags[line[known]]
    contents = lake.contents[part] + (0 if lake.extras is None else lake.extras[part])
    differ = np.zeros(len(line), np.bool_)
    differ[known] = truth.contents[line[known]] != contents[known]
    aggregated, judged = (flags & AGGREGATED) != 0, (flags & VALUED) != 0
    rightful = known & ((flags & COPY) == 0) & ~aggregated
    return LakeVerdict(
        doubled=positions[again[part] & rightful],
        unexpected=positions[~rightful & ~aggregated],
        misplaced=positions[lake.misplaced[part] & ~aggregated],
        wrong=positions[differ & rightful & judged],
        unvalued=int((rightful & ~judged).sum()),
    )


@dataclass(frozen=True, slots=True)
class LettersVerdict:
    """What is wrong with the dead letters that there are."""

    doubled: Positions
    unexpected: Positions
    wrong: Positions


def judge_letters(truth: Truth, letters: Letters) -> LettersVerdict:
    """Each of a record, with its bytes; a second copy is told, whether it is a fault or not."""
    line = truth.lines(letters.positions)
    known = line >= 0
    flags = np.zeros(len(letters), np.uint8)
    flags[known] = truth.flags[line[known]]
    own = (flags & AGGREGATED) == 0
    wrong = np.zeros(len(letters), np.bool_)
    wrong[known] = truth.digests[line[known]] != letters.digests[known]
    return LettersVerdict(
        doubled=_copies(letters, known & own),
        unexpected=letters.positions[~known],
        wrong=letters.positions[wrong & own],
    )


def _copies(letters: Letters, rows: Flags) -> Positions:
    """The positions of letters beyond the first of one step, and replica, of one record."""
    key = letters.steps.astype(np.int64) * 1000 + letters.replicas
    order = np.lexsort((letters.positions[rows], key[rows]))
    positions, keys = letters.positions[rows][order], key[rows][order]
    same = (np.diff(positions) == 0) & (np.diff(keys) == 0)
    found: Positions = positions[1:][same]
    return found


@dataclass(frozen=True, slots=True)
class IndexVerdict:
    """Ids of one event type: without a document, with an older version than due, with other values
    than the lake's row of that version, or of no row at all. `due` is how many must be there,
    `waiting` how many versions are dead letters and not there."""

    due: int
    missing: Ids
    stale: Ids
    wrong: Ids
    unexpected: Ids
    waiting: int


def newest(ids: Ids, versions: NDArray[np.int64]) -> tuple[Ids, NDArray[np.int64]]:
    """Each id once, ascending, with its newest version."""
    order = np.lexsort((versions, ids))
    ids, versions = ids[order], versions[order]
    last = np.append(np.diff(ids) != 0, True)[: len(ids)]
    return ids[last], versions[last]


def judge_index(rows: LakeRows, waiting: Positions, documents: Documents) -> IndexVerdict:
    """Every id of the lake a document with its newest version, or a newer one.

    `rows` are those of one event type. A version that waits as a dead letter of step index may be
    there or not. Where an id has one version with several values, any of these will do.
    """
    ids, versions = rows.keys()
    settled = ~np.isin(rows.positions, waiting)
    due, version = newest(ids[settled], versions[settled])
    line = lines(due, documents.ids)
    stale = np.zeros(len(documents.ids), np.bool_)
    stale[line >= 0] = documents.versions[line >= 0] < version[line[line >= 0]]
    known = np.isin(_key(documents.ids, documents.versions), _key(ids, versions))
    same = np.isin(
        _key(documents.ids, documents.versions) + documents.contents,
        _key(ids, versions) + rows.contents,
    )
    return IndexVerdict(
        due=len(due),
        missing=np.setdiff1d(due, documents.ids),
        stale=documents.ids[stale],
        wrong=documents.ids[known & ~same & ~stale],
        unexpected=documents.ids[~known & ~stale],
        waiting=_absent(ids[~settled], versions[~settled], documents),
    )


def _absent(ids: Ids, versions: NDArray[np.int64], documents: Documents) -> int:
    """How many of these versions no document has, nor a newer one."""
    order = np.argsort(documents.ids)
    line = lines(documents.ids[order], ids)
    there = np.zeros(len(ids), np.bool_)
    there[line >= 0] = documents.versions[order][line[line >= 0]] >= versions[line >= 0]
    return int((~there).sum())


def _key(ids: Ids, versions: NDArray[np.int64]) -> Hashes:
    """Id and version as one number of 64 bits."""
    mixed = ids.view(np.uint64) * _FACTORS[0] ^ versions.view(np.uint64)
    mixed = (mixed ^ (mixed >> _SHIFT)) * _FACTORS[1]
    found: Hashes = mixed ^ (mixed >> _SHIFT)
    return found


@dataclass(frozen=True, slots=True)
class ReplicaVerdict:
    """What is wrong with a replica; positions of the lake's rows."""

    due: int
    compared: Compared
    wrong: Positions


def judge_replica(
    truth: Truth, due: LakeRows, others: Positions, waiting: Positions, found: ReplicaFound
) -> ReplicaVerdict:
    """Every row of `due` once, with its values, and for a raw copy its bytes.

    What is `waiting` as a dead letter may be there or not; `others` are positions that may be there
    too, as those of redriven copies.
    """
    exempt = np.union1d(waiting, others)
    positions = np.unique(due.positions)
    compared = compare(positions, found.positions, exempt)
    line = due.lines(found.positions)
    known = line >= 0
    wrong = np.zeros(len(found.positions), np.bool_)
    if found.contents is not None:
        wrong[known] = due.contents[line[known]] != found.contents[known]
    if found.digests is not None:
        place = truth.lines(found.positions)
        known = place >= 0
        wrong[known] |= truth.digests[place[known]] != found.digests[known]
    return ReplicaVerdict(len(positions), compared, found.positions[wrong])


@dataclass(frozen=True, slots=True)
class ReplicaFound:
    """A replica's events whose positions are known; None for what isn't compared."""

    positions: Positions
    contents: Hashes | None
    digests: Hashes | None


def judge_contents(due: LakeRows, waiting: Positions, contents: Hashes) -> ReplicaVerdict:
    """A replica that tells no positions: every row's values must be there, and no others.

    How often can't be judged: at-least-once makes copies, and events may be alike.
    """
    needed = ~np.isin(due.positions, waiting) & ~np.isin(due.contents, contents)
    strange = int((~np.isin(contents, due.contents)).sum())
    none = due.positions[:0]
    unexpected = np.full(strange, -1, np.int64)
    compared = Compared(due.positions[needed], none, unexpected)
    return ReplicaVerdict(len(due), compared, none)
