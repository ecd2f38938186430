"""One way back: to a topic, to a stream, or to the index."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from pipeline.ops.dead_letters.letter import Letter, mark_of
from pipeline.ops.dead_letters.tally import Tally
from pipeline.ops.dead_letters.whole import Whole

BATCH_RECORDS: Final = 500
BATCH_BYTES: Final = 8 * 1024 * 1024


class Ready(NamedTuple):
    """A dead letter with the whole of its original."""

    letter: Letter
    whole: Whole

    @property
    def bytes(self) -> int:
        """Of value and key."""
        return len(self.whole.raw or b"") + len(self.whole.key or b"")


Deliver = Callable[[Sequence[Ready]], list[str | None]]


class Sender(Protocol):
    """What brings batches to one target."""

    def deliver(self, batch: Sequence[Ready]) -> list[str | None]:
        """Send all; of each None when it is stored, or why it was refused.

        Raises UserError when the target stays away; then nothing more is to be sent.
        """

    def close(self) -> None:
        """Let go of the connection."""


def to_nowhere(batch: Sequence[Ready]) -> list[str | None]:
    """The delivery of a dry run."""
    return [None] * len(batch)


class Pace:
    """At most so many a second, over all lanes; None: as fast as it goes."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._next = time.monotonic()

    @property
    def batch(self) -> int:
        """The most records to send at once."""
        return BATCH_RECORDS if self._rate is None else max(1, min(BATCH_RECORDS, int(self._rate)))

    def wait(self, records: int) -> None:
        """Until so many may be sent."""
        if self._rate is not None:
            time.sleep(max(0.0, self._next - time.monotonic()))
            self._next = max(self._next, time.monotonic()) + records / self._rate


@dataclass(slots=True)
class Lane:
    """Collects batches for one delivery and tells the tally what became of them.

    `marks` are those of what was delivered before.
    """

    where: str
    deliver: Deliver
    marks: Collection[bytes]
    pace: Pace
    tally: Tally
    close: Callable[[], None] = lambda: None
    _batch: list[Ready] = field(default_factory=list)
    _bytes: int = 0

    def is_marked(self, letter: Letter) -> bool:
        """Whether it was redriven before."""
        return mark_of(letter.identity) in self.marks

    def add(self, ready: Ready) -> None:
        """Hand over, at the latest with the next `flush`."""
        if self._bytes + ready.bytes > BATCH_BYTES:
            self.flush()
        self._batch.append(ready)
        self._bytes += ready.bytes
        if len(self._batch) >= self.pace.batch:
            self.flush()

    def flush(self) -> None:
        """Deliver what was collected."""
        if not self._batch:
            return
        batch, self._batch, self._bytes = self._batch, [], 0
        self.pace.wait(len(batch))
        for ready, refusal in zip(batch, self.deliver(batch), strict=True):
            if refusal is None:
                self.tally.sent(ready.letter, self.where)
            else:
                self.tally.refuse(ready.letter, refusal)
