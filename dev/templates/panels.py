"""The dashboard's panels: one list for CloudWatch and Grafana."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pipeline import metrics

Split = Literal["", "Operator", "Task"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a panel: a signal's value, its rate, or its rate divided by that of `per`.

    A line with `split` is drawn once for each operator or task. On Managed Service for Apache
    Flink that needs the metrics level OPERATOR or TASK.
    """

    signal: str
    label: str
    form: Literal["level", "growth", "ratio"] = "level"
    per: str = ""
    split: Split = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart. `unit` labels its axis; lines of the form growth are per second."""

    title: str
    unit: Literal["ms", "bytes", "percent", "records/s", "requests/s", "count", "ms/s", "ratio"]
    lines: tuple[Line, ...]


def _growths(labels: Mapping[str, str]) -> tuple[Line, ...]:
    """Return a rate line for each of the job's own signals, by its label."""
    return tuple(Line(signal, label, "growth") for signal, label in labels.items())


def _reasons() -> tuple[Line, ...]:
    return tuple(
        Line(f"{step}.{name}", name.removeprefix("rejected_"), "growth")
        for step in ("decode", "index")
        for name in metrics.names(step)
        if name.startswith("rejected_")
    )


PANELS: Final[tuple[Panel, ...]] = (
    Panel("Records per step", "records/s", _growths({
        "decode.in": "read", "decode.events": "events", "decode.rejected": "rejected",
        "decode.control": "watermarks", "index.indexed": "indexed",
        "claim_check.in": "dead letters"})),
    Panel("Records into each operator", "records/s", (Line("records_in", "in", split="Operator"),)),
    Panel("Records out of each operator", "records/s", (
        Line("records_out", "out", split="Operator"),)),
    Panel("Rejects by reason", "records/s", _reasons()),
    Panel("Dead-letter ratio", "ratio", (
        Line("decode.rejected", "rejected / read", "ratio", "decode.in"),)),
    Panel("Lag behind the stream", "ms", (
        Line("millis_behind", "millisBehindLatest"), Line("source_age_ms", "iterator age"))),
    Panel("Lag behind the topics", "count", (Line("records_lag", "records_lag_max"),)),
    Panel("Mean time since arrival", "ms", (
        Line("decode.lag_ms", "to decoded", "ratio", "decode.in"),
        Line("index.lag_ms", "to acknowledged", "ratio", "index.in"))),
    Panel("Source stream", "records/s", (
        Line("source_records", "arriving", "growth"),
        Line("source_throttled", "writes throttled", "growth"),
        Line("source_read_throttled", "reads throttled", "growth"),
        Line("letters_records", "dead letters", "growth"),
        Line("letters_throttled", "dead letters throttled", "growth"))),
    Panel("Bytes read", "bytes", (
        Line("decode.bytes", "decoded", "growth"), Line("source_bytes", "arriving", "growth"))),
    Panel("Checkpoint duration", "ms", (Line("checkpoint_ms", "last"),)),
    Panel("Checkpoint size", "bytes", (Line("checkpoint_bytes", "last"),)),
    Panel("Failures", "count", (
        Line("full_restarts", "restarts"), Line("failed_checkpoints", "failed checkpoints"),
        Line("uncommitted", "uncommitted transactions"))),
    Panel("Uptime and downtime", "ms", (Line("uptime", "up"), Line("downtime", "down"))),
    Panel("Back-pressure", "ms/s", (Line("back_pressure", "back-pressured", split="Task"),)),
    Panel("Busy", "ms/s", (Line("busy", "busy", split="Task"),)),
    Panel("Heap, memory, CPU", "percent", (
        Line("heap_percent", "heap"), Line("memory_percent", "container memory"),
        Line("cpu_percent", "CPU"))),
    Panel("Full garbage collections", "ms", (Line("old_gc_ms", "time", "growth"),)),
    Panel("Threads", "count", (Line("threads", "threads"),)),
    Panel("Bulk requests", "requests/s", _growths({
        "index.requests": "sent", "index.retries": "retried"})),
    Panel("Bulk latency, mean", "ms", (
        Line("index.bulk_ms", "bulk request", "ratio", "index.requests"),)),
    Panel("Documents", "records/s", _growths({
        "index.in": "received", "index.indexed": "acknowledged", "index.stale": "stale",
        "index.rejected": "rejected"})),
    Panel("OpenSearch", "count", (
        Line("search_red", "red"), Line("search_yellow", "yellow"),
        Line("search_blocked", "writes blocked"), Line("search_nodes", "nodes"))),
    Panel("S3 requests", "requests/s", (
        Line("s3_requests", "all", "growth"), Line("s3_refused", "4xx", "growth"),
        Line("s3_failed", "5xx", "growth"))),
    Panel("Files finished in the lake", "count", (Line("lake_objects", "files", "growth"),)),
    Panel("Reconciliation", "count", (Line("reconcile_mismatch", "mismatch"),)),
    Panel("Kafka", "count", (
        Line("kafka_offline", "offline partitions"),
        Line("kafka_under_replicated", "under-replicated"))),
)  # fmt: skip
