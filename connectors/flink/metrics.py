"""The metrics that Flink's processes publish in Prometheus' text format."""

from __future__ import annotations

import math
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from prometheus_client.parser import text_string_to_metric_families

Labels: TypeAlias = frozenset[tuple[str, str]]
Series: TypeAlias = Mapping[str, Mapping[Labels, float]]
"""Values by metric and labels."""

STEP_SCOPE: Final = "flink_taskmanager_job_task_operator_kinesisanalytics_step"
"""What the names of our own metrics begin with; the label `step` names the step."""


def fetch(urls: Sequence[str], wanted: Callable[[str], bool]) -> Series:
    """Return the wanted metrics that processes published last; one that was killed has none."""
    return parse(map(_text, urls), wanted)


def parse(texts: Iterable[str], wanted: Callable[[str], bool] = lambda name: True) -> Series:
    """Return the metrics of these texts whose names are wanted; NaN is left out.

    Lines are chosen before they are parsed: one TaskManager publishes a megabyte, which takes
    0.5 s to parse as a whole, and alarms read it every second.
    """
    series: dict[str, dict[Labels, float]] = defaultdict(dict)
    for text in texts:
        chosen = (line for line in text.splitlines() if wanted(_name(line)))
        for family in text_string_to_metric_families("\n".join(chosen)):
            for sample in family.samples:
                if not math.isnan(sample.value):
                    series[sample.name][frozenset(sample.labels.items())] = float(sample.value)
    return dict(series)


def step_totals(urls: Sequence[str]) -> dict[str, float]:
    """Return our counters, `decode.in` and so on, summed over all tasks."""
    totals: dict[str, float] = defaultdict(float)
    for name, values in fetch(urls, lambda name: name.startswith(f"{STEP_SCOPE}_")).items():
        for labels, value in values.items():
            step = dict(labels).get("step")
            scope = f"{step}." if step else ""
            totals[scope + name.removeprefix(f"{STEP_SCOPE}_")] += value
    return dict(totals)


def _name(line: str) -> str:
    """Return the metric that a line is about; of a comment `#`."""
    return line.partition("{")[0].partition(" ")[0]


def _text(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return str(response.read().decode())
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return ""
