"""The alarms: what each watches, when it fires, what it means and what to do.

The CloudFormation template's alarms and `docs/alarms.md` are written from this table, and
`pipeline.deploy.monitoring.judge` evaluates it on any samples, so that an alarm can be seen to
fire on local servers. Thresholds and the treatment of missing data are AWS's recommendations for
Managed Service for Apache Flink 1.x, OpenSearch and MSK, and our own for what AWS cannot know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Form = Literal["level", "growth", "ratio", "stalled"]
"""level: the signal itself. growth: by how much it grew in a period. ratio: its growth over that of
`per`. stalled: `per` grew and it did not."""
Missing = Literal["breaching", "notBreaching", "missing"]
Condition = Literal[
    "", "ReadsKinesis", "ReadsKafka", "MakesStream", "HasIndex", "MakesDomain", "HasTools",
    "HasTaskMetrics", "HasMinimum",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm. It fires when `periods` periods in succession breach the threshold.

    `parameter` is the template's parameter that has the threshold, `threshold` its default.
    `when` is the template's condition; empty: always. A page wakes someone, a ticket waits.
    """

    name: str
    signal: str
    form: Form = "level"
    per: str = ""
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
        name="Down", signal="downtime", period_seconds=60, missing="breaching", severity="page",
        meaning="The job does not run, or says nothing.",
        action="Look at the application's status, then at the newest exception in its log. Tasks"
               " that only restart do not show in Flink's downtime: see Restarts.",
    ),
    Alarm(
        name="CheckpointsFail", signal="failed_checkpoints", form="growth",
        meaning="A checkpoint failed. Until one completes no sink shows anything new.",
        action="Look for the cause in the log: a slow sink, S3's refusals, a full heap. At a start"
               " some fail because not every task runs yet.",
    ),
    Alarm(
        name="CheckpointSlow", signal="checkpoint_ms", threshold=30_000,
        parameter="CheckpointSlowMilliseconds", missing="missing",
        meaning="A checkpoint takes more than half of the interval.",
        action="Back-pressure or a slow OpenSearch holds barriers up; add parallelism.",
    ),
    Alarm(
        name="CheckpointLarge", signal="checkpoint_bytes", threshold=1 << 30,
        parameter="CheckpointBytes", missing="missing",
        meaning="State is larger than expected. Ours is positions and open uploads.",
        action="Look for a replay that opens very many partitions at once.",
    ),
    Alarm(
        name="Restarts", signal="full_restarts", form="growth",
        meaning="The job failed and started again from its last checkpoint.",
        action="Find the first exception of the log; nothing is lost, but it costs time.",
    ),
    Alarm(
        name="RestartsRepeat", signal="full_restarts", form="growth", threshold=2,
        period_seconds=3600, severity="page",
        meaning="More than two restarts in an hour: it does not mend itself.",
        action="Same exception each time: roll back what changed last.",
    ),
    Alarm(
        name="Uncommitted", signal="uncommitted", form="growth", period_seconds=60,
        severity="page",
        meaning="Flink gave up a Kafka transaction: its records are missing from the topic,"
                " while checkpoints stay green.",
        action="Reconcile, then backfill or redrive what it names. Raise"
               " job.transaction_timeout_seconds above the longest outage.",
    ),
    Alarm(
        name="Heap", signal="heap_percent", threshold=90, period_seconds=60, periods=3,
        missing="missing",
        meaning="The hottest TaskManager's heap is nearly full.",
        action="Fewer open partitions, a smaller lake.page_bytes, or more KPUs.",
    ),
    Alarm(
        name="Memory", signal="memory_percent", threshold=85, period_seconds=60, periods=3,
        missing="missing",
        meaning="A container is nearly full; Python workers live beside the heap.",
        action="Lower job.bundle_records, or parallelism per KPU.",
    ),
    Alarm(
        name="Cpu", signal="cpu_percent", threshold=80, periods=3, missing="missing",
        meaning="The hottest TaskManager has no CPU left.",
        action="Autoscaling should have acted: raise its maximum, or parallelism.",
    ),
    Alarm(
        name="OldCollections", signal="old_gc_ms", form="growth", threshold=3000,
        period_seconds=60, periods=3, missing="missing",
        meaning="More than 5 % of a minute goes into full collections of the heap.",
        action="As Heap.",
    ),
    Alarm(
        name="Threads", signal="threads", threshold=2000, parameter="Threads", missing="missing",
        meaning="More threads than this job was ever seen to need.",
        action="A leak in a client: restart from a snapshot, report it.",
    ),
    Alarm(
        name="BackPressure", signal="back_pressure", threshold=500, period_seconds=60, periods=3,
        missing="missing", when="HasTaskMetrics",
        meaning="A task waits for the next one more than half of the time.",
        action="The first task that is not held up but busy is the narrow one.",
    ),
    Alarm(
        name="Throughput", signal="records_out", comparison="<", threshold=0,
        parameter="MinimumRecordsPerSecond", missing="breaching", when="HasMinimum",
        meaning="Fewer records a second than you expect at any hour.",
        action="Is the sender quiet, or the source stuck? Compare with IncomingRecords.",
    ),
)  # fmt: skip
_FLOW = (
    Alarm(
        name="BehindKinesis", signal="millis_behind", threshold=60_000,
        parameter="LagMilliseconds", missing="breaching", when="ReadsKinesis",
        meaning="The job is behind the stream by more than you allow.",
        action="See BackPressure and Cpu; a replay makes this fire, and it clears itself.",
    ),
    Alarm(
        name="BehindRetention", signal="millis_behind", threshold=302_400_000,
        parameter="RetentionMilliseconds", missing="notBreaching", severity="page",
        when="ReadsKinesis",
        meaning="Half of the stream's retention is used up; what leaves the stream is lost.",
        action="Raise the stream's retention now, then find out why.",
    ),
    Alarm(
        name="SourceAge", signal="source_age_ms", threshold=60_000, parameter="LagMilliseconds",
        when="ReadsKinesis",
        meaning="The oldest record given to a reader of the stream is late.",
        action="As BehindKinesis, if this job is the stream's only reader.",
    ),
    Alarm(
        name="BehindKafka", signal="records_lag", threshold=100_000, parameter="LagRecords",
        missing="breaching", when="ReadsKafka",
        meaning="A partition has more unread records than you allow.",
        action="As BehindKinesis.",
    ),
    Alarm(
        name="EventLag", signal="decode.lag_ms", form="ratio", per="decode.in",
        threshold=60_000, parameter="LagMilliseconds",
        meaning="Mean time from arrival at the source to decoded.",
        action="As BehindKinesis.",
    ),
    Alarm(
        name="NothingRead", signal="decode.in", form="stalled", per="source_records",
        severity="page", when="ReadsKinesis",
        meaning="The stream takes records and the job reads none.",
        action="Look for the source's exception: permissions, a throttled reader.",
    ),
    Alarm(
        name="LakeStalled", signal="lake_objects", form="stalled", per="decode.events",
        period_seconds=180, severity="page",
        meaning="Events are decoded, and for three checkpoint intervals no file was finished in"
                " the lake.",
        action="See CheckpointsFail; no checkpoint, no file.",
    ),
    Alarm(
        name="SourceThrottled", signal="source_throttled", form="growth", when="ReadsKinesis",
        meaning="The stream refused writes: its senders must try again.",
        action="More shards, or on-demand; look for a hot partition key.",
    ),
    Alarm(
        name="SourceReadThrottled", signal="source_read_throttled", form="growth",
        when="ReadsKinesis",
        meaning="The stream refused reads: too many readers of a shard.",
        action="Raise source.kinesis_poll_milliseconds, or use enhanced_fan_out.",
    ),
    Alarm(
        name="DeadLetterRatio", signal="decode.rejected", form="ratio", per="decode.in",
        threshold=0.001,
        meaning="More than one record in a thousand is refused.",
        action="streaming-etl dead-letters list says which reasons; see operations.md.",
    ),
    Alarm(
        name="InternalError", signal="decode.rejected_internal_error", form="growth",
        severity="page",
        meaning="A fault of ours met a record; its bytes are in the dead letters.",
        action="Report it with the record's position; redrive after the mend.",
    ),
    Alarm(
        name="LettersThrottled", signal="letters_throttled", form="growth",
        meaning="The dead-letter stream refuses writes, which holds checkpoints up.",
        action="See DeadLetterRatio; the stream is on demand and grows within minutes.",
    ),
    Alarm(
        name="S3Failed", signal="s3_failed", form="growth", threshold=10,
        meaning="S3 answered more than ten requests with 5xx in five minutes.",
        action="Prefixes too hot (503), or an incident of AWS; the job retries.",
    ),
    Alarm(
        name="ReconcileMismatch", signal="reconcile_mismatch", period_seconds=86_400,
        missing="breaching", severity="page", when="HasTools",
        meaning="The daily reconciliation found something missing, doubled, misplaced or wrong,"
                " or did not run.",
        action="Its report names the positions; see reconcile.md and operations.md.",
    ),
)  # fmt: skip
_INDEX = (
    Alarm(
        name="IndexUnavailable", signal="index.rejected_index_unavailable", form="growth",
        severity="page", when="HasIndex",
        meaning="OpenSearch stayed away beyond all retries; events go to the dead letters.",
        action="See operations.md, OpenSearch was away for a day.",
    ),
    Alarm(
        name="IndexRetries", signal="index.retries", form="ratio", per="index.requests",
        threshold=0.05, periods=3, when="HasIndex",
        meaning="More than one bulk request in twenty had to be sent again.",
        action="OpenSearch is too small or unwell: see the Search alarms.",
    ),
    Alarm(
        name="IndexStale", signal="index.stale", form="ratio", per="index.in", threshold=0.05,
        periods=3, when="HasIndex",
        meaning="More than one event in twenty was older than its document.",
        action="Expected in a replay; otherwise the senders are out of order.",
    ),
    Alarm(
        name="IndexSlow", signal="index.bulk_ms", form="ratio", per="index.requests",
        threshold=2000, periods=3, when="HasIndex",
        meaning="A bulk request takes more than two seconds on average.",
        action="More data nodes, fewer replicas, a longer index.refresh_interval.",
    ),
    Alarm(
        name="SearchRed", signal="search_red", comparison=">=", threshold=1, period_seconds=60,
        severity="page", when="MakesDomain",
        meaning="A primary shard of the domain is lost.",
        action="See AWS's page on a red cluster; restore from a snapshot, or backfill --index.",
    ),
    Alarm(
        name="SearchYellow", signal="search_yellow", comparison=">=", threshold=1,
        period_seconds=60, periods=5, when="MakesDomain",
        meaning="A replica shard has no node.",
        action="Usual while a node is replaced; else index.replicas exceeds the nodes.",
    ),
    Alarm(
        name="SearchBlocked", signal="search_blocked", comparison=">=", threshold=1,
        severity="page", when="MakesDomain",
        meaning="The domain refuses writes.",
        action="Mostly a full disk: see SearchDisk.",
    ),
    Alarm(
        name="SearchDisk", signal="search_free_mib", comparison="<=", threshold=25_600,
        parameter="DomainFreeMiB", period_seconds=60, missing="missing", when="MakesDomain",
        meaning="A node has less than a quarter of its disk left.",
        action="Raise DomainVolumeGiB, or delete old indices.",
    ),
    Alarm(
        name="SearchNodes", signal="search_nodes", comparison="<", threshold=3,
        parameter="DomainNodes", period_seconds=3600, missing="missing", when="MakesDomain",
        meaning="A node of the domain is missing for an hour.",
        action="It is usually replaced by itself; else ask AWS.",
    ),
    Alarm(
        name="SearchSnapshot", signal="search_no_snapshot", comparison=">=", threshold=1,
        period_seconds=60, when="MakesDomain",
        meaning="The domain's automated snapshot failed.",
        action="Mostly a red cluster: see SearchRed.",
    ),
    Alarm(
        name="SearchKey", signal="search_key_error", comparison=">=", threshold=1,
        period_seconds=60, severity="page", when="MakesDomain",
        meaning="The domain's KMS key is disabled.",
        action="Enable it, or the domain is lost.",
    ),
    Alarm(
        name="SearchKeyGone", signal="search_key_gone", comparison=">=", threshold=1,
        period_seconds=60, severity="page", when="MakesDomain",
        meaning="The domain's KMS key was deleted or its grant revoked.",
        action="Restore the grant; a deleted key cannot be had back.",
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
        action="See MSK's console; the job waits and loses nothing.",
    ),
    Alarm(
        name="KafkaUnderMinIsr", signal="kafka_under_min_isr", comparison=">=", threshold=1,
        severity="page", when="ReadsKafka",
        meaning="Partitions have too few replicas in step: writes are refused.",
        action="A broker is away or slow.",
    ),
    Alarm(
        name="KafkaUnderReplicated", signal="kafka_under_replicated", period_seconds=900,
        when="ReadsKafka",
        meaning="Partitions are under-replicated for a quarter of an hour.",
        action="As KafkaUnderMinIsr, before it hurts.",
    ),
    Alarm(
        name="KafkaDisk", signal="kafka_disk_percent", threshold=85, missing="missing",
        when="ReadsKafka",
        meaning="A broker's disk is nearly full.",
        action="More storage, or a shorter retention.",
    ),
    Alarm(
        name="KafkaCpu", signal="kafka_cpu_percent", threshold=60, periods=3, missing="missing",
        when="ReadsKafka",
        meaning="A broker has no room for a failover.",
        action="Larger or more brokers.",
    ),
    Alarm(
        name="KafkaHeap", signal="kafka_heap_percent", threshold=60, periods=3,
        missing="missing", when="ReadsKafka",
        meaning="A broker's heap is full after a collection; transactional ids count.",
        action="Lower transactional.id.expiration.ms to a day.",
    ),
    Alarm(
        name="KafkaLag", signal="kafka_lag_seconds", threshold=300, when="ReadsKafka",
        meaning="A consumer group is late by more than five minutes, by MSK's estimate.",
        action="As BehindKafka.",
    ),
)  # fmt: skip
ALARMS: Final[tuple[Alarm, ...]] = (*_JOB, *_FLOW, *_INDEX, *_KAFKA)


def alarm(name: str) -> Alarm:
    """The alarm of that name; KeyError if there is none."""
    for each in ALARMS:
        if each.name == name:
            return each
    raise KeyError(f"there is no alarm {name}")
