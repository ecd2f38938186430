"""The panels of `dev.templates.panels` as a CloudWatch dashboard."""

from __future__ import annotations

import json
from typing import Any

from dev.templates.alarm_resources import query
from dev.templates.documented import SNAPSHOT_SECONDS
from dev.templates.panels import PANELS, Line, Panel
from dev.templates.signals import Signal, signal


def dashboard() -> dict[str, Any]:
    """Return the dashboard as a CloudFormation resource."""
    widgets = [_widget(number, panel) for number, panel in enumerate(PANELS)]
    body = json.dumps({"widgets": widgets}, separators=(",", ":"))
    properties = {
        "DashboardName": {"Ref": "ApplicationName"},
        "DashboardBody": {"Fn::Sub": body},
    }
    return {"Type": "AWS::CloudWatch::Dashboard", "Properties": properties}


def _widget(number: int, panel: Panel) -> dict[str, Any]:
    metrics = [
        entry for place, line in enumerate(panel.lines) for entry in _entries(line, f"m{place}")
    ]
    properties = {
        "title": panel.title,
        "region": "${AWS::Region}",
        "view": "timeSeries",
        "period": 60,
        "yAxis": {"left": {"label": panel.unit, "showUnits": False}},
        "metrics": metrics,
    }
    place = {"x": number % 3 * 8, "y": number // 3 * 6, "width": 8, "height": 6}
    return {"type": "metric", **place, "properties": properties}


def _entries(line: Line, name: str) -> list[list[Any]]:
    """Return a line's metrics, hidden if an expression over them is shown instead."""
    source = signal(line.signal)
    if line.split:
        return [[{"expression": _search(source, line.split), "id": name}]]
    if line.form == "level" and not source.summed:
        return [_metric(source, name, label=line.label)]
    value = level(source, name) if line.form == "level" else per_second(source, name)
    entries = [_metric(source, name, visible=False)]
    if line.per:
        base = signal(line.per)
        value = f"{value} / ({per_second(base, f'{name}p')})"
        entries.append(_metric(base, f"{name}p", visible=False))
    return [*entries, [{"expression": value, "label": line.label, "id": f"{name}e"}]]


def level(source: Signal, name: str) -> str:
    """Return the value of all tasks, as metric math over the query `name`."""
    return f"{name}*{SNAPSHOT_SECONDS}/PERIOD({name})" if source.summed else name


def per_second(source: Signal, name: str) -> str:
    """Return the increase a second of all tasks, as metric math over the query `name`."""
    if source.kind == "count":
        return f"{name}/PERIOD({name})"
    return f"RATE({name})*{SNAPSHOT_SECONDS}/PERIOD({name})" if source.summed else f"RATE({name})"


def stat(source: Signal) -> str:
    """Return CloudWatch's statistic of the signal's metric in a chart."""
    return "Sum" if source.summed else source.statistic


def _search(source: Signal, split: str) -> str:
    schema = f'Namespace="{source.namespace}" MetricName="{source.metric}"'
    application = 'Application="${ApplicationName}"'
    found = f"SEARCH('{schema} {application} {split}', '{stat(source)}', 60)"
    return f"{found}*{SNAPSHOT_SECONDS}/60" if source.summed else found


def _metric(source: Signal, name: str, **options: Any) -> list[Any]:
    if not source.exact:
        return [{"expression": query(source)["Fn::Sub"], "id": name, **options}]
    labels = [text for pair in source.labels for text in pair]
    shown = {"id": name, "stat": stat(source), **options}
    return [source.namespace, source.metric, *labels, shown]
