"""CPU seconds and memory of process trees, sampled while they run."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final

import psutil

from dev.bench.parts import Parts, kind_of

_EVERY_SECONDS: Final = 0.25
_PARTS_EVERY: Final = 4


class Gauge:
    """Samples the trees of `roots`; `cpu_seconds` and `peak_bytes` are of all of them together.

    `peak_by_kind` says who had how much at that peak; `parts` has the CPU seconds by part.
    A process that ends between two samples keeps what it had at the last one.
    """

    def __init__(self, roots: Collection[int], *, by_part: bool = False) -> None:
        self._roots = roots
        self._by_part = by_part
        self._cpu_seconds: dict[psutil.Process, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peak_bytes = 0
        self.peak_by_kind: dict[str, int] = {}
        self.parts = Parts()

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
        turns = itertools.count()
        while not self._stop.wait(_EVERY_SECONDS):
            processes = family(self._roots)
            resident = {process: self._sampled(process) for process in processes}
            if sum(resident.values()) > self.peak_bytes:
                self.peak_bytes = sum(resident.values())
                self.peak_by_kind = _by_kind(resident) if self._by_part else {}
            if self._by_part and next(turns) % _PARTS_EVERY == 0:
                self.parts.sample(processes)

    def _sampled(self, process: psutil.Process) -> int:
        """Keep the CPU time of a process; return its resident bytes."""
        try:
            with process.oneshot():
                used = process.cpu_times()
                self._cpu_seconds[process] = used.user + used.system
                return process.memory_info().rss
        except psutil.NoSuchProcess:
            return 0  # It has just ended.


def _by_kind(resident: Mapping[psutil.Process, int]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for process, amount in resident.items():
        with suppress(psutil.NoSuchProcess):
            kind = kind_of(process)
            sums[kind] = sums.get(kind, 0) + amount
    return sums


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
