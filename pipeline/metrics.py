"""The table of the job's own metrics: name, kind, unit, meaning, and what to do when it changes.

`StepMetrics` creates only counters of this table, and `docs/metrics.md` is generated from it. Steps
that are Flink operators without Python (replicas; archive and dead letters in a topic or stream)
have Flink's own metrics, such as `numRecordsIn`, under their operator name.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pipeline.decode.reasons import REASONS

_log = logging.getLogger(__name__)
_LOGGED_SECONDS: Final = 60.0
# Upper bounds in milliseconds. A last bucket, `lag_le_inf`, counts everything above.
LAG_BUCKETS_MS = (
    *(25, 50, 100, 150, 200, 300, 400, 500, 750, 1000, 1500, 2000, 3000, 5000),
    *(10_000, 30_000, 60_000, 600_000),
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One counter of one step; its full name in Flink is `<step>.<name>`."""

    step: str
    name: str
    unit: str
    meaning: str
    action: str


def _lag(step: str, until: str) -> tuple[Metric, ...]:
    bounds = [str(bound) for bound in LAG_BUCKETS_MS] + ["inf"]
    meaning = f"events whose time from arrival at the source to {until} is in this bucket"
    action = "If upper buckets increase, the job is behind: see back-pressure in the web UI."
    return tuple(Metric(step, f"lag_le_{bound}", "events", meaning, action) for bound in bounds)


def _rejected(step: str) -> tuple[Metric, ...]:
    return tuple(
        Metric(step, f"rejected_{reason.code}", "records", reason.meaning, reason.action)
        for reason in REASONS.values()
        if reason.step == step
    )


def _collected(step: str) -> tuple[Metric, ...]:
    closed = f"groups of files, up to one a folder, that were written because of `{step}."
    return (
        Metric(step, "in", "rows", f"rows collected for files of {step}", ""),
        Metric(step, "out", "rows", "rows in files that were given to Flink's sink",
               f"Rows of `{step}.in` follow within `{step}.file_seconds`. Files are visible after"
               " the next checkpoint."),
        Metric(step, "files", "files", "files that were given to Flink's sink", ""),
        Metric(step, "bytes", "bytes", "bytes of these files", ""),
        Metric(step, "closed_by_size", "buckets", f"{closed}bucket_bytes`",
               f"If it exceeds closed_by_age, more memory makes larger files: raise"
               f" `{step}.bucket_bytes`."),
        Metric(step, "closed_by_age", "buckets",
               f"{closed}file_seconds`, or because the job was drained", ""),
        Metric(step, "close_ms", "ms", "time spent on writing files",
               "Its rate is the share of a task that writes files. Towards 1000 a second for each"
               " task, add parallelism."),
    )  # fmt: skip


METRICS: tuple[Metric, ...] = (
    Metric("decode", "in", "records", "raw records read by decode",
           "If its rate is zero while the source has data, the source is stuck."),
    Metric("decode", "bytes", "bytes", "bytes of the raw records", ""),
    Metric("decode", "events", "records", "records decoded into events", ""),
    Metric("decode", "control", "records",
           "control records, such as watermarks, which are counted and not stored", ""),
    Metric("decode", "native", "records",
           "records that the native decoder answered alone; Python answers for all others",
           "Zero of many: the extension is not installed, or `streaming-etl plan` says why not."),
    Metric("decode", "native_failures", "batches",
           "batches on which the native decoder failed; Python decoded them",
           "Nothing is lost, but it is a bug: report it, and set `decode.native: off` until then."),
    Metric("decode", "registry_waits", "waits",
           "pauses because the schema registry was away, counted when it is back",
           "Meanwhile the records of Avro wait, the task's log says so, and its lag grows."),
    Metric("decode", "forged_redrives", "records",
           "records with a redrive header but without a valid signature: they go through all steps,"
           " like any record",
           "Find out who sends it, or why the signature is missing: docs/dead-letters.md."),
    Metric("decode", "rejected", "records", "records that decode sent to the dead letters",
           "See the counters rejected_<reason>."),
    *_rejected("decode"),
    Metric("decode", "lag_ms", "ms", "sum of the times from arrival at the source to decoded",
           "Its rate divided by that of decode.in is the mean lag. Above one second, add"
           " parallelism."),
    *_lag("decode", "decoded"),
    Metric("index", "in", "documents", "documents passed to the index step", ""),
    Metric("index", "indexed", "documents", "documents that OpenSearch acknowledged", ""),
    Metric("index", "stale", "documents",
           "documents older than the indexed version (409): a success, nothing is overwritten",
           "Expected during a replay. Otherwise events arrive out of order."),
    Metric("index", "rejected", "documents",
           "documents that the index step sent to the dead letters",
           "See the counters rejected_<reason>."),
    *_rejected("index"),
    Metric("index", "retries", "requests", "bulk requests retried after 429 or 5xx",
           "If it increases steadily, OpenSearch is overloaded or unhealthy."),
    Metric("index", "requests", "requests", "bulk requests sent", ""),
    Metric("index", "bytes", "bytes", "bytes of bulk requests", ""),
    Metric("index", "bulk_ms", "ms", "time spent in the index step",
           "Its rate divided by that of index.requests is the mean bulk latency."),
    Metric("index", "lag_ms", "ms",
           "sum of the times from arrival at the source to acknowledged by OpenSearch",
           "See decode.lag_ms."),
    *_lag("index", "acknowledged by OpenSearch"),
    *_collected("lake"),
    *_collected("archive"),
    *_collected("dead_letters"),
    Metric("claim_check", "in", "records",
           "dead letters compared with the size limit of their target", ""),
    Metric("claim_check", "large", "records",
           "dead letters larger than `dead_letters.max_bytes`: stored whole below"
           " `dead_letters.large_path`, with only their head in the target",
           "If it increases, fix the sender, or raise `dead_letters.max_bytes` and the limit of the"
           " target."),
)  # fmt: skip


def names(step: str) -> dict[str, Metric]:
    """Return the metrics of one step by name."""
    return {metric.name: metric for metric in METRICS if metric.step == step}


class RejectLog:
    """Logs rejects by their reasons, at most once a minute: numbers, nothing of a record.

    Counters and dead letters are complete; the log lacks the last minute of a process that ends.
    """

    def __init__(self, step: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._step = step
        self._clock = clock
        self._waiting: Counter[str] = Counter()
        self._next = -math.inf

    def add(self, reasons: Counter[str]) -> None:
        """Add the rejects of a batch, or none; log what waits, if a minute has passed."""
        self._waiting += reasons
        now = self._clock()
        if not self._waiting or now < self._next:
            return
        told = ", ".join(f"{reason} {number}" for reason, number in self._waiting.most_common())
        _log.warning("%s rejected %d records: %s", self._step, self._waiting.total(), told)
        self._waiting.clear()
        self._next = now + _LOGGED_SECONDS


class StepMetrics:
    """The metrics of one step, counters of `METRICS` in Flink's metric groups."""

    def __init__(self, step: str, group: Any) -> None:
        scope = group.add_group("kinesisanalytics").add_group("step", step)
        self._counters = {name: scope.counter(name) for name in names(step)}
        self._registered = False
        self._log = RejectLog(step)

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter.

        The first call reports all counters as 0: PyFlink reports no counter before it was added
        to, and an alarm on growth would miss the first increment.
        """
        if not self._registered:
            self._registered = True
            for counter in self._counters.values():
                counter.inc(0)
        if by:
            self._counters[name].inc(int(by))

    def count_rejects(self, reasons: Counter[str]) -> None:
        """Count rejects, all together and by reason code, and log them."""
        self._log.add(reasons)
        self.count("rejected", reasons.total())
        for reason, number in reasons.items():
            self.count(f"rejected_{reason}", number)

    def lag(self, arrived_millis: np.ndarray[Any, Any], now: int) -> None:
        """Count each time from arrival until now in its bucket."""
        if not len(arrived_millis):
            return
        lags = now - arrived_millis
        bounds = LAG_BUCKETS_MS
        filled = np.bincount(np.searchsorted(bounds, lags), minlength=len(bounds) + 1)
        for bound, number in zip([*bounds, "inf"], filled, strict=True):
            self.count(f"lag_le_{bound}", number)
        self.count("lag_ms", max(0, int(lags.sum())))
