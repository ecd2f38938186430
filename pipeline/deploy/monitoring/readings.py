"""Read the local servers' metrics into one sample of all signals that they have."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from connectors.flink.metrics import Series, fetch
from pipeline.deploy.monitoring.judge import Sample
from pipeline.deploy.monitoring.signals import SIGNALS, Local

_NAMES: Final = frozenset(
    name for each in SIGNALS if each.local for name in (each.local.metric, each.local.per) if name
)


def sample(series: Series, at: float) -> Sample:
    """Return the signals that these series have."""
    values = {
        each.name: value
        for each in SIGNALS
        if each.local and (value := reading(each.local, series)) is not None
    }
    return Sample(at, values)


def reading(local: Local, series: Series) -> float | None:
    """Aggregate all series of the metric into one value; None if there are none."""
    wanted = frozenset(local.labels)
    found = {
        labels: value for labels, value in series.get(local.metric, {}).items() if wanted <= labels
    }
    if local.per:
        twins = series.get(local.per, {})
        found = {
            labels: value / twins[labels] for labels, value in found.items() if labels in twins
        }
    if not found:
        return None
    return local.scale * (sum if local.combine == "sum" else max)(found.values())


def collect(urls: Sequence[str]) -> Sample:
    """One sample of what the processes pushed last; one that was killed has nothing to say."""
    return sample(fetch(urls, _NAMES.__contains__), time.time())
