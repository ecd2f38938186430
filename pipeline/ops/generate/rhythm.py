"""When and where trips happen: the beat of the day and the week, and how popular each zone is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

ZONES: Final = 265
"""TLC taxi zones are numbered 1 to 265."""

_HOUR_MS: Final = 3_600_000
_SHORTEST_MS: Final = 60_000
# Share of a day's trips by hour of dropoff: the night low, the morning rush, the evening high.
_OF_DAY: Final = (
    (30, 22, 16, 11, 9, 9, 20, 36, 46, 46, 44, 46)  # 0 to 11 hours
    + (48, 48, 50, 48, 43, 50, 60, 62, 57, 55, 52, 42)
)
_OF_WEEK: Final = (88, 95, 98, 102, 108, 110, 92)  # from Monday
_BUSY_ZONES: Final = 18.0
_QUIET_SHARE: Final = 0.0008


@dataclass(frozen=True, slots=True)
class Span:
    """Whole months: no pickup is before `first`, and every dropoff is before `end`."""

    first: datetime
    end: datetime

    @staticmethod
    def of(year: int, month: int, months: int) -> Span:
        """So many months from that one on."""
        last = year * 12 + month - 1 + months
        return Span(
            datetime(year, month, 1, tzinfo=UTC), datetime(last // 12, last % 12 + 1, 1, tzinfo=UTC)
        )

    @property
    def first_ms(self) -> int:
        """`first` in epoch milliseconds."""
        return int(self.first.timestamp() * 1000)


WINTER: Final = Span.of(2017, 12, 3)


def hours(span: Span) -> NDArray[np.float64]:
    """The share of all trips that each hour of the span has."""
    count = (span.end - span.first) // timedelta(hours=1)
    times = [span.first + timedelta(hours=hour) for hour in range(count)]
    weights = np.array([_OF_DAY[t.hour] * _OF_WEEK[t.weekday()] for t in times], dtype=float)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def dropoffs(
    rng: np.random.Generator, events: int, block: int, span: Span = WINTER
) -> Iterator[NDArray[np.int64]]:
    """Dropoff times in epoch milliseconds (whole seconds), ascending, about `block` at a time."""
    per_hour = rng.multinomial(events, hours(span))
    before = np.cumsum(per_hour) - per_hour
    for number in range(before[-1] // block + 1):
        chosen = np.flatnonzero(before // block == number)
        if len(chosen) and per_hour[chosen].sum():
            yield _within(rng, chosen, per_hour[chosen], span.first_ms)


def zone_shares(rng: np.random.Generator) -> NDArray[np.float64]:
    """The share of trips of zones 1 to 265: some busy ones, a long quiet tail, dealt at random.

    As in New York, where some fifty zones have most pickups and most zones nearly none.
    """
    shares = np.exp(-np.arange(ZONES) / _BUSY_ZONES) + _QUIET_SHARE
    dealt: NDArray[np.float64] = rng.permutation(shares / shares.sum())
    return dealt


def _within(
    rng: np.random.Generator, chosen: NDArray[np.intp], counts: NDArray[np.int64], first_ms: int
) -> NDArray[np.int64]:
    starts = first_ms + np.repeat(chosen, counts).astype(np.int64) * _HOUR_MS
    seconds = rng.integers(1, 3600, size=len(starts), dtype=np.int64)
    return np.sort(np.maximum(starts + seconds * 1000, first_ms + _SHORTEST_MS))
