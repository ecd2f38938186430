"""Counters of a step in Flink's metric groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline import metrics


class StepMetrics:
    """The metrics of one step, created from the table in `pipeline.metrics`."""

    def __init__(self, step: str, group: Any) -> None:
        scope = group.add_group("kinesisanalytics").add_group("step", step)
        self._counters = {name: scope.counter(name) for name in metrics.names(step)}
        self._registered = False

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

    def lag(self, arrived_millis: np.ndarray[Any, Any], now: int) -> None:
        """Count each time from arrival until now in its bucket."""
        if not len(arrived_millis):
            return
        lags = now - arrived_millis
        bounds = metrics.LAG_BUCKETS_MS
        filled = np.bincount(np.searchsorted(bounds, lags), minlength=len(bounds) + 1)
        for bound, number in zip([*bounds, "inf"], filled, strict=True):
            self.count(f"lag_le_{bound}", number)
        self.count("lag_ms", max(0, int(lags.sum())))
