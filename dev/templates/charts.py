"""The panels as charts over Prometheus: what Grafana's dashboard and Prometheus' own page draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from dev.templates.panels import PANELS, Line, Panel
from dev.templates.promql import is_exposed, query

Unit = Literal["s", "bytes", "percentunit", "cps", "reqps", "none"]
"""As Grafana names them. Prometheus has times in seconds and shares from 0 to 1."""

_UNITS: Final[dict[str, Unit]] = {
    "ms": "s",
    "bytes": "bytes",
    "percent": "percentunit",
    "ratio": "percentunit",
    "records/s": "cps",
    "requests/s": "reqps",
    "ms/s": "percentunit",
    "count": "none",
}
_SPLITS: Final = {"": "", "Operator": "operator_name", "Task": "task_name"}
_WINDOW: Final = "1m"
_LONG_WINDOW: Final = "5m"
_REASON: Final = ".rejected_"
_STEPS: Final = {"decode": "decoded", "index": "acknowledged"}


@dataclass(frozen=True, slots=True)
class Curve:
    """One query; it draws one line called `label`, or one for each value of the label `by`."""

    expression: str
    label: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart and the unit of its axis."""

    title: str
    unit: Unit
    curves: tuple[Curve, ...]


def charts() -> list[Chart]:
    """Return the panels that have a metric in Prometheus, and the percentiles that only it has."""
    made = []
    for panel in PANELS:
        curves = [_curve(panel, line) for line in panel.lines if is_exposed(line.signal)]
        if curves:
            made.append(Chart(panel.title, _UNITS[panel.unit], tuple(dict.fromkeys(curves))))
    return [*made, Chart("Time since arrival, percentiles", "s", _percentiles())]


def _curve(panel: Panel, line: Line) -> Curve:
    """Return the query of a line.

    A counter is never drawn as it is: it begins at 0 again with each restart. It is drawn per
    second, and in a panel of counts as its increase in five minutes. The reasons of rejects are one
    query.
    """
    asked = query(line.signal)
    by = _SPLITS[line.split]
    if _REASON in line.signal:
        step = line.signal.partition(_REASON)[0]
        return Curve(query(f"{step}.rejected").rate(_WINDOW, "reason"), by="reason")
    if line.form == "ratio":
        expression = f"{asked.rate(_WINDOW)} / {query(line.per).rate(_WINDOW)}"
    elif not asked.is_counter:
        expression = asked.level(by)
    elif panel.unit == "count":
        expression = asked.growth(_LONG_WINDOW, by)
    else:
        expression = asked.rate(_WINDOW, by)
    return Curve(expression, "" if by else line.label, by)


def _percentiles() -> tuple[Curve, ...]:
    buckets = "sum by (le) (rate(streaming_etl_{step}_lag_seconds_bucket[{window}]))"
    return tuple(
        Curve(
            f"histogram_quantile({share / 100:g}, {buckets.format(step=step, window=_WINDOW)})",
            f"p{share} to {until}",
        )
        for step, until in _STEPS.items()
        for share in (50, 99)
    )
