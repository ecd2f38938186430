"""The Grafana dashboard over Prometheus, from which conf/grafana/streaming-etl.json is written."""

from __future__ import annotations

import json
from typing import Any, Final

from dev.templates.panels import PANELS, Line, Panel
from pipeline.deploy.monitoring.local import LOCAL, Local

_UNITS: Final = {
    "ms": "ms",
    "bytes": "bytes",
    "percent": "percent",
    "ratio": "percentunit",
    "records/s": "cps",
    "requests/s": "reqps",
    "ms/s": "none",
    "count": "none",
}
_SPLITS: Final = {"Operator": "operator_name", "Task": "task_name"}
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_WINDOW: Final = "1m"


def board() -> str:
    """Render the dashboard as JSON; panels without a local metric are left out."""
    panels = [panel for panel in PANELS if any(line.signal in LOCAL for line in panel.lines)]
    content = {
        "uid": "streaming-etl",
        "title": "streaming-etl",
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }
    return json.dumps(content, indent=1) + "\n"


def expression(line: Line) -> str:
    """Return the line's PromQL expression."""
    local = LOCAL[line.signal]
    if line.form == "ratio":
        return f"{_grown(local)} / {_grown(LOCAL[line.per])}"
    if line.form == "growth":
        return _grown(local)
    level = _series(local) + (f" / {local.per}" if local.per else "")
    by = f" by ({_SPLITS[line.split]})" if line.split else ""
    scale = f"{local.scale:g} * " if local.scale != 1 else ""
    return f"{scale}{local.combine}{by} ({level})"


def _grown(local: Local) -> str:
    return f"sum (rate({_series(local)}[{_WINDOW}]))"


def _series(local: Local) -> str:
    labels = ",".join(f'{name}="{value}"' for name, value in local.labels)
    return f"{local.metric}{{{labels}}}" if labels else local.metric


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    lines = [line for line in panel.lines if line.signal in LOCAL]
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": {"x": number % 3 * 8, "y": number // 3 * 8, "w": 8, "h": 8},
        "fieldConfig": {"defaults": {"unit": _UNITS[panel.unit]}, "overrides": []},
        "targets": [_target(chr(ord("A") + place), line) for place, line in enumerate(lines)],
    }


def _target(letter: str, line: Line) -> dict[str, Any]:
    label = f"{{{{{_SPLITS[line.split]}}}}}" if line.split else line.label
    return {
        "refId": letter,
        "expr": expression(line),
        "legendFormat": label,
        "datasource": _SOURCE,
    }
