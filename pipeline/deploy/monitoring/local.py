"""What the local servers measure: each signal's Prometheus metric, and one sample of all of them.

The names are those that Flink's Prometheus reporter gives. The same signals in CloudWatch are in
`dev.templates.signals`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from connectors.errors import UserError
from connectors.flink.metrics import STEP_SCOPE, Series, fetch
from connectors.s3.store import open_store
from pipeline.config.model import Config
from pipeline.deploy.monitoring.alarms import ALARMS, Alarm
from pipeline.deploy.monitoring.judge import Sample
from pipeline.metrics import METRICS

# Flink logs this when it gives up on a Kafka transaction; the template's log filter has it too.
UNCOMMITTED: Final = "Unable to commit transaction"


@dataclass(frozen=True, slots=True)
class Local:
    """A Prometheus metric. `combine` aggregates its series. With `per`, each series is divided by
    the series of `per` that has the same labels."""

    metric: str
    combine: Literal["sum", "max"] = "max"
    labels: tuple[tuple[str, str], ...] = ()
    per: str = ""
    scale: float = 1


_JOB = "flink_jobmanager_job"
_JVM = "flink_taskmanager_Status_JVM"
_TASK = "flink_taskmanager_job_task"
_OPERATOR = f"{_TASK}_operator"

LOCAL: Final[Mapping[str, Local]] = {
    "downtime": Local(f"{_JOB}_downtime"),
    "uptime": Local(f"{_JOB}_uptime"),
    "full_restarts": Local(f"{_JOB}_fullRestarts"),
    "failed_checkpoints": Local(f"{_JOB}_numberOfFailedCheckpoints"),
    "checkpoint_ms": Local(f"{_JOB}_lastCheckpointDuration"),
    "checkpoint_bytes": Local(f"{_JOB}_lastCheckpointSize"),
    "heap_percent": Local(f"{_JVM}_Memory_Heap_Used", per=f"{_JVM}_Memory_Heap_Max", scale=100),
    "cpu_percent": Local(f"{_JVM}_CPU_Load", scale=100),
    "old_gc_ms": Local(f"{_JVM}_GarbageCollector_PS_MarkSweep_Time"),
    "threads": Local(f"{_JVM}_Threads_Count", "sum"),
    "back_pressure": Local(f"{_TASK}_backPressuredTimeMsPerSecond"),
    "busy": Local(f"{_TASK}_busyTimeMsPerSecond"),
    "records_in": Local(f"{_OPERATOR}_numRecordsInPerSecond", "sum"),
    "records_out": Local(f"{_OPERATOR}_numRecordsOutPerSecond", "sum"),
    "millis_behind": Local(f"{_OPERATOR}_KinesisConsumer_stream_shardId_millisBehindLatest"),
    "records_lag": Local(f"{_OPERATOR}_KafkaSourceReader_KafkaConsumer_records_lag_max"),
    **{
        f"{metric.step}.{metric.name}": Local(
            f"{STEP_SCOPE}_{metric.name}", "sum", (("step", metric.step),)
        )
        for metric in METRICS
        if "lag_le" not in metric.name
    },
}
"""Prometheus metrics by the name of their signal."""

_FETCHED: Final = {name for local in LOCAL.values() for name in (local.metric, local.per)}


def measure(config: Config, environment: Mapping[str, str]) -> Sample:
    """Measure Flink's and the job's metrics, finished lake files, and uncommitted transactions.

    `environment` is that of the local servers.

    Raises:
        UserError: no Flink cluster is running.
    """
    if "PROMETHEUS_URLS" not in environment:
        raise UserError(
            "no local Flink cluster is running, so there are no metrics; start it with `make up`."
        )
    values = readings(fetch(environment["PROMETHEUS_URLS"].split(","), _FETCHED.__contains__))
    logs = Path(environment["FLINK_LOG_DIR"]).glob("taskmanager-*.log")
    values["uncommitted"] = sum(
        path.read_text(encoding="utf-8", errors="replace").count(UNCOMMITTED) for path in logs
    )
    if config.lake:
        values["lake_objects"] = len(open_store(config.lake.path, environment).listing())
    return Sample(time.time(), values)


def readings(series: Series) -> dict[str, float]:
    """Return the signals that these series have."""
    values = {name: reading(local, series) for name, local in LOCAL.items()}
    return {name: value for name, value in values.items() if value is not None}


def reading(local: Local, series: Series) -> float | None:
    """Aggregate all series of the metric into one value; None if there are none."""
    wanted = frozenset(local.labels)
    values = {at: value for at, value in series.get(local.metric, {}).items() if wanted <= at}
    if local.per:
        divisors = series.get(local.per, {})
        values = {at: value / divisors[at] for at, value in values.items() if at in divisors}
    if not values:
        return None
    return local.scale * (sum if local.combine == "sum" else max)(values.values())


def measured_here(config: Config) -> list[Alarm]:
    """Return the alarms of this configuration whose signals the local servers measure."""
    conditions = {
        "": True,
        "ReadsKinesis": bool(config.source.kinesis_streams),
        "ReadsKafka": bool(config.source.kafka_topics),
        "HasIndex": config.index is not None,
        "HasTaskMetrics": True,
    }
    signals = {"", "uncommitted", "lake_objects", *LOCAL}
    return [
        alarm
        for alarm in ALARMS
        if conditions.get(alarm.when) and {alarm.signal, alarm.per} <= signals
    ]
