"""The alarms of `pipeline.deploy.monitoring.alarms` as CloudFormation resources."""

from __future__ import annotations

from typing import Any

from dev.templates.signals import Signal, signal
from pipeline.deploy.monitoring.alarms import ALARMS, Alarm

_COMPARISONS = {
    ">": "GreaterThanThreshold",
    ">=": "GreaterThanOrEqualToThreshold",
    "<": "LessThanThreshold",
    "<=": "LessThanOrEqualToThreshold",
}
_TOPICS = {"page": "PageTopic", "ticket": "TicketTopic"}
_FUNCTIONS = {"Average": "AVG", "Maximum": "MAX", "Minimum": "MIN", "Sum": "SUM"}
RUNBOOK = "docs/alarms.md"


def alarm_resources() -> dict[str, Any]:
    """Return every alarm resource by its logical id."""
    return {f"Alarm{alarm.name}": _resource(alarm) for alarm in ALARMS}


def query(source: Signal) -> dict[str, str]:
    """Return a Metrics Insights query that names only the dimensions that AWS documents."""
    where = " AND ".join(f"\"{name}\" = '{value}'" for name, value in source.labels)
    select = f'SELECT {_FUNCTIONS[source.statistic]}("{source.metric}")'
    return {"Fn::Sub": f'{select} FROM "{source.namespace}" WHERE {where}'}


def increase(source: Signal, name: str) -> str:
    """Return the increase in a period, as metric math over the query `name`."""
    return name if source.kind == "count" else f"RATE({name})*PERIOD({name})"


def stat(alarm: Alarm, source: Signal) -> str:
    """Return CloudWatch's statistic of a signal's metric in an alarm.

    The increase of what each task counts is that of a task, in the mean: a sum also grows when a
    period has one snapshot more than the period before.
    """
    if alarm.form == "absent" and source.name == alarm.signal:
        return "Maximum"  # a job that ended has the uptime -1, beside that of the next one
    return "Average" if source.summed else source.statistic


def _resource(alarm: Alarm) -> dict[str, Any]:
    topic = {"Ref": _TOPICS[alarm.severity]}
    properties = {
        "AlarmName": {"Fn::Sub": f"${{ApplicationName}}-{alarm.name}"},
        "AlarmDescription": f"{alarm.meaning} {RUNBOOK}#{alarm.name.lower()}",
        **_watched(alarm),
        "ComparisonOperator": _COMPARISONS[alarm.comparison],
        "Threshold": {"Ref": alarm.parameter} if alarm.parameter else alarm.threshold,
        "EvaluationPeriods": alarm.periods,
        "DatapointsToAlarm": alarm.periods,
        "TreatMissingData": alarm.missing,
        "AlarmActions": [topic],
        "OKActions": [topic],
    }
    condition = {"Condition": alarm.when} if alarm.when else {}
    return {"Type": "AWS::CloudWatch::Alarm", **condition, "Properties": properties}


def _watched(alarm: Alarm) -> dict[str, Any]:
    source = signal(alarm.signal)
    if source.exact and (alarm.form == "level" or (alarm.form, source.kind) == ("growth", "count")):
        return {
            **_metric(source),
            "Statistic": stat(alarm, source),
            "Period": alarm.period_seconds,
        }
    queries = [_queried(source, "m", alarm)]
    queries += [_queried(signal(alarm.per), "p", alarm)] if alarm.per else []
    if alarm.form != "level":
        value = {"Id": "value", "Expression": _expression(alarm, source), "ReturnData": True}
        queries = [{**entry, "ReturnData": False} for entry in queries] + [value]
    return {"Metrics": queries}


def _queried(source: Signal, name: str, alarm: Alarm) -> dict[str, Any]:
    if not source.exact:
        return {"Id": name, "Expression": query(source), "Period": alarm.period_seconds}
    metric = {
        "Metric": _metric(source),
        "Period": alarm.period_seconds,
        "Stat": stat(alarm, source),
    }
    return {"Id": name, "MetricStat": metric}


def _expression(alarm: Alarm, source: Signal) -> str:
    grown = increase(source, "m")
    if alarm.form == "growth":
        return grown
    if alarm.form == "absent":
        return "IF(FILL(p, 0) > 0 AND FILL(m, -1) < 0, 1, 0)"
    base = increase(signal(alarm.per), "p")
    if alarm.form == "ratio":
        return f"IF({base} > 0, {grown} / ({base}), 0)"
    return f"IF(FILL({base}, 0) > 0 AND FILL({grown}, 0) <= 0, 1, 0)"


def _metric(source: Signal) -> dict[str, Any]:
    labels = [{"Name": name, "Value": _text(value)} for name, value in source.labels]
    dimensions = {"Dimensions": labels} if labels else {}
    return {"Namespace": _text(source.namespace), "MetricName": source.metric, **dimensions}


def _text(text: str) -> Any:
    return {"Fn::Sub": text} if "${" in text else text
