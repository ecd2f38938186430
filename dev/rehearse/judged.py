"""Alarms judged on what is measured without a fault, or on what a reconciliation said."""

from __future__ import annotations

from dataclasses import replace

from pipeline.deploy.monitoring.alarms import Alarm
from pipeline.deploy.monitoring.judge import Sample, fires


def lowered(alarm: Alarm, threshold: float) -> Alarm:
    """The same alarm with a threshold that the local servers pass."""
    return replace(alarm, threshold=threshold)


def mismatch(alarm: Alarm, ok: bool) -> bool:
    """Whether it fires on a report that is not ok, and is off on one that is.

    The template's log filters make 1 of the report's `"ok": false` and 0 of `"ok": true`.
    """
    bad, good = (Sample(0.0, {alarm.signal: value}) for value in (float(not ok), 0.0))
    return fires(alarm, [bad]) and not fires(alarm, [good])
