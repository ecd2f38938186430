"""Stops the job when too much is rejected: then a sender or a schema is broken, not a record."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

_SLOTS: Final = 60
"""A window is this many slots; it forgets by the slot."""
_SHOWN: Final = 3
_ACTION: Final = (
    "mend the sender, or raise decode.reject_limit_ratio;"
    " nothing is lost: the job stands at its last checkpoint"
)


class RejectLimitExceeded(RuntimeError):
    """More was rejected than is allowed; the message is for whoever is on call, without payload."""


@dataclass(slots=True)
class _Slot:
    number: int
    records: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


class RejectLimit:
    """Counts the rejects of decode in a sliding window of `seconds`, and raises when over `ratio`.

    `ratio` is the allowed part of rejects, above 0 and up to 1 (1 allows all of them). Nothing is
    judged before the window holds `records` records. `clock` gives seconds and never goes back.

    It is per subtask: each sees its own records only, so that of several subtasks the first one
    over the limit stops the job. A restarted task begins with an empty window.
    """

    def __init__(
        self, ratio: float, *, seconds: float, records: int, clock: Callable[[], float]
    ) -> None:
        self._ratio = ratio
        self._seconds = seconds
        self._least = records
        self._clock = clock
        self._slots: deque[_Slot] = deque()
        self._records = 0
        self._rejected: Counter[str] = Counter()

    def add(self, records: int, rejected: Mapping[str, int]) -> None:
        """Takes in a batch: its number of records, and its rejects by reason code.

        Raises `RejectLimitExceeded` when the window, this batch included, is over the limit.
        """
        slot = self._current()
        slot.records += records
        slot.rejected.update(rejected)
        self._records += records
        self._rejected.update(rejected)
        total = self._rejected.total()
        if self._records >= self._least and total / self._records > self._ratio:
            raise RejectLimitExceeded(self._message(total))

    def _current(self) -> _Slot:
        """The slot of now; those that have left the window are forgotten."""
        number = int(self._clock() * _SLOTS / self._seconds)
        while self._slots and self._slots[0].number <= number - _SLOTS:
            old = self._slots.popleft()
            self._records -= old.records
            self._rejected.subtract(old.rejected)
        if not self._slots or self._slots[-1].number != number:
            self._slots.append(_Slot(number))
        return self._slots[-1]

    def _message(self, total: int) -> str:
        reasons = ", ".join(f"{code} {n}" for code, n in self._rejected.most_common(_SHOWN) if n)
        return (
            f"decode rejected {total} of {self._records} records in the last {self._seconds:g}"
            f" seconds on this task: {total / self._records:.4g}, allowed: {self._ratio:g}"
            f" (decode.reject_limit_ratio). Most frequent: {reasons}. What to do: {_ACTION}."
        )
