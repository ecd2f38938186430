"""What a step counts while it runs, in Flink's metric groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline import metrics


class StepMetrics:
    """The metrics of one step, made from the table in `pipeline.metrics` and nowhere else."""

    def __init__(self, step: str, group: Any) -> None:
        scope = group.add_group("kinesisanalytics").add_group("step", step)
        self._made = {name: scope.counter(name) for name in metrics.names(step)}
        self._shown = False

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter.

        All are shown as 0 first: PyFlink reports no counter before it was added to, and who looks
        for a growth would not see the first one.
        """
        if not self._shown:
            self._shown = True
            for counter in self._made.values():
                counter.inc(0)
        if by:
            self._made[name].inc(int(by))

    def lag(self, arrived_millis: np.ndarray[Any, Any], now: int) -> None:
        """Sort the time from arrival until now into the buckets."""
        if not len(arrived_millis):
            return
        lags = now - arrived_millis
        bounds = metrics.LAG_BUCKETS_MS
        filled = np.bincount(np.searchsorted(bounds, lags), minlength=len(bounds) + 1)
        for bound, number in zip([*bounds, "inf"], filled, strict=True):
            self.count(f"lag_le_{bound}", number)
        self.count("lag_ms", max(0, int(lags.sum())))
