"""Events on their way through the input, by the column, so that they are ordered as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from connectors.block import Block

Times = NDArray[np.int64]
Objects = NDArray[np.object_]

LOWEST: Final = int(np.iinfo(np.int64).min)
"""Earlier than every time."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Times in epoch milliseconds, bytes, keys; of archived records headers and positions too.

    `ties` are sortable texts that order what has the same time; without them the order of files
    and lines holds. A column that is None is so in all of a data set.
    """

    times: Times
    raws: Objects
    keys: Objects
    headers: Objects | None = None
    positions: Objects | None = None
    ties: NDArray[np.bytes_] | None = None

    def __len__(self) -> int:
        return len(self.times)

    def part(self, start: int, stop: int | None = None) -> Rows:
        """From one place up to another; nothing is copied."""
        return self._with(lambda column: column[start:stop])

    def take(self, which: NDArray[Any]) -> Rows:
        """The rows at these places, or where this is true."""
        return self._with(lambda column: column[which])

    def block(self) -> Block:
        """The same, as it is handed on."""
        headers = None if self.headers is None else self.headers.tolist()
        return Block(self.times, self.raws.tolist(), self.keys.tolist(), headers)

    def _with(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Rows:
        return Rows(*(None if one is None else change(one) for one in self.columns()))  # type: ignore[arg-type]

    def columns(self) -> tuple[NDArray[Any] | None, ...]:
        """The columns in the order of their definition."""
        return (self.times, self.raws, self.keys, self.headers, self.positions, self.ties)


def joined(parts: Sequence[Rows]) -> Rows:
    """One after the other; there must be one at least."""
    if len(parts) == 1:
        return parts[0]
    columns: Iterable[Any] = zip(*(one.columns() for one in parts), strict=True)
    return Rows(*(None if one[0] is None else np.concatenate(one) for one in columns))  # type: ignore[arg-type]


def objects(values: Iterable[Any], count: int) -> Objects:
    """An array of objects, whatever they are."""
    return np.fromiter(values, dtype=object, count=count)
