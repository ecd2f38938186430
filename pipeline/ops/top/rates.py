"""Rates and lag between two readings of a job, and the readings themselves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from connectors.flink.job_metrics import JobMetrics, Reading, Stamp
from pipeline.lag import lag_of
from pipeline.ops.top.data import Numbers, numbers

METER_SECONDS: Final = 60
"""What Flink's meters are means over."""

_SHORTEST_MS: Final = 400
_LONGEST_MS: Final = 60_000
_ONCE_SECONDS: Final = 0.75
_FETCH_SECONDS: Final = 0.35
_POLL_SECONDS: Final = 0.03


@dataclass(frozen=True, slots=True)
class Rates:
    """Numbers per second over the last `seconds`, by counter, and the lag of each step in ms.

    `seconds` is None where there was one reading only: rates are Flink's meters then, and the lag
    is that of all events. What is not known is absent.
    """

    seconds: float | None
    per_second: Mapping[str, float]
    lag: Mapping[str, Mapping[str, int]]
    index_ms: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    """A reading and its numbers."""

    reading: Reading
    numbers: Numbers

    @classmethod
    def of(cls, reading: Reading) -> Sample:
        """Return the sample of a reading."""
        return cls(reading, numbers(reading))

    def follows(self, other: Sample) -> bool:
        """Return whether rates can be told from the other one to this."""
        before, after = other.reading, self.reading
        if before.fetched_ms is None or after.fetched_ms is None:
            return False
        apart = after.fetched_ms - before.fetched_ms
        return before.tasks_ms == after.tasks_ms and _SHORTEST_MS <= apart <= _LONGEST_MS


def rates(before: Sample | None, after: Sample) -> Rates:
    """Return the rates between two samples, or Flink's if there is none before.

    A counter that was not known before, or went down, has no rate.
    """
    counters = after.numbers.counters
    if before is None or not after.follows(before):
        return Rates(None, after.numbers.meters, *_of_the_steps({}, counters))
    assert before.reading.fetched_ms is not None and after.reading.fetched_ms is not None
    earlier = before.numbers.counters
    seconds = (after.reading.fetched_ms - before.reading.fetched_ms) / 1000
    per_second = {
        name: (number - earlier[name]) / seconds
        for name, number in counters.items()
        if earlier.get(name, number + 1) <= number
    }
    return Rates(seconds, per_second, *_of_the_steps(earlier, counters))


def _of_the_steps(
    before: Mapping[str, float], after: Mapping[str, float]
) -> tuple[dict[str, dict[str, int]], float | None]:
    """Return the lag of each step that has events, and the mean time of a bulk request in ms."""
    grew = all(after.get(name, 0) >= number for name, number in before.items())
    earlier = before if grew else {}
    steps = [step for step in ("decode", "index") if f"{step}.lag_ms" in after]
    lags = {step: lag_of(earlier, after, step) for step in steps}
    requests, millis = (
        after.get(f"index.{name}", 0) - earlier.get(f"index.{name}", 0)
        for name in ("requests", "bulk_ms")
    )
    index_ms = millis / requests if requests else None
    return {step: lag for step, lag in lags.items() if lag}, index_ms


class Sampler:
    """Takes samples of a job, each of newly fetched metrics if Flink has them in time."""

    def __init__(self, metrics: JobMetrics) -> None:
        self._metrics = metrics
        self._stamp = Stamp(None, None)
        self._before: Sample | None = None
        self._last: Sample | None = None

    def once(self) -> tuple[Sample, Rates]:
        """Return the job now, and its rates from two readings within a second, if possible."""
        deadline = time.monotonic()
        if self._metrics.fetched_twice_within(_ONCE_SECONDS):
            deadline += _ONCE_SECONDS
        self._stamp = self._metrics.stamp()
        sample, result = self._taken(Sample.of(self._metrics.read()))
        if sample.reading.runs:  # these metrics are from when Flink was asked before
            sample, result = self.next()
        while sample.reading.runs and result.seconds is None and self._await_newer(deadline):
            sample, result = self._taken(Sample.of(self._metrics.read()))
        return sample, result

    def next(self) -> tuple[Sample, Rates]:
        """Return the job now, and its rates since newly fetched metrics before."""
        is_newer = self._await_newer(time.monotonic() + _FETCH_SECONDS)
        sample = Sample.of(self._metrics.read())
        if is_newer or self._last is None or not sample.reading.runs:
            return self._taken(sample)
        return sample, rates(self._before, self._last)

    def _taken(self, sample: Sample) -> tuple[Sample, Rates]:
        self._before, self._last = self._last, sample
        return sample, rates(self._before, sample)

    def _await_newer(self, deadline: float) -> bool:
        """Wait until all metrics are newer than before; return whether they are in time."""
        stamp, last = self._metrics.stamp(), None
        while stamp != last or not stamp.follows(self._stamp):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
            stamp, last = self._metrics.stamp(), stamp
        self._stamp = stamp
        return True
