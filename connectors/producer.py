"""Where records are sent to: what a Kafka topic and a Kinesis stream have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from connectors.block import Block, Headers
from connectors.positions import Position

Acknowledged = Callable[[Position], None]


class Outgoing(NamedTuple):
    """A record to send; Kinesis has no headers, and takes no bytes for a missing value."""

    raw: bytes | None
    key: bytes | None = None
    headers: Headers = ()


class Target(Protocol):
    """A topic or a stream. At least once; on Kafka each record once, by an idempotent producer.

    Every method raises UserError when the target refuses a record or stays away; after that only
    `close` may be called. All calls must come from one thread.
    """

    @property
    def name(self) -> str:
        """For messages: `the topic trips on 127.0.0.1:9092`."""

    @property
    def acknowledged_records(self) -> int:
        """How many records, at least, are known to be stored; exact after `flush`."""

    @property
    def retries(self) -> int:
        """How many times a record had to be sent again, as far as that is told."""

    @property
    def throttled(self) -> int:
        """How many of the retries were because of the target's limits."""

    @property
    def misplaced_records(self) -> int:
        """How many records were sent again because no reader would find them where they lie."""

    def send(self, record: Outgoing, acknowledged: Acknowledged | None = None) -> None:
        """Hands a record over, waiting where too many are on their way.

        `acknowledged` is called, at the latest by `flush`, with the position it was stored at.
        """

    def send_block(self, block: Block) -> None:
        """Hands all records of a block over in their order; no positions are told, it is fast."""

    def send_everywhere(self, raw: bytes) -> int:
        """Sends a control record to every partition or open shard, behind all handed over so far.

        The number of them; they don't count as records.
        """

    def poll(self) -> None:
        """Keeps what is on its way moving; to be called often, also when nothing is to be sent."""

    def flush(self) -> None:
        """Waits until every record handed over is stored."""

    def close(self, *, flush: bool = True) -> None:
        """Flushes, unless a record was refused before, and frees the connection.

        Without `flush` what is on its way may be stored or not.
        """
