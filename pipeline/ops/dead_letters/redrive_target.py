"""A redrive target: a topic, a stream, or the index."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from pipeline.ops.dead_letters.letter import Letter, log_key
from pipeline.ops.dead_letters.tally import Tally
from pipeline.ops.dead_letters.whole import Whole

BATCH_RECORDS: Final = 500
BATCH_BYTES: Final = 8 * 1024 * 1024


class Ready(NamedTuple):
    """A dead letter with its whole original record."""

    letter: Letter
    whole: Whole

    @property
    def bytes(self) -> int:
        """The size of value and key."""
        return len(self.whole.raw or b"") + len(self.whole.key or b"")


Deliver = Callable[[Sequence[Ready]], list[str | None]]


class Sender(Protocol):
    """Sends batches to one target."""

    def deliver(self, batch: Sequence[Ready]) -> list[str | None]:
        """Send all; return for each None if it is stored, or why it was refused.

        Raises:
            UserError: the target is unreachable; nothing more may be sent.
        """

    def close(self) -> None:
        """Close the connection."""


def to_nowhere(batch: Sequence[Ready]) -> list[str | None]:
    """Deliver nothing, for a dry run."""
    return [None] * len(batch)


class Pace:
    """Limits records per second over all targets; None: unlimited."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._next = time.monotonic()

    @property
    def batch(self) -> int:
        """The largest number of records to send at once."""
        return BATCH_RECORDS if self._rate is None else max(1, min(BATCH_RECORDS, int(self._rate)))

    def wait(self, records: int) -> None:
        """Wait until that many records may be sent."""
        if self._rate is not None:
            time.sleep(max(0.0, self._next - time.monotonic()))
            self._next = max(self._next, time.monotonic()) + records / self._rate


@dataclass(slots=True)
class RedriveTarget:
    """Collects batches for one target and counts what became of them.

    `logged` has the keys of what was delivered before.
    """

    where: str
    deliver: Deliver
    logged: Collection[bytes]
    pace: Pace
    tally: Tally
    close: Callable[[], None] = lambda: None
    _batch: list[Ready] = field(default_factory=list)
    _bytes: int = 0

    def is_redriven(self, letter: Letter) -> bool:
        """Return whether it was redriven before."""
        return log_key(letter.identity) in self.logged

    def add(self, ready: Ready) -> None:
        """Take a record; it is sent at the latest by `flush`."""
        if self._bytes + ready.bytes > BATCH_BYTES:
            self.flush()
        self._batch.append(ready)
        self._bytes += ready.bytes
        if len(self._batch) >= self.pace.batch:
            self.flush()

    def flush(self) -> None:
        """Send what was collected."""
        if not self._batch:
            return
        batch, self._batch, self._bytes = self._batch, [], 0
        self.pace.wait(len(batch))
        for ready, refusal in zip(batch, self.deliver(batch), strict=True):
            if refusal is None:
                self.tally.sent(ready.letter, self.where)
            else:
                self.tally.refuse(ready.letter, refusal)
