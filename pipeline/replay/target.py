"""Where records are sent to: what a Kafka topic and a Kinesis stream have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from pipeline.readers.positions import Position
from pipeline.replay.block import Headers

Acknowledged = Callable[[Position], None]


class Outgoing(NamedTuple):
    """A record to send; Kinesis has no headers, and takes no bytes for a missing value."""

    raw: bytes | None
    key: bytes | None = None
    headers: Headers = ()


class Target(Protocol):
    """A topic or a stream. At least once; on Kafka each record once, by an idempotent producer.

    Every method raises UserError when the target refuses a record or stays away.
    """

    @property
    def acknowledged_records(self) -> int:
        """How many records are known to be stored."""

    def send(self, record: Outgoing, acknowledged: Acknowledged | None = None) -> None:
        """Hands a record over, waiting where too many are on their way.

        `acknowledged` is called, at the latest by `flush`, with the position it was stored at.
        """

    def flush(self) -> None:
        """Waits until every record handed over is stored."""

    def close(self) -> None:
        """Flushes and frees the connection."""
