"""The platform metrics that an alarm or a dashboard may use, as AWS documents them.

A signal can only be made from a metric in this table or in `pipeline.metrics`. The table was copied
from the pages below in November 2026. Within a Flink version AWS adds metrics but renames none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Unit = Literal["ms", "bytes", "percent", "count", "count/s", "ms/s", "flag", "MiB", "s"]
AMAZON: Final = "https://docs.aws.amazon.com"
FLINK: Final = f"{AMAZON}/managed-flink/latest/java/metrics-dimensions.html"
KINESIS: Final = f"{AMAZON}/streams/latest/dev/monitoring-with-cloudwatch.html"
MSK: Final = f"{AMAZON}/msk/latest/developerguide/metrics-details.html"
OPENSEARCH: Final = (
    f"{AMAZON}/opensearch-service/latest/developerguide/managedomains-cloudwatchmetrics.html"
)
S3: Final = f"{AMAZON}/AmazonS3/latest/userguide/metrics-dimensions.html"
EVENTS: Final = f"{AMAZON}/eventbridge/latest/userguide/eb-monitoring.html"

SNAPSHOT_SECONDS: Final = 15
"""The service sends each task's value four times a minute, so that the sum over a period counts it
once for each snapshot: divide by their number (FLINK, usage notes of numRecordsIn)."""


@dataclass(frozen=True, slots=True)
class Documented:
    """One metric of the platform. `page` is the URL of its documentation."""

    namespace: str
    name: str
    unit: Unit
    page: str


def _of(namespace: str, page: str, units: dict[Unit, str]) -> tuple[Documented, ...]:
    return tuple(
        Documented(namespace, name, unit, page)
        for unit, names in units.items()
        for name in names.split()
    )


DOCUMENTED: Final[tuple[Documented, ...]] = (
    *_of("AWS/KinesisAnalytics", FLINK, {
        "ms": "downtime uptime lastCheckpointDuration oldGenerationGCTime millisBehindLatest"
              " currentInputWatermark currentOutputWatermark",
        "ms/s": "backPressuredTimeMsPerSecond busyTimeMsPerSecond idleTimeMsPerSecond",
        "percent": "cpuUtilization containerCPUUtilization containerMemoryUtilization"
                   " containerDiskUtilization heapMemoryUtilization managedMemoryUtilization",
        "bytes": "lastCheckpointSize managedMemoryUsed managedMemoryTotal bytes_consumed_rate",
        "count": "fullRestarts numberOfFailedCheckpoints oldGenerationGCCount threadsCount KPUs"
                 " numRecordsIn numRecordsOut numLateRecordsDropped records_lag_max"
                 " commitsFailed commitsSucceeded currentoffsets committedoffsets",
        "count/s": "numRecordsInPerSecond numRecordsOutPerSecond",
    }),
    *_of("AWS/Kinesis", KINESIS, {
        "count": "IncomingRecords WriteProvisionedThroughputExceeded"
                 " ReadProvisionedThroughputExceeded GetRecords.Records",
        "bytes": "IncomingBytes GetRecords.Bytes",
        "ms": "GetRecords.IteratorAgeMilliseconds GetRecords.Latency PutRecords.Latency",
    }),
    *_of("AWS/Kafka", MSK, {
        "count": "OfflinePartitionsCount UnderMinIsrPartitionCount UnderReplicatedPartitions",
        "percent": "KafkaDataLogsDiskUsed HeapMemoryAfterGC CpuUser CpuSystem",
        "s": "EstimatedMaxTimeLag",
    }),
    *_of("AWS/ES", OPENSEARCH, {
        "flag": "ClusterStatus.red ClusterStatus.yellow ClusterIndexWritesBlocked"
                " AutomatedSnapshotFailure KMSKeyError KMSKeyInaccessible",
        "count": "Nodes ThreadpoolWriteRejected SearchableDocuments",
        "percent": "CPUUtilization JVMMemoryPressure",
        "MiB": "FreeStorageSpace",
        "ms": "IndexingLatency",
    }),
    *_of("AWS/S3", S3, {
        "count": "AllRequests GetRequests PutRequests PostRequests ListRequests DeleteRequests"
                 " 4xxErrors 5xxErrors",
        "ms": "FirstByteLatency TotalRequestLatency",
    }),
    *_of("AWS/Events", EVENTS, {"count": "MatchedEvents"}),
)  # fmt: skip


def documented(namespace: str, name: str) -> Documented:
    """Return the metric of that name.

    Raises:
        KeyError: AWS documents no such metric.
    """
    for metric in DOCUMENTED:
        if (metric.namespace, metric.name) == (namespace, name):
            return metric
    raise KeyError(f"{namespace} documents no metric {name}")
