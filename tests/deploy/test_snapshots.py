"""CloudWatch sums what each task sends four times a minute: what boards and alarms make of it."""

from __future__ import annotations

import re

import pytest

from dev.templates.alarm_resources import increase, level, stat
from dev.templates.documented import SNAPSHOT_SECONDS
from dev.templates.signals import Signal, signal

TASKS = {"first": 30.0, "second": 50.0, "third": 0.0}
"""Records a second of each task."""
A_SECOND = 80.0


def summed(start: float, period: int, *, is_total: bool) -> float:
    """Return CloudWatch's Sum in a period of the tasks' totals, or of their rates."""
    times = range(0, period, SNAPSHOT_SECONDS)
    return sum(
        rate * (start + time) if is_total else rate for time in times for rate in TASKS.values()
    )


def evaluated(expression: str, before: float, now: float, period: int) -> float:
    """Return the value of metric math over one metric, m."""
    text = expression.replace("RATE(m)", f"(({now} - {before}) / {period})")
    text = re.sub(r"\bm\b", str(now), text.replace("PERIOD(m)", str(period)))
    assert re.fullmatch(r"[\d.*/()\s-]+", text), text
    return float(eval(text))


@pytest.mark.parametrize("period", [60, 300, 3600])
def test_a_counters_increase_is_what_all_tasks_counted(period: int) -> None:
    source = signal("decode.in")
    assert stat(source) == "Sum"
    before, now = (summed(start, period, is_total=True) for start in (900, 900 + period))
    grown = evaluated(increase(source, "m"), before, now, period)
    assert grown == pytest.approx(A_SECOND * period)


@pytest.mark.parametrize("period", [60, 300, 3600])
def test_a_rate_is_that_of_all_tasks(period: int) -> None:
    source = signal("records_out")
    assert stat(source) == "Sum"
    now = summed(900, period, is_total=False)
    assert evaluated(level(source, "m"), 0, now, period) == pytest.approx(A_SECOND)


@pytest.mark.parametrize("name", ["threads", "heap_percent", "full_restarts", "source_records"])
def test_other_signals_are_no_sums_of_snapshots(name: str) -> None:
    source: Signal = signal(name)
    assert not source.summed
    assert level(source, "m") == "m"
