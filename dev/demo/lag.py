"""Percentiles of the lag, from the histogram counters of a step."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from pipeline.metrics import LAG_BUCKETS_MS


def lag_of(before: Mapping[str, float], after: Mapping[str, float], step: str) -> dict[str, int]:
    """Return mean and percentiles in ms of the lag between two readings of a step's counters.

    A percentile is interpolated inside its bucket; `max` is the upper bound of the last bucket
    used. The result is empty when nothing was counted in between.
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
