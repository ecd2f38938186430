"""What the estimate takes for granted, each figure with its source.

Measured figures are from two cores of a shared virtual machine, not from AWS: the application never
ran on the managed service. Assumed figures have no measurement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Basis = Literal["measured", "documented", "assumed"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure in its unit: measured by the command or documented by the page in `source`."""

    name: str
    value: float
    unit: str
    basis: Basis
    source: str


_SIZES: Final = "`python -m dev.bench.file_sizes`, trips from Kinesis with made sequence numbers"
_STREAMS: Final = "docs/performance.md, State and memory"

FIGURES: Final = (
    Figure("event_bytes", 415, "bytes", "measured", "the trips of `make bench`"),
    Figure("events_per_core", 27_348, "events/s", "measured",
           "`make bench`: 54,697 events/s on two cores, with archive and dead letters"),
    Figure("events_per_core_lake_only", 41_459, "events/s", "measured",
           "`make bench`: 82,918 events/s on two cores, lake only"),
    Figure("index_factor", 0.5, "of the speed", "assumed",
           "docs/performance.md, Sizing, halves the lake's speed for index and archive together"),
    Figure("busy", 0.75, "of a KPU", "documented",
           '20 to 75 % CPU are healthy: "Monitoring and Metrics Guide", aws/agent-toolkit-for-aws'),
    Figure("lake_file_bytes", 7_602, "bytes a file", "measured", _SIZES),
    Figure("lake_row_bytes", 31.7, "bytes an event", "measured", _SIZES),
    Figure("archive_file_bytes", 2_458, "bytes a file", "measured", _SIZES),
    Figure("archive_row_bytes", 52.6, "bytes an event", "measured", _SIZES),
    Figure("lake_stream_bytes", 60, "bytes an event", "measured", _STREAMS),
    Figure("archive_stream_bytes", 79, "bytes an event", "measured", _STREAMS),
    Figure("buckets_per_task", 4, "buckets", "documented", "docs/performance.md, State and memory"),
    Figure("requests_per_file", 3, "requests", "documented",
           "docs/sinks.md: a multipart upload begins, has one part, and completes"),
    Figure("letter_fields_bytes", 430, "bytes", "assumed",
           "counted in one dead letter as JSON, besides the record in base64"),
    Figure("kpu_storage", 50, "GB a KPU", "documented",
           'AWS, "Review Managed Service for Apache Flink application resources"'),
    Figure("shard_records", 1_000, "records/s", "documented",
           'AWS, "Create and manage Kinesis data streams"'),
    Figure("shard_bytes", 1 << 20, "bytes/s", "documented",
           'AWS, "Create and manage Kinesis data streams"'),
    Figure("put_unit_bytes", 25 << 10, "bytes", "documented", 'AWS, "Amazon Kinesis pricing"'),
    Figure("billed_step_bytes", 1 << 10, "bytes", "documented",
           'AWS, "Amazon Kinesis Data Streams pricing": a record is rounded up to whole KB'),
    Figure("kms_requests", 8_640, "requests a stream", "documented",
           'AWS, "Costs, Regions, and Performance Considerations" of Kinesis'),
    Figure("s3_metrics", 16, "metrics", "documented",
           'AWS, "Monitoring Metrics with Amazon CloudWatch" of S3: billed as custom metrics'),
    Figure("index_overhead", 1.45, "of the documents", "documented",
           'AWS, "Sizing Amazon OpenSearch Service domains"; once for each copy'),
    Figure("snapshots", 7, "snapshots", "assumed", "a deployment a day, kept for a week"),
    Figure("log_gb", 1, "GB a month", "assumed", "log lines of the application at LogLevel=INFO"),
)  # fmt: skip

_BY_NAME: Final = {figure.name: figure.value for figure in FIGURES}


def figure(name: str) -> float:
    """Return the value of a figure."""
    return _BY_NAME[name]
