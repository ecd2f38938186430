"""Alarms evaluated on faultless measurements, or on the result of a reconciliation."""

from __future__ import annotations

from dataclasses import replace

from pipeline.deploy.monitoring.alarms import Alarm
from pipeline.deploy.monitoring.judge import Sample, fires


def lowered(alarm: Alarm, threshold: float) -> Alarm:
    """Return the alarm with a threshold that the local servers exceed."""
    return replace(alarm, threshold=threshold)


def mismatch(alarm: Alarm, ok: bool) -> bool:
    """Return whether it fires on a report that is not ok, and is off on one that is.

    The template's log filters turn the report's `"ok": false` into 1 and `"ok": true` into 0.
    """
    bad, good = (Sample(0.0, {alarm.signal: value}) for value in (float(not ok), 0.0))
    return fires(alarm, [bad]) and not fires(alarm, [good])
