"""Control records that say how far event time has come, as the original's replay sent them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from connectors.producer import Producer
from pipeline.decode import timestamps

_EVERY_SECONDS: Final = 1.0


def watermark(millis: int) -> bytes:
    """The record: nothing behind it in its partition or shard happened before that instant.

    >>> watermark(1514764800000)
    b'{"watermark":"2018-01-01T00:00:00.000Z","type":"watermark"}'
    """
    return f'{{"watermark":"{timestamps.text(millis)}","type":"watermark"}}'.encode()


class Watermarks:
    """Sends one to every partition and shard each second of wall time, and one at the end.

    Its time is that of the latest event handed over before. An event that is out of order in the
    input comes behind a later watermark; those are counted when the input is read.
    """

    def __init__(self, targets: Sequence[Producer]) -> None:
        self.sent = 0
        self._targets = targets
        self._next: float | None = None

    def tend(self, now: float, reached_ms: int | None) -> None:
        """To be called often: sends when a second has passed since the last."""
        if reached_ms is None:
            return
        if self._next is None:
            self._next = now + _EVERY_SECONDS
        elif now >= self._next:
            self.send(reached_ms)
            self._next = max(self._next + _EVERY_SECONDS, now)

    def send(self, reached_ms: int) -> None:
        """Sends one now."""
        raw = watermark(reached_ms)
        self.sent += sum(target.send_everywhere(raw) for target in self._targets)
