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
    return {f"Alarm{each.name}": _resource(each) for each in ALARMS}


def query(found: Signal) -> dict[str, str]:
    """Return a Metrics Insights query that names only the dimensions that AWS documents."""
    where = " AND ".join(f"\"{name}\" = '{value}'" for name, value in found.labels)
    select = f'SELECT {_FUNCTIONS[found.statistic]}("{found.metric}")'
    return {"Fn::Sub": f'{select} FROM "{found.namespace}" WHERE {where}'}


def rate(found: Signal, name: str) -> str:
    """Return the increase in a period, as metric math over the query `name`."""
    return name if found.kind == "count" else f"RATE({name})*PERIOD({name})"


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
    found = signal(alarm.signal)
    if found.exact and (alarm.form == "level" or (alarm.form, found.kind) == ("growth", "count")):
        return {
            **_metric(found),
            "Statistic": found.statistic,
            "Period": alarm.period_seconds,
        }
    queries = [_queried(found, "m", alarm)]
    queries += [_queried(signal(alarm.per), "p", alarm)] if alarm.per else []
    if alarm.form != "level":
        made = {"Id": "value", "Expression": _expression(alarm, found), "ReturnData": True}
        queries = [{**each, "ReturnData": False} for each in queries] + [made]
    return {"Metrics": queries}


def _queried(found: Signal, name: str, alarm: Alarm) -> dict[str, Any]:
    if not found.exact:
        return {"Id": name, "Expression": query(found), "Period": alarm.period_seconds}
    stat = {
        "Metric": _metric(found),
        "Period": alarm.period_seconds,
        "Stat": found.statistic,
    }
    return {"Id": name, "MetricStat": stat}


def _expression(alarm: Alarm, found: Signal) -> str:
    grown = rate(found, "m")
    if alarm.form == "growth":
        return grown
    base = rate(signal(alarm.per), "p")
    if alarm.form == "ratio":
        return f"IF({base} > 0, {grown} / ({base}), 0)"
    return f"IF(FILL({base}, 0) > 0 AND FILL({grown}, 0) <= 0, 1, 0)"


def _metric(found: Signal) -> dict[str, Any]:
    labels = [{"Name": name, "Value": _text(value)} for name, value in found.labels]
    dimensions = {"Dimensions": labels} if labels else {}
    return {"Namespace": _text(found.namespace), "MetricName": found.metric, **dimensions}


def _text(text: str) -> Any:
    return {"Fn::Sub": text} if "${" in text else text
