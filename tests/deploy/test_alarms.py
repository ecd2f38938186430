"""The table of alarms: every name in it is known, and each fires on what it is for, not else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dev.templates.alarm_resources import alarm_resources
from dev.templates.documented import DOCUMENTED, documented
from dev.templates.signals import MADE, OWN, SIGNALS, Signal, signal
from pipeline import metrics
from pipeline.deploy.monitoring.alarms import ALARMS, Alarm, alarm
from pipeline.deploy.monitoring.judge import Sample, datapoints, fires, verdict
from tests.deploy.stacks import EVERYTHING, properties, stack, template

PERIOD = 10.0
# Recommended by AWS: statistic, period, periods, threshold, missing data; see docs/alarms.md.
RECOMMENDED = {
    "Down": ("Average", 60, 1, 0, "breaching"),
    "CheckpointSlow": ("Maximum", 300, 1, 30_000, "missing"),
    "Heap": ("Maximum", 60, 3, 90, "missing"),
    "Memory": ("Maximum", 60, 3, 85, "missing"),
    "Cpu": ("Maximum", 300, 3, 80, "missing"),
    "BackPressure": ("Maximum", 60, 3, 500, "missing"),
    "BehindKinesis": ("Maximum", 300, 1, 60_000, "breaching"),
    "SearchRed": ("Maximum", 60, 1, 1, "notBreaching"),
    "SearchYellow": ("Maximum", 60, 5, 1, "notBreaching"),
    "SearchBlocked": ("Maximum", 300, 1, 1, "notBreaching"),
}


def _samples(values: Sequence[Mapping[str, float]]) -> list[Sample]:
    """One sample at the end of each period, the last one at the end of the newest."""
    return [Sample(number * PERIOD, each) for number, each in enumerate(values, start=1)]


def _bad(alarm: Alarm) -> list[Mapping[str, float]]:
    """Values that must make the alarm fire, one more than its periods."""
    over = alarm.threshold + (0 if "=" in alarm.comparison else 1)
    if alarm.comparison == "<":
        over = alarm.threshold - 1
    count = range(alarm.periods + 1)
    if alarm.form == "level":
        return [{alarm.signal: over} for _ in count]
    if alarm.form == "growth":
        return [{alarm.signal: step * over} for step in count]
    if alarm.form == "ratio":
        return [{alarm.signal: step * over * 10, alarm.per: step * 10} for step in count]
    if alarm.form == "absent":
        return [{alarm.per: 2} for _ in count]
    return [{alarm.signal: 5, alarm.per: step * 10} for step in count]


def _good(alarm: Alarm) -> list[Mapping[str, float]]:
    """Values of a healthy job."""
    under = alarm.threshold + 1 if "<" in alarm.comparison else alarm.threshold / 2
    count = range(alarm.periods + 1)
    if alarm.form == "level":
        return [{alarm.signal: under} for _ in count]
    if alarm.form == "growth":
        return [{alarm.signal: 7} for _ in count]
    if alarm.form == "ratio":
        return [{alarm.signal: step * under * 10, alarm.per: step * 10} for step in count]
    return [{alarm.signal: step, alarm.per: step * 10} for step in count]  # absent: a job of 0 ms


BY_NAME = pytest.mark.parametrize("each", ALARMS, ids=lambda each: each.name)


@BY_NAME
def test_it_fires_on_what_it_is_for(each: Alarm) -> None:
    assert fires(each, _samples(_bad(each)), period_seconds=PERIOD)


@BY_NAME
def test_it_is_quiet_on_a_healthy_job(each: Alarm) -> None:
    assert verdict(each, _samples(_good(each)), period_seconds=PERIOD) == "ok"


@BY_NAME
def test_one_period_less_is_not_enough(each: Alarm) -> None:
    values = [*_good(each)[:1], *_bad(each)[: each.periods]]
    if each.periods > 1 and each.form == "level":
        assert not fires(each, _samples(values[: each.periods]), period_seconds=PERIOD)


@BY_NAME
def test_missing_data_is_taken_as_it_says(each: Alarm) -> None:
    expected = {"breaching": "alarm", "notBreaching": "ok", "missing": "no_data"}[each.missing]
    if each.form not in ("stalled", "absent"):
        assert verdict(each, [Sample(100, {})], period_seconds=PERIOD) == expected


@BY_NAME
def test_its_signals_are_there(each: Alarm) -> None:
    assert signal(each.signal) and (not each.per or signal(each.per))
    assert each.form != "level" or each.statistic == signal(each.signal).statistic
    assert bool(each.per) == (each.form in ("ratio", "stalled", "absent"))
    assert not each.when or each.when in template()["Conditions"]
    assert not each.parameter or each.parameter in template()["Parameters"]
    assert each.meaning.endswith(".") and each.action.endswith(".")


def test_a_restart_begins_at_zero_and_is_no_growth() -> None:
    each = alarm("InternalError")
    values = [{each.signal: 40.0}, {each.signal: 0.0}]
    assert datapoints(each, _samples(values), PERIOD) == [-40]
    assert not fires(each, _samples(values), period_seconds=PERIOD)


def test_a_ratio_of_nothing_is_zero() -> None:
    each = alarm("DeadLetterRatio")
    values = [{"decode.rejected": 3.0, "decode.in": 9.0}] * 2
    assert datapoints(each, _samples(values), PERIOD) == [0]


def test_names_are_used_once() -> None:
    assert len({each.name for each in ALARMS}) == len(ALARMS)
    assert len({each.name for each in SIGNALS}) == len(SIGNALS)
    assert len({(each.namespace, each.name) for each in DOCUMENTED}) == len(DOCUMENTED)
    with pytest.raises(KeyError, match="no alarm Nap"):
        alarm("Nap")
    with pytest.raises(KeyError, match="no signal nap"):
        signal("nap")
    with pytest.raises(KeyError, match="AWS/Kinesis documents no metric Nap"):
        documented("AWS/Kinesis", "Nap")


@pytest.mark.parametrize("each", SIGNALS, ids=lambda each: each.name)
def test_a_signals_metric_is_ours_or_documented_or_made(each: Signal) -> None:
    step = dict(each.labels).get("step")
    if step:
        assert each.metric in metrics.names(step)
    elif each.namespace == OWN:
        assert each.metric in MADE
    else:
        assert documented(each.namespace, each.metric)


def test_every_metric_of_the_template_is_known() -> None:
    known = {(each.namespace, each.name) for each in DOCUMENTED}
    ours = {
        (step, name) for step in ("decode", "index", "claim_check") for name in metrics.names(step)
    }
    for name, each in alarm_resources().items():
        for metric in _metrics(each["Properties"]):
            labels = {label["Name"]: label["Value"] for label in metric.get("Dimensions", ())}
            place = (metric["Namespace"], metric["MetricName"])
            is_ours = (labels.get("step"), metric["MetricName"]) in ours
            is_made = metric["Namespace"] == {"Fn::Sub": OWN} and metric["MetricName"] in MADE
            assert is_ours or is_made or place in known, name


def _metrics(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    inner = [each["MetricStat"]["Metric"] for each in found.get("Metrics", ())
             if "MetricStat" in each]  # fmt: skip
    return inner + ([found] if "MetricName" in found else [])


def test_the_template_makes_the_metrics_of_log_lines() -> None:
    filters = {
        transformation["MetricName"]: transformation["MetricNamespace"]
        for resource in stack(**EVERYTHING).resources().values()
        if resource["Type"] == "AWS::Logs::MetricFilter"
        for transformation in resource["Properties"]["MetricTransformations"]
    }
    assert filters == dict.fromkeys(MADE, "StreamingEtl/streaming-etl")


def test_an_alarm_has_one_query_at_most_and_watches_one_value() -> None:
    for resource in alarm_resources().values():
        queries = resource["Properties"].get("Metrics", [])
        asked = [query for query in queries if "SELECT" in str(query.get("Expression"))]
        assert len(asked) <= 1, "GetMetricData takes one Metrics Insights query"
        assert sum(query.get("ReturnData", True) for query in queries) == bool(queries)


@pytest.mark.parametrize("name", RECOMMENDED)
def test_the_thresholds_are_the_recommended_ones(name: str) -> None:
    each = alarm(name)
    found = (
        signal(each.signal).statistic,
        each.period_seconds,
        each.periods,
        each.threshold,
        each.missing,
    )
    assert found == RECOMMENDED[name]


def test_what_only_grows_is_judged_by_its_growth() -> None:
    counters = {each.name for each in SIGNALS if each.kind != "gauge"}
    assert [each.name for each in ALARMS if each.form == "level" and each.signal in counters] == []


def test_a_page_and_a_ticket_go_to_their_topics() -> None:
    made = stack(**EVERYTHING)
    assert properties(made, "AlarmDown")["AlarmActions"] == ["PageTopic"]
    assert properties(made, "AlarmRestarts")["AlarmActions"] == ["TicketTopic"]
