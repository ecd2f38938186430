"""Events of a historical data set in the order to send them, some thousand at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Block:
    """The columns of so many events: time in epoch milliseconds (UTC), bytes, key, headers.

    `headers` is None where no event of the block has any.
    """

    times: NDArray[np.int64]
    raws: list[bytes | None]
    keys: list[bytes | None]
    headers: list[Headers] | None = None

    def __len__(self) -> int:
        return len(self.raws)

    def part(self, start: int, stop: int) -> Block:
        """The events from one place up to another."""
        headers = self.headers[start:stop] if self.headers else None
        return Block(self.times[start:stop], self.raws[start:stop], self.keys[start:stop], headers)
