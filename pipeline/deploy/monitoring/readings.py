"""Read the local servers' metrics into one sample of all signals that they have."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from pipeline.deploy.monitoring.judge import Sample
from pipeline.deploy.monitoring.signals import SIGNALS, Local

Labels: TypeAlias = frozenset[tuple[str, str]]
Series: TypeAlias = Mapping[str, Mapping[Labels, float]]
_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse(texts: Iterable[str]) -> Series:
    """Parse the Prometheus text format into values by metric and labels; skip comments and NaN."""
    found: dict[str, dict[Labels, float]] = {}
    for text in texts:
        for line in text.splitlines():
            match = _LINE.match(line)
            if match and match[3] != "NaN":
                labels = frozenset(_LABEL.findall(match[2] or ""))
                found.setdefault(match[1], {})[labels] = float(match[3])
    return found


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
    """Return a sample of what the processes pushed last; a killed process contributes nothing."""
    return sample(parse(_text(url) for url in urls), time.time())


def _text(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return ""
