"""What the demo and the tests ask a running job: how far it is, how far behind."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from connectors.flink.rest import wait_for
from connectors.s3.parquet import row_count
from connectors.s3.store import ReadableStore, open_store
from pipeline.metrics import LAG_BUCKETS_MS
from pipeline.submit import Submitted

Offsets = dict[int, int]
_TIMEOUT_SECONDS = 30.0
PATIENCE_SECONDS = 300.0


class ArchivedRecords:
    """How many records lie in completed checkpoints, whatever source they came from.

    A file of the archive (or of another Parquet sink) becomes visible when the checkpoint that
    covers it completes, so its rows are read and their effects are recorded.
    """

    def __init__(self, store: ReadableStore) -> None:
        self._store = store
        self._rows: dict[str, int] = {}

    def count(self) -> int:
        """The rows of all files that there are now; each file's footer is read once."""
        for stored in self._store.listing():
            if stored.path not in self._rows:
                self._rows[stored.path] = row_count(self._store, stored.path)
        return sum(self._rows.values())


def wait_archived(
    job: Submitted, environment: Mapping[str, str], records: int, patience_seconds: float
) -> None:
    """Wait until the Parquet archive holds so many records: completed checkpoints cover them."""
    assert job.config.archive is not None and job.config.archive.path, "there is no such archive"
    archived = ArchivedRecords(open_store(job.config.archive.path, environment))

    def covered() -> bool:
        job.cluster.running(job.job_id)
        return archived.count() >= records

    wait_for(covered, patience_seconds, f"the archive did not hold {records} records")


def wait_checkpoints(job: Submitted, more: int) -> None:
    """Wait until so many more checkpoints have completed."""
    wanted = job.cluster.checkpoints(job.job_id).completed + more
    wait_for(
        lambda: job.cluster.checkpoints(job.job_id).completed >= wanted,
        PATIENCE_SECONDS,
        f"{more} more checkpoints did not complete",
    )


def lag_of(before: Mapping[str, float], after: Mapping[str, float], step: str) -> dict[str, int]:
    """Percentiles in ms of the lag between two readings of the step's buckets.

    A percentile is interpolated inside its bucket; `max` is the upper bound of the last one used.
    """
    bounds = [*LAG_BUCKETS_MS, 2 * LAG_BUCKETS_MS[-1]]
    names = [*(f"{step}.lag_le_{bound}" for bound in LAG_BUCKETS_MS), f"{step}.lag_le_inf"]
    counts = [after.get(name, 0) - before.get(name, 0) for name in names]
    if not sum(counts):
        return {}
    used = max(bound for bound, count in zip(bounds, counts, strict=True) if count)
    mean = (after[f"{step}.lag_ms"] - before.get(f"{step}.lag_ms", 0)) / sum(counts)
    percentiles = {f"p{p}": _percentile(bounds, counts, p / 100) for p in (50, 99)}
    return {"mean": round(mean), **percentiles, "max": used}


def _percentile(bounds: list[int], counts: list[float], share: float) -> int:
    wanted = share * sum(counts)
    below = 0.0
    for (low, high), count in zip(itertools.pairwise([0, *bounds]), counts, strict=True):
        if count and below + count >= wanted:
            return round(low + (high - low) * (wanted - below) / count)
        below += count
    return bounds[-1]
