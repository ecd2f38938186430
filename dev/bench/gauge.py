"""CPU seconds and memory of process trees, sampled while they run."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Final

import psutil

_EVERY_SECONDS: Final = 0.25


class Gauge:
    """Samples the trees of `roots`; `cpu_seconds` and `peak_bytes` are of all of them together.

    A process that ends between two samples keeps what it had at the last one.
    """

    def __init__(self, roots: Collection[int]) -> None:
        self._roots = roots
        self._cpu_seconds: dict[psutil.Process, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> Gauge:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def cpu_seconds(self) -> float:
        """User and system time of all processes, each since it began."""
        return sum(self._cpu_seconds.values())

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            self.peak_bytes = max(self.peak_bytes, sum(map(self._sampled, family(self._roots))))

    def _sampled(self, process: psutil.Process) -> int:
        """Keep the CPU time of a process; return its resident bytes."""
        try:
            with process.oneshot():
                used = process.cpu_times()
                self._cpu_seconds[process] = used.user + used.system
                return process.memory_info().rss
        except psutil.NoSuchProcess:
            return 0  # It has just ended.


def family(roots: Collection[int]) -> set[psutil.Process]:
    """Return those of `roots` that live, with their descendants."""
    living: set[psutil.Process] = set()
    for pid in roots:
        try:
            process = psutil.Process(pid)
            living |= {process, *process.children(recursive=True)}
        except psutil.NoSuchProcess:
            continue
    return living
