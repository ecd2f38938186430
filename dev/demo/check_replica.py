"""Checks a replica against the ledger: its events, each once, and nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectors.checksums import Hashes
from connectors.positions import UNKNOWN, Positions
from dev.demo.check_files import doubled, missing, occurrences
from dev.demo.findings import Checked, Finding, at_positions
from dev.demo.ledger import Ledger
from dev.demo.read_replica import ReplicaRecords

Flags = NDArray[np.bool_]
FIGURES = ("records", "missing", "duplicates", "unexpected", "wrong")


def check_replica(
    ledger: Ledger,
    name: str,
    found: ReplicaRecords,
    *,
    chosen: Flags,
    rejected: Flags | None = None,
    exactly_once: bool,
) -> Checked:
    """Every chosen event must be there once, with its values, under its trip id as key.

    `chosen` marks the lines that belong in the replica (valid events only count); `rejected` those
    that may be missing, being dead letters of the replica.  A second copy is an error only where
    exactly-once was asked for.  Without positions an event is known by its content, which has its
    type and trip id in it.
    """
    due = chosen & ledger.valid
    contents = ledger.numbers("content")
    lines = _lines(ledger, found, due)
    expected = (lines >= 0) & due[lines]
    times = occurrences(ledger, lines[expected])
    wrong = (contents[lines] != found.contents) | (ledger.numbers("trip_id")[lines] != found.keys)
    places = ledger.positions[lines]
    lost = due & (times == 0)
    findings = [
        missing(ledger, f"replica_{name}_missing", lost if rejected is None else lost & ~rejected),
        doubled(ledger, f"replica_{name}_duplicates", times, is_error=exactly_once),
        _unexpected(ledger, name, np.where(lines >= 0, places, UNKNOWN)[~expected]),
        at_positions(
            ledger,
            f"replica_{name}_wrong",
            "with other values or another key than due",
            places[expected & wrong],
        ),
    ]
    return Checked({f"replica_{name}_records": len(lines)}, findings)


def _unexpected(ledger: Ledger, name: str, places: Positions) -> Finding:
    meaning = "events that do not belong in the replica"
    return at_positions(ledger, f"replica_{name}_unexpected", meaning, places)


def _lines(ledger: Ledger, found: ReplicaRecords, due: Flags) -> Positions:
    if found.positions is not None:
        return ledger.lines(found.positions)
    return by_content(np.flatnonzero(due), ledger.numbers("content")[due], found.contents)


def by_content(lines: Positions, contents: Hashes, found: Hashes) -> Positions:
    """The line of each content found; -1 for one that no line has.

    Of lines with one content (exact repeats) each is given once before the last is given again.
    """
    if not len(lines):
        return np.full(len(found), -1)
    order = np.argsort(contents, kind="stable")
    ascending = contents[order]
    first = np.searchsorted(ascending, found)
    count = np.searchsorted(ascending, found, side="right") - first
    turn = np.minimum(_turns(found), count - 1)
    place = np.minimum(first + np.maximum(turn, 0), len(lines) - 1)
    return np.where(count > 0, lines[order][place], -1)


def _turns(values: Hashes) -> Positions:
    """How many equal values stand before each."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(values[order]) != 0)[: len(values)])
    lengths = np.diff(np.append(starts, len(values)))
    turns = np.empty(len(values), dtype=np.int64)
    turns[order] = np.arange(len(values)) - np.repeat(starts, lengths)
    return turns
