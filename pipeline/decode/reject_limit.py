"""Stop the job when too many records are rejected: then a sender or a schema is broken."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

_SLOTS: Final = 60
"""A window has this many slots, and forgets one at a time."""
_SHOWN: Final = 3
_ACTION: Final = (
    "fix the sender, or raise decode.reject_limit_ratio;"
    " nothing is lost: the job stands at its last checkpoint"
)


class RejectLimitExceeded(RuntimeError):
    """More records were rejected than allowed; the message is for the person on call."""


@dataclass(slots=True)
class _Slot:
    number: int
    records: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


class RejectLimit:
    """Counts decode's rejects in a sliding window of `seconds`, and raises above `ratio`.

    `ratio` is the allowed share of rejects, above 0 and up to 1 (1 allows all). The limit applies
    once the window holds `records` records. `clock` returns monotonic seconds.

    Each subtask counts its own records, so the first subtask over the limit stops the job. A
    restarted task begins with an empty window.
    """

    def __init__(
        self, ratio: float, *, seconds: float, records: int, clock: Callable[[], float]
    ) -> None:
        self._ratio = ratio
        self._seconds = seconds
        self._least = records
        self._clock = clock
        self._slots: deque[_Slot] = deque()

    def add(self, records: int, rejected: Mapping[str, int]) -> None:
        """Add a batch: its number of records, and its rejects by reason code.

        Raises:
            RejectLimitExceeded: the window, this batch included, is over the limit.
        """
        slot = self._current()
        slot.records += records
        slot.rejected.update(rejected)
        total = sum(slot.records for slot in self._slots)
        reasons = sum((slot.rejected for slot in self._slots), Counter[str]())
        if total >= self._least and reasons.total() / total > self._ratio:
            raise RejectLimitExceeded(self._message(total, reasons))

    def _current(self) -> _Slot:
        """Return the current slot; drop those that have left the window."""
        number = int(self._clock() * _SLOTS / self._seconds)
        while self._slots and self._slots[0].number <= number - _SLOTS:
            self._slots.popleft()
        if not self._slots or self._slots[-1].number != number:
            self._slots.append(_Slot(number))
        return self._slots[-1]

    def _message(self, total: int, reasons: Counter[str]) -> str:
        rejected = reasons.total()
        frequent = ", ".join(f"{code} {n}" for code, n in reasons.most_common(_SHOWN))
        return (
            f"decode rejected {rejected} of {total} records in the last {self._seconds:g}"
            f" seconds on this task: {rejected / total:.4g}, allowed: {self._ratio:g}"
            f" (decode.reject_limit_ratio). Most frequent: {frequent}. What to do: {_ACTION}."
        )
