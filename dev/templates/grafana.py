"""The Grafana dashboard over Prometheus, from which conf/grafana/streaming-etl.json is written."""

from __future__ import annotations

import json
from typing import Any, Final

from dev.templates.charts import Chart, charts

_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def board() -> str:
    """Render the dashboard as JSON; panels without a metric in Prometheus are left out."""
    content = {
        "uid": "streaming-etl",
        "title": "streaming-etl",
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [_panel(number, chart) for number, chart in enumerate(charts())],
    }
    return json.dumps(content, indent=1) + "\n"


def _panel(number: int, chart: Chart) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": chart.title,
        "datasource": _SOURCE,
        "gridPos": {"x": number % 3 * 8, "y": number // 3 * 8, "w": 8, "h": 8},
        "fieldConfig": {"defaults": {"unit": chart.unit}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "expr": curve.expression,
                "legendFormat": f"{{{{{curve.by}}}}}" if curve.by else curve.label,
                "datasource": _SOURCE,
            }
            for place, curve in enumerate(chart.curves)
        ],
    }
