"""What all producers have in common, whether they write to a Kafka topic or a Kinesis stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from connectors.block import Block, Headers
from connectors.positions import Position

Acknowledged = Callable[[Position], None]


class Outgoing(NamedTuple):
    """A record to send.

    Kinesis has no headers and no null values: it drops the former and stores an empty value.
    """

    raw: bytes | None
    key: bytes | None = None
    headers: Headers = ()


class Producer(Protocol):
    """Writes records to one topic or stream, at least once; on Kafka by an idempotent producer.

    Every method raises UserError if the target rejects a record or stays unreachable; after that
    only `close` may be called. All calls must come from one thread.
    """

    @property
    def name(self) -> str:
        """The target, for messages: `the topic trips on 127.0.0.1:9092`."""

    @property
    def acknowledged_records(self) -> int:
        """Lower bound of the number of records stored; exact after `flush`."""

    @property
    def retries(self) -> int:
        """Number of times a record was sent again, where the client reports it."""

    @property
    def throttled(self) -> int:
        """Number of retries that were due to the target's rate limits."""

    @property
    def misplaced_records(self) -> int:
        """Number of records sent again because a reshard made their first copy unreadable."""

    def send(self, record: Outgoing, acknowledged: Acknowledged | None = None) -> None:
        """Queue a record; wait while the queue is full.

        `acknowledged` is called with the record's position, at the latest by `flush`.
        """

    def send_block(self, block: Block) -> None:
        """Queue the records of a block in order; faster than `send`, as no position is reported."""

    def send_everywhere(self, raw: bytes) -> int:
        """Send a control record to every partition or open shard, behind all queued records.

        Return how many copies were sent; they do not count as records.
        """

    def poll(self) -> None:
        """Process acknowledgements; call it often, also while there is nothing to send."""

    def flush(self) -> None:
        """Wait until every queued record is stored."""

    def close(self, *, flush: bool = True) -> None:
        """Flush, unless a record was rejected before, and close the connection.

        Without `flush`, records in flight may or may not be stored.
        """
