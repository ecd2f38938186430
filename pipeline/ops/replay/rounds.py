"""The events of a data set, once or in rounds, read ahead of their sending."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import count
from typing import Final, NamedTuple

from connectors.block import Block
from pipeline.ops.replay.history import History, Spans

_AHEAD: Final = 4


class Piece(NamedTuple):
    """A block, and which round it is of."""

    round: int
    block: Block


class Rounds:
    """The same events again and again, each round later and with ids of its own.

    More than one need a history with `loop`; `spans` are those of an earlier whole pass. `rounds`
    0 is for ever; a data set without events ends after one.
    """

    def __init__(self, history: History, rounds: int = 1, spans: Spans | None = None) -> None:
        self.spans = spans
        self._history = history
        self._rounds = rounds

    def pieces(self, first: int = 0, skip: int = 0) -> Iterator[Piece]:
        """From a round on; of that one the first `skip` events are passed over."""
        for number in count(first):
            for block in self._blocks(number, skip):
                yield Piece(number, block)
            skip = 0
            self.spans = self.spans or self._history.round_spans()
            if number + 1 == self._rounds or self.spans is None:
                return

    def _blocks(self, number: int, skip: int) -> Iterator[Block]:
        if not number or not self.spans:
            yield from self._history.blocks(skip)
            return
        # Events that cannot be moved are left out: what was sent is counted without them.
        for block in self._history.blocks():
            moved = self._history.shifted(block, self.spans, number)
            start = min(skip, len(moved))
            skip -= start
            if start < len(moved):
                yield moved.part(start, len(moved))


class Ahead:
    """Reads a few pieces ahead, in a thread of its own: reading must not disturb the pace."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._pieces = pieces
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._waiting: deque[Future[Piece | None]] = deque()
        for _ in range(_AHEAD):
            self._ask()

    def is_ready(self, seconds: float) -> bool:
        """Waits for the next piece, so long at most."""
        return bool(wait([self._waiting[0]], seconds).done)

    def take(self) -> Piece | None:
        """The next piece, None at the end. Raises what reading raised."""
        piece = self._waiting.popleft().result()
        self._ask()
        return piece

    def close(self) -> None:
        """Stops reading, after the piece that is being read."""
        self._pool.shutdown(cancel_futures=True)

    def _ask(self) -> None:
        self._waiting.append(self._pool.submit(next, self._pieces, None))
