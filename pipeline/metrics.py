"""Every metric of ours: its name, kind, unit, meaning, and what to do when it moves.

A counter that is not in this table cannot be made (`step_metrics.StepMetrics` looks it up here),
and `docs/metrics.md` is kept equal to it by a test. Steps that are Flink's own operators (archive,
lake, dead_letters) are counted by Flink under their operator name: `numRecordsIn` and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.decode.reasons import REASONS

# Upper bounds in milliseconds; the last bucket, `lag_le_inf`, is everything slower.
LAG_BUCKETS_MS = (
    *(25, 50, 100, 150, 200, 300, 400, 500, 750, 1000, 1500, 2000, 3000, 5000),
    *(10_000, 30_000, 60_000, 600_000),
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of one step; its full name in Flink is `<step>.<name>`."""

    step: str
    name: str
    kind: Literal["counter"]
    unit: str
    meaning: str
    action: str


def _lag(step: str, until: str) -> tuple[Metric, ...]:
    bounds = [str(bound) for bound in LAG_BUCKETS_MS] + ["inf"]
    meaning = f"events whose time from arrival at the source to {until} fell into this bucket"
    action = "growing upper buckets: the job is behind; see backpressure in the web UI"
    return tuple(
        Metric(step, f"lag_le_{bound}", "counter", "events", meaning, action) for bound in bounds
    )


def _rejected(step: str) -> tuple[Metric, ...]:
    return tuple(
        Metric(step, f"rejected_{reason.code}", "counter", "records", reason.meaning, reason.action)
        for reason in REASONS.values()
        if reason.step == step
    )


METRICS: tuple[Metric, ...] = (
    Metric("decode", "in", "counter", "records", "raw records given to decode",
           "zero while the source has data: the source is stuck"),
    Metric("decode", "bytes", "counter", "bytes", "bytes of the raw records", "none"),
    Metric("decode", "events", "counter", "records", "records that became events", "none"),
    Metric("decode", "control", "counter", "records", "watermark events, counted and not stored",
           "none"),
    Metric("decode", "rejected", "counter", "records", "records sent to the dead letters by decode",
           "look at the rejected_<reason> counters beside it"),
    *_rejected("decode"),
    Metric("decode", "lag_ms", "counter", "ms", "sum of the times from arrival to decoded",
           "its rate over that of decode.in is the mean lag; above a second: add parallelism"),
    *_lag("decode", "decoded"),
    Metric("index", "in", "counter", "documents", "documents given to the index step", "none"),
    Metric("index", "indexed", "counter", "documents", "documents OpenSearch acknowledged", "none"),
    Metric("index", "stale", "counter", "documents",
           "documents older than the indexed version (409): success, nothing overwritten",
           "expected in a replay; otherwise events arrive out of order"),
    Metric("index", "rejected", "counter", "documents",
           "documents sent to the dead letters by the index step", "see rejected_<reason>"),
    *_rejected("index"),
    Metric("index", "retries", "counter", "requests", "bulk requests sent again after 429, 5xx",
           "steady growth: OpenSearch is too small or unwell"),
    Metric("index", "requests", "counter", "requests", "bulk requests sent", "none"),
    Metric("index", "bytes", "counter", "bytes", "bytes of the bulk requests", "none"),
    Metric("index", "bulk_ms", "counter", "ms", "time spent in the index step",
           "its rate over that of index.requests is the bulk latency"),
    Metric("index", "lag_ms", "counter", "ms", "sum of the times from arrival to acknowledged",
           "as decode.lag_ms"),
    *_lag("index", "acknowledged by OpenSearch"),
    Metric("claim_check", "in", "counter", "records",
           "dead letters measured against their target's limit", "none"),
    Metric("claim_check", "large", "counter", "records",
           "dead letters of more than `dead_letters.max_bytes`: their whole bytes are below"
           " `dead_letters.large_path`, the target has the head",
           "growing: mend the sender, or raise `dead_letters.max_bytes` and the target's limit"),
)  # fmt: skip


def names(step: str) -> dict[str, Metric]:
    """The metrics of one step by name."""
    return {metric.name: metric for metric in METRICS if metric.step == step}
