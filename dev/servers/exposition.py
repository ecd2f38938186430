"""Translate what Flink's Prometheus reporter tells into metrics with their types and our names.

The reporter types every number as a gauge and names our counters after Flink's metric groups. Here
a counter is a counter and ends with `_total`, times are in seconds, the reasons of rejects are a
label, and the buckets of a lag are a histogram. `METRICS_TABLE` is the whole list; what it does not
name stays with the reporter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector, CollectorRegistry

from connectors.flink.metrics import STEP_SCOPE, Labels, Series, parse
from pipeline.metrics import METRICS, Metric

Kind = Literal["counter", "gauge", "histogram"]
Samples = Mapping[tuple[str, Labels], float]
"""Values by the suffix of their name, such as `_bucket`, and labels."""

OURS: Final = "streaming_etl"
_BUCKET: Final = "lag_le_"
_REASON: Final = "rejected_"
_MILLIS: Final = 1000.0

# What differs from one attempt of a task to the next, or repeats its name. Without them a restart
# is a counter that begins at 0 again, which `rate` knows, and not another series.
_DROPPED: Final = frozenset(
    {"host", "step", "task_id", "operator_id", "task_attempt_id", "task_attempt_num"}
)
# The name of a task is those of all its operators; who has the operator needs no other.
_DROPPED_OF_OPERATORS: Final = _DROPPED | {"task_name"}
_RENAMED: Final = {"shardId": "shard_id"}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a sample comes from: the reporter's metric, of one step if it is ours.

    `suffix` is what the sample's name has beyond that of its metric, `labels` what is added to the
    reporter's, and `divisor` what the value is divided by.
    """

    metric: str
    step: str = ""
    suffix: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    divisor: float = 1


@dataclass(frozen=True, slots=True)
class Exposed:
    """One metric as Prometheus gets it. `origin` names what it is made of: ours as documented,
    Flink's as the reporter does."""

    name: str
    kind: Kind
    help: str
    origin: str
    sources: tuple[Source, ...]


def _own() -> Iterator[Exposed]:
    """Yield the job's own metrics, from the table that `docs/metrics.md` is made of."""
    for metric in METRICS:
        name = f"{OURS}_{metric.step}_{metric.name}"
        if metric.name == "rejected":
            reasons = [each for each in _of(metric.step) if each.name.startswith(_REASON)]
            origin = f"{metric.step}.rejected_<reason>"
            sources = tuple(_source(each, reason=each.name[len(_REASON) :]) for each in reasons)
            yield Exposed(f"{name}_total", "counter", _help(metric), origin, sources)
        elif metric.name == "lag_ms":
            yield _lag(metric)
        elif metric.name.endswith("_ms"):
            name = f"{name.removesuffix('_ms')}_seconds_total"
            yield Exposed(name, "counter", _help(metric), _dotted(metric), (_source(metric),))
        elif not metric.name.startswith((_REASON, _BUCKET)):
            name = f"{name}_total"
            yield Exposed(name, "counter", _help(metric), _dotted(metric), (_source(metric),))


def _lag(metric: Metric) -> Exposed:
    """Return the histogram of a step's lag; Flink has its buckets and its sum as counters."""
    buckets = [each for each in _of(metric.step) if each.name.startswith(_BUCKET)]
    sources = [_source(metric, suffix="_sum")]
    sources += [
        _source(each, suffix="_bucket", le=_seconds(each.name[len(_BUCKET) :])) for each in buckets
    ]
    help = buckets[0].meaning.partition(" is in this")[0].partition("whose ")[2]
    origin = f"{metric.step}.lag_ms, {metric.step}.lag_le_<bound>"
    name = f"{OURS}_{metric.step}_lag_seconds"
    return Exposed(name, "histogram", help, origin, tuple(sources))


def _of(step: str) -> list[Metric]:
    return [metric for metric in METRICS if metric.step == step]


def _dotted(metric: Metric) -> str:
    return f"{metric.step}.{metric.name}"


def _help(metric: Metric) -> str:
    return metric.meaning.replace("`", "")


def _seconds(bound: str) -> str:
    """Return the upper bound of a bucket, milliseconds or `inf`, as a histogram has it."""
    return "+Inf" if bound == "inf" else f"{int(bound) / _MILLIS:g}"


def _source(metric: Metric, *, suffix: str = "_total", **labels: str) -> Source:
    divisor = _MILLIS if metric.unit == "ms" else 1
    raw = f"{STEP_SCOPE}_{metric.name}"
    return Source(raw, metric.step, suffix, tuple(labels.items()), divisor)


def _flink(name: str, metric: str, help: str, divisor: float = 1) -> Exposed:
    """Return one of Flink's own metrics; it is a counter if its name ends with `_total`."""
    kind: Kind = "counter" if name.endswith("_total") else "gauge"
    suffix = "_total" if kind == "counter" else ""
    source = Source(f"flink_{metric}", suffix=suffix, divisor=divisor)
    return Exposed(f"flink_{name}", kind, help, source.metric, (source,))


_JVM = "taskmanager_Status_JVM"
_TASK = "taskmanager_job_task"
_OPERATOR = f"{_TASK}_operator"
METRICS_TABLE: Final[tuple[Exposed, ...]] = (
    *_own(),
    _flink("job_uptime_seconds", "jobmanager_job_uptime",
           "how long the job has run without a fault", _MILLIS),
    _flink("job_downtime_seconds", "jobmanager_job_downtime",
           "how long the job has been failed, 0 while it runs", _MILLIS),
    _flink("job_restarts_total", "jobmanager_job_fullRestarts",
           "restarts of the whole job since it was submitted"),
    _flink("job_failed_checkpoints_total", "jobmanager_job_numberOfFailedCheckpoints",
           "failed checkpoints"),
    _flink("job_completed_checkpoints_total", "jobmanager_job_numberOfCompletedCheckpoints",
           "completed checkpoints"),
    _flink("job_last_checkpoint_duration_seconds", "jobmanager_job_lastCheckpointDuration",
           "how long the latest checkpoint took", _MILLIS),
    _flink("job_last_checkpoint_size_bytes", "jobmanager_job_lastCheckpointSize",
           "size of the latest checkpoint"),
    _flink("taskmanager_heap_used_bytes", f"{_JVM}_Memory_Heap_Used", "heap in use"),
    _flink("taskmanager_heap_max_bytes", f"{_JVM}_Memory_Heap_Max", "largest heap"),
    _flink("taskmanager_cpu_load_ratio", f"{_JVM}_CPU_Load", "share of the CPU that the JVM uses"),
    _flink("taskmanager_old_collections_seconds_total",
           f"{_JVM}_GarbageCollector_PS_MarkSweep_Time", "time spent in full garbage collections",
           _MILLIS),
    _flink("taskmanager_threads", f"{_JVM}_Threads_Count", "living threads of the JVM"),
    _flink("task_backpressured_ratio", f"{_TASK}_backPressuredTimeMsPerSecond",
           "share of the time that a task waits for the next", _MILLIS),
    _flink("task_busy_ratio", f"{_TASK}_busyTimeMsPerSecond",
           "share of the time that a task works", _MILLIS),
    _flink("operator_records_in_total", f"{_OPERATOR}_numRecordsIn",
           "records that an operator received"),
    _flink("operator_records_out_total", f"{_OPERATOR}_numRecordsOut",
           "records that an operator sent on"),
    _flink("kinesis_behind_latest_seconds",
           f"{_OPERATOR}_KinesisConsumer_stream_shardId_millisBehindLatest",
           "how far the reader of a shard is behind its end", _MILLIS),
    _flink("kafka_records_lag", f"{_OPERATOR}_KafkaSourceReader_KafkaConsumer_records_lag_max",
           "records between a reader and the end of its partition that is furthest behind"),
)  # fmt: skip
"""Everything that is exposed, ours first."""

_BY_SOURCE: Final = {
    (source.metric, source.step): (exposed, source)
    for exposed in METRICS_TABLE
    for source in exposed.sources
}
_WANTED: Final = {metric for metric, _ in _BY_SOURCE}
_BOUNDS: Final = tuple(
    _seconds(metric.name[len(_BUCKET) :])
    for metric in _of("decode")
    if metric.name.startswith(_BUCKET)
)


def exposed_as(metric: str, step: str) -> tuple[str, tuple[tuple[str, str], ...], float]:
    """Return the name and added labels of a metric of the reporter, and what divides its values.

    A step's rejects altogether are the sum of those for each reason.

    >>> exposed_as(f"{STEP_SCOPE}_bulk_ms", "index")
    ('streaming_etl_index_bulk_seconds_total', (), 1000.0)
    """
    if metric == f"{STEP_SCOPE}_rejected":
        return f"{OURS}_{step}_rejected_total", (), 1
    exposed, source = _BY_SOURCE[metric, step]
    name = exposed.name.removesuffix("_total") + source.suffix
    return name, source.labels, source.divisor


class _Families(Collector):
    """What the client library writes as text."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Family]:
        return self._families


def translate(texts: Iterable[str]) -> bytes:
    """Return the exposition of all processes together, in Prometheus' text format 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families(parse(texts, _WANTED.__contains__))))
    return generate_latest(registry)


def families(series: Series) -> Iterator[Family]:
    """Yield the metrics that the processes told, each with its type."""
    found: dict[str, dict[tuple[str, Labels], float]] = defaultdict(dict)
    for metric, values in series.items():
        for labels, value in values.items():
            _add(found, metric, dict(labels), value)
    for exposed in METRICS_TABLE:
        samples: Samples = found[exposed.name]
        if exposed.kind == "histogram":
            samples = _histogram(samples)
        if samples:
            family = Family(exposed.name.removesuffix("_total"), exposed.help, exposed.kind)
            for (suffix, at), value in samples.items():
                family.add_sample(f"{family.name}{suffix}", dict(at), value)
            yield family


def _add(
    found: Mapping[str, dict[tuple[str, Labels], float]],
    metric: str,
    labels: dict[str, str],
    value: float,
) -> None:
    """Add a value of the reporter to the sample that it belongs to.

    Two series that differ in dropped labels alone become one: the sum of counters, the largest of
    gauges.
    """
    step = labels.get("step", "") if metric.startswith(STEP_SCOPE) else ""
    if (metric, step) not in _BY_SOURCE:  # `in` of a step that is none of ours
        return
    exposed, source = _BY_SOURCE[metric, step]
    dropped = _DROPPED_OF_OPERATORS if "operator_name" in labels else _DROPPED
    kept = {_RENAMED.get(name, name): text for name, text in labels.items() if name not in dropped}
    at = (source.suffix, frozenset((kept | dict(source.labels)).items()))
    samples = found[exposed.name]
    value /= source.divisor
    if at in samples:
        value = max(samples[at], value) if exposed.kind == "gauge" else samples[at] + value
    samples[at] = value


def _histogram(samples: Samples) -> Samples:
    """Add the buckets up, as Prometheus counts them, and count all; incomplete ones are left out.

    A histogram is complete if it has every bucket and the sum: a process that is asked while it
    starts may have told only some.
    """
    buckets: dict[Labels, dict[str, float]] = defaultdict(dict)
    for (suffix, labels), value in samples.items():
        if suffix == "_bucket":
            named = dict(labels)
            bound = named.pop("le")
            buckets[frozenset(named.items())][bound] = value
    whole: dict[tuple[str, Labels], float] = {}
    for labels, filled in buckets.items():
        if len(filled) != len(_BOUNDS) or ("_sum", labels) not in samples:
            continue
        total = 0.0
        for bound in _BOUNDS:
            total += filled[bound]
            whole["_bucket", labels | {("le", bound)}] = total
        whole["_count", labels] = total
        whole["_sum", labels] = samples["_sum", labels]
    return whole
