"""CPU seconds of a Flink cluster by part: tasks, the JVM's own threads, and Python workers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_ENTRY_POINTS: Final = {"TaskManagerRunner": "TaskManager", "ClusterEntrypoint": "JobManager"}
_THREADS: Final = {
    "Source: ": "source and decode",
    "collect": "collect",
    "lake_": "lake writers",
    "Source Data": "fetchers",
    "C1 ": "JIT compilers",
    "C2 ": "JIT compilers",
    "GC ": "garbage collector",
    "VM Thread": "garbage collector",
    "grpc": "gRPC",
}
"""Parts of a TaskManager by the beginnings of its threads' names, which Linux cuts at 15."""


def kind_of(process: psutil.Process) -> str:
    """Return what a process is: TaskManager, JobManager, our worker's name, python or java."""
    name = process.name()
    if name.startswith("etl-"):
        return name
    if name.startswith("python"):
        return "python"
    command = process.cmdline()
    known = (kind for end, kind in _ENTRY_POINTS.items() if any(w.endswith(end) for w in command))
    return next(known, "java" if name == "java" else "other")


class Parts:
    """Sums up what each thread of TaskManagers and each other process has used, sample by sample.

    One that ends between two samples keeps what it had at the last one.
    """

    def __init__(self) -> None:
        self._seconds: dict[tuple[int, int], tuple[str, float]] = {}

    def sample(self, processes: Iterable[psutil.Process]) -> None:
        """Read the times of all."""
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                kind = kind_of(process)
                if kind == "TaskManager":
                    self._sample_threads(process.pid)
                else:
                    used = process.cpu_times()
                    self._seconds[process.pid, 0] = kind, used.user + used.system

    def seconds(self) -> dict[str, float]:
        """Return the CPU seconds of each part, the largest first."""
        sums: dict[str, float] = {}
        for part, seconds in self._seconds.values():
            sums[part] = sums.get(part, 0.0) + seconds
        return dict(sorted(sums.items(), key=lambda each: -each[1]))

    def _sample_threads(self, pid: int) -> None:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                name, _, rest = (thread / "stat").read_text().partition("(")[2].rpartition(") ")
                user, system = rest.split()[11:13]
                seconds = (int(user) + int(system)) / _TICKS
                self._seconds[pid, int(thread.name)] = _part(name), seconds


def _part(name: str) -> str:
    named = (part for beginning, part in _THREADS.items() if name.startswith(beginning))
    return next(named, "rest of the TaskManager")
