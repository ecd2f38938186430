"""CloudWatch keeps what each task sends in every snapshot: what boards and alarms make of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from dev.templates.alarm_resources import alarm_resources, increase, stat
from dev.templates.dashboard import level, per_second
from dev.templates.dashboard import stat as stat_of_chart
from dev.templates.documented import SNAPSHOT_SECONDS
from dev.templates.signals import signal
from pipeline.deploy.monitoring.alarms import alarm
from pipeline.deploy.monitoring.judge import Sample, verdict

TASKS = {"first": 30.0, "second": 50.0, "third": 0.0}
"""Records a second of each task."""
A_SECOND = 80.0
STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Average": lambda values: sum(values) / len(values),
    "Maximum": max,
}


def totals(start: float, snapshots: int) -> list[float]:
    """Return what the tasks' counters say in the snapshots of a period."""
    times = [start + number * SNAPSHOT_SECONDS for number in range(snapshots)]
    return [rate * time for time in times for rate in TASKS.values()]


def evaluated(expression: str, before: float, now: float, period: int) -> float:
    """Return the value of metric math over one metric, m."""
    text = expression.replace("RATE(m)", f"(({now} - {before}) / {period})")
    text = re.sub(r"\bm\b", str(now), text.replace("PERIOD(m)", str(period)))
    assert re.fullmatch(r"[\d.*/()\s-]+", text), text
    return float(eval(text))


@pytest.mark.parametrize("period", [60, 300, 3600])
def test_a_chart_shows_what_all_tasks_count_a_second(period: int) -> None:
    source = signal("decode.in")
    of_all = STATISTICS[stat_of_chart(source)]
    count = period // SNAPSHOT_SECONDS
    before, now = (of_all(totals(start, count)) for start in (900, 900 + period))
    assert evaluated(per_second(source, "m"), before, now, period) == pytest.approx(A_SECOND)


@pytest.mark.parametrize("period", [60, 300, 3600])
def test_a_chart_shows_the_rate_of_all_tasks(period: int) -> None:
    source = signal("records_out")
    now = STATISTICS[stat_of_chart(source)](
        [rate for _ in range(period // SNAPSHOT_SECONDS) for rate in TASKS.values()]
    )
    assert evaluated(level(source, "m"), 0, now, period) == pytest.approx(A_SECOND)


def test_an_alarm_sees_the_mean_increase_of_a_task() -> None:
    each = alarm("InternalError")
    of_all = STATISTICS[stat(each, signal(each.signal))]
    before, now = (of_all(totals(start, 20)) for start in (900, 1200))
    grown = evaluated(increase(signal(each.signal), "m"), before, now, 300)
    assert grown == pytest.approx(A_SECOND * 300 / len(TASKS))


@pytest.mark.parametrize(("before", "now"), [(20, 19), (19, 20), (20, 20)])
def test_a_snapshot_more_or_less_is_no_increase(before: int, now: int) -> None:
    each = alarm("InternalError")
    of_all = STATISTICS[stat(each, signal(each.signal))]
    values = [[3.0, 3.0, 0.0] * count for count in (before, now)]
    first, second = map(of_all, values)
    assert evaluated(increase(signal(each.signal), "m"), first, second, 300) == pytest.approx(0)


@pytest.mark.parametrize("name", ["threads", "heap_percent", "full_restarts", "source_records"])
def test_other_signals_are_no_sums_of_snapshots(name: str) -> None:
    source = signal(name)
    assert level(source, "m") == "m"
    assert stat_of_chart(source) == source.statistic


@pytest.mark.parametrize(
    ("uptimes", "kpus", "is_alarm"),
    [
        ([], [2.0], True),
        ([-1.0], [2.0], True),
        ([-1.0, 5000.0], [2.0], False),  # an update: the old job ended, the new one runs
        ([5000.0], [2.0], False),
        ([], [], False),
        ([5000.0], [], False),
    ],
)
def test_the_expression_of_no_job_is_what_is_judged_here(
    uptimes: list[float], kpus: list[float], is_alarm: bool
) -> None:
    each = alarm("NoJob")
    found: dict[str, Any] = {
        query["Id"]: query for query in alarm_resources()["AlarmNoJob"]["Properties"]["Metrics"]
    }
    values = {"m": uptimes, "p": kpus}
    text = found["value"]["Expression"]
    for name, values_of in values.items():
        of_all = STATISTICS[found[name]["MetricStat"]["Stat"]]
        filled = re.search(rf"FILL\({name}, (-?\d+)\)", text)
        assert filled
        text = text.replace(filled[0], str(of_all(values_of) if values_of else filled[1]))
    match = re.fullmatch(r"IF\((\S+) > 0 AND (\S+) < 0, 1, 0\)", text)
    assert match
    assert (float(match[1]) > 0 and float(match[2]) < 0) == is_alarm
    samples = [Sample(float(at), {"uptime": value}) for at, value in enumerate(uptimes, 1)]
    samples += [Sample(float(at), {"kpus": value}) for at, value in enumerate(kpus, 5)]
    judged = verdict(each, samples, period_seconds=100) if samples else "ok"
    assert (judged == "alarm") == is_alarm
