"""Bound how many partitions of the lake are open at a time: each of them becomes a file."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import numpy as np

from pipeline.decode.columns import Array
from pipeline.decode.outcome import Decoded

REASON: Final = "too_many_partitions"


class PartitionLimit:
    """Rejects events of further partitions when `most` were seen within a window of `seconds`.

    A schema whose `partitionBy` has too many values would make a file for almost each event. Events
    of the partitions that were seen before go on. Each subtask counts its own, and begins anew with
    the next window and after a restart. `clock` returns monotonic seconds.
    """

    def __init__(self, most: int, *, seconds: float, clock: Callable[[], float]) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._window = 0
        self._seen: set[str] = set()

    def apply(self, decoded: Decoded, redriven: Collection[int] = ()) -> None:
        """Turn the events of a batch that are beyond the limit into rejects.

        The `redriven` rows are in the lake already: they need no partition.
        """
        window = int(self._clock() / self._seconds)
        if window != self._window:
            self._window, self._seen = window, set()
        is_new = decoded.partition >= 0
        is_new[list(redriven)] = False
        places = np.unique(decoded.partition[is_new]).tolist()
        names = dict.fromkeys(decoded.partitions[place] for place in places)
        new = [name for name in names if name not in self._seen]
        room = self._most - len(self._seen)
        self._seen.update(new[:room])
        if len(new) > room:
            refused = np.array([*(name not in self._seen for name in decoded.partitions), False])
            _reject(decoded, is_new & refused[decoded.partition], self._detail())

    def _detail(self) -> str:
        return (
            f"partition: the {self._most + 1:,}th within {self._seconds:g} seconds; allowed:"
            f" {self._most:,} (lake.max_partitions)"
        )


def _reject(decoded: Decoded, rows: Array, detail: str) -> None:
    decoded.kind[rows] = "reject"
    decoded.partition[rows] = -1
    decoded.document_id[rows] = ""
    decoded.document_version[rows] = 0
    decoded.document[rows] = None
    decoded.reason[rows] = REASON
    decoded.detail[rows] = detail
