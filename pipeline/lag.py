"""Percentiles of the lag, from the histogram counters of a step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Final

_BUCKET: Final = "lag_le_"


def lag_of(before: Mapping[str, float], after: Mapping[str, float], step: str) -> dict[str, int]:
    """Return mean and percentiles in ms of the lag between two readings of a step's counters.

    A percentile is interpolated inside its bucket; `max` is the upper bound of the last bucket
    used. The result is empty when nothing was counted in between.
    """
    prefix = f"{step}.{_BUCKET}"
    names = {
        float(name.removeprefix(prefix)): name for name in after if name.startswith(prefix)
    }  # math.inf is the bound of `lag_le_inf`
    bounds = sorted(names)
    counts = [after[names[bound]] - before.get(names[bound], 0) for bound in bounds]
    if not sum(counts):
        return {}
    if bounds[-1] == math.inf:
        bounds[-1] = 2 * bounds[-2]
    used = max(bound for bound, count in zip(bounds, counts, strict=True) if count)
    mean = (after[f"{step}.lag_ms"] - before.get(f"{step}.lag_ms", 0)) / sum(counts)
    percentiles = {f"p{p}": _percentile(bounds, counts, p / 100) for p in (50, 99)}
    return {"mean": round(mean), **percentiles, "max": round(used)}


def _percentile(bounds: list[float], counts: list[float], share: float) -> int:
    wanted = share * sum(counts)
    below = 0.0
    for (low, high), count in zip(itertools.pairwise([0, *bounds]), counts, strict=True):
        if count and below + count >= wanted:
            return round(low + (high - low) * (wanted - below) / count)
        below += count
    return round(bounds[-1])
