"""CPU seconds and memory of process trees, read from /proc while they run."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_EVERY_SECONDS: Final = 0.25


class Seen(NamedTuple):
    """One process as it is now."""

    parent: int
    ticks: int
    resident: int
    name: str


class Gauge:
    """Samples the trees of `roots`; `cpu_seconds` and `peak_bytes` are of all of them together.

    A process that ends between two samples keeps what it had at the last one.
    """

    def __init__(self, roots: Collection[int]) -> None:
        self._roots = roots
        self._ticks: dict[int, int] = {}
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
        return sum(self._ticks.values()) / _TICKS

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            seen = processes()
            family = tree(self._roots, seen)
            for pid in family:
                self._ticks[pid] = max(seen[pid].ticks, self._ticks.get(pid, 0))
            resident = sum(seen[pid].resident for pid in family)
            self.peak_bytes = max(self.peak_bytes, resident)


def processes() -> dict[int, Seen]:
    """All processes of the machine."""
    found = {}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            try:
                text = (path / "stat").read_text("utf-8", "replace")
            except OSError:
                continue  # it has just ended
            name, _, rest = text.partition("(")[2].rpartition(")")
            fields = rest.split()
            ticks = int(fields[11]) + int(fields[12])
            found[int(path.name)] = Seen(int(fields[1]), ticks, int(fields[21]) * _PAGE, name)
    return found


def tree(roots: Collection[int], seen: Mapping[int, Seen]) -> set[int]:
    """Those of `roots` that live, with their descendants."""
    children = defaultdict(set)
    for pid, each in seen.items():
        children[each.parent].add(pid)
    found: set[int] = set()
    pending = [pid for pid in roots if pid in seen]
    while pending:
        pid = pending.pop()
        found.add(pid)
        pending += children[pid] - found
    return found
