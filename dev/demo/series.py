"""Throughput and lag over time: the job's counters, read while it runs."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from pipeline.lag import lag_of
from pipeline.ops.page.data import Course, Phase, Sample

Counters = Mapping[str, float]

_EVERY_SECONDS: Final = 0.5
_LEAST_SECONDS: Final = 4.0
"""Of a sample. Steps count a batch at once, so that shorter ones would jump up and down."""
_IDLE_SECONDS: Final = 8.0
"""A job whose counters stand still for so long does nothing; Flink sends them every 2 seconds."""
_FINE_MS: Final = 10_000
"""Above it, buckets are too wide to tell a percentile."""


class Reading(NamedTuple):
    """The job's counters at a time, in seconds since the first reading."""

    seconds: float
    counters: Counters


class Series:
    """Reads counters in a thread for the block."""

    def __init__(self, read: Callable[[], Counters]) -> None:
        self._read = read
        self._readings: list[Reading] = []
        self._phases: list[Phase] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = time.monotonic()

    def __enter__(self) -> Series:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Name the part of the run that the block is."""
        since = self._seconds()
        yield
        self._phases.append(Phase(name=name, since=since, until=self._seconds()))

    def course(self, *, index: bool) -> Course:
        """Return what was measured; with an index, lag is measured at its end."""
        step = "index" if index else "decode"
        return Course(
            samples=samples(self._readings, step),
            phases=list(self._phases),
            lag_until="acknowledged by the index" if index else "decoded",
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            reading = Reading(self._seconds(), self._read())
            if is_new(self._readings, reading):
                self._readings.append(reading)
            self._stop.wait(_EVERY_SECONDS)

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 2)


def is_new(before: Sequence[Reading], reading: Reading) -> bool:
    """Return whether a reading is kept: counters moved, or stood still for long.

    Flink sends its counters now and then. A rate between two readings of the same ones would be 0,
    and the next one too high.
    """
    if not before:
        return True
    last = before[-1]
    since = reading.seconds - last.seconds
    has_moved = reading.counters != last.counters
    return since >= (_LEAST_SECONDS if has_moved else _IDLE_SECONDS)


def samples(readings: Sequence[Reading], step: str) -> list[Sample]:
    """Return what happened between every two readings; `step` is the one whose lag is meant."""
    return [_sample(before, after, step) for before, after in itertools.pairwise(readings)]


def _sample(before: Reading, after: Reading, step: str) -> Sample:
    decoded, indexed = (_rate(f"{name}.in", before, after) for name in ("decode", "index"))
    lag = {} if decoded is None else lag_of(before.counters, after.counters, step)
    p99 = lag.get("p99")
    return Sample(
        seconds=after.seconds,
        decoded=decoded,
        indexed=indexed,
        lag_mean=lag.get("mean"),
        lag_p99=p99 if p99 is None or p99 <= _FINE_MS else None,
    )


def _rate(name: str, before: Reading, after: Reading) -> float | None:
    """Return a counter's increase a second; None if it has no value yet, or started anew."""
    if name not in after.counters:
        return None
    more = after.counters[name] - before.counters.get(name, 0.0)
    return None if more < 0 else round(more / (after.seconds - before.seconds), 1)
