"""The signals of alarms and dashboards as PromQL over what `dev.servers.exposition` exposes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dev.servers.exposition import exposed_as
from pipeline.deploy.monitoring.local import LOCAL, Local

# What Flink also tells per second is taken from its counter.
_COUNTERS: Final = {
    "records_in": Local("flink_taskmanager_job_task_operator_numRecordsIn", "sum"),
    "records_out": Local("flink_taskmanager_job_task_operator_numRecordsOut", "sum"),
}


@dataclass(frozen=True, slots=True)
class Query:
    """How a signal is asked for.

    `series` selects it, `combine` aggregates its series, and with `per` each series is divided by
    the one of `per` that has the same labels. In the unit of the signal, which the thresholds of
    alarms have, the value is `scale` times as large.
    """

    series: str
    combine: str
    is_counter: bool
    per: str = ""
    scale: float = 1

    def level(self, by: str = "") -> str:
        """Return the value itself, for each value of the label `by` if one is given."""
        inner = f"{self.series} / {self.per}" if self.per else self.series
        return f"{self.combine}{_by(by)}({inner})"

    def growth(self, window: str, by: str = "") -> str:
        """Return how much a counter grew within the window."""
        return f"{self.combine}{_by(by)}(increase({self.series}[{window}]))"

    def rate(self, window: str, by: str = "") -> str:
        """Return how much a counter grew per second within the window."""
        return f"{self.combine}{_by(by)}(rate({self.series}[{window}]))"


def is_exposed(signal: str) -> bool:
    """Return whether Prometheus has the signal: it has none of logs, lakes and AWS services."""
    return signal in LOCAL


def query(signal: str) -> Query:
    """Return how to ask for a signal that is exposed.

    >>> query("decode.rejected_missing_field").series
    'streaming_etl_decode_rejected_total{reason="missing_field"}'
    >>> query("checkpoint_ms").level()
    'max(flink_job_last_checkpoint_duration_seconds)'
    >>> query("heap_percent").level()
    'max(flink_taskmanager_heap_used_bytes / flink_taskmanager_heap_max_bytes)'
    """
    local = _COUNTERS.get(signal) or LOCAL[signal]
    series, divisor = _series(local.metric, local)
    per = _series(local.per, local)[0] if local.per else ""
    is_counter = "_total" in series or "_seconds_sum" in series
    return Query(series, local.combine, is_counter, per, local.scale * divisor)


def _series(metric: str, local: Local) -> tuple[str, float]:
    """Return the selector of a metric of the reporter, and the divisor of its values."""
    step = dict(local.labels).get("step", "")
    name, labels, divisor = exposed_as(metric, step)
    texts = ",".join(f'{label}="{text}"' for label, text in labels)
    return (f"{name}{{{texts}}}" if texts else name), divisor


def _by(label: str) -> str:
    return f" by ({label}) " if label else ""
