"""Synthetic samples for an alarm: one series just beyond its threshold, one just within.

They are used where a fault cannot be provoked locally, or where only AWS has the metric. An alarm
that fires on them shows that its rule is right, not that AWS emits the metric.
"""

from __future__ import annotations

from typing import Final

from pipeline.deploy.monitoring.alarms import Alarm
from pipeline.deploy.monitoring.judge import Sample, verdict

_NEAR: Final = 0.01
"""How far beside the threshold, as a part of it."""
_BASE: Final = 1_000_000.0
"""By how much `per` grows in a period."""


def fires_on_given(alarm: Alarm) -> bool:
    """Return whether it fires on the first series and not on the second, with its own periods."""
    beyond, within = (verdict(alarm, series(alarm, beyond=beyond)) for beyond in (True, False))
    return beyond == "alarm" and within == "ok"


def series(alarm: Alarm, *, beyond: bool) -> list[Sample]:
    """Return a sample at the end of each period, and one before the first."""
    value = _value(alarm, beyond)
    return [
        Sample(float(number * alarm.period_seconds), _values(alarm, value, number))
        for number in range(alarm.periods + 1)
    ]


def _values(alarm: Alarm, value: float, number: int) -> dict[str, float]:
    if alarm.form == "level":
        return {alarm.signal: value}
    if alarm.form == "growth":
        return {alarm.signal: value * number}
    if alarm.form == "absent":
        return {alarm.per: 1.0} if value else {alarm.per: 1.0, alarm.signal: 1.0}
    grown = value * _BASE if alarm.form == "ratio" else value
    return {alarm.signal: grown * number, alarm.per: _BASE * number}


def _value(alarm: Alarm, beyond: bool) -> float:
    """Return the watched value of each period."""
    if alarm.form == "stalled":
        return 0.0 if beyond else 1.0
    step = max(abs(alarm.threshold) * _NEAR, _NEAR)
    is_upper = alarm.comparison in (">", ">=")
    if not beyond and alarm.comparison in (">", "<"):
        return alarm.threshold
    return alarm.threshold + (step if is_upper == beyond else -step)
