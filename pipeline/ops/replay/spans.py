"""How far a data set reaches in time and ids: by what a later round is moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from msgspec import Raw

from connectors.errors import UserError
from pipeline.events.event_types import EventTypes
from pipeline.events.model import EXACT_IN_DOUBLE
from pipeline.ops.replay.lines import DECODE_ERRORS, struct_of
from pipeline.ops.replay.order import Times

_DAY_MS: Final = 86_400_000
_STRAY_SHARE: Final = 100
"""At either end at most one event of so many can be a stray, and always one."""
_DIGITS: Final = len(str(EXACT_IN_DOUBLE))
_GAP_DAYS: Final = 30
"""A shorter time without any event makes no strays."""


class Spans(NamedTuple):
    """First and last time, without strays, and the least and largest id of a data set.

    Ids beyond 2^53-1 do not count: events with such are in no later round.
    """

    first_ms: int
    last_ms: int
    least_id: int | None
    largest_id: int | None

    def move(self, number: int) -> tuple[int, int]:
        """Return by how many milliseconds and by how much of an id round `number` is moved.

        Milliseconds are those of whole days, as many as the data set spans.

        Raises:
            UserError: ids would go beyond what every JSON reader keeps exactly.
        """
        ms = number * self._round_ms
        if self.least_id is None or self.largest_id is None:
            return ms, 0
        ids = number * (self.largest_id - self.least_id + 1)
        if self.largest_id + ids >= EXACT_IN_DOUBLE:
            raise UserError(
                f"round {number} would have ids up to {self.largest_id + ids}, and 2^53-1 is the"
                " largest: replay fewer rounds"
            )
        return ms, ids

    def until(self, latest_ms: int) -> int:
        """Return how many rounds end at or before an instant."""
        return max(0, (latest_ms - self.last_ms) // self._round_ms + 1)

    @property
    def rounds_of_ids(self) -> int | None:
        """How many rounds have ids that every JSON reader keeps exactly; None without ids."""
        if self.least_id is None or self.largest_id is None:
            return None
        room = EXACT_IN_DOUBLE - 1 - self.largest_id
        return room // (self.largest_id - self.least_id + 1) + 1

    @property
    def _round_ms(self) -> int:
        return ((self.last_ms - self.first_ms) // _DAY_MS + 1) * _DAY_MS


class Extent:
    """Find the spans of events while they pass; memory grows with the days that have events."""

    def __init__(self, types: EventTypes) -> None:
        names = (each.id[0] for each in types if len(each.id) == 1)
        struct = struct_of(dict.fromkeys(names, Raw))
        self._decode = msgspec.json.Decoder(struct).decode
        self._days: dict[int, _Day] = {}
        self._ids: list[int] = []

    def add(self, times: Times, raws: Sequence[bytes | None]) -> None:
        """Take in events: times (epoch ms) and bytes."""
        ids = (number for raw in raws for number in self._ids_of(raw or b""))
        self._ids = _ends([*self._ids, *ids])
        ordered = np.sort(times)
        days, starts, counts = np.unique(ordered // _DAY_MS, return_index=True, return_counts=True)
        firsts, lasts = ordered[starts], ordered[starts + counts - 1]
        for day, *figures in zip(
            *map(np.ndarray.tolist, (days, counts, firsts, lasts)), strict=True
        ):
            self._days[day] = _Day(*figures).joined(self._days.get(day))

    @property
    def spans(self) -> Spans | None:
        """None if there was no event."""
        if not self._days:
            return None
        days = sorted(self._days)
        first, last = self._core(days)
        ids = self._ids or (None, None)
        return Spans(self._days[days[first]].first_ms, self._days[days[last]].last_ms, *ids)

    @property
    def strays(self) -> Mapping[str, int]:
        """How many strays each day has."""
        days = sorted(self._days)
        if not days:
            return {}
        first, last = self._core(days)
        strays = days[:first] + days[last + 1 :]
        return {str(np.datetime64(day, "D")): self._days[day].events for day in strays}

    def _core(self, days: Sequence[int]) -> tuple[int, int]:
        """Return the indices of the first and the last day that have no strays.

        Strays are the outermost events, at most 1 % at either end, behind a time without any that
        is longer than a month and than what is between the others.
        """
        counts = np.array([self._days[day].events for day in days])
        most = max(1, int(counts.sum()) // _STRAY_SHARE)
        first = int(np.searchsorted(np.cumsum(counts), most, "right"))
        last = len(days) - 1 - int(np.searchsorted(np.cumsum(counts[::-1]), most, "right"))
        if first > last:
            return 0, len(days) - 1

        def is_near(one: int, other: int) -> bool:
            return days[other] - days[one] <= max(_GAP_DAYS, days[last] - days[first] + 1)

        grown = None
        while grown != (first, last):
            grown = first, last
            if first and is_near(first - 1, first):
                first -= 1
            if last + 1 < len(days) and is_near(last, last + 1):
                last += 1
        return first, last

    def _ids_of(self, raw: bytes) -> list[int]:
        try:
            values = msgspec.structs.astuple(self._decode(raw))
        except DECODE_ERRORS:
            return []
        texts = (text for text in map(bytes, values) if text.isdigit() and len(text) <= _DIGITS)
        return [number for number in map(int, texts) if number < EXACT_IN_DOUBLE]


class _Day(NamedTuple):
    events: int
    first_ms: int
    last_ms: int

    def joined(self, other: _Day | None) -> _Day:
        if other is None:
            return self
        first, last = min(self.first_ms, other.first_ms), max(self.last_ms, other.last_ms)
        return _Day(self.events + other.events, first, last)


def _ends(numbers: list[int]) -> list[int]:
    return [min(numbers), max(numbers)] if numbers else []
