"""Compute when events are due, limit their rate, and measure how punctual they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.ops.replay.order import Times

Seconds = NDArray[np.float64]

_BURST_SECONDS: Final = 0.05
_EDGES: Final = np.geomspace(1e-5, 1e5, 4_001)
"""Buckets of deviations, each 0.6 % wide, from 10 microseconds to a day."""


class Pace:
    """Map event time to wall time: when events are due, in seconds after the first.

    `speedup` is event seconds per second; None: everything is due at once. A gap between events
    that would be a wait of more than `max_wait_seconds` is shortened to that.
    """

    def __init__(self, speedup: float | None, max_wait_seconds: float) -> None:
        self.cut_waits = 0
        self.cut_seconds = 0.0
        self.last_due = 0.0
        self._speedup = speedup
        self._max_wait = max_wait_seconds
        self.latest: int | None = None

    def rewind(self, millis: int) -> None:
        """Go on from an earlier time, where a stray event had led too far."""
        self.latest = millis if self.latest is None else min(self.latest, millis)

    def due(self, times: Times) -> Seconds:
        """Return when the next events are due; `times` must not decrease, also across calls."""
        if not len(times):
            return np.zeros(0)
        waits = np.diff(times, prepend=times[0] if self.latest is None else self.latest)
        self.latest = int(times[-1])
        if self._speedup is None:
            return np.zeros(len(times))
        seconds = waits / (1000 * self._speedup)
        beyond = seconds > self._max_wait
        self.cut_waits += int(beyond.sum())
        self.cut_seconds += float((seconds[beyond] - self._max_wait).sum())
        due: Seconds = self.last_due + np.cumsum(np.minimum(seconds, self._max_wait))
        self.last_due = float(due[-1])
        return due


class Cap:
    """Cap events per second, in bursts of at most 50 ms worth; None: no cap."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._most = max(1.0, (rate or 0) * _BURST_SECONDS)
        self._room = 1.0
        self._now: float | None = None

    def allowed(self, now: float) -> int | None:
        """Return how many may be sent now; None: any number."""
        if self._rate is None:
            return None
        passed = 0.0 if self._now is None else now - self._now
        self._now = now
        self._room = min(self._most, self._room + passed * self._rate)
        return int(self._room)

    def took(self, events: int) -> None:
        """Note how many were sent."""
        self._room -= events

    def wait(self) -> float:
        """Return the seconds until one may be sent."""
        return max(0.0, 1 - self._room) / self._rate if self._rate else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Quantiles of deviations in milliseconds, exact to 0.6 %."""

    p50: float
    p99: float
    max: float


class Deviations:
    """Counts how much later than due each event was handed over."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(_EDGES) + 1, dtype=np.int64)
        self._largest = 0.0

    def add(self, late: Seconds) -> None:
        """Count some events."""
        self._counts += np.bincount(np.searchsorted(_EDGES, late), minlength=len(self._counts))
        self._largest = max(self._largest, float(late.max(initial=0.0)))

    def spread(self) -> Spread | None:
        """Return the quantiles; None without any event."""
        if not self._counts.sum():
            return None
        largest = round(1000 * self._largest, 3)
        return Spread(min(self._at(0.5), largest), min(self._at(0.99), largest), largest)

    def _at(self, share: float) -> float:
        sums = np.cumsum(self._counts)
        bucket = int(np.searchsorted(sums, share * sums[-1]))
        return round(1000 * float(_EDGES[min(bucket, len(_EDGES) - 1)]), 3)
