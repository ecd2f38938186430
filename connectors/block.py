"""Some thousand events of a data set, in the order in which to send them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Events by column: time in epoch milliseconds (UTC), value, key and headers.

    `headers` is None if no event of the block has any.
    """

    times: NDArray[np.int64]
    raws: list[bytes | None]
    keys: list[bytes | None]
    headers: list[Headers] | None = None

    def __len__(self) -> int:
        return len(self.raws)

    def part(self, start: int, stop: int) -> Block:
        """Return the events from index `start` up to `stop`, exclusive."""
        headers = self.headers[start:stop] if self.headers else None
        return Block(self.times[start:stop], self.raws[start:stop], self.keys[start:stop], headers)
