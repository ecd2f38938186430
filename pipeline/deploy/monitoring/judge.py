"""Decide by CloudWatch's rules whether an alarm fires on given samples. Pure functions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.deploy.monitoring.alarms import Alarm, Statistic

Verdict = Literal["alarm", "ok", "no_data"]
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of all signals at the time `at`, in seconds.

    A missing signal is unknown. Counters are totals, also where CloudWatch stores the increase in
    each period.
    """

    at: float
    values: Mapping[str, float]


def fires(alarm: Alarm, samples: Sequence[Sample], *, period_seconds: float = 0) -> bool:
    """Return whether the alarm fires at the last sample; `period_seconds` replaces its own."""
    return verdict(alarm, samples, period_seconds=period_seconds) == "alarm"


def verdict(alarm: Alarm, samples: Sequence[Sample], *, period_seconds: float = 0) -> Verdict:
    """Return alarm if each of the last `periods` breaches, no_data if none can be judged, else ok.

    Samples are sorted by time. An increase also needs a sample from before the first period.
    """
    points = datapoints(alarm, samples, period_seconds or alarm.period_seconds)
    if alarm.missing == "missing":
        points = [point for point in points if point is not None]
        if not points:
            return "no_data"
    breaches = [_breaches(alarm, point) for point in points]
    return "alarm" if all(breaches) and len(breaches) >= alarm.periods else "ok"


def datapoints(
    alarm: Alarm, samples: Sequence[Sample], period_seconds: float
) -> list[float | None]:
    """Return the alarm's value in each of its last periods, newest last; None if unknown."""
    end = samples[-1].at if samples else 0
    ends = [end - back * period_seconds for back in reversed(range(alarm.periods))]
    return [_value(alarm, samples, until - period_seconds, until) for until in ends]


def _breaches(alarm: Alarm, value: float | None) -> bool:
    if value is None:
        return alarm.missing == "breaching"
    return _COMPARE[alarm.comparison](value, alarm.threshold)


def _value(alarm: Alarm, samples: Sequence[Sample], start: float, end: float) -> float | None:
    if alarm.form == "level":
        values = _within(alarm.signal, samples, start, end)
        return _combined(alarm.statistic, values) if values else None
    if alarm.form == "absent":
        runs = any(value >= 0 for value in _within(alarm.signal, samples, start, end))
        return float(bool(_within(alarm.per, samples, start, end)) and not runs)
    grown = _growth(alarm.signal, samples, start, end)
    if alarm.form == "growth":
        return grown
    base = _growth(alarm.per, samples, start, end)
    if alarm.form == "stalled":
        return float((base or 0) > 0 and (grown or 0) <= 0)
    if grown is None or base is None:
        return None
    return grown / base if base > 0 else 0.0


def _within(name: str, samples: Sequence[Sample], start: float, end: float) -> list[float]:
    """Return a signal's values in a period, without the samples that lack it."""
    within = (sample.values for sample in samples if start < sample.at <= end)
    return [values[name] for values in within if name in values]


def _combined(statistic: Statistic, values: Sequence[float]) -> float:
    if statistic == "Maximum":
        return max(values)
    if statistic == "Minimum":
        return min(values)
    return sum(values) / (len(values) if statistic == "Average" else 1)


def _growth(name: str, samples: Sequence[Sample], start: float, end: float) -> float | None:
    """Return a counter's increase; negative after a restart, when it begins at 0 again."""
    known = [sample for sample in samples if name in sample.values and sample.at <= end]
    before = [sample for sample in known if sample.at <= start]
    if not before or before[-1] is known[-1]:
        return None
    return known[-1].values[name] - before[-1].values[name]
