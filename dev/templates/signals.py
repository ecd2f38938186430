"""The signals that alarms and dashboards read, each with its CloudWatch metric.

A signal's metric is one of the job's own (`pipeline.metrics`), one that the platform documents
(`dev.templates.documented`), or one that the template derives from log lines (`MADE`). The same
signals on the local servers are in `pipeline.deploy.monitoring.local`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from dev.templates.documented import documented
from pipeline import metrics
from pipeline.deploy.monitoring.alarms import Statistic

Kind = Literal["gauge", "counter", "count"]
"""gauge: a level. counter: a total that only increases. count: CloudWatch stores the increase in
each period, the local servers the total."""

OWN: Final = "StreamingEtl/${ApplicationName}"
"""The namespace of the metrics that the template derives from log lines."""
MADE: Final = frozenset({"UncommittedTransactions", "ReconcileMismatch"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A measured quantity.

    `labels` are CloudWatch dimensions whose values are templates for Fn::Sub. If `exact` is false,
    AWS does not document all dimensions, and the metric is read by a query that names only these.
    If `summed`, each task sends its part in every snapshot, and the value of all tasks is the sum
    divided by the number of snapshots in the period.
    """

    name: str
    kind: Kind
    namespace: str
    metric: str
    statistic: Statistic
    labels: tuple[tuple[str, str], ...]
    exact: bool = True
    summed: bool = False


def _platform(
    name: str,
    kind: Kind,
    place: str,
    statistic: Statistic,
    labels: dict[str, str],
    *,
    exact: bool = True,
    summed: bool = False,
) -> Signal:
    """Make the signal of a documented metric; `place` is `namespace:metric`."""
    metric = documented(*place.split(":"))
    return Signal(
        name=name,
        kind=kind,
        namespace=metric.namespace,
        metric=metric.name,
        statistic=statistic,
        labels=tuple(labels.items()),
        exact=exact,
        summed=summed,
    )


_APPLICATION = {"Application": "${ApplicationName}"}


def _step(step: str, name: str) -> Signal:
    """Make the signal of one of the job's own counters.

    The metric group `step` is a dimension in CloudWatch.

    Raises:
        KeyError: `pipeline.metrics` has no counter of that name.
    """
    return Signal(
        name=f"{step}.{name}",
        kind="counter",
        namespace="AWS/KinesisAnalytics",
        metric=metrics.names(step)[name].name,
        statistic="Sum",
        labels=(*_APPLICATION.items(), ("step", step)),
        summed=True,
    )


def _made(name: str, metric: str, kind: Kind = "count") -> Signal:
    return Signal(name=name, kind=kind, namespace=OWN, metric=metric, statistic="Sum", labels=())


_SOURCE = {"StreamName": "${SourceStreamName}"}
_LETTERS = {"StreamName": "${ApplicationName}-dead-letters"}
_CLUSTER = {"Cluster Name": "${MskClusterName}"}
_DOMAIN = {"DomainName": "${DomainName}", "ClientId": "${AWS::AccountId}"}
_BUCKET = {"BucketName": "${ApplicationName}-${AWS::AccountId}-${AWS::Region}"}
_ALL = {**_BUCKET, "FilterId": "all"}

_FLINK = (
    _platform("downtime", "gauge", "AWS/KinesisAnalytics:downtime", "Average", _APPLICATION),
    _platform("uptime", "gauge", "AWS/KinesisAnalytics:uptime", "Minimum", _APPLICATION),
    # One sample in each billing period, an hour.
    _platform("kpus", "gauge", "AWS/KinesisAnalytics:KPUs", "Maximum", _APPLICATION),
    _platform("full_restarts", "counter", "AWS/KinesisAnalytics:fullRestarts", "Maximum",
              _APPLICATION),
    _platform("failed_checkpoints", "counter", "AWS/KinesisAnalytics:numberOfFailedCheckpoints",
              "Average", _APPLICATION),
    _platform("checkpoint_ms", "gauge", "AWS/KinesisAnalytics:lastCheckpointDuration", "Maximum",
              _APPLICATION),
    _platform("checkpoint_bytes", "gauge", "AWS/KinesisAnalytics:lastCheckpointSize", "Maximum",
              _APPLICATION),
    _platform("heap_percent", "gauge", "AWS/KinesisAnalytics:heapMemoryUtilization", "Maximum",
              _APPLICATION),
    _platform("memory_percent", "gauge", "AWS/KinesisAnalytics:containerMemoryUtilization",
              "Maximum", _APPLICATION),
    # Of the container: cpuUtilization is the JVM's alone, without the Python workers.
    _platform("cpu_percent", "gauge", "AWS/KinesisAnalytics:containerCPUUtilization", "Maximum",
              _APPLICATION),
    _platform("old_gc_ms", "count", "AWS/KinesisAnalytics:oldGenerationGCTime", "Maximum",
              _APPLICATION),
    _platform("threads", "gauge", "AWS/KinesisAnalytics:threadsCount", "Maximum", _APPLICATION),
    _platform("back_pressure", "gauge", "AWS/KinesisAnalytics:backPressuredTimeMsPerSecond",
              "Maximum", _APPLICATION, exact=False),
    _platform("busy", "gauge", "AWS/KinesisAnalytics:busyTimeMsPerSecond", "Maximum",
              _APPLICATION, exact=False),
    _platform("records_in", "gauge", "AWS/KinesisAnalytics:numRecordsInPerSecond", "Average",
              _APPLICATION, summed=True),
    _platform("records_out", "gauge", "AWS/KinesisAnalytics:numRecordsOutPerSecond", "Average",
              _APPLICATION, summed=True),
    _platform("millis_behind", "gauge", "AWS/KinesisAnalytics:millisBehindLatest", "Maximum",
              _APPLICATION, exact=False),
    _platform("records_lag", "gauge", "AWS/KinesisAnalytics:records_lag_max", "Maximum",
              _APPLICATION, exact=False),
)  # fmt: skip
_SYSTEMS = (
    _platform("source_throttled", "count", "AWS/Kinesis:WriteProvisionedThroughputExceeded",
              "Sum", _SOURCE),
    _platform("source_read_throttled", "count", "AWS/Kinesis:ReadProvisionedThroughputExceeded",
              "Sum", _SOURCE),
    _platform("source_age_ms", "gauge", "AWS/Kinesis:GetRecords.IteratorAgeMilliseconds",
              "Maximum", _SOURCE),
    _platform("source_records", "count", "AWS/Kinesis:IncomingRecords", "Sum", _SOURCE),
    _platform("source_bytes", "count", "AWS/Kinesis:IncomingBytes", "Sum", _SOURCE),
    _platform("letters_throttled", "count", "AWS/Kinesis:WriteProvisionedThroughputExceeded",
              "Sum", _LETTERS),
    _platform("letters_records", "count", "AWS/Kinesis:IncomingRecords", "Sum", _LETTERS),
    _platform("kafka_offline", "gauge", "AWS/Kafka:OfflinePartitionsCount", "Maximum", _CLUSTER,
              exact=False),
    _platform("kafka_under_min_isr", "gauge", "AWS/Kafka:UnderMinIsrPartitionCount", "Maximum",
              _CLUSTER, exact=False),
    _platform("kafka_under_replicated", "gauge", "AWS/Kafka:UnderReplicatedPartitions",
              "Maximum", _CLUSTER, exact=False),
    _platform("kafka_disk_percent", "gauge", "AWS/Kafka:KafkaDataLogsDiskUsed", "Maximum",
              _CLUSTER, exact=False),
    _platform("kafka_cpu_percent", "gauge", "AWS/Kafka:CpuUser", "Maximum", _CLUSTER,
              exact=False),
    _platform("kafka_heap_percent", "gauge", "AWS/Kafka:HeapMemoryAfterGC", "Maximum", _CLUSTER,
              exact=False),
    _platform("kafka_lag_seconds", "gauge", "AWS/Kafka:EstimatedMaxTimeLag", "Maximum", _CLUSTER,
              exact=False),
    _platform("search_red", "gauge", "AWS/ES:ClusterStatus.red", "Maximum", _DOMAIN),
    _platform("search_yellow", "gauge", "AWS/ES:ClusterStatus.yellow", "Maximum", _DOMAIN),
    _platform("search_blocked", "gauge", "AWS/ES:ClusterIndexWritesBlocked", "Maximum", _DOMAIN),
    _platform("search_free_mib", "gauge", "AWS/ES:FreeStorageSpace", "Minimum", _DOMAIN),
    _platform("search_nodes", "gauge", "AWS/ES:Nodes", "Minimum", _DOMAIN),
    _platform("search_no_snapshot", "gauge", "AWS/ES:AutomatedSnapshotFailure", "Maximum",
              _DOMAIN),
    _platform("search_key_error", "gauge", "AWS/ES:KMSKeyError", "Maximum", _DOMAIN),
    _platform("search_key_gone", "gauge", "AWS/ES:KMSKeyInaccessible", "Maximum", _DOMAIN),
    _platform("search_refused", "counter", "AWS/ES:ThreadpoolWriteRejected", "Maximum", _DOMAIN),
    _platform("s3_requests", "count", "AWS/S3:AllRequests", "Sum", _ALL),
    _platform("s3_refused", "count", "AWS/S3:4xxErrors", "Sum", _ALL),
    _platform("s3_failed", "count", "AWS/S3:5xxErrors", "Sum", _ALL),
    _platform("s3_latency_ms", "gauge", "AWS/S3:TotalRequestLatency", "Average", _ALL),
    _platform("lake_objects", "count", "AWS/Events:MatchedEvents", "Sum",
              {"RuleName": "${ApplicationName}-lake-objects"}),
)  # fmt: skip
_OURS = (
    *(_step("decode", name) for name in metrics.names("decode") if "lag_le" not in name),
    *(_step("index", name) for name in metrics.names("index") if "lag_le" not in name),
    *(_step("claim_check", name) for name in metrics.names("claim_check")),
    _made("uncommitted", "UncommittedTransactions"),
    _made("reconcile_mismatch", "ReconcileMismatch", "gauge"),
)
SIGNALS: Final[tuple[Signal, ...]] = (*_FLINK, *_SYSTEMS, *_OURS)


def signal(name: str) -> Signal:
    """Return the signal of that name.

    Raises:
        KeyError: there is no such signal.
    """
    for candidate in SIGNALS:
        if candidate.name == name:
            return candidate
    raise KeyError(f"there is no signal {name}")
