"""The table of alarms: what each one watches, when it fires, what it means and what to do.

The alarms of the CloudFormation template and `docs/alarms.md` are generated from this table.
`streaming-etl alarms` evaluates the same table on the metrics of a local job. Thresholds and the
treatment of missing data follow AWS's recommendations for Managed Service for Apache Flink 1.x,
OpenSearch Service and MSK; those of the job's own metrics are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Form = Literal["level", "growth", "ratio", "stalled", "absent"]
"""How a period's value is computed. level: the signal itself. growth: its increase in the period.
ratio: its increase divided by the increase of `per`. stalled: 1 if `per` increased and the signal
did not, else 0. absent: 1 if `per` has a value and the signal has none or, as the uptime of a job
that ended, a negative one, else 0."""
Statistic = Literal["Average", "Maximum", "Minimum", "Sum"]
Missing = Literal["breaching", "notBreaching", "missing"]
Condition = Literal[
    "", "ReadsKinesis", "ReadsKafka", "MakesStream", "HasIndex", "MakesDomain", "HasTools",
    "HasTaskMetrics", "HasMinimum",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm. It fires when `periods` consecutive periods breach the threshold.

    `statistic` combines the samples of a level in a period.
    `threshold` is the default of the template's parameter `parameter`, or fixed if that is empty.
    `when` is the template's condition under which the alarm exists; empty means always. A page
    wakes someone, a ticket can wait.
    """

    name: str
    signal: str
    form: Form = "level"
    per: str = ""
    statistic: Statistic = "Maximum"
    comparison: Literal[">", ">=", "<", "<="] = ">"
    threshold: float = 0
    parameter: str = ""
    period_seconds: int = 300
    periods: int = 1
    missing: Missing = "notBreaching"
    severity: Literal["page", "ticket"] = "ticket"
    when: Condition = ""
    meaning: str
    action: str


_JOB = (
    Alarm(
        name="Down", signal="downtime", statistic="Average", period_seconds=60,
        missing="breaching", severity="page",
        meaning="The job is not running, or it reports no metrics.",
        action="Check the application's status, then the newest exception in its log. Tasks that"
               " only restart do not count as Flink downtime: see Restarts.",
    ),
    Alarm(
        name="NoJob", signal="uptime", form="absent", per="kpus", statistic="Minimum",
        period_seconds=3600,
        meaning="The application is billed for KPUs, and no job runs in it: its status may be"
                " RUNNING although the program ended with an error. A planned stop may raise it for"
                " the rest of the billed hour.",
        action="Read what the program said with the log query `python`. Then roll back, or fix the"
               " configuration and update the application: docs/operate-on-aws.md.",
    ),
    Alarm(
        name="CheckpointsFail", signal="failed_checkpoints", form="growth",
        meaning="A checkpoint failed. Until one completes, no sink shows new data.",
        action="Find the cause in the log: a slow sink, requests refused by S3, or a full heap."
               " Some checkpoints fail at start-up because not all tasks are running yet.",
    ),
    Alarm(
        name="CheckpointSlow", signal="checkpoint_ms", threshold=30_000,
        parameter="CheckpointSlowMilliseconds", missing="missing",
        meaning="A checkpoint takes more than half of the checkpoint interval.",
        action="Back-pressure or a slow OpenSearch delays the checkpoint barriers. Increase the"
               " parallelism.",
    ),
    Alarm(
        name="CheckpointLarge", signal="checkpoint_bytes", threshold=1 << 30,
        parameter="CheckpointBytes", missing="missing",
        meaning="Checkpoint state is larger than expected. The job's state is rows in buckets that"
                " are not full, source positions and open uploads.",
        action="Lower file_seconds or bucket_bytes of lake, archive and dead_letters: see"
               " docs/performance.md. Expected during a replay.",
    ),
    Alarm(
        name="Restarts", signal="full_restarts", form="growth",
        meaning="The job failed and restarted from its last checkpoint.",
        action="Find the first exception in the log. No data is lost, but processing is delayed.",
    ),
    Alarm(
        name="RestartsRepeat", signal="full_restarts", form="growth", threshold=2,
        period_seconds=3600, severity="page",
        meaning="More than two restarts in one hour: the job does not recover on its own.",
        action="If the exception is the same each time, roll back the latest change.",
    ),
    Alarm(
        name="Uncommitted", signal="uncommitted", form="growth", period_seconds=60,
        severity="page",
        meaning="Flink gave up on committing a Kafka transaction. Its records are missing from"
                " the topic, although checkpoints still complete.",
        action="Run reconcile, then backfill or redrive the records it reports. Set"
               " job.transaction_timeout_seconds above the longest outage.",
    ),
    Alarm(
        name="Heap", signal="heap_percent", threshold=90, period_seconds=60, periods=3,
        missing="missing",
        meaning="The heap of the fullest TaskManager is nearly full.",
        action="Lower bucket_bytes or file_seconds of lake, archive and dead_letters, or add KPUs.",
    ),
    Alarm(
        name="Memory", signal="memory_percent", threshold=85, period_seconds=60, periods=3,
        missing="missing",
        meaning="A container's memory is nearly full. Python workers use memory outside the heap.",
        action="Lower job.bundle_records, or run fewer tasks per KPU.",
    ),
    Alarm(
        name="Cpu", signal="cpu_percent", threshold=80, periods=3, missing="missing",
        meaning="The busiest TaskManager's container has no CPU left, Python workers included.",
        action="Autoscaling should have added capacity. Its maximum is the quota of KPUs: request"
               " more, or raise the parallelism.",
    ),
    Alarm(
        name="OldCollections", signal="old_gc_ms", form="growth", threshold=3000,
        period_seconds=60, periods=3, missing="missing",
        meaning="More than 5 % of a minute is spent in full garbage collections.",
        action="See Heap.",
    ),
    Alarm(
        name="Threads", signal="threads", threshold=2000, parameter="Threads", missing="missing",
        meaning="The application has more threads than this job has ever been observed to need.",
        action="A client leaks threads: restart from a snapshot and report the bug.",
    ),
    Alarm(
        name="BackPressure", signal="back_pressure", threshold=500, period_seconds=60, periods=3,
        missing="missing", when="HasTaskMetrics",
        meaning="A task waits for the next task more than half of the time.",
        action="Find the bottleneck: the first task downstream that is busy but not"
               " back-pressured.",
    ),
    Alarm(
        name="Throughput", signal="records_out", statistic="Average", comparison="<",
        parameter="MinimumRecordsPerSecond", missing="breaching", when="HasMinimum",
        meaning="Fewer records per second than the minimum you set, in the mean of all tasks and"
                " steps.",
        action="Check whether the producers are idle or the source is stuck: compare with"
               " IncomingRecords.",
    ),
)  # fmt: skip
_FLOW = (
    Alarm(
        name="BehindKinesis", signal="millis_behind", threshold=60_000,
        parameter="LagMilliseconds", missing="breaching", when="ReadsKinesis",
        meaning="The job is further behind the stream than you allow.",
        action="See BackPressure and Cpu. A replay also triggers this alarm, which then clears on"
               " its own.",
    ),
    Alarm(
        name="BehindRetention", signal="millis_behind", threshold=302_400_000,
        parameter="RetentionMilliseconds", missing="notBreaching", severity="page",
        when="ReadsKinesis",
        meaning="Half of the stream's retention period is used up. Records that expire before"
                " they are read are lost.",
        action="Increase the stream's retention now, then find the cause.",
    ),
    Alarm(
        name="SourceAge", signal="source_age_ms", threshold=60_000, parameter="LagMilliseconds",
        when="ReadsKinesis",
        meaning="The oldest record returned to a reader of the stream is late.",
        action="See BehindKinesis, if this job is the only reader of the stream.",
    ),
    Alarm(
        name="BehindKafka", signal="records_lag", threshold=100_000, parameter="LagRecords",
        missing="breaching", when="ReadsKafka",
        meaning="A partition has more unread records than you allow.",
        action="See BehindKinesis.",
    ),
    Alarm(
        name="EventLag", signal="decode.lag_ms", form="ratio", per="decode.in",
        threshold=60_000, parameter="LagMilliseconds",
        meaning="The mean time from arrival at the source to decoded is too long.",
        action="See BehindKinesis.",
    ),
    Alarm(
        name="NothingRead", signal="decode.in", form="stalled", per="source_records",
        severity="page", when="ReadsKinesis",
        meaning="The stream receives records and the job reads none.",
        action="Look for an exception in the source: missing permissions or a throttled reader.",
    ),
    Alarm(
        name="LakeStalled", signal="lake_objects", form="stalled", per="decode.events",
        period_seconds=300, severity="page",
        meaning="Events are decoded, but no file was finished in the lake for twice"
                " lake.file_seconds and three checkpoint intervals (60 s each).",
        action="See CheckpointsFail: files are finished only when a checkpoint completes. With a"
               " larger lake.file_seconds, raise this alarm's period.",
    ),
    Alarm(
        name="SourceThrottled", signal="source_throttled", form="growth", when="ReadsKinesis",
        meaning="The stream throttled writes, so its producers must retry.",
        action="Add shards or switch to on-demand mode. Check for a hot partition key.",
    ),
    Alarm(
        name="SourceReadThrottled", signal="source_read_throttled", form="growth",
        when="ReadsKinesis",
        meaning="The stream throttled reads: a shard has too many readers.",
        action="Increase source.kinesis_poll_milliseconds, or use enhanced_fan_out.",
    ),
    Alarm(
        name="DeadLetterRatio", signal="decode.rejected", form="ratio", per="decode.in",
        threshold=0.001,
        meaning="More than one record in a thousand is rejected.",
        action="Run streaming-etl dead-letters list to see the reasons. See docs/operations.md.",
    ),
    Alarm(
        name="InternalError", signal="decode.rejected_internal_error", form="growth",
        severity="page",
        meaning="A bug in this application rejected a record. Its bytes are in the dead letters.",
        action="Report the bug with the record's position. Redrive the record after the fix.",
    ),
    Alarm(
        name="NativeFailures", signal="decode.native_failures", form="growth",
        meaning="The native decoder failed on a batch. Python decoded it: nothing is lost, and the"
                " job is slower.",
        action="Report the bug with the job's log. Set decode.native: off if it goes on.",
    ),
    Alarm(
        name="ForgedRedrives", signal="decode.forged_redrives", form="growth", when="ReadsKafka",
        meaning="Records came with a redrive header but without a valid signature. They were"
                " processed like any record; an event that was redriven is in the lake twice.",
        action="Run reconcile for their positions. Either a sender sets this header, or job and"
               " redrive have different values of dead_letters.redrive_key.",
    ),
    Alarm(
        name="LettersThrottled", signal="letters_throttled", form="growth",
        meaning="The dead-letter stream throttles writes, which delays checkpoints.",
        action="See DeadLetterRatio. The stream is in on-demand mode and scales up within"
               " minutes.",
    ),
    Alarm(
        name="S3Failed", signal="s3_failed", form="growth", threshold=10,
        meaning="S3 returned more than ten 5xx responses in five minutes.",
        action="Either the request rate of a prefix is too high (503), or AWS has an incident."
               " The job retries.",
    ),
    Alarm(
        name="ReconcileMismatch", signal="reconcile_mismatch", statistic="Sum",
        period_seconds=86_400, missing="breaching", severity="page", when="HasTools",
        meaning="The daily reconciliation did not run, or found missing, duplicate, misplaced or"
                " wrong records.",
        action="Its report lists their positions. See docs/reconcile.md and docs/operations.md.",
    ),
)  # fmt: skip
_INDEX = (
    Alarm(
        name="IndexUnavailable", signal="index.rejected_index_unavailable", form="growth",
        severity="page", when="HasIndex",
        meaning="OpenSearch was unavailable for longer than the retries last. Events go to the"
                " dead letters.",
        action='See "OpenSearch was unavailable for a day" in docs/operations.md.',
    ),
    Alarm(
        name="IndexRetries", signal="index.retries", form="ratio", per="index.requests",
        threshold=0.05, periods=3, when="HasIndex",
        meaning="More than one bulk request in twenty was retried.",
        action="OpenSearch is overloaded or unhealthy: see the Search alarms.",
    ),
    Alarm(
        name="IndexStale", signal="index.stale", form="ratio", per="index.in", threshold=0.05,
        periods=3, when="HasIndex",
        meaning="More than one event in twenty is older than the indexed document.",
        action="Expected during a replay. Otherwise producers send events out of order.",
    ),
    Alarm(
        name="IndexSlow", signal="index.bulk_ms", form="ratio", per="index.requests",
        threshold=2000, periods=3, when="HasIndex",
        meaning="A bulk request takes more than two seconds on average.",
        action="Add data nodes, reduce replicas, or increase index.refresh_interval.",
    ),
    Alarm(
        name="SearchRed", signal="search_red", comparison=">=", threshold=1, period_seconds=60,
        severity="page", when="MakesDomain",
        meaning="The domain has lost a primary shard.",
        action="See the AWS page on red cluster status. Restore from a snapshot, or run backfill"
               " rebuild with --index.",
    ),
    Alarm(
        name="SearchYellow", signal="search_yellow", comparison=">=", threshold=1,
        period_seconds=60, periods=5, when="MakesDomain",
        meaning="A replica shard is not allocated to a node.",
        action="Normal while a node is replaced. Otherwise index.replicas exceeds the number of"
               " nodes.",
    ),
    Alarm(
        name="SearchBlocked", signal="search_blocked", comparison=">=", threshold=1,
        severity="page", when="MakesDomain",
        meaning="The domain blocks writes.",
        action="Usually a full disk: see SearchDisk.",
    ),
    Alarm(
        name="SearchDisk", signal="search_free_mib", statistic="Minimum", comparison="<=",
        threshold=25_600, parameter="DomainFreeMiB", period_seconds=60, missing="missing",
        when="MakesDomain",
        meaning="A node has less than a quarter of its disk left.",
        action="Increase DomainVolumeGiB, or delete old indices.",
    ),
    Alarm(
        name="SearchNodes", signal="search_nodes", statistic="Minimum", comparison="<",
        threshold=3, parameter="DomainNodes", period_seconds=3600, missing="missing",
        when="MakesDomain",
        meaning="A node of the domain has been missing for an hour.",
        action="OpenSearch Service usually replaces it. If it does not, contact AWS.",
    ),
    Alarm(
        name="SearchSnapshot", signal="search_no_snapshot", comparison=">=", threshold=1,
        period_seconds=60, when="MakesDomain",
        meaning="The domain's automated snapshot failed.",
        action="Usually a red cluster: see SearchRed.",
    ),
    Alarm(
        name="SearchKey", signal="search_key_error", comparison=">=", threshold=1,
        period_seconds=60, severity="page", when="MakesDomain",
        meaning="The domain's KMS key is disabled.",
        action="Enable the key, or the domain is lost.",
    ),
    Alarm(
        name="SearchKeyGone", signal="search_key_gone", comparison=">=", threshold=1,
        period_seconds=60, severity="page", when="MakesDomain",
        meaning="The domain's KMS key was deleted, or its grant was revoked.",
        action="Restore the grant. A deleted key cannot be restored.",
    ),
    Alarm(
        name="SearchRefused", signal="search_refused", form="growth", when="MakesDomain",
        meaning="The domain's write queue was full.",
        action="The job retries: see IndexRetries.",
    ),
)  # fmt: skip
_KAFKA = (
    Alarm(
        name="KafkaOffline", signal="kafka_offline", severity="page", when="ReadsKafka",
        meaning="Partitions of the cluster have no leader.",
        action="See the MSK console. The job waits and loses no data.",
    ),
    Alarm(
        name="KafkaUnderMinIsr", signal="kafka_under_min_isr", comparison=">=", threshold=1,
        severity="page", when="ReadsKafka",
        meaning="Partitions have too few in-sync replicas, so writes are refused.",
        action="Check the brokers: one is down or slow.",
    ),
    Alarm(
        name="KafkaUnderReplicated", signal="kafka_under_replicated", period_seconds=900,
        when="ReadsKafka",
        meaning="Partitions have been under-replicated for 15 minutes.",
        action="See KafkaUnderMinIsr, and act before writes are refused.",
    ),
    Alarm(
        name="KafkaDisk", signal="kafka_disk_percent", threshold=85, missing="missing",
        when="ReadsKafka",
        meaning="A broker's disk is nearly full.",
        action="Add storage, or shorten the retention.",
    ),
    Alarm(
        name="KafkaCpu", signal="kafka_cpu_percent", threshold=60, periods=3, missing="missing",
        when="ReadsKafka",
        meaning="A broker has no CPU headroom for a failover.",
        action="Use larger brokers, or more of them.",
    ),
    Alarm(
        name="KafkaHeap", signal="kafka_heap_percent", threshold=60, periods=3,
        missing="missing", when="ReadsKafka",
        meaning="A broker's heap is still full after garbage collection. Transactional ids use"
                " heap.",
        action="Lower transactional.id.expiration.ms to one day.",
    ),
    Alarm(
        name="KafkaLag", signal="kafka_lag_seconds", threshold=300, when="ReadsKafka",
        meaning="A consumer group is more than five minutes late, by MSK's estimate.",
        action="See BehindKafka.",
    ),
)  # fmt: skip
ALARMS: Final[tuple[Alarm, ...]] = (*_JOB, *_FLOW, *_INDEX, *_KAFKA)


def alarm(name: str) -> Alarm:
    """Return the alarm of that name; KeyError if there is none."""
    for candidate in ALARMS:
        if candidate.name == name:
            return candidate
    raise KeyError(f"there is no alarm {name}")
