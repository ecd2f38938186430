"""Checks the dead letters against the ledger."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dev.demo.check_files import doubled, missing, occurrences
from dev.demo.findings import Checked, at_positions
from dev.demo.ledger import Ledger
from dev.demo.read_dead_letters import DeadLetters

DECODE: Final = "decode"
INDEX: Final = "index"
REPLICATE: Final = "replicate"


def check_dead_letters(
    ledger: Ledger, letters: DeadLetters | None, *, exactly_once: bool
) -> Checked:
    """Every defective record must be a dead letter, with its reason and its exact bytes.

    A valid event may only be one because the index or a replica refused it.  A second copy of a
    dead letter is an error only where exactly-once was asked for.
    """
    if letters is None:
        return Checked(dict.fromkeys(("dead_letters", "dead_letters_index", "dead_letters_large")))
    lines = ledger.lines(letters.positions)
    known = lines >= 0
    of_event = _of_event(letters.steps)
    defective = ~ledger.valid & ~ledger.control
    rightful = known & np.where(of_event, ledger.valid[lines], defective[lines])
    times = occurrences(ledger, lines[rightful & ~of_event])
    found = letters.positions
    findings = [
        missing(ledger, "dead_letters_missing", defective & (times == 0)),
        doubled(
            ledger,
            "dead_letters_duplicates",
            _copies(ledger, letters, np.where(rightful, lines, -1)),
            is_error=exactly_once,
        ),
        at_positions(
            ledger, "dead_letters_unexpected", "not to be rejected at this step", found[~rightful]
        ),
        at_positions(
            ledger,
            "dead_letters_wrong",
            "with another step, reason or other bytes than due",
            found[rightful & _differ(ledger, letters, lines)],
        ),
    ]
    figures = {
        "dead_letters": len(found),
        "dead_letters_index": int((rightful & _are(letters.steps, INDEX)).sum()),
        "dead_letters_large": letters.large,
    }
    return Checked({**figures}, findings)


def rejected_by(
    step: str, ledger: Ledger, letters: DeadLetters | None, *, replica: str = ""
) -> NDArray[np.bool_]:
    """Which lines are dead letters of that step: those events needn't be where it brings them.

    Of the step `replicate`, `replica` says of which replica.
    """
    accounted = np.zeros(len(ledger), dtype=np.bool_)
    if letters is not None:
        lines = ledger.lines(letters.positions)
        mine = _are(letters.steps, step) & _are(letters.replicas, replica)
        accounted[lines[(lines >= 0) & mine]] = True
    return accounted


def _of_event(steps: list[str]) -> NDArray[np.bool_]:
    return _are(steps, INDEX) | _are(steps, REPLICATE)


def _copies(ledger: Ledger, letters: DeadLetters, lines: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each line occurs; one letter of each step, and replica, counts as one together."""
    surplus = np.zeros(len(ledger), dtype=np.int64)
    for step, replica in set(zip(letters.steps, letters.replicas, strict=True)):
        mine = _are(letters.steps, step) & _are(letters.replicas, replica)
        surplus += np.maximum(occurrences(ledger, lines[mine]) - 1, 0)
    return surplus + 1


def _differ(ledger: Ledger, letters: DeadLetters, lines: NDArray[np.int64]) -> NDArray[np.bool_]:
    altered = ledger.numbers("digest")[lines] != letters.digests
    reasons = sorted(set(letters.reasons) | set(ledger.counts("expect")))
    code = {reason: number for number, reason in enumerate(reasons)}
    given = np.array([code[reason] for reason in letters.reasons], dtype=np.int64)
    misjudged = given != ledger.codes("expect", reasons)[lines]
    decided = ~_of_event(letters.steps)
    differ: NDArray[np.bool_] = altered | (decided & (misjudged | ~_are(letters.steps, DECODE)))
    return differ


def _are(texts: list[str], text: str) -> NDArray[np.bool_]:
    return np.array([one == text for one in texts], dtype=np.bool_)
